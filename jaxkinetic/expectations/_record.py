"""One run of a jump process over candidates that are known in advance, with what a gradient needs to know of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from jaxkinetic_kernels import fold_in

from .._core.run_key import run_words
from .._core.system import AbstractPairJump
from .._util.checks import cast_floating
from .._util.decisions import logged_decisions
from .._util.types import Key, PyTree, RealScalar, Words
from ..pairs._jump_columns import as_table, from_columns, without_table
from ..pairs._packed_columns import Table, matched, put, unpack
from ..states import Particles
from ._events import Columns, Leaping, Thinning, carried_out
from ._plans import Plan, chunk_size, clock_plan, matching_plan

FINE, MANY_CANDIDATES, ABOVE_BOUND = 0, 1, 2


class Sizes(eqx.Module):
    """Static numbers: `segments` intervals between saves of `every` steps each; the capacities of real and virtual candidates
    of a step; `turns`, the largest number of chunks of a step; `factor`: see `Thinning`; `headroom`: the majorant divided by
    the largest rate at the start."""

    segments: int = eqx.field(static=True)
    every: int = eqx.field(static=True)
    at_start: bool = eqx.field(static=True)
    capacities: tuple[int, int] = eqx.field(static=True)
    turns: int = eqx.field(static=True)
    factor: float = eqx.field(static=True)
    headroom: float = eqx.field(static=True)
    leaps: bool = eqx.field(static=True)
    decides: bool = eqx.field(static=True)

    @property
    def virtual(self) -> bool:
        return self.capacities[1] > 0


class LoggedStart(eqx.Module):
    """Makes an initial state from a key, and the log-probabilities of the random decisions in it."""

    make: Callable[[Key], Particles]

    def __call__(self, key: Key) -> tuple[Particles, list[Array]]:
        with logged_decisions() as found:
            return self.make(key), found


class RunFunction(eqx.Module):
    """A function of the sums of one run at one save, `row` their shape. Maps (m,) to (p,). None: the sums themselves."""

    function: Callable[[Array], Array] | None
    row: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, sums: Float[Array, " m"]) -> Float[Array, " p"]:
        if self.function is None:
            return sums
        return jnp.asarray(self.function(sums.reshape(self.row))).reshape(-1).astype(sums.dtype)


class Given(eqx.Module):
    """What a run is made of; its floating leaves can be differentiated. `start`: a state, or a `LoggedStart`."""

    system: AbstractPairJump
    start: Any
    observe: Callable[[Particles], Array]
    function: "RunFunction"


class Events(NamedTuple):
    """The candidates of a run, leading axes (segments, every). `before`: the velocities before each candidate; `active`:
    whether both its particles were alive; `happens`: whether it happened; `places`: the first lane of every chunk, -1 beyond
    the last."""

    plan: Plan
    before: Columns
    active: Bool[Array, " K"]
    happens: Bool[Array, " K"]
    places: Int32[Array, " turns"]


class Record(NamedTuple):
    """`rows`: (T, N, m), the observable of each particle, 0 for the dead. `alive`: (T, N). `tables`: the particles at the
    saves. `events`: None unless they are kept. `fault`: a code."""

    rows: Float[Array, "T N m"]
    tables: Table
    events: Any
    fault: Int32[Array, ""]
    counts: Int32[Array, "2"]


def replica_keys(key: Key, index: Any) -> tuple[Key, Key]:
    """The keys of the initial state and of the noise of replica `index`, those of `ensemble`."""
    ours, noise = jax.random.split(jax.random.fold_in(key, index))
    return ours, noise


def initial_state(given: Given, key: Key) -> tuple[Particles, list[Array]]:
    """The initial state, and the log-probabilities of the random decisions that made it."""
    if isinstance(given.start, Particles):
        return given.start, []
    return given.start(key)


def rows_of(observe: Callable[[Particles], Array], state: Particles) -> Float[Array, "N m"]:
    """The observable of each particle; 0 for the dead, which contribute no gradient either."""
    rows = jnp.asarray(observe(state))
    rows = rows.reshape(state.num_slots, -1).astype(state.velocity.dtype)
    return jnp.where(state.alive[:, None], rows, 0)


def majorant_of(system: AbstractPairJump, state: Particles, headroom: float, decides: bool) -> RealScalar:
    """The bound of the rates during the run. It must not depend on decisions: if the start `decides` which slots are alive, all
    count as alive."""
    alive = jnp.ones_like(state.alive) if decides else state.alive
    dtype = state.velocity.dtype
    env = system.envelope(Particles(state.velocity, alive=alive))
    most = jnp.asarray(system.clock(state.num_alive), dtype) * jnp.asarray(system.rate_bound(env), dtype)
    # Also where the bound holds for all velocities: a rate that reaches the majorant happens for certain and has no score.
    return jax.lax.stop_gradient(most if system.constant_rate else headroom * most)


def law_of(system: AbstractPairJump, state: Particles, dt: RealScalar, sizes: Sizes) -> Thinning | Leaping:
    majorant = majorant_of(system, state, sizes.headroom, sizes.decides)
    if sizes.leaps:
        num = state.num_slots
        return Leaping(majorant, dt.astype(majorant.dtype) * (num + num % 2 - 1))
    return Thinning(majorant, sizes.factor)


def plan_of(
    law: Thinning | Leaping, key: Words, state: Particles, dt: RealScalar, sizes: Sizes, num_words: int
) -> tuple[Plan, Bool[Array, ""]]:
    if isinstance(law, Leaping):
        return matching_plan(key, state.ident, -jnp.expm1(-law.time * law.majorant), num_words)
    num, dtype = state.num_slots, law.majorant.dtype
    mean = law.majorant * dt.astype(dtype) * (num * (num - 1) / 2)
    return clock_plan(key, num, sizes.capacities, (mean, (sizes.factor - 1) * mean), num_words)


def run_replica(given: Given, dt: RealScalar, keys: tuple[Key, Key], sizes: Sizes, *, keep: bool) -> Record:
    """The run of one replica. `keep`: return the events too."""
    ours, noise = keys
    state, _ = initial_state(given, ours)
    system = cast_floating(given.system, state.velocity.dtype)
    words = run_words(noise)
    law = law_of(system, state, dt, sizes)
    rest, num_alive = without_table(state), state.num_alive
    num_words = system.num_words(state.dim)

    def step(loop: tuple[Table, Array, Array], number: Array) -> tuple[tuple[Table, Array, Array], PyTree]:
        table, fault, counts = loop
        plan, full = plan_of(law, fold_in(words, number), state, dt, sizes, num_words)
        table, kept, over, done, happened = _carry_out(system, law, num_alive, plan, table, sizes, keep)
        fault = jnp.maximum(fault, jnp.where(full | ~done, MANY_CANDIDATES, FINE))
        fault = jnp.maximum(fault, jnp.where(over, ABOVE_BOUND, FINE))
        return (table, fault, counts + jnp.stack([plan.total, happened])), (Events(plan, *kept) if keep else None)

    def segment(loop: PyTree, first: Array) -> tuple[PyTree, PyTree]:
        loop, events = jax.lax.scan(step, loop, first + jnp.arange(sizes.every, dtype=jnp.int32))
        return loop, (rows_of(given.observe, from_columns(unpack(loop[0]), rest)), loop[0], events)

    loop = as_table(state.velocity, state.alive), jnp.zeros((), jnp.int32), jnp.zeros(2, jnp.int32)
    firsts = jnp.arange(sizes.segments, dtype=jnp.int32) * sizes.every
    (_, fault, counts), (rows, tables, events) = jax.lax.scan(segment, loop, firsts)
    if sizes.at_start:
        rows = jnp.concatenate([rows_of(given.observe, state)[None], rows])
        tables = [jnp.concatenate([a[None], b]) for a, b in zip(loop[0], tables, strict=True)]
    return Record(rows, tables, events, fault, counts)


def _carry_out(
    system: AbstractPairJump,
    law: Any,
    num_alive: RealScalar,
    plan: Plan,
    table: Table,
    sizes: Sizes,
    keep: bool,
) -> tuple[Table, PyTree, Array, Array, Array]:
    """(table, what is kept of the events, whether a rate exceeded the majorant, whether all chunks were carried out)."""
    dtype, dim = law.majorant.dtype, len(unpack(table)) - 1
    padded = plan.wave.shape[0]
    num = padded if sizes.leaps else sum(sizes.capacities)
    size = num if sizes.leaps else chunk_size(num)

    def chunk(loop: Any) -> Any:
        place, turn, table, kept, places, over, happened = loop
        slots, wave, level, words = at_chunk((plan.slots, plan.wave, plan.level, plan.words), place, size)
        together = (wave == wave[0]) & (wave >= 0)
        *before, life = matched(table, slots)
        active = together & jnp.all(life > 0, axis=0)
        after, lives, happens, above = carried_out(system, law, num_alive, tuple(before), words, level, active)
        table = put(table, slots, (*after, lives.astype(dtype)), happens)
        if keep:
            # Lanes of later waves are written again by their own chunk.
            kept = to_chunk(kept, (tuple(before), active, happens), place)
            places = places.at[turn].set(place, mode="drop")
        happened = happened + jnp.sum(happens, dtype=jnp.int32)
        place = place + jnp.sum(together, dtype=jnp.int32)
        return place, turn + 1, table, kept, places, over | jnp.any(above), happened

    zero = jnp.zeros((), jnp.int32)
    no = jnp.zeros(padded, bool)
    kept = (tuple(jnp.zeros((2, padded), dtype) for _ in range(dim)), no, no) if keep else None
    places = jnp.full(sizes.turns, -1, jnp.int32)
    loop = zero, zero, table, kept, places, jnp.zeros((), bool), zero
    loop = chunk(loop) if sizes.leaps else jax.lax.while_loop(lambda loop: loop[0] < plan.total, chunk, loop)
    place, turn, table, kept, places, over, happened = loop
    kept = (*kept, places) if keep else None
    return table, kept, over, (place >= plan.total) & (turn <= sizes.turns), happened


def at_chunk(tree: PyTree, place: Array, size: int) -> PyTree:
    """The lanes [place, place + size) of the last axis of every array."""

    def one(x: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, place, size, axis=x.ndim - 1)

    return jax.tree.map(one, tree)


def to_chunk(tree: PyTree, values: PyTree, place: Array) -> PyTree:
    def one(x: Array, y: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(x, y, place, axis=x.ndim - 1)

    return jax.tree.map(one, tree, values)
