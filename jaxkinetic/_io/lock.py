"""A lock that lets one process write to a folder and names its owner."""

import contextlib
import datetime
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._util.checks import argument_error
from .atomic_npz import is_running, path_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".jaxkinetic-lock"


@contextlib.contextmanager
def folder_lock(argument: str, folder: Path) -> Iterator[None]:
    """Lock `folder` for this writer. A lock left by a dead process is taken over.

    **Raises:** `ValueError` if another writer holds the lock, also in this process; it names the owner's process, host and
    start time.
    """
    path = folder / LOCK
    with path_errors(argument, folder, "be a folder that can be written"):
        file = _take(argument, path)
    try:
        yield
    finally:
        # Remove the file before the lock is released, so that no process locks a file that is about to disappear.
        with contextlib.suppress(OSError):
            if _same_file(file, path):
                path.unlink()
        os.close(file)


def _take(argument: str, path: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(path, flags, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise argument_error(
                    argument, "be a folder that can be locked", f"{str(path)!r} is not a regular file", "remove it"
                )
            if not _is_free(file):
                raise _held(argument, path, _owner(file))
            if not _same_file(file, path):  # its owner removed it between `os.open` and the lock
                os.close(file)
                continue
            owner = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            }
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, json.dumps(owner).encode())
            return file
        except BaseException:
            os.close(file)
            raise


def _is_free(file: int) -> bool:
    """Whether the lock could be taken. The operating system releases the lock of a process that dies; on a file system
    without locks, the owner's process number decides."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
        else:
            return True
    owner = _owner(file)
    return not owner or (owner.get("host") == socket.gethostname() and not is_running(str(owner.get("pid"))))


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _owner(file: int) -> dict[str, Any]:
    os.lseek(file, 0, os.SEEK_SET)
    try:
        owner = json.loads(os.read(file, 1000) or b"{}")
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _held(argument: str, path: Path, owner: dict[str, Any]) -> ValueError:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')} since {owner.get('since', '?')}"
    return argument_error(
        argument, "be a folder that no other run writes to", f"{str(path.parent)!r} is in use by {who}",
        "pass another folder, or wait for that run",
    )  # fmt: skip
