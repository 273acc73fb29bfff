"""Random decisions whose probability depends on parameters: a log of their probabilities, for score-function gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class _Log(NamedTuple):
    found: list[Array]
    force: Any


_log: ContextVar[_Log | None] = ContextVar("decisions", default=None)


@contextmanager
def logged_decisions(force: Any = None) -> Iterator[list[Array]]:
    """Collect the log-probabilities of the outcomes of `jk.random.bernoulli` in this block, where their gradient is used.
    Without such a block a gradient with respect to a probability raises. `force`: every decision has this outcome, one number
    or one for each slot."""
    log = _Log([], force)
    token = _log.set(log)
    try:
        yield log.found
    finally:
        _log.reset(token)


def decisions_are_logged() -> bool:
    return _log.get() is not None


def logged_decision(outcome: Bool[Array, "*shape"], probability: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """The outcome, or the forced one, after its log-probability was noted."""
    log = _log.get()
    assert log is not None
    if log.force is not None:
        force = jnp.asarray(log.force)
        outcome = jnp.broadcast_to(force.reshape(*force.shape, *[1] * (outcome.ndim - force.ndim)), outcome.shape)
    log.found.append(log_probability(outcome, probability))
    return outcome


@jax.custom_jvp
def log_probability(outcome: Bool[Array, "*shape"], probability: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log P(outcome), where True has this probability. At a probability of 0 or 1 the other outcome is never drawn, so that no
    score exists: there the derivative is the largest number of the dtype, which gives 0 if the probability has derivative 0 and
    an infinite result otherwise."""
    return jnp.log(jnp.where(outcome, probability, 1 - probability))


@log_probability.defjvp
def _log_probability_jvp(primals, tangents):
    outcome, p = primals
    given = jnp.where(outcome, p, p - 1)
    certain = (p <= 0) | (p >= 1)
    slope = jnp.where(certain, jnp.finfo(p.dtype).max, 1 / jnp.where(certain, jnp.ones_like(p), given))
    return log_probability(outcome, p), slope * tangents[1]
