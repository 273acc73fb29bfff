"""Philox 4x32-10 in uint32 operations (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011), the same bits on every device."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Words4 = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _multiply_high_low(constant: int, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The 64-bit product of two 32-bit words as (high word, low word)."""
    a = jnp.full(b.shape, constant, jnp.uint32)
    # In 64 bits for this one product, whatever the process is set to. `lax.mulhi` is as fast, and cannot be partitioned over
    # devices (jax 0.10.2); four 16-bit products are half as fast.
    with jax.enable_x64(True):
        wide = (jax.lax.convert_element_type(x, jnp.uint64) for x in (a, b))
        product = jax.lax.mul(*wide)
        high = jax.lax.shift_right_logical(product, jax.lax.full_like(product, 32))
        return jax.lax.convert_element_type(high, jnp.uint32), a * b


def philox_4x32(counter: Sequence[jax.Array], key: jax.Array | Sequence[jax.Array]) -> Words4:
    """Four independent uint32 words from a counter of four and a key of two.

    **Arguments:** `counter`: four uint32 arrays that broadcast against each other; `key`: two uint32 words
    (an array of shape (2,), or two arrays that broadcast against the counter).

    **Returns:** a tuple of four uint32 arrays. Cost: 10 rounds of two 32 x 32 -> 64 bit products.
    """
    return _rounds(
        tuple(jnp.asarray(word, jnp.uint32) for word in counter), tuple(jnp.asarray(key[i], jnp.uint32) for i in (0, 1))
    )


# A program of its own in every trace: made once for given shapes, not at every call.
@jax.jit
def _rounds(counter: Sequence[jax.Array], key: Sequence[jax.Array]) -> Words4:
    (x0, x1, x2, x3), (k0, k1) = counter, key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply_high_low(_MULTIPLIERS[0], x0)
        high1, low1 = _multiply_high_low(_MULTIPLIERS[1], x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = k0 + jnp.uint32(_WEYL[0]), k1 + jnp.uint32(_WEYL[1])
    return x0, x1, x2, x3
