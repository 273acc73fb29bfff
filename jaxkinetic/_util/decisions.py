"""Random decisions whose probability depends on parameters: a log of their probabilities, for score-function gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_log: ContextVar[list[Array] | None] = ContextVar("decisions", default=None)


@contextmanager
def logged_decisions() -> Iterator[list[Array]]:
    """Collect the log-probabilities of the outcomes of `jk.random.bernoulli` in this block, where their gradient is used.
    Without such a block a gradient with respect to a probability raises."""
    found: list[Array] = []
    token = _log.set(found)
    try:
        yield found
    finally:
        _log.reset(token)


@contextmanager
def unlogged_decisions() -> Iterator[None]:
    """Within this block, `jk.random.bernoulli` again raises for a gradient with respect to a probability."""
    token = _log.set(None)
    try:
        yield
    finally:
        _log.reset(token)


def decisions_are_logged() -> bool:
    return _log.get() is not None


def log_decision(outcome: Bool[Array, "*shape"], probability: Float[Array, "*shape"]) -> None:
    found = _log.get()
    if found is not None:
        found.append(log_probability(outcome, probability))


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
