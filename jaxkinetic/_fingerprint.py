"""What a system is, in text: to tell whether two are the same without keeping either."""

import hashlib
import re
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ._checks import is_traced

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Fingerprint(eqx.Module):
    """(place, text) of every leaf, and the structure with its static fields; functions by name, arrays by their bytes."""

    entries: tuple[tuple[str, str], ...] = eqx.field(static=True)


class Remembered(eqx.Module):
    """A system as it ran, fit to leave `jit` and `vmap` whatever its leaves are."""

    arrays: Any
    rest: Any = eqx.field(static=True)

    def __init__(self, system: Any):
        self.arrays, self.rest = eqx.partition(system, eqx.is_array)

    def system(self) -> Any:
        return eqx.combine(self.arrays, self.rest)


def fingerprint(tree: Any) -> Fingerprint | None:
    """None if a leaf is traced: what it is cannot be known then."""
    if isinstance(tree, Fingerprint):
        return tree
    if isinstance(tree, Remembered):
        tree = tree.system()
    if is_traced(tree):
        return None
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    entries = [(type(tree).__name__, _ADDRESS.sub("", str(structure)))]
    entries += [(jax.tree_util.keystr(path), _text(leaf)) for path, leaf in leaves]
    return Fingerprint(tuple(entries))


def difference(then: Any, now: Any) -> str | None:
    """The first difference between two trees or fingerprints in words, None if there is none or it cannot be known."""
    old, new = fingerprint(then), fingerprint(now)
    if old is None or new is None or old.entries == new.entries:
        return None
    if old.entries[0] != new.entries[0]:
        if old.entries[0][0] != new.entries[0][0]:
            return f"it is {new.entries[0][0]} instead of {old.entries[0][0]}"
        return "its parts or static options are others"
    for (place, was), (_, is_) in zip(old.entries, new.entries, strict=False):
        if was != is_:
            return f"its {place.lstrip('.')} is {is_} instead of {was}"
    return "it has other leaves"


def _text(leaf: Any) -> str:
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        if array.ndim == 0:
            return f"{array.item()!r} ({array.dtype})"
        return f"an array {array.dtype}{list(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
    if callable(leaf) and hasattr(leaf, "__qualname__"):
        return f"{leaf.__module__}.{leaf.__qualname__}"
    return _ADDRESS.sub("", repr(leaf))
