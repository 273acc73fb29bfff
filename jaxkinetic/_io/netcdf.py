"""netCDF files through xarray: portable contents, written atomically."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .._util.checks import argument_error
from .atomic_npz import as_path, path_errors, put_in_place

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["need_netcdf", "need_xarray", "portable", "write_netcdf"]


def need_xarray(what: str) -> ModuleType:
    """xarray. **Raises:** `ImportError` with the command that installs it; `what` needs it."""
    try:
        import xarray
    except ImportError:
        raise ImportError(f"{what} needs xarray; run `pip install 'jaxkinetic[data]'`.") from None
    return xarray


def need_netcdf(what: str) -> None:
    """**Raises:** `ImportError` unless netCDF files can be written."""
    need_xarray(what)
    try:
        import h5netcdf  # noqa: F401
    except ImportError:
        raise ImportError(f"{what} needs h5netcdf; run `pip install 'jaxkinetic[data]'`.") from None


def portable(dataset: "Dataset") -> "Dataset":
    """The dataset with what every netCDF-4 reader understands: a complex variable `name` becomes `name_real` and `name_imag`,
    floats of less than 32 bits become float32, and a "/" in a name, which netCDF does not allow, becomes "_"."""
    variables: dict[str, Any] = {}
    for name, variable in dataset.data_vars.items():
        values, attrs = variable.values, dict(variable.attrs)
        if np.iscomplexobj(values):
            parts = {"_real": (values.real, "real part"), "_imag": (values.imag, "imaginary part")}
        else:
            parts = {"": (values, "")}
        for end, (part, what) in parts.items():
            if part.dtype.kind not in "biufSU" or part.dtype == np.float16:
                part = part.astype(np.float32)
            told = f"{what} of {attrs.get('long_name', name)}" if what else attrs.get("long_name")
            own = {**attrs, "long_name": told} if told else attrs
            variables[_free(f"{_legal(str(name))}{end}", variables)] = (variable.dims, part, own)
    renamed = {dim: _legal(str(dim)) for dim in dataset.dims if _legal(str(dim)) != dim}
    out = dataset.drop_vars(list(dataset.data_vars)).assign(variables)
    return out.rename({dim: name for dim, name in renamed.items() if dim in out.dims})


def _legal(name: str) -> str:
    """A name that netCDF allows."""
    name = "".join("_" if c == "/" or ord(c) < 32 or ord(c) == 127 else c for c in name).rstrip() or "unnamed"
    return name if name[0].isalnum() or name[0] == "_" or ord(name[0]) > 127 else f"_{name}"


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def write_netcdf(path: str | os.PathLike, dataset: "Dataset") -> Path:
    """Write `portable(dataset)` to a netCDF-4 file, atomically: whenever the process is killed, the old or the new file is
    complete. **Raises:** `ImportError` without xarray and h5netcdf; `ValueError` for a path that cannot be written; `OSError`
    from the disk."""
    need_netcdf("A netCDF file")
    path, whole = as_path("path", path), portable(dataset)
    must = "name a file that can be written"
    if os.path.isdir(path) and not os.path.islink(path):
        raise argument_error("path", must, f"{str(path)!r} is a folder", "name a file in it")
    with path_errors("path", path, must), put_in_place(path) as (_, beside):
        # HDF5 opens the file by its name, and writes to it directly: no copy of the data in memory.
        whole.to_netcdf(beside, engine="h5netcdf")
    return path
