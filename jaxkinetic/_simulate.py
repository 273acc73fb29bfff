"""The one time loop."""

import dataclasses
import inspect
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxkinetic_kernels.words import TAG_OBSERVE, fold_in

from ._adjoint import AbstractAdjoint, Checkpointed, Lengths, Problem, Reversible
from ._checkpoint import Checkpoint
from ._checks import (
    cast_floating,
    check_bool,
    check_finite,
    check_integer,
    check_parameters,
    check_scalar,
    deferred_checks,
    describe,
    is_traced,
    known_as,
    real_dtype,
    refuse,
)
from ._fingerprint import Remembered, difference
from ._progress import Progress, check_progress
from ._run_words import run_words
from ._save import Context, Contextual, Save
from ._sharding import Layout, automatic
from ._solution import Result, Solution, joined_limits, raise_or_mark, warn
from ._system import AbstractScheme, AbstractSystem, Fault, Finite
from ._types import Array, Key, PyTree, RealScalar, RealScalarLike, State, Words

_MAX_STEP = 2**31 - 1
# Calls of the program of a run with a bar, about.
_PARTS = 100


def simulate(
    system: AbstractSystem,
    state_or_checkpoint: State | Checkpoint,
    *,
    scheme: AbstractScheme | None = None,
    key: Key | None = None,
    dt: RealScalarLike | None = None,
    num_steps: int,
    t0: RealScalarLike = 0.0,
    save: Save = Save(),  # noqa: B008  (immutable)
    adjoint: AbstractAdjoint = Checkpointed(),  # noqa: B008  (immutable)
    throw: bool = True,
    progress: bool = False,
) -> Solution:
    """Advance `system` by `num_steps` steps, t = t0 + step dt.

    **Arguments:**

    - `system`: the physics. Its floating leaves are cast to the state's real dtype and may be traced.
    - `state_or_checkpoint`: where to start; with a `Checkpoint` the key, t0 and dt come from it, and it must be of a run that
      did not fail, with the same system (compared by its parameters and by what its functions hold). Arrays may be sharded over
      the devices of a mesh (several devices: below). Explicit axes become Auto.
    - `scheme`: default `system.default_scheme()`.
    - `key`: a JAX key; required if `scheme.needs_key`. The noise of a step is a function of (key, absolute step,
      idents): nothing is stored, and a continued, chunked or differentiated run sees the same.
    - `dt`: the step, nondimensional. `num_steps`: a Python integer. A step sees t, t0 and dt in the state's dtype; the times
      of the saves, `Solution.times`, are float64.
    - `save`: what to keep and when. `adjoint`: what the backward pass stores.
    - `throw`: raise when a run fails (False: see `Solution.result`; the program then holds no host callback).
    - `progress`: show a bar on standard error (a widget in a notebook). The run is then made of about 100 calls of one program,
      on a CPU bitwise the same run; not inside a traced function.

    **Returns:** a `Solution`. The function composes with `jit`, `grad`, `jvp`, `vmap`. On a CPU the same run, or its
    continuation, is bitwise the same on the same machine; with another number of cores it differs by round-off: XLA divides
    sums over more than about 10^4 numbers among its threads. On an accelerator no bit is promised: a process may choose another
    algorithm for a product, and a gradient may add in another order. `benchmarks/bench_device.py` measures what holds.

    Several devices: if the particles of the state are divided among the devices of a mesh, the work of a step is, too, for
    `NBody` with `Cosine` or `Harmonic`, and for `MatrixSqrt` with `Maxwell` or `Trigonometric`: only totals are exchanged.
    Elsewhere a step collects the state on every device (grids, `RandomMatching`, `TauLeap`, `Sweep`, `ExactClock`, sheets), or
    adds up numbers of all devices after every block of rows (other sums over pairs): the result is right, but it may take
    longer than on one device, and a warning says so. Independent runs scale with every scheme: `ensemble(mesh=)`.

    **Raises:** `ValueError` for bad arguments, before anything runs; `SimulationError` naming the first bad step for a
    NaN or infinity that appears in the run, or a fault that its scheme names (inside a trace: a runtime error raised after
    the loop). A traced parameter that is out of range ends the run with a fault that names it.

    **Warns:** if one of the `stats` is above the limit that its scheme or system documents: a step that is far too long, a grid
    that is too coarse or too small. Outside of a trace, with `throw`; `Solution.warnings` says the same. Also if several
    devices hold the state and its step does not scale (inside a trace: on Explicit axes).
    """
    num_steps = check_integer("num_steps", num_steps, minimum=0)
    check_bool("throw", throw)
    if not isinstance(save, Save):
        raise refuse("save", "be a Save", f"is {describe(save)}", "pass jk.Save(every=10), say")
    check_progress(progress)
    if not isinstance(adjoint, AbstractAdjoint):
        raise refuse("adjoint", "be an adjoint", f"is {describe(adjoint)}", "pass jk.Checkpointed() or jk.Direct()")
    layout = Layout.of(state_or_checkpoint)
    given = system, state_or_checkpoint, scheme, key, dt, t0, save
    system, state_or_checkpoint, scheme, key, dt, t0, save = automatic(given)
    fresh = not isinstance(state_or_checkpoint, Checkpoint)
    if not fresh:
        default_t0 = isinstance(t0, (int, float)) and t0 == 0
        for name, value in (("key", key), ("dt", dt), ("t0", None if default_t0 else t0)):
            if value is not None:
                must = "be left out when a Checkpoint is continued"
                raise refuse(name, must, f"is {describe(value)}", "it comes from there")
    with deferred_checks() as checks:
        if fresh:
            start = _fresh_start(system, state_or_checkpoint, scheme, key, dt, t0)
        else:
            start = _continued_start(system, state_or_checkpoint, scheme)
    if adjoint.reversible and "reversible" not in start.scheme.gradients:
        raise refuse(
            "adjoint", f"store states for {type(start.scheme).__name__}, which cannot run backwards", "is Reversible",
            "pass jk.Checkpointed()",
        )  # fmt: skip
    layout.warn(system, start.scheme)
    last = start.step + num_steps
    if last > _MAX_STEP:
        must = f"end at most at step {_MAX_STEP}"
        raise refuse("num_steps", must, f"ends at {last}", "start a new run with a new key")

    saved = save.plan(start.step, last, fresh)
    ends = saved if saved.size and saved[-1] == last else np.append(saved, last)
    if not fresh and save.at_start(start.step):
        # An empty interval in the place of the save that a fresh run makes at its start: all chunks then share one program.
        ends = np.insert(ends, 0, start.step)
    counts, wanted = np.diff(ends, prepend=start.step).astype(np.int32), np.isin(ends, saved)
    dtype = start.dt.dtype
    system = cast_floating(system, dtype)
    bare = Save(state=save.state, observe=save.observe)
    # The step of a Checkpoint is static: without it every continuation of a kind is one program.
    run = _without_forward_mode if adjoint.reversible else _run
    run = partial(_in_parts, run) if progress else run
    loop, kept, final, stats = run(
        system, dataclasses.replace(start, step=0, origin=None, result=None, clock=None), np.asarray(start.step, np.int32),
        counts, wanted, Lengths.of(counts, int(counts.max())), bare, adjoint, throw if adjoint.reversible else True,
    )  # fmt: skip
    if not progress and not wanted.all():
        kept = _cut(kept, int(wanted.argmax()), saved.size)
    observed, states = kept
    result = loop.result.after_checks(checks.values(), start.step)
    if not fresh and is_traced(start.result):
        # That the run had failed before is known after compilation only: then it stays so.
        result = result.unless_failed(start.result)
    end = Checkpoint(
        loop.carry, loop.aux, start.key, last, start.t0, start.dt, start.scheme, Remembered(system), result, start.clock
    )  # fmt: skip
    stats = {"steps": jnp.asarray(np.asarray(num_steps)), **stats}
    stats |= system.end_stats(final, last * (start.dt if is_traced(start.dt) else np.asarray(start.dt)))
    limits = joined_limits(start.scheme, system)
    solution = Solution(times_of(start, saved, loop.carry), observed, states, final, end, stats, result, limits)
    if not throw:
        return solution
    warn(solution)
    return raise_or_mark(solution, "simulate")


def clock_of(t0: Any, dt: Any) -> tuple[float, float] | None:
    """t0 and dt in double precision, None if one of them is traced."""
    return None if is_traced(t0, dt) else (float(t0), float(dt))


def times_of(start: Checkpoint, steps: np.ndarray, carry: PyTree = None) -> Array | np.ndarray:
    """t0 + step dt: of known t0 and dt by NumPy in float64. In float32 the times of dt = .01 after t0 = 1e6 coincide.
    Rounded to the state's dtype where `carry` is traced, and known there too: windows and fits may look at them."""
    clock = _own_clock(start)
    if clock is None:
        return start.t0 + jnp.asarray(steps, start.dt.dtype) * start.dt
    t0, dt = clock
    times = np.asarray(t0 + steps * dt)
    return known_in_a_trace(times, start.dt.dtype) if is_traced(carry) else times


def known_in_a_trace(times: np.ndarray, dtype: Any) -> Array:
    """The times as an array of JAX that is not traced, inside of a trace too."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(times.astype(dtype))


def _own_clock(start: Checkpoint) -> tuple[float, float] | None:
    """Its `clock`, unless t0 or dt were changed since (`eqx.tree_at`): then theirs."""
    rounded = start.clock is not None and not is_traced(start.t0, start.dt)
    if rounded:
        known = np.asarray(start.clock).astype(start.dt.dtype)
        if not all(np.all(np.asarray(x) == y) for x, y in zip((start.t0, start.dt), known, strict=True)):
            return clock_of(start.t0, start.dt)
    return clock_of(start.t0, start.dt) if start.clock is None else start.clock


def _in_parts(
    run: Callable[..., Any],
    system: AbstractSystem,
    start: Checkpoint,
    first: Any,
    counts: np.ndarray,
    wanted: np.ndarray,
    lengths: Lengths,
    save: Save,
    adjoint: AbstractAdjoint,
    throw: bool,
) -> tuple["_Loop", PyTree, State, dict[str, Array]]:
    """`run` as at most about 100 calls of one program, with a bar between them. Bitwise as one call, as a restart is."""
    if is_traced(system, start):
        raise refuse("progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`")
    if isinstance(adjoint, Reversible) and adjoint.measure:
        raise refuse(
            "progress", "be False with `Reversible(measure=True)`", "is True", "measure in a run without a bar"
        )
    # Cut long intervals into parts without a save, then group the parts.
    most = max(1, -(-int(counts.sum()) // _PARTS))
    parts = [min(most, count - i) for count in counts.tolist() for i in range(0, max(count, 1), most)]
    saves = np.zeros(len(parts), bool)
    saves[np.cumsum([max(1, -(-count // most)) for count in counts.tolist()]) - 1] = wanted
    size = -(-len(parts) // _PARTS)
    groups = -(-len(parts) // size)
    counts = np.pad(np.asarray(parts, np.int32), (0, groups * size - len(parts))).reshape(groups, size)
    saves = np.pad(saves, (0, groups * size - len(parts))).reshape(groups, size)
    call = partial(run, lengths=Lengths.of(counts, most), save=save, adjoint=adjoint, throw=throw)
    shapes = eqx.filter_eval_shape(call, system, start, first, counts[0], saves[0], so_far=None)[0]
    so_far = {name: total.start() for name, total in shapes.totals.items()}, _no_result(start.dt.dtype), start.carry
    loop: Any
    kept, final, stats, loop = [], None, {}, None
    with Progress(int(counts.sum()), "step", shown=True) as bar:
        for part, save_now in zip(counts, saves, strict=True):
            loop, rows, final, stats = call(system, start, first, part, save_now, so_far=so_far)
            if is_traced(loop):
                raise refuse(
                    "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
                )
            start = dataclasses.replace(start, carry=loop.carry, aux=loop.aux)
            first, so_far = loop.step, (loop.totals, loop.result, so_far[2])
            kept.append(jax.tree.map(partial(_rows, np.flatnonzero(save_now)), rows))
            jax.block_until_ready(first)
            bar.advance(int(part.sum()))
    return loop, jax.tree.map(lambda *x: jnp.concatenate(x), *kept), final, stats


def _rows(places: np.ndarray, x: Array) -> Array:
    return x[places]


@partial(jax.jit, static_argnums=(1, 2))
def _cut(kept: PyTree, first: int, num: int) -> PyTree:
    return jax.tree.map(lambda y: y[first : first + num], kept)


class _Loop(eqx.Module):
    carry: PyTree
    aux: PyTree
    step: Array
    totals: dict[str, Any]
    result: Result


def check_start(
    system: AbstractSystem, state: State, scheme: AbstractScheme | None, key: Any, dt: Any, t0: Any
) -> AbstractScheme:
    """The scheme of a fresh run, after every check that needs no program. **Raises:** `ValueError`."""
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
        raise refuse("dt", "be given", "is missing", "pass the time step, for example dt=1e-2")
    check_scalar("dt", dt, positive=True)
    check_scalar("t0", t0)
    if key is None and scheme.needs_key:
        raise refuse("key", f"be given for {type(scheme).__name__}", "is missing", "pass key=jax.random.key(seed)")
    system.check_step(state, dt)
    return scheme


def _fresh_start(
    system: AbstractSystem, state: State, scheme: AbstractScheme | None, key: Key | None, dt: Any, t0: Any
) -> Checkpoint:
    scheme = check_start(system, state, scheme, key, dt, t0)
    dtype = real_dtype(state)
    words, clock = run_words(key), clock_of(t0, dt)
    dt, t0 = (jnp.asarray(x) for x in known_as(dtype, dt, t0))
    # Once more: a small number may be 0 in this dtype.
    check_scalar("dt", dt, positive=True)
    check_scalar("t0", t0)
    if not is_traced(dt) and float(dt) < float(jnp.finfo(dtype).tiny):
        raise refuse("dt", f"be a normal number of {dtype}", f"is {float(dt):g}", "raise it: arithmetic takes it for 0")
    carry, aux = _init(scheme, words, cast_floating(system, dtype), state, dt)
    return Checkpoint(carry, aux, words, 0, t0, dt, scheme, clock=clock)


def _continued_start(system: AbstractSystem, checkpoint: Checkpoint, scheme: AbstractScheme | None) -> Checkpoint:
    _check_system(system)
    ended = checkpoint.result
    if ended is not None and not is_traced(ended) and not np.all(np.asarray(ended.code) == Result.FINISHED):
        raise refuse(
            "checkpoint", "be of a run that did not fail", f"that one ended so: {ended.message.rstrip('.')}",
            "continue from an earlier one",
        )  # fmt: skip
    if scheme is not None:
        if type(scheme) is not type(checkpoint.scheme):
            was, now = type(checkpoint.scheme).__name__, type(scheme).__name__
            raise refuse("scheme", f"be the checkpoint's, {was}", f"is {now}", "leave it out, or start from its state")
        other = difference(checkpoint.scheme, scheme)
        if other is not None:
            raise refuse("scheme", "be the checkpoint's", other, "leave it out, or start from its state")
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
        raise refuse("system", "be the one of the checkpoint", other, "to change it start from `solution.final`")
    return checkpoint


@eqx.filter_jit
def _init(scheme: AbstractScheme, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
    return scheme.init(key, system, state, dt)


@eqx.filter_jit
def _view(scheme: AbstractScheme, carry: PyTree, aux: PyTree) -> State:
    return scheme.view(carry, aux)


def _check_scheme(system: AbstractSystem, scheme: Any, state: State) -> None:
    if not isinstance(scheme, AbstractScheme):
        raise refuse("scheme", "be a scheme", f"is {describe(scheme)}", "pass one, for example jk.EulerMaruyama()")
    if isinstance(system, scheme.requires) and system.supports(scheme, state):
        return
    able = sorted(
        s.__name__
        for s in _concrete_schemes(AbstractScheme)
        if isinstance(system, s.requires) and s is not type(scheme) and _supported(system, s, state)
    )
    raise refuse(
        "scheme", f"be one that {type(system).__name__} supports", f"is {type(scheme).__name__}",
        f"use one of: {', '.join(able) or 'none is known'}",
    )  # fmt: skip


def _check_system(system: Any) -> None:
    if not isinstance(system, AbstractSystem):
        raise refuse("system", "be a system", f"is {describe(system)}", "pass one, for example jk.landau.Kac(...)")


def _supported(system: AbstractSystem, scheme: type[AbstractScheme], state: State) -> bool:
    try:
        return system.supports(scheme(), state)
    except TypeError:  # a scheme that cannot be made without arguments
        return True


def _concrete_schemes(cls: type) -> set[type]:
    below = {s for child in cls.__subclasses__() for s in _concrete_schemes(child)}
    return below | ({cls} if hasattr(cls, "requires") and not inspect.isabstract(cls) else set())


def _no_result(dtype: jnp.dtype) -> Result:
    """That of a run without a fault so far."""
    return Result(jnp.asarray(Result.FINISHED, jnp.int32), jnp.asarray(-1, jnp.int32), jnp.zeros(2, dtype))


def _judged(result: Result, step: Array, carry: PyTree, info: dict[str, Any]) -> Result:
    """The result after a step: the first thing that went wrong stays; what the scheme says comes before what is not finite."""
    told = [entry.ok for entry in info.values() if isinstance(entry, Finite)]
    finite = jnp.stack(told).all() if told else _all_finite(carry)
    found = Result(jnp.where(finite, Result.FINISHED, Result.NOT_FINITE), step, jnp.zeros_like(result.detail))
    for fault in (entry for entry in info.values() if isinstance(entry, Fault)):
        told = Result(fault.code, step, fault.detail.astype(result.detail.dtype))
        found = jax.tree.map(partial(jnp.where, fault.code != 0), told, found)
    return jax.tree.map(partial(jnp.where, result.ok & ~found.ok), found, result)


def _all_finite(tree: PyTree) -> Array:
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]).all()


@eqx.filter_jit
def _advanced(scheme: AbstractScheme, *arguments: Any) -> tuple[PyTree, PyTree, dict[str, Any]]:
    """One step, a program of its own: traced once, however often the loops around it are."""
    return scheme.step(*arguments)


def _without_forward_mode(*arguments: Any, **options: Any) -> Any:
    """`_run`, with a sentence of ours where JAX finds forward mode."""
    try:
        return _run(*arguments, **options)
    except Exception as error:
        if "closed-over" in str(error):
            raise refuse(
                "save", "take what is differentiated as an argument when the adjoint is Reversible", "closes over it",
                "wrap the observable in jax.tree_util.Partial(fn, name=value), or use jk.Contextual",
            ) from None  # fmt: skip
        if "forward-mode" not in str(error):
            raise
        raise refuse(
            "adjoint", "be one that has forward mode", "is Reversible, which has reverse mode and forward over reverse",
            "pass jk.Direct() or jk.Checkpointed()",
        ) from None  # fmt: skip


@eqx.filter_jit
def _run(
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
) -> tuple[_Loop, PyTree, State, dict[str, Array]]:
    """(final loop, what was saved after each interval of `counts` steps that is `wanted`, final state, statistics). `so_far`:
    totals and result of the earlier parts of the run, and the carry from which the first one started."""
    scheme, dtype = start.scheme, start.dt.dtype

    def time(start: Checkpoint, step: Array) -> RealScalar:
        return start.t0 + step.astype(dtype) * start.dt

    def one_step(given: tuple[AbstractSystem, Any, Checkpoint, Save], loop: _Loop) -> _Loop:
        system, prepared, start, _ = given
        system = system if prepared is None else prepared
        key = fold_in(start.key, loop.step.astype(jnp.uint32))
        t = time(start, loop.step)
        carry, aux, info = _advanced(start.scheme, key, system, t, start.dt, loop.carry, loop.aux)
        step = loop.step + 1
        totals = {name: total.merge(info[name]) for name, total in loop.totals.items()}
        return _Loop(carry, aux, step, totals, _judged(loop.result, step, carry, info))

    def back(given: tuple[AbstractSystem, Any, Checkpoint, Save], loop: _Loop) -> _Loop:
        system, prepared, start, _ = given
        system = system if prepared is None else prepared
        step = loop.step - 1
        key = fold_in(start.key, step.astype(jnp.uint32))
        carry, aux = start.scheme.reverse(key, system, time(start, step), start.dt, loop.carry, loop.aux)
        return _Loop(carry, aux, step, loop.totals, loop.result)

    def take(given: tuple[AbstractSystem, Any, Checkpoint, Save], loop: _Loop) -> PyTree:
        system, _, start, save = given
        state = start.scheme.view(loop.carry, loop.aux)
        contexts = {}
        for name, fn in save.observe.items():
            if isinstance(fn, Contextual):
                words = fold_in(start.key, loop.step.astype(jnp.uint32), zlib.crc32(name.encode()), tag=TAG_OBSERVE)
                own = jax.random.wrap_key_data(words, impl="threefry2x32")
                contexts[name] = Context(time(start, loop.step), loop.step, system, state, own, start.dt)
        return save.take(contexts, state)

    prepared = scheme.prepare(system, start.carry if so_far is None else so_far[2], start.dt)
    prepared = None if prepared is system else prepared
    info = eqx.filter_eval_shape(
        _advanced,
        scheme,
        start.key,
        system if prepared is None else prepared,
        start.t0,
        start.dt,
        start.carry,
        start.aux,
    )[2]
    totals = {name: entry.start() for name, entry in info.items() if not isinstance(entry, (Fault, Finite))}
    result = _no_result(dtype)
    if so_far is not None:
        totals, result, _ = so_far
    loop = _Loop(start.carry, start.aux, first, totals, result)
    # What a step takes from outside, without the state that the run began from.
    bare = eqx.tree_at(lambda c: (c.carry, c.aux), start, (None, None), is_leaf=lambda x: x is None)
    given = system, prepared, bare, save
    problem, begin = Problem(one_step, back, take, lambda loop: (loop.carry, loop.aux), lengths, throw), loop
    loop, kept = adjoint.run(problem, given, loop, counts, wanted)
    stats = {name: entry.value for name, entry in loop.totals.items()}
    if isinstance(adjoint, Reversible) and adjoint.measure:
        stats["rebuilt_error"] = adjoint.rebuilt_error(problem, given, begin, loop, counts)
    return loop, kept, scheme.view(loop.carry, loop.aux), stats
