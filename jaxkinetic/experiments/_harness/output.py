"""The folder of results: checked before the run; earlier files are replaced only when all new files are complete."""

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..._io.netcdf import write_netcdf
from ..._io.signals import held_signals, results_in
from ..._util.checks import argument_error
from .netcdf import report_dataset
from .partial import differing
from .report import Report

# In the order of writing: result.json comes last and shows that all three are there.
FILES = ("result.npz", "figure.png", "result.json")
# Written with `--netcdf` only.
NETCDF = "result.nc"
# What to do about results in the way.
ELSEWHERE = "pass another folder, or --force to replace it"


def prepare(path: Path) -> Path:
    """Create the folder and check that it can be written. **Raises:** `ValueError` that names the obstacle."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        for name in (*FILES, NETCDF):
            if (path / name).is_dir():
                raise IsADirectoryError(0, f"its {name} is a folder")
    except OSError as error:
        was = f"is {str(path)!r} ({error.strerror})"
        raise argument_error("--out", "be a folder that can be written", was, "pass another folder") from None
    return path


def check_replaceable(folder: Path, wanted: Mapping[str, Any]) -> None:
    """**Raises:** `ValueError` if the run `wanted` would replace results with other parameters, or files that are not results.
    The version of the code may differ."""
    manifest = read_manifest(folder)
    if manifest is None:
        there = ", ".join(name for name in (*FILES, NETCDF) if os.path.lexists(folder / name))
        was = there and f"{there} in {str(folder)!r} is not a result of this program"
    else:
        code = ("version", "commit", "jax")
        other = differing(manifest, {name: entry for name, entry in wanted.items() if name not in code})
        was = other and f"{str(folder)!r} holds a result: {other}"
    if was:
        must = "be a new folder, or one whose result has the same parameters"
        raise argument_error("--out", must, was, ELSEWHERE)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The content of result.json; None if the file is missing or not a result of this program."""
    try:
        manifest = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    entries = {"experiment", "parameters", "results"}
    return manifest if isinstance(manifest, dict) and entries <= set(manifest) else None


def write(folder: Path, report: Report, manifest: dict[str, Any], *, netcdf: bool = False) -> str:
    """Write result.npz, figure.png, with `netcdf` result.nc, and result.json: all to a temporary folder, and then to their
    places; a result.nc of an earlier result is removed. **Returns:** the sentence that names them."""
    figure, arrays = report.figure(), report.all_arrays()
    content = _strict({**manifest, "results": report.results(), "findings": report.notes})
    text = json.dumps(content, indent=2, allow_nan=False)
    names = (NETCDF, *FILES) if netcdf else FILES
    with held_signals(), tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        np.savez_compressed(Path(temporary, "result.npz"), **arrays)
        figure.savefig(Path(temporary, "figure.png"))
        Path(temporary, "result.json").write_text(f"{text}\n")
        if netcdf:
            write_netcdf(Path(temporary, NETCDF), report_dataset(report, content))
        else:
            (folder / NETCDF).unlink(missing_ok=True)
        for name in names:
            os.replace(Path(temporary, name), folder / name)
        results_in(folder)
    return f"Wrote {', '.join(str(folder / name) for name in names)}"


def _strict(value: Any) -> Any:
    """The value for JSON, which has no NumPy types, NaN or infinity: the last two become None."""
    if isinstance(value, dict):
        return {str(name): _strict(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
