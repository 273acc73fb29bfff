"""Counts and sums that stay accurate in float32 beyond 2^24 terms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Int32

from .checks import is_traced

# Rows of one matrix product. A product over N rows adds them one by one: at N = 2^25 float32 loses half of the sum.
_BLOCK = 1 << 9


def count_true(mask: Bool[Array, " N"], dtype: Any) -> Float[Array, ""]:
    """The number of True entries, counted in integers and then rounded once to `dtype`."""
    return jnp.sum(mask, dtype=jnp.uint32).astype(dtype)


def gram(x: Inexact[Array, "N m"], *, block: int = _BLOCK) -> Inexact[Array, "m m"]:
    """sum_n x_n x_n^T, computed as matrix products over blocks of `block` rows, which are then summed."""
    num, width = x.shape
    highest = jax.lax.Precision.HIGHEST
    if num <= block:
        return jnp.einsum("ni,nj->ij", x, x, precision=highest)
    parts = jnp.pad(x, ((0, -num % block), (0, 0))).reshape(-1, block, width)
    return jnp.sum(jnp.einsum("bni,bnj->bij", parts, parts, precision=highest), axis=0)


def compensated(
    high: Inexact[Array, "*shape"], low: Inexact[Array, "*shape"], x: Inexact[Array, "*shape"]
) -> tuple[Inexact[Array, "*shape"], Inexact[Array, "*shape"]]:
    """high + low + x as (rounded sum, rounding error), by Knuth's two-sum."""
    x = x + low
    total = high + x
    taken = total - high
    return total, (high - (total - taken)) + (x - taken)


@jax.custom_jvp
def deposit(
    total: Float[Array, " size"], index: Int32[Array, " N"], weight: Float[Array, " N"]
) -> Float[Array, " size"]:
    """Add every weight to `total` at its index, in float64 whatever JAX's default: a float32 node that receives equal weights
    one by one stops growing after 2^24 of them, and is off by percents long before. Differentiable in `total` and `weight`."""
    # Only the conversions and the sum use 64 bits, as in `philox_4x32`; the derivatives do not need them.
    with jax.enable_x64(True):
        start, added = (jax.lax.convert_element_type(x, jnp.float64) for x in (total, weight))
        return jax.lax.convert_element_type(start.at[index].add(added), weight.dtype)


@deposit.defjvp
def _deposit_jvp(primals: tuple[Array, Array, Array], tangents: tuple[Array, Any, Array]) -> tuple[Array, Array]:
    total, index, weight = primals
    return deposit(total, index, weight), tangents[0].at[index].add(tangents[2])


def time_since(times: Any, first: Any, dtype: Any) -> Array:
    """times - first in `dtype`. Concrete times are subtracted in float64 and then rounded, since float32 is coarse at late
    times."""
    if is_traced(times, first):
        return jnp.asarray(times).astype(dtype) - jnp.asarray(first).astype(dtype)
    return jnp.asarray((np.asarray(times, float) - np.asarray(first, float)).astype(dtype))
