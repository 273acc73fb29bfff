"""A density on a box of velocities that stands for R^d: what is checked of its grid and values, and reported after a run."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import spectral
from .._util.checks import argument_error, describe, is_traced, require, same_length
from .._util.types import RealScalar
from ..states import Density, Grid
from .torus_pde import LIMITS, check_values, negative_mass

__all__ = ["BOX_LIMITS", "box_stats", "check_box", "check_resolved", "mass_outside"]

# Standard deviations of the data between the mean and the end of the box, and in a spacing of the grid, that suffice for
# about 1e-6 on laws like a Maxwellian.
_WIDTHS, _SPACINGS = 5.5, 0.6
# Above these fractions a run does not start.
_LARGEST_TAIL, _LARGEST_OUTSIDE = 1e-2, 1e-3

BOX_LIMITS: Mapping[str, tuple[float, str]] = {
    **LIMITS,
    "boundary_mass": (
        1e-5,
        "The velocity box is too small: {0:.2g} of the mass was outside of the ball inscribed in it "
        "(`stats['boundary_mass']`); use axes 1.25 times as long, with as many more points.",
    ),
}


def check_box(state: Any) -> int:
    """The number d of velocity axes. **Raises:** `ValueError` unless the state is a `Density` on 2 or 3 axes that are not
    periodic and have one length and one number of points."""
    if not isinstance(state, Density):
        raise argument_error("state", "be a Density", f"is {describe(state)}", "pass jk.Density(f, grid)")
    axes = state.grid.axes
    example = "jk.Grid(*[jk.Axis(-6.0, 12.0, 32, periodic=False)] * 3)"
    if len(axes) not in (2, 3):
        raise argument_error("state.grid", "have 2 or 3 velocity axes", f"has {len(axes)}", f"pass {example}, say")
    for i, axis in enumerate(axes):
        if axis.periodic:
            raise argument_error(f"state.grid.axes[{i}]", "be a velocity axis", "is periodic", "pass periodic=False")
    if len({axis.num for axis in axes}) > 1:
        shape = " x ".join(str(axis.num) for axis in axes)
        raise argument_error("state.grid", "have as many points on every axis", f"has {shape}", f"pass {example}, say")
    for i, axis in enumerate(axes[1:], 1):
        require(
            f"state.grid.axes[{i}].length", same_length(axis.length, axes[0].length), axis.length,
            "be that of the first axis", "give all axes the same length",
        )  # fmt: skip
    return len(axes)


def check_resolved(state: Density) -> None:
    """**Raises:** `ValueError` for known data that are negative or not finite, have no mass, do not fit into the box, or vary
    from point to point; with the length or the number of points that would do."""
    check_values(state)
    if not is_traced(state):
        with jax.ensure_compile_time_eval():  # inside `jit`, operations on known arrays would be traced
            _check_known(state)


def _check_known(state: Density) -> None:
    f, grid = np.asarray(state.f, float), state.grid
    points = [np.asarray(axis.points, float) for axis in grid.axes]
    length, num = float(grid.axes[0].length), grid.axes[0].num
    outside = float(mass_outside(state.f, grid))
    narrow, reach = _extent(f, points)
    if outside > _LARGEST_OUTSIDE:
        enough = max(2 * reach, 1.25 * length)
        raise argument_error(
            "state.grid", "hold the data in the ball inscribed in the box",
            f"{outside:.2g} of the mass is outside of it", f"use axes of length {enough:.3g}",
        )  # fmt: skip
    tail = max(float(spectral.tail(state.f, i)) for i in range(f.ndim))
    if tail > _LARGEST_TAIL:
        enough = max(2 * math.ceil(length / (2 * _SPACINGS * narrow)), 2 * math.ceil(0.75 * num))
        raise argument_error(
            "state.grid", "resolve the data",
            f"{tail:.2g} of the squared norm of f is in the upper third of the wavenumbers", f"use {enough} points an axis",
        )  # fmt: skip


def box_stats(state: Density) -> dict[str, Any]:
    """`spectral_tail`, `negative_mass` and `boundary_mass` of a state."""
    tails = jnp.stack([spectral.tail(state.f, i) for i in range(state.f.ndim)])
    return {
        "spectral_tail": jnp.max(tails),
        "negative_mass": negative_mass(state.f),
        "boundary_mass": mass_outside(state.f, state.grid),
    }


def mass_outside(f: Float[Array, "*grid"], grid: Grid) -> RealScalar:
    """int |f| outside of the ball inscribed in the box, over int |f|."""
    square = sum(
        (spectral.along(jnp.asarray(_offsets(n), f.dtype), i, f.ndim) ** 2 for i, n in enumerate(grid.shape)), 0.0
    )
    size = jnp.abs(f)
    return jnp.sum(jnp.where(square > 1, size, 0)) / jnp.sum(size)


def _offsets(num: int) -> np.ndarray:
    """The points of an axis from the middle of the box, in half lengths."""
    return 2 * np.arange(num) / num - 1


def _extent(f: np.ndarray, points: list[np.ndarray]) -> tuple[float, float]:
    """(the smallest standard deviation along an axis, the half length of a box that holds the data)."""
    narrow, reach = math.inf, 0.0
    for axis, v in enumerate(points):
        law = f.sum(tuple(i for i in range(f.ndim) if i != axis)) / f.sum()
        mean = float(law @ v)
        width = math.sqrt(max(float(law @ (v - mean) ** 2), 1e-30))
        middle = v[len(v) // 2]
        narrow, reach = min(narrow, width), max(reach, abs(mean - middle) + _WIDTHS * width)
    return narrow, reach
