"""`simulate`: run one system."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .._io.fingerprint import SystemRecord
from .._io.progress import check_progress
from .._util.checks import (
    argument_error,
    cast_floating,
    check_bool,
    check_integer,
    deferred_checks,
    describe,
    is_traced,
)
from .._util.sharding import Layout, automatic
from .._util.types import Key, PyTree, RealScalarLike, State
from .adjoint import AbstractAdjoint, Checkpointed
from .checkpoint import Checkpoint
from .loops import Lengths
from .run_in_parts import Kept, run_in_parts
from .run_loop import run_loop, run_without_forward_mode
from .save import Save
from .solution import Solution, joined_limits, raise_or_mark, warn
from .start import continued_start, fresh_start
from .system import AbstractScheme, AbstractSystem
from .times import times_of

_MAX_STEP = 2**31 - 1


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
    - `state_or_checkpoint`: where to start. A `Checkpoint` supplies the key, t0 and dt; it must come from a run that did not
      fail, of the same system (compared by its parameters and by what its functions hold). Arrays may be sharded over the
      devices of a mesh (see "Several devices" below). Mesh axes of JAX's type Explicit become Auto.
    - `scheme`: default `system.default_scheme()`.
    - `key`: a JAX key; required if `scheme.needs_key`. The noise of a step depends only on the key, the absolute step and the
      numbers of particles (`ident`), slots or candidates: none is stored, and a continued, chunked or differentiated run
      uses the same noise.
    - `dt`: the step, nondimensional. `num_steps`: a Python integer. A step sees t, t0 and dt in the state's dtype; the times
      of the saves, `Solution.times`, are float64.
    - `save`: what to keep and when. `adjoint`: what the backward pass stores.
    - `throw`: raise an error if the run fails. If False, see `Solution.result`; the program then holds no host callback.
    - `progress`: show a bar on standard error (a widget in a notebook). The run is then made of about 100 calls of one program,
      on a CPU bitwise the same run; not available inside a traced function.

    **Returns:** a `Solution`. The function composes with `jit`, `grad`, `jvp`, `vmap`. On a CPU, repeating or continuing a run
    gives bitwise identical results on the same machine. With another number of cores results differ by round-off, since XLA
    divides sums over more than about 10^4 numbers among its threads. On an accelerator nothing is guaranteed bitwise: a
    process may choose another algorithm for a product, and a gradient may sum in another order; `benchmarks/bench_device.py`
    measures the differences.

    Several devices: if the particles are divided among the devices of a mesh, so is the work of a step for `NBody` with
    `Cosine` or `Harmonic`, and for `MatrixSqrt` with `Maxwell` or `Trigonometric`: only totals are exchanged. Otherwise a step
    either collects the state on every device (grids, `RandomMatching`, `TauLeap`, `Sweep`, `ExactClock`, sheets), or sums over
    all devices after every block of rows (other sums over pairs). The result is correct, but the run may take longer than on
    one device, and a warning says so. Independent runs scale with every scheme: `ensemble(mesh=)`. Inside `jit`, a failure of
    a run whose state is divided stops the process, since one device raises and the others wait for it: use `throw=False` there.

    Functions (potentials, observables, laws of yours) are compiled once, as by `jax.jit`: what they read from outside must not
    change between calls. Pass such numbers as parameters of an `eqx.Module` or a `jax.tree_util.Partial`.

    **Raises:** `ValueError` for bad arguments, before anything runs. `SimulationError`, naming the first bad step, if the state
    becomes NaN or infinite, or if the scheme reports a fault (inside a trace: a runtime error raised after the loop). A traced
    parameter that is out of range ends the run with a fault that names it.

    **Warns:** if one of the `stats` exceeds the limit that its scheme or system documents (the step is far too long, the grid
    too coarse or too small); only outside a trace and with `throw`; `Solution.warnings` holds the same sentences. Also if
    several devices hold the state and its step does not scale (inside a trace: only for Explicit axes).
    """
    solution = run_simulation(
        system, state_or_checkpoint, scheme, key, dt, num_steps, t0, save, adjoint, throw, progress
    )
    if not throw:
        return solution
    warn(solution)
    return raise_or_mark(solution, "simulate")


def run_simulation(
    system: AbstractSystem,
    state_or_checkpoint: State | Checkpoint,
    scheme: AbstractScheme | None,
    key: Key | None,
    dt: RealScalarLike | None,
    num_steps: int,
    t0: RealScalarLike,
    save: Save,
    adjoint: AbstractAdjoint,
    throw: bool,
    progress: bool = False,
    keep: Kept | None = None,
) -> Solution:
    """`simulate`, without the warnings of `stats` and the error of a failed run. `keep`: where finished parts of the run are
    stored and its progress is shown."""
    num_steps = check_integer("num_steps", num_steps, minimum=0)
    check_bool("throw", throw)
    if not isinstance(save, Save):
        raise argument_error("save", "be a Save", f"is {describe(save)}", "pass jk.Save(every=10), say")
    check_progress(progress)
    if not isinstance(adjoint, AbstractAdjoint):
        raise argument_error(
            "adjoint", "be an adjoint", f"is {describe(adjoint)}", "pass jk.Checkpointed() or jk.Direct()"
        )
    layout = Layout.of(state_or_checkpoint)
    given = system, state_or_checkpoint, scheme, key, dt, t0, save
    system, state_or_checkpoint, scheme, key, dt, t0, save = automatic(given)
    fresh = not isinstance(state_or_checkpoint, Checkpoint)
    if not fresh:
        default_t0 = isinstance(t0, (int, float)) and t0 == 0
        for name, value in (("key", key), ("dt", dt), ("t0", None if default_t0 else t0)):
            if value is not None:
                must = "be left out when a Checkpoint is continued"
                raise argument_error(name, must, f"is {describe(value)}", "the checkpoint holds it")
    with deferred_checks() as checks:
        if fresh:
            start = fresh_start(system, state_or_checkpoint, scheme, key, dt, t0)
        else:
            start = continued_start(system, state_or_checkpoint, scheme)
    if adjoint.reversible and "reversible" not in start.scheme.gradients:
        raise argument_error(
            "adjoint", f"not be Reversible for {type(start.scheme).__name__}, which has no reverse step", "is",
            "pass jk.Checkpointed()",
        )  # fmt: skip
    layout.warn(system, start.scheme, stacklevel=4)
    last = start.step + num_steps
    if last > _MAX_STEP:
        must = f"end at most at step {_MAX_STEP}"
        raise argument_error("num_steps", must, f"ends at {last}", "start a new run with a new key")

    saved = save.plan(start.step, last, fresh)
    ends = saved if saved.size and saved[-1] == last else np.append(saved, last)
    if not fresh and save.at_start(start.step):
        # A fresh run saves its initial state here. An empty interval in its place lets all chunks share one program.
        ends = np.insert(ends, 0, start.step)
    counts, wanted = np.diff(ends, prepend=start.step).astype(np.int32), np.isin(ends, saved)
    dtype = start.dt.dtype
    system = cast_floating(system, dtype)
    bare = Save(state=save.state, observe=save.observe)
    # `step` is a static field of the Checkpoint: set to 0, so that all continuations share one program.
    run = run_without_forward_mode if adjoint.reversible else run_loop
    in_parts = progress or keep is not None
    run = partial(run_in_parts, run, keep=keep) if in_parts else run
    loop, kept, final, stats = run(
        system, dataclasses.replace(start, step=0, origin=None, result=None, clock=None), np.asarray(start.step, np.int32),
        counts, wanted, Lengths.of(counts, int(counts.max())), bare, adjoint, throw if adjoint.reversible else True,
    )  # fmt: skip
    if not in_parts and not wanted.all():
        kept = _cut(kept, int(wanted.argmax()), saved.size)
    observed, states = kept
    result = loop.result.after_checks(checks.values(), start.step)
    if not fresh and is_traced(start.result):
        # Whether the earlier part failed is known only at run time; if it did, its failure is kept.
        result = result.unless_failed(start.result)
    end = Checkpoint(
        loop.carry, loop.aux, start.key, last, start.t0, start.dt, start.scheme, SystemRecord(system), result, start.clock
    )  # fmt: skip
    stats = {"steps": jnp.asarray(np.asarray(num_steps)), **stats}
    stats |= system.end_stats(final, last * (start.dt if is_traced(start.dt) else np.asarray(start.dt)))
    limits = joined_limits(start.scheme, system)
    return Solution(times_of(start, saved, loop.carry), observed, states, final, end, stats, result, limits)


@partial(jax.jit, static_argnums=(1, 2))
def _cut(kept: PyTree, first: int, num: int) -> PyTree:
    return jax.tree.map(lambda y: y[first : first + num], kept)
