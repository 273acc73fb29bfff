"""Files that are whole or not there: arrays and a JSON header in one .npz, written beside and then put in place."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._checks import refuse

_HEADER = "header"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)


def write_arrays(path: str | os.PathLike, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """`path` with `header` and `arrays`, atomically: a reader, and a process killed meanwhile, find the old file or the new."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.partial")
    text = np.frombuffer(json.dumps(header, allow_nan=True).encode(), np.uint8)
    with open(beside, "wb") as file:
        named: Any = {_HEADER: text, **arrays}
        np.savez(file, **named)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    if os.name != "posix":
        return path
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def read_arrays(path: str | os.PathLike, format: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays) of a file of this `format`, `version` at most. **Raises:** `ValueError`, one sentence, if `path` is
    missing, truncated, something else, or newer than this code."""
    name = str(path)
    kind = f"a {format} file"
    if not Path(path).is_file():
        raise refuse("path", f"name {kind}", f"{name!r} does not exist", "check the folder")
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            started = file.read(2) == b"PK"
        was = "is truncated" if started else "is something else"
        raise refuse("path", f"name {kind}", f"{name!r} {was}", "use another file")
    try:
        with np.load(path, allow_pickle=False) as content:
            if _HEADER not in content.files:
                raise refuse("path", f"name {kind}", f"{name!r} is something else", "use another file")
            header = json.loads(bytes(content[_HEADER]))
            known = (
                isinstance(header, dict) and header.get("format") == format and isinstance(header.get("version"), int)
            )
            if known and header["version"] <= version:
                return header, {key: content[key] for key in content.files if key != _HEADER}
    except _DAMAGED as error:
        if isinstance(error, ValueError) and str(error).startswith("Argument"):
            raise
        raise refuse("path", f"name {kind}", f"{name!r} is damaged ({error})", "use another file") from None
    if not known:
        raise refuse("path", f"name {kind}", f"{name!r} is something else", "use another file")
    raise refuse(
        "path", f"name a {format} file of version {version} at most", f"{name!r} has version {header['version']}",
        "update jaxkinetic",
    )  # fmt: skip
