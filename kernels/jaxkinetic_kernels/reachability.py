"""Which final items an event on a pair can influence: components of the graph of events, and sums over sets of bits."""

import jax
import jax.numpy as jnp

__all__ = ["components", "sum_over_bits"]


def components(
    first: jax.Array, second: jax.Array, edge: jax.Array, checked: jax.Array, num_items: int
) -> tuple[jax.Array, jax.Array]:
    """The connected components of a graph, and which of them hold a cycle.

    **Arguments:** `first`, `second`: (K,) int32, the items of each event. `edge`: (K,) bool, whether the event is an edge.
    `checked`: (K,) bool, further pairs, which are no edges but must lie in two components.

    **Returns:** `label`: (N,) int32, the smallest item of each item's component. `cyclic`: (N,) bool, whether the component has
    at least as many edges as items (multiple edges count), or both items of a checked pair. Cost: O(N + K) for each of about
    log N rounds.
    """
    item = jnp.arange(num_items, dtype=jnp.int32)
    a, b = (jnp.where(edge, x, 0) for x in (first, second))

    def unfinished(loop: tuple[jax.Array, jax.Array]) -> jax.Array:
        return loop[1]

    def turn(loop: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        parent = loop[0]
        p, q = parent[a], parent[b]
        low = jnp.minimum(p, q)
        # Hook the root of the larger label to the smaller one, and both ends directly.
        new = parent.at[jnp.concatenate([p, q, a, b])].min(jnp.tile(low, 4))
        new = new[new]
        return new[new], jnp.any(new != parent)

    label = jax.lax.while_loop(unfinished, turn, (item, jnp.ones((), bool)))[0]
    count = jnp.zeros(num_items, jnp.int32)
    vertices = count.at[label].add(1)
    edges = count.at[label[first]].add(edge.astype(jnp.int32))
    met = count.at[label[first]].add((checked & (label[first] == label[second])).astype(jnp.int32))
    return label, ((edges >= vertices) | (met > 0))[label]


def sum_over_bits(words: jax.Array, values: jax.Array) -> jax.Array:
    """For each row of bits, the sum of `values` over the bits that are set.

    **Arguments:** `words`: (K, W) uint32. `values`: (32 W, C) floating. **Returns:** (K, C).

    A table holds the sums over all 256 subsets of every eight values: 4 W lookups a row.
    """
    num, width = words.shape
    columns = values.shape[1]
    subset = jnp.arange(256, dtype=jnp.uint32)
    member = ((subset[:, None] >> jnp.arange(8, dtype=jnp.uint32)[None]) & 1).astype(values.dtype)
    eights = values.reshape(4 * width, 8, columns)
    table = jnp.einsum("se,bec->bsc", member, eights, precision=jax.lax.Precision.HIGHEST)
    shift = jnp.arange(0, 32, 8, dtype=jnp.uint32)
    byte = ((words[:, :, None] >> shift[None, None]) & 255).reshape(num, 4 * width).astype(jnp.int32)
    place = byte + 256 * jnp.arange(4 * width, dtype=jnp.int32)[None]
    return jnp.sum(table.reshape(-1, columns).at[place].get(mode="promise_in_bounds"), axis=1)
