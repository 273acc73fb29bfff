"""One window of the exact clock: candidates drawn, ordered into waves, carried out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxkinetic_kernels import (
    advance,
    candidates,
    event_words,
    materialise,
    materialise_words,
    running_count,
    schedule,
    uniform,
)

from .._guard import undifferentiated
from .._system import AbstractPairJump
from .._types import Components, PyTree, RealScalar, Words
from ..states import Particles
from ._move import recomputed_flow
from ._table import Table, matched, pack, pair_columns, put, unpack

LATER = 2**31 - 1
_RATE = (
    "A derivative reaches the rate of the jumps (through a velocity it depends on, a strength, a volume, an exponent, dt), and "
    "at fixed noise it misses that events come and go; differentiate in what the rate does not depend on, for example the "
    "initial velocities of `boltzmann.KacWalk(Maxwell(), ...)` or gamma of `landau.Microcanonical(..., 'heat_kernel', h)`, or "
    "use finite differences of averages over many runs."
)


def of_rate(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x itself, which decides about events: a derivative in it is refused."""
    return undifferentiated(_RATE, x)


def guarded_rate(system: AbstractPairJump, v_i: Components, v_j: Components) -> Float[Array, "*pairs"]:
    """The rate, through which no derivative passes: neither in the velocities, also where it is made by comparisons, nor in
    parameters."""
    if not system.constant_rate:
        v_i, v_j = (tuple(of_rate(c) for c in v) for v in (v_i, v_j))
    return of_rate(jnp.broadcast_to(system.rate(v_i, v_j), v_i[0].shape))


def apart(active: Bool[Array, "*pairs"], v_i: Components, v_j: Components) -> tuple[Components, Components]:
    """The velocities where `active`, else a pair at rest and at relative speed 1: finite in value and in every derivative."""

    def masked(v: Sequence[Array], first: int) -> tuple[Array, ...]:
        return tuple(jnp.where(active, c, jnp.asarray(first * (k == 0), c.dtype)) for k, c in enumerate(v))

    return masked(v_i, 1), masked(v_j, 0)


class Window(NamedTuple):
    """`number`: that of its first candidate. `wait`: (K,) cumulative sums of Exp(1) waiting times. `drawn`: (3, K) int32, the
    two slots of each candidate and the word that decides its acceptance, from `candidates`. `plan`: (2, K + lanes), order and
    wave of the first `num_events`, from `schedule`. `lanes`: number of events that are carried out at once."""

    number: tuple[UInt32[Array, ""], UInt32[Array, ""]]
    wait: Float[Array, " K"]
    drawn: Int32[Array, "3 K"]
    num_events: Int32[Array, ""]
    plan: Int32[Array, "2 K+lanes"]
    num_waves: Int32[Array, ""]
    lanes: int


class Outcome(NamedTuple):
    """What carrying out a window gives. `exit`: the first event whose outcome left the envelope, or `LATER`. `above`: the first
    event with a rate above the bound, or `LATER`; `speed`, `excess`: its relative speed, and its rate over the bound."""

    table: Table
    place: Int32[Array, ""]
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
) -> tuple[Window, Bool[Array, ""]]:
    """The next candidates, at most `most`, that come before `budget`, the mean number of them in the time that is left; and
    whether the time ended before `most` of them."""
    offset = jnp.arange(capacity, dtype=jnp.uint32)
    numbers = advance((jnp.broadcast_to(number[0], offset.shape), number[1]), offset)
    wait, first, second, word = candidates(key, numbers, num_items, budget.dtype)
    wait = jnp.cumsum(wait)
    # One array, so that a wave needs one gather.
    drawn = materialise(jnp.stack([first, second, jax.lax.bitcast_convert_type(word, jnp.int32)]))
    index = jnp.arange(capacity, dtype=jnp.int32)
    count = jnp.sum((wait < budget) & (index < most), dtype=jnp.int32)
    order, wave, num_waves = schedule(drawn[0], drawn[1], count, num_slots)
    lanes = min(capacity, max(256, capacity // 16))
    plan = jnp.concatenate([jnp.stack([order, wave]), jnp.full((2, lanes), -1, jnp.int32)], axis=1)
    return Window(number, wait, drawn, count, plan, num_waves, lanes), count < most


def carry_out(
    key: Words,
    system: AbstractPairJump,
    env: PyTree,
    bound: RealScalar,
    window: Window,
    table: Table,
    last: Int32[Array, ""],
    loop: Callable[..., Any],
) -> Outcome:
    """The events of the window up to index `last`, chunk by chunk of events of one wave.

    `loop(cond, body, init)`: a `while_loop`, or one of bounded length."""
    dtype, dim = bound.dtype, len(unpack(table)) - 1
    zero = jnp.zeros((), dtype)
    start = jnp.zeros((), jnp.int32)
    never = jnp.asarray(LATER, jnp.int32)

    def chunk(loop: Outcome) -> Outcome:
        event, wave = jax.lax.dynamic_slice(window.plan, (jnp.zeros_like(loop.place), loop.place), (2, window.lanes))
        together = wave == wave[0]
        drawn = window.drawn.at[:, event].get(mode="clip")
        partners, word = drawn[:2], jax.lax.bitcast_convert_type(drawn[2], jnp.uint32)
        *velocity, alive = matched(loop.table, partners)
        active = together & (event <= last) & jnp.all(alive > 0, axis=0)
        # What is not to happen shall not reach a derivative either.
        v_i, v_j = apart(active, *(tuple(c[k] for c in velocity) for k in (0, 1)))
        rate = guarded_rate(system, v_i, v_j)
        happens = active & (uniform(word, dtype) * bound <= rate)
        numbers = advance((jnp.broadcast_to(window.number[0], event.shape), window.number[1]), event.astype(jnp.uint32))
        words = materialise_words(event_words(key, numbers, system.num_words(dim)))
        w_i, w_j, lives_i, lives_j = recomputed_flow(system.jump)(words, v_i, v_j)
        after, lives = pair_columns(w_i, w_j), jnp.stack([lives_i, lives_j])
        table = put(loop.table, partners, (*after, lives.astype(dtype)), happens)

        outside = happens & jnp.any(lives & ~system.inside(env, jax.lax.stop_gradient(after)), axis=0)
        over = active & ~((rate >= 0) & (rate <= bound))
        first = jnp.min(jnp.where(jnp.stack([outside, over]), event[None], LATER), axis=1)
        counted = jnp.sum(jnp.stack([together, happens]), axis=1, dtype=jnp.int32)
        z2 = sum((p - q) ** 2 for p, q in jax.lax.stop_gradient(list(zip(v_i, v_j, strict=True))))
        told = jnp.stack([jnp.sqrt(z2), jax.lax.stop_gradient(rate) / bound])
        told = jnp.sum(jnp.where((over & (event == first[1]))[None], told, zero), axis=1)
        told = jnp.where(first[1] < loop.above, told, jnp.stack([loop.speed, loop.excess]))
        return Outcome(
            table,
            loop.place + counted[0],
            jnp.minimum(loop.exit, first[0]),
            jnp.minimum(loop.above, first[1]),
            told[0],
            told[1],
            loop.accepted + counted[1],
        )

    init = Outcome(table, start, never, never, zero, zero, start)
    return loop(lambda loop: loop.place < window.num_events, chunk, init)


def compacted(
    table: Table, place: Int32[Array, " N"], used: Int32[Array, ""]
) -> tuple[Table, Int32[Array, " N"], Int32[Array, ""]]:
    """The alive first, in their order, if a fifth of those in use are dead: (table, place, used)."""
    alive = unpack(table)[-1] > 0
    num = jnp.sum(alive, dtype=jnp.int32)

    def sorted_by_life(table: Table, place: Array) -> tuple[Table, Array]:
        before = running_count(alive)
        index = jnp.arange(place.shape[0], dtype=jnp.int32)
        target = jnp.where(alive, before - 1, num + index - before)
        return [x.at[target].set(x, unique_indices=True) for x in table], place.at[target].set(
            place, unique_indices=True
        )

    many = 5 * (used - num) > used
    table, place = jax.lax.cond(many, sorted_by_life, lambda table, place: (table, place), table, place)
    return table, place, jnp.where(many, num, used)


def as_table(velocity: Float[Array, "N d"], alive: Bool[Array, " N"]) -> Table:
    """Velocities and, as a number, life."""
    return pack((*velocity.T, alive.astype(velocity.dtype)))


def without_table(state: Particles) -> Particles:
    """What jumps leave alone."""
    return eqx.tree_at(lambda p: (p.velocity, p.alive), state, (None, None))


def from_columns(columns: Sequence[Float[Array, " N"]], rest: Particles) -> Particles:
    """The state again, from the columns of `as_table` and `without_table`."""
    values = jnp.stack(columns[:-1], -1), columns[-1] > 0
    return eqx.tree_at(lambda p: (p.velocity, p.alive), rest, values, is_leaf=lambda x: x is None)
