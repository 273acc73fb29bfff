"""Solutions as xarray datasets."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .._io.netcdf import need_xarray
from .._util.checks import argument_error, is_traced
from .columns import UNITS, Columns
from .run_manifest import run_manifest, system_of
from .solution import Solution

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["dataset_of"]


def dataset_of(solution: Solution) -> "Dataset":
    """`Solution.to_xarray`."""
    need_xarray("`to_xarray`")
    if is_traced(solution):
        raise argument_error(
            "solution", "be concrete", "is traced", "call `to_xarray` outside of `jit`, `grad` and `vmap`"
        )
    columns = Columns(solution.observed)
    code = np.asarray(solution.result.code)
    runs = tuple(
        columns.dimension("replica" if code.ndim == 1 else f"replica_{i}", size) for i, size in enumerate(code.shape)
    )
    # A reduced ensemble has replicas in `stats` and `result` only.
    reduced = solution.checkpoint is None and solution.run is not None
    lead = (*(() if reduced else runs), _time(columns, solution, () if reduced else runs))
    system = system_of(solution)
    coordinates = getattr(system, "coordinates", "")
    if solution.states is not None:
        columns.tree("", lead, solution.states, coordinates)
    if solution.final is not None:
        columns.tree("final", lead[:-1], solution.final, coordinates)
    for name, value in solution.observed.items():
        columns.tree(name, lead, value, coordinates)
    if runs:
        _of_runs(columns, solution, runs)
    return columns.dataset(run_manifest(solution))


def _time(columns: Columns, solution: Solution, runs: tuple[str, ...]) -> str:
    """The dimension of the saves, with the times as coordinate: `time`, or `save` if the times differ between runs."""
    times = np.asarray(solution.times)
    rows = times.reshape(-1, times.shape[-1])
    told = {"units": UNITS, "long_name": "time t0 + step dt"}
    if (rows == rows[:1]).all():
        columns.sizes["time"] = times.shape[-1]
        columns.coordinates["time"] = (("time",), rows[0], told)
        return "time"
    save = columns.dimension("save", times.shape[-1])
    columns.coordinates["time"] = ((*runs, save), times, told)
    return save


def _of_runs(columns: Columns, solution: Solution, runs: tuple[str, ...]) -> None:
    """What `run_manifest` leaves out: one value for each of several runs."""
    columns.put("result_code", runs, solution.result.code, "how the run ended; 0: finished")
    columns.put("result_step", runs, solution.result.step, "first bad step, or -1")
    for name, value in solution.stats.items():
        columns.put(f"stats_{name}", runs, value, f"statistic of the run: {name}")
    run: Any = solution.checkpoint
    if run is not None:
        columns.put("key", (*runs, columns.dimension("word", 2)), run.key, "words of the run's key")
        for name, value in {"t0": run.t0, "dt": run.dt}.items():
            if np.ndim(value) and run.clock is None:
                columns.put(name, runs, value, {"t0": "time of step 0", "dt": "time step"}[name])
