"""The files of chunks that `iterate` writes, and their content."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._io.atomic_npz import as_path, read_arrays
from .._io.netcdf import need_xarray, write_netcdf
from .._util.checks import argument_error, check_integer
from ..radial import RadialDensity
from ..states import Density, Wave
from .checkpoint import load_checkpoint
from .columns import UNITS, Columns, GridAxis, axes_of
from .run_manifest import of_code, system_of
from .solution import Solution

if TYPE_CHECKING:
    from xarray import Dataset

# The format that a file names; loading another one raises.
FORMAT = "jaxkinetic chunk"
# The version of the format; a newer one raises.
VERSION = 1


class Chunks(dict[str, np.ndarray]):
    """What `read_chunks` returns: the saved arrays by name. `headers`: those of the files, in order of time."""

    def __init__(self, arrays: Mapping[str, np.ndarray], headers: Sequence[Mapping[str, Any]]):
        super().__init__(arrays)
        self.headers = tuple(headers)

    def to_xarray(self) -> "Dataset":
        """The chunks as an `xarray.Dataset`, with the names, dimensions and attributes of `Solution.to_xarray`; `result`,
        `last_step` and the versions are those of the last chunk. `stats_NAME` are variables with one value for each chunk,
        whose last steps are the coordinate `chunk`. Files of earlier versions of jaxkinetic do not record what was run.

        **Raises:** `ImportError` without xarray."""
        return _dataset(self)

    def to_netcdf(self, path: str | os.PathLike) -> Path:
        """As `Solution.to_netcdf`."""
        return write_netcdf(path, self.to_xarray())


def described(solution: Solution) -> dict[str, Any]:
    """What the arrays of a state on a grid do not say: the names of its axes, which are periodic, ..., for `_dataset`."""
    state = solution.final
    if isinstance(state, RadialDensity):
        return {"velocity_dimension": state.grid.dim}
    if not isinstance(state, (Density, Wave)):
        return {}
    axes = axes_of(state, getattr(system_of(solution), "coordinates", ""))
    out: dict[str, Any] = {"axes": [[axis.name, axis.periodic, axis.wavenumber] for axis in axes]}
    if isinstance(state, Wave):
        out["attributes"] = {"picture": state.picture, "num_particles": state.num_particles}
    return out


def _dataset(chunks: Chunks) -> "Dataset":
    need_xarray("`to_xarray`")
    left = dict(chunks)
    times = left.pop("times")
    observed = {name.removeprefix("observed/").replace("/", "_"): name for name in left if name.startswith("observed/")}
    columns = Columns(observed)
    columns.sizes["time"] = len(times)
    columns.coordinates["time"] = (("time",), times, {"units": UNITS, "long_name": "time t0 + step dt"})
    states = {name.removeprefix("states/"): left.pop(name) for name in list(left) if name.startswith("states")}
    _states(columns, states, chunks.headers[-1].get("states", {}))
    for short, name in observed.items():
        columns.put(short, ("time",), left[name])
    told = [header.get("manifest", {}) for header in chunks.headers]
    attributes = {name: x for name, x in (told[-1] or of_code()).items() if not name.startswith("stats_")}
    names = [name for name in told[0] if name.startswith("stats_") and all(name in one for one in told)]
    if names:
        steps = np.array([header["step"] for header in chunks.headers])
        chunk = columns.coordinate("chunk", steps, long_name="last step of the chunk")
        for name in names:
            what = f"statistic of the chunk: {name.removeprefix('stats_')}"
            columns.put(name, (chunk,), np.array([one[name] for one in told]), what)
    return columns.dataset(attributes)


def _states(columns: Columns, states: dict[str, np.ndarray], told: Mapping[str, Any]) -> None:
    """The saved states, whose fields are recognised by their names."""
    lead = ("time",)
    if {"velocity", "alive", "ident"} <= set(states):
        position = states.pop("position", None)
        columns.particles("", lead, states.pop("velocity"), position, states.pop("alive"), states.pop("ident"))
    elif {"f", "grid/radius"} <= set(states):
        f, dim = states.pop("f"), told.get("velocity_dimension")
        columns.radial("", lead, f, states.pop("grid/radius"), f.shape[-1], dim)
    for field in ("f", "alpha"):
        if field in states and "grid/axes/0/start" in states:
            values = states.pop(field)
            known = told.get("axes", [[f"axis_{i}", None, False] for i in range(values.ndim - 1)])
            axes = [
                GridAxis(name, states.pop(f"grid/axes/{i}/start"), states.pop(f"grid/axes/{i}/length"), size, *more)
                for i, ((name, *more), size) in enumerate(zip(known, values.shape[1:], strict=True))
            ]
            columns.on_grid("", lead, field, values, axes, **told.get("attributes", {}))
    for name, values in states.items():
        columns.put(name.replace("/", "_").removeprefix("states") or "state", lead, values)


def read_chunks(path: str | os.PathLike, *, last: int | None = None) -> Chunks:
    """Read what `iterate` wrote to a folder, joined in time: a dict with "times", "observed/NAME", "states/velocity", ...,
    leading axis T, which also has `to_xarray()` and `to_netcdf(path)`.

    `last`: read only chunks that end at this step or earlier.

    **Raises:** `ValueError` for a folder without chunks, for chunks of different runs, for a chunk that is missing at the
    start, in between, or (without `last`) before the checkpoint, for chunks whose names differ, and for a chunk that is
    damaged or of a newer version. Chunks of version 0.1.0 do not record where they begin, so a missing one in between is not
    detected.
    """
    folder = as_path("path", path)
    if last is not None:
        last = check_integer("last", last, minimum=0)
    files = [file for file in chunk_files("path", folder) if last is None or last_step(file) <= last]
    if not files:
        raise argument_error("path", "name a folder of chunks", f"{str(folder)!r} holds none", "check it")
    headers, parts = zip(*(read_arrays(file, FORMAT, VERSION) for file in files), strict=True)
    _check_chain(folder, headers)
    if last is None:
        _check_end(folder, headers[-1]["step"])
    for file, part in zip(files, parts, strict=True):
        if set(part) != set(parts[0]):
            other = ", ".join(sorted(set(part) ^ set(parts[0])))
            raise argument_error(
                "path",
                "name chunks that hold the same names",
                f"{str(file)!r} differs by {other}",
                "read it separately",
            )
    return Chunks({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, headers)


def _check_end(folder: Path, last: int) -> None:
    """**Raises:** `ValueError` if the last chunk ends before the checkpoint that was written after it."""
    if not os.path.lexists(folder / "checkpoint.npz"):
        return
    end = load_checkpoint(folder / "checkpoint.npz").step
    if end > last:
        raise argument_error(
            "path", "name a folder that holds all chunks of its run", f"in {str(folder)!r} the chunks end at step {last} and "
            f"the checkpoint at {end}", "find the missing chunk, or pass `last`",
        )  # fmt: skip


def _check_chain(folder: Path, headers: Sequence[dict[str, Any]]) -> None:
    """**Raises:** `ValueError` unless the chunks start with the run and each begins where the one before it ended."""
    must = "name the folder of one run"
    for before, header in zip((None, *headers), headers, strict=False):
        for name, what in (("key", "key"), ("run", "time step or scheme"), ("system", "system"), ("start", "start")):
            if header.get(name) != headers[0].get(name) and None not in (header.get(name), headers[0].get(name)):
                raise argument_error(
                    "path", must, f"{str(folder)!r} holds chunks of different runs (another {what}), to steps "
                    f"{headers[0]['step']} and {header['step']}", "keep each run in a folder of its own",
                )  # fmt: skip
        began, expected = header.get("first"), header.get("start") if before is None else before["step"]
        if None not in (began, expected) and began != expected:
            raise argument_error(
                "path", "name a folder with all chunks of a run",
                f"in {str(folder)!r} those from step {expected} to {began} are missing", "restore them",
            )  # fmt: skip
        ends = None if before is None else before.get("ends")
        if None not in (ends, header.get("begins")) and header["begins"] != ends:
            raise argument_error(
                "path", must, f"in {str(folder)!r} the chunk to step {header['step']} does not begin where the one before it "
                "ended", "keep each run in a folder of its own",
            )  # fmt: skip


def chunk_files(argument: str, folder: Path) -> list[Path]:
    """The chunk files of a folder in order. **Raises:** `ValueError` for a file named almost, but not quite, like a chunk."""
    files = sorted(folder.glob("chunk-*.npz")) if os.path.isdir(folder) else []
    for file in files:
        if not re.fullmatch(r"chunk-\d{12}\.npz", file.name, re.ASCII):
            raise argument_error(
                argument, "name a folder of chunks", f"{str(file)!r} does not have the name of one", "move it elsewhere"
            )
    return files


def last_step(file: Path) -> int:
    return int(file.stem.removeprefix("chunk-"))
