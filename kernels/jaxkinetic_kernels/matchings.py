"""Perfect matchings of n items, n even: the rounds of the circle method, and a random one. For odd n add an item that
stands for "nobody"."""

import jax
import jax.numpy as jnp

from .feistel import permute
from .random_bits import fold_in

__all__ = ["circle_round", "random_matching"]


def circle_round(round_number: jax.Array | int, num: int) -> tuple[jax.Array, jax.Array]:
    """Round r of the circle method: (i, j), two (n/2,) uint32 arrays. Over r = 0 .. n-2 each pair meets exactly once.

    i + j = 2 r modulo n - 1, but for item n - 1, which meets r. **Arguments:** `num`: n, even, at least 2.
    """
    modulus = jnp.uint32(num - 1)
    r = jnp.asarray(round_number, jnp.uint32)
    k = jnp.arange(num // 2, dtype=jnp.uint32)
    i, j = r + k, r + modulus - k
    i, j = jnp.where(i >= modulus, i - modulus, i), jnp.where(j >= modulus, j - modulus, j)
    return i, jnp.where(k == 0, modulus, j)


def random_matching(key: jax.Array, num: int) -> jax.Array:
    """A random perfect matching of n items, n even: a (2, n/2) uint32 array, partners in a column. Cost n, no sort.

    A uniform round of the circle method, its places renamed by a keyed bijection. P(i meets j) = 1/(n-1) for every pair
    whatever the bijection (up to n/2^32, the rounding of the round); the bijection makes triples and successive matchings
    independent.
    """
    words = fold_in(key, num)
    r = words[0] % jnp.uint32(num - 1)
    i, j = circle_round(r, num)
    return permute(jnp.stack([i, j]), fold_in(key, num, 1), num)
