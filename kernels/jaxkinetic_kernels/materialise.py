"""Arrays that stay in memory for all who read them. See `once` for why XLA has to be told."""

import jax
import jax.numpy as jnp

__all__ = ["materialise", "materialise_both", "materialise_words"]


@jax.custom_jvp
def materialise(x: jax.Array) -> jax.Array:
    """x itself, computed once and kept in memory. Pass two real arrays that come from one hash as one complex array: two arrays
    would be two loops.

    The derivative is the identity, without a second conditional."""
    return materialise_both(x)


@materialise.defjvp
def _materialise_jvp(primals, tangents):
    return materialise(*primals), tangents[0]


def materialise_both(x: jax.Array) -> jax.Array:
    """`materialise`, of which the derivative is kept in memory too: for an array whose cotangent costs much and is read by
    more than one kernel (what is gathered, or added to both partners of a pair)."""

    def on_cpu(x: jax.Array) -> jax.Array:
        # What enters a conditional is in memory; its predicate is hidden until everything is fused.
        known = jax.lax.optimization_barrier(jnp.ones((), bool))
        return jax.lax.cond(known, lambda x: x, jnp.zeros_like, x)

    return jax.lax.platform_dependent(x, cpu=on_cpu, default=lambda x: x)


def materialise_words(words: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """uint32 words of one shape, two by two in one array in memory: one hash for two words, whoever reads them."""
    count = len(words)
    words = words + words[-1:] * (count % 2)
    out: tuple[jax.Array, ...] = ()
    for a, b in zip(words[::2], words[1::2], strict=True):
        # Moved, never computed with, so the bits are safe.
        pair = materialise(jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in (a, b))))
        out += tuple(jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (pair.real, pair.imag))
    return out[:count]
