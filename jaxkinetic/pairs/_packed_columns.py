"""Particles as a list of columns, packed two by two into complex arrays, for gathering pairs and scattering them back."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Integer, Shaped

from jaxkinetic_kernels import materialise_both

Table = list[Inexact[Array, "*slots"]]
Columns = tuple[Float[Array, "*slots"], ...]


def at(x: Shaped[Array, " N"], index: Integer[Array, "*places"]) -> Shaped[Array, "*places"]:
    return _by_parts(lambda x, index: x.at[index].get(mode="clip"), x, index)


def write(x: Shaped[Array, " N"], index: Integer[Array, " K"], values: Shaped[Array, " K"]) -> Shaped[Array, " N"]:
    """x with `values` at `index`, which is nowhere twice; an index out of range writes nothing."""
    return _by_parts(lambda x, y, index: x.at[index].set(y, mode="drop", unique_indices=True), x, values, index)


def _by_parts(fn: Callable[..., Array], x: Array, *rest: Array) -> Array:
    """`fn(x, *rest)`; in complex128 on an accelerator, `fn` of the real and of the imaginary parts.

    On a GPU, XLA scatters elements of up to 8 bytes in one kernel, and larger ones one by one, in a loop with a few kernels for
    every element. The backward pass of a gather is a scatter too."""
    if x.dtype != jnp.complex128:
        return fn(x, *rest)

    def parts(*arrays: Array) -> Array:
        real, imag = ([part(a) if jnp.iscomplexobj(a) else a for a in arrays] for part in (jnp.real, jnp.imag))
        return jax.lax.complex(fn(*real), fn(*imag))

    return jax.lax.platform_dependent(x, *rest, cpu=fn, default=parts)


def pack(columns: Columns) -> Table:
    """Packs two real columns into one complex column: half as many gathers and scatters, and two results from one kernel."""
    pairs = [jax.lax.complex(a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
    return pairs + [columns[-1]] * (len(columns) % 2)


def unpack(table: Table) -> Columns:
    parts = [(x.real, x.imag) if jnp.iscomplexobj(x) else (x,) for x in table]
    return tuple(part for entry in parts for part in entry)


def stored(components: Columns) -> Columns:
    """The components, computed once and stored for all kernels that read them; two components are computed in one loop."""
    return unpack([materialise_both(x) for x in pack(components)])


def put(table: Table, partners: Array, columns: tuple[Array, ...], active: Array) -> Table:
    """The table with `columns`, (2, K) each, written to the slots `partners`, (2, K), of the `active` pairs, (K,). No slot may
    belong to two active pairs."""
    num = table[0].shape[0]
    # Inactive pairs get indices out of range, so that nothing is written; all different, as `unique_indices` requires.
    nowhere = num + jnp.arange(partners.size, dtype=partners.dtype).reshape(partners.shape)
    index = jnp.where(active[None], partners, nowhere).reshape(-1)
    packed = pack(tuple(c.reshape(-1) for c in columns))
    return [write(x, index, y) for x, y in zip(table, packed, strict=True)]


def matched(table: Table, partners: Integer[Array, "2 K"]) -> tuple[Float[Array, "2 K"], ...]:
    """The columns at `partners`, (2, K) each: one gather for both partners of a pair. An index beyond the last slot (the
    padding of an odd number of slots) reads the last slot."""
    return unpack([materialise_both(at(x, partners)) for x in table])


def spread(columns: tuple[Float[Array, "2 K"], ...], partners: Integer[Array, "2 K"], num: int) -> Table:
    """The table of `num` slots from its columns at `partners`, (2, K), which contain every slot once. Inverse of `matched`."""
    index = partners.reshape(-1)
    packed = pack(tuple(c.reshape(-1) for c in columns))
    return [write(jnp.zeros(num, x.dtype), index, x) for x in packed]


def pair_columns(
    first: tuple[Float[Array, " K"], ...], second: tuple[Float[Array, " K"], ...]
) -> tuple[Float[Array, "2 K"], ...]:
    """The components of the first and the second partners, (K,) each, stacked as (2, K)."""
    return tuple(jnp.stack(both) for both in zip(first, second, strict=True))
