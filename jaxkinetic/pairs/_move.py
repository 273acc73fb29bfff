"""One pair flow applied to arrays of disjoint pairs, given as component arrays, identities and a mask."""

import jax.numpy as jnp
from jaxtyping import Array

from jaxkinetic_kernels import materialise_words, pair_words

from .._system import AbstractPairFlow
from .._types import RealScalar, Words

Components = tuple[Array, ...]


def move_pairs(
    key: Words,
    system: AbstractPairFlow,
    s: RealScalar,
    velocities: tuple[Components, Components],
    idents: tuple[Array, Array],
    active: Array,
    stream: int | Array = 0,
) -> tuple[Components, Components]:
    """Both partners after the pair's time s; where not `active`, numbers not to be used, which carry no derivative."""
    words = materialise_words(pair_words(key, *idents, system.num_words(len(velocities[0])), stream=stream))

    def masked(v: Array) -> Array:
        return jnp.where(active, v, jnp.zeros((), v.dtype))

    lower, upper = (tuple(masked(c) for c in v) for v in velocities)
    return system.pair_flow(words, jnp.broadcast_to(s, active.shape), lower, upper)
