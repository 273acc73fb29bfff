"""The folder of results: checked before the run; earlier files are replaced only when all three new files are complete."""

import functools
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from ..._io.signals import held_signals, results_in
from ..._util.checks import argument_error
from .partial import differing
from .report import Report

# In the order of writing: result.json comes last and shows that all three are there.
FILES = ("result.npz", "figure.png", "result.json")


def prepare(path: Path) -> Path:
    """Create the folder and check that it can be written. **Raises:** `ValueError` that names the obstacle."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        for name in FILES:
            if (path / name).is_dir():
                raise IsADirectoryError(0, f"its {name} is a folder")
    except OSError as error:
        raise argument_error(
            "--out",
            "be a folder that can be written",
            f"is {str(path)!r} ({error.strerror})",
            "pass another folder",
        ) from None
    return path


def check_replaceable(folder: Path, wanted: Mapping[str, Any]) -> None:
    """**Raises:** `ValueError` if the run would replace results with other parameters, or files that are not results."""
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if not there:
        return
    manifest = read_manifest(folder)
    if manifest is None:
        other = f"{', '.join(there)} in {str(folder)!r} is not a result of this program"
    else:
        other = differing(manifest, wanted)
        other = None if other is None else f"{str(folder)!r} holds a result: {other}"
    if other is not None:
        raise argument_error(
            "--out", "be a new folder, or one whose result has the same parameters", other,
            "pass another folder, or --force to replace it",
        )  # fmt: skip


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The content of result.json; None if the file is missing or not a result of this program."""
    try:
        manifest = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    entries = {"experiment", "parameters", "results"}
    return manifest if isinstance(manifest, dict) and entries <= set(manifest) else None


def write(folder: Path, report: Report, manifest: dict[str, Any]) -> list[Path]:
    """Write result.npz, figure.png and result.json: all three to a temporary folder, and then to their places."""
    figure = report.figure()
    content = {**manifest, "results": report.results(), "findings": report.notes}
    text = json.dumps(_strict(content), indent=2, allow_nan=False)
    fills: tuple[Callable[[BinaryIO], Any], ...] = (
        functools.partial(_save_arrays, report.all_arrays()),
        lambda file: figure.savefig(file, format="png"),
        lambda file: file.write(text.encode() + b"\n"),
    )
    with held_signals(), tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        for name, fill in zip(FILES, fills, strict=True):
            with open(Path(temporary) / name, "wb") as file:
                fill(file)
        for name in FILES:
            os.replace(Path(temporary) / name, folder / name)
        results_in(folder)
    return [folder / name for name in FILES]


def _save_arrays(arrays: dict[str, Any], file: BinaryIO) -> None:
    np.savez_compressed(file, **arrays)


def _strict(value: Any) -> Any:
    """The value for JSON, which has no NumPy types, NaN or infinity: the last two become None."""
    if isinstance(value, dict):
        return {str(name): _strict(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def device() -> str:
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind}"


def commit() -> str | None:
    """The commit of the git checkout with this package, with "-dirty" if files were changed; None outside a checkout."""
    here = Path(__file__).resolve().parents[1]
    try:
        top = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--show-toplevel"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        if not (Path(top) / "jaxkinetic" / "experiments").samefile(here):
            return None
        return subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
