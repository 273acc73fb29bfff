"""The types of figures, for annotations only."""

from ..plotting import Axes as Axes
from ..plotting import Figure as Figure
