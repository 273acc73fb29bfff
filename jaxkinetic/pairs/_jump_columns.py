"""The columns of a state that jumps change, in one table, and the rest of the state."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..states import Particles
from ._packed_columns import Table, pack


def as_table(velocity: Float[Array, "N d"], alive: Bool[Array, " N"]) -> Table:
    """The velocities and, as the numbers 1 and 0, whether a slot is alive."""
    return pack((*velocity.T, alive.astype(velocity.dtype)))


def without_table(state: Particles) -> Particles:
    """The parts of the state that jumps do not change."""
    return eqx.tree_at(lambda p: (p.velocity, p.alive), state, (None, None))


def from_columns(columns: Sequence[Float[Array, " N"]], rest: Particles) -> Particles:
    """The state, from the columns of `as_table` and from `without_table`."""
    values = jnp.stack(columns[:-1], -1), columns[-1] > 0
    return eqx.tree_at(lambda p: (p.velocity, p.alive), rest, values, is_leaf=lambda x: x is None)
