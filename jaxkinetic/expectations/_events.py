"""What one candidate does: whether it happens, where its particles go, and the log-probability of its decisions."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._core.system import AbstractPairJump
from .._util.checks import argument_error
from .._util.decisions import log_probability, logged_decisions
from .._util.printing import Printed
from .._util.types import Components, PairWords, RealScalar
from ..pairs._acceptance import mask_inactive

Columns = tuple[Float[Array, "2 K"], ...]


class Thinning(Printed):
    """`ExactClock`: candidates arrive at the rate `factor` times `majorant` for each pair, and a share rate/(factor majorant)
    of them happens. `factor` above 1: the surplus are virtual candidates."""

    majorant: RealScalar
    factor: float

    def happens(self, level: Array, rate: Array) -> Array:
        return level * self.majorant <= rate

    def probability(self, rate: Array) -> Array:
        return rate / (self.factor * self.majorant)

    def log_probability(self, happens: Array, rate: Array) -> Array:
        return log_probability(happens, self.probability(rate))


class Leaping(Printed):
    """`TauLeap`: a matched pair jumps with probability 1 - exp(-time rate)."""

    majorant: RealScalar
    time: RealScalar

    def happens(self, level: Array, rate: Array) -> Array:
        return level <= self.probability(rate)

    def probability(self, rate: Array) -> Array:
        return -jnp.expm1(-self.time * rate)

    def log_probability(self, happens: Array, rate: Array) -> Array:
        return log_probability(happens, self.probability(rate))


def pair_rate(system: AbstractPairJump, num_alive: RealScalar, v_i: Components, v_j: Components) -> Array:
    rate = jnp.broadcast_to(system.rate(v_i, v_j), v_i[0].shape)
    return jnp.asarray(system.clock(num_alive), rate.dtype) * rate


def selected_pairs(active: Bool[Array, " K"], before: Columns) -> tuple[Components, Components]:
    return mask_inactive(active, *(tuple(c[k] for c in before) for k in (0, 1)))


def after_event(
    system: AbstractPairJump,
    law: Any,
    num_alive: RealScalar,
    before: Columns,
    words: PairWords,
    active: Bool[Array, " K"],
    happens: Bool[Array, " K"],
    score_rate: bool,
    score_marks: bool,
) -> tuple[Columns, Float[Array, " K"] | None, Float[Array, " K"] | None]:
    """The velocities after the candidates, (2, K) each, and the log-probabilities of whether they happen and of the decisions
    within the jumps, for known outcomes; None where they are not wanted."""
    v_i, v_j = selected_pairs(active, before)
    with logged_decisions() as found:
        w_i, w_j, _, _ = system.jump(words, v_i, v_j)
    after = tuple(jnp.where(happens, jnp.stack([a, b]), old) for a, b, old in zip(w_i, w_j, before, strict=True))
    marks = rates = None
    if score_marks:
        marks = jnp.zeros(happens.shape, before[0].dtype)
        for entry in found:
            if entry.shape not in ((), happens.shape):
                raise argument_error(
                    "jump", "decide once for each pair", f"decides with shape {entry.shape} for {happens.shape}",
                    "pass one word and one probability a pair to `jk.random.bernoulli`",
                )  # fmt: skip
            marks = marks + jnp.where(happens, jnp.broadcast_to(entry, happens.shape), 0)
    if score_rate:
        rate = pair_rate(system, num_alive, v_i, v_j)
        rates = jnp.where(active, law.log_probability(happens, rate), 0)
    return after, rates, marks


def carried_out(
    system: AbstractPairJump,
    law: Any,
    num_alive: RealScalar,
    before: Columns,
    words: PairWords,
    level: Float[Array, " K"],
    active: Bool[Array, " K"],
) -> tuple[Columns, Bool[Array, "2 K"], Bool[Array, " K"], Bool[Array, " K"]]:
    """(velocities after, alive after, whether the candidate happens, whether its rate exceeds the majorant)."""
    v_i, v_j = selected_pairs(active, before)
    rate = pair_rate(system, num_alive, v_i, v_j)
    happens = active & law.happens(level, rate)
    w_i, w_j, lives_i, lives_j = system.jump(words, v_i, v_j)
    after = tuple(jnp.stack([a, b]) for a, b in zip(w_i, w_j, strict=True))
    over = active & ~((rate >= 0) & (rate <= law.majorant))
    return after, jnp.stack([lives_i, lives_j]), happens, over
