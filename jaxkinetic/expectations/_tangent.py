"""The derivative of one recorded run: of the particles' paths at fixed decisions, and of the decisions' probabilities."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._util.checks import cast_floating
from .._util.decisions import logged_decisions
from .._util.gradients import forbid_gradient
from .._util.types import Key, PyTree, RealScalar
from ..pairs._jump_columns import without_table
from ..pairs._packed_columns import Table, matched, pack, put, unpack
from ..states import Particles
from ._events import after_event, pair_rate
from ._hidden_choices import check_no_hidden_choice
from ._plans import chunk_size
from ._record import Events, Given, LoggedStart, Record, Sizes, at_chunk, initial_state, law_of, rows_of


class Weights(NamedTuple):
    """What multiplies the scores of the rates and of the decisions within jumps, (segments, every, K, T, p), and of the start,
    (N, T, p)."""

    rates: Float[Array, "*events T p"]
    marks: Float[Array, "*events T p"]
    start: Float[Array, "N T p"]


class Parts(NamedTuple):
    """Which parts of the derivative are not zero: paths that move from the start on; jumps that move a path; scores of the
    rates, of decisions within jumps, and of decisions that make the start."""

    start_moves: bool
    jump_moves: bool
    rate: bool
    marks: bool
    start: bool

    @property
    def moves(self) -> bool:
        return self.start_moves or self.jump_moves

    @property
    def scores(self) -> bool:
        return self.rate or self.marks or self.start


def jvp(function: Any, primals: PyTree, tangents: PyTree) -> tuple[PyTree, PyTree]:
    """`jax.jvp` for a function of one tree, in the leaves whose tangent is not None."""
    moving = jax.tree.map(lambda t, x: None if t is None else x, tangents, primals, is_leaf=lambda t: t is None)
    rest = jax.tree.map(lambda t, x: x if t is None else None, tangents, primals, is_leaf=lambda t: t is None)
    if not jax.tree.leaves(moving):
        out = function(primals)
        return out, jax.tree.map(jnp.zeros_like, out)
    return jax.jvp(lambda moving: function(eqx.combine(moving, rest)), (moving,), (tangents,))


def without_tangents(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda _: None, tree)


def in_start(given: Given, tangents: Given) -> Given:
    """The tangents of the start alone."""
    still = without_tangents(given)
    return Given(still.system, tangents.start, still.observe, still.function)


def find_parts(given: Given, tangents: Given, dt: RealScalar, key: Key, sizes: Sizes) -> Parts:
    """Which parts of the derivative are not zero, found by tracing one event with guards that report a tangent."""

    def reports(function: Any, primals: PyTree, tangents: PyTree) -> bool:
        arrays, static = eqx.partition(
            (primals, tangents), lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct)
        )

        def traced(arrays: PyTree) -> PyTree:
            primals, tangents = eqx.combine(arrays, static)
            return jvp(lambda x: jax.tree.map(lambda y: forbid_gradient(_FOUND, y), function(x)), primals, tangents)[1]

        try:
            jax.eval_shape(traced, arrays)
        except ValueError as error:
            if str(error) != _FOUND:
                raise
            return True
        return False

    def velocities(given: Given) -> tuple[Array, Any]:
        state, _ = initial_state(given, key)
        return state.velocity, state.position

    def decisions(given: Given) -> list[Array]:
        return initial_state(given, key)[1]

    state = initial_state(given, key)[0]
    only_start = in_start(given, tangents)
    start_moves = reports(velocities, given, only_start)
    start = callable(given.start) and reports(decisions, given, only_start)
    if isinstance(given.start, LoggedStart) and jax.tree.leaves(tangents.start):
        check_no_hidden_choice("start", lambda start: _forced_start(start, key), given.start, tangents.start, _START)

    law = law_of(cast_floating(given.system, state.velocity.dtype), state, dt, sizes)
    v = tuple(jnp.stack([c[:1], c[:1]]) for c in state.velocity.T)
    words = tuple(jnp.zeros(1, jnp.uint32) for _ in range(given.system.num_words(state.dim)))
    yes = jnp.ones(1, bool)

    def event(part: int, rate: bool, marks: bool, moving: bool) -> bool:
        def function(both: tuple[Any, Any]) -> PyTree:
            system, before = both
            system = cast_floating(system, state.velocity.dtype)
            out = after_event(system, law, state.num_alive, before, words, yes, yes, rate, marks)
            return out[part]

        tangent = v if moving else without_tangents(v)
        return reports(function, (given.system, v), (tangents.system, tangent))

    jump_moves = event(0, False, False, False)
    moves = start_moves or jump_moves

    def forced_jump(both: tuple[Any, Any]) -> tuple[Any, ...]:
        """The results of a jump for known decisions, and its rate."""
        system, before = both
        system = cast_floating(system, state.velocity.dtype)
        v_i, v_j = (tuple(c[k] for c in before) for k in (0, 1))
        with logged_decisions(True):
            return (*system.jump(words, v_i, v_j), pair_rate(system, state.num_alive, v_i, v_j))

    # In the parameters only: a rate may look at the velocities by comparisons without depending on them.
    tangent = without_tangents(v)
    if jax.tree.leaves((tangents.system, tangent)):
        check_no_hidden_choice("system", forced_jump, (given.system, v), (tangents.system, tangent), _JUMP)
    return Parts(start_moves, jump_moves, event(1, True, False, moves), event(2, False, True, moves), start)


def _forced_start(start: LoggedStart, key: Key) -> tuple[Any, ...]:
    """What a start makes for known decisions."""
    with logged_decisions(True):
        state = start.make(key)
    return state.velocity, state.position, state.alive, state.ident


_FOUND = "a tangent arrives here"
_START = "use `jk.initial.binomial_number`, `jk.initial.poisson_number` or `jk.random.bernoulli`"
_JUMP = "decide by `jk.random.bernoulli`, and let parameters enter `rate` differentiably"


def tangent_of_replica(
    given: Given,
    tangents: Given,
    dt: RealScalar,
    keys: tuple[Key, Key],
    sizes: Sizes,
    record: Record,
    weights: Weights | None,
    parts: Parts,
) -> Float[Array, "T m"]:
    """The derivative of the sums of the observables of one replica. `weights`: (segments, every, K, T, m), by which the
    scores of the events are multiplied, and (N, T, m), those of the start; None without scores."""
    num_saves = record.rows.shape[0]

    def beginning(given: Given) -> tuple[Particles, list[Array]]:
        state, logs = initial_state(given, keys[0])
        return eqx.filter(state, eqx.is_inexact_array), logs

    only_start = in_start(given, tangents)
    (_, logs), (moved, log_tangents) = jvp(beginning, given, only_start)
    state, _ = initial_state(given, keys[0])
    state = jax.lax.stop_gradient(state)
    dtype = state.velocity.dtype
    law = law_of(cast_floating(given.system, dtype), state, dt, sizes)
    sums = jnp.sum(record.rows, axis=1)
    total = jnp.zeros((num_saves, *jax.eval_shape(given.function, sums[0]).shape), dtype)
    if parts.start and weights is not None:
        for log, tangent in zip(logs, log_tangents, strict=True):
            total = total + _start_scores(log, tangent, weights.start)

    def along_paths(tables: Table | None) -> Array:
        slope = _observed_tangent(given, tangents, state, moved, record, tables, sizes)

        def one(sums: Array, slope: Array) -> Array:
            return jvp(lambda both: both[0](both[1]), (given.function, sums), (tangents.function, slope))[1]

        return jax.vmap(one)(sums, slope)

    def chunk_tangent(plan: Any, before: Any, active: Array, happens: Array, tangent: Any) -> tuple[Any, ...]:
        def function(both: tuple[Any, Any]) -> tuple[Any, Any, Any]:
            system, before = both
            system = cast_floating(system, dtype)
            return after_event(
                system, law, state.num_alive, before, plan.words, active, happens, parts.rate, parts.marks
            )

        out, slope = jvp(function, (given.system, before), (tangents.system, tangent))
        return (*slope, *out[1:])

    def weighted(scores: tuple[Any, Any], logs: tuple[Any, Any], weights: tuple[Any, Any]) -> Array:
        """The sum over the events of one step, or of all. A certain outcome has weight 1 more: its score is infinite, or 0 if
        the probability does not change, whatever the sum over the cone."""
        out = jnp.zeros_like(total)
        for score, log, weight in zip(scores, logs, weights, strict=True):
            if score is not None:
                certain = (log == 0).astype(weight.dtype).reshape(-1, 1, 1)
                rows = weight.reshape(-1, *weight.shape[-2:]) + certain
                out = out + jnp.einsum("k,ktp->tp", score.reshape(-1), rows, precision=jax.lax.Precision.HIGHEST)
        return out

    events = record.events
    both = None if weights is None else (weights.rates, weights.marks)
    if not parts.moves:
        if both is not None and (parts.rate or parts.marks):
            still = without_tangents(tuple(range(state.dim)))
            scores = _vectorised(chunk_tangent, events, still)
            total = total + weighted(scores[:2], scores[2:], both)
        return total + along_paths(None)
    first = pack(tuple(moved.velocity.T))

    def step(loop: tuple[Table, Array], entry: tuple[Events, Any]) -> tuple[tuple[Table, Array], None]:
        events, both = entry
        plan = events.plan
        size = plan.wave.shape[-1] if sizes.leaps else chunk_size(sum(sizes.capacities))

        def chunk(loop: tuple[Table, Array], number: Array) -> tuple[Table, Array]:
            table, total = loop
            # Beyond the last chunk nothing is selected. A condition would be cheaper, but `vmap` makes it a selection that
            # cannot be transposed.
            place = jnp.maximum(events.places[number], 0)
            lanes = plan._replace(total=None), events.before, events.active, events.happens
            here, before, active, happens = at_chunk(lanes, place, size)
            together = (here.wave == here.wave[0]) & (here.wave >= 0) & (events.places[number] >= 0)
            active, happens = active & together, happens & together
            after, *scores = chunk_tangent(here, before, active, happens, matched(table, here.slots))
            table = put(table, here.slots, after, happens)
            if both is not None:
                shares = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, place, size), both)
                total = total + weighted(tuple(scores[:2]), tuple(scores[2:]), shares)
            return table, total

        def turn(loop: tuple[Table, Array], number: Array) -> tuple[tuple[Table, Array], None]:
            return chunk(loop, number), None

        return jax.lax.scan(turn, loop, jnp.arange(sizes.turns, dtype=jnp.int32))

    def segment(loop: tuple[Table, Array], entry: Any) -> tuple[tuple[Table, Array], Table]:
        loop, _ = jax.lax.scan(step, loop, entry)
        return loop, loop[0]

    if not (parts.rate or parts.marks):
        both = None
    (_, total), tables = jax.lax.scan(segment, (first, total), (events, both))
    if sizes.at_start:
        tables = [jnp.concatenate([a[None], b]) for a, b in zip(first, tables, strict=True)]
    return total + along_paths(tables)


def _vectorised(chunk_tangent: Any, events: Events, still: Any) -> tuple[Any, ...]:
    """The scores of all events at once and the logarithms of their probabilities, (segments, every, K), if nothing moves."""

    def one(events: Events) -> tuple[Any, ...]:
        return chunk_tangent(events.plan, events.before, events.active, events.happens, still)[1:]

    return jax.vmap(jax.vmap(one))(events)


def _start_scores(log: Array, tangent: Array, weights: Float[Array, "N T p"]) -> Float[Array, "T p"]:
    if tangent.ndim and tangent.shape[0] == weights.shape[0]:
        tangent = tangent.reshape(tangent.shape[0], -1).sum(1)
        return jnp.einsum("n,ntm->tm", tangent, weights, precision=jax.lax.Precision.HIGHEST)
    raise ValueError(
        "Argument `start` must decide with one `jk.random.bernoulli` for each slot, but decides with shape "
        f"{log.shape}; draw an array with one entry for each of the {weights.shape[0]} slots."
    )


def _observed_tangent(
    given: Given, tangents: Given, state: Particles, moved: Any, record: Record, tables: Table | None, sizes: Sizes
) -> Float[Array, "T m"]:
    """The derivative of the sums of the rows at fixed decisions, at every save."""
    observe_moves = bool(jax.tree.leaves(tangents.observe))
    num_saves, _, width = record.rows.shape
    position_moves = moved.position is not None
    if tables is None and not observe_moves and not position_moves:
        return jnp.zeros((num_saves, width), state.velocity.dtype)
    rest = without_table(state)

    def one(entry: tuple[Table, Table | None]) -> Float[Array, " m"]:
        now, tangent = entry
        *velocity, life = unpack(now)
        here = eqx.tree_at(
            lambda p: (p.velocity, p.alive), rest, (jnp.stack(velocity, -1), life > 0), is_leaf=lambda x: x is None
        )
        floats = eqx.filter(here, eqx.is_inexact_array)
        velocity_tangent = None if tangent is None else jnp.stack(unpack(tangent), -1)[:, : state.dim]
        slope = eqx.tree_at(
            lambda p: (p.velocity, p.position), floats, (velocity_tangent, moved.position), is_leaf=lambda x: x is None
        )

        def total(both: tuple[Any, Any]) -> Array:
            observe, floats = both
            return jnp.sum(rows_of(observe, eqx.combine(floats, here)), axis=0)

        return jvp(total, (given.observe, floats), (tangents.observe, slope))[1]

    return jax.lax.map(one, (record.tables, tables))
