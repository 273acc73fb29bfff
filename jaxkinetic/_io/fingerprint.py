"""Fingerprints: a system as text, by which two systems are compared without storing either."""

import hashlib
import re
import warnings
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._util.checks import is_traced
from .contents import CODE, CONTENTS, TRACED, contents
from .names import name_in_files

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Fingerprint(eqx.Module):
    """`entries`: (place, text) of the tree structure with its static fields and of every leaf (arrays by a hash of their
    bytes, functions by name), then of what functions, classes and other objects hold (`contents`)."""

    entries: tuple[tuple[str, str], ...] = eqx.field(static=True)


class SystemRecord(eqx.Module):
    """The system of a run, in a form that `jit` and `vmap` can return whatever its leaves are. `held`: what its functions held
    when it ran."""

    arrays: Any
    rest: Any = eqx.field(static=True)
    held: tuple[tuple[str, str], ...] = eqx.field(static=True)

    def __init__(self, system: Any):
        self.arrays, self.rest = eqx.partition(system, eqx.is_array)
        self.held = contents(system)

    def system(self) -> Any:
        return eqx.combine(self.arrays, self.rest)


def fingerprint(tree: Any) -> Fingerprint | None:
    """The fingerprint of a tree, None if a leaf is traced."""
    if isinstance(tree, Fingerprint):
        return tree
    held = None
    if isinstance(tree, SystemRecord):
        tree, held = tree.system(), tree.held
    if is_traced(tree):
        return None
    return Fingerprint((*data_entries(tree), *(contents(tree) if held is None else held)))


def data_entries(tree: Any) -> tuple[tuple[str, str], ...]:
    """(place, text) of the structure and the leaves, without what functions hold. It is the same in every process and every
    version of Python."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    entries = [(type(tree).__name__, _ADDRESS.sub("", str(structure)))]
    entries += [(jax.tree_util.keystr(path), _text(leaf)) for path, leaf in leaves]
    return tuple(entries)


def difference(then: Any, now: Any) -> str | None:
    """The first difference between two trees or fingerprints in words; None if there is none, or if it cannot be determined.

    If `then` lacks the content of a function, because version 0.1.0 or another version of Python wrote it, this does not count
    as a difference, but a warning is issued.
    """
    old, new = fingerprint(then), fingerprint(now)
    if old is None or new is None or old.entries == new.entries:
        return None
    (was, held), (is_, holds) = _split(old), _split(new)
    if was[0] != is_[0]:
        if was[0][0] != is_[0][0]:
            return f"it is {is_[0][0]} instead of {was[0][0]}"
        return "its components or static options differ"
    for (place, before), (_, after) in zip(was, is_, strict=False):
        if before != after:
            return f"its {place.lstrip('.')} is {after} instead of {before}"
    if len(was) != len(is_):
        return "its number of arrays differs"
    return difference_of_contents(held, holds)


def difference_of_contents(held: dict[str, str], holds: dict[str, str]) -> str | None:
    """`difference`, restricted to the contents of functions and classes."""
    versions = [{place.partition(", Python")[2] for place in side if place.startswith(CODE)} for side in (held, holds)]
    other_python = all(versions) and versions[0] != versions[1]
    if other_python:
        held, holds = ({p: text for p, text in side.items() if p.startswith(CONTENTS)} for side in (held, holds))
    places = list(dict.fromkeys([*holds, *held]))
    if TRACED in (*held.values(), *holds.values()) or not held:
        places = [place for place in places if place in held and place in holds]
    for place in places:
        before, after = held.get(place, "nothing"), holds.get(place, "nothing")
        if before == after or TRACED in (before, after):
            continue
        if place.startswith(CODE):
            return f"the {place.partition(', Python')[0]} differs"
        return f"its {place.removeprefix(CONTENTS)} is {after} instead of {before}"
    unknown = [place for place, text in holds.items() if text.partition(" ")[0] != "name"]
    if other_python or (unknown and not held):
        what = "its code" if other_python else unknown[0].partition(" of ")[2].partition(", Python")[0]
        warnings.warn(
            f"The checkpoint was written by another version of jaxkinetic or Python and does not record what {what} was; make "
            "sure that it is the same.",
            stacklevel=2,
        )
    return None


def _split(whole: Fingerprint) -> tuple[list[tuple[str, str]], dict[str, str]]:
    data = [entry for entry in whole.entries if not entry[0].startswith((CODE, CONTENTS))]
    return data, {place: text for place, text in whole.entries if place.startswith((CODE, CONTENTS))}


def _text(leaf: Any) -> str:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        if array.ndim == 0:
            return f"{array.item()!r} ({array.dtype})"
        return f"an array {array.dtype}{list(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
    if callable(leaf) and hasattr(leaf, "__qualname__"):
        return f"{name_in_files(leaf.__module__)}.{leaf.__qualname__}"
    return _ADDRESS.sub("", repr(leaf))
