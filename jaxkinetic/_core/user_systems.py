"""Checks of what the methods of a user's system return, made before anything is compiled."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, cast_floating, describe, kind, real_dtype, takes
from .._util.types import PyTree, State
from .system import AbstractDiffusion, AbstractField, AbstractScheme, AbstractSplit, AbstractSystem

_SLOPE = "return the time derivative in the form of the state, with None for leaves that do not move"
_NOISE = "return an increment in the form of the state, with None for leaves that do not move"
_FLOW = "return a state with the shapes and dtypes of the one that it is given"


def check_user_system(system: AbstractSystem, scheme: AbstractScheme, state: State) -> None:
    """**Raises:** `ValueError` unless the methods that `scheme` calls return what their protocol says. The systems of this
    library are tested, so they are not traced here."""
    if type(system).__module__.partition(".")[0] == "jaxkinetic":
        return
    t = jax.ShapeDtypeStruct((), real_dtype(state))
    system, name = cast_floating(system, t.dtype), type(system).__name__
    needed = scheme.requires
    if needed is AbstractField and isinstance(system, AbstractField):
        _check_increment(f"{name}.vector_field", _SLOPE, system.vector_field, state, t, state)
    if needed is AbstractDiffusion and isinstance(system, AbstractDiffusion):
        key = jax.ShapeDtypeStruct((2,), jnp.uint32)
        _check_increment(f"{name}.drift", _SLOPE, system.drift, state, t, state)
        _check_increment(f"{name}.noise", _NOISE, system.noise, state, key, t, t, state, least=0)
    if needed is AbstractSplit and isinstance(system, AbstractSplit) and _has_usual_plan(system):
        flows = system.flows
        if not isinstance(flows, tuple) or len(flows) < 2 or not all(map(callable, flows)):
            must, do = "be a tuple of two or more functions (tau, t, state)", "return such a tuple"
            raise argument_error(f"{name}.flows", must, f"is {describe(flows)}", do)
        for i, flow in enumerate(flows):
            _check_flow(f"{name}.flows[{i}]", flow, state, t)


def _has_usual_plan(system: AbstractSplit) -> bool:
    """Whether the flows themselves are applied to the state; a plan of the user's own may have another layout."""
    return type(system).make_plan is AbstractSplit.make_plan


def _check_increment(
    argument: str, must: str, method: Callable[..., PyTree], state: State, *args: Any, least: int = 1
) -> None:
    """**Raises:** `ValueError` unless at least `least` leaves are not None, and these have the shapes of the state's."""
    out, do = _traced(argument, must, method, *args), "return such a tree"
    if len(jax.tree.leaves(out)) < least:
        raise argument_error(argument, must, "returns None", do)
    if out is None:
        return
    wrong = []
    try:
        jax.tree.map(
            lambda new, old: _fits(new, old) or wrong.append((new, old)), out, state, is_leaf=lambda x: x is None
        )
    except (ValueError, TypeError):
        raise argument_error(argument, must, f"returns {_kind(out)} for {_kind(state)}", do) from None
    for new, old in wrong[:1]:
        was = f"returns {new.dtype} of shape {new.shape} for {old.dtype} of shape {old.shape}"
        raise argument_error(argument, must, was, do)


def _check_flow(argument: str, flow: Callable[..., State], state: State, t: Any) -> None:
    """**Raises:** `ValueError` unless the flow keeps the structure, the shapes and the dtypes of the state."""
    out, do = _traced(argument, _FLOW, flow, t, t, state), "return such a state"
    given = jax.eval_shape(lambda x: jax.tree.map(jnp.asarray, x), state)
    if jax.tree.structure(out) != jax.tree.structure(given):
        other = "of another shape or kind " if type(out) is type(given) else ""
        raise argument_error(argument, _FLOW, f"returns {_kind(out)} {other}for {_kind(state)}", do)
    for new, old in zip(jax.tree.leaves(out), jax.tree.leaves(given), strict=True):
        if new.shape != old.shape or new.dtype != old.dtype:
            was = f"returns {new.dtype} of shape {new.shape} for {old.dtype} of shape {old.shape}"
            raise argument_error(argument, _FLOW, was, do)


def _traced(argument: str, must: str, method: Callable[..., PyTree], *args: Any) -> PyTree:
    """The shapes of what `method` returns."""
    if not takes(method, len(args)):
        raise argument_error(argument, f"take {len(args)} arguments", "takes another number", "see its protocol")
    arrays, rest = eqx.partition(args, lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct))
    try:
        return jax.eval_shape(lambda given: jax.tree.map(jnp.asarray, method(*eqx.combine(given, rest))), arrays)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        must = "be a function that JAX can trace"
        raise argument_error(argument, must, "uses values", "write it with `jnp`") from None
    except TypeError as error:
        if "JAX array type" not in str(error):
            raise
        raise argument_error(argument, must, "returns no arrays", "return such a tree") from None


def _fits(new: Any, old: Any) -> bool:
    """Whether an increment is None, or has the shape of a leaf of the state and is real if the leaf is."""
    if new is None:
        return True
    dtype = jnp.complexfloating if jnp.iscomplexobj(old) else jnp.floating
    return np.shape(old) == new.shape and jnp.issubdtype(new.dtype, dtype)


def _kind(x: Any) -> str:
    return "an array" if hasattr(x, "shape") else kind(x)
