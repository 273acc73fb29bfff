"""The two uint32 words that seed a run, from a JAX key of any kind."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, describe
from .._util.types import Key, Words


def run_words(key: Any) -> Words:
    """The two words that, with the absolute step and the idents, determine all noise of a run."""
    if key is None:
        return jnp.zeros(2, jnp.uint32)
    if isinstance(key, np.ndarray) and key.dtype == np.uint32:
        key = jnp.asarray(key)
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    legacy = isinstance(key, jax.Array) and key.dtype == jnp.uint32
    if not (typed or (legacy and key.shape == jax.eval_shape(lambda: jax.random.PRNGKey(0)).shape)):
        raise argument_error("key", "be one JAX key", f"is {describe(key)}", "pass key=jax.random.key(seed)")
    return _bits(key) if same_in_batches(key) else _bits_one_by_one(key)


def same_in_batches(key: Key) -> bool:
    """Whether `jax.vmap` over keys draws the same numbers as each key on its own. JAX promises this for its default
    implementation only: with "rbg", all draws come from the first key."""
    return str(jax.random.key_impl(key)) == "threefry2x32"


@jax.jit
def _bits(key: Key) -> Words:
    return jax.random.bits(key, (2,), jnp.uint32)


@jax.jit
@jax.custom_batching.sequential_vmap
def _bits_one_by_one(key: Key) -> Words:
    return jax.random.bits(key, (2,), jnp.uint32)
