r"""Brownian motion on the sphere S^{d-1}, exp(tau Laplace): the law of the angle theta between start and end after time tau.

$E\,R_l(\cos\theta) = e^{-l(l+d-2)\tau}$ for all l, with R_l the Gegenbauer polynomial of R_l(1) = 1. Angles are passed as
x = sin^2(theta/2) = (1 - cos theta)/2, which keeps the relative precision of small angles.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, ArrayLike, Float, Real

from jaxkinetic_kernels import materialise, uniform

from ..._util.checks import argument_error, check_integer, concrete_array, describe, is_traced, nan_unless
from ..._util.gradients import zero_with_derivative
from ..._util.numpy_checks import check_key
from ..._util.types import Key
from . import circle, general, two_sphere

__all__ = [
    "ANGLE", "LATEST", "angle", "quantile", "spherical_heat_cdf", "spherical_heat_kernel", "spherical_heat_quantile",
]  # fmt: skip

# At later times the law is uniform to e^{-40}. Larger and infinite times (a close pair under Coulomb's law) are replaced by it.
LATEST = 40.0
# The name under which `jax.checkpoint` policies store the angles and their derivatives.
ANGLE = "spherical_heat_angle"


def spherical_heat_quantile(
    u: Real[ArrayLike, "*#shape"], tau: Real[ArrayLike, "*#shape"], dim: int
) -> Float[Array, "*shape"]:
    r"""x = sin^2(theta/2) with $P(\sin^2(\theta/2) \le x) = u$ after time tau on S^{d-1}, for every tau.

    **Arguments:** `u` in (0, 1) and `tau` >= 0 (infinity included), real, of shapes that broadcast; `dim`: d >= 2, the
    dimension of the space that contains the sphere. **Returns:** x in [0, 1], with the relative precision of the dtype at small
    angles.

    Differentiable, also at the ends: dx/du = 1/p and dx/dtau = -(d_tau F)/p = -x (1 - x) d_x log h, with h the density relative
    to the uniform law. A second derivative in tau loses eps/tau to cancellation; none is available at tau = 0. F(x) = u to 1e-9
    in float64, to 1e-5 in float32, and to the rounding of x near 1 (d = 2, float32: P(x > 1 - eps/2) is up to 1e-4; therefore
    `spherical_heat_kernel` samples the angle instead). Cost: d = 3 in float32 a polynomial of 196 terms; d = 3 in float64 and d
    = 2 some hundred operations more; d > 3 an integral for each of 24 Newton steps (microseconds).

    **Raises:** `ValueError` for a negative or NaN tau, a u outside [0, 1], and d < 2. A traced tau or u out of range gives NaN.
    """
    dim = check_integer("dim", dim, minimum=2)
    u, tau = _in_unit("u", u), _time(tau)
    u, tau, _ = _broadcast("u", u, tau)
    return _or_nan(_jitted_quantile(_inside(u), _later(tau), dim), (u, _unit), (tau, _not_negative))


def spherical_heat_kernel(key: Key, tau: Real[ArrayLike, "*shape"], dim: int) -> Float[Array, "*shape"]:
    """A sample of x = sin^2(theta/2) for every entry of `tau`: `spherical_heat_quantile` at uniform u; in d = 2 from the angle
    N(0, 2 tau). Pathwise differentiable in tau. **Raises:** as `spherical_heat_quantile`."""
    dim, tau = check_integer("dim", dim, minimum=2), _time(tau)
    check_key("key", key)
    shape = jnp.shape(tau)
    if dim == 2:
        xi = jax.random.normal(key, shape, tau.dtype)
        return _or_nan(jnp.sin(jnp.sqrt(_later(tau) / 2) * xi) ** 2, (tau, _not_negative))
    return spherical_heat_quantile(uniform(jax.random.bits(key, shape, jnp.uint32), tau.dtype), tau, dim)


def spherical_heat_cdf(
    x: Real[ArrayLike, "*#shape"], tau: Real[ArrayLike, "*#shape"], dim: int
) -> Float[Array, "*shape"]:
    """F(x) = P(sin^2(theta/2) <= x) after time tau > 0 on S^{d-1}, with relative precision at small x. Elementwise; in closed
    form for d = 2 and 3, otherwise by quadrature. **Raises:** as `spherical_heat_quantile`, and for x outside [0, 1]."""
    dim = check_integer("dim", dim, minimum=2)
    x, tau = _in_unit("x", x), _time(tau)
    x, tau, _ = _broadcast("x", x, tau)
    return _or_nan(_jitted_cdf(x, _later(tau), dim), (x, _unit), (tau, _not_negative))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def quantile(u: Float[Array, "*shape"], tau: Float[Array, "*shape"], dim: int) -> Float[Array, "*shape"]:
    """`spherical_heat_quantile` without its checks: arrays of one shape and dtype, u in (0, 1), tau in [1e-30, LATEST]."""
    return _solved(u, tau, dim)


# Jitted, so that it is traced once for given shapes, also if it is differentiated repeatedly.
@partial(jax.jit, static_argnums=2)
def _solved(u: Array, tau: Array, dim: int) -> Array:
    if dim == 3:
        return two_sphere.quantile(u, tau)
    # For tiny tau the density, of order tau^{-(d-1)/2}, overflows; x is proportional to tau there.
    least = float(jnp.finfo(tau.dtype).max) ** (-1.6 / (dim - 1))
    solvable = jnp.maximum(tau, jnp.asarray(least, tau.dtype))
    return jnp.sin(_solve(u, solvable, dim) / 2) ** 2 * (tau / solvable)


@partial(quantile.defjvp, symbolic_zeros=True)
def _quantile_jvp(dim, primals, tangents):
    u, tau = primals
    # Materialised: the backward pass reads x in several places, each of which would evaluate the polynomial again.
    x = checkpoint_name(materialise(quantile(u, tau, dim)), ANGLE)
    total = jnp.zeros_like(x)
    if not isinstance(tangents[1], jax.custom_derivatives.SymbolicZero):
        total = total + checkpoint_name(_speed(x, tau, dim), ANGLE) * tangents[1]
    if not isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        total = total + _stretch(x, tau, dim) * tangents[0]
    return x, total


@partial(jax.jit, static_argnums=2)
def _speed(x: Array, tau: Array, dim: int) -> Array:
    """dx/dtau at fixed u."""
    theta = _positive_angle(x)
    return jnp.sin(theta) / 2 * general.log_slope(theta, tau, dim)


@partial(jax.jit, static_argnums=2)
def _stretch(x: Array, tau: Array, dim: int) -> Array:
    """dx/du at fixed tau."""
    return 1 / jnp.maximum(_slope(_positive_angle(x), tau, dim), 1e-30)


_jitted_quantile = jax.jit(quantile, static_argnums=2)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _cdf(x: Array, tau: Array, dim: int) -> Array:
    return two_sphere.cumulative(x, tau) if dim == 3 else _cumulative(angle(x), tau, dim)


@partial(_cdf.defjvp, symbolic_zeros=True)
def _cdf_jvp(dim, primals, tangents):
    x, tau = primals
    value, theta = _cdf(x, tau, dim), angle(_inside(x))
    total = jnp.zeros_like(value)
    if not isinstance(tangents[1], jax.custom_derivatives.SymbolicZero):
        total = total - _density(theta, tau, dim) * general.log_slope(theta, tau, dim) * tangents[1]
    if not isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        total = total + _slope(theta, tau, dim) * tangents[0]
    return value, total


_jitted_cdf = jax.jit(_cdf, static_argnums=2)


def _slope(theta: Array, tau: Array, dim: int) -> Array:
    """dF/dx. For d = 3 no factor of it vanishes at the ends."""
    if dim == 2:
        return 2 * circle.density(theta, tau) / jnp.sin(theta)
    return 2 * _uniform(dim) * jnp.sin(theta) ** (dim - 3) * general.density(theta, tau, dim)


def _inside(u: Array) -> Array:
    """u moved into (0, 1), with derivative 1 also at its ends."""
    least, most = jnp.finfo(u.dtype).tiny, 1 - jnp.finfo(u.dtype).epsneg
    return jnp.where(
        (u < least) | (u > most), jnp.clip(jax.lax.stop_gradient(u), least, most) + zero_with_derivative(u), u
    )


def _later(tau: Array) -> Array:
    """tau clipped to the range in which all formulas are finite, with derivative 1 also at 0. Beyond `LATEST` the law is
    constant."""
    least = jnp.asarray(1e-30, tau.dtype)
    return jnp.minimum(jnp.where(tau < least, least + zero_with_derivative(tau), tau), jnp.asarray(LATEST, tau.dtype))


def angle(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """theta in [0, pi] from x = sin^2(theta/2)."""
    return 2 * jnp.arctan2(jnp.sqrt(x), jnp.sqrt(1 - x))


def _positive_angle(x: Array) -> Array:
    """The same, with x moved above 0: the square root has no derivative at an x that underflows."""
    return angle(x + jnp.finfo(x.dtype).tiny)


def _cumulative(theta: Array, tau: Array, dim: int) -> Array:
    return circle.cumulative(theta, tau) if dim == 2 else general.cumulative(theta, tau, dim)


def _density(theta: Array, tau: Array, dim: int) -> Array:
    """dF/dtheta."""
    if dim == 2:
        return circle.density(theta, tau)
    return _uniform(dim) * jnp.sin(theta) ** (dim - 2) * general.density(theta, tau, dim)


def _uniform(dim: int) -> float:
    """The constant c with which c sin^{d-2}(theta) is the density of the angle under the uniform law."""
    return math.gamma(dim / 2) / (math.sqrt(math.pi) * math.gamma((dim - 1) / 2))


def _solve(u: Array, tau: Array, dim: int) -> Array:
    """theta with F(theta) = u, by Newton steps inside a bracket for log(F/(1-F)), nearly linear in log tan(theta/2)."""
    log_odds = jnp.log(u) - jnp.log1p(-u)
    # Round-off may put a converged step slightly outside of the bracket.
    slack = float(jnp.finfo(u.dtype).eps) ** 0.5

    def step(_, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        place, low, high = state
        theta = 2 * jnp.arctan(jnp.exp(place))
        value, density = _cumulative(theta, tau, dim), _density(theta, tau, dim)
        inside = (value > 0) & (value < 1) & (density > 0)
        f = jnp.where(inside, value, 0.5)
        below = value < u
        low, high = jnp.where(below, place, low), jnp.where(below, high, place)
        slope = density * jnp.sin(theta) / (f * (1 - f))
        newton = place + (log_odds - jnp.log(f) + jnp.log1p(-f)) / jnp.where(inside, slope, 1)
        fine = inside & (newton > low - slack) & (newton < high + slack)
        return jnp.where(fine, newton, (low + high) / 2), low, high

    start = jnp.log(jnp.tan(jnp.minimum(jnp.sqrt(2 * (dim - 1) * tau), math.pi / 2) / 2))
    # F is of order theta^(d-1) at small theta, so the lower end of the bracket grows with log u.
    low, high = start - (90 - 2 * jnp.log(u)) / (dim - 1), jnp.full_like(start, 20.0)
    turns = 16 if jnp.finfo(u.dtype).bits <= 32 else 24
    place, _, _ = jax.lax.fori_loop(0, turns, step, (start, low, high))
    return 2 * jnp.arctan(jnp.exp(place))


def _broadcast(name: str, value: Array, tau: Array) -> tuple[Array, Array, jnp.dtype]:
    dtype = jnp.result_type(value, tau)
    try:
        jnp.broadcast_shapes(value.shape, tau.shape)
    except ValueError:
        shapes = f"have shapes {value.shape} and {tau.shape}"
        raise argument_error(name, "broadcast against `tau`", f"the two {shapes}", "reshape one of them") from None
    value, tau = jnp.broadcast_arrays(value.astype(dtype), tau.astype(dtype))
    return value, tau, dtype


def _time(tau: ArrayLike) -> Array:
    return _real("tau", tau, _not_negative, "not be negative or NaN")


def _in_unit(name: str, value: ArrayLike) -> Array:
    return _real(name, value, _unit, "lie in [0, 1]")


def _not_negative(array: Array) -> Array:
    return array >= 0


def _unit(array: Array) -> Array:
    return (array >= 0) & (array <= 1)


def _or_nan(values: Array, *conditions: tuple[Array, Callable[[Array], Array]]) -> Array:
    """`values`, with NaN where a traced array does not satisfy its condition."""
    for array, fulfilled in conditions:
        if is_traced(array):
            values = nan_unless(fulfilled(array), values)
    return values


def _real(name: str, value: ArrayLike, fulfilled: Callable[[Array], Array], must: str) -> Array:
    """`value` as a real array. **Raises:** `ValueError` if a known value does not satisfy the condition."""
    try:
        array = concrete_array(value)
    except (TypeError, ValueError):
        array = jnp.zeros(0, bool)
    if array.dtype not in (jnp.float32, jnp.float64):
        raise argument_error(name, "be a real array, float32 or float64", f"is {describe(value)}", "convert it")
    if not is_traced(array):
        with jax.ensure_compile_time_eval():
            wrong = ~fulfilled(array)
            if bool(wrong.any()):
                raise argument_error(name, must, f"holds {float(array[wrong][0])}", "correct it")
    return array
