"""Choices that hide a derivative: results that depend on a parameter by comparisons only."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._util.checks import argument_error
from .._util.types import PyTree

__all__ = ["check_no_hidden_choice"]


def check_no_hidden_choice(
    argument: str, make: Callable[[PyTree], tuple[Any, ...]], primals: PyTree, tangents: PyTree, do: str
) -> None:
    """**Raises:** `ValueError` if an array that `make(primals)` returns depends on the leaves whose tangent is not None, but
    has no derivative in them: it depends by a comparison, as `jax.random.bernoulli` does."""
    moving = jax.tree.map(lambda t, x: None if t is None else x, tangents, primals, is_leaf=lambda t: t is None)
    rest = jax.tree.map(lambda t, x: x if t is None else None, tangents, primals, is_leaf=lambda t: t is None)
    arrays, static = eqx.partition(rest, eqx.is_array)

    def function(moving: PyTree, arrays: PyTree) -> list[Any]:
        return jax.tree.leaves(make(eqx.combine(moving, arrays, static)))

    def slopes(tangents: PyTree, moving: PyTree, arrays: PyTree) -> list[Any]:
        out, slope = jax.jvp(lambda x: function(x, arrays), (moving,), (tangents,))
        # Of whole numbers there is none.
        numbers = [jnp.issubdtype(y.dtype, jnp.inexact) for y in out]
        return [s if number else jnp.zeros(()) for number, s in zip(numbers, slope, strict=True)]

    depends = _reached(function, moving, arrays)
    differs = _reached(slopes, tangents, moving, arrays)
    if any(a and not b for a, b in zip(depends, differs, strict=True)):
        raise argument_error(
            argument, "depend on what is differentiated by numbers, or by `jk.random.bernoulli`",
            "makes a choice without a derivative (`jax.random.bernoulli`, a comparison, a function inside `jax.jit`)", do,
        )  # fmt: skip


def _reached(function: Callable[..., list[Any]], first: PyTree, *others: PyTree) -> list[bool]:
    """Which results of `function(first, *others)` are computed from `first`."""
    jaxpr = jax.make_jaxpr(function)(first, *others).jaxpr
    reached = {id(x) for x in jaxpr.invars[: len(jax.tree.leaves(first))]}
    for equation in jaxpr.eqns:
        if any(id(x) in reached for x in equation.invars):
            reached |= {id(x) for x in equation.outvars}
    return [id(x) in reached for x in jaxpr.outvars]
