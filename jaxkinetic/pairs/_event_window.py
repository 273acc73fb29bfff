"""One window of `ExactClock`: draws the candidates, groups them into batches of disjoint pairs, and carries them out.

The code calls a batch a wave, as `max_waves` does."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxkinetic_kernels import (
    advance,
    assign_waves,
    candidates,
    event_words,
    materialise,
    materialise_words,
    running_count,
    schedule,
    uniform,
)

from .._core.loops import bounded_loop, only_on_cpu
from .._core.system import AbstractPairJump
from .._util.types import PyTree, RealScalar, Words
from ._acceptance import guarded_rate, mask_inactive
from ._apply_pair_flow import recomputed_flow
from ._packed_columns import Table, matched, pair_columns, put, unpack, write

NO_EVENT = 2**31 - 1
# For at most so many candidates every batch is one chunk.
_FEW = 256


class Window(NamedTuple):
    """`number`: the number of the first candidate. `wait`: (K,) cumulative sums of Exp(1) waiting times. `drawn`: (3, K) int32,
    the two slots of each candidate and the word that decides its acceptance, from `candidates`. `plan`: int32; from
    `assign_waves` one row, the batch of each candidate; from `schedule` two rows with padding, order and batch. `planned`:
    the number of candidates in the plan; `num_events`: the number of those that belong to the window. `chunk_size`: the number
    of events carried out at once on the CPU. `max_before_last`: the largest number of batches before the last one, which
    carries out one event."""

    number: tuple[UInt32[Array, ""], UInt32[Array, ""]]
    wait: Float[Array, " K"]
    drawn: Int32[Array, "3 K"]
    plan: Int32[Array, "rows K+chunk_size"]
    planned: Int32[Array, ""]
    num_events: Int32[Array, ""]
    num_waves: Int32[Array, ""]
    chunk_size: int
    max_before_last: int


class Outcome(NamedTuple):
    """The result of carrying out a window. `complete`: whether the loop was long enough. `exit`: the first event whose outcome
    left the envelope, or `NO_EVENT`. `above`: the first event with a rate above the majorant, or `NO_EVENT`; `speed` and
    `excess`: the relative speed of its pair, and its rate divided by the majorant."""

    table: Table
    complete: Bool[Array, ""]
    exit: Int32[Array, ""]
    above: Int32[Array, ""]
    speed: RealScalar
    excess: RealScalar
    accepted: Int32[Array, ""]


def draw(
    key: Words,
    number: tuple[UInt32[Array, ""], UInt32[Array, ""]],
    num_items: Int32[Array, ""],
    capacity: int,
    most: Int32[Array, ""],
    budget: RealScalar,
    num_slots: int,
    max_before_last: int,
) -> tuple[Window, Bool[Array, ""]]:
    """The next candidates: at most `most`, those whose waiting time is below `budget` (the mean number of candidates in the
    time that is left), and at most as many as fit into `max_before_last` batches and one event (see `ExactClock`). Also returns
    whether the time ended before the other two limits."""
    # Numbers have 64 bits, in two words: an interval may need more than 2^32 candidates.
    offset = jnp.arange(capacity, dtype=jnp.uint32)
    numbers = advance((jnp.broadcast_to(number[0], offset.shape), number[1]), offset)
    wait, first, second, word = candidates(key, numbers, num_items, budget.dtype)
    wait = jnp.cumsum(wait)
    # One array, so that a batch needs only one gather.
    drawn = materialise(jnp.stack([first, second, jax.lax.bitcast_convert_type(word, jnp.int32)]))
    index = jnp.arange(capacity, dtype=jnp.int32)
    count = jnp.sum((wait < budget) & (index < most), dtype=jnp.int32)
    chunk_size = min(capacity, max(_FEW, capacity // 16))

    def sorted_by_wave(drawn: Array, count: Array) -> tuple[Array, Array]:
        order, wave, num_waves = schedule(drawn[0], drawn[1], count, num_slots, max_before_last)
        return jnp.concatenate([jnp.stack([order, wave]), jnp.full((2, chunk_size), -1, jnp.int32)], axis=1), num_waves

    def in_place(drawn: Array, count: Array) -> tuple[Array, Array]:
        wave, num_waves = assign_waves(drawn[0], drawn[1], count, num_slots, max_before_last)
        return wave[None], num_waves

    def in_place_padded(drawn: Array, count: Array) -> tuple[Array, Array]:
        plan, num_waves = in_place(drawn, count)
        return jnp.pad(jnp.concatenate([index[None], plan]), ((0, 0), (0, chunk_size)), constant_values=-1), num_waves

    if chunk_size == capacity:
        plan, num_waves = in_place(drawn, count)
    else:
        plan, num_waves = jax.lax.platform_dependent(drawn, count, cpu=sorted_by_wave, default=in_place_padded)
    # The first candidate that is in none of the batches; all before it are in one.
    where = index if chunk_size == capacity else plan[0, :capacity]
    unreached = jnp.min(jnp.where(plan[-1, :capacity] == max_before_last, where, NO_EVENT))
    cut = unreached < NO_EVENT
    num_events = jnp.where(cut, unreached + 1, count)
    window = Window(number, wait, drawn, plan, count, num_events, num_waves, chunk_size, max_before_last)
    return window, (count < most) & ~cut


def carry_out(
    key: Words,
    system: AbstractPairJump,
    env: PyTree,
    bound: RealScalar,
    window: Window,
    table: Table,
    last: Int32[Array, ""],
    max_waves: int | None,
) -> Outcome:
    """Carries out the events of the window up to index `last`, batch by batch.

    On accelerators, and if there are few candidates, every batch processes all candidates under a mask: a loop of known length.
    On the CPU a batch processes its own events in chunks. With `max_waves` the loops are bounded, as reverse mode requires."""
    count = system.num_words(len(unpack(table)) - 1)

    def words_of(event: Int32[Array, " K"]) -> tuple[UInt32[Array, " K"], ...]:
        numbers = advance((jnp.broadcast_to(window.number[0], event.shape), window.number[1]), event.astype(jnp.uint32))
        return materialise_words(event_words(key, numbers, count))

    def collide(table: Table, event: Array, partners: Array, word: Array, words: Any, selected: Array) -> _Events:
        return _collide(system, env, bound, table, partners, word, words, selected & (event <= last))

    def in_waves(table: Table) -> Outcome:
        return _in_waves(collide, words_of, window, table, max_waves, bound.dtype)

    def in_chunks(table: Table) -> Outcome:
        return _in_chunks(collide, words_of, window, table, max_waves, bound.dtype)

    if window.chunk_size == window.drawn.shape[1]:
        return in_waves(table)
    return jax.lax.platform_dependent(table, cpu=in_chunks, default=in_waves)


class _Events(NamedTuple):
    """The table after some candidates: which of them happen, which of those leave the envelope, which have a rate above the
    majorant; the relative speeds of their pairs, and their rates divided by the majorant."""

    table: Table
    happens: Bool[Array, " K"]
    outside: Bool[Array, " K"]
    over: Bool[Array, " K"]
    speed: Float[Array, " K"]
    excess: Float[Array, " K"]


def _collide(
    system: AbstractPairJump,
    env: PyTree,
    bound: RealScalar,
    table: Table,
    partners: Int32[Array, "2 K"],
    word: Int32[Array, " K"],
    words: tuple[UInt32[Array, " K"], ...],
    selected: Bool[Array, " K"],
) -> _Events:
    """Carries out the `selected` candidates, whose pairs are disjoint."""
    dtype = bound.dtype
    word = jax.lax.bitcast_convert_type(word, jnp.uint32)
    *velocity, alive = matched(table, partners)
    active = selected & jnp.all(alive > 0, axis=0)
    # Mask inactive events before `jump`, so that they contribute no gradient.
    v_i, v_j = mask_inactive(active, *(tuple(c[k] for c in velocity) for k in (0, 1)))
    rate = guarded_rate(system, v_i, v_j)
    # Thinning. A rate above the majorant would be accepted too rarely; `over` reports it.
    happens = active & (uniform(word, dtype) * bound <= rate)
    w_i, w_j, lives_i, lives_j = recomputed_flow(system.jump)(words, v_i, v_j)
    after, lives = pair_columns(w_i, w_j), jnp.stack([lives_i, lives_j])
    table = put(table, partners, (*after, lives.astype(dtype)), happens)

    outside = happens & jnp.any(lives & ~system.inside(env, jax.lax.stop_gradient(after)), axis=0)
    over = active & ~((rate >= 0) & (rate <= bound))
    z2 = sum((p - q) ** 2 for p, q in jax.lax.stop_gradient(list(zip(v_i, v_j, strict=True))))
    return _Events(table, happens, outside, over, jnp.sqrt(z2), jax.lax.stop_gradient(rate) / bound)


def _in_waves(
    collide: Callable[..., _Events],
    words_of: Callable[..., Any],
    window: Window,
    table: Table,
    max_waves: int | None,
    dtype: jnp.dtype,
) -> Outcome:
    """Every batch processes all candidates under a mask. Results are kept for each candidate and summed once, at the end."""
    capacity = window.drawn.shape[1]
    event = jnp.arange(capacity, dtype=jnp.int32)
    wave = window.plan[-1, :capacity]
    length = window.max_before_last + 1 if max_waves is None else min(window.max_before_last, max_waves) + 1

    words = words_of(event)

    def one_batch(number: Any, loop: _Events) -> _Events:
        # Candidates of other batches read the slot of their own index, so that these reads are contiguous.
        in_batch = wave == number
        partners = jnp.where(in_batch, window.drawn[:2], event[None])
        now = collide(loop.table, event, partners, window.drawn[2], words, in_batch)
        flags = (before | new for before, new in zip(loop[1:4], now[1:4], strict=True))
        told = (jnp.where(now.over, new, before) for before, new in zip(loop[4:], now[4:], strict=True))
        return _Events(now.table, *flags, *told)

    no, zeros = jnp.zeros(capacity, bool), jnp.zeros(capacity, dtype)
    init = _Events(table, no, no, no, zeros, zeros)
    end = repeated(one_batch, init, window.num_waves, length, bounded=max_waves is not None)
    first = jnp.min(jnp.where(jnp.stack([end.outside, end.over]), event, NO_EVENT), axis=1)
    told = jnp.stack([end.speed, end.excess])[:, jnp.minimum(first[1], capacity - 1)]
    accepted = jnp.sum(end.happens, dtype=jnp.int32)
    return Outcome(end.table, window.num_waves <= length, first[0], first[1], told[0], told[1], accepted)


def _in_chunks(
    collide: Callable[..., _Events],
    words_of: Callable[..., Any],
    window: Window,
    table: Table,
    max_waves: int | None,
    dtype: jnp.dtype,
) -> Outcome:
    """Processes chunks of at most `chunk_size` events of one batch, in the order of the plan."""
    zero = jnp.zeros((), dtype)
    start = jnp.zeros((), jnp.int32)
    never = jnp.asarray(NO_EVENT, jnp.int32)

    def chunk(loop: tuple[Array, Outcome]) -> tuple[Array, Outcome]:
        place, so_far = loop
        event, wave = jax.lax.dynamic_slice(window.plan, (jnp.zeros_like(place), place), (2, window.chunk_size))
        together = wave == wave[0]
        drawn = window.drawn.at[:, event].get(mode="clip")
        now = collide(so_far.table, event, drawn[:2], drawn[2], words_of(event), together)
        first = jnp.min(jnp.where(jnp.stack([now.outside, now.over]), event[None], NO_EVENT), axis=1)
        counted = jnp.sum(jnp.stack([together, now.happens]), axis=1, dtype=jnp.int32)
        told = jnp.stack([now.speed, now.excess])
        told = jnp.sum(jnp.where((now.over & (event == first[1]))[None], told, zero), axis=1)
        # Keep the speed and the excess of the earliest such event.
        told = jnp.where(first[1] < so_far.above, told, jnp.stack([so_far.speed, so_far.excess]))
        return place + counted[0], Outcome(
            now.table,
            so_far.complete,
            jnp.minimum(so_far.exit, first[0]),
            jnp.minimum(so_far.above, first[1]),
            told[0],
            told[1],
            so_far.accepted + counted[1],
        )

    init = start, Outcome(table, jnp.ones((), bool), never, never, zero, zero, start)
    # Full chunks of the window, and at most one incomplete chunk per batch.
    bound = None if max_waves is None else max_waves + -(-window.drawn.shape[1] // window.chunk_size)
    place, outcome = repeat_while(bound)(lambda loop: loop[0] < window.planned, chunk, init)
    return outcome._replace(complete=place >= window.planned)


def repeat_while(bound: int | None) -> Callable[..., Any]:
    """A function (cond, body, init) with the result of `while_loop`. With a bound it is a scan of that length, which supports
    reverse mode."""
    if bound is None:
        return jax.lax.while_loop

    def bounded(cond: Callable[[Any], Array], body: Callable[[Any], Any], init: Any) -> Any:
        return bounded_loop(lambda loop, _: cond(loop), lambda loop, _: body(loop), init, bound)

    return bounded


def repeated(body: Callable[..., Any], init: Any, count: Int32[Array, ""], length: int, *, bounded: bool) -> Any:
    """Applies body(k, x) for k = 0, ..., min(count, length) - 1. On accelerators it runs for all k below `length`, which needs
    no synchronisation with the host; `body` must therefore be the identity for k >= count. `bounded`: a loop that supports
    reverse mode, also on the CPU."""
    end = jnp.minimum(count, length)
    if bounded:
        # One loop is differentiated for all platforms; on accelerators the condition is constant and is removed.
        return bounded_loop(lambda _, k: only_on_cpu(k < end, True), lambda x, k: body(k, x), init, length)

    # Jitted, so that `body` is traced once for both loops.
    body = jax.jit(body)

    def all_turns(init: Any, end: Int32[Array, ""]) -> Any:
        return jax.lax.fori_loop(0, length, body, init)

    def on_cpu(init: Any, end: Int32[Array, ""]) -> Any:
        start = jnp.zeros((), jnp.int32), init
        return jax.lax.while_loop(lambda loop: loop[0] < end, lambda loop: (loop[0] + 1, body(*loop)), start)[1]

    return jax.lax.platform_dependent(init, end, cpu=on_cpu, default=all_turns)


def compact(
    table: Table, place: Int32[Array, " N"], used: Int32[Array, ""]
) -> tuple[Table, Int32[Array, " N"], Int32[Array, ""]]:
    """(table, place, used) with the particles that are alive moved to the front, in order, if a fifth of the used slots are
    dead."""
    alive = unpack(table)[-1] > 0
    num = jnp.sum(alive, dtype=jnp.int32)

    def sorted_by_life(table: Table, place: Array) -> tuple[Table, Array]:
        before = running_count(alive)
        index = jnp.arange(place.shape[0], dtype=jnp.int32)
        target = jnp.where(alive, before - 1, num + index - before)
        return [write(x, target, x) for x in table], place.at[target].set(place, unique_indices=True)

    # Moving all columns costs more than thinning a few candidates on dead slots.
    many = 5 * (used - num) > used
    table, place = jax.lax.cond(many, sorted_by_life, lambda table, place: (table, place), table, place)
    return table, place, jnp.where(many, num, used)
