"""Replicas of a run: independent draws, in batches that fit in memory, kept or reduced."""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxkinetic_kernels import REPLICAS

from .._io.fingerprint import SystemRecord
from .._io.progress import Progress, check_progress
from .._util.checks import (
    argument_error,
    cast_floating,
    check_bool,
    check_integer,
    checks_done,
    describe,
    is_traced,
    takes_one,
)
from .._util.printing import printed
from .._util.sharding import Layout, automatic, automatic_mesh, explicit_context
from .._util.types import Array, Key, PyTree, RealScalarLike, State
from .._util.user_laws import hashable
from .adjoint import AbstractAdjoint, Checkpointed
from .reductions import AbstractReduction
from .run_key import run_words, same_in_batches
from .save import Save
from .simulate import simulate
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
) -> Solution:
    """`replicas` independent runs of `simulate`, in one compiled program.

    **Arguments:**

    - `init`: key -> state, drawn anew for every replica, or one state that all start from. Name it with a module-level
      function, `jax.tree_util.Partial` or a module: a fresh lambda compiles anew at each call.
    - `key`: replica r uses `jax.random.fold_in(key, r)`, split once for its initial state and its noise: its path does not
      depend on `replicas`, `batch` or `mesh` (beyond a few ulp, by which vectorised programs differ). A key of another kind
      than JAX's default ("rbg", "unsafe_rbg") draws the initial states one after another: JAX's draws for many such keys at
      once depend on how many there are.
    - `batch`: replicas that advance together; None is as many as 2^18/N^2 on the CPU, 2^24/N^2 on accelerators, at least one.
      Batches follow one another, so memory is that of one batch and of what is kept.
    - `reduce`: None keeps every replica. `jk.MeanVar()`, or an `AbstractReduction` of your own, keeps a total of the observed
      (and, with `save.state`, of the states) alone, batch by batch: memory does not grow with `replicas`.
    - `mesh`: replicas are shared out over the devices of a mesh with one axis; `replicas` must divide by their number. Axes may
      be Explicit, as those of `jax.make_mesh` are, or Auto; the results have Auto axes. (Inside `jax.set_mesh` of a mesh with
      Explicit axes every device gets a copy of the results.) No numbers pass between devices but the totals of `reduce`: it
      scales with every system and scheme. A start that is itself sharded over devices, without `mesh`: as in `simulate`.
    - `progress`: show a bar of finished replicas on standard error; it moves after every batch. Not inside a traced function.
    - the others as in `simulate`.

    **Returns:** a `Solution` whose leaves have the replica as leading axis but for `times`, (T,). With `reduce`,
    `observed[name]` and `states` are what the reduction gives, `final` and `checkpoint` None; `stats` and `result` keep the
    replica.

    Differentiable as `simulate` is; the backward pass recomputes batch by batch. **Raises:** as `simulate`, and `ValueError`
    for bad numbers, an `init` that is neither, a reduction without anything observed. `SimulationError` if a replica fails.
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
        raise argument_error("save", "be a Save", f"is {describe(save)}", "pass jk.Save(every=10), say")
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
        raise argument_error("reduce", "have a `merge` on a mesh", f"is {type(reduce).__name__}, without", "add one")
    if callable(init) and not takes_one(init):
        raise argument_error(
            "init",
            "take a key alone",
            f"{printed(init)} does not",
            "give the others by `jax.tree_util.Partial(fn, name=value)`",
        )
    example = _Replica(system, init, key, dt, t0, scheme, save, adjoint, num_steps).start(0)[0]
    layout.warn(system, check_start(system, example, scheme, key, dt, t0))
    if batch is None:
        areas = REPLICAS.cpu, REPLICAS.on_accelerator(_rows(example))
        plans = tuple(_batches(replicas // devices, area // max(_rows(example), 1) ** 2) for area in areas)
    else:
        plans = (_batches(replicas // devices, check_integer("batch", batch, minimum=1)),)
    clock = clock_of(t0, dt)
    # Arrays: another number is the same program.
    dt, t0 = (x if is_traced(x) else jnp.asarray(x, jnp.result_type(float)) for x in cast("tuple", (dt, t0)))
    run = _Replica(system, init, key, dt, t0, scheme, save, adjoint, num_steps, not is_traced(system, init, dt, t0))
    if progress and is_traced(system, init, key, dt, t0):
        raise argument_error(
            "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
        )
    with Progress(replicas, "replica", shown=progress) as bar:
        _BARS.append(bar)
        try:
            kept, total = _run(run, reduce, tuple(dict.fromkeys(plans)), replicas // devices, mesh, progress)
            if progress:
                jax.block_until_ready((kept, total))
                jax.effects_barrier()
        finally:
            _BARS.remove(bar)
    if reduce is not None:
        # One total a device.
        observed, states = (*_finish(reduce, total, devices), None)[:2]
        kept = eqx.tree_at(lambda s: (s.observed, s.states), kept, (observed, states), is_leaf=lambda x: x is None)
    else:
        origin = SystemRecord(cast_floating(system, kept.checkpoint.dt.dtype))
        kept = eqx.tree_at(lambda s: s.checkpoint.origin, kept, origin, is_leaf=lambda x: x is None)
    if clock is not None:
        # Inside the program t0 and dt are traced: the times are made here, as `simulate` makes them.
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
    return raise_or_mark(kept, "ensemble")


class _Replica(eqx.Module):
    """How one replica is made from its number."""

    system: Any
    init: Any
    key: Any
    dt: Any
    t0: Any
    scheme: Any
    save: Save
    adjoint: AbstractAdjoint
    num_steps: int = eqx.field(static=True)
    # Whether all parameters are known outside of the program, and so have been checked there.
    checked: bool = eqx.field(static=True, default=False)

    def start(self, index: Array | int) -> tuple[State, Key]:
        ours, noise = jax.random.split(jax.random.fold_in(self.key, index))
        return (self.init(ours) if callable(self.init) else self.init), noise

    def __call__(self, state: State, key: Key) -> Solution:
        with checks_done(self.checked):
            run = simulate(
                self.system,
                state,
                scheme=self.scheme,
                key=key,
                dt=self.dt,
                num_steps=self.num_steps,
                t0=self.t0,
                save=self.save,
                adjoint=self.adjoint,
                throw=False,
            )
        # One for all, not one a replica.
        return eqx.tree_at(lambda s: s.checkpoint.origin, run, None)


@eqx.filter_jit
def _run(
    run: _Replica,
    reduce: AbstractReduction | None,
    plans: tuple[tuple[int, int], ...],
    count: int,
    mesh: Any,
    progress: bool,
) -> tuple[Solution, PyTree]:
    """(solutions, totals with a leading axis of devices), `count` replicas on each device in so many batches of so many:
    `plans` for the CPU and for accelerators, or one for both."""
    statics: list[Any] = []

    def arrays_of(run: _Replica, state: State, key: Key) -> PyTree:
        arrays, static = eqx.partition(run(state, key), eqx.is_array)
        statics.append(static)
        return arrays

    def on_one_device(run: _Replica, first: Array) -> tuple[PyTree, PyTree]:
        if len(plans) == 1:
            return in_batches(*plans[0], run, first)
        arrays, static = eqx.partition((run, first), eqx.is_array)
        cpu, default = (lambda arrays, plan=plan: in_batches(*plan, *eqx.combine(arrays, static)) for plan in plans)
        return jax.lax.platform_dependent(arrays, cpu=cpu, default=default)

    def in_batches(batches: int, batch: int, run: _Replica, first: Array) -> tuple[PyTree, PyTree]:
        def one_batch(total: PyTree, places: Array) -> tuple[PyTree, PyTree]:
            index = first[0] + jnp.minimum(places, count - 1)
            if batch == 1:
                kept = jax.tree.map(lambda x: x[None], arrays_of(run, *run.start(index[0])))
            elif same_in_batches(run.key):
                kept = jax.vmap(lambda index: arrays_of(run, *run.start(index)))(index)
            else:
                kept = jax.vmap(lambda start: arrays_of(run, *start))(jax.lax.map(run.start, index))
            if reduce is None:
                return total, kept
            parts = ((kept.observed, kept.states)[which] for which in range(len(total[0])))
            total = tuple(reduce.add(a, x, places < count) for a, x in zip(total[0], parts, strict=True)), kept.times[0]
            return total, _without_values(kept)

        total: PyTree = None
        if reduce is not None:
            example = jax.eval_shape(lambda index: arrays_of(run, *run.start(index)), first[0])
            times = jnp.zeros(example.times.shape, example.times.dtype)
            # What is observed, and by itself what is saved of the states.
            total = tuple(reduce.start(x) for x in (example.observed, example.states)[: 1 + run.save.state]), times
        places = jnp.arange(batches * batch, dtype=jnp.int32).reshape(batches, batch)
        body = jax.checkpoint(one_batch, prevent_cse=False) if batches > 1 else one_batch
        total, kept = jax.lax.scan(_with_bar(body, count) if progress else body, total, places)
        kept = jax.tree.map(lambda x: x.reshape(batches * batch, *x.shape[2:])[:count], kept)
        return kept, jax.tree.map(lambda x: x[None], total)

    if mesh is None:
        kept, total = on_one_device(run, jnp.zeros(1, jnp.int32))
    else:
        first = count * jnp.arange(mesh.size, dtype=jnp.int32)
        here, everywhere = jax.sharding.PartitionSpec(mesh.axis_names[0]), jax.sharding.PartitionSpec()
        arrays, static = eqx.partition(run, eqx.is_array)
        inside = explicit_context()

        shared: Any = jax.shard_map(
            lambda arrays, first: on_one_device(eqx.combine(arrays, static), first),
            mesh=None if inside else mesh, in_specs=(everywhere, here), out_specs=here, check_vma=False,
        )  # fmt: skip
        if inside:
            shared = jax.sharding.auto_axes(shared, out_sharding=everywhere)
        kept, total = shared(arrays, first)
    static = statics[0] if reduce is None else _without_values(statics[0])
    kept = eqx.combine(kept, static)
    if reduce is None:
        return eqx.tree_at(lambda s: s.times, kept, kept.times[0]), None
    return eqx.tree_at(lambda s: s.times, kept, total[1][0], is_leaf=lambda x: x is None), total[0]


# The bars of the calls in progress, the innermost last: a program must not hold one, or each call would compile anew.
_BARS: list[Progress] = []


def _with_bar(body: Callable[[PyTree, Array], tuple[PyTree, PyTree]], count: int) -> Callable[..., Any]:
    def watched(total: PyTree, places: Array) -> tuple[PyTree, PyTree]:
        total, kept = body(total, places)
        # Through the result of the batch, which is there when the batch is finished.
        done = jnp.sum(places < count, dtype=jnp.int32) + jnp.minimum(jnp.min(kept.result.code), 0)
        jax.debug.callback(_advance, done)
        return total, kept

    return watched


def _advance(count: Any) -> None:
    if _BARS:
        _BARS[-1].advance(int(count))


def _without_values(kept: Any) -> Any:
    """What is small: stats and result."""
    dropped = (None, {}, None, None, None)
    return eqx.tree_at(
        lambda s: (s.times, s.observed, s.states, s.final, s.checkpoint), kept, dropped, is_leaf=lambda x: x is None
    )


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
            "mesh", "be the one of `jax.set_mesh`", f"is {mesh}", "pass that one, or leave the block of `jax.set_mesh`"
        )
    if replicas % mesh.size:
        raise argument_error(
            "replicas", f"divide by the {mesh.size} devices of the mesh", f"is {replicas}", "change it"
        )
    return mesh.size


def _batches(replicas: int, batch: int) -> tuple[int, int]:
    """How many batches of how many replicas, as even as they come: the fewest places of the last batch are idle."""
    number = -(-replicas // min(max(batch, 1), replicas))
    return number, -(-replicas // number)


def _rows(state: State) -> int:
    return max(x.shape[0] if x.ndim else 1 for x in jax.tree.leaves(eqx.filter(state, eqx.is_array)))
