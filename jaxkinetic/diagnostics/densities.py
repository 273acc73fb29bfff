"""Diagnostics of a `Density` on velocity axes and of a `RadialDensity`, by quadrature, which converges faster than any power of
the spacing for smooth f that is periodic or vanishes at the ends."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import spectral
from .._util.checks import argument_error, describe, is_traced, nan_unless, require, same_length
from .._util.sharding import on_any_mesh
from .._util.types import RealScalar
from ..laws import marginal
from ..radial import RadialDensity, RadialGrid
from ..states import Density, Grid

__all__ = ["DENSITIES", "entropy_per_particle"]

DENSITIES = (Density, RadialDensity)
# Of f(v + k h) - f(v - k h), k = 1 to 6, in the derivative of order 12.
_DIFFERENCES = (6 / 7, -15 / 56, 5 / 63, -1 / 56, 1 / 385, -1 / 5544)


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
    known, found = float(mass), float(other)
    # Not `>`, so that a NaN passes and the result is NaN.
    require(
        "density", not abs(found - known) > 0.01 * abs(known), found, f"have the mass of the law of the particles, {known:g}",
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


def dim(state: Density | RadialDensity) -> int:
    """The number of components of the velocity."""
    return state.dim if isinstance(state, RadialDensity) else len(state.grid.axes)


def mean(state: Density | RadialDensity, values: Array) -> RealScalar:
    """int values f over the mass."""
    return state.integral(values * state.f) / state.mass


def momentum(state: Density | RadialDensity) -> Float[Array, " d"]:
    if isinstance(state, RadialDensity):
        return jnp.zeros(state.dim, state.f.dtype)
    return jnp.stack([mean(state, v) for v in velocities(state)])


def centred_moment(state: Density | RadialDensity, order: float, *, centred: bool) -> RealScalar:
    if isinstance(state, RadialDensity):
        square = state.grid.speeds**2
    else:
        u = momentum(state) if centred else jnp.zeros(len(state.grid.axes), state.f.dtype)
        square = sum(((v - u[i]) ** 2 for i, v in enumerate(velocities(state))), jnp.zeros_like(state.f))
    if order % 2 == 0:
        return mean(state, square ** int(order // 2))
    still = square == 0
    return mean(state, jnp.where(still, 0, jnp.where(still, 1, square) ** (order / 2)))


def stress(state: Density | RadialDensity) -> Float[Array, "d d"]:
    if isinstance(state, RadialDensity):
        return centred_moment(state, 2, centred=False) / state.dim * jnp.eye(state.dim, dtype=state.f.dtype)
    centred = [v - u for v, u in zip(velocities(state), momentum(state), strict=True)]
    return jnp.stack([jnp.stack([mean(state, v * w) for w in centred]) for v in centred])


def entropy(state: Density | RadialDensity) -> RealScalar:
    """int f log f, with 0 log 0 = 0 and 0 also where f is negative; NaN where f is NaN."""
    f = state.f
    empty = f <= 0
    return state.integral(jnp.where(empty, 0, f * jnp.log(jnp.where(empty, 1, f))))


def relative_entropy(state: Density | RadialDensity, other: Density | RadialDensity) -> RealScalar:
    """int f log(f/g)."""
    same = same_grid(state.grid, other.grid, "log_density")
    f, g = state.f, other.f
    empty = f <= 0
    ratio = jnp.where(empty, 1, f) / jnp.where(empty, 1, g)
    return nan_unless(same, state.integral(jnp.where(empty, 0, f * jnp.log(ratio))))


def fisher_information(state: Density | RadialDensity) -> RealScalar:
    """int |grad f|^2/f, with derivatives that are spectral, or, if radial, of order 12. Where f is round-off or not positive,
    the integrand counts as its limit at a zero of f, 2/d times the Laplacian of f, if that is positive."""
    f = state.f
    square, at_zero = jnp.zeros_like(f), jnp.zeros_like(f)
    if isinstance(state, RadialDensity):
        square = radial_slope(state) ** 2
    else:
        for i, axis in enumerate(state.grid.axes):
            hat = jnp.fft.rfft(f, axis=i)
            k = spectral.along(spectral.half_wavenumbers(axis), i, f.ndim)
            square = square + jnp.fft.irfft(spectral.imaginary(k) * hat, axis.num, axis=i) ** 2
            at_zero = at_zero + jnp.fft.irfft(-(k**2).astype(hat.dtype) * hat, axis.num, axis=i)
        at_zero = jnp.maximum(at_zero, 0) * (2 / f.ndim)
    # Below this, f and its derivative are round-off of the transforms.
    small = f <= 10 * jnp.finfo(f.dtype).eps * jax.lax.stop_gradient(jnp.max(f))
    return state.integral(jnp.where(small, at_zero, square / jnp.where(small, 1, f)))


def radial_slope(state: RadialDensity) -> Float[Array, " num"]:
    """df/dv at the speeds by differences of order 12. They are local: other than with spectral derivatives, a kink at v = 0
    does not spoil the tails, where f is small. f is even in v, and 0 beyond R."""
    f, num = state.f, state.grid.num
    reach = len(_DIFFERENCES)
    padded = jnp.concatenate([f[:reach][::-1], f, jnp.zeros(reach, f.dtype)])
    total = jnp.zeros_like(f)
    for k, weight in enumerate(_DIFFERENCES, 1):
        total = total + weight * (padded[reach + k : reach + k + num] - padded[reach - k : reach - k + num])
    return total / state.grid.spacing


def same_grid(one: Grid | RadialGrid, other: Grid | RadialGrid, argument: str) -> Any:
    """Whether two grids have the same points: True, or a traced bool if an axis is traced.

    **Raises:** `ValueError` for grids of another kind or shape, and for known ones at other points."""
    must, do = "be on the same grid", "evaluate both on one grid"
    if type(one) is not type(other) or one.shape != other.shape:
        was = f"has shape {other.shape}" if type(one) is type(other) else f"is on a {type(other).__name__}"
        raise argument_error(argument, f"{must}, of shape {one.shape}", was, do)
    if isinstance(one, RadialGrid) and isinstance(other, RadialGrid):
        same = one.dim == other.dim and same_length(other.radius, one.radius)
        if not is_traced(same) and not same:
            raise argument_error(argument, f"{must}, {one}", f"is on {other}", do)
        return same
    assert isinstance(one, Grid)
    assert isinstance(other, Grid)
    holds = True
    for i, (mine, axis) in enumerate(zip(one.axes, other.axes, strict=True)):
        shifted = axis.start - mine.start.astype(axis.start.dtype) + axis.length
        same = same_length(axis.length, mine.length), same_length(shifted, axis.length)
        if is_traced(*same):
            holds = holds & same[0] & same[1]
        elif not all(same) or mine.periodic != axis.periodic:
            raise argument_error(argument, must, f"axis {i} is {axis}", f"evaluate both on {mine}")
    return holds
