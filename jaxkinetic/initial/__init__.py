"""Initial laws: i.i.d. velocities, or their density on a grid; nondimensional, with T = 1 unless stated otherwise
(int |v|^2 f = d T)."""

from .densities import on_grid as on_grid, radial as radial
from .numbers import binomial_number as binomial_number, poisson_number as poisson_number
from .samplers import (
    bimaxwellian as bimaxwellian,
    bkw as bkw,
    maxwellian as maxwellian,
    rosenbluth as rosenbluth,
    torus_mode as torus_mode,
)

__all__ = [
    "bimaxwellian", "binomial_number", "bkw", "maxwellian", "on_grid", "poisson_number", "radial", "rosenbluth", "torus_mode",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
