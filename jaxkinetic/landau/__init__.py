"""The Landau equation: interactions, particle systems, microcanonical binary collisions, exact laws."""

from . import exact as exact
from .interactions import (
    AbstractInteraction as AbstractInteraction,
    AbstractRadial as AbstractRadial,
    Maxwell as Maxwell,
    PowerLaw as PowerLaw,
)
from .isotropic_pde import IsotropicPDE as IsotropicPDE
from .liouville import Liouville as Liouville
from .microcanonical import Microcanonical as Microcanonical
from .roots import symmetric_root as symmetric_root
from .systems import IndependentNoise as IndependentNoise, Kac as Kac, MatrixSqrt as MatrixSqrt
from .torus_pde import TorusPDE as TorusPDE
from .trigonometric import Trigonometric as Trigonometric

__all__ = [
    "AbstractInteraction", "AbstractRadial", "IndependentNoise", "IsotropicPDE", "Kac", "Liouville", "MatrixSqrt", "Maxwell",
    "Microcanonical", "PowerLaw", "TorusPDE", "Trigonometric", "exact", "symmetric_root",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
