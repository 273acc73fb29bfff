"""Finished parts of an unfinished run on disk, from which `--resume` continues."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..._io.atomic_npz import read_header, write_arrays
from ..._io.lock import LOCK
from ..._io.part_files import FORMAT as _FORMAT, OWNER, VERSION as _VERSION
from ..._util.checks import argument_error

_PART = re.compile(r"(part|replica-\d{5})-\d{5}\.npz", re.ASCII)
# Parts of a run that an older version left: files, and folders with chunks.
_OLD_PART = re.compile(r"[a-z0-9-]*-\d{5,}", re.ASCII)
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

    def check_fresh(self, *, force: bool) -> None:
        """**Raises:** `ValueError` if a fresh start would remove a folder that this program did not write or, without `force`,
        finished parts."""
        if not self.folder.exists() and not self.folder.is_symlink():
            return
        if not self.exists():
            if self.folder.is_symlink() or not self.folder.is_dir() or any(self.folder.iterdir()):
                raise argument_error(
                    "--out", "be a folder whose `partial` is written by this program", f"{str(self.folder)!r} is not",
                    "pass another folder, or rename `partial`",
                )  # fmt: skip
            return
        if not force and any(self._finished()):
            other = self.difference()
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

    def exists(self) -> bool:
        """Whether the folder has a header that this program wrote."""
        if self.folder.is_symlink() or not (self.folder / "run.npz").is_file():
            return False
        try:
            read_header(self.folder / "run.npz", _FORMAT, _VERSION)
        except ValueError:
            return False
        return True

    def difference(self) -> str | None:
        """The first entry in which the run on disk differs from this one, as text; None if it is the same run."""
        there = read_header(self.folder / "run.npz", _FORMAT, _VERSION)
        return differing(there.get("run", {}), self.header)

    def resume(self) -> None:
        """Check that the run can continue. **Raises:** `ValueError` if the folder has no unfinished run, or another one."""
        if not self.exists():
            raise argument_error(
                "--resume", "find an unfinished run", f"{str(self.folder)!r} holds none", "leave it out"
            )
        other = self.difference()
        if other is not None:
            raise argument_error(
                "--resume", "find the same run", other, "repeat its options, or pass --force instead to start anew"
            )

    def path(self, label: str) -> Path:
        """The folder of the parts of one ensemble."""
        return self.folder / re.sub("[^a-z0-9]+", "-", label.lower()).strip("-")

    def _finished(self) -> Iterator[Path]:
        """Files of finished parts, which a fresh start would have to compute again."""
        old = (path for path in self.folder.iterdir() if _OLD_PART.fullmatch(path.stem) and path.suffix in ("", ".npz"))
        yield from old
        yield from (path for folder in _folders(self.folder) for path in folder.iterdir() if _PART.fullmatch(path.name))

    def clear(self) -> None:
        """Remove the files that this program wrote. Other files stay, and so do their folders. A file that cannot be removed
        is no error: the results are already written."""
        if not self.exists():
            return
        for folder in _folders(self.folder):
            _clear(folder)
            _quietly(folder.rmdir)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink() and _OLD_PART.fullmatch(path.name):
                _clear(path)
                _quietly(path.rmdir)
            elif path.suffix == ".npz" and _OLD_PART.fullmatch(path.stem):
                _quietly(path.unlink)
        _clear(self.folder)
        _quietly((self.folder / "run.npz").unlink)
        _quietly(self.folder.rmdir)


def _folders(folder: Path) -> list[Path]:
    """The folders of the ensembles of a run."""
    return [path for path in folder.iterdir() if (path / OWNER).is_file() and not path.is_symlink()]


def _clear(folder: Path) -> None:
    """Remove this program's files from the folder of an ensemble."""
    for path in folder.iterdir():
        if path.is_file() and _OURS.fullmatch(path.name):
            _quietly(path.unlink)


def _quietly(remove: Callable[[], Any]) -> None:
    with contextlib.suppress(OSError):
        remove()


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
