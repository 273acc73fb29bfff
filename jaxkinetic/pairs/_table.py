"""Particles as a list of columns, two real ones in one complex array, that pairs are gathered from and scattered to."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

Table = list[Array]


def at(x: Array, index: Array) -> Array:
    return x.at[index].get(mode="clip")


def pack(columns: tuple[Array, ...]) -> Table:
    """Two real columns as one complex one: half the gathers and scatters, and pairs of results that are computed together."""
    pairs = [jax.lax.complex(a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
    return pairs + [columns[-1]] * (len(columns) % 2)


def unpack(table: Table) -> tuple[Array, ...]:
    parts = [(x.real, x.imag) if jnp.iscomplexobj(x) else (x,) for x in table]
    return tuple(part for entry in parts for part in entry)


def put(table: Table, index: Array, columns: tuple[Array, ...], active: Array) -> Table:
    """`columns` at `index` where `active`; `index` names nobody twice."""
    num = table[0].shape[0]
    # Out of range, who does not move: nothing is written. Still no index twice.
    index = jnp.where(active, index, num + jnp.arange(index.shape[0], dtype=index.dtype))
    return [x.at[index].set(y, mode="drop", unique_indices=True) for x, y in zip(table, pack(columns), strict=True)]
