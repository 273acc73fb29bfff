"""The start of a run, fresh or continued, with every check that precedes the first step."""

import inspect
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._io.fingerprint import difference
from .._util.checks import (
    argument_error,
    cast_floating,
    check_finite,
    check_parameters,
    check_scalar,
    describe,
    is_traced,
    known_as,
    real_dtype,
)
from .._util.types import Key, PyTree, RealScalar, State, Words
from .checkpoint import Checkpoint
from .run_key import run_words
from .solution import Result
from .system import AbstractScheme, AbstractSystem
from .times import clock_of
from .user_systems import check_user_system


def check_start(
    system: AbstractSystem, state: State, scheme: AbstractScheme | None, key: Any, dt: Any, t0: Any
) -> AbstractScheme:
    """Make all checks on a fresh run that need no compiled program, and return its scheme. **Raises:** `ValueError`."""
    _check_system(system)
    check_parameters(system)
    system.check(state)
    check_parameters(state)
    system.check_start(state)
    real_dtype(state)
    check_finite("state", state)
    scheme = system.default_scheme() if scheme is None else scheme
    _check_scheme(system, scheme, state)
    if dt is None:
        raise argument_error("dt", "be given", "is missing", "pass the time step, for example dt=1e-2")
    check_scalar("dt", dt, positive=True)
    check_scalar("t0", t0)
    if key is None and scheme.needs_key:
        raise argument_error(
            "key", f"be given for {type(scheme).__name__}", "is missing", "pass key=jax.random.key(seed)"
        )
    system.check_step(state, dt)
    check_user_system(system, scheme, state)
    return scheme


def fresh_start(
    system: AbstractSystem, state: State, scheme: AbstractScheme | None, key: Key | None, dt: Any, t0: Any
) -> Checkpoint:
    scheme = check_start(system, state, scheme, key, dt, t0)
    dtype = real_dtype(state)
    words, clock = run_words(key), clock_of(t0, dt)
    dt, t0 = (jnp.asarray(x) for x in known_as(dtype, dt, t0))
    # Check again after rounding: a small number may be 0 in this dtype.
    check_scalar("dt", dt, positive=True)
    check_scalar("t0", t0)
    if not is_traced(dt) and float(dt) < float(jnp.finfo(dtype).tiny):
        raise argument_error(
            "dt", f"be a normal number of {dtype}", f"is {float(dt):g}", "raise it: subnormal numbers count as 0"
        )
    carry, aux = _init(scheme, words, cast_floating(system, dtype), state, dt)
    return Checkpoint(carry, aux, words, 0, t0, dt, scheme, clock=clock)


def continued_start(system: AbstractSystem, checkpoint: Checkpoint, scheme: AbstractScheme | None) -> Checkpoint:
    _check_system(system)
    ended = checkpoint.result
    if ended is not None and not is_traced(ended) and not np.all(np.asarray(ended.code) == Result.FINISHED):
        raise argument_error(
            "checkpoint", "be of a run that did not fail", f"that run failed: {ended.message.rstrip('.')}",
            "continue from an earlier one",
        )  # fmt: skip
    if scheme is not None:
        if type(scheme) is not type(checkpoint.scheme):
            was, now = type(checkpoint.scheme).__name__, type(scheme).__name__
            raise argument_error(
                "scheme", f"be the checkpoint's, {was}", f"is {now}", "leave it out, or start from its state"
            )
        other = difference(checkpoint.scheme, scheme)
        if other is not None:
            raise argument_error("scheme", "be the checkpoint's", other, "leave it out, or start from its state")
        checkpoint = eqx.tree_at(lambda c: c.scheme, checkpoint, scheme)
    state = _view(checkpoint.scheme, checkpoint.carry, checkpoint.aux)
    check_parameters(system)
    system.check(state)
    check_parameters(state)
    check_scalar("dt", checkpoint.dt, positive=True)
    system.check_step(state, checkpoint.dt)
    check_finite("checkpoint", checkpoint.carry)
    _check_scheme(system, checkpoint.scheme, state)
    other = difference(checkpoint.origin, cast_floating(system, checkpoint.dt.dtype))
    if checkpoint.origin is not None and other is not None:
        raise argument_error(
            "system", "be the one of the checkpoint", other, "to change it, start from `solution.final`"
        )
    return checkpoint


@eqx.filter_jit
def _init(scheme: AbstractScheme, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
    return scheme.init(key, system, state, dt)


@eqx.filter_jit
def _view(scheme: AbstractScheme, carry: PyTree, aux: PyTree) -> State:
    return scheme.view(carry, aux)


def _check_scheme(system: AbstractSystem, scheme: Any, state: State) -> None:
    if not isinstance(scheme, AbstractScheme):
        raise argument_error(
            "scheme", "be a scheme", f"is {describe(scheme)}", "pass one, for example jk.EulerMaruyama()"
        )
    for argument, owner, former in (("scheme", scheme, "prepare"), ("system", system, "prepared")):
        if hasattr(owner, former):
            must = "define `make_plan`, from which `step` gets its argument `plan`"
            raise argument_error(argument, must, f"{type(owner).__name__} defines `{former}`", "rename it")
    if isinstance(system, scheme.requires) and system.supports(scheme, state):
        return
    able = sorted(
        s.__name__
        for s in _concrete_schemes(AbstractScheme)
        if isinstance(system, s.requires) and s is not type(scheme) and _supported(system, s, state)
    )
    raise argument_error(
        "scheme", f"be one that {type(system).__name__} supports", f"is {type(scheme).__name__}",
        f"use one of: {', '.join(able) or 'none is known'}",
    )  # fmt: skip


def _check_system(system: Any) -> None:
    if not isinstance(system, AbstractSystem):
        raise argument_error(
            "system", "be a system", f"is {describe(system)}", "pass one, for example jk.landau.Kac(...)"
        )


def _supported(system: AbstractSystem, scheme: type[AbstractScheme], state: State) -> bool:
    try:
        return system.supports(scheme(), state)
    except TypeError:  # the scheme has required arguments
        return True


def _concrete_schemes(cls: type) -> set[type]:
    below = {s for child in cls.__subclasses__() for s in _concrete_schemes(child)}
    return below | ({cls} if hasattr(cls, "requires") and not inspect.isabstract(cls) else set())
