"""Finished parts of an unfinished run on disk, from which `--resume` continues."""

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._io.atomic_npz import read_header, write_arrays
from ..._io.lock import LOCK
from ..._io.part_files import FORMAT as _FORMAT, OWNER, VERSION as _VERSION
from ..._util.checks import argument_error

# Of `ExperimentInParts`, ensembles, and fits.
_PART = re.compile(r"((part|replica-\d{5})-\d{5}|search)\.npz", re.ASCII)
_OLD_PART = re.compile(r"[a-z0-9-]*-\d{5,}(\.npz)?", re.ASCII)
# Files of this library in the folder of an ensemble, and temporary files that a killed process left.
_OURS = re.compile(
    rf"{_PART.pattern}|chunk-\d{{12}}\.npz|checkpoint\.npz|{re.escape(OWNER)}|{re.escape(LOCK)}|\..*\.npz\..*\.partial",
    re.ASCII,
)


class Partial:
    """The folder `partial` beside the results, with a header that identifies its run.

    A finished part is written atomically and never changed: a process that is killed loses only the part that it was
    computing. Only files of this library are removed, and a fresh start removes finished parts only with `force`.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.folder = folder / "partial"
        self.header = dict(header)

    def _stored(self) -> Mapping[str, Any] | None:
        """The header in the folder; None if this program did not write one."""
        if self.folder.is_symlink():
            return None
        try:
            return read_header(self.folder / "run.npz", _FORMAT, _VERSION).get("run", {})
        except ValueError:
            return None

    def check_fresh(self, *, force: bool) -> None:
        """**Raises:** `ValueError` if a fresh start would remove a folder that this program did not write or, without `force`,
        finished parts."""
        there = self._stored()
        if there is None:
            empty = self.folder.is_dir() and not self.folder.is_symlink() and not any(self.folder.iterdir())
            if os.path.lexists(self.folder) and not empty:
                raise argument_error(
                    "--out", "be a folder whose `partial` is written by this program", f"{str(self.folder)!r} is not",
                    "pass another folder, or rename `partial`",
                )  # fmt: skip
        elif not force and self._has_parts():
            other = differing(there, self.header)
            what = "this run" if other is None else f"another run ({other})"
            go_on = "--resume to continue it, " if other is None else ""
            raise argument_error(
                "--out", "be a folder without an unfinished run", f"{str(self.folder)!r} holds finished parts of {what}",
                f"pass {go_on}another folder, or --force to discard them",
            )  # fmt: skip

    def begin(self, *, force: bool = False) -> None:
        """Remove the parts of an earlier run and write the header of this one. **Raises:** as `check_fresh`."""
        self.check_fresh(force=force)
        self.clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_arrays(self.folder / "run.npz", {"format": _FORMAT, "version": _VERSION, "run": self.header}, {})

    def continues(self) -> bool:
        """Whether the folder holds this run, unfinished."""
        there = self._stored()
        return there is not None and differing(there, self.header) is None

    def resume(self) -> None:
        """Check that the run can continue. **Raises:** `ValueError` if the folder has no unfinished run, or another one."""
        there = self._stored()
        if there is None:
            none = f"{str(self.folder)!r} holds none"
            raise argument_error("--resume", "find an unfinished run", none, "leave it out")
        other = differing(there, self.header)
        if other is not None:
            do = "repeat its options, or pass --force instead to start anew"
            raise argument_error("--resume", "find the same run", other, do)

    def path(self, label: str) -> Path:
        """The folder of the parts of one ensemble, another one for every label."""
        letters = "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(label.encode()).hexdigest()[:6])
        return self.folder / (re.sub("[^a-z0-9]+", "-", label.lower()).strip("-") + "-" + letters).strip("-")

    def _ensembles(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if (path / OWNER).is_file() and not path.is_symlink()]

    def _old_parts(self) -> list[Path]:
        """Parts of a run that an older version left: files, and folders with chunks."""
        named = [path for path in self.folder.iterdir() if _OLD_PART.fullmatch(path.name)]
        return [path for path in named if path.suffix or (path.is_dir() and not path.is_symlink())]

    def _has_parts(self) -> bool:
        """Whether a fresh start would have to compute finished parts again."""
        parts = (_PART.fullmatch(path.name) for folder in self._ensembles() for path in folder.iterdir())
        return any(self._old_parts()) or any(parts)

    def clear(self) -> None:
        """Remove the files that this program wrote. Other files stay, and so do their folders. A file that cannot be removed
        is no error: the results are already written."""
        if self._stored() is not None:
            # The header comes last: it shows that the folder is this program's.
            for path in (*self._ensembles(), *self._old_parts(), self.folder, self.folder / "run.npz", self.folder):
                _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, or this program's files in a folder, and the folder if it is then empty."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        for file in path.iterdir():
            if file.is_file() and _OURS.fullmatch(file.name):
                _remove(file)
        path.rmdir()


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first entry of the nested dictionary `here` that has another value in `there`, as text; None if there is none."""
    for name, value in here.items():
        other = there.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            inner = differing(other, value)
            if inner is not None:
                return inner
        elif other != value:
            return f"its `{name}` is {other}, not {value}"
    return None
