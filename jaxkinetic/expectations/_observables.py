"""Observables that are a sum over particles: one row for each."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._util.checks import argument_error, describe, is_traced, takes_one
from .._util.gradients import forbid_gradient
from .._util.printing import Printed, printed
from .._util.types import State
from ..states import Particles

_ROW = "return one row for each particle, (N,) or (N, m), that depends on this particle only"
_HOW = (
    "return the summand, for example `jnp.sum(state.velocity**2, axis=1)`; for a function of sums, such as a temperature, "
    "return the summands as columns and use `.apply`"
)


class TotalOfRows(Printed):
    """The sum of the rows of `observe` over the particles that are alive; for other states, its value."""

    observe: Callable[[State], Array]

    def __call__(self, state: State) -> Array:
        rows = jnp.asarray(self.observe(state))
        if not isinstance(state, Particles):
            return rows
        alive = state.alive.reshape(-1, *[1] * (rows.ndim - 1))
        return jnp.sum(jnp.where(alive, rows, jnp.zeros((), rows.dtype)), axis=0)


def check_observable(observe: Any, state: State) -> tuple[int, ...]:
    """The shape of the observable's sum. **Raises:** `ValueError` unless it is additive: a row depends on its particle only."""
    if not callable(observe):
        raise argument_error("observe", "be a function of the state", f"is {describe(observe)}", "pass a function")
    if not takes_one(observe):
        raise argument_error(
            "observe", "take one argument, the state", f"{printed(observe)} does not",
            "bind the others by `jax.tree_util.Partial(fn, name=value)`",
        )  # fmt: skip
    arrays, rest = eqx.partition(state, eqx.is_array)
    try:
        out = jax.eval_shape(lambda arrays: jnp.asarray(observe(eqx.combine(arrays, rest))), arrays)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise argument_error(
            "observe", "be a function that JAX can trace", "uses values", "write it with `jnp`"
        ) from None
    except (TypeError, ValueError) as error:
        raise argument_error("observe", "return one array", f"fails: {error}", "return an array") from error
    if not isinstance(state, Particles):
        if out.ndim > 1 or not jnp.issubdtype(out.dtype, jnp.floating):
            raise argument_error(
                "observe", f"return a real number or vector for a {type(state).__name__}",
                f"returns {out.dtype} of shape {out.shape}", "return numbers that are to be averaged",
            )  # fmt: skip
        return out.shape
    if jnp.issubdtype(out.dtype, jnp.complexfloating):
        raise argument_error("observe", "return real numbers", "returns complex ones", "return two columns")
    if out.ndim not in (1, 2) or out.shape[0] != state.num_slots:
        raise argument_error("observe", _ROW, f"returns shape {out.shape} for {state.num_slots} particles", _HOW)
    _check_additive(observe, state)
    return out.shape[1:]


def _check_additive(observe: Any, state: Particles) -> None:
    """Evaluates the rows of half of the particles again after the others have changed, some of them dead."""
    for _, (before, after) in _rows_of_changed(observe, state, others=True):
        if not np.allclose(before, after, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise argument_error("observe", _ROW, "a row changes when other particles change", _HOW)


def without_hidden_choices(observe: Callable[[State], Array], state: State) -> Callable[[State], Array]:
    """`observe`, of which the columns without a derivative, although they depend on the velocities or the positions, raise for
    a gradient along a path: whole numbers, and comparisons as in `jnp.where(v > 0, 1.0, 0.0)`."""
    if not isinstance(state, Particles):
        return observe
    none, changes = True, False
    for here, (before, after) in _rows_of_changed(observe, state, others=False):
        with jax.ensure_compile_time_eval():

            def rows(velocity: Array, position: Any, here: Particles = here) -> Array:
                out = jnp.asarray(observe(Particles(velocity, position, here.alive, here.ident)))
                return out.reshape(out.shape[0], -1).astype(velocity.dtype)

            given = here.velocity, here.position
            slope = jax.jvp(rows, given, jax.tree.map(jnp.ones_like, given))[1]
        if is_traced(slope):
            return observe
        changes = changes | np.any(before != after, axis=0)
        none = none & np.all(np.asarray(slope) == 0, axis=0)
    hidden = np.atleast_1d(none & changes)
    return Guarded(observe, tuple(hidden.tolist())) if hidden.any() else observe


class Guarded(Printed):
    """`observe`, through whose `hidden` columns a gradient raises."""

    observe: Callable[[State], Array]
    hidden: tuple[bool, ...] = eqx.field(static=True)

    def __call__(self, state: Particles) -> Array:
        rows = jnp.asarray(self.observe(state))
        position = None if state.position is None else forbid_gradient(_HIDDEN, state.position)
        still = Particles(forbid_gradient(_HIDDEN, state.velocity), position, state.alive, state.ident)
        guarded = jnp.asarray(self.observe(still)).astype(state.velocity.dtype)
        hidden = jnp.asarray(self.hidden).reshape(1, *rows.shape[1:]) if rows.ndim > 1 else jnp.asarray(self.hidden)
        return jnp.where(hidden, guarded, rows.astype(state.velocity.dtype))


_HIDDEN = (
    "A gradient along the paths reaches a row of `observe` that depends on them by a comparison, or is a whole number: its "
    "derivative is 0 almost everywhere, although that of the mean is not; smooth it, or use `jk.finite_difference`."
)


def _rows_of_changed(observe: Any, state: Particles, *, others: bool) -> list[tuple[Particles, tuple[Any, Any]]]:
    """(a state of random particles, the rows of half of them before and after a change of the `others`, or of themselves), for
    two states; nothing where that is not known. As many particles as `state` has, of its identities."""
    rng = np.random.default_rng(0)
    num, dtype = state.num_slots, state.velocity.dtype
    if num > 4096 or (others and num < 2):
        return []
    own = rng.permutation(num) < (num + 1) // 2
    found = []
    with jax.ensure_compile_time_eval():
        ident = jnp.arange(num, dtype=jnp.uint32) if is_traced(state.ident) else jnp.asarray(np.asarray(state.ident))
        for _ in range(2):
            rows, places, alive = [], rng.normal(size=(2, num, state.dim)), np.ones(num, bool)
            for change in (False, True):
                if change:
                    moving = ~own if others else own
                    places = np.where(moving[None, :, None], rng.normal(size=places.shape), places)
                    if others:
                        alive = own | (rng.random(num) < 0.5)
                position = None if state.position is None else jnp.asarray(places[1], dtype)
                here = Particles(jnp.asarray(places[0], dtype), position, jnp.asarray(alive), ident)
                out = jnp.asarray(observe(here))
                if is_traced(out):
                    return []
                rows.append(np.asarray(out).reshape(num, -1)[own])
            found.append((here, (rows[0], rows[1])))
    return found


def check_function(function: Any, row: tuple[int, ...], state: State) -> None:
    """**Raises:** `ValueError` unless `function` maps the sums of a run to a real array of at most one dimension."""
    if not callable(function) or not takes_one(function):
        raise argument_error(
            "function", "be a function of the sums of a run", f"is {describe(function)}", "pass one, such as jnp.square"
        )
    dtype = jnp.result_type(*(x.dtype for x in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))))
    out = jax.eval_shape(lambda sums: jnp.asarray(function(sums)), jax.ShapeDtypeStruct(row, dtype))
    if out.ndim > 1 or not jnp.issubdtype(out.dtype, jnp.floating):
        raise argument_error(
            "function", f"return a real number or vector for sums of shape {row}",
            f"returns {out.dtype} of shape {out.shape}", "return numbers that are to be averaged",
        )  # fmt: skip
