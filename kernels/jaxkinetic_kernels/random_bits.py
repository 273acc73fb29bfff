"""Convert uint32 random words to uniform and normal variables, and derive further keys."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from .philox import philox_once
from .trigonometry import cos_sin, cos_sin_turns, horner

__all__ = [
    "TAG_EVENT", "TAG_FOLD", "TAG_NOISE", "TAG_OBSERVE", "cos_sin", "cos_sin_turns", "fold_in", "horner", "normals",
    "uniform",
]  # fmt: skip


# The last counter word distinguishes the uses of a key, so that no two uses share random words.
TAG_NOISE, TAG_FOLD, TAG_OBSERVE, TAG_EVENT = 0, 1, 2, 3


def fold_in(key: jax.Array, *data: jax.Array | int, tag: int = TAG_FOLD) -> jax.Array:
    """A new two-word key from a two-word key and up to three uint32 numbers.

    **Arguments:** `key`: (2,) uint32. `data`: at most three numbers below 2^32.

    **Returns:** (2,) uint32. Different data give independent keys.
    """
    counter = [jnp.asarray(word, jnp.uint32) for word in data]
    counter += [jnp.zeros((), jnp.uint32)] * (3 - len(counter))
    return philox_once(jnp.stack([*counter, jnp.asarray(tag, jnp.uint32)]), key)[:2]


def uniform(word: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """(word + 1/2) 2^-32, uniform in (0, 1]; the value 1 occurs only by rounding in float32."""
    return (word.astype(dtype) + 0.5) * 2.0**-32


def normals(words: Sequence[jax.Array], dtype: jnp.dtype) -> tuple[jax.Array, ...]:
    """Independent N(0, 1) variables by the Box-Muller method, one per word; the number of words must be even.

    **Arguments:** `words`: uint32 arrays, used in pairs (radius, angle). **Returns:** a tuple of arrays of `dtype`, with values
    of at most 6.8 in modulus.
    """
    out: list[jax.Array] = []
    for radius_word, angle_word in zip(words[::2], words[1::2], strict=True):
        radius = jnp.sqrt(jnp.maximum(-2.0 * jnp.log(uniform(radius_word, dtype)), 0.0))
        cosine, sine = cos_sin_turns(angle_word, dtype)
        out += [radius * cosine, radius * sine]
    return tuple(out)
