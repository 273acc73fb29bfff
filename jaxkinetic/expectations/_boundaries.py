"""Probabilities of exactly 0 or 1, where the outcome is certain and no score exists."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._util.checks import argument_error, cast_floating, is_traced
from .._util.types import Key, PyTree, RealScalar
from ._events import after_event
from ._record import Given, Sizes, initial_state, law_of
from ._tangent import Parts, jvp

__all__ = ["check_probabilities"]

# So many pairs of the start are tried.
_PAIRS = 8


def check_probabilities(given: Given, tangents: Given, dt: RealScalar, key: Key, sizes: Sizes, parts: Parts) -> None:
    """**Raises:** `ValueError` if a known probability is 0 or 1 and changes with a parameter that is differentiated."""
    if not parts.scores or is_traced(given, dt, key):
        return
    moving = jax.tree.map(lambda t: t is not None, tangents, is_leaf=lambda t: t is None)
    if bool(_certain(given, eqx.filter(given, moving), dt, key, sizes, parts)):
        raise argument_error(
            "system", "have no probability of exactly 0 or 1 that depends on what is differentiated",
            "has one (annihilation = 0, say), where no score exists",
            "move the parameter inside, or choose other leaves, as in `gradient=lambda system: system.volume`",
        )  # fmt: skip


@eqx.filter_jit
def _certain(given: Given, ones: PyTree, dt: RealScalar, key: Key, sizes: Sizes, parts: Parts) -> Array:
    ones = jax.tree.map(jnp.ones_like, ones)
    state, _ = initial_state(given, key)
    dtype, num = state.velocity.dtype, min(state.num_slots - 1, _PAIRS)
    law = law_of(cast_floating(given.system, dtype), state, dt, sizes)
    before = tuple(jnp.stack([c[:num], c[1 : num + 1]]) for c in state.velocity.T)
    words = tuple(jnp.zeros(num, jnp.uint32) for _ in range(given.system.num_words(state.dim)))
    yes = jnp.ones(num, bool)

    def logs(given: Given) -> Any:
        system = cast_floating(given.system, dtype)
        scores = after_event(system, law, state.num_alive, before, words, yes, yes, parts.rate, parts.marks)[1:]
        return [initial_state(given, key)[1], *[score for score in scores if score is not None]]

    slopes = jax.tree.leaves(jvp(logs, given, ones)[1])
    huge = [jnp.any(~(jnp.abs(x) < jnp.sqrt(jnp.finfo(x.dtype).max))) for x in slopes]
    return jnp.any(jnp.stack(huge))
