"""Group events on pairs of items, ordered by index, into waves of events that share no item.

The wave of an event is one more than that of the latest earlier event on either of its items. Maps on disjoint pairs commute,
so all events of a wave can be applied at once, with the same result as one event at a time.
"""

import jax
import jax.numpy as jnp

__all__ = ["assign_waves", "running_count", "schedule", "waves_one_by_one"]

# When 1/4 and 1/16 of the events are left, a loop with fewer lanes takes over, at the price of two more copies of the loop's
# body in the program. Loops with fewer than `_FEW` lanes are not worth it.
_SHARES = (4, 16)
_FEW = 1 << 10
_LATER = 2**31 - 1


def waves_one_by_one(first: jax.Array, second: jax.Array, count: jax.Array | int, num_items: int) -> jax.Array:
    """The wave of every event, computed one event at a time: the definition, and the reference for `schedule`. Events from
    number `count` on get -1. Shapes as in `schedule`."""

    def event(last: jax.Array, x: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        index, i, j = x
        wave = jnp.maximum(last[i], last[j]) + 1
        counts = index < count
        last = jnp.where(counts, last.at[i].set(wave).at[j].set(wave), last)
        return last, jnp.where(counts, wave, -1)

    index = jnp.arange(first.shape[0], dtype=jnp.int32)
    return jax.lax.scan(event, jnp.full(num_items, -1, jnp.int32), (index, first, second))[1]


def assign_waves(
    first: jax.Array, second: jax.Array, count: jax.Array | int, num_items: int, most: int
) -> tuple[jax.Array, jax.Array]:
    """The wave of every event, by passes over all K events. On the CPU there is one pass per wave; on accelerators `most`
    passes, a loop of known length that does not wait for the host.

    **Arguments:** as in `schedule`.

    **Returns:** `wave`: (K,) int32, as in `schedule` but in the order of the events; and the number of waves.
    """
    num_events = first.shape[0]
    pairs = jnp.stack([first, second])
    event = jnp.arange(num_events, dtype=jnp.int32)
    # Claims decrease from wave to wave, so that the higher claims of earlier waves need not be removed.
    stride = num_events if num_events * most <= _LATER else 0

    def turn(number: jax.Array | int, loop: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        wave, earliest = loop
        if not stride:
            earliest = jnp.full_like(earliest, _LATER)
        # Finished events get an index out of bounds, which costs no atomic operation.
        items = jnp.where(wave == most, pairs, num_items)
        claim = event - number * stride
        earliest = earliest.at[items].min(claim[None], mode="drop")
        ready = jnp.all(earliest.at[pairs].get(mode="promise_in_bounds") == claim[None], axis=0)
        return jnp.where(ready, number, wave), earliest

    def until_done(wave: jax.Array, earliest: jax.Array) -> jax.Array:
        return jax.lax.while_loop(
            lambda loop: (loop[0] < most) & jnp.any(loop[1][0] == most),
            lambda loop: (loop[0] + 1, turn(*loop)),
            (jnp.zeros((), jnp.int32), (wave, earliest)),
        )[1][0]

    def known_length(wave: jax.Array, earliest: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, most, turn, (wave, earliest))[0]

    # `most`, the number after the last wave, marks open events.
    wave = jnp.where(event < jnp.asarray(count, jnp.int32), most, -1).astype(jnp.int32)
    earliest = jnp.full(num_items, _LATER, jnp.int32)
    wave = jax.lax.platform_dependent(wave, earliest, cpu=until_done, default=known_length)
    return wave, jnp.max(wave) + 1


def schedule(
    first: jax.Array, second: jax.Array, count: jax.Array | int, num_items: int, most: int = _LATER
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sort the first `count` events into an order in which they can be applied wave by wave.

    **Arguments:** `first`, `second`: (K,) int32, the two different items of each event, below `num_items`; events are ordered
    by index. `count`: the number of valid events, at most K; may be traced. `most`: the maximal number of waves.

    **Returns:** `order`: (K,) int32, the indices sorted by (wave, index), invalid events last; `wave`: (K,) int32, the wave of
    `order[k]`, -1 for invalid events, `most` for events that are in none of the first `most` waves; and the number of waves,
    which is `most` + 1 if there are such events.

    An event is ready if it is the earliest open event of both its items. A wave costs one scatter-min and one gather over the
    open events, which are compacted as their number falls, and a fill of `num_items` numbers. Memory K + num_items. For
    K = num_items/4 there are about 8 waves, and three of five events are in the first. Written for the CPU; use `assign_waves`
    for few events or on an accelerator.
    """
    num_events = first.shape[0]
    end, pairs = jnp.asarray(count, jnp.int32), jnp.stack([first, second])

    def turn(size: int, loop: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        order, wave, begin, number = loop
        # Near the end the slice begins before `begin`; its first lanes are already finished.
        start = jnp.minimum(begin, num_events - size)
        lane = start + jnp.arange(size, dtype=jnp.int32)
        event = jax.lax.dynamic_slice(order, (start,), (size,))
        is_open = (lane >= begin) & (lane < end)
        items = pairs.at[:, event].get(mode="promise_in_bounds")
        earliest = jnp.full(num_items, _LATER, jnp.int32)
        claims = jnp.broadcast_to(jnp.where(is_open, event, _LATER), items.shape)
        earliest = earliest.at[items].min(claims, mode="promise_in_bounds")
        ready = is_open & jnp.all(earliest.at[items].get(mode="promise_in_bounds") == event[None], axis=0)
        before = running_count(ready)
        total = before[-1]
        # A stable partition: the ready events, then the waiting ones, both in order of index.
        place = jnp.where(ready, begin + before - 1, lane + total - before)
        place = jnp.where(is_open, place, lane) - start
        event = jnp.zeros_like(event).at[place].set(event, unique_indices=True)
        done = (lane >= begin) & (lane < begin + total)
        wave_here = jnp.where(done, number, jax.lax.dynamic_slice(wave, (start,), (size,)))
        order = jax.lax.dynamic_update_slice(order, event, (start,))
        wave = jax.lax.dynamic_update_slice(wave, wave_here, (start,))
        return order, wave, begin + total, number + 1

    index = jnp.arange(num_events, dtype=jnp.int32)
    loop = (index, jnp.full(num_events, -1, jnp.int32), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
    sizes = [num_events] + [num_events // share for share in _SHARES if num_events // share >= _FEW]
    for size, smaller in zip(sizes, [*sizes[1:], 0], strict=True):
        loop = jax.lax.while_loop(
            lambda loop, smaller=smaller: (end - loop[2] > smaller) & (loop[3] < most),
            lambda loop, size=size: turn(size, loop),
            loop,
        )
    order, wave, begin, number = loop
    return order, jnp.where((index >= begin) & (index < end), most, wave), number + (begin < end).astype(jnp.int32)


def running_count(flags: jax.Array) -> jax.Array:
    """`jnp.cumsum` of flags as int32, computed in blocks by a product with a triangular matrix, which is exact in float32.
    XLA's own cumulative sum is a few times slower on the CPU."""
    block = 128
    num = flags.shape[0]
    rows = jnp.pad(flags, (0, -num % block)).reshape(-1, block).astype(jnp.float32)
    triangle = jnp.triu(jnp.ones((block, block), jnp.float32))
    inside = jnp.matmul(rows, triangle, precision=jax.lax.Precision.HIGHEST).astype(jnp.int32)
    total = inside[:, -1]
    offset = jnp.cumsum(total, dtype=jnp.int32) - total
    return (inside + offset[:, None]).reshape(-1)[:num]
