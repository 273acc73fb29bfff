"""Schemes over pairs, free of physics, and the rotations that they share."""

from .exact_clock import ExactClock as ExactClock
from .matching import RandomMatching as RandomMatching
from .rotations import heat_rotation as heat_rotation
from .sphere import (
    spherical_heat_cdf as spherical_heat_cdf,
)
from .sphere import (
    spherical_heat_kernel as spherical_heat_kernel,
)
from .sphere import (
    spherical_heat_quantile as spherical_heat_quantile,
)
from .sweep import Sweep as Sweep
from .tau_leap import TauLeap as TauLeap

__all__ = [
    "ExactClock", "RandomMatching", "Sweep", "TauLeap", "heat_rotation", "spherical_heat_cdf", "spherical_heat_kernel",
    "spherical_heat_quantile",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
