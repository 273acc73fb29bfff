"""Sums over all partners j of particle i, by blocks of rows: N^2 evaluations, and never N^2 numbers in memory."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxkinetic_kernels import map_rows

from ..states import Particles

Components = tuple[Array, ...]


def direct_sum(terms: Callable[[Components, Array, Array], Components], state: Particles) -> Float[Array, "N outputs"]:
    """sum_j terms(v_i - v_j, ident_i, ident_j) over the alive j, one value a component; 0 for dead i.

    Direct, by blocks of rows: N^2 evaluations, memory O(N) also backwards. The term j = i
    is left out.
    """
    columns = tuple(state.velocity.T)
    zero = jnp.zeros((), state.velocity.dtype)

    def block(rows: tuple[Array, Array, Array]) -> Array:
        velocity, ident, alive = rows
        z = tuple(v_i[:, None] - v_j[None, :] for v_i, v_j in zip(tuple(velocity.T), columns, strict=True))
        both = alive[:, None] & state.alive[None, :] & (ident[:, None] != state.ident[None, :])
        # Masked before and after: what a dead slot holds must not reach a derivative either.
        z = tuple(jnp.where(both, component, zero) for component in z)
        values = terms(z, ident[:, None], state.ident[None, :])
        return jnp.stack([jnp.sum(jnp.where(both, value, zero), axis=1) for value in values], axis=1)

    return map_rows(block, (state.velocity, state.ident, state.alive), state.num_slots)
