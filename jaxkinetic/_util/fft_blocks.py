"""Process arrays in blocks of rows if they are too large to transform at once."""

from collections.abc import Callable
from typing import Any

import jax

# Larger transforms need FFT work space that may exceed an accelerator's memory.
LARGEST_BATCH = 2**32


def fits(nbytes: int) -> bool:
    """Whether an array of `nbytes` bytes is transformed at once."""
    return nbytes < LARGEST_BATCH


def in_blocks(fn: Callable[..., Any], *xs: Any) -> Any:
    """Apply `fn`, which acts row by row over the common leading axis of all arrays in `xs`: at once, or in blocks that fit."""
    leaves = jax.tree.leaves(xs)
    rows = leaves[0].shape[0]
    nbytes = max(x.size * x.dtype.itemsize for x in leaves)
    num = next(n for n in range(1, rows + 1) if rows % n == 0 and (fits(nbytes // n) or n == rows))
    if num == 1:
        return fn(*xs)
    blocks = jax.tree.map(lambda x: x.reshape(num, rows // num, *x.shape[1:]), xs)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), jax.lax.map(lambda parts: fn(*parts), blocks))
