"""A folder of results: checked before the run, written whole or not at all."""

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from .._checks import refuse
from ._experiment import Report


def prepare(path: Path) -> Path:
    """Create the folder and prove that it can be written. **Raises:** `ValueError` naming what is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise refuse(
            "--out",
            "be a folder that can be written",
            f"is {str(path)!r} ({error.strerror})",
            "pass another folder",
        ) from None
    return path


def write(folder: Path, report: Report, manifest: dict[str, Any]) -> list[Path]:
    """result.npz, result.json, figure.png; each replaces its predecessor only once it is complete."""
    figure = report.draw()
    text = json.dumps({**manifest, "results": report.numbers, "findings": report.findings}, indent=2, default=_plain)
    return [
        _replace(folder / "result.npz", functools.partial(_save_arrays, report.arrays)),
        _replace(folder / "result.json", lambda f: f.write(text.encode() + b"\n")),
        _replace(folder / "figure.png", lambda f: figure.savefig(f, format="png")),
    ]


def _save_arrays(arrays: dict[str, Any], file: BinaryIO) -> None:
    np.savez_compressed(file, **arrays)


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def _replace(path: Path, fill: Callable[[BinaryIO], Any]) -> Path:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def device() -> str:
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind}"


def commit() -> str | None:
    """The commit of the checkout this package runs from, "-dirty" if it was changed; None outside a checkout."""
    here = Path(__file__).resolve().parent
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
