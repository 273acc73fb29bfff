"""The compiled program of an ensemble: batches of replicas, one batch after another."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._io.progress import Progress
from .._util.checks import checks_done
from .._util.sharding import explicit_context
from .._util.types import Array, Key, PyTree, State
from .adjoint import AbstractAdjoint
from .reductions import AbstractReduction
from .run_key import same_in_batches
from .save import Save
from .simulate import simulate
from .solution import Solution


class Replica(eqx.Module):
    """Makes one replica from its number: its initial state and key, and then its run."""

    system: Any
    init: Any
    key: Any
    dt: Any
    t0: Any
    scheme: Any
    save: Save
    adjoint: AbstractAdjoint
    num_steps: int = eqx.field(static=True)
    # Whether all parameters are known outside of the program, where they have been checked.
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
        # All replicas share one record of the system, which `ensemble` adds to the result.
        return eqx.tree_at(lambda s: s.checkpoint.origin, run, None)


@eqx.filter_jit
def run_batches(
    run: Replica,
    reduce: AbstractReduction | None,
    plans: tuple[tuple[int, int], ...],
    count: int,
    mesh: Any = None,
    progress: bool = False,
    part: tuple[Array, Array, PyTree] | None = None,
) -> tuple[Solution, PyTree]:
    """(solutions, totals with a leading axis of devices) of `count` replicas on each device. `plans`: (number of batches,
    replicas per batch) for the CPU and for accelerators, or one for both. `part`: the first replica, how many of `count` are
    wanted, and the total of the replicas before it (None without `reduce`); results beyond the wanted ones are meaningless."""
    statics: list[Any] = []
    wanted = count if part is None else part[1]

    def arrays_of(run: Replica, state: State, key: Key) -> PyTree:
        arrays, static = eqx.partition(run(state, key), eqx.is_array)
        statics.append(static)
        return arrays

    def on_one_device(run: Replica, first: Array) -> tuple[PyTree, PyTree]:
        if len(plans) == 1:
            return in_batches(*plans[0], run, first)
        arrays, static = eqx.partition((run, first), eqx.is_array)
        cpu, default = (lambda arrays, plan=plan: in_batches(*plan, *eqx.combine(arrays, static)) for plan in plans)
        return jax.lax.platform_dependent(arrays, cpu=cpu, default=default)

    def in_batches(batches: int, batch: int, run: Replica, first: Array) -> tuple[PyTree, PyTree]:
        def one_batch(total: PyTree, places: Array) -> tuple[PyTree, PyTree]:
            # Idle places of the last batch repeat the last wanted replica; their results are dropped.
            index = first[0] + jnp.minimum(places, wanted - 1)
            if batch == 1:
                kept = jax.tree.map(lambda x: x[None], arrays_of(run, *run.start(index[0])))
            elif same_in_batches(run.key):
                kept = jax.vmap(lambda index: arrays_of(run, *run.start(index)))(index)
            else:
                # Vectorised draws from such keys depend on the size of the batch: draw one state after another.
                kept = jax.vmap(lambda start: arrays_of(run, *start))(jax.lax.map(run.start, index))
            if reduce is None:
                return total, kept
            parts = ((kept.observed, kept.states)[which] for which in range(len(total[0])))
            total = (
                tuple(reduce.add(a, x, places < wanted) for a, x in zip(total[0], parts, strict=True)),
                kept.times[0],
            )
            return total, without_values(kept)

        total: PyTree = None if part is None else part[2]
        if reduce is not None and part is None:
            total = empty_total(run, reduce)
        places = jnp.arange(batches * batch, dtype=jnp.int32).reshape(batches, batch)
        # The backward pass recomputes one batch at a time, so its memory is that of one batch.
        body = jax.checkpoint(one_batch, prevent_cse=False) if batches > 1 else one_batch
        total, kept = jax.lax.scan(_with_bar(body, count) if progress else body, total, places)
        kept = jax.tree.map(lambda x: x.reshape(batches * batch, *x.shape[2:])[:count], kept)
        return kept, jax.tree.map(lambda x: x[None], total)

    if mesh is None:
        kept, total = on_one_device(run, jnp.zeros(1, jnp.int32) if part is None else part[0][None])
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
    static = statics[0] if reduce is None else without_values(statics[0])
    kept = eqx.combine(kept, static)
    if reduce is None:
        return eqx.tree_at(lambda s: s.times, kept, kept.times[0]), None
    return eqx.tree_at(lambda s: s.times, kept, total[1][0], is_leaf=lambda x: x is None), total[0]


def empty_total(run: Replica, reduce: AbstractReduction) -> PyTree:
    """((the empty total of the observed values, and that of the states if they are saved), times)."""
    example = eqx.filter_eval_shape(lambda: run(*run.start(0)))
    times = jnp.zeros(example.times.shape, example.times.dtype)
    return tuple(reduce.start(x) for x in (example.observed, example.states)[: 1 + run.save.state]), times


def run_in_one_call(
    run: Replica,
    reduce: AbstractReduction | None,
    plans: tuple[tuple[int, int], ...],
    count: int,
    mesh: Any,
    replicas: int,
    progress: bool,
) -> tuple[Solution, PyTree]:
    """`run_batches`, with a progress bar."""
    with Progress(replicas, "replica", shown=progress) as bar:
        _BARS.append(bar)
        try:
            kept, total = run_batches(run, reduce, plans, count, mesh, progress)
            if progress:
                jax.block_until_ready((kept, total))
                jax.effects_barrier()
        finally:
            _BARS.remove(bar)
    return kept, total


# The bars of the calls in progress, the innermost last. If a program held its bar, every call would compile it anew.
_BARS: list[Progress] = []


def _with_bar(body: Callable[[PyTree, Array], tuple[PyTree, PyTree]], count: int) -> Callable[..., Any]:
    def watched(total: PyTree, places: Array) -> tuple[PyTree, PyTree]:
        total, kept = body(total, places)
        # Make the count depend on the result of the batch, so that the bar advances only when the batch is finished.
        done = jnp.sum(places < count, dtype=jnp.int32) + jnp.minimum(jnp.min(kept.result.code), 0)
        jax.debug.callback(_advance, done)
        return total, kept

    return watched


def _advance(count: Any) -> None:
    if _BARS:
        _BARS[-1].advance(int(count))


def without_values(kept: Any) -> Any:
    """The solution with `stats` and `result` only, which are small."""
    dropped = (None, {}, None, None, None)
    return eqx.tree_at(
        lambda s: (s.times, s.observed, s.states, s.final, s.checkpoint), kept, dropped, is_leaf=lambda x: x is None
    )


def even_batches(replicas: int, batch: int) -> tuple[int, int]:
    """(number of batches, replicas per batch), as even as possible, so that the last batch has the fewest idle places."""
    number = -(-replicas // min(max(batch, 1), replicas))
    return number, -(-replicas // number)
