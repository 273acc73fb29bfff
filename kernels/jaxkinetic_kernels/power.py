"""x^e with a traced exponent, in operations that vectorise."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .words import horner

_SQRT_HALF = 0x3F3504F3  # the bits of sqrt(1/2) in float32
_LOG2 = [2 / (math.log(2) * (2 * n + 1)) for n in range(5)]
_EXP2 = [math.log(2) ** n / math.factorial(n) for n in range(8)]


@jax.custom_jvp
def positive_power(x: jax.Array, exponent: jax.Array) -> jax.Array:
    """x^exponent for finite x > 0 that is not subnormal, and a scalar exponent of the same dtype; NaN for NaN and inf.

    float32: x = 2^k m, log2 m by the series of artanh, 2^y by Taylor's; relative error below 3e-7 for
    |exponent log2 x| < 40. XLA's own `pow` is correctly rounded, evaluates element by element on the CPU and takes 7
    times as long (.22 against 1.6 G/s a core). float64: exp(exponent log x). Differentiable in both, to every order.
    """
    if x.dtype != jnp.float32:
        return jnp.exp(exponent * jnp.log(x))
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    k = (bits - jnp.int32(_SQRT_HALF)) >> 23
    m = jax.lax.bitcast_convert_type(bits - (k << 23), jnp.float32)
    s = (m - 1) / (m + 1)
    fraction, whole = s * horner(s * s, _LOG2), k.astype(jnp.float32)
    n = jnp.round(exponent * (whole + fraction))
    power = horner((exponent * whole - n) + exponent * fraction, _EXP2)
    # 2^n as two factors: one alone cannot reach the subnormals or infinity.
    n = jnp.clip(n, -252, 254).astype(jnp.int32)
    power = power * _exponential(n >> 1) * _exponential(n - (n >> 1))
    return jnp.where(x < jnp.inf, power, jnp.full((), jnp.nan, jnp.float32))


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
