"""Convert pytrees of modules, containers, numbers and arrays to JSON plus a list of arrays, and back. No code is stored or
run."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._util.checks import argument_error, describe
from .names import class_in_files, find


def encode(tree: Any, arrays: list[np.ndarray]) -> Any:
    """`tree` as JSON; its arrays are appended to `arrays`. **Raises:** `ValueError` for a value of any other type."""
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": tree}
    if isinstance(tree, (jax.Array, np.ndarray, np.generic)):
        kind, given = {}, tree
        if jax.numpy.issubdtype(tree.dtype, jax.dtypes.extended):
            kind, given = _key(tree)
        arrays.append(np.asarray(given))
        return {"array": len(arrays) - 1, **kind}
    if isinstance(tree, eqx.Module):
        if "<locals>" in type(tree).__qualname__:
            raise argument_error(
                "checkpoint", "hold only classes that a file can refer to", f"holds {type(tree).__qualname__}",
                "define it at the top level of a module",
            )  # fmt: skip
        fields = {f.name: encode(getattr(tree, f.name), arrays) for f in dataclasses.fields(tree)}
        return {"class": class_name(type(tree)), "fields": fields}
    if type(tree) in (list, tuple):
        return {type(tree).__name__: [encode(item, arrays) for item in tree]}
    if type(tree) is dict and all(isinstance(name, str) for name in tree):
        return {"dict": {name: encode(value, arrays) for name, value in tree.items()}}
    if callable(tree):
        raise argument_error(
            "checkpoint", "hold no function, because a file cannot store one", f"holds {describe(tree)}",
            "make it the `__call__` of an eqx.Module at the top level of a module",
        )  # fmt: skip
    raise argument_error(
        "checkpoint", "hold arrays, numbers, text, lists, tuples, dicts and modules", f"holds {describe(tree)}",
        "keep that out of what the scheme carries",
    )  # fmt: skip


def class_name(cls: type) -> str:
    """The name by which files refer to a class."""
    return class_in_files(cls.__module__, cls.__qualname__)


def _key(array: Any) -> tuple[dict[str, str], jax.Array]:
    """({"key": implementation}, words) of an array of JAX keys."""
    if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
        name = jax.random.key_impl(array)
        if isinstance(name, str):
            return {"key": name}, jax.random.key_data(array)
    raise argument_error(
        "checkpoint", "hold arrays of numbers and of JAX's own keys", f"holds {describe(array)}",
        "keep `jax.random.key_data` of it",
    )  # fmt: skip


def decode(node: Any, arrays: list[np.ndarray]) -> Any:
    """The tree that `encode` was given, with its arrays on the default device. **Raises:** `ValueError` for a class that is
    unknown or whose fields differ; `KeyError`, `IndexError`, `TypeError` or `AttributeError` if `encode` did not write it."""
    kinds = set(node) - {"fields", "key"}
    if len(kinds) != 1:
        raise TypeError(f"a node of {sorted(kinds)}")
    kind = kinds.pop()
    content = node[kind]
    if kind == "value":
        if not (content is None or isinstance(content, (bool, int, float, str))):
            raise TypeError("a value that is none")
        return content
    if kind == "array":
        placed = _on_device(arrays[content])
        return _keys(placed, node["key"]) if "key" in node else placed
    if kind == "class":
        return _module(content, {name: decode(child, arrays) for name, child in node["fields"].items()})
    if kind == "dict":
        return {name: decode(child, arrays) for name, child in content.items()}
    items = [decode(child, arrays) for child in content]
    return {"list": list, "tuple": tuple}[kind](items)


def _keys(words: jax.Array, impl: Any) -> jax.Array:
    try:
        return jax.random.wrap_key_data(words, impl=impl)
    except ValueError as error:
        raise TypeError(str(error)) from None


def _on_device(array: np.ndarray) -> jax.Array:
    placed = jax.numpy.asarray(array)
    if placed.dtype != array.dtype:
        raise ValueError(
            f"The file holds {array.dtype} numbers, which this process would round to {placed.dtype}; start it with "
            "JAX_ENABLE_X64=1."
        )
    return placed


def _module(name: str, fields: dict[str, Any]) -> eqx.Module:
    """Only a class that is already loaded can be made, since reading a file imports nothing."""
    module, _, qualname = name.partition(":")
    found = find(module, qualname)
    if not (isinstance(found, type) and issubclass(found, eqx.Module)):
        raise ValueError(f"The file holds a {qualname} of `{module}`, which is not known here; import it first.")
    expected = {f.name for f in dataclasses.fields(found)}
    if expected != set(fields):
        raise ValueError(
            f"The file holds a {qualname} with the fields {', '.join(sorted(fields))}, but here it has "
            f"{', '.join(sorted(expected))}; use the version of the code that wrote it."
        )
    made = object.__new__(found)
    for field, value in fields.items():
        object.__setattr__(made, field, value)
    return made
