"""Initial laws: i.i.d. velocities, or their density on a grid; nondimensional, with T = 1 unless stated otherwise
(int |v|^2 f = d T)."""

from .densities import on_grid as on_grid, radial as radial
from .samplers import (
    bimaxwellian as bimaxwellian,
    bkw as bkw,
    maxwellian as maxwellian,
    rosenbluth as rosenbluth,
    torus_mode as torus_mode,
)

__all__ = ["bimaxwellian", "bkw", "maxwellian", "on_grid", "radial", "rosenbluth", "torus_mode"]


def __dir__() -> list[str]:
    return __all__
