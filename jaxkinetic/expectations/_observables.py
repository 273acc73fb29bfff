"""Observables that are a sum over particles: one row for each."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._util.checks import argument_error, describe, is_traced, takes_one
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
    """Evaluates the rows of three particles among six, and again after the other three have changed, one of them dead."""
    rng = np.random.default_rng(0)
    dtype = state.velocity.dtype

    def others_changed(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:3], rng.normal(size=x[3:].shape)])

    with jax.ensure_compile_time_eval():
        velocity, position = rng.normal(size=(2, 6, state.dim))
        alive = np.ones(6, bool)
        rows = []
        for change in (False, True):
            if change:
                velocity, position, alive[3] = others_changed(velocity), others_changed(position), False
            six = Particles(
                jnp.asarray(velocity, dtype),
                None if state.position is None else jnp.asarray(position, dtype),
                jnp.asarray(alive),
            )
            try:
                rows.append(jnp.asarray(observe(six)))
            except Exception:
                # A function for this number of particles only: its rows may hold a weight for each.
                return
        if is_traced(rows) or any(x.shape[:1] != (6,) for x in rows):
            return
        same = np.allclose(*(np.asarray(x)[:3] for x in rows), rtol=1e-4, atol=1e-5, equal_nan=True)
    if not same:
        raise argument_error("observe", _ROW, "a row changes when other particles change", _HOW)


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
