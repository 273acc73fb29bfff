"""Initial laws: i.i.d. velocities, nondimensional, with T = 1 unless stated otherwise (int |v|^2 f = d T)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, Integer, Real

from jaxkinetic_kernels import wrap

from .._util.checks import (
    NONNEGATIVE,
    Range,
    argument_error,
    check_integer,
    check_scalar,
    describe,
    is_traced,
    known_as,
    scalar_or_nan,
)
from .._util.gradients import zero_with_derivative
from .._util.numpy_checks import check_key, known_numbers
from .._util.types import Key, RealScalarLike
from ..states import Particles

__all__ = ["bimaxwellian", "bkw", "maxwellian", "rosenbluth", "torus_mode"]


_GRID = 1 << 14
# 1 + A cos is a density only for |A| <= 1.
AMPLITUDE = Range("lie in [-1, 1]", "lower it: the density is negative", low=-1.0, high=1.0)


def maxwellian(
    key: Key,
    num_particles: int,
    dim: int,
    *,
    temperature: RealScalarLike = 1.0,
    mean: Real[ArrayLike, ""] | Real[ArrayLike, " {dim}"] = 0.0,
    dtype: DTypeLike | None = None,
) -> Particles:
    """A Maxwellian, N(mean, T I). **Arguments:** `temperature`: T. `mean`: a scalar or (d,).

    Differentiable in `mean`, and in `temperature` if it is positive; at T = 0 the derivative of a path with respect to T is
    infinite, and infinity or NaN is returned.

    **Raises:** `ValueError` for a negative temperature. If a traced parameter is out of range, the velocities are NaN, and a
    run from them ends with a fault. All this holds for every law of this module.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    temperature = scalar_or_nan("temperature", temperature, nonnegative=True)
    if jnp.shape(mean) not in ((), (dim,)):
        raise argument_error("mean", f"be a scalar or of shape ({dim},)", f"is {describe(mean)}", "reshape it")
    if not is_traced(mean):
        known_numbers("mean", mean)
    spread, centre = known_as(dtype, temperature, mean)
    return Particles(_maxwellian(key, spread, centre, (num_particles, dim)))


# Jitted, one program per law: otherwise a first call would compile a dozen single operations.
@partial(jax.jit, static_argnums=3)
def _maxwellian(key: Key, temperature: Array, mean: Array, shape: tuple[int, int]) -> Array:
    centre = jnp.broadcast_to(mean, shape[1:])[None, :]
    return centre + jnp.sqrt(temperature) * jax.random.normal(key, shape, mean.dtype)


def bimaxwellian(
    key: Key,
    num_particles: int,
    dim: int,
    *,
    perpendicular: RealScalarLike | None = None,
    parallel: RealScalarLike | None = None,
    dtype: DTypeLike | None = None,
) -> Particles:
    """A bi-Maxwellian: a centred Gaussian, temperature `parallel` along the last axis and `perpendicular` along the others.

    T = ((d-1) perpendicular + parallel) / d, d >= 2. Both temperatures must be given. Differentiable in both.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    if dim < 2:
        raise argument_error("dim", "be at least 2: there are two temperatures", f"is {dim}", "use `maxwellian`")
    perpendicular = scalar_or_nan("perpendicular", perpendicular, nonnegative=True)
    parallel = scalar_or_nan("parallel", parallel, nonnegative=True)
    return Particles(_bimaxwellian(key, *known_as(dtype, perpendicular, parallel), (num_particles, dim)))


@partial(jax.jit, static_argnums=3)
def _bimaxwellian(key: Key, perpendicular: Array, parallel: Array, shape: tuple[int, int]) -> Array:
    spreads = jnp.sqrt(jnp.stack([perpendicular] * (shape[1] - 1) + [parallel]))
    return spreads[None, :] * jax.random.normal(key, shape, parallel.dtype)


def bkw(
    key: Key, num_particles: int, dim: int, *, beta: RealScalarLike = 0.4, dtype: DTypeLike | None = None
) -> Particles:
    r"""The initial law of the Bobylev-Krook-Wu solution, K = 1 - beta, 0 <= beta <= 2/(d+2), T = 1 (`landau.exact.bkw_*`).

    Sampled as $v = s v_0 + \sqrt{1 - s^2}\,\xi$ with xi normal, $s^2 = \beta (d+2)/2$, and v_0 from the extreme law
    $v_0 \sim |v|^2 e^{-(d+2)|v|^2/2d}$. Nothing is rejected, so the sample is differentiable in beta inside the interval. At
    the two ends the derivative of the path is infinite and does not give the derivative of the law.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    return Particles(_bkw(key, *known_as(dtype, checked_beta(beta, dim)), (num_particles, dim)))


def checked_beta(beta: RealScalarLike, dim: int) -> RealScalarLike:
    """beta, or NaN if it is traced and outside [0, 2/(d+2)]."""
    check_scalar("beta", beta, within=NONNEGATIVE)
    largest = 2 / (dim + 2)
    within = Range(f"be at most 2/(d+2) = {largest:.4g}", "lower it", low=0.0, high=largest * (1 + 1e-6))
    return scalar_or_nan("beta", beta, within=within)


@partial(jax.jit, static_argnums=2)
def _bkw(key: Key, beta: Array, shape: tuple[int, int]) -> Array:
    (num, dim), dtype = shape, beta.dtype
    extreme_key, noise_key = jax.random.split(key)
    # |v_0|^2 ~ (d/(d+2)) chi^2_{d+2} with a uniform direction: the length of d + 2 normals, and the direction of the first d.
    normals = jax.random.normal(extreme_key, (num, dim + 2), dtype)
    length = jnp.linalg.norm(normals, axis=1, keepdims=True)
    direction = normals[:, :dim] / jnp.linalg.norm(normals[:, :dim], axis=1, keepdims=True)
    extreme = (dim / (dim + 2)) ** 0.5 * length * direction
    s2 = beta / (2 / (dim + 2))
    noise = jax.random.normal(noise_key, shape, dtype)
    return jnp.sqrt(s2) * extreme + jnp.sqrt(jnp.maximum(1 - s2, 0)) * noise


def rosenbluth(
    key: Key,
    num_particles: int,
    dim: int,
    *,
    sharpness: float = 10.0,
    temperature: RealScalarLike = 1.0,
    dtype: DTypeLike | None = None,
) -> Particles:
    r"""A spherical shell, $f \propto e^{-S (|v|/\sigma - 1)^2}$, S = `sharpness`, with sigma such that the temperature is T.

    The initial law of [RosenbluthMacDonaldJudd1957], where S = 10. Sampled by inverting the radial distribution function on
    2^14 nodes (error of the distribution function below 1e-7). Differentiable in `temperature`.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    check_scalar("sharpness", sharpness, positive=True)
    if is_traced(sharpness):
        raise argument_error("sharpness", "be known while tracing", "is traced", "pass a float")
    temperature = scalar_or_nan("temperature", temperature, nonnegative=True)
    width = 1 / np.sqrt(2 * float(sharpness))
    radius = np.linspace(max(0.0, 1 - 9 * width), 1 + 9 * width, _GRID)
    density = radius ** (dim - 1) * np.exp(-float(sharpness) * (radius - 1) ** 2)
    cumulated = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    mean_square = np.sum(density * radius**2) / np.sum(density)
    table = known_as(dtype, cumulated / cumulated[-1], radius, mean_square)
    return Particles(_shell(key, *table, *known_as(dtype, temperature), (num_particles, dim)))


@partial(jax.jit, static_argnums=5)
def _shell(
    key: Key, cumulated: Array, radius: Array, mean_square: Array, temperature: Array, shape: tuple[int, int]
) -> Array:
    direction_key, radius_key = jax.random.split(key)
    u = jax.random.uniform(radius_key, (shape[0], 1), radius.dtype)
    normals = jax.random.normal(direction_key, shape, radius.dtype)
    direction = normals / jnp.linalg.norm(normals, axis=1, keepdims=True)
    sigma = jnp.sqrt(shape[1] * temperature / mean_square)
    return sigma * jnp.interp(u, cumulated, radius) * direction


def torus_mode(
    key: Key,
    num_particles: int,
    mode: Integer[ArrayLike, " d"] | Sequence[int],
    amplitude: RealScalarLike,
    phase: RealScalarLike = 0.0,
    dtype: DTypeLike | None = None,
) -> Particles:
    r"""One Fourier mode on the torus: $f = (2\pi)^{-d} (1 + A \cos(m \cdot v + \varphi))$ on $[0, 2\pi)^d$, |A| <= 1.

    **Arguments:** `mode`: m, (d,) integers, not all 0; their number is d. `amplitude`: A. `phase`: phi.

    Sampled as $v = v_0 + (\theta - \theta_0)\,m/|m|^2$ with v_0 uniform, $\theta_0 = m \cdot v_0 + \varphi$ and theta the root
    of $\theta + A \sin\theta = \theta_0$. Here theta_0 is uniform modulo 2 pi, the map inverts the distribution function of
    theta, and the shift keeps v uniform on the sets of equal theta. Nothing is rejected: differentiable in A and phi for
    |A| < 1.

    **Raises:** `ValueError` for a mode that is not made of integers or is 0, and for |A| > 1.
    """
    wavevector = checked_mode(mode)
    num_particles, dim, dtype = sizes(key, num_particles, wavevector.size, dtype)
    amplitude = scalar_or_nan("amplitude", amplitude, within=AMPLITUDE)
    phase = scalar_or_nan("phase", phase)
    return Particles(_torus_mode(key, *known_as(dtype, amplitude, phase, wavevector), (num_particles, dim)))


def checked_mode(mode: Any) -> Integer[np.ndarray, " d"]:
    """`mode` as an array. **Raises:** `ValueError` unless it is a vector of integers, not all 0."""
    wavevector = np.asarray(mode)
    if wavevector.ndim != 1 or not np.issubdtype(wavevector.dtype, np.integer) or not wavevector.any():
        raise argument_error("mode", "be a vector of integers, not all 0", f"is {describe(mode)}", "pass [1, 0], say")
    return wavevector


@partial(jax.jit, static_argnums=4)
def _torus_mode(key: Key, a: Array, phase: Array, m: Array, shape: tuple[int, int]) -> Array:
    uniform = jax.random.uniform(key, shape, m.dtype, maxval=2 * np.pi)
    start = jnp.matmul(uniform, m, precision=jax.lax.Precision.HIGHEST) + phase
    shift = -a * jnp.sin(kepler(a, start))
    return wrap(uniform + shift[:, None] * (m / jnp.sum(m * m))[None, :], 2 * np.pi)


@jax.custom_jvp
def kepler(a: Float[Array, ""], start: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Solve Kepler's equation theta + a sin(theta) = start, |a| <= 1, for theta by bisection to the last bit."""

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        above = middle + a * jnp.sin(middle) > start
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    # The bracket has length 2 |a| <= 2: nmant + 2 halvings reach the last bit.
    low, high = jax.lax.fori_loop(0, jnp.finfo(start.dtype).nmant + 2, halve, (start - jnp.abs(a), start + jnp.abs(a)))
    theta = jax.lax.stop_gradient((low + high) / 2)
    # Where JAX drops the rule below (see `_util/gradients.py`), this has its derivative.
    return theta + zero_with_derivative((start - theta - a * jnp.sin(theta)) / _slope(a, theta))


def _slope(a: Array, theta: Array) -> Array:
    # At |a| = 1 the density vanishes at one theta. There the derivative of the path is infinite, so bound the slope below.
    return jnp.maximum(1 + a * jnp.cos(theta), jnp.finfo(theta.dtype).tiny)


@kepler.defjvp
def _kepler_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    a, start = primals
    theta = kepler(a, start)
    return theta, (tangents[1] - jnp.sin(theta) * tangents[0]) / _slope(a, theta)


def sizes(key: Key, num_particles: int, dim: int, dtype: DTypeLike | None) -> tuple[int, int, jnp.dtype]:
    check_key("key", key)
    num_particles = check_integer("num_particles", num_particles, minimum=1)
    dim = check_integer("dim", dim, minimum=1)
    return num_particles, dim, floating(dtype)


def floating(dtype: DTypeLike | None) -> jnp.dtype:
    """The given dtype, or JAX's default floating dtype. **Raises:** `ValueError` for a dtype that is not real floating, or that
    JAX's settings do not allow."""
    try:
        dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    except TypeError:
        raise argument_error(
            "dtype", "be a real floating dtype", f"is {dtype!r}", "pass jnp.float32 or jnp.float64"
        ) from None
    if not jnp.issubdtype(dtype, jnp.floating):
        raise argument_error("dtype", "be a real floating dtype", f"is {dtype}", "pass jnp.float32 or jnp.float64")
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise argument_error("dtype", "be enabled in JAX", f"is {dtype}", "set jax_enable_x64 first")
    return dtype
