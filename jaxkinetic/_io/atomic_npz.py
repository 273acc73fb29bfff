"""Atomic files: arrays and a JSON header in one .npz, written under a temporary name and then renamed into place."""

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import secrets
import socket
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

from .._util.checks import argument_error, describe

_HEADER = "header"
# Errors that are due to the path the user gave, and not to the disk.
_OF_THE_PATH = frozenset(
    getattr(errno, name)
    for name in (
        "ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "EACCES", "EPERM", "EROFS", "ELOOP", "EEXIST", "EINVAL", "ENOTEMPTY"
    )
)  # fmt: skip


def as_path(argument: str, value: Any) -> Path:
    """`value` as a path. **Raises:** `ValueError` if it cannot be a path."""
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise argument_error(argument, "be a path", f"is {describe(value)}", "pass a str or a pathlib.Path")
    if not text:
        raise argument_error(argument, "be a path", "is empty", "name a file or a folder")
    try:
        usable = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise argument_error(
            argument, "be a path", f"is {text!r}, which cannot be a file name", "choose other characters"
        )
    return Path(text)


@contextlib.contextmanager
def path_errors(argument: str, path: Path, must: str) -> Iterator[None]:
    """Turn operating-system errors about the path into `ValueError`; errors of the disk (full, broken) propagate."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_PATH:
            raise
        raise argument_error(argument, must, f"{str(path)!r} is not ({error.strerror})", "pass another path") from None


def write_arrays(path: str | os.PathLike, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write `header` and `arrays` to `path` atomically: whenever the process is killed, the old or the new file is complete.
    Supports every dtype of JAX except keys. **Raises:** `ValueError` for other dtypes, for names that the format cannot hold,
    and for a path that cannot be written; `OSError` from the disk."""
    path = as_path("path", path)
    named: dict[str, np.ndarray] = {}
    dtypes: dict[str, str] = {}
    for name, array in arrays.items():
        _check_name(name)
        named[name], own = _storable(name, array)
        if own is not None:
            dtypes[name] = own
    text = json.dumps({**header, "dtypes": dtypes} if dtypes else dict(header), allow_nan=True)
    content: dict[str, Any] = {_HEADER: np.frombuffer(text.encode(), np.uint8), **named}
    must = "name a file that can be written"
    if os.path.isdir(path) and not os.path.islink(path):
        raise argument_error("path", must, f"{str(path)!r} is a folder", "name a file in it")
    with path_errors("path", path, must):
        _put_in_place(path, content)
    return path


def _put_in_place(path: Path, content: dict[str, Any]) -> None:
    # As `np.savez` does, whose own arguments could clash with the name of an array.
    with put_in_place(path) as (file, _), zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as whole:
        for name, array in content.items():
            with whole.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


@contextlib.contextmanager
def put_in_place(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new binary file beside `path` and its name. It takes the place of `path` when the block ends, and is removed if the
    block raises."""
    # Each writer has a temporary name of its own, so that two writers of one path do not mix. Nobody can guess the name, and
    # O_EXCL follows no link, so that nothing can be redirected. Files left by dead processes of this host are removed.
    stem = path.name if len(os.fsencode(path.name)) <= 100 else hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    ours = f".{stem}.{socket.gethostname()[:64]}-"
    for left in path.parent.glob(f"{glob.escape(ours)}*.partial"):
        if not is_running(left.name.removeprefix(ours).partition("-")[0]):
            left.unlink(missing_ok=True)
    beside = path.with_name(f"{ours}{os.getpid()}-{secrets.token_hex(8)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(beside, flags, 0o666)
    try:
        with open(descriptor, "wb") as file:
            yield file, beside
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name != "posix":
        return
    # The rename survives a power failure only if the folder is flushed too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_name(name: str) -> None:
    """**Raises:** `ValueError` for a name that a zip file would change: zip cuts names at a NUL and stores Unicode only."""
    try:
        usable = "\0" not in name and name != _HEADER and len(name.encode()) < 60_000
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise argument_error(
            "name",
            "be Unicode of at most 60000 bytes without a NUL, and not 'header'",
            f"is {describe(name)}",
            "rename it",
        )


def _storable(name: str, array: np.ndarray) -> tuple[np.ndarray, str | None]:
    """(array in a dtype that NumPy can store, name of the original dtype if NumPy does not know it)."""
    array = np.asarray(array)
    dtype = array.dtype
    # bfloat16, float8, int4: NumPy would store untyped bytes, so they are stored as unsigned integers.
    if dtype.type.__module__ == "ml_dtypes":
        return np.array(array, order="C").view(f"u{dtype.itemsize}"), dtype.name
    if dtype.kind in "biufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        return array.astype(dtype.newbyteorder("="), copy=False), None
    raise argument_error(name, "have a dtype that JAX supports", f"has {dtype}", "convert it")


def is_running(pid: str) -> bool:
    """Whether a process with this number runs on this machine; True if that cannot be determined."""
    if os.name != "posix" or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def read_arrays(path: str | os.PathLike, format: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays) of a file of this `format`, of at most this `version`.

    Reading never allocates more memory than the file is long: the size that each array claims is compared with its entry in
    the file before memory is allocated. Compressed entries, which this library never writes, count as damage.

    **Raises:** `ValueError` if `path` is missing, truncated, of another format, or of a newer version.
    """
    return _read(as_path("path", path), format, version, arrays=True)


def read_header(path: str | os.PathLike, format: str, version: int) -> dict[str, Any]:
    """The header of a file, without reading its arrays. **Raises:** as `read_arrays`."""
    return _read(as_path("path", path), format, version, arrays=False)[0]


def _read(path: Path, format: str, version: int, *, arrays: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    name = str(path)
    kind = f"a {format} file"
    if not os.path.isfile(path):
        was = (
            "is a folder"
            if os.path.isdir(path)
            else "is not a regular file"
            if os.path.exists(path)
            else "does not exist"
        )
        raise argument_error("path", f"name {kind}", f"{name!r} {was}", "check it")
    foreign = argument_error("path", f"name {kind}", f"{name!r} is something else", "use another file")
    with path_errors("path", path, f"name {kind} that can be read"):
        with open(path, "rb") as file:
            started = file.read(2) == b"PK"
        if not zipfile.is_zipfile(path):
            if started:
                raise argument_error("path", f"name {kind}", f"{name!r} is truncated", "use another file")
            raise foreign
        try:
            with open(path, "rb") as file, zipfile.ZipFile(file) as content:
                entries = _entries(content, os.fstat(file.fileno()).st_size)
                header = json.loads(bytes(_array(content, entries.pop(_HEADER)))) if _HEADER in entries else {}
                ours = (
                    isinstance(header, dict)
                    and header.get("format") == format
                    and isinstance(header.get("version"), int)
                )
                readable = ours and header["version"] <= version
                found = {key: _array(content, entry) for key, entry in entries.items()} if readable and arrays else {}
                for key, dtype in (header.pop("dtypes", {}) if readable else {}).items():
                    if arrays:
                        found[key] = found[key].view(jax.numpy.dtype(dtype))
        except Exception as error:  # zipfile and NumPy raise a dozen exception types for damaged files
            raise argument_error("path", f"name {kind}", f"{name!r} is damaged ({error})", "use another file") from None
    if not ours:
        raise foreign
    if not readable:
        raise argument_error(
            "path", f"name a {format} file of version {version} at most", f"{name!r} has version {header['version']}",
            "update jaxkinetic",
        )  # fmt: skip
    return header, found


def _entries(content: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Name -> entry. **Raises:** `ValueError` for duplicate names, and if the entries together claim more than the file."""
    entries = {info.filename.removesuffix(".npy"): info for info in content.infolist()}
    if len(entries) < len(content.infolist()):
        raise ValueError("two entries have one name")
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in entries.values()
    ):
        raise ValueError("an entry is compressed")
    if sum(info.file_size for info in entries.values()) > size:
        raise ValueError("its entries claim more bytes than it has")
    return entries


def _array(content: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Read one array. **Raises:** `ValueError` if its header claims a size other than that of its entry."""
    opened: Any = content.open(entry)
    with opened as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"array format {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError("an array of objects")
        size = math.prod(shape) * dtype.itemsize
        if size != entry.file_size - file.tell():
            raise ValueError("an array claims another size than it has")
        data = bytearray(size)
        if file.readinto(data) != size or file.read(1):
            raise ValueError("an array ends early")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
