"""The counter-based generator Philox 4x32-10 [SalmonMoraesDrorShaw2011] in integer arithmetic, with the same bits on every
device."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["WORD", "Words4", "philox_4x32", "philox_once"]

# NumPy numbers, not arrays: the backward pass of a loop would store constant arrays.
WORD = jnp.dtype("uint32").type
_MULTIPLIERS = WORD(0xD2511F53), WORD(0xCD9E8D57)
_WEYL = WORD(0x9E3779B9), WORD(0xBB67AE85)
_ROUNDS = 10

Words4 = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _multiply_high_low(constant: Any, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The 64-bit product of two 32-bit words as (high word, low word)."""
    # x64 is enabled for this product only, whatever the setting of the process. `lax.mulhi` is as fast, but cannot be
    # partitioned over devices (jax 0.10.2); four 16-bit products are half as fast.
    with jax.enable_x64(True):
        wide = jax.lax.convert_element_type(b, jnp.uint64)
        product = jax.lax.mul(wide, jax.lax.convert_element_type(constant, jnp.uint64))
        high = jax.lax.shift_right_logical(product, jnp.dtype("uint64").type(32))
        return jax.lax.convert_element_type(high, jnp.uint32), jax.lax.mul(b, constant)


def philox_4x32(counter: Sequence[jax.Array], key: jax.Array | Sequence[jax.Array]) -> Words4:
    """Four independent uint32 words from a counter of four and a key of two.

    **Arguments:** `counter`: four uint32 arrays that broadcast against each other; `key`: two uint32 words
    (an array of shape (2,), or two arrays that broadcast against the counter).

    **Returns:** a tuple of four uint32 arrays. Cost: 10 rounds of two 32 x 32 -> 64 bit products.
    """
    key = tuple(key) if isinstance(key, (tuple, list)) else key
    return _rounds(*jax.tree.map(lambda word: jnp.asarray(word, jnp.uint32), (tuple(counter), key)))


# Jitted, so that it is traced once for given shapes and not at every call.
@jax.jit
def _rounds(counter: Sequence[jax.Array], key: jax.Array | Sequence[jax.Array]) -> Words4:
    x0, x1, x2, x3 = counter
    # On the CPU the key is tied to the counter by a barrier: otherwise XLA moves the key schedule out of a loop, as twenty
    # kernels. On accelerators it is one kernel, and a barrier would force values through memory.
    k0, k1 = jax.lax.platform_dependent(x0, key, cpu=_tied, default=lambda _, key: (key[0], key[1]))
    for _ in range(_ROUNDS):
        high0, low0 = _multiply_high_low(_MULTIPLIERS[0], x0)
        high1, low1 = _multiply_high_low(_MULTIPLIERS[1], x2)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    return x0, x1, x2, x3


def _tied(counter: jax.Array, key: jax.Array | Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    _, (k0, k1) = jax.lax.optimization_barrier((counter, (key[0], key[1])))
    return k0, k1


@jax.jit
def philox_once(counter: jax.Array, key: jax.Array) -> jax.Array:
    """`philox_4x32` of one counter (4,) and one key (2,): the same words, as an array (4,).

    On the CPU it is a loop over the rounds, which costs less than a microsecond. XLA would copy the unrolled rounds, 180
    instructions, into every kernel that reads the key of a step: 24 times in a step of `ExactClock`.
    """

    def unrolled(counter: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.stack(_rounds(tuple(counter), key))

    return jax.lax.platform_dependent(counter, key, cpu=_looped, default=unrolled)


def _looped(counter: jax.Array, key: jax.Array) -> jax.Array:
    multipliers, weyl = jnp.stack(_MULTIPLIERS), jnp.stack(_WEYL)

    def one_round(_: int, state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        even, odd, key = state
        high, low = _multiply_high_low(multipliers, even)
        return high[::-1] ^ odd ^ key, low[::-1], key + weyl

    even, odd, _ = jax.lax.fori_loop(0, _ROUNDS, one_round, (counter[::2], counter[1::2], key))
    return jnp.stack([even, odd], axis=1).reshape(4)
