"""Finished parts of a computation on disk: each file is complete or absent, and identifies its computation."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._util.checks import argument_error
from .atomic_npz import path_errors, read_arrays, read_header, write_arrays
from .fingerprint import Fingerprint, difference

FORMAT, VERSION = "jaxkinetic part", 1
# The file that identifies the computation of the parts in a folder.
OWNER = "parts.npz"


class PartFiles:
    """Parts of one computation in `folder`, by name. A part of another computation, or one that cannot be read, counts as
    absent: it is computed again."""

    def __init__(self, folder: Path, entries: Sequence[tuple[str, str]]):
        self.folder = folder
        self.mark = hashlib.sha256(json.dumps([list(entry) for entry in entries]).encode()).hexdigest()[:16]

    def load(self, name: str) -> list[np.ndarray] | None:
        """The arrays of a finished part, None if it is absent."""
        try:
            header, named = read_arrays(self.folder / f"{name}.npz", FORMAT, VERSION)
            arrays = [named[f"array_{i}"] for i in range(len(named))]
        except (ValueError, KeyError):
            return None
        return arrays if header.get("part_of") == self.mark else None

    def save(self, name: str, arrays: Sequence[Any]) -> None:
        header = {"format": FORMAT, "version": VERSION, "part_of": self.mark}
        write_arrays(self.folder / f"{name}.npz", header, {f"array_{i}": np.asarray(x) for i, x in enumerate(arrays)})


def open_parts(argument: str, folder: Path, owner: Fingerprint) -> PartFiles:
    """The parts in `folder`, which is created if it does not exist. **Raises:** `ValueError` for a folder that cannot be
    written, that holds parts of another computation, or that holds other files and no parts."""
    with path_errors(argument, folder, "be a folder that can be written"):
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / OWNER
    if file.is_file():
        there = read_header(file, FORMAT, VERSION).get("owner", [])
        other = difference(Fingerprint(tuple((place, text) for place, text in there)), owner)
        if other is not None:
            # Show `place` instead of ['place'], the form in which fingerprints name an entry.
            for mark in ("['", "']"):
                other = other.replace(mark, "")
            raise argument_error(
                argument, "be a folder of this computation", f"{str(folder)!r} holds parts of another one: {other}",
                "pass another folder",
            )  # fmt: skip
    else:
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise argument_error(
                argument, "be an empty folder, or one with parts of this computation", f"{str(folder)!r} holds other files",
                "pass another folder",
            )  # fmt: skip
        header = {"format": FORMAT, "version": VERSION, "owner": [list(entry) for entry in owner.entries]}
        write_arrays(file, header, {})
    return PartFiles(folder, owner.entries)


def arrays_of(tree: Any) -> list[Any]:
    """The arrays of a tree, in order, for `PartFiles.save`."""
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_array(leaf)]


def rebuilt(like: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The tree whose `arrays_of` were saved; None if the arrays do not fit. `like`: the tree with shapes in place of arrays, as
    `eqx.filter_eval_shape` returns it. The leading axis may have another length."""
    leaves, structure = jax.tree.flatten(like)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)]
    if len(places) != len(arrays):
        return None
    with contextlib.suppress(ValueError, TypeError):
        for place, array in zip(places, arrays, strict=True):
            leaves[place] = _placed(leaves[place], array)
        return jax.tree.unflatten(structure, leaves)
    return None


def _placed(like: Any, array: np.ndarray) -> jax.Array:
    placed = jax.numpy.asarray(array)
    if placed.dtype != like.dtype or placed.shape[1:] != like.shape[1:]:
        raise ValueError("another shape or dtype")
    return placed
