"""The finished parts of a run that is under way, on disk: what `--resume` goes on from."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import refuse
from .._files import read_arrays, write_arrays

_FORMAT, _VERSION = "jaxkinetic part", 1


class Partial:
    """A folder `partial` beside the results, with a header that says which run it belongs to.

    A part is written when it is finished, atomically, and never changed: a process killed at any moment loses the part under
    way and no other.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.folder = folder / "partial"
        self.header = dict(header)

    def begin(self) -> None:
        """A fresh start: what was there belongs to another run."""
        self.clear()
        self.folder.mkdir(parents=True)
        write_arrays(self.folder / "run.npz", {"format": _FORMAT, "version": _VERSION, "run": self.header}, {})

    def exists(self) -> bool:
        return (self.folder / "run.npz").is_file()

    def difference(self) -> str | None:
        """In which word the run on disk is another one; None if it is the same."""
        there, _ = read_arrays(self.folder / "run.npz", _FORMAT, _VERSION)
        return differing(there.get("run", {}), self.header)

    def resume(self) -> None:
        """**Raises:** `ValueError` if there is nothing to go on from, or another run."""
        if not self.exists():
            raise refuse("--resume", "find an unfinished run", f"{str(self.folder)!r} holds none", "leave it out")
        other = self.difference()
        if other is not None:
            raise refuse(
                "--resume", "find the same run", other, "repeat its options, or leave --resume out to start anew"
            )

    def path(self, label: str, part: int) -> Path:
        return self.folder / f"{re.sub('[^a-z0-9]+', '-', label.lower()).strip('-')}-{part:05d}"

    def load(self, label: str, part: int) -> list[np.ndarray] | None:
        """The arrays of a finished part, None if it is not there or cannot be read."""
        path = self.path(label, part).with_suffix(".npz")
        if not path.is_file():
            return None
        try:
            named = read_arrays(path, _FORMAT, _VERSION)[1]
        except ValueError:
            # Damaged by something else than a kill: it is made again.
            return None
        return [named[f"array_{i}"] for i in range(len(named))]

    def save(self, label: str, part: int, arrays: list[np.ndarray]) -> None:
        header = {"format": _FORMAT, "version": _VERSION, "part": part}
        path = self.path(label, part).with_suffix(".npz")
        write_arrays(path, header, {f"array_{i}": array for i, array in enumerate(arrays)})

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


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
