"""The Landau equation: interactions, particle systems, microcanonical binary collisions, exact laws."""

from . import exact as exact
from .backward import BackwardKolmogorov as BackwardKolmogorov, symmetrized_power as symmetrized_power
from .cumulants import cumulant as cumulant, weighted_marginal as weighted_marginal
from .interactions import (
    AbstractInteraction as AbstractInteraction,
    AbstractRadial as AbstractRadial,
    Maxwell as Maxwell,
    PowerLaw as PowerLaw,
)
from .landau_pde import LandauPDE as LandauPDE
from .liouville import Liouville as Liouville
from .microcanonical import Microcanonical as Microcanonical
from .roots import symmetric_root as symmetric_root
from .systems import IndependentNoise as IndependentNoise, Kac as Kac, MatrixSqrt as MatrixSqrt
from .torus_pde import TorusPDE as TorusPDE
from .trigonometric import Trigonometric as Trigonometric
from .weak_error import (
    weak_error_diagonal as weak_error_diagonal,
    weak_error_kernel as weak_error_kernel,
    weak_error_rate as weak_error_rate,
)

__all__ = [
    "AbstractInteraction", "AbstractRadial", "BackwardKolmogorov", "IndependentNoise", "Kac", "LandauPDE", "Liouville",
    "MatrixSqrt", "Maxwell", "Microcanonical", "PowerLaw", "TorusPDE", "Trigonometric", "cumulant", "exact",
    "symmetric_root", "symmetrized_power", "weak_error_diagonal", "weak_error_kernel", "weak_error_rate",
    "weighted_marginal",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
