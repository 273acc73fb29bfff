"""Wasserstein distances of densities on a line, and of isotropic ones: both have a monotone optimal map."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import spectral
from .._util.checks import argument_error
from .._util.gradients import elementwise_root
from ..radial import RadialDensity, sphere_area
from ..states import Density

__all__ = ["Cumulated", "Quantile", "cumulated", "power_distance", "quantile_of"]


class Cumulated(NamedTuple):
    """A density p of unit mass on a line, its distribution function at the same points, and the quadrature weights."""

    x: Float[Array, " n"]
    p: Float[Array, " n"]
    cdf: Float[Array, " n"]
    weights: Float[Array, " n"]


def cumulated(state: Density | RadialDensity, argument: str) -> Cumulated:
    """Of the velocity (d = 1) or of the speed. Integration is spectral.

    **Raises:** `ValueError` for a density on several axes, or on a periodic one."""
    f = state.f / state.mass
    if isinstance(state, RadialDensity):
        grid, dim = state.grid, state.dim
        p = sphere_area(dim) * grid.speeds ** (dim - 1) * f
        # v^{d-1} f is even in v for odd d, odd for even d; on [-R, R] it vanishes at the ends.
        mirrored = p[::-1] if dim % 2 else -p[::-1]
        integral = _integral(jnp.concatenate([mirrored, p]), 2 * grid.radius)
        at_zero = _value_between(integral, grid.num)
        weights = grid.weights / (sphere_area(dim) * grid.speeds ** (dim - 1))
        return Cumulated(grid.speeds, p, integral[grid.num :] - at_zero, weights)
    axis, *others = state.grid.axes
    if others or axis.periodic:
        was = f"has {len(others) + 1} axes" if others else "has a periodic one"
        do = "use jk.marginal, or draw particles" if others else "pass jk.Axis(-8.0, 16.0, 64, periodic=False), say"
        raise argument_error(argument, "be isotropic, or on one axis that is not periodic", was, do)
    integral = _integral(f, axis.length)
    # The density vanishes at the ends, where the distribution function is 0 and 1.
    cdf = integral - integral[0] + axis.spacing * f[0] / 2
    return Cumulated(axis.points, f, cdf, jnp.full_like(f, 1) * axis.spacing)


def _integral(p: Float[Array, " n"], length: Array) -> Float[Array, " n"]:
    """An antiderivative at equidistant points, exact for p of finitely many modes."""
    num = p.shape[0]
    hat = jnp.fft.rfft(p)
    j = jnp.arange(num // 2 + 1, dtype=p.dtype)
    # 1/(i k); the mean and the Nyquist frequency are left out.
    inverse = jnp.where((j > 0) & (2 * j < num), -1 / jnp.maximum(j, 1), 0) * (length / (2 * math.pi))
    steps = jnp.arange(num, dtype=p.dtype) / num
    return jnp.fft.irfft(spectral.imaginary(inverse) * hat, num) + jnp.mean(p) * length * steps


def _value_between(integral: Float[Array, " n"], index: int) -> Array:
    """The function halfway between the points index - 1 and index, by interpolation of order 8."""
    half = [1225 / 2048, -245 / 2048, 49 / 2048, -5 / 2048]
    weights = jnp.asarray([*half[::-1], *half], integral.dtype)
    return jnp.sum(weights * integral[index - 4 : index + 4])


def quantile_of(state: Density | RadialDensity, argument: str) -> "Quantile":
    x, p, cdf, weights = cumulated(state, argument)
    if isinstance(state, RadialDensity):
        # The cell between 0 and the first speed. In d = 1 p does not vanish at 0; it is even.
        zero = jnp.zeros(1, x.dtype)
        at_zero = _value_between(jnp.concatenate([p[:4][::-1], p[:4]]), 4)[None] if state.dim == 1 else zero
        x, p, cdf, weights = (jnp.concatenate(ab) for ab in ((zero, x), (at_zero, p), (zero, cdf), (zero, weights)))
    return Quantile(Cumulated(x, p, cdf, weights))


class Quantile(eqx.Module):
    """u -> F^{-1}(u), elementwise: the inverse of the cubic that has the values and slopes of F at both ends of a cell."""

    table: Cumulated

    def __call__(self, u: Float[Array, " m"]) -> Float[Array, " m"]:
        x, p, cdf, _ = self.table
        num = x.shape[0]
        # Not monotone only by round-off, in the tails.
        sorted_cdf = jax.lax.stop_gradient(jax.lax.cummax(cdf))
        cell = jnp.clip(jnp.searchsorted(sorted_cdf, jax.lax.stop_gradient(u)) - 1, 0, num - 2)
        left, right, spacing = cdf[cell], cdf[cell + 1], x[cell + 1] - x[cell]
        slope_left, slope_right = p[cell] * spacing, p[cell + 1] * spacing

        def value(s: Array) -> Array:
            far = 1 - s
            shape = left * far**2 * (1 + 2 * s) + right * s**2 * (3 - 2 * s)
            return shape + s * far * (slope_left * far - slope_right * s)

        def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = (low + high) / 2
            above = value(middle) > u
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        low, high = jax.lax.fori_loop(0, jnp.finfo(u.dtype).nmant + 2, halve, (jnp.zeros_like(u), jnp.ones_like(u)))
        # In the tails, where F is constant to round-off, the quantile has no derivative.
        s = elementwise_root(lambda s: value(s) - u, (low + high) / 2, least=float(jnp.finfo(u.dtype).eps))
        return x[cell] + spacing * s


def power_distance(
    one: Cumulated, quantile: Callable[[Array], Array], power: Callable[[Array], Array]
) -> Float[Array, ""]:
    """int |x - G^{-1}(F(x))|^p dF, by the quadrature of F."""
    limits = jnp.finfo(one.x.dtype)
    distance = one.x - quantile(jnp.clip(one.cdf, limits.tiny, 1 - limits.epsneg))
    return jnp.sum(one.weights * one.p * power(distance))
