"""Vectors of pairs as tuples of d component arrays, as pair laws take them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._util.types import Components

__all__ = ["dot", "minus", "split", "square"]


def minus(a: Components, b: tuple[Float[Array, "*#pairs"], ...]) -> Components:
    """a - b, where b may be one vector for all pairs."""
    return tuple(p - q for p, q in zip(a, b, strict=True))


def dot(a: Components, b: Components) -> Float[Array, "*pairs"]:
    return sum((p * q for p, q in zip(a[1:], b[1:], strict=True)), a[0] * b[0])


def square(z: Components) -> Float[Array, "*pairs"]:
    return dot(z, z)


def split(x: Float[Array, "..."], axis: int = -1) -> Components:
    """The components of an array that has them along `axis`."""
    return tuple(jnp.moveaxis(x, axis, 0))
