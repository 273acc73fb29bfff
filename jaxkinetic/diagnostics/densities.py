"""Diagnostics of a `Density` on velocity axes, by quadrature: the sum over the grid points times the cell, which converges
faster than any power of the spacing for smooth f that is periodic or vanishes at the ends."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import spectral
from .._util.checks import argument_error, describe, is_traced, nan_unless, require, same_length
from .._util.sharding import on_any_mesh
from .._util.types import RealScalar
from ..laws import marginal
from ..states import Density, Grid

__all__ = ["entropy_per_particle"]


@on_any_mesh
def entropy_per_particle(state: Density, density: Density, *, k: int | None = None) -> RealScalar:
    r"""The relative entropy per particle $H_k = \frac1k \int f_k \log(f_k / f^{\otimes k})$ of the law `state` of N particles,
    on one axis for each, and N independent particles of the law f = `density`; f_k is the k-particle marginal, k = N if None.
    For symmetric laws H_1 <= H_2 <= ... <= H_N.

    The masses must agree to 1 %. By quadrature: the product of the f is not formed. Differentiable; O(n^N).

    **Raises:** `ValueError` for a k that is not in 1..N, for a density that is not on the axis of every particle, and for
    another mass (a traced axis or mass that does not agree gives NaN)."""
    for name, law in (("state", state), ("density", density)):
        if not isinstance(law, Density):
            raise argument_error(name, "be a Density", f"is {describe(law)}", "pass jk.Density(f, grid)")
    whole = state
    state = marginal(state, len(state.grid.axes) if k is None else k)
    count = len(state.grid.axes)
    same = [same_grid(Grid(axis), density.grid, "density") for axis in whole.grid.axes]
    same.append(_same_mass(whole.mass, density.mass))
    total = entropy(state)
    empty = density.f <= 0
    logarithm = jnp.where(empty, -jnp.inf, jnp.log(jnp.where(empty, 1, density.f)))
    for i in range(count):
        others = tuple(j for j in range(count) if j != i)
        law = jnp.sum(state.f, others) * state.grid.cell
        # The infinite logarithm is masked before the product, which would otherwise make derivatives NaN.
        total = total - jnp.sum(law * jnp.where(law <= 0, 0, logarithm))
    for holds in same:
        total = nan_unless(holds, total)
    return total / count


def _same_mass(mass: RealScalar, other: RealScalar) -> Any:
    """Whether two masses agree to 1 %. **Raises:** `ValueError` if they are known and do not."""
    if is_traced(mass, other):
        return jnp.abs(other - mass) <= 0.01 * jnp.abs(mass)
    mass, other = float(mass), float(other)
    # Not `>`, so that a NaN passes and the result is NaN.
    require(
        "density", not abs(other - mass) > 0.01 * abs(mass), other, f"have the mass of the law of the particles, {mass:g}",
        "divide both by their masses", was="has the mass",
    )  # fmt: skip
    return True


def velocities(state: Density) -> tuple[Float[Array, "*grid"], ...]:
    """The components of the velocity at all points. **Raises:** `ValueError` for a periodic axis, which is none of R^d."""
    for i, axis in enumerate(state.grid.axes):
        if axis.periodic:
            raise argument_error(
                "state", "be on velocity axes, which are not periodic", f"axis {i} is periodic",
                "use jk.vlasov.momentum and jk.vlasov.energy for a density on phase space",
            )  # fmt: skip
    return state.grid.mesh


def mean(state: Density, values: Float[Array, "*grid"]) -> RealScalar:
    """int values f over the mass."""
    return jnp.sum(values * state.f) / jnp.sum(state.f)


def momentum(state: Density) -> Float[Array, " d"]:
    return jnp.stack([mean(state, v) for v in velocities(state)])


def centred_moment(state: Density, order: float, *, centred: bool) -> RealScalar:
    u = momentum(state) if centred else jnp.zeros(len(state.grid.axes), state.f.dtype)
    square = sum(((v - u[i]) ** 2 for i, v in enumerate(velocities(state))), jnp.zeros_like(state.f))
    if order % 2 == 0:
        return mean(state, square ** int(order // 2))
    still = square == 0
    return mean(state, jnp.where(still, 0, jnp.where(still, 1, square) ** (order / 2)))


def stress(state: Density) -> Float[Array, "d d"]:
    centred = [v - u for v, u in zip(velocities(state), momentum(state), strict=True)]
    return jnp.stack([jnp.stack([mean(state, v * w) for w in centred]) for v in centred])


def entropy(state: Density) -> RealScalar:
    """int f log f, with 0 log 0 = 0 and 0 also where f is negative; NaN where f is NaN."""
    f = state.f
    empty = f <= 0
    return jnp.sum(jnp.where(empty, 0, f * jnp.log(jnp.where(empty, 1, f)))) * state.grid.cell


def relative_entropy(state: Density, other: Density) -> RealScalar:
    """int f log(f/g)."""
    same = same_grid(state.grid, other.grid, "log_density")
    f, g = state.f, other.f
    empty = f <= 0
    ratio = jnp.where(empty, 1, f) / jnp.where(empty, 1, g)
    return nan_unless(same, jnp.sum(jnp.where(empty, 0, f * jnp.log(ratio))) * state.grid.cell)


def fisher_information(state: Density) -> RealScalar:
    """int |grad f|^2/f where f is above round-off, with spectral derivatives."""
    f, axes = state.f, state.grid.axes
    square = jnp.zeros_like(f)
    for i, axis in enumerate(axes):
        hat = jnp.fft.rfft(f, axis=i)
        k = spectral.along(spectral.half_wavenumbers(axis), i, f.ndim)
        square = square + jnp.fft.irfft(spectral.imaginary(k) * hat, axis.num, axis=i) ** 2
    # Below this, f and its derivative are round-off of the transforms.
    small = f <= 10 * jnp.finfo(f.dtype).eps * jax.lax.stop_gradient(jnp.max(f))
    return jnp.sum(jnp.where(small, 0, square / jnp.where(small, 1, f))) * state.grid.cell


def same_grid(one: Grid, other: Grid, argument: str) -> Any:
    """Whether two grids have the same points: True, or a traced bool if an axis is traced. **Raises:** `ValueError` for another
    shape, and for known axes that differ."""
    if one.shape != other.shape:
        raise argument_error(
            argument,
            f"be on the same grid, of shape {one.shape}",
            f"has shape {other.shape}",
            "evaluate both on one grid",
        )
    holds = True
    for i, (mine, axis) in enumerate(zip(one.axes, other.axes, strict=True)):
        same = (
            same_length(axis.length, mine.length),
            same_length(axis.start - mine.start.astype(axis.start.dtype) + axis.length, axis.length),
        )
        if is_traced(*same):
            holds = holds & same[0] & same[1]
        elif not all(same) or mine.periodic != axis.periodic:
            raise argument_error(argument, "be on the same grid", f"axis {i} is {axis}", f"evaluate both on {mine}")
    return holds
