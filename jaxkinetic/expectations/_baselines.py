"""Baselines of the scores: what can be subtracted from the weight of a decision without a bias, to reduce its variance."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._util.checks import cast_floating
from .._util.decisions import logged_decisions
from .._util.types import Key, RealScalar
from ..states import Particles
from ._cones import Sums
from ._events import pair_rate, selected_pairs
from ._record import Events, Given, Record, RunFunction, Sizes, initial_state, law_of


class Effects(NamedTuple):
    """For the decision whether a candidate happens, and for the one within its jump: `shift`, (segments, every, K, m), the
    baseline that would be best if the observables changed only by the event itself; `square`, (segments, every, K), the
    square of the score. A decision with probability p and the values w1, w0 after its outcomes has the best baseline p w0 +
    (1 - p) w1, which exceeds the mean by (1 - 2p)(w1 - w0)."""

    shift: tuple[Float[Array, "*events m"], Float[Array, "*events m"]]
    square: tuple[Float[Array, "*events"], Float[Array, "*events"]]


def centred_sums(
    function: RunFunction, sums: Sums, totals: Float[Array, "R T m"], num: int
) -> tuple[Float[Array, "R *events T p"], Float[Array, "R N T p"]]:
    """What multiplies the scores. For a function F of the sums Y, and the sum S over the cone: F(Y) - F(Y - S). The omitted
    F(Y - S) does not depend on the decision, so its product with the score has mean 0; for the sums themselves the weight is S.
    From that a baseline is subtracted, the same expression for the mean Y of the other replicas and for its share of the slots
    in the cone. A single replica takes its own slots outside of the cone."""
    replicas = totals.shape[0]

    def weight(entry: Array, own: Array, others: Array) -> Array:
        part, count = entry[:-1], entry[-1]
        if replicas > 1:
            mean = count * others / num
        else:
            # Without a slot outside there is no baseline.
            mean = jnp.where(count < num, count * (own - part) / jnp.maximum(num - count, 1), 0)
            others = own - part + mean
        if function.function is None:
            return part - mean
        return function(own) - function(own - part) - function(others) + function(others - mean)

    def of_replica(sums: Array, own: Array, others: Array) -> Array:
        flat = sums.reshape(-1, *sums.shape[-2:])
        out = jax.vmap(lambda entry: jax.vmap(weight)(entry, own, others))(flat)
        return out.reshape(*sums.shape[:-1], -1)

    others = _of_others(totals) / max(replicas - 1, 1)
    events, start = (jax.vmap(of_replica)(x, totals, others) for x in sums)
    return events, start


def one_step_effects(
    given: Given, dt: RealScalar, keys: tuple[Key, Key], sizes: Sizes, record: Record
) -> Effects | None:
    """None if the observable is a function of the whole state, or a function of the sums is asked for."""
    if given.function.function is not None or record.events is None:
        return None
    state = initial_state(given, keys[0])[0]
    dtype = state.velocity.dtype
    system = cast_floating(given.system, dtype)
    law = law_of(system, state, dt, sizes)
    width = record.rows.shape[-1]

    def rows(slots: Array, columns: Any, lives: Array) -> Array:
        """The sum of the two rows of each pair, (K, m)."""
        flat = slots.reshape(-1)
        velocity = jnp.stack(columns, -1).reshape(-1, state.dim)
        position = None if state.position is None else state.position[flat]
        pairs = Particles(velocity, position, jnp.ones(flat.shape, bool), state.ident[flat])
        values = jnp.asarray(given.observe(pairs)).reshape(flat.shape[0], width).astype(dtype)
        values = jnp.where(lives.reshape(-1)[:, None], values, 0)
        return jnp.sum(values.reshape(2, -1, width), axis=0)

    def one(events: Events) -> Any:
        plan, active, happens = events.plan, events.active, events.happens
        v_i, v_j = selected_pairs(active, events.before)
        probability = law.probability(pair_rate(system, state.num_alive, v_i, v_j))
        yes = jnp.ones(plan.slots.shape, bool)
        before = tuple(jnp.stack([a, b]) for a, b in zip(v_i, v_j, strict=True))

        def after(force: bool | None) -> tuple[Array, list[Array]]:
            with logged_decisions(force) as found:
                w_i, w_j, lives_i, lives_j = system.jump(plan.words, v_i, v_j)
            moved = tuple(jnp.stack([a, b]) for a, b in zip(w_i, w_j, strict=True))
            return rows(plan.slots, moved, jnp.stack([lives_i, lives_j])), found

        drawn, found = after(None)
        effect = drawn - rows(plan.slots, before, yes)
        shift = (1 - 2 * probability)[:, None] * effect
        square = _square(probability, happens, active)
        nothing = jnp.zeros_like(effect), jnp.zeros_like(square)
        if len(found) != 1:
            return (shift, nothing[0]), (square, nothing[1])
        (with_it, (log,)), (without, _) = after(True), after(False)
        chance = jnp.exp(log)
        mark_shift = (1 - 2 * chance)[:, None] * (with_it - without)
        chosen = jnp.exp(found[0])
        mark_square = jnp.where(happens & (chosen > 0), 1 / jnp.maximum(chosen, 1e-30) ** 2, 0)
        return (shift, mark_shift), (square, mark_square)

    try:
        jax.eval_shape(lambda: one(jax.tree.map(lambda x: x[0, 0], record.events)))
    except Exception:
        # An observable for this number of particles only.
        return None
    return Effects(*jax.vmap(jax.vmap(one))(record.events))


def _square(probability: Array, outcome: Array, active: Array) -> Array:
    chosen = jnp.where(outcome, probability, 1 - probability)
    return jnp.where(active & (chosen > 0), 1 / jnp.maximum(chosen, 1e-30) ** 2, 0)


def corrected(
    weights: Float[Array, "R *events T m"],
    effects: Effects | None,
    sums: Float[Array, "R *events T m1"],
    totals: Float[Array, "R T m"],
    num: int,
) -> tuple[Array, Array]:
    """The weights for the decision whether a candidate happens, and for that within the jump: minus the one-step shift, times a
    factor for each number that is fitted to the other replicas. The factor must not depend on the replica itself, not through
    the baseline of the others either: therefore it is fitted to their sums over cones, minus the mean of the others."""
    replicas = weights.shape[0]
    if effects is None or replicas < 2:
        return weights, weights
    part, count = sums[..., :-1], sums[..., -1:]
    # Events after a save have an empty cone there.
    before = count > 0
    others = _of_others(totals) / (replicas - 1)

    def one(shift: Array, square: Array) -> Array:
        shift = jnp.where(before, shift[..., None, :], 0)
        weighted = square[..., None, None] * shift
        axes = tuple(range(1, weights.ndim - 2))
        top, share, bottom = (_of_others(jnp.sum(weighted * x, axis=axes)) for x in (part, count / num, shift))
        factor = jnp.where(bottom > 0, (top - others * share) / jnp.where(bottom > 0, bottom, 1), 0)
        return weights - factor.reshape(replicas, *[1] * len(axes), *factor.shape[1:]) * shift

    first, second = (one(shift, square) for shift, square in zip(effects.shift, effects.square, strict=True))
    return first, second


def _of_others(x: Float[Array, "R *shape"]) -> Float[Array, "R *shape"]:
    """For each replica, the sum over the others."""
    return jnp.sum(x, axis=0, keepdims=True) - x
