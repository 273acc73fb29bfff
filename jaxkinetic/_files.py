"""Files that are whole or not there: arrays and a JSON header in one .npz, written beside and then put in place."""

import glob
import json
import os
import socket
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._checks import refuse

_HEADER = "header"


def write_arrays(path: str | os.PathLike, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """`path` with `header` and `arrays`, atomically: a reader, and a process killed meanwhile, find the old file or the new."""
    path = Path(path)
    # One name a writer: two that write the same path do not mix their halves.
    ours = f".{path.name}.{socket.gethostname()}-"
    for left in path.parent.glob(f"{glob.escape(ours)}*.partial"):
        if not _is_running(left.name.removeprefix(ours).partition("-")[0]):
            left.unlink(missing_ok=True)
    beside = path.with_name(f"{ours}{os.getpid()}-{threading.get_ident()}.partial")
    text = np.frombuffer(json.dumps(header, allow_nan=True).encode(), np.uint8)
    named: Any = {_HEADER: text, **arrays}
    try:
        with open(beside, "wb") as file:
            np.savez(file, **named)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if os.name != "posix":
        return path
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def _is_running(pid: str) -> bool:
    """Whether a process of this machine has this number; where that cannot be asked, True."""
    if os.name != "posix" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def read_arrays(path: str | os.PathLike, format: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays) of a file of this `format`, `version` at most. **Raises:** `ValueError`, one sentence, if `path` is
    missing, truncated, something else, or newer than this code."""
    name = str(path)
    kind = f"a {format} file"
    if not Path(path).is_file():
        was = "is a folder" if Path(path).is_dir() else "does not exist"
        raise refuse("path", f"name {kind}", f"{name!r} {was}", "check it")
    with open(path, "rb") as file:
        started = file.read(2) == b"PK"
    foreign = refuse("path", f"name {kind}", f"{name!r} is something else", "use another file")
    if not zipfile.is_zipfile(path):
        if started:
            raise refuse("path", f"name {kind}", f"{name!r} is truncated", "use another file")
        raise foreign
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            header = json.loads(bytes(content[_HEADER])) if _HEADER in content.files else {}
            ours = (
                isinstance(header, dict) and header.get("format") == format and isinstance(header.get("version"), int)
            )
            readable = ours and header["version"] <= version
            arrays = {key: content[key] for key in content.files if key != _HEADER} if readable else {}
    except Exception as error:  # zipfile and NumPy raise a dozen kinds for a damaged file
        raise refuse("path", f"name {kind}", f"{name!r} is damaged ({error})", "use another file") from None
    if not ours:
        raise foreign
    if not readable:
        raise refuse(
            "path", f"name a {format} file of version {version} at most", f"{name!r} has version {header['version']}",
            "update jaxkinetic",
        )  # fmt: skip
    return header, arrays
