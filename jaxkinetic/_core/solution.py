"""The outcome of a run: `Solution`, `Result` and `SimulationError`."""

import logging
import os
import types
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from .._io.netcdf import write_netcdf
from .._util.checks import Deferred
from .._util.printing import Printed, num_bytes, printed, summary
from .._util.types import PyTree, State
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from xarray import Dataset


class SimulationError(RuntimeError):
    """A run failed: its state became NaN or infinite, or its scheme reported a fault. The result is not usable."""


class Result(Printed):
    """How a run ended. `code`: 0 if it finished, 1 if the state became NaN or infinite, or another of `FAULTS`. `step`: the
    first bad step, or -1. `detail`: two numbers that appear in the sentence of the fault.

    A traced parameter cannot be checked before the run. If it is out of range, the run ends with `OUT_OF_RANGE` or with the
    fault that it caused, and `message` names it. `checks`: the sentences of all such checks. `parameter`: the index of the
    first failed check, or -1; None if no parameter was traced."""

    code: Int[Array, "*runs"]
    step: Int[Array, "*runs"]
    detail: Float[Array, "*runs 2"]
    parameter: Int[Array, "*runs"] | None = None
    checks: tuple[str, ...] = eqx.field(static=True, default=())

    FINISHED, NOT_FINITE, ABOVE_BOUND, BAD_CLOCK, BAD_RATE, MANY_WINDOWS, MANY_WAVES, OUT_OF_RANGE = range(8)
    FAULTS: ClassVar[Mapping[int, str]] = {
        NOT_FINITE: "The state became NaN or infinite in step {step}; lower `dt`, soften the interaction, or look at what "
        "precedes it with `throw=False`.",
        ABOVE_BOUND: "A pair of relative speed {0:.6g} has {1:.6g} times the majorant as its rate in step {step}; correct the "
        "system's `rate_bound`, or the `bound` of its cross section.",
        BAD_CLOCK: "The total rate of candidate events is {0:.6g} in step {step}, but must be finite and not negative; check "
        "the volume or epsilon, the floor, and the majorant of a pair's rate.",
        BAD_RATE: "The jump rate of a pair is {0:.6g} in step {step}, but must be finite and not negative; correct the "
        "system's `rate`, or the `sigma` of its cross section.",
        MANY_WINDOWS: "More than {0:.0f} windows are needed in step {step}; raise `max_windows`, or lower `dt`.",
        MANY_WAVES: "More than {0:.0f} batches are needed in a window of step {step}; raise `max_waves`, or lower `capacity`.",
        OUT_OF_RANGE: "A traced parameter is out of range; pass a value in the range that its docstring states.",
    }

    @property
    def ok(self) -> Bool[Array, "*runs"]:
        return self.code == self.FINISHED

    @property
    def message(self) -> str:
        """One sentence, about the first failed run if there are several runs."""
        failed = np.flatnonzero(np.asarray(self.code) != self.FINISHED)
        if failed.size == 0:
            return "finished"
        return jax.tree.map(np.asarray, self).of_run(failed[0]).sentence(failed.size, np.size(self.code))

    def of_run(self, index: Any) -> "Result":
        """The result of run number `index` of several."""
        lead = self.code.ndim
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[lead:])[index], self)

    def sentence(self, failed: int, runs: int) -> str:
        """The message of one failed run; it mentions that `failed` of `runs` failed."""
        which = "" if runs == 1 else f" ({failed} of {runs} runs)"
        detail = np.asarray(self.detail, float)
        broken = -1 if self.parameter is None else int(self.parameter)
        if broken >= 0:
            return self.checks[broken].format(*detail) + which
        return self.FAULTS[int(self.code)].format(*detail, step=f"{int(self.step)}{which}")

    def after_checks(self, checks: Collection[Deferred], step: int) -> "Result":
        """This result combined with the checks of traced parameters, for a run that started at `step`."""
        if not checks:
            return self
        broken = ~jnp.stack([jnp.asarray(check.holds) for check in checks])
        values = jnp.stack([jnp.asarray(check.value).astype(self.detail.dtype) for check in checks])
        first, any_broken = jnp.argmax(broken), jnp.any(broken)
        detail = jnp.stack([values[first], jnp.zeros((), values.dtype)])
        only = any_broken & self.ok
        return Result(
            jnp.where(only, self.OUT_OF_RANGE, self.code).astype(self.code.dtype),
            jnp.where(only, step, self.step).astype(self.step.dtype),
            jnp.where(any_broken, detail, self.detail),
            jnp.where(any_broken, first, -1).astype(jnp.int32),
            tuple(check.sentence for check in checks),
        )

    def unless_failed(self, before: "Result") -> "Result":
        """This result, or `before`, that of an earlier part of the run, if that part failed."""
        code, step, detail = (
            jnp.where(before.ok.reshape(before.ok.shape + (1,) * (b.ndim - before.ok.ndim)), a, b)
            for a, b in ((self.code, before.code), (self.step, before.step), (self.detail, before.detail))
        )
        if self.parameter is None and before.parameter is None:
            return Result(code, step, detail)
        # The sentences of both parts are joined, so the index of this part's check moves up by the number of the earlier ones.
        none = jnp.full(before.code.shape, -1, jnp.int32)
        own, earlier = (none if r.parameter is None else r.parameter for r in (self, before))
        own = jnp.where(own < 0, own, own + len(before.checks))
        return Result(code, step, detail, jnp.where(before.ok, own, earlier), (*before.checks, *self.checks))

    def __str__(self) -> str:
        if isinstance(self.code, Tracer):
            return "traced"
        return self.message

    def __repr__(self) -> str:
        return f"Result({self})"


class Solution(Printed):
    """The outcome of `simulate`.

    - `times`: (T,) of the saves, t0 + step dt in NumPy's float64 whatever the state's dtype. Inside `jit`, `grad` and `vmap`
      they are in the state's dtype, but `checkpoint.clock` still has t0 and dt in double precision.
    - `observed[name]`: (T, ...). `states`: the saved states with leading axis T, or None.
    - `final`: the state after the last step. `checkpoint`: where the run can be continued.
    - `stats`: totals over the steps. `result`: how the run ended. `limits`: (name, limit, sentence) for entries of `stats`.
    - `run`: for a reduced ensemble, which has no `checkpoint`, what was run (system, scheme, key, dt) in a `Checkpoint` without
      a state; else None.
    """

    times: Float[Array, "*runs T"] | Float[np.ndarray, " T"]
    observed: dict[str, PyTree]
    states: State | None
    final: State
    checkpoint: Checkpoint
    stats: dict[str, Array]
    result: Result
    limits: tuple[tuple[str, float, str], ...] = eqx.field(static=True, default=())
    run: Checkpoint | None = None

    def to_xarray(self) -> "Dataset":
        """The run as an `xarray.Dataset`: every saved array with named dimensions, and what was run as attributes.

        - Dimensions: `replica` (of an ensemble; `replica_0`, ... for several axes of `vmap`), `time` (`save` if the times
          differ between runs), `particle`, `component` (of a velocity or position), the axes of a grid (`x`, `v`; `x_1`, ...,
          `v_1`, ... if there are several; `xi` for a wave in the Fourier picture), `speed` of a radial density. Further axes of
          the observable `name`: `name_0`, `name_1`, ...
        - Coordinates: `time`, and the points of every grid axis that is the same in all runs.
        - Variables: the observables by their names; the saved states as `velocity`, `position`, `alive`, `ident`, `f` or
          `alpha`; the last state as `final_velocity`, ... An observable with the name of a dimension or of a part of the saved
          states is called `observed_NAME`. A reduced observable has `NAME_mean`, `NAME_var`, `NAME_stderr`, `NAME_count`. For
          several runs also `result_code`, `result_step`, `stats_NAME` and `key`.
        - Attributes: `units` = "nondimensional" and, where known, `long_name` of every variable; of the dataset, the versions
          and commit, the device, `system` and `scheme` as one line, their parameters as JSON and their fingerprints, `key` (of
          the run), `t0`, `dt`, `last_step`, `result`, `stats_NAME`, `warnings`.

        Arrays on the CPU are not copied. Complex arrays stay complex, which netCDF cannot hold: `to_netcdf` splits them.

        **Raises:** `ImportError` without xarray; `ValueError` inside a traced function.
        """
        from .dataset import dataset_of

        return dataset_of(self)

    def to_netcdf(self, path: str | os.PathLike) -> Path:
        """Write `to_xarray()` to a netCDF-4 file, which is complete or absent whenever the process is killed. A complex array
        `name` is stored as `name_real` and `name_imag`, floats of less than 32 bits as float32; "/" in a name becomes "_". Read
        it with `xarray.open_dataset(path)`.

        **Returns:** the path. **Raises:** as `to_xarray`; `ValueError` for a path that cannot be written."""
        return write_netcdf(path, self.to_xarray())

    @property
    def warnings(self) -> list[str]:
        """A sentence for each concrete entry of `stats` that exceeds its limit, with the largest value over the replicas."""
        out = []
        for name, limit, sentence in self.limits:
            value = self.stats.get(name)
            if value is not None and not isinstance(value, Tracer) and np.max(np.asarray(value)) > limit:
                out.append(sentence.format(float(np.max(np.asarray(value)))))
        return out

    def __repr__(self) -> str:
        """Three lines: how the run ended and when it saved, what was observed, the final state. `str` shows every array."""
        num = 0 if self.times is None else self.times.size
        saves = f"{num} save{'' if num == 1 else 's'}"
        if num and isinstance(self.times, (jax.Array, np.ndarray)) and not isinstance(self.times, Tracer):
            times = np.asarray(self.times)
            saves += f", t = {times.min():.6g} to {times.max():.6g}"
        observed = ", ".join(f"{name} {summary(value)}" for name, value in self.observed.items()) or "nothing"
        states = "" if self.states is None else f"; states {summary(self.states)}"
        return f"Solution: {self.result}; {saves}\n  observed: {observed}{states}\n  final: {printed(self.final)}"

    def _repr_html_(self) -> str:
        """A table for notebooks: what was run, every array with its dtype, shape and size, the statistics."""
        from .solution_html import html_of

        return html_of(self)

    def __str__(self) -> str:
        lines = [f"Solution: {self.result}", *(f"  Warning: {sentence}" for sentence in self.warnings)]
        for name in ("times", "observed", "states", "final", "stats"):
            value: Any = getattr(self, name)
            leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(value, eqx.is_array))
            for path, leaf in leaves:
                size = leaf.size * leaf.dtype.itemsize
                lines.append(
                    f"  {name + jax.tree_util.keystr(path):<28} {leaf.dtype}{list(leaf.shape)}  {num_bytes(size)}"
                )
        return "\n".join(lines)


def joined_limits(*owners: Any) -> tuple[tuple[str, float, str], ...]:
    """The `limits` of a scheme and a system as one tuple."""
    return tuple((name, *limit) for owner in owners for name, limit in owner.limits.items())


def warn(solution: Solution) -> None:
    """Issue `Solution.warnings` as Python warnings."""
    for sentence in solution.warnings:
        warnings.warn(sentence, stacklevel=3)


def raise_or_mark(solution: Solution, name: str, mesh: jax.sharding.Mesh | None = None) -> Solution:
    """Outside a trace, raise `SimulationError` if a run of the function `name` failed. Inside a trace, attach one check to the
    outputs, which raises the same sentence after the loop, on every device of the mesh."""
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(solution)):
        if np.any(np.asarray(solution.result.code) != Result.FINISHED):
            raise SimulationError(solution.result.message)
        return solution
    # Report the first failed run only: a callback that converts a long array may deadlock with the thread that it blocks.
    bad = solution.result.code.reshape(-1) != Result.FINISHED
    one, structure = jax.tree.flatten(jax.lax.stop_gradient(solution.result.of_run(jnp.argmax(bad))))
    failed = jnp.sum(bad, dtype=jnp.int32)
    # Concrete values (the times of saves) stay concrete.
    arrays, rest = eqx.partition(solution, lambda x: isinstance(x, Tracer))
    tell = partial(_raise, name, bad.size, structure)

    return eqx.combine(stop_if(failed > 0, tell, arrays, failed, *one, mesh=mesh), rest)


def stop_if(
    bad: Bool[Array, ""],
    tell: Callable[..., np.ndarray],
    arrays: PyTree,
    *numbers: Array,
    mesh: jax.sharding.Mesh | None = None,
) -> PyTree:
    """Return `arrays`. If `bad`, call `tell(*numbers)` on the host first; it raises a `failure`, or returns True in the shape
    of the numbers (which have leading axes under `vmap`). With a mesh of several devices each of them calls it: if only one
    raised, the others would wait for it in their next collective, and the process would be aborted."""

    def called(*numbers: Array) -> Array:
        return jax.pure_callback(tell, jax.ShapeDtypeStruct((), jnp.bool_), *numbers, vmap_method="broadcast_all")

    everywhere = jax.sharding.PartitionSpec()
    if mesh is not None and mesh.size > 1:
        called = jax.shard_map(called, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False)

    def stop(arrays: PyTree, *numbers: Array) -> PyTree:
        ok = called(*numbers)
        return jax.tree.map(lambda x: jnp.where(ok, x, jnp.zeros_like(x)), arrays)

    return jax.lax.cond(bad, stop, lambda arrays, *_: arrays, arrays, *numbers)


def _raise(name: str, runs: int, structure: Any, failed: Any, *leaves: Any) -> np.ndarray:
    """Called on the host. Under `vmap` all numbers have leading axes."""
    failed = np.asarray(failed)
    if not failed.any():
        return np.ones(failed.shape, bool)
    result: Result = jax.tree.unflatten(structure, [np.asarray(leaf) for leaf in leaves])
    first = np.flatnonzero(failed)[0]
    sentence = result.of_run(first).sentence(int(failed.sum()), runs * failed.size)
    raise failure(sentence.replace(" in step", f" during `{name}`, in step", 1))


def failure(sentence: str) -> SimulationError:
    """The error to raise in a callback. Its traceback ends at a frame without callers, and JAX's log of it is filtered out, so
    that the sentence is not buried in JAX's own frames."""
    logging.getLogger(jax.pure_callback.__module__).addFilter(_not_ours)
    return SimulationError(sentence).with_traceback(types.TracebackType(None, _frame().gi_frame, 0, 1))


def _frame() -> Any:
    """A generator, whose frame has no caller."""
    yield


def _not_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], SimulationError))
