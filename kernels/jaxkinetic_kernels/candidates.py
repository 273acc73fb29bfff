"""Candidate events of a Poisson process on pairs. All randomness of a candidate is a function of its number."""

import jax
import jax.numpy as jnp

from .fusion import materialise_words
from .philox import philox_4x32
from .random_bits import TAG_EVENT, uniform

__all__ = ["Number", "advance", "candidates", "event_words"]

Number = tuple[jax.Array, jax.Array]


def advance(number: Number, count: jax.Array) -> Number:
    """Add `count` to a 64-bit number, given as (low, high) uint32 words."""
    low = number[0] + count.astype(jnp.uint32)
    return low, number[1] + (low < number[0]).astype(jnp.uint32)


def candidates(
    key: jax.Array, number: Number, num_items: jax.Array, dtype: jnp.dtype
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """(wait, first, second, word) of the K candidates `number`.

    **Arguments:** `key`: (2,) uint32. `number`: two (K,) uint32 arrays, the low and the high words. `num_items`: n >= 2, may be
    traced; smaller values count as 2.

    **Returns:** `wait`: (K,) Exp(1), the time since the previous candidate in units of its mean; `first`, `second`: (K,) int32,
    a uniform ordered pair of different items below n, each exact to n/2^64, jointly to (n/2^32)^2; `word`: (K,) uint32, for the
    acceptance.
    """
    counter = (*number, jnp.zeros((), jnp.uint32), jnp.asarray(TAG_EVENT, jnp.uint32))
    # Materialised, so that the hash is computed once for all its readers. The word of the acceptance also serves as the low
    # half of both item numbers, where it only decides between neighbours, with a probability of about n/2^32.
    time_word, i_word, j_word, word = materialise_words(philox_4x32(counter, key))
    count = jnp.maximum(num_items, 2).astype(jnp.uint32)
    i, j = _below(count, i_word, word), _below(count - 1, j_word, word)
    # j is uniform over n - 1 numbers; skipping i makes the pair uniform over different items.
    return -jnp.log(uniform(time_word, dtype)), i, j + (j >= i).astype(jnp.int32), word


def event_words(key: jax.Array, number: Number, count: int) -> tuple[jax.Array, ...]:
    """`count` uint32 words for the outcome of the candidates `number`, independent of those in `candidates`."""
    out: tuple[jax.Array, ...] = ()
    for block in range(1, 1 - (-count // 4)):
        out += philox_4x32((*number, jnp.asarray(block, jnp.uint32), jnp.asarray(TAG_EVENT, jnp.uint32)), key)
    return out[:count]


def _below(count: jax.Array, high: jax.Array, low: jax.Array) -> jax.Array:
    """floor(count (high.low) 2^-64) as int32, for count <= 2^31."""
    with jax.enable_x64(True):
        count, high, low = (jax.lax.convert_element_type(x, jnp.uint64) for x in (count, high, low))
        half = jax.lax.full_like(low, 32)
        count = jax.lax.broadcast(count, low.shape)
        carry = jax.lax.shift_right_logical(jax.lax.mul(count, low), half)
        product = jax.lax.add(jax.lax.mul(count, high), carry)
        return jax.lax.convert_element_type(jax.lax.shift_right_logical(product, half), jnp.int32)
