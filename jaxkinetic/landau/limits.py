"""The limit equation of the particle systems of this room."""

from typing import Any

from .._core.system import AbstractField
from .._util.checks import argument_error, check_bool, describe
from .interactions import AbstractRadial
from .isotropic_pde import IsotropicPDE
from .landau_pde import LandauPDE
from .torus_pde import TorusPDE
from .trigonometric import Trigonometric

__all__ = ["landau_limit"]


def landau_limit(interaction: Any, isotropic: bool = False, dim: int | None = None) -> AbstractField:
    """The Landau equation with this interaction: on the torus for a `Trigonometric`, in R^d for a radial one; `isotropic`: for
    isotropic densities in R^dim, dim = 3 by default.

    **Raises:** `ValueError` for another interaction, for isotropic densities on the torus, and for a `dim` without
    `isotropic`: the state of the others has it."""
    isotropic = check_bool("isotropic", isotropic)
    if dim is not None and not isotropic:
        raise argument_error("dim", "be left out unless isotropic=True", f"is {dim}", "the grid of the state has it")
    if isinstance(interaction, Trigonometric):
        if isotropic:
            raise argument_error("isotropic", "be False on the torus", "is True", "leave it out")
        return TorusPDE(interaction)
    if not isinstance(interaction, AbstractRadial):
        raise argument_error(
            "interaction", "be radial or trigonometric for a limit equation", f"is {describe(interaction)}",
            "write it as a subclass of jk.landau.AbstractRadial",
        )  # fmt: skip
    return IsotropicPDE(interaction, 3 if dim is None else dim) if isotropic else LandauPDE(interaction)
