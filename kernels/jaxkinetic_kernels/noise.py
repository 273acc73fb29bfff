"""Normal variables for pairs and particles, from counters made of their idents: elementwise, and for tiles of pairs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .fusion import once
from .philox import philox_4x32
from .random_bits import TAG_NOISE, normals

__all__ = ["BLOCK_BITS", "pair_normals", "pair_words", "particle_normals", "tile_normals"]

BLOCK_BITS = 16


def pair_words(
    key: jax.Array, ident_i: jax.Array, ident_j: jax.Array, count: int, *, stream: jax.Array | int = 0
) -> tuple[jax.Array, ...]:
    """`count` uint32 words for every pair, symmetric in i and j, from which `pair_normals` are made.

    **Arguments** and counter as in `pair_normals`.
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

    Counter: (min ident, max ident, stream and block, tag). For anti-symmetric noise multiply by the sign of
    `ident_j - ident_i`. For independent noise of (i, j) and (j, i) use two streams.

    **Arguments:** `key`: (2,) uint32, the key of the step. `ident_i`, `ident_j`: uint32 arrays that broadcast against each
    other. `stream`: below 2^16. **Returns:** a tuple of `count` arrays of the broadcast shape.
    """
    return normals(pair_words(key, ident_i, ident_j, count + count % 2, stream=stream), dtype)[:count]


def particle_normals(
    key: jax.Array, ident: jax.Array, count: int, dtype: jnp.dtype, *, stream: int = 0
) -> tuple[jax.Array, ...]:
    """`count` N(0, 1) variables for every particle. Counter: (ident, ident, stream and block, tag)."""
    return pair_normals(key, ident, ident, count, dtype, stream=stream)


def tile_normals(
    key: jax.Array,
    ident_i: jax.Array,
    ident_j: jax.Array,
    count: int,
    dtype: jnp.dtype,
    *,
    ordered: bool = False,
    exchanged: bool = False,
    keep: Callable[..., Any] = once,
) -> tuple[jax.Array, ...]:
    """The same numbers as `pair_normals`, for every pair of a row and a column of a tile.

    **Arguments:** `key`: (2,) uint32. `ident_i`: (B,) uint32. `ident_j`: (N,) uint32. `ordered`: use stream 0 for
    ident_i < ident_j and stream 1 for ident_i > ident_j, so that (i, j) and (j, i) are independent. `exchanged`: return the
    normals of (j, i) in place of those of (i, j). `keep`: a replacement for `once`, for a caller that knows the platform.
    **Returns:** a tuple of `count` arrays (B, N). Cost on the CPU: one hash per two normals, 45-50 M pairs/s per core for three
    normals. (A hash has four words, but a fusion has one output.)
    """
    sizes = [min(4, count - first) for first in range(0, count, 4)]

    def hashed(key: jax.Array, ident_i: jax.Array, ident_j: jax.Array) -> tuple[jax.Array, ...]:
        i, j = ident_i[:, None], ident_j[None, :]
        stream = ((i < j) if exchanged else (i > j)).astype(jnp.uint32) if ordered else jnp.zeros((1, 1), jnp.uint32)
        tag = jnp.full((1, 1), TAG_NOISE, jnp.uint32)
        packed: tuple[jax.Array, ...] = ()
        for block, size in enumerate(sizes):
            place = (stream << BLOCK_BITS) | jnp.uint32(block)
            bits = [_as_float(w) for w in philox_4x32((jnp.minimum(i, j), jnp.maximum(i, j), place, tag), key)]
            # Two words as one complex number, which is only moved, never computed with, so that no bit changes.
            packed += tuple(jax.lax.complex(*bits[k : k + 2]) for k in range(0, size, 2))
        return packed

    def shaped(*packed: jax.Array) -> tuple[jax.Array, ...]:
        words = [_as_word(part) for pair in packed for part in (jnp.real(pair), jnp.imag(pair))]
        return normals(words, dtype)[:count]

    return keep(shaped, *keep(hashed, key, ident_i, ident_j))


def _as_float(word: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(word, jnp.float32)


def _as_word(number: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(number, jnp.uint32)
