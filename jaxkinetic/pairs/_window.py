"""One window of the exact clock: candidates drawn, ordered into waves, carried out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxkinetic_kernels import advance, candidates, event_words, materialise, materialise_words, schedule, uniform

from .._guard import undifferentiated
from .._system import AbstractPairJump
from .._types import PyTree, Words
from ..states import Particles
from ._table import Table, at, pack, put, unpack

LATER = 2**31 - 1
_RATE = (
    "A derivative reaches the rate of the jumps (through a velocity it depends on, a strength, a volume, an exponent, dt), and "
    "at fixed noise it misses that events come and go; differentiate in what the rate does not depend on, for example the "
    "initial velocities of `boltzmann.KacWalk(Maxwell(), ...)` or gamma of `landau.Microcanonical(..., 'heat_kernel', h)`, or "
    "use finite differences of averages over many runs."
)


def of_rate(x: Array) -> Array:
    """x itself, which decides about events: a derivative in it is refused."""
    return undifferentiated(_RATE, x)


def guarded_rate(system: AbstractPairJump, v_i: tuple[Array, ...], v_j: tuple[Array, ...]) -> Array:
    """The rate, through which no derivative passes: neither in the velocities, also where it is made by comparisons, nor in
    parameters."""
    if not system.constant_rate:
        v_i, v_j = (tuple(of_rate(c) for c in v) for v in (v_i, v_j))
    return of_rate(jnp.broadcast_to(system.rate(v_i, v_j), v_i[0].shape))


def apart(active: Array, v_i: Sequence[Array], v_j: Sequence[Array]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The velocities where `active`, else a pair at rest and at relative speed 1: finite in value and in every derivative."""

    def masked(v: Sequence[Array], first: int) -> tuple[Array, ...]:
        return tuple(jnp.where(active, c, jnp.asarray(first * (k == 0), c.dtype)) for k, c in enumerate(v))

    return masked(v_i, 1), masked(v_j, 0)


class Window(NamedTuple):
    """`number`: of its first candidate. `wait`: (K,) sums of the Exp(1) waiting times. `first`, `second`, `word`: (K,), as
    `candidates` draws them. `order`, `wave`: as `schedule` gives them, for the first `num_events`. `lanes`: how many events are
    carried out at once."""

    number: tuple[Array, Array]
    wait: Array
    first: Array
    second: Array
    word: Array
    num_events: Array
    order: Array
    wave: Array
    num_waves: Array
    lanes: int


class Outcome(NamedTuple):
    """What carrying out a window gives. `exit`: the first event whose outcome left the envelope, or `LATER`. `above`: the first
    event with a rate above the bound, or `LATER`; `speed`, `excess`: its relative speed, and its rate over the bound."""

    table: Table
    place: Array
    exit: Array
    above: Array
    speed: Array
    excess: Array
    accepted: Array


def draw(
    key: Words, number: tuple[Array, Array], num_items: Array, capacity: int, most: Array, budget: Array, num_slots: int
) -> tuple[Window, Array]:
    """The next candidates, at most `most`, that come before `budget`, the mean number of them in the time that is left; and
    whether the time ended before `most` of them."""
    offset = jnp.arange(capacity, dtype=jnp.uint32)
    numbers = advance((jnp.broadcast_to(number[0], offset.shape), number[1]), offset)
    wait, first, second, word = candidates(key, numbers, num_items, budget.dtype)
    wait = jnp.cumsum(wait)
    first, second = materialise(first), materialise(second)
    index = jnp.arange(capacity, dtype=jnp.int32)
    count = jnp.sum((wait < budget) & (index < most), dtype=jnp.int32)
    order, wave, num_waves = schedule(first, second, count, num_slots)
    lanes = min(capacity, max(256, capacity // 16))
    padding = (0, lanes)
    order, wave = jnp.pad(order, padding), jnp.pad(wave, padding, constant_values=-1)
    return Window(number, wait, first, second, word, count, order, wave, num_waves, lanes), count < most


def carry_out(
    key: Words, system: AbstractPairJump, env: PyTree, bound: Array, window: Window, table: Table, last: Array,
    loop: Callable[..., Any],
) -> Outcome:  # fmt: skip
    """The events of the window up to index `last`, chunk by chunk of events of one wave.

    `loop(cond, body, init)`: a `while_loop`, or one of bounded length."""
    dtype, dim = bound.dtype, len(unpack(table)) - 1
    zero = jnp.zeros((), dtype)
    start = jnp.zeros((), jnp.int32)
    never = jnp.asarray(LATER, jnp.int32)

    def chunk(loop: Outcome) -> Outcome:
        event = jax.lax.dynamic_slice(window.order, (loop.place,), (window.lanes,))
        wave = jax.lax.dynamic_slice(window.wave, (loop.place,), (window.lanes,))
        together = wave == wave[0]
        active = together & (event <= last)
        i, j, word = (at(x, event) for x in (window.first, window.second, window.word))
        (*v_i, alive_i), (*v_j, alive_j) = (unpack([materialise(at(x, k)) for x in loop.table]) for k in (i, j))
        active &= (alive_i > 0) & (alive_j > 0)
        # What is not to happen shall not reach a derivative either.
        v_i, v_j = apart(active, v_i, v_j)
        rate = guarded_rate(system, v_i, v_j)
        happens = active & (uniform(word, dtype) * bound <= rate)
        numbers = advance((jnp.broadcast_to(window.number[0], event.shape), window.number[1]), event.astype(jnp.uint32))
        words = materialise_words(event_words(key, numbers, system.num_words(dim)))
        w_i, w_j, lives_i, lives_j = system.jump(words, v_i, v_j)
        new_i, new_j = ((*w, lives.astype(dtype)) for w, lives in ((w_i, lives_i), (w_j, lives_j)))
        table = put(put(loop.table, i, new_i, happens), j, new_j, happens)

        def first_of(where: Array) -> Array:
            return jnp.min(jnp.where(where, event, LATER))

        outside = (lives_i & ~system.inside(env, w_i)) | (lives_j & ~system.inside(env, w_j))
        over = active & ~((rate >= 0) & (rate <= bound))
        above = first_of(over)
        z2 = sum((p - q) ** 2 for p, q in zip(v_i, v_j, strict=True))
        earlier = above < loop.above
        speed, excess = (
            jnp.where(earlier, jnp.sum(jnp.where(over & (event == above), jax.lax.stop_gradient(x), zero)), old)
            for x, old in ((jnp.sqrt(jax.lax.stop_gradient(z2)), loop.speed), (rate / bound, loop.excess))
        )
        return Outcome(
            table,
            loop.place + jnp.sum(together, dtype=jnp.int32),
            jnp.minimum(loop.exit, first_of(happens & outside)),
            jnp.minimum(loop.above, above),
            speed,
            excess,
            loop.accepted + jnp.sum(happens, dtype=jnp.int32),
        )

    init = Outcome(table, start, never, never, zero, zero, start)
    return loop(lambda loop: loop.place < window.num_events, chunk, init)


def compacted(table: Table, place: Array, used: Array) -> tuple[Table, Array, Array]:
    """The alive first, in their order, if a fifth of those in use are dead: (table, place, used)."""
    alive = unpack(table)[-1] > 0
    num = jnp.sum(alive, dtype=jnp.int32)

    def sorted_by_life(table: Table, place: Array) -> tuple[Table, Array]:
        before = jnp.cumsum(alive, dtype=jnp.int32)
        index = jnp.arange(place.shape[0], dtype=jnp.int32)
        target = jnp.where(alive, before - 1, num + index - before)
        return [x.at[target].set(x, unique_indices=True) for x in table], place.at[target].set(
            place, unique_indices=True
        )

    many = 5 * (used - num) > used
    table, place = jax.lax.cond(many, sorted_by_life, lambda table, place: (table, place), table, place)
    return table, place, jnp.where(many, num, used)


def as_table(velocity: Array, alive: Array) -> Table:
    """Velocities and, as a number, life."""
    return pack((*velocity.T, alive.astype(velocity.dtype)))


def without_table(state: Particles) -> Particles:
    """What jumps leave alone."""
    return eqx.tree_at(lambda p: (p.velocity, p.alive), state, (None, None))


def from_columns(columns: Sequence[Array], rest: Particles) -> Particles:
    """The state again, from the columns of `as_table` and `without_table`."""
    values = jnp.stack(columns[:-1], -1), columns[-1] > 0
    return eqx.tree_at(lambda p: (p.velocity, p.alive), rest, values, is_leaf=lambda x: x is None)
