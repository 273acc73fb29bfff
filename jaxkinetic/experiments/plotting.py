"""Former name of `jaxkinetic.plotting`, kept for scripts and notebooks that import it from here."""

from ..plotting import *  # noqa: F403
from ..plotting import __all__ as __all__
