"""The limit equation of the particle systems of this room."""

from typing import Any

from .._core.system import AbstractField
from .._util.checks import argument_error, check_bool, check_integer, describe
from .interactions import AbstractRadial
from .isotropic_pde import IsotropicPDE
from .landau_pde import LandauPDE
from .torus_pde import TorusPDE
from .trigonometric import Trigonometric

__all__ = ["landau_limit"]


def landau_limit(interaction: Any, isotropic: bool = False, dim: int = 3) -> AbstractField:
    """The Landau equation with this interaction: on the torus for a `Trigonometric`, in R^d for a radial one; `isotropic`: for
    isotropic densities in R^dim.

    **Raises:** `ValueError` for another interaction, and for isotropic densities on the torus."""
    check_integer("dim", dim, minimum=2)
    if isinstance(interaction, Trigonometric):
        if check_bool("isotropic", isotropic):
            raise argument_error("isotropic", "be False on the torus", "is True", "leave it out")
        return TorusPDE(interaction)
    if not isinstance(interaction, AbstractRadial):
        raise argument_error(
            "interaction", "be radial or trigonometric for a limit equation", f"is {describe(interaction)}",
            "write it as a subclass of jk.landau.AbstractRadial",
        )  # fmt: skip
    return IsotropicPDE(interaction, dim) if check_bool("isotropic", isotropic) else LandauPDE(interaction)
