"""Elementwise functions with well-defined derivatives at their special points: powers, roots, periodic coordinates."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .fusion import SMALL
from .trigonometry import horner

__all__ = ["positive_power", "square_root", "wrap"]

_SQRT_HALF = 0x3F3504F3  # the bits of sqrt(1/2) in float32
_LOG2 = [2 / (math.log(2) * (2 * n + 1)) for n in range(5)]
_EXP2 = [math.log(2) ** n / math.factorial(n) for n in range(8)]


@jax.custom_jvp
def positive_power(x: jax.Array, exponent: jax.Array) -> jax.Array:
    """x^exponent for finite, normal x > 0 and a scalar exponent of the same dtype; NaN for NaN and infinity.

    In float32, x = 2^k m, log2 m comes from the artanh series and 2^y from the Taylor series; the relative error is below 3e-7
    for |exponent log2 x| < 40. In float64 it is exp(exponent log x). On a CPU the exponents -3/2, -1, -1/2, 0 and 1/2 are
    recognised at run time, by one test per array, and cost a square root. Differentiable in both arguments, to every order.
    Measured in 10^9 numbers/s on one core: XLA's own `pow`, which is correctly rounded and evaluated element by element, .22;
    this function 1.0, and 2.6 for the special exponents.
    """
    if math.prod(x.shape) < SMALL:
        return _general(x, exponent)
    # On other platforms the condition is a constant, so that XLA calls `_general` without a conditional.
    simple = jax.lax.platform_dependent(exponent, cpu=_is_half_integer, default=_unknown)
    return jax.lax.cond(simple, _half_integer, _general, x, exponent)


def square_root(x: jax.Array) -> jax.Array:
    """The square root, with derivative 0 at 0."""
    zero = x == 0
    return jnp.where(zero, jnp.zeros_like(x), jnp.sqrt(jnp.where(zero, jnp.ones_like(x), x)))


def _is_half_integer(exponent: jax.Array) -> jax.Array:
    twice = 2 * exponent
    return (twice == jnp.round(twice)) & (twice >= -3) & (twice <= 1)


def _unknown(_: jax.Array) -> jax.Array:
    return jnp.zeros((), bool)


def _half_integer(x: jax.Array, exponent: jax.Array) -> jax.Array:
    root = jax.lax.rsqrt(x)
    power = jnp.where(exponent == 0, jnp.ones_like(x), x * root)
    for half, value in ((-0.5, root), (-1.0, root * root), (-1.5, root * root * root)):
        power = jnp.where(exponent == half, value, power)
    return jnp.where(x < jnp.inf, power, math.nan)


def _general(x: jax.Array, exponent: jax.Array) -> jax.Array:
    if x.dtype != jnp.float32:
        return jnp.exp(exponent * jnp.log(jnp.where(x < jnp.inf, x, math.nan)))
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    k = (bits - jnp.int32(_SQRT_HALF)) >> 23
    m = jax.lax.bitcast_convert_type(bits - (k << 23), jnp.float32)
    s = (m - 1) / (m + 1)
    fraction, whole = s * horner(s * s, _LOG2), k.astype(jnp.float32)
    n = jnp.round(exponent * (whole + fraction))
    power = horner((exponent * whole - n) + exponent * fraction, _EXP2)
    # 2^n as two factors, because a single float32 power of 2 made from bits cannot be subnormal or infinite.
    n = jnp.clip(n, -252, 254).astype(jnp.int32)
    power = power * _exponential(n >> 1) * _exponential(n - (n >> 1))
    return jnp.where(x < jnp.inf, power, math.nan)


def _exponential(n: jax.Array) -> jax.Array:
    """2^n in float32 for -126 <= n <= 127."""
    return jax.lax.bitcast_convert_type((n + 127) << 23, jnp.float32)


def _jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
    (x, exponent), (dx, de) = primals, tangents
    value = positive_power(x, exponent)
    zero = jax.custom_derivatives.SymbolicZero
    slope = jnp.zeros_like(value)
    if not isinstance(dx, zero):
        slope = slope + exponent / x * dx
    if not isinstance(de, zero):
        slope = slope + jnp.log(x) * de
    return value, value * slope


positive_power.defjvp(_jvp, symbolic_zeros=True)


def wrap(x: jax.Array, period: float) -> jax.Array:
    """The representative of x in [0, period), with derivative 1.

    The remainder of a tiny negative x rounds to the period itself, and is then mapped to 0.
    """
    length = jnp.asarray(period, x.dtype)
    remainder = jnp.mod(x, length)
    return jnp.where(remainder < length, remainder, remainder - length)
