"""Perfect matchings of n items, n even: the rounds of the circle method, and random matchings. For odd n add a dummy item,
whose partner sits out."""

import jax
import jax.numpy as jnp

from .feistel import permute
from .random_bits import fold_in

__all__ = ["circle_round", "random_matching"]


def circle_round(round_number: jax.Array | int, num: int) -> tuple[jax.Array, jax.Array]:
    """Round r of the circle method (a 1-factorisation of the complete graph) as (i, j), two (n/2,) uint32 arrays. Over r = 0 ..
    n-2 each pair meets exactly once.

    i + j = 2 r modulo n - 1, except for item n - 1, which meets item r. **Arguments:** `num`: n, even, at least 2.
    """
    modulus = jnp.uint32(num - 1)
    r = jnp.asarray(round_number, jnp.uint32)
    k = jnp.arange(num // 2, dtype=jnp.uint32)
    # r + k and r - k modulo n - 1; for k = 0 both are r, whose partner is item n - 1.
    i, j = r + k, r + modulus - k
    i, j = jnp.where(i >= modulus, i - modulus, i), jnp.where(j >= modulus, j - modulus, j)
    return i, jnp.where(k == 0, modulus, j)


def random_matching(key: jax.Array, num: int) -> jax.Array:
    """A random perfect matching of n items, n even: a (2, n/2) uint32 array with partners in a column. Cost n, without a sort.

    It is a uniformly random round of the circle method with items renamed by a keyed bijection. P(i meets j) = 1/(n-1) for
    every pair, whatever the bijection, up to n/2^32 from rounding the round number. The bijection makes larger groups of items
    and successive matchings independent.
    """
    words = fold_in(key, num)
    r = words[0] % jnp.uint32(num - 1)
    i, j = circle_round(r, num)
    return permute(jnp.stack([i, j]), fold_in(key, num, 1), num)
