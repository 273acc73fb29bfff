"""Everything a run needs to go on as if it had never stopped, in memory and on disk."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, UInt32

from ._checks import describe, is_traced, refuse
from ._files import read_arrays, write_arrays
from ._fingerprint import Fingerprint, Remembered, fingerprint
from ._trees import decode, encode
from ._types import PyTree

_FORMAT, _VERSION = "jaxkinetic checkpoint", 1


class Checkpoint(eqx.Module):
    """The end of a run: `simulate(system, solution.checkpoint, num_steps=...)` continues it bitwise.

    `carry`, `aux`: the scheme's. `key`: the run's two words. `step`: absolute, a Python integer. `t0`, `dt`.
    `clock`: t0 and dt in double precision, from which the times of saves are made; None where one of them was traced.
    `scheme`: the one that ran, and the default of the continuation. `origin`: the system that ran, or, read from a file,
    what it was in text; a run that goes on with another is refused.
    """

    carry: PyTree
    aux: PyTree
    key: UInt32[Array, "*runs 2"]
    step: int = eqx.field(static=True)
    t0: Float[Array, "*runs"]
    dt: Float[Array, "*runs"]
    scheme: Any
    origin: Remembered | Fingerprint | None = None
    clock: tuple[float, float] | None = eqx.field(static=True, default=None)


def save_checkpoint(path: str | os.PathLike, checkpoint: Checkpoint) -> Path:
    """Write a `Checkpoint` to one file, arrays and a JSON header, no pickle.

    Atomic: the file is written beside `path`, flushed to the disk and put in its place, so that a process killed at any moment
    leaves the old one or the new one. The header holds version, step, scheme and the fingerprint of the system (class, static
    options, every parameter).

    **Returns:** the path. **Raises:** `ValueError` for traced values and for what is not a checkpoint; `OSError` from the disk.
    """
    if not isinstance(checkpoint, Checkpoint):
        raise refuse("checkpoint", "be a Checkpoint", f"is {describe(checkpoint)}", "pass `solution.checkpoint`")
    if is_traced(checkpoint):
        raise refuse("checkpoint", "be concrete", "is traced", "save it outside of `jit` and `grad`")
    arrays: list[np.ndarray] = []
    own = fingerprint(checkpoint.origin)
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
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "step": checkpoint.step,
        "tree": encode(bare, arrays),
        "system": [] if own is None else [list(entry) for entry in own.entries],
    }
    return write_arrays(path, header, {f"array_{i}": array for i, array in enumerate(arrays)})


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """What `save_checkpoint` wrote: the run goes on bitwise with the same system, which `simulate` compares with the
    fingerprint in the file.

    Reading runs no code and imports nothing: a scheme of your own has to be imported before.

    **Raises:** `ValueError`, one sentence, for a file that is missing, truncated, damaged, something else, newer than this
    version, or that holds a class that is not known; for float64 numbers where x64 is off.
    """
    header, named = read_arrays(path, _FORMAT, _VERSION)
    try:
        # Files of version 0.1 have no clock: the times of their continuation are those of t0 and dt in the state's dtype.
        header["tree"]["fields"].setdefault("clock", {"value": None})
        checkpoint = decode(header["tree"], [named[f"array_{i}"] for i in range(len(named))])
        own = Fingerprint(tuple((place, text) for place, text in header["system"])) if header["system"] else None
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise refuse(
            "path", f"name a {_FORMAT} file", f"{str(path)!r} is damaged ({error!r})", "use another file"
        ) from None
    if not isinstance(checkpoint, Checkpoint):
        raise refuse("path", f"name a {_FORMAT} file", f"{str(path)!r} holds something else", "use another file")
    return Checkpoint(
        checkpoint.carry, checkpoint.aux, checkpoint.key, checkpoint.step, checkpoint.t0, checkpoint.dt, checkpoint.scheme,
        own, checkpoint.clock,
    )  # fmt: skip
