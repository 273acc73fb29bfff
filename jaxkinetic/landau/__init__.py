"""The Landau equation: interactions, particle systems, exact laws."""

from . import exact as exact
from .interactions import (
    AbstractInteraction as AbstractInteraction,
    AbstractRadial as AbstractRadial,
    Maxwell as Maxwell,
    PowerLaw as PowerLaw,
)
from .roots import symmetric_root as symmetric_root
from .systems import IndependentNoise as IndependentNoise, Kac as Kac, MatrixSqrt as MatrixSqrt
