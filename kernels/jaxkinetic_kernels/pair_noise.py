"""Gaussian noise that belongs to a pair or to a particle, as a function of (key, identities, stream)."""

import jax
import jax.numpy as jnp

from .philox import philox_4x32
from .words import TAG_NOISE, normals

__all__ = ["BLOCK_BITS", "pair_normals", "pair_words", "particle_normals"]

BLOCK_BITS = 16


def pair_words(
    key: jax.Array, ident_i: jax.Array, ident_j: jax.Array, count: int, *, stream: jax.Array | int = 0
) -> tuple[jax.Array, ...]:
    """`count` uint32 words for every pair, symmetric in i and j: what `pair_normals` are made from.

    **Arguments** and counter as there.
    """
    low, high = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
    out: tuple[jax.Array, ...] = ()
    for block in range(-(-count // 4)):
        place = (jnp.asarray(stream, jnp.uint32) << BLOCK_BITS) | jnp.uint32(block)
        out += philox_4x32((low, high, place, jnp.asarray(TAG_NOISE, jnp.uint32)), key)
    return out[:count]


def pair_normals(
    key: jax.Array,
    ident_i: jax.Array,
    ident_j: jax.Array,
    count: int,
    dtype: jnp.dtype,
    *,
    stream: jax.Array | int = 0,
) -> tuple[jax.Array, ...]:
    """`count` N(0, 1) variables for every pair, symmetric: pair (i, j) and pair (j, i) get the same numbers.

    Counter: (min ident, max ident, stream and block, tag). A caller that wants anti-symmetric noise multiplies
    by the sign of `ident_j - ident_i`; one that wants (i, j) and (j, i) independent gives them two streams.

    **Arguments:** `key`: (2,) uint32, this step's key. `ident_i`, `ident_j`: uint32 arrays that broadcast.
    `stream`: below 2^16. **Returns:** a tuple of `count` arrays of the broadcast shape.
    """
    return normals(pair_words(key, ident_i, ident_j, count + count % 2, stream=stream), dtype)[:count]


def particle_normals(
    key: jax.Array, ident: jax.Array, count: int, dtype: jnp.dtype, *, stream: int = 0
) -> tuple[jax.Array, ...]:
    """`count` N(0, 1) variables for every particle. Counter: (ident, ident, stream and block, tag)."""
    return pair_normals(key, ident, ident, count, dtype, stream=stream)
