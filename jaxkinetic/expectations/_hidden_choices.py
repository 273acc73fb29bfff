"""Choices that hide a derivative: a start that depends on a parameter by comparisons only."""

from collections.abc import Callable
from typing import Any

import jax

from .._util.checks import argument_error
from .._util.types import PyTree

__all__ = ["check_no_hidden_choice"]


def check_no_hidden_choice(make: Callable[[PyTree], Any], leaves: PyTree) -> None:
    """For a start `make(leaves)` that has no derivative in its leaves. **Raises:** `ValueError` if it depends on them all the
    same: by a comparison, as in `jax.random.bernoulli`. A leaf that is not used is no error."""
    jaxpr = jax.make_jaxpr(make)(leaves).jaxpr
    reached = {id(x) for x in jaxpr.invars}
    for equation in jaxpr.eqns:
        if any(id(x) in reached for x in equation.invars):
            reached |= {id(x) for x in equation.outvars}
    if any(id(x) in reached for x in jaxpr.outvars):
        raise argument_error(
            "start", "depend on what is differentiated by numbers, or by `jk.random.bernoulli`",
            "depends on it by a choice without a derivative (`jax.random.bernoulli` or a comparison, say)",
            "use `jk.initial.binomial_number`, `jk.initial.poisson_number` or `jk.random.bernoulli`",
        )  # fmt: skip
