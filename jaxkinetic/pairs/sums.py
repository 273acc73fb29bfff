"""Sums over all partners j of particle i, by blocks of rows: N^2 evaluations, and never N^2 numbers in memory."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import BLOCK_AREA, map_rows, once, row_sums

from ..states import Particles

Components = tuple[Array, ...]


class Slots(NamedTuple):
    """Particles as vectors over the slots, one a component: a strided read costs a tile a factor 2."""

    velocity: Components
    ident: Array
    alive: Array


def slots(state: Particles) -> Slots:
    """Velocities are 0 in dead slots: what such a slot holds reaches neither a value nor a derivative."""
    return Slots(tuple(state.live_velocity.T), state.ident, state.alive)


def direct_sum(
    terms: Callable[[Components, Array, Array], Components], state: Particles, *, area: int = BLOCK_AREA
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(v_i - v_j, ident_i, ident_j) over the alive j, one value a component; 0 for dead i.

    `terms`: d arrays (B, N) and the idents as (B, 1) and (1, N), to a tuple of arrays (B, N); any function finite at
    z = 0. Direct, by blocks of rows of `area` pairs: N^2 evaluations, memory O(N) also backwards.
    """

    def block(rows: Slots, columns: Slots) -> Array:
        both = partners(rows, columns)
        # Masked before and after: what a dead slot holds must not reach a derivative either.
        z = tuple(_where(both, component) for component in differences(rows, columns))
        values = terms(z, rows.ident[:, None], columns.ident[None, :])
        return jnp.stack([row_sums(_where(both, value)) for value in values], axis=1)

    return _map_blocks(block, state, area)


def weighted_sum(
    weights: Callable[[Components, Array, Array], Components],
    terms: Callable[[Components, Components], Components],
    state: Particles,
    *,
    area: int = BLOCK_AREA,
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(weights_ij, z_ij), z_ij = v_i - v_j, over the alive j; 0 for dead i.

    `weights(z, ident_i, ident_j)` is dear and evaluated once a pair: d arrays (B, N) and the idents as vectors (B,) and
    (N,), to a tuple of arrays (B, N). `terms(weights, z)` is cheap, linear in the weights, and evaluated again for every
    output. Both are finite at z = 0. Memory and cost as `direct_sum`; 1.3-1.5 times as fast on a CPU.
    """

    def block(rows: Slots, columns: Slots) -> Array:
        def masked(rows: Slots, columns: Slots) -> Components:
            both = partners(rows, columns)
            values = weights(differences(rows, columns), rows.ident, columns.ident)
            return tuple(_where(both, value) for value in values)

        values = terms(once(masked, rows, columns), differences(rows, columns))
        return jnp.stack([row_sums(value) for value in values], axis=1)

    return _map_blocks(block, state, area)


def _map_blocks(block: Callable[[Slots, Slots], Array], state: Particles, area: int) -> Array:
    columns = slots(state)
    return map_rows(lambda rows: block(rows, columns), columns, state.num_slots, area=area)


def differences(rows: Slots, columns: Slots) -> Components:
    """z_ij = v_i - v_j as d arrays (B, N)."""
    return tuple(v_i[:, None] - v_j[None, :] for v_i, v_j in zip(rows.velocity, columns.velocity, strict=True))


def partners(rows: Slots, columns: Slots) -> Array:
    """Whether both are alive and not the same, (B, N)."""
    return rows.alive[:, None] & columns.alive[None, :] & (rows.ident[:, None] != columns.ident[None, :])


def _where(mask: Array, values: Array) -> Array:
    return jnp.where(mask, values, jnp.zeros((), values.dtype))


def symmetric(upper: Array, dim: int) -> Array:
    """(N, d(d+1)/2), the entries on and above the diagonal row by row, to (N, d, d)."""
    places = np.zeros((dim, dim), np.int32)
    places[np.triu_indices(dim)] = np.arange(dim * (dim + 1) // 2)
    return upper[:, np.maximum(places, places.T)]
