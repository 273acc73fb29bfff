"""One pair flow applied to arrays of disjoint pairs, given as component arrays, identities and a mask."""

from typing import Any

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
    """Both partners after the pair's time s; where not `active`, as they were, and unseen by a derivative."""
    words = pair_words(key, *idents, system.num_words(len(velocities[0])), stream=stream)
    words = materialise_words(words)
    in_order = idents[0] < idents[1]

    def masked(v: Array) -> Array:
        return jnp.where(active, v, jnp.zeros((), v.dtype))

    def swapped(a: Components, b: Components) -> tuple[Components, Components]:
        first = tuple(jnp.where(in_order, p, q) for p, q in zip(a, b, strict=True))
        second = tuple(jnp.where(in_order, q, p) for p, q in zip(a, b, strict=True))
        return first, second

    lower, upper = swapped(*(tuple(masked(c) for c in v) for v in velocities))
    lower, upper = system.pair_flow(words, jnp.broadcast_to(s, active.shape), lower, upper)
    moved = swapped(lower, upper)
    out: Any = tuple(
        tuple(jnp.where(active, new, old) for new, old in zip(after, before, strict=True))
        for after, before in zip(moved, velocities, strict=True)
    )
    return out
