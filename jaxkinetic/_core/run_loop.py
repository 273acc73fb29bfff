"""The time loop: one compiled program for all steps and saves of a run."""

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxkinetic_kernels.random_bits import TAG_OBSERVE, fold_in

from .._util.checks import argument_error
from .._util.types import Array, PyTree, RealScalar, State
from .adjoint import AbstractAdjoint, Problem
from .checkpoint import Checkpoint
from .loops import Lengths
from .outcome import first_failure, no_failure
from .reversible import Reversible
from .save import Context, Contextual, Save
from .solution import Result
from .system import AbstractScheme, AbstractSystem
from .totals import Fault, Finite


class Loop(eqx.Module):
    carry: PyTree
    aux: PyTree
    step: Array
    totals: dict[str, Any]
    result: Result


class Given(eqx.Module):
    """Inputs of steps and saves that no step changes. `start`: without the initial state."""

    system: AbstractSystem
    plan: Any
    start: Checkpoint
    save: Save


@eqx.filter_jit
def jitted_step(scheme: AbstractScheme, *arguments: Any, **plan: Any) -> tuple[PyTree, PyTree, dict[str, Any]]:
    """One step as a jitted function, so that it is traced once, however often the surrounding loops are traced."""
    return scheme.step(*arguments, **plan)


def _planned(plan: Any, method: Callable[..., Any]) -> dict[str, Any]:
    """The keyword argument `plan` for a scheme that has a plan; other schemes need not accept it."""
    return {} if plan is None or not _takes_plan(method) else {"plan": plan}


def _takes_plan(method: Callable[..., Any]) -> bool:
    """Whether a `step` or `reverse` has the argument `plan`; one that overrides another may have been written without."""
    parameters = inspect.signature(method).parameters.values()
    return any(one.name == "plan" or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def run_without_forward_mode(*arguments: Any, **options: Any) -> Any:
    """`run_loop`; JAX's errors about forward mode and closures become `ValueError`s with a remedy."""
    try:
        return run_loop(*arguments, **options)
    except Exception as error:
        if "closed-over" in str(error):
            raise argument_error(
                "save", "not close over differentiated values if the adjoint is Reversible", "closes over some",
                "wrap the observable in jax.tree_util.Partial(fn, name=value), or use jk.Contextual",
            ) from None  # fmt: skip
        if "forward-mode" not in str(error):
            raise
        raise argument_error(
            "adjoint", "support forward mode", "is Reversible, which has reverse mode and forward over reverse",
            "pass jk.Direct() or jk.Checkpointed()",
        ) from None  # fmt: skip


@eqx.filter_jit
def run_loop(
    system: AbstractSystem,
    start: Checkpoint,
    first: Any,
    counts: Any,
    wanted: Any,
    lengths: Lengths,
    save: Save,
    adjoint: AbstractAdjoint,
    throw: bool,
    so_far: tuple[dict[str, Any], Result, PyTree] | None = None,
) -> tuple[Loop, PyTree, State, dict[str, Array]]:
    """(final loop, saved values, final state, statistics). Interval k has counts[k] steps; its end is saved if wanted[k].
    `so_far`: totals and result of the earlier parts of the run, and the carry from which its first part started."""
    scheme, dtype = start.scheme, start.dt.dtype

    def time(start: Checkpoint, step: Array) -> RealScalar:
        return start.t0 + step.astype(dtype) * start.dt

    def one_step(given: Given, loop: Loop) -> Loop:
        start = given.start
        key = fold_in(start.key, loop.step.astype(jnp.uint32))
        t = time(start, loop.step)
        carry, aux, info = jitted_step(
            start.scheme, key, given.system, t, start.dt, loop.carry, loop.aux,
            **_planned(given.plan, start.scheme.step),
        )  # fmt: skip
        step = loop.step + 1
        totals = {name: total.merge(info[name]) for name, total in loop.totals.items()}
        return Loop(carry, aux, step, totals, first_failure(loop.result, step, carry, info))

    def back(given: Given, loop: Loop) -> Loop:
        start = given.start
        step = loop.step - 1
        key = fold_in(start.key, step.astype(jnp.uint32))
        carry, aux = start.scheme.reverse(
            key, given.system, time(start, step), start.dt, loop.carry, loop.aux,
            **_planned(given.plan, start.scheme.reverse),
        )  # fmt: skip
        return Loop(carry, aux, step, loop.totals, loop.result)

    def take(given: Given, loop: Loop) -> PyTree:
        start = given.start
        state = start.scheme.view(loop.carry, loop.aux)
        contexts = {}
        for name, fn in given.save.observe.items():
            if isinstance(fn, Contextual):
                words = fold_in(start.key, loop.step.astype(jnp.uint32), zlib.crc32(name.encode()), tag=TAG_OBSERVE)
                own = jax.random.wrap_key_data(words, impl="threefry2x32")
                contexts[name] = Context(time(start, loop.step), loop.step, given.system, state, own, start.dt)
        return given.save.take(contexts, state)

    # Later parts of a run use its initial carry, so that they have the same plan as a run in one call.
    plan = scheme.make_plan(system, start.carry if so_far is None else so_far[2], start.dt)
    info = eqx.filter_eval_shape(
        jitted_step,
        scheme,
        start.key,
        system,
        start.t0,
        start.dt,
        start.carry,
        start.aux,
        **_planned(plan, scheme.step),
    )[2]
    totals = {name: entry.start() for name, entry in info.items() if not isinstance(entry, (Fault, Finite))}
    result = no_failure(dtype)
    if so_far is not None:
        totals, result, _ = so_far
    loop = Loop(start.carry, start.aux, first, totals, result)
    # The inputs of a step. It does not use the initial state, which the adjoint would otherwise keep beside the loop's.
    bare = eqx.tree_at(lambda c: (c.carry, c.aux), start, (None, None), is_leaf=lambda x: x is None)
    given = Given(system, plan, bare, save)
    problem, begin = Problem(one_step, back, take, lambda loop: (loop.carry, loop.aux), lengths, throw), loop
    loop, kept = adjoint.run(problem, given, loop, counts, wanted)
    stats = {name: entry.value for name, entry in loop.totals.items()}
    if isinstance(adjoint, Reversible) and adjoint.measure:
        stats["rebuilt_error"] = adjoint.rebuilt_error(problem, given, begin, loop, counts)
    return loop, kept, scheme.view(loop.carry, loop.aux), stats
