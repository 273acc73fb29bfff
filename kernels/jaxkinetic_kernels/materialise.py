"""Keeping a compiler from computing a costly array again for each of its readers."""

from typing import Any

import jax
import jax.numpy as jnp


@jax.custom_jvp
def materialise(x: jax.Array, witness: jax.Array) -> jax.Array:
    """x itself, as an array in memory that is computed once.

    XLA on a CPU merges the making of an array into every loop that reads it, so that pair noise is hashed once for each
    component of the result; it removes `jax.lax.optimization_barrier` before it does so. What enters a conditional stays.
    Two real arrays that come from one hash belong into one complex array: two arrays are two loops.

    **Arguments:** `witness`: any real number at hand that is known at run time only.
    """
    return _stored(x, witness)


@materialise.defjvp
def _materialise_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    return materialise(*primals), tangents[0]


@jax.custom_batching.custom_vmap
def _stored(x: jax.Array, witness: jax.Array) -> jax.Array:
    def on_cpu(x: jax.Array) -> jax.Array:
        # Both branches are the identity, and no compiler pass sees it.
        return jax.lax.cond(witness == witness, lambda x: x, jax.lax.optimization_barrier, x)

    return jax.lax.platform_dependent(x, cpu=on_cpu, default=lambda x: x)


@_stored.def_vmap
def _stored_batch(size: int, batched: Any, x: jax.Array, witness: jax.Array) -> tuple[jax.Array, bool]:
    # One conditional for the whole batch: one for each member would be a select, which stores nothing.
    return _stored(x, witness[0] if batched[1] else witness), batched[0]


def materialise_words(words: tuple[jax.Array, ...], witness: jax.Array) -> tuple[jax.Array, ...]:
    """uint32 words of one shape, two by two in one array in memory: one hash for two words, whoever reads them."""
    words = words + words[-1:] * (len(words) % 2)
    out: tuple[jax.Array, ...] = ()
    for a, b in zip(words[::2], words[1::2], strict=True):
        pair = jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in (a, b)))
        pair = materialise(pair, witness)
        out += tuple(jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (pair.real, pair.imag))
    return out[: len(words)]
