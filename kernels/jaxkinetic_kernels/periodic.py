"""Coordinates on a circle."""

import jax
import jax.numpy as jnp

__all__ = ["wrap"]


def wrap(x: jax.Array, period: float) -> jax.Array:
    """The representative of x in [0, period), derivative 1.

    The remainder of a tiny negative x rounds to the period itself, which is 0.
    """
    length = jnp.asarray(period, x.dtype)
    remainder = jnp.mod(x, length)
    return jnp.where(remainder < length, remainder, remainder - length)
