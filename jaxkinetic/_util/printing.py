"""The base class of all modules, which defines how they print on one line (parameters and small arrays by value, large arrays
by dtype and shape) and which error a wrong constructor call raises."""

import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from .checks import argument_error

# Largest number of entries of an array that is printed by value.
_SMALL = 12


if TYPE_CHECKING:
    _Base = eqx.Module
else:

    class _Meta(type(eqx.Module)):
        def __call__(cls, *args: Any, **options: Any) -> Any:
            try:
                return super().__call__(*args, **options)
            except TypeError:
                check_call(cls.__name__, cls, *args, **options)
                raise

    class _Base(eqx.Module, metaclass=_Meta):
        pass


class Printed(_Base):
    """A module that prints as its constructor call, on one line. Numbers always show, because they are parameters of the
    physics or orders of a scheme; other arguments (None, switches, words) only if they are not at their default value. A call
    that does not fit the constructor raises `ArgumentError`."""

    # Fields that print as shape or size, also where they are small.
    _summarised: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        parameters = _parameters(type(self))
        parts = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name, None)
            kind, default = parameters.get(field.name, (None, inspect.Parameter.empty))
            if _is_default(value, default):
                continue
            if kind is inspect.Parameter.VAR_POSITIONAL and isinstance(value, tuple):
                parts += [printed(item) for item in value]
            else:
                text = summary(value) if field.name in self._summarised else printed(value)
                parts.append(f"{field.name}={text}")
        return f"{type(self).__name__}({', '.join(parts)})"


def check_call(name: str, function: Any, *args: Any, **options: Any) -> None:
    """**Raises:** `ArgumentError` if the function cannot be called with these arguments."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **options)
        return
    except TypeError:
        pass
    known = ", ".join(signature.parameters)
    do = f"pass {known} only" if known else f"call {name}()"
    for unknown in options.keys() - signature.parameters.keys():
        raise _argument_error(unknown, f"be an argument of {name}", "is not", do)
    try:
        given = signature.bind_partial(*args, **options).arguments
    except TypeError:
        raise _argument_error(
            name, "get arguments that fit its signature", f"gets {len(args) + len(options)}", do
        ) from None
    missing = next(p.name for p in signature.parameters.values() if p.default is p.empty and p.name not in given)
    raise _argument_error(
        missing, f"be given to {name}", "is missing", f"call {name}({', '.join(signature.parameters)})"
    )


class ArgumentError(ValueError, TypeError):
    """An argument is missing or unknown: a `TypeError`, as Python raises, in the form of this library's messages."""


def _argument_error(*parts: str) -> ArgumentError:
    return ArgumentError(str(argument_error(*parts)))


def printed(value: Any) -> str:
    """A value on one line."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        known = _known(value)
        if known is None:
            return f"{value.dtype}[{','.join(map(str, value.shape))}]"
        return _number(known[()]) if known.ndim == 0 else _nested(known)
    if isinstance(value, (jax.tree_util.Partial, functools.partial)):
        given = [printed(x) for x in value.args] + [f"{name}={printed(x)}" for name, x in value.keywords.items()]
        return f"partial({', '.join([printed(value.func), *given])})" if given else printed(value.func)
    if isinstance(value, (tuple, list)):
        inside = ", ".join(printed(item) for item in value)
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if type(value) is dict:
        return "{" + ", ".join(f"{key!r}: {printed(item)}" for key, item in value.items()) + "}"
    if callable(value) and not isinstance(value, (type, eqx.Module)) and hasattr(value, "__qualname__"):
        return value.__qualname__
    return " ".join(repr(value).split())


def summary(tree: Any) -> str:
    """dtype and shape of an array; for a tree of several arrays, their number and total size in bytes."""
    if hasattr(tree, "shape") and hasattr(tree, "dtype"):
        return f"{tree.dtype}[{','.join(map(str, tree.shape))}]"
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape") and hasattr(leaf, "dtype")]
    if not leaves:
        return printed(tree)
    if len(leaves) == 1:
        return summary(leaves[0])
    return f"<{len(leaves)} arrays, {num_bytes(sum(leaf.size * leaf.dtype.itemsize for leaf in leaves))}>"


def num_bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def _known(value: Any) -> np.ndarray | None:
    """A small concrete array in host memory, else None."""
    if isinstance(value, Tracer) or not isinstance(value, (jax.Array, np.ndarray, np.generic)) or value.size > _SMALL:
        return None
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # a key, or an array that was deleted
        return None


def _nested(array: np.ndarray) -> str:
    if array.ndim == 0:
        return _number(array[()])
    return f"[{', '.join(_nested(row) for row in array)}]"


def _number(value: Any) -> str:
    # The shortest number that rounds to this one in its dtype: 0.1, not 0.10000000149.
    return str(value) if isinstance(value, np.generic) else repr(value)


@functools.cache
def _parameters(cls: type) -> dict[str, tuple[Any, Any]]:
    """(kind, default) of the arguments of the constructor."""
    return {p.name: (p.kind, p.default) for p in inspect.signature(cls).parameters.values()}


def _is_default(value: Any, default: Any) -> bool:
    """Whether a field that is no number holds its default."""
    if value is None or default is None:
        return value is default or (default is None and isinstance(value, dict) and not value)
    return type(value) is type(default) and isinstance(default, (bool, str)) and value == default
