"""The finished parts of a run that is under way, on disk: what `--resume` goes on from."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..._io.atomic_npz import read_arrays, read_header, write_arrays
from ..._io.lock import LOCK
from ..._util.checks import argument_error

# What a file says that it is: another kind raises.
_FORMAT = "jaxkinetic part"
# Of its contents: a file of another version raises.
_VERSION = 1
_PART = re.compile(r"[a-z0-9-]*-\d{5,}")
# Files of this library's in the folder of a part that is a run in chunks, and those that a killed writer left.
_OURS = re.compile(rf"chunk-\d{{12}}\.npz|checkpoint\.npz|{re.escape(LOCK)}|\..*\.npz\..*\.partial", re.ASCII)


class Partial:
    """A folder `partial` beside the results, with a header that says which run it belongs to.

    A part is written when it is finished, atomically, and never changed: a process killed at any moment loses the part under
    way and no other. Only what this library wrote is ever removed, and finished parts only if the user says so.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.folder = folder / "partial"
        self.header = dict(header)
        self.mark = hashlib.sha256(json.dumps(self.header, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def check_fresh(self, *, force: bool) -> None:
        """**Raises:** `ValueError` if a fresh start would remove a folder of the user's own or, without `force`, finished
        parts."""
        if not self.folder.exists() and not self.folder.is_symlink():
            return
        if not self.exists():
            if self.folder.is_symlink() or not self.folder.is_dir() or any(self.folder.iterdir()):
                raise argument_error(
                    "--out", "be a folder whose `partial` is this program's", f"{str(self.folder)!r} is not",
                    "pass another folder, or rename that one",
                )  # fmt: skip
            return
        if not force and any(self._finished()):
            other = self.difference()
            what = "this run" if other is None else f"another run ({other})"
            go_on = "--resume to go on with it, " if other is None else ""
            raise argument_error(
                "--out", "be a folder without an unfinished run", f"{str(self.folder)!r} holds finished parts of {what}",
                f"pass {go_on}another folder, or --force to discard them",
            )  # fmt: skip

    def begin(self, *, force: bool = False) -> None:
        """A fresh start. **Raises:** as `check_fresh`."""
        self.check_fresh(force=force)
        self.clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.folder / "run.npz", {"format": _FORMAT, "version": _VERSION, "run": self.header}, {})

    def exists(self) -> bool:
        """Whether the folder carries the mark of this program."""
        if self.folder.is_symlink() or not (self.folder / "run.npz").is_file():
            return False
        try:
            read_header(self.folder / "run.npz", _FORMAT, _VERSION)
        except ValueError:
            return False
        return True

    def difference(self) -> str | None:
        """In which word the run on disk is another one; None if it is the same."""
        there = read_header(self.folder / "run.npz", _FORMAT, _VERSION)
        return differing(there.get("run", {}), self.header)

    def resume(self) -> None:
        """**Raises:** `ValueError` if there is nothing to go on from, or another run."""
        if not self.exists():
            raise argument_error(
                "--resume", "find an unfinished run", f"{str(self.folder)!r} holds none", "leave it out"
            )
        other = self.difference()
        if other is not None:
            raise argument_error(
                "--resume", "find the same run", other, "repeat its options, or pass --force instead to start anew"
            )

    def path(self, label: str, part: int) -> Path:
        return self.folder / f"{re.sub('[^a-z0-9]+', '-', label.lower()).strip('-')}-{part:05d}"

    def load(self, label: str, part: int) -> list[np.ndarray] | None:
        """The arrays of a finished part, None if it is not there or cannot be read."""
        path = self.path(label, part).with_suffix(".npz")
        if not path.is_file():
            return None
        try:
            header, named = read_arrays(path, _FORMAT, _VERSION)
        except ValueError:
            # Damaged by something else than a kill: it is made again.
            return None
        if header.get("run") != self.mark:
            return None
        return [named[f"array_{i}"] for i in range(len(named))]

    def save(self, label: str, part: int, arrays: list[np.ndarray]) -> None:
        header = {"format": _FORMAT, "version": _VERSION, "part": part, "run": self.mark}
        path = self.path(label, part).with_suffix(".npz")
        write_arrays(path, header, {f"array_{i}": array for i, array in enumerate(arrays)})

    def _finished(self) -> list[Path]:
        """What would have to be computed again."""
        return [path for path in self.folder.iterdir() if _PART.fullmatch(path.stem) and path.suffix in ("", ".npz")]

    def clear(self) -> None:
        """Remove what this program wrote; a file of another kind stays, and the folder with it. A part that cannot be removed
        stays too: results are written already."""
        if not self.exists():
            return
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                if _PART.fullmatch(path.name):
                    clear_chunks(path)
            elif (_PART.fullmatch(path.stem) and path.suffix == ".npz") or _OURS.fullmatch(path.name):
                _quietly(path.unlink)
        _quietly((self.folder / "run.npz").unlink)
        _quietly(self.folder.rmdir)


def clear_chunks(folder: Path) -> None:
    """Remove the files of a run in chunks, and the folder if nothing else is in it."""
    if folder.is_dir() and not folder.is_symlink():
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                _quietly(path.unlink)
        _quietly(folder.rmdir)


def _quietly(remove: Callable[[], Any]) -> None:
    with contextlib.suppress(OSError):
        remove()


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first entry in which two nested dictionaries differ, as words; only what `here` has counts."""
    for name, value in here.items():
        other = there.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            inner = differing(other, value)
            if inner is not None:
                return inner
        elif other != value:
            return f"that one has {name} {other}, this one {value}"
    return None
