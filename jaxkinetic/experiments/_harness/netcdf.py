"""A report as an xarray dataset, for `--netcdf`."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._core.columns import UNITS, Columns
from .report import Report

if TYPE_CHECKING:
    from xarray import Dataset

# The dimension of which an array of this name holds the coordinates.
_COORDINATES = {
    "times": "time", "sizes": "N", "N": "N", "speeds": "speed", "x": "x", "v": "v", "alpha": "alpha", "epsilon": "epsilon",
    "edges": "edge", "walk_alpha": "walk_alpha", "picture_times": "picture", "values": "value",
}  # fmt: skip
# Entries of result.json under the names of `Solution.to_xarray`.
_NAMES = {
    "version": "jaxkinetic_version", "commit": "jaxkinetic_commit", "jax": "jax_version", "numpy": "numpy_version",
    "python": "python_version",
}  # fmt: skip


def report_dataset(report: Report, content: Mapping[str, Any]) -> "Dataset":
    """The arrays of result.npz with named dimensions, and the entries of result.json, `content`, as attributes.

    A series runs along what the first series that has a name counts, or along `time` if it is as long as the times. Other
    arrays have the dimensions that `Report.dims` gives, else `NAME_0`, `NAME_1`, ..."""
    columns, arrays = Columns(), report.all_arrays()
    for name, dim in _COORDINATES.items():
        if name in arrays and np.ndim(arrays[name]) == 1:
            points = np.asarray(arrays[name])
            columns.coordinate(dim, points, long_name=report.header(name) or name)
    first = next((series for series in report.series if series.name), None)
    over_time = first is not None and len(first.values) == columns.sizes.get("time")
    row = _COORDINATES.get("" if first is None else first.name, "time" if over_time else "row")
    told = {}
    for series in report.series:
        long_name = " ".join(series.header.split())
        for name, values in series.arrays().items():
            told[name] = (("replica", row) if np.ndim(values) > 1 else (row,)), long_name
    for name, values in arrays.items():
        if name in _COORDINATES and _COORDINATES[name] in columns.coordinates:
            continue
        dims, long_name = told.get(name, ((), ""))
        if name in report.dims:
            dims = tuple(report.dims[name].split())
        values = np.asarray(values)
        for dim, size in zip(dims, values.shape, strict=False):
            columns.sizes.setdefault(dim, size)
        columns.put(name, dims, values, long_name)
    return columns.dataset({name: _storable(x) for name, x in _flat(content).items() if x is not None})


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"units": UNITS}
    for name, value in content.items():
        if name == "parameters":
            out |= {f"parameter_{key}": x for key, x in value.items()}
        elif name == "results":
            out |= {f"result_{key}": x for key, x in value.items()}
        elif name == "findings":
            out[name] = "\n".join(value)
        else:
            out[_NAMES.get(name, name)] = value
    return out


def _storable(value: Any) -> Any:
    """Numbers, text and lists of numbers as they are, booleans as 0 and 1; anything else as JSON."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, list) and value and all(isinstance(x, (int, float)) for x in value):
        # netCDF has no booleans.
        return [int(x) if isinstance(x, bool) else x for x in value]
    return json.dumps(value)
