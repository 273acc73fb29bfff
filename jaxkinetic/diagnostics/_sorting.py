"""Sort the rows of an array: by NumPy on a CPU, by one batched sort elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from .._util.host_callback import on_host

__all__ = ["sorted_rows"]


@jax.custom_jvp
def sorted_rows(x: Float[Array, "*rows N"]) -> Float[Array, "*rows N"]:
    """Sort every row in ascending order. Cost N log N per row; memory that of x.

    On a CPU, XLA's sort takes 12 to 23 times as long as NumPy's, so rows are sorted on the host there. The derivative is a
    gather. The order of the entries is computed only if a derivative is requested, since NumPy's `argsort` costs more than its
    `sort`.
    """
    return jax.lax.platform_dependent(x, cpu=_sorted_on_host, default=jnp.sort)


@sorted_rows.defjvp
def _sorted_rows_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    order = jax.lax.platform_dependent(jax.lax.stop_gradient(x), cpu=_order_on_host, default=_order)
    return _gathered(x, order), _gathered(tangent, order)


def _gathered(x: Array, order: Array) -> Array:
    """x[..., order]. `unique_indices` avoids atomic additions in the backward pass, so that its results repeat bitwise."""

    def row(x: Array, order: Array) -> Array:
        return x.at[order].get(unique_indices=True, mode="promise_in_bounds")

    for _ in range(x.ndim - 1):
        row = jax.vmap(row)
    return row(x, order)


def _order(x: Float[Array, "*rows N"]) -> Int32[Array, "*rows N"]:
    return jnp.argsort(x, axis=-1).astype(jnp.int32)


# "broadcast_all": a `vmap` adds leading axes, which NumPy's functions handle directly.
def _sorted_on_host(x: Array) -> Array:
    return on_host(_sort, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="broadcast_all")


def _order_on_host(x: Array) -> Array:
    return on_host(_argsort, jax.ShapeDtypeStruct(x.shape, jnp.int32), x, vmap_method="broadcast_all")


def _sort(x: Any) -> np.ndarray:
    return np.sort(x, axis=-1)


def _argsort(x: Any) -> np.ndarray:
    """The order of every row. float32 numbers are sorted as (key, index) in one 64-bit integer, 4 times as fast as
    `np.argsort`."""
    if x.dtype != np.float32:
        return np.argsort(x, axis=-1)
    bits = x.view(np.uint32)
    # Flip all bits of negative numbers, and the sign bit of others: the integers then sort in the order of the numbers.
    key = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    both = key << np.uint64(32) | np.arange(x.shape[-1], dtype=np.uint64)
    both.sort(axis=-1)
    return both.astype(np.uint32).view(np.int32)  # the low half is the index
