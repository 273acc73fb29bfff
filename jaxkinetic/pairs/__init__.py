"""Schemes that act on pairs of particles, independent of the physics, and the rotations that they use."""

from .._util.aliases import alias_modules as _alias_modules
from . import spherical_heat as _spherical_heat
from .exact_clock import ExactClock as ExactClock
from .matching import RandomMatching as RandomMatching
from .rotations import heat_rotation as heat_rotation
from .spherical_heat import (
    spherical_heat_cdf as spherical_heat_cdf,
    spherical_heat_kernel as spherical_heat_kernel,
    spherical_heat_quantile as spherical_heat_quantile,
)
from .sweep import Sweep as Sweep
from .tau_leap import TauLeap as TauLeap

__all__ = [
    "ExactClock", "RandomMatching", "Sweep", "TauLeap", "heat_rotation", "spherical_heat_cdf", "spherical_heat_kernel",
    "spherical_heat_quantile",
]  # fmt: skip


_alias_modules(__name__, sphere=_spherical_heat)


def __dir__() -> list[str]:
    return __all__
