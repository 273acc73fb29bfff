"""Ensembles: independent replicas of a run, in batches that fit in memory, kept or reduced."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxkinetic_kernels import REPLICAS

from .._io.fingerprint import SystemRecord
from .._io.progress import check_progress
from .._util.checks import argument_error, cast_floating, check_bool, check_integer, describe, is_traced, takes_one
from .._util.printing import printed
from .._util.sharding import Layout, automatic, automatic_mesh, explicit_context
from .._util.types import Key, PyTree, RealScalarLike, State
from .._util.user_laws import hashable
from .adjoint import AbstractAdjoint, Checkpointed
from .checkpoint import Checkpoint
from .ensemble_in_parts import run_resumably
from .reductions import AbstractReduction
from .replicas import Replica, even_batches, run_in_one_call
from .run_key import run_words
from .save import Save
from .solution import Solution, raise_or_mark, warn
from .start import check_start
from .system import AbstractScheme, AbstractSystem
from .times import clock_of, known_in_a_trace


def ensemble(
    system: AbstractSystem,
    init: State | Callable[[Key], State],
    *,
    key: Key,
    replicas: int,
    batch: int | None = None,
    reduce: AbstractReduction | None = None,
    mesh: jax.sharding.Mesh | None = None,
    scheme: AbstractScheme | None = None,
    dt: RealScalarLike | None = None,
    num_steps: int,
    t0: RealScalarLike = 0.0,
    save: Save = Save(),  # noqa: B008  (immutable)
    adjoint: AbstractAdjoint = Checkpointed(),  # noqa: B008  (immutable)
    throw: bool = True,
    progress: bool = False,
    path: str | os.PathLike | None = None,
) -> Solution:
    """`replicas` independent runs of `simulate`, in one call of a compiled program (with `path`: in several calls).

    **Arguments:**

    - `init`: a function key -> state, called for every replica, or one state from which all replicas start. Pass a
      module-level function, `jax.tree_util.Partial` or a module: a new lambda is compiled anew in every call.
    - `key`: replica r uses `jax.random.fold_in(key, r)`, split once into keys of its initial state and its noise. So its path
      does not depend on `replicas`, `batch` or `mesh`, up to the few ulp by which vectorised programs differ. With a key of
      kind "rbg" or "unsafe_rbg", the initial states are drawn one after another, because vectorised draws from such keys
      depend on their number.
    - `batch`: replicas that advance together; None is 2^18/N^2 on the CPU and 2^24/N^2 on accelerators, at least one. Batches
      run one after another, so the memory is that of one batch and of the kept results.
    - `reduce`: None keeps every replica. `jk.MeanVar()`, or an `AbstractReduction` of your own, keeps only a total of the
      observed values (and, with `save.state`, of the states) over all batches: memory does not grow with `replicas`.
    - `mesh`: distributes the replicas over the devices of a mesh with one axis; `replicas` must be a multiple of their number.
      Its axis type may be Explicit (the default of `jax.make_mesh`) or Auto; the results have Auto. (Inside `jax.set_mesh` of a
      mesh with Explicit axes, every device gets a copy of the results.) Devices exchange only the totals of `reduce`, so
      every system and scheme scales. An initial state that is itself sharded needs no `mesh`: see `simulate`.
    - `progress`: show a bar of finished replicas on standard error, which advances after every batch. Not in a traced function.
    - `path`: a folder in which finished parts are stored. A call with the same arguments and the same folder computes only
      what is missing; on a CPU its result is bitwise that of a call with a folder that was not interrupted. A part is
      one or more complete batches, at most 32 parts in all; fewer than 8 replicas in batches of one are each stored in about
      ten files. Only one process at a time may write to a folder. Not with `mesh`, and not inside a traced function.
    - the others: as in `simulate`.

    **Returns:** a `Solution` whose arrays have a leading axis of replicas, except `times`, (T,). With `reduce`,
    `observed[name]` and `states` are the results of the reduction, `final` and `checkpoint` are None; `stats` and `result`
    keep the axis of replicas, and `run` says what ran.

    Differentiable as `simulate` is; the backward pass recomputes one batch at a time. **Raises:** as `simulate`; `ValueError`
    for invalid numbers, an `init` that is neither a state nor a function of a key, and a reduction without observables;
    `SimulationError` if a replica fails.
    """
    replicas, init = check_integer("replicas", replicas, minimum=1), hashable(init)
    check_progress(progress)
    check_bool("throw", throw)
    run_words(key)
    if key is None:
        raise argument_error("key", "be given", "is missing", "pass key=jax.random.key(seed)")
    if reduce is not None and not isinstance(reduce, AbstractReduction):
        raise argument_error("reduce", "be a reduction", f"is {describe(reduce)}", "pass jk.MeanVar()")
    if not isinstance(save, Save):
        raise argument_error("save", "be a Save", f"is {describe(save)}", "pass jk.Save(every=10), for example")
    if reduce is not None and not (save.observe or save.state):
        raise argument_error(
            "reduce", "have something to reduce", "`save` observes nothing", "pass jk.Save(observe={...})"
        )
    devices = _num_devices(mesh, replicas)
    layout = Layout.of(None if callable(init) or mesh is not None else init)
    system, init, key, scheme, dt, t0, save = automatic((system, init, key, scheme, dt, t0, save))
    if mesh is not None and not explicit_context():
        mesh = automatic_mesh(mesh)
    if mesh is not None and reduce is not None and type(reduce).merge is AbstractReduction.merge:
        raise argument_error(
            "reduce", "define `merge` on a mesh", f"is {type(reduce).__name__}, which does not", "define it"
        )
    if callable(init) and not takes_one(init):
        raise argument_error(
            "init",
            "take a key as its only argument",
            f"{printed(init)} does not",
            "bind the other arguments with `jax.tree_util.Partial(fn, name=value)`",
        )
    example = Replica(system, init, key, dt, t0, scheme, save, adjoint, num_steps).start(0)[0]
    layout.warn(system, check_start(system, example, scheme, key, dt, t0))
    if batch is None:
        # Two plans: on which platform the program runs may be known only when it is lowered.
        areas = REPLICAS.cpu, REPLICAS.on_accelerator(_rows(example))
        plans = tuple(even_batches(replicas // devices, area // max(_rows(example), 1) ** 2) for area in areas)
    else:
        plans = (even_batches(replicas // devices, check_integer("batch", batch, minimum=1)),)
    clock = clock_of(t0, dt)
    # As arrays, so that other values of t0 and dt use the same program.
    dt, t0 = (x if is_traced(x) else jnp.asarray(x, jnp.result_type(float)) for x in cast("tuple", (dt, t0)))
    run = Replica(system, init, key, dt, t0, scheme, save, adjoint, num_steps, not is_traced(system, init, dt, t0))
    if progress and is_traced(system, init, key, dt, t0):
        raise argument_error(
            "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
        )
    if path is not None:
        if mesh is not None:
            raise argument_error("path", "be left out on a mesh", f"is {str(path)!r}", "pass either `path` or `mesh`")
        if is_traced(system, init, key, dt, t0):
            raise argument_error(
                "path", "be left out in a traced function", f"is {str(path)!r}", "call it outside of `jit`"
            )
        together = tuple(dict.fromkeys(size for _, size in plans))
        kept, total = run_resumably(run, reduce, replicas, together, path, throw=throw, progress=progress)
    else:
        plans = tuple(dict.fromkeys(plans))
        kept, total = run_in_one_call(run, reduce, plans, replicas // devices, mesh, replicas, progress)
    if reduce is not None:
        # Every device returns its own total.
        observed, states = (*_finish(reduce, total, devices), None)[:2]
        told = _told(run, clock)
        kept = eqx.tree_at(
            lambda s: (s.observed, s.states, s.run), kept, (observed, states, told), is_leaf=lambda x: x is None
        )
    else:
        origin = SystemRecord(cast_floating(system, kept.checkpoint.dt.dtype))
        kept = eqx.tree_at(lambda s: s.checkpoint.origin, kept, origin, is_leaf=lambda x: x is None)
    if clock is not None:
        # Inside the program t0 and dt are traced; compute the times here, on the host, as `simulate` does.
        times = clock[0] + save.plan(0, num_steps, True) * clock[1]
        if is_traced(kept.result):
            times = known_in_a_trace(times, kept.times.dtype)
        kept = eqx.tree_at(lambda s: s.times, kept, times)
        if reduce is None:
            end = dataclasses.replace(kept.checkpoint, clock=clock)
            kept = eqx.tree_at(lambda s: s.checkpoint, kept, end, is_leaf=lambda x: x is kept.checkpoint)
    if not throw:
        return kept
    warn(kept)
    return raise_or_mark(kept, "ensemble", mesh)


def _told(run: Replica, clock: tuple[float, float] | None) -> Checkpoint:
    """What a reduced ensemble ran. Its key is that of the ensemble."""
    key = jnp.asarray(run.key)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    scheme = run.system.default_scheme() if run.scheme is None else run.scheme
    origin = SystemRecord(run.system)
    return Checkpoint(None, None, key, run.num_steps, run.t0, run.dt, scheme, origin, clock=clock)


@eqx.filter_jit
def _finish(reduce: AbstractReduction, totals: PyTree, devices: int) -> PyTree:
    total = jax.tree.map(lambda x: x[0], totals)
    for i in range(1, devices):
        total = reduce.merge(total, jax.tree.map(lambda x, i=i: x[i], totals))
    return tuple(reduce.finish(part) for part in total)


def _num_devices(mesh: Any, replicas: int) -> int:
    if mesh is None:
        return 1
    if not isinstance(mesh, jax.sharding.Mesh) or len(mesh.axis_names) != 1:
        raise argument_error(
            "mesh", "be a Mesh with one axis", f"is {describe(mesh)}", 'pass jax.make_mesh((n,), ("replica",))'
        )
    if explicit_context() and mesh.abstract_mesh != jax.sharding.get_abstract_mesh():
        raise argument_error(
            "mesh",
            "be the mesh of `jax.set_mesh`",
            f"is {mesh}",
            "pass that mesh, or call `ensemble` outside its block",
        )
    if replicas % mesh.size:
        raise argument_error(
            "replicas", f"be a multiple of the {mesh.size} devices of the mesh", f"is {replicas}", "change it"
        )
    return mesh.size


def _rows(state: State) -> int:
    return max(x.shape[0] if x.ndim else 1 for x in jax.tree.leaves(eqx.filter(state, eqx.is_array)))
