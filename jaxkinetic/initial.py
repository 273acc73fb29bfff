"""Initial laws: i.i.d. velocities, nondimensional, T = 1 unless said otherwise (int |v|^2 f = d T)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, Integer, Real

from jaxkinetic_kernels import wrap

from ._util.checks import (
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
from ._util.numpy_checks import check_key, known_numbers
from ._util.types import Key, RealScalarLike
from .states import Particles

__all__ = ["bimaxwellian", "bkw", "maxwellian", "rosenbluth", "torus_mode"]


def __dir__() -> list[str]:
    return __all__


_GRID = 1 << 14
# Of 1 + A cos: a density.
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
    """N(mean, T I). **Arguments:** `mean`: a scalar or (d,). Differentiable in `mean`, and in `temperature` above 0: at 0 the
    derivative of a path in its temperature is infinite, and infinite or NaN is returned, here and below.

    **Raises:** `ValueError` for a negative temperature, here and below. Where a traced parameter is out of range, here and
    below, the velocities are NaN: a run from them ends with a fault.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    temperature = scalar_or_nan("temperature", temperature, nonnegative=True)
    if jnp.shape(mean) not in ((), (dim,)):
        raise argument_error("mean", f"be a scalar or of shape ({dim},)", f"is {describe(mean)}", "reshape it")
    if not is_traced(mean):
        known_numbers("mean", mean)
    spread, centre = known_as(dtype, temperature, mean)
    return Particles(_maxwellian(key, spread, centre, (num_particles, dim)))


# Jitted, one program for each law: otherwise a first call would compile a dozen single operations.
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
    """Centred Gaussian with temperature `parallel` along the last axis and `perpendicular` along the others.

    T = ((d-1) perpendicular + parallel) / d, d >= 2. Both must be given. Differentiable in both.
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
    r"""The datum of the Bobylev-Krook-Wu solution, K = 1 - beta, 0 <= beta <= 2/(d+2), T = 1 (`landau.exact.bkw_*`).

    Sampled as $v = s v_0 + \sqrt{1 - s^2}\,\xi$, $s^2 = \beta (d+2)/2$, from the extreme datum
    $v_0 \sim |v|^2 e^{-(d+2)|v|^2/2d}$: no accept or reject, so the sample is differentiable in beta
    inside the interval; at its two ends the derivative of the path is infinite, not that of the law.
    """
    num_particles, dim, dtype = sizes(key, num_particles, dim, dtype)
    check_scalar("beta", beta, within=NONNEGATIVE)
    largest = 2 / (dim + 2)
    within = Range(f"be at most 2/(d+2) = {largest:.4g}", "lower it", low=0.0, high=largest * (1 + 1e-6))
    beta = scalar_or_nan("beta", beta, within=within)
    return Particles(_bkw(key, *known_as(dtype, beta), (num_particles, dim)))


@partial(jax.jit, static_argnums=2)
def _bkw(key: Key, beta: Array, shape: tuple[int, int]) -> Array:
    (num, dim), dtype = shape, beta.dtype
    extreme_key, noise_key = jax.random.split(key)
    # |v|^2 ~ K chi^2_{d+2} and a uniform direction: the length of d + 2 normals along the first d of them.
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
    r"""A spherical shell, $f \propto e^{-S (|v|/\sigma - 1)^2}$, S = `sharpness`, sigma such that the temperature is T.

    The datum of Rosenbluth, MacDonald and Judd (Phys. Rev. 107, 1, 1957; there S = 10). Sampled by inversion of the radial
    distribution function on 2^14 nodes (error in the distribution function below 1e-7). Differentiable in `temperature`.
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
    r"""i.i.d. from $f = (2\pi)^{-d} (1 + A \cos(m \cdot v + \varphi))$ on $[0, 2\pi)^d$, |A| <= 1: one mode on the torus.

    **Arguments:** `mode`: m, (d,) integers, not all 0; they set d. `amplitude`: A. `phase`: phi.

    Sampled as $v = v_0 + (\theta - \theta_0)\,m/|m|^2$ with v_0 uniform, $\theta_0 = m \cdot v_0 + \varphi$ and theta the root
    of $\theta + A \sin\theta = \theta_0$: theta_0 is uniform modulo 2 pi, the map inverts the distribution function of theta,
    and the shift leaves v uniform on the sets of equal theta. No accept or reject: differentiable in A and phi, for |A| < 1.

    **Raises:** `ValueError` for modes that are not integers or vanish, and for |A| > 1.
    """
    wavevector = np.asarray(mode)
    if wavevector.ndim != 1 or not np.issubdtype(wavevector.dtype, np.integer) or not wavevector.any():
        raise argument_error("mode", "be a vector of integers, not all 0", f"is {describe(mode)}", "pass [1, 0], say")
    num_particles, dim, dtype = sizes(key, num_particles, wavevector.size, dtype)
    amplitude = scalar_or_nan("amplitude", amplitude, within=AMPLITUDE)
    phase = scalar_or_nan("phase", phase)
    return Particles(_torus_mode(key, *known_as(dtype, amplitude, phase, wavevector), (num_particles, dim)))


@partial(jax.jit, static_argnums=4)
def _torus_mode(key: Key, a: Array, phase: Array, m: Array, shape: tuple[int, int]) -> Array:
    uniform = jax.random.uniform(key, shape, m.dtype, maxval=2 * np.pi)
    start = jnp.matmul(uniform, m, precision=jax.lax.Precision.HIGHEST) + phase
    shift = -a * jnp.sin(kepler(a, start))
    return wrap(uniform + shift[:, None] * (m / jnp.sum(m * m))[None, :], 2 * np.pi)


@jax.custom_jvp
def kepler(a: Float[Array, ""], start: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The theta with theta + a sin(theta) = start, |a| <= 1 (Kepler's equation), by bisection to the last bit."""

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        above = middle + a * jnp.sin(middle) > start
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, jnp.finfo(start.dtype).nmant + 2, halve, (start - jnp.abs(a), start + jnp.abs(a)))
    return (low + high) / 2


@kepler.defjvp
def _kepler_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    a, start = primals
    theta = kepler(a, start)
    # At |a| = 1 the density vanishes at one theta, where the derivative of the path is infinite, not that of the law.
    slope = jnp.maximum(1 + a * jnp.cos(theta), jnp.finfo(theta.dtype).tiny)
    return theta, (tangents[1] - jnp.sin(theta) * tangents[0]) / slope


def sizes(key: Key, num_particles: int, dim: int, dtype: DTypeLike | None) -> tuple[int, int, jnp.dtype]:
    check_key("key", key)
    num_particles = check_integer("num_particles", num_particles, minimum=1)
    dim = check_integer("dim", dim, minimum=1)
    return num_particles, dim, floating(dtype)


def floating(dtype: DTypeLike | None) -> jnp.dtype:
    """The dtype asked for, or the widest in use. **Raises:** `ValueError` for one that is not real, or not to be had."""
    try:
        dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    except TypeError:
        raise argument_error(
            "dtype", "be a real floating dtype", f"is {dtype!r}", "pass jnp.float32 or jnp.float64"
        ) from None
    if not jnp.issubdtype(dtype, jnp.floating):
        raise argument_error("dtype", "be a real floating dtype", f"is {dtype}", "pass jnp.float32 or jnp.float64")
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise argument_error("dtype", "be one that JAX may use", f"is {dtype}", "set jax_enable_x64 first")
    return dtype
