"""The sum of the observables over the particles that an event can still influence: its forward cone on the candidates."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxkinetic_kernels import components, sum_over_bits

from .._util.types import Key
from ._plans import chunk_size
from ._record import Events, Record, Sizes, at_chunk


class Sums(NamedTuple):
    """`events`: (segments, every, K, T, m + 1), for each candidate and save the sum of the observables over its cone, and the
    number of slots in it; `start`: (N, T, m + 1), the same for the cone of each slot at the start."""

    events: Float[Array, "segments every K T m1"]
    start: Float[Array, "N T m1"]


def values_at_saves(record: Record) -> Float[Array, "T N m1"]:
    return jnp.concatenate([record.rows, jnp.ones_like(record.rows[..., :1])], axis=-1)


def everything(record: Record, sizes: Sizes) -> Sums:
    """Sums over all particles: the weights of the global score."""
    total = jnp.sum(values_at_saves(record), axis=1)
    num = record.rows.shape[1]
    first = jnp.arange(sizes.segments)[:, None]
    later = jnp.arange(total.shape[0])[None] >= first + int(sizes.at_start)
    shape = (*record.events.plan.wave.shape, *total.shape)
    return Sums(
        jnp.broadcast_to(jnp.where(later[..., None], total, 0)[:, None, None], shape),
        jnp.broadcast_to(total, (num, *total.shape)),
    )


def cone_sums(record: Record, sizes: Sizes, words: int, most_blocks: int | None, key: Key) -> Sums:
    """Sums over forward cones. Where the graph of the candidates has no cycle, the cones of the two particles of an event are
    disjoint, and the sum of the event is that of its particles. Particles in components with a cycle are carried as bits,
    `words` words (32 particles each) at a time; `most_blocks`: at most so many of these blocks, drawn at random and
    weighted."""
    events, values = record.events, values_at_saves(record)
    num_saves, num, width = values.shape
    slots = jnp.moveaxis(events.plan.slots, 2, 0).reshape(2, -1)
    valid = (events.plan.wave >= 0).reshape(-1)
    edge = events.plan.edge.reshape(-1) & valid
    _, cyclic = components(slots[0], slots[1], edge, valid & ~edge, num)

    single = jnp.where(cyclic[None, :, None], 0, values)

    def add(x: Array, save: Any) -> Array:
        return x.at[:, save].set(single[save])

    nothing = jnp.zeros((num, num_saves, width), values.dtype)
    sums, start = _backward(events, sizes, nothing, add, jnp.add, lambda x: x)

    # The particles with bits come first.
    order = jnp.argsort(~cyclic, stable=True)
    place = jnp.zeros(num, jnp.int32).at[order].set(jnp.arange(num, dtype=jnp.int32))
    size = 32 * words
    blocks = -(-num // size)
    padded = jnp.pad(jnp.where(cyclic[None, :, None], values, 0)[:, order], ((0, 0), (0, blocks * size - num), (0, 0)))
    needed = (jnp.sum(cyclic, dtype=jnp.int32) + size - 1) // size
    chosen, count = jnp.arange(blocks, dtype=jnp.int32), needed
    weight = jnp.ones((), values.dtype)
    if most_blocks is not None and most_blocks < blocks:
        rank = jnp.where(chosen < needed, jax.random.uniform(key, (blocks,)), 2.0)
        chosen, count = jnp.argsort(rank).astype(jnp.int32), jnp.minimum(needed, most_blocks)
        weight = needed.astype(weight.dtype) / jnp.maximum(count, 1).astype(weight.dtype)

    def one_save(save: Array) -> tuple[Array, Array]:
        def one_block(loop: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            number, total, at_start = loop
            block = chosen[number]
            inside = cyclic & (place // size == block)
            bit = place % size
            mine = jnp.where(inside, jnp.uint32(1) << (bit % 32).astype(jnp.uint32), jnp.uint32(0))
            own = jnp.where(
                jnp.arange(words, dtype=jnp.int32)[None] == (bit // 32)[:, None], mine[:, None], jnp.uint32(0)
            )
            here = jax.lax.dynamic_slice_in_dim(padded[save], block * size, size)

            def inject(x: Array, now: Any) -> Array:
                return jnp.where(now == save, own, x)

            def read(x: Array) -> Array:
                return sum_over_bits(x, here)

            more, first = _backward(events, sizes, jnp.zeros_like(own), inject, jnp.bitwise_or, read)
            return number + 1, total + more, at_start + read(first)

        zero = jnp.zeros((*events.plan.wave.shape, width), values.dtype), jnp.zeros((num, width), values.dtype)
        init = (jnp.zeros((), jnp.int32), *zero)
        return jax.lax.while_loop(lambda loop: loop[0] < count, one_block, init)[1:]

    more, first = jax.lax.map(one_save, jnp.arange(num_saves, dtype=jnp.int32))
    return Sums(sums + weight * jnp.moveaxis(more, 0, -2), start + weight * jnp.moveaxis(first, 0, -2))


def _backward(
    events: Events,
    sizes: Sizes,
    x: Array,
    inject: Callable[[Array, Any], Array],
    union: Callable[[Array, Array], Array],
    read: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Runs over the events from the last to the first. `x`: what is carried, one row for each slot; `inject(x, save)` adds what
    begins at a save. After an edge both its particles carry the union of their rows. Returns `read` of the union of every event
    and x at the start."""
    shapes = jax.eval_shape(read, jax.ShapeDtypeStruct((events.plan.wave.shape[-1], *x.shape[1:]), x.dtype))

    def step(x: Array, events: Events) -> tuple[Array, Array]:
        plan = events.plan
        size = plan.wave.shape[-1] if sizes.leaps else chunk_size(sum(sizes.capacities))
        num = jnp.sum(events.places >= 0, dtype=jnp.int32)

        def chunk(loop: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            number, x, out = loop
            place = events.places[number]
            slots, wave, edge = at_chunk((plan.slots, plan.wave, plan.edge), place, size)
            together = (wave == wave[0]) & (wave >= 0)
            rows = x.at[slots].get(mode="promise_in_bounds")
            both = union(rows[0], rows[1])
            lane = jnp.arange(size, dtype=slots.dtype)
            nowhere = x.shape[0] + jnp.stack([lane, lane + size])
            target = jnp.where(together & edge, slots, nowhere)
            x = x.at[target].set(jnp.broadcast_to(both, rows.shape), mode="drop", unique_indices=True)
            # Lanes of later waves were written before.
            new = read(both)
            mask = together.reshape(-1, *[1] * (new.ndim - 1))
            old = jax.lax.dynamic_slice_in_dim(out, place, size)
            return number - 1, x, jax.lax.dynamic_update_slice_in_dim(out, jnp.where(mask, new, old), place, 0)

        out = jnp.zeros(shapes.shape, shapes.dtype)
        _, x, out = jax.lax.while_loop(lambda loop: loop[0] >= 0, chunk, (num - 1, x, out))
        return x, out

    def segment(x: Array, entry: tuple[Array, Events]) -> tuple[Array, Array]:
        number, events = entry
        return jax.lax.scan(step, inject(x, number + int(sizes.at_start)), events, reverse=True)

    numbers = jnp.arange(sizes.segments, dtype=jnp.int32)
    x, out = jax.lax.scan(segment, x, (numbers, events), reverse=True)
    return out, inject(x, jnp.zeros((), jnp.int32)) if sizes.at_start else x
