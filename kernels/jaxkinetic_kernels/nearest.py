"""The k-th nearest neighbour of every point, by k running minima per lane, without an N x N array or a sort of length N.

The minima pass through an accelerator's memory between one tile of columns and the next. So a tile holds several columns per
lane (`depth`), which one kernel compares: this divides the kernel launches and the memory traffic by `depth`.
"""

import jax
import jax.numpy as jnp

from .rows import map_rows

__all__ = ["kth_nearest"]

# Columns that are compared at once with each row: k registers for each of them hold the nearest so far.
_LANES = 512
# Pairs of rows and lanes, which bounds the memory.
_AREA = 1 << 22
# Groups of `_LANES` columns in one turn of the loop, so that the registers stay where they are between them.
_DEPTH = 8


def kth_nearest(
    points: jax.Array, alive: jax.Array, k: int, *, lanes: int = _LANES, area: int = _AREA, depth: int = _DEPTH
) -> jax.Array:
    """(N,) int32: the index of the k-th nearest other alive point; an arbitrary index if there are fewer than k.

    **Arguments:** `points`: (N, d). `alive`: (N,) bool. `depth` times `lanes` columns are compared at once with `area / lanes`
    rows; memory holds k distances and indices for `area` pairs. Cost N^2 (d + 2 k); no derivative. Written for accelerators; on
    a CPU a k-d tree is faster.
    """
    num = points.shape[0]
    points = _scaled(points, alive)
    lanes = min(lanes, num)
    depth = min(depth, -(-num // lanes))
    tiles = -(-num // (depth * lanes))
    padding = tiles * depth * lanes - num

    def tiled(x: jax.Array, fill: float | bool | int) -> jax.Array:
        return jnp.concatenate([x, jnp.full(padding, fill, x.dtype)]).reshape(tiles, depth, lanes)

    index = jnp.arange(num, dtype=jnp.int32)
    columns = (tuple(tiled(x, 0) for x in points.T), tiled(alive, False), tiled(index, 0))

    def block(rows: tuple[tuple[jax.Array, ...], jax.Array]) -> jax.Array:
        coordinates, here = rows
        shape = (here.shape[0], lanes)
        # Each lane keeps its own k minima; the lanes of a row are merged by one short sort at the end.
        far = jnp.full(shape, jnp.inf, points.dtype)
        registers = ((far,) * k, (jnp.zeros(shape, jnp.int32),) * k)

        def tile(registers, columns):
            for level in range(depth):
                others, alive, there = jax.tree.map(lambda x: x[level], columns)  # noqa: B023
                distance2 = jnp.zeros(shape, points.dtype)
                for x, y in zip(coordinates, others, strict=True):
                    distance2 = distance2 + (x[:, None] - y[None, :]) ** 2
                other = alive[None, :] & (here[:, None] != there[None, :])
                distance2 = jnp.where(other, distance2, jnp.inf)
                registers = _insert(registers, distance2, jnp.broadcast_to(there[None, :], shape))
            return registers, None

        (nearest, indices), _ = jax.lax.scan(tile, registers, columns)
        both = jnp.concatenate(nearest, 1), jnp.concatenate(indices, 1)
        return jax.lax.sort(both, num_keys=1)[1][:, k - 1]

    return map_rows(block, (tuple(points.T), index), lanes, area=area)


def _scaled(points: jax.Array, alive: jax.Array) -> jax.Array:
    """The points times a power of 2, so that squares of small distances do not underflow and those of large ones do not
    overflow."""
    largest = jnp.max(jnp.where(alive[:, None] & jnp.isfinite(points), jnp.abs(points), 0))
    most = 60 if jnp.finfo(points.dtype).bits == 32 else 500
    exponent = jnp.frexp(jnp.where(largest > 0, largest, 1))[1]
    # In two steps, because a single power of 2 may not be a normal number.
    shift = most - exponent
    half = shift // 2
    return jnp.ldexp(jnp.ldexp(points, half), shift - half)


def _insert(registers, distance2: jax.Array, index: jax.Array):
    """Insert one candidate per lane into the sorted list of the k smallest distances of that lane."""
    kept, names = [], []
    for d, i in zip(*registers, strict=True):
        closer = distance2 < d
        kept.append(jnp.where(closer, distance2, d))
        names.append(jnp.where(closer, index, i))
        distance2, index = jnp.where(closer, d, distance2), jnp.where(closer, i, index)
    return tuple(kept), tuple(names)
