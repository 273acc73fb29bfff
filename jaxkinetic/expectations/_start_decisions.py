"""What the random decisions of a start may do: the decision of a slot concerns this slot only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._core.system import AbstractPairJump
from .._util.checks import argument_error, is_traced
from .._util.decisions import logged_decisions
from .._util.types import Key
from ..states import Particles
from ._sizes import clock_counts

__all__ = ["decisions_change_candidates"]


def decisions_change_candidates(system: AbstractPairJump, start: Callable[[Key], Particles], key: Key) -> bool:
    """Whether decisions of the start (`jk.random.bernoulli`) change the majorant, and so the candidates of all pairs: then a
    score must be multiplied by the sum over all particles. True where that is not known.

    **Raises:** `ValueError` if the decision of a slot changes another slot, which a forward cone would miss, and if decisions
    change the number alive of a system whose rates contain this number."""

    whole = True

    def forced(outcome: Any) -> tuple[Array, Array] | None:
        nonlocal whole
        with logged_decisions(outcome) as found:
            state = start(key)
        whole &= all(log.ndim > 0 and log.shape[0] == state.num_slots for log in found)
        return (jax.lax.stop_gradient(state.velocity), state.alive) if found else None

    # Not with known decisions: the start may be a function with none.
    yes, no = forced(True), forced(False)
    if yes is None or no is None:
        return False
    if not whole:
        # A derivative raises later.
        return True
    mask = np.random.default_rng(0).random(yes[1].shape[0]) < 0.5
    mask[:2] = True, False
    mixed = forced(mask)
    if mixed is None or is_traced(yes, no, mixed):
        return True
    own = jnp.asarray(mask)
    for a, b, c in zip(yes, no, mixed, strict=True):
        choose = own.reshape(-1, *[1] * (a.ndim - 1))
        if not np.array_equal(np.where(choose, a, b), c, equal_nan=True):
            raise argument_error(
                "start", "decide about a slot by this slot's own decision", "moves the outcomes of `jk.random.bernoulli`",
                "keep them in the order of the slots, without `roll`, `sort` or sums",
            )  # fmt: skip
    if clock_counts(system) and not np.array_equal(yes[1], no[1]):
        raise argument_error(
            "start", f"have a fixed number alive for {type(system).__name__}, whose rates contain this number",
            "decides it at random", "choose the number outside",
        )  # fmt: skip
    return not system.constant_rate and not np.array_equal(yes[0], no[0])
