"""All-pairs reductions in blocks of rows, so that N x N values are never in memory at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .sizes import PAIRS, Area

__all__ = ["map_rows"]


def map_rows(block_fn: Callable[[Any], Any], rows: Any, num_columns: int, *, area: Area | int = PAIRS) -> Any:
    """Apply `block_fn` to blocks of at most `area / num_columns` rows, one block after the other.

    **Arguments:** `block_fn`: maps a pytree of arrays with leading axis B to a pytree with leading axis B; it accesses the
    columns by closure. `rows`: a pytree of arrays with leading axis N. `num_columns`: the number of elements that a row uses.
    `area`: pairs per block, by platform, or one number for all.

    **Returns:** the outputs with leading axis N. Memory is O(B num_columns), also in the backward pass, which recomputes each
    block (`jax.checkpoint`). Cost N num_columns.
    """
    num_rows = jax.tree.leaves(rows)[0].shape[0]
    areas = (area, area) if isinstance(area, int) else (area.cpu, area.on_accelerator(num_columns))
    cpu, accelerator = (min(num_rows, max(1, area // num_columns)) for area in areas)
    if cpu == accelerator:
        return _in_blocks(block_fn, cpu, rows)
    return jax.lax.platform_dependent(
        rows, cpu=partial(_in_blocks, block_fn, cpu), default=partial(_in_blocks, block_fn, accelerator)
    )


def _in_blocks(block_fn: Callable[[Any], Any], size: int, rows: Any) -> Any:
    num_rows = jax.tree.leaves(rows)[0].shape[0]
    block_fn = jax.checkpoint(block_fn)
    if size == num_rows:
        return block_fn(rows)
    count = -(-num_rows // size)
    padding = count * size - num_rows

    def split(x: jax.Array) -> jax.Array:
        padded = jnp.concatenate([x, x[:padding]]) if padding else x
        return padded.reshape(count, size, *x.shape[1:])

    def join(x: jax.Array) -> jax.Array:
        return x.reshape(count * size, *x.shape[2:])[:num_rows]

    return jax.tree.map(join, jax.lax.map(block_fn, jax.tree.map(split, rows)))
