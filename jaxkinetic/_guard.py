"""A derivative that would be wrong is refused, not returned."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def undifferentiated(message: str, x: Array) -> Array:
    """x itself; any derivative that would pass through it raises `ValueError(message)` while tracing.

    What is constant in the variable of differentiation passes: also under `jit`, `vmap`, loops and `jax.checkpoint`.
    """
    return x


@partial(undifferentiated.defjvp, symbolic_zeros=True)
def _refuse(message, primals, tangents):
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return primals[0], jnp.zeros_like(primals[0])
    raise ValueError(message)
