"""Finished parts of a computation on disk: each file is complete or absent, and identifies its computation."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._util.checks import argument_error
from .atomic_npz import path_errors, read_arrays, read_header, write_arrays
from .contents import CODE, UNKNOWN
from .fingerprint import Fingerprint, difference

FORMAT, VERSION = "jaxkinetic part", 1
# The file that identifies the computation of the parts in a folder.
OWNER = "parts.npz"
# The dtypes of JAX keys, and the names by which JAX makes keys from words.
_KEYS = {"key<fry>": "threefry2x32", "key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}


class PartFiles:
    """Parts of one computation in `folder`, by name. A part of another computation, one that was stored under another name, or
    one that cannot be read counts as absent: it is computed again."""

    def __init__(self, folder: Path, owner: Mapping[str, Fingerprint]):
        self.folder = folder
        # The order of dictionaries does not matter, nor does the code of functions, which depends on the version of Python:
        # `open_parts` has compared it.
        known = {name: sorted(e for e in one.entries if not e[0].startswith(CODE)) for name, one in owner.items()}
        self.mark = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]

    def load(self, name: str) -> list[np.ndarray] | None:
        """The arrays of a finished part, None if it is absent."""
        try:
            header, named = read_arrays(self.folder / f"{name}.npz", FORMAT, VERSION)
            arrays = [named[f"array_{i}"] for i in range(len(named))]
        except (ValueError, KeyError):
            return None
        return arrays if (header.get("part_of"), header.get("name")) == (self.mark, name) else None

    def save(self, name: str, arrays: Sequence[Any]) -> None:
        header = {"format": FORMAT, "version": VERSION, "part_of": self.mark, "name": name}
        write_arrays(self.folder / f"{name}.npz", header, {f"array_{i}": _storable(x) for i, x in enumerate(arrays)})


def open_parts(argument: str, folder: Path, owner: Mapping[str, Fingerprint]) -> PartFiles:
    """The parts in `folder`, which is created if it does not exist. `owner`: the arguments of the computation. **Raises:**
    `ValueError` for a folder that cannot be written, that holds parts of another computation, or that holds other files and no
    parts; for an argument with an object that another process could not compare."""
    for name, one in owner.items():
        for place, text in one.entries:
            if text.startswith(UNKNOWN):
                what = f"in `{name}`, {place} is {text.partition(' at ')[0]}"
                raise argument_error(
                    argument, "be left out if another process cannot compare the arguments", what, "keep that out of it"
                )
    with path_errors(argument, folder, "be a folder that can be written"):
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / OWNER
    if file.is_file():
        there = read_header(file, FORMAT, VERSION).get("owner", {})
        for name, one in owner.items():
            other = difference(Fingerprint(tuple((place, text) for place, text in there.get(name, []))), one)
            if other is not None:
                raise argument_error(
                    argument, "be a folder of this computation",
                    f"{str(folder)!r} holds parts of another one: of `{name}`, {other.replace('its  is', 'it is')}",
                    "pass another folder",
                )  # fmt: skip
    else:
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise argument_error(
                argument, "be an empty folder, or one with parts of this computation", f"{str(folder)!r} holds other files",
                "pass another folder",
            )  # fmt: skip
        told = {name: [list(entry) for entry in one.entries] for name, one in owner.items()}
        write_arrays(file, {"format": FORMAT, "version": VERSION, "owner": told}, {})
    return PartFiles(folder, owner)


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
    with contextlib.suppress(ValueError, TypeError, KeyError):
        for place, array in zip(places, arrays, strict=True):
            leaves[place] = _placed(leaves[place], array)
        return jax.tree.unflatten(structure, leaves)
    return None


def _storable(array: Any) -> np.ndarray:
    """An array that a file can hold: the words of JAX keys."""
    if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array)


def _placed(like: Any, array: np.ndarray) -> jax.Array:
    placed = jax.numpy.asarray(array)
    if jax.numpy.issubdtype(like.dtype, jax.dtypes.prng_key):
        placed = jax.random.wrap_key_data(placed, impl=_KEYS[str(like.dtype)])
    if placed.dtype != like.dtype or placed.shape[1:] != like.shape[1:]:
        raise ValueError("another shape or dtype")
    return placed
