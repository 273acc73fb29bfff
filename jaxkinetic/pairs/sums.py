"""Sums over all partners j of particle i, in blocks of rows: N^2 evaluations in memory O(N)."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from jaxkinetic_kernels import PAIRS, Area, map_rows, once, row_sums

from .._util.checks import is_traced
from .._util.types import Components
from ..states import Particles

__all__ = [
    "GATHERS_SUMS", "Rows", "Slots", "compiled_once", "differences", "direct_sum", "mask_pairs", "partners",
    "rows_of", "slots", "symmetric", "weighted_rows", "weighted_sum",
]  # fmt: skip

# What the sums do if the particles are divided among devices (`AbstractScheme.gathers`): each device holds some columns.
GATHERS_SUMS = "adds up numbers of all devices after every block of rows of its sums over pairs"

# Addresses of Python objects in the text of a traced program: they differ from call to call.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Slots(NamedTuple):
    """Particles as one vector over the slots for each component: strided reads would make a tile twice as slow. Velocities are
    0 in dead slots, so that these affect neither values nor gradients."""

    velocity: Components
    ident: UInt32[Array, " N"]
    alive: Bool[Array, " N"]


class Rows(NamedTuple):
    """Particles whose partners are summed over: (B, d) and (B,). Two arrays only, because each costs two kernels per block."""

    velocity: Float[Array, "B d"]
    ident: UInt32[Array, " B"]


def slots(state: Particles) -> Slots:
    return Slots(tuple(state.live_velocity.T), state.ident, state.alive)


def direct_sum(
    terms: Callable[[Components, UInt32[Array, "B 1"], UInt32[Array, "1 N"]], Components],
    state: Particles,
    *,
    area: Area | int = PAIRS,
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(v_i - v_j, ident_i, ident_j) over the alive j, one value per component; 0 for dead i.

    `terms`: maps d arrays (B, N) and the idents as (B, 1) and (1, N) to a tuple of arrays (B, N); it must be finite at z = 0.
    Direct evaluation in blocks of rows of `area` pairs: N^2 evaluations, memory O(N), for reverse mode too.
    """

    def block(rows: Rows, columns: Slots) -> Components:
        both = partners(rows, columns)
        # Mask before and after `terms`, so that entries that are not pairs contribute no gradient.
        z = tuple(mask_pairs(both, component) for component in differences(rows, columns))
        values = terms(z, rows.ident[:, None], columns.ident[None, :])
        return tuple(mask_pairs(both, value) for value in values)

    total = _map_blocks(block, rows_of(state), slots(state), area)
    return mask_pairs(state.alive[:, None], total)


def compiled_once(fn: Callable[..., Any], *given: Any) -> Any:
    """`fn(*given)`. Outside of `jit`, a cached compiled program runs it; otherwise the sums, built from functions that are new
    at every call, would be compiled at every call.

    `fn`: traced at every call, which costs milliseconds, so that variables which a user's function reads may change between
    calls. What `given` holds besides arrays must have a hash, else nothing is cached."""
    arrays, static = eqx.partition(given, eqx.is_array)

    def of_arrays(arrays: Any) -> Any:
        return fn(*eqx.combine(arrays, static))

    # A program that uses a traced value besides its arguments must not be cached.
    if is_traced(arrays):
        return fn(*given)
    traced = jax.make_jaxpr(of_arrays)(arrays)
    if is_traced(traced.consts):
        return fn(*given)
    leaves, tree = jax.tree.flatten(static)
    try:
        constants = tuple((np.shape(x), np.asarray(x).tobytes()) for x in traced.consts)
        program = _program(fn, tree, (_ADDRESS.sub("", str(traced)), constants), *leaves)
    except TypeError:
        return fn(*given)
    return program(arrays)


@functools.lru_cache(maxsize=64, typed=True)
def _program(fn: Callable[..., Any], tree: Any, traced: Any, *leaves: Any) -> Callable[[Any], Any]:
    """`traced`: what `fn` computes, as text and constants, a part of the key only."""
    static = jax.tree.unflatten(tree, leaves)
    return jax.jit(lambda arrays: fn(*eqx.combine(arrays, static)))


def weighted_sum(
    terms: Callable[[Components, Components, Components], Components],
    state: Particles,
    *,
    weights: Callable[[Components], Components] | None = None,
    noise: Callable[[UInt32[Array, " B"], UInt32[Array, " N"]], Components] | None = None,
    area: Area | int = PAIRS,
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(z_ij, weights_ij, noise_ij), z_ij = v_i - v_j, over the alive j; 0 for dead i.

    `weights(z)` maps d arrays (B, N) to a tuple of arrays (B, N); `noise(ident_i, ident_j)` maps vectors (B,) and (N,) to such
    a tuple and has no derivative. Both may be expensive: they are evaluated once per pair, and set to 0 where there is no pair.
    `terms` must be cheap, because it is evaluated again for every output, and 0 where weights and noise are all 0, because its
    values are not masked. All three must be finite at z = 0. Memory and cost as `direct_sum`; 1.3-1.5 times as fast on a CPU.
    """

    columns = slots(state)
    total = weighted_rows(terms, rows_of(state), columns, weights, noise, area)
    return mask_pairs(state.alive[:, None], total)


def weighted_rows(
    terms: Callable[[Components, Components, Components], Components],
    rows: Rows,
    columns: Slots,
    weights: Callable[[Components], Components] | None,
    noise: Callable[[UInt32[Array, " B"], UInt32[Array, " N"]], Components] | None,
    area: Area | int,
) -> Float[Array, "N outputs"]:
    """`weighted_sum` before the dead rows are masked."""

    def block(rows: Rows, columns: Slots) -> Components:
        def masked_weights(rows: Rows, columns: Slots) -> Components:
            both = partners(rows, columns)
            return tuple(mask_pairs(both, value) for value in weights(differences(rows, columns))) if weights else ()

        # Without the velocities as arguments: with them, the backward pass would store every word of the hash.
        def masked_noise(ident_i: Array, ident_j: Array, alive: Array) -> Components:
            both = _partners(ident_i, ident_j, alive)
            return tuple(mask_pairs(both, value) for value in noise(ident_i, ident_j)) if noise else ()

        known = once(masked_weights, rows, columns), once(masked_noise, rows.ident, columns.ident, columns.alive)
        return terms(differences(rows, columns), *known)

    return _map_blocks(block, rows, columns, area)


def _map_blocks(block: Callable[[Rows, Slots], Components], rows: Rows, columns: Slots, area: Area | int) -> Array:
    def sums(rows: Rows) -> Array:
        return jnp.stack([row_sums(value) for value in block(rows, columns)], axis=1)

    return map_rows(sums, rows, columns.ident.shape[0], area=area)


def rows_of(state: Particles) -> Rows:
    return Rows(state.live_velocity, state.ident)


def differences(rows: Rows, columns: Slots) -> Components:
    """z_ij = v_i - v_j as d arrays (B, N)."""
    return tuple(rows.velocity[:, k, None] - v_j[None, :] for k, v_j in enumerate(columns.velocity))


def partners(rows: Rows, columns: Slots) -> Bool[Array, "B N"]:
    """Whether j is alive and not i, (B, N). The caller masks dead i."""
    return _partners(rows.ident, columns.ident, columns.alive)


def _partners(ident_i: Array, ident_j: Array, alive: Array) -> Array:
    return alive[None, :] & (ident_i[:, None] != ident_j[None, :])


def mask_pairs(mask: Array, values: Array) -> Array:
    """`values`, and 0 outside of the mask."""
    return jnp.where(mask, values, jnp.zeros((), values.dtype))


def symmetric(upper: Float[Array, "N entries"], dim: int) -> Float[Array, "N {dim} {dim}"]:
    """(N, d(d+1)/2), the entries on and above the diagonal row by row, to (N, d, d)."""
    places = np.zeros((dim, dim), np.int32)
    places[np.triu_indices(dim)] = np.arange(dim * (dim + 1) // 2)
    # Columns, not a gather: the transpose of that is a scatter, which adds in any order on an accelerator.
    entries = upper.T
    return jnp.stack([entries[k] for k in np.maximum(places, places.T).ravel()], axis=1).reshape(-1, dim, dim)
