"""Particles as a list of columns, two real ones in one complex array, that pairs are gathered from and scattered to."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Integer, Shaped

from jaxkinetic_kernels import materialise_both

Table = list[Inexact[Array, "*slots"]]
Columns = tuple[Float[Array, "*slots"], ...]


def at(x: Shaped[Array, " N"], index: Integer[Array, "*places"]) -> Shaped[Array, "*places"]:
    return x.at[index].get(mode="clip")


def pack(columns: Columns) -> Table:
    """Two real columns as one complex one: half the gathers and scatters, and pairs of results that are computed together."""
    pairs = [jax.lax.complex(a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
    return pairs + [columns[-1]] * (len(columns) % 2)


def unpack(table: Table) -> Columns:
    parts = [(x.real, x.imag) if jnp.iscomplexobj(x) else (x,) for x in table]
    return tuple(part for entry in parts for part in entry)


def stored(components: Columns) -> Columns:
    """The components, computed once and kept in memory for every kernel that reads them, two components in one loop."""
    return unpack([materialise_both(x) for x in pack(components)])


def put(table: Table, partners: Array, columns: tuple[Array, ...], active: Array) -> Table:
    """The table with `columns`, (2, K) each, written at the slots `partners`, (2, K), of the `active` pairs, (K,). No two
    active pairs may name the same slot."""
    num = table[0].shape[0]
    # Out of range, who does not move: nothing is written. Still no index twice.
    nowhere = num + jnp.arange(partners.size, dtype=partners.dtype).reshape(partners.shape)
    index = jnp.where(active[None], partners, nowhere).reshape(-1)
    packed = pack(tuple(c.reshape(-1) for c in columns))
    return [x.at[index].set(y, mode="drop", unique_indices=True) for x, y in zip(table, packed, strict=True)]


def matched(table: Table, partners: Integer[Array, "2 K"]) -> tuple[Float[Array, "2 K"], ...]:
    """The columns at `partners`, (2, K) each: both partners of a pair by one gather. A partner beyond the last slot (it pads an
    odd number) reads the last one."""
    return unpack([materialise_both(at(x, partners)) for x in table])


def spread(columns: tuple[Float[Array, "2 K"], ...], partners: Integer[Array, "2 K"], num: int) -> Table:
    """A table of `num` slots from the columns at `partners`, (2, K), which name every slot once; inverse of `matched`."""
    index = partners.reshape(-1)
    packed = pack(tuple(c.reshape(-1) for c in columns))
    return [jnp.zeros(num, x.dtype).at[index].set(x, mode="drop", unique_indices=True) for x in packed]


def pair_columns(
    first: tuple[Float[Array, " K"], ...], second: tuple[Float[Array, " K"], ...]
) -> tuple[Float[Array, "2 K"], ...]:
    """The components of the first and the second partners, (K,) each, stacked as (2, K)."""
    return tuple(jnp.stack(both) for both in zip(first, second, strict=True))
