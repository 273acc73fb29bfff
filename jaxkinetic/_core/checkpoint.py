"""Checkpoints, in memory and on disk: everything that a run needs to continue as if it had never stopped."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, UInt32

from .._io.atomic_npz import as_path, read_arrays, write_arrays
from .._io.contents import UNKNOWN, contents
from .._io.fingerprint import Fingerprint, SystemRecord, difference_of_contents, fingerprint
from .._io.serialise import class_name, decode, encode
from .._util.checks import argument_error, describe, is_traced
from .._util.printing import Printed, printed, summary
from .._util.types import PyTree
from .system import AbstractScheme

# The format that a file names; loading another one raises.
_FORMAT = "jaxkinetic checkpoint"
# The version of the format; a newer one raises.
_VERSION = 1
# The fields of a `Checkpoint` that its tree in a file holds.
_FIELDS = frozenset({"carry", "aux", "key", "step", "t0", "dt", "scheme", "origin", "clock"})


class Checkpoint(Printed):
    """The end of a run. `simulate(system, solution.checkpoint, num_steps=...)` continues it, on a CPU bitwise.

    - `carry`: what the scheme advances. `aux`: its other data. `key`: the run's key, 2 uint32. `step`: absolute, a Python
      integer.
    - `t0`, `dt`: in the state's dtype. `clock`: the pair (t0, dt) in double precision, from which the times of saves are
      computed; None if one of them was traced.
    - `scheme`: the scheme that ran, and the default of the continuation.
    - `origin`: the system that ran, or its fingerprint if read from a file; continuing with another system raises
      `ValueError`.
    - `result`: how the run ended; continuing a failed run raises `ValueError`.
    """

    carry: PyTree
    aux: PyTree
    key: UInt32[Array, "*runs 2"]
    step: int = eqx.field(static=True)
    t0: Float[Array, "*runs"]
    dt: Float[Array, "*runs"]
    scheme: Any
    origin: SystemRecord | Fingerprint | None = None
    result: Any = None
    clock: tuple[float, float] | None = eqx.field(static=True, default=None)

    def __repr__(self) -> str:
        state = f"carry={summary(self.carry)}, aux={summary(self.aux)}"
        time = f"step={self.step}, t0={printed(self.t0)}, dt={printed(self.dt)}"
        return f"Checkpoint({time}, scheme={printed(self.scheme)}, {state})"


def save_checkpoint(path: str | os.PathLike, checkpoint: Checkpoint) -> Path:
    """Write a `Checkpoint` to one file, as arrays and a JSON header, without pickle.

    The write is atomic: the file gets a temporary name, is flushed to disk and then renamed, so that a process killed at any
    moment leaves the old or the new file complete. The header holds the version, the step, the scheme, how the run ended, and
    the fingerprint of the system: its class, static options, every parameter, and what its functions hold (code, closures,
    defaults, attributes and the globals that they read; functions of JAX, NumPy and this library by name). Every dtype of JAX
    is supported, including keys.

    **Returns:** the path. **Raises:** `ValueError` for traced values, if `checkpoint` is no `Checkpoint`, for a system with an
    object that another process could not compare (a lock, an open file), and for a path that cannot be written; `OSError` if
    the disk is full or fails.
    """
    if not isinstance(checkpoint, Checkpoint):
        raise argument_error(
            "checkpoint", "be a Checkpoint", f"is {describe(checkpoint)}", "pass `solution.checkpoint`"
        )
    if is_traced(checkpoint):
        raise argument_error("checkpoint", "be concrete", "is traced", "save it outside of `jit` and `grad`")
    path = as_path("path", path)
    arrays: list[np.ndarray] = []
    own = fingerprint(checkpoint.origin)
    for place, text in () if own is None else own.entries:
        if text.startswith(UNKNOWN):
            raise argument_error(
                "checkpoint", "be of a system that another process can compare",
                f"in it {place} is {text.partition(' at ')[0]}", "keep that out of the system",
            )  # fmt: skip
    bare = Checkpoint(
        checkpoint.carry,
        checkpoint.aux,
        checkpoint.key,
        checkpoint.step,
        checkpoint.t0,
        checkpoint.dt,
        checkpoint.scheme,
        clock=checkpoint.clock,
    )
    tree = encode(bare, arrays)
    # `result` is stored outside the tree, whose fields are those of version 0.1.0, so that older versions can read the file.
    del tree["fields"]["result"]
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "step": checkpoint.step,
        "tree": tree,
        "system": [] if own is None else [list(entry) for entry in own.entries],
        "scheme": [list(entry) for entry in contents(checkpoint.scheme)],
    }
    if checkpoint.result is not None:
        header["result"] = encode(checkpoint.result, arrays)
    return write_arrays(path, header, {f"array_{i}": array for i, array in enumerate(arrays)})


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a `Checkpoint` that `save_checkpoint` wrote. The run must continue with the same system, which `simulate` compares
    with the fingerprint in the file. On a CPU the continuation is bitwise identical, on the same machine with the same number
    of cores (see `simulate`).

    Reading runs no code and imports nothing, so import a scheme of your own first. It never allocates more memory than the
    file is long.

    **Raises:** `ValueError` for a file that is missing, truncated, damaged, of another format or of a newer version; for a
    class that is unknown here, or a scheme whose class has changed; and for float64 numbers if x64 is off.
    """
    path = as_path("path", path)
    header, named = read_arrays(path, _FORMAT, _VERSION)
    try:
        arrays = [named[f"array_{i}"] for i in range(len(named))]
        fields = header["tree"]["fields"]
        # Files of version 0.1 have no `clock`: their continuation computes times from t0 and dt in the state's dtype.
        fields.setdefault("clock", {"value": None})
        if header["tree"]["class"] != class_name(Checkpoint) or set(fields) != _FIELDS:
            raise TypeError("it holds no checkpoint")
        found = {name: decode(child, arrays) for name, child in fields.items()}
        own, scheme = (_pairs(header.get(name, [])) for name in ("system", "scheme"))
        found["origin"] = Fingerprint(own) if own else None
        found["result"] = decode(header["result"], arrays) if "result" in header else None
        _check_fields(found)
        checkpoint = Checkpoint(**found)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise argument_error(
            "path", f"name a {_FORMAT} file", f"{str(path)!r} is damaged ({error!r})", "use another file"
        ) from None
    other = difference_of_contents(dict(scheme), dict(contents(checkpoint.scheme))) if scheme else None
    if other is not None:
        raise argument_error(
            "path", "name a checkpoint whose scheme has the same code here", f"in {str(path)!r} {other}",
            "use the version of the code that wrote it",
        )  # fmt: skip
    return checkpoint


def _pairs(entries: Any) -> tuple[tuple[str, str], ...]:
    """**Raises:** `TypeError` unless `entries` is a list of pairs of text."""
    if not isinstance(entries, list):
        raise TypeError("a fingerprint that is no list")
    for entry in entries:
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(text, str) for text in entry)):
            raise TypeError("an entry of a fingerprint that is no pair of text")
    return tuple((place, text) for place, text in entries)


def _check_fields(found: dict[str, Any]) -> None:
    """**Raises:** `TypeError` for fields that cannot come from a run."""
    from .solution import Result

    step, key, scheme, result = (found[name] for name in ("step", "key", "scheme", "result"))
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**31:
        raise TypeError(f"its step is {describe(step)}")
    if not isinstance(scheme, AbstractScheme):
        raise TypeError(f"its scheme is {describe(scheme)}")
    if not isinstance(result, Result | None):
        raise TypeError(f"its result is {describe(result)}")
    if not (isinstance(key, jax.Array) and key.dtype == np.uint32 and key.shape[-1:] == (2,)):
        raise TypeError(f"its key is {describe(key)}")
    for name in ("t0", "dt"):
        value = found[name]
        if not (isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, np.floating)):
            raise TypeError(f"its {name} is {describe(value)}")
