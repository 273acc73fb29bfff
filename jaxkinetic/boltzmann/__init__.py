"""The spatially homogeneous Boltzmann equation: cross sections, Kac's walk with annihilation, its limit, exact laws."""

from . import exact as exact
from .cross_sections import (
    AbstractCrossSection as AbstractCrossSection,
    HardSphere as HardSphere,
    Maxwell as Maxwell,
    VariableHardSphere as VariableHardSphere,
)
from .isotropic_pde import IsotropicPDE as IsotropicPDE
from .self_similar import SelfSimilar as SelfSimilar, self_similar_profile as self_similar_profile
from .systems import KacWalk as KacWalk

__all__ = [
    "AbstractCrossSection", "HardSphere", "IsotropicPDE", "KacWalk", "Maxwell", "SelfSimilar", "VariableHardSphere", "exact",
    "self_similar_profile",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
