"""Work row by row on arrays that are too large for all rows at once."""

from collections.abc import Callable
from typing import Any

import jax

# Transforms of more bytes at once need work space that accelerators may not have.
LARGEST_BATCH = 2**32


def fits(nbytes: int) -> bool:
    """Whether arrays of so many bytes are transformed at once."""
    return nbytes < LARGEST_BATCH


def in_blocks(fn: Callable[..., Any], *xs: Any) -> Any:
    """`fn` of pytrees whose arrays have one leading axis, over which it acts row by row: at once, or in blocks that fit."""
    leaves = jax.tree.leaves(xs)
    rows = leaves[0].shape[0]
    nbytes = max(x.size * x.dtype.itemsize for x in leaves)
    num = next(n for n in range(1, rows + 1) if rows % n == 0 and (fits(nbytes // n) or n == rows))
    if num == 1:
        return fn(*xs)
    blocks = jax.tree.map(lambda x: x.reshape(num, rows // num, *x.shape[1:]), xs)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), jax.lax.map(lambda parts: fn(*parts), blocks))
