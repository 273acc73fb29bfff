"""Describe functions, classes and objects as text: their code, closures, defaults, attributes, and the globals they read.

The text distinguishes two functions of the same name, also across processes. Functions and classes of JAX, NumPy, this library
and the standard library are identified by name only.
"""

import dataclasses
import dis
import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from .names import class_in_files, name_in_files

_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
_BY_NAME = (frozenset(sys.stdlib_module_names) - {"__main__"}) | {
    "jax", "jaxlib", "numpy", "scipy", "equinox", "jaxtyping", "ml_dtypes", "optax", "lineax", "optimistix", "diffrax", "tqdm",
    "matplotlib", "jaxkinetic", "jaxkinetic_kernels", "beartype",
}  # fmt: skip
# Class attributes that state where the class is defined, or that Python derives from its fields.
_NOT_READ = frozenset({
    "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__static_attributes__", "__firstlineno__", "__dataclass_fields__", "__dataclass_params__",
    "__match_args__", "__abstractmethods__", "__abstractvars__", "__abstractclassvars__", "__parameters__", "__orig_bases__",
    "__qualname__", "__signature__", "__wrapped__", "__slotnames__", "_abc_impl",
})  # fmt: skip
# The text for what holds a traced value, which no file can hold.
TRACED = "traced"
# How the text begins for what only this process can tell.
UNKNOWN = "an object of no content, "
CODE = "code of "
CONTENTS = "contents of "


def contents(tree: Any) -> tuple[tuple[str, str], ...]:
    """(place, text) of everything in a tree that is neither an array, nor plain data, nor a module of this library.

    A function has an entry for each value that it closes over, reads or holds, and one for its code, whose place names the
    version of Python. The text is `TRACED` for an object that holds a traced value, and begins with `UNKNOWN` for an object
    that only this process can identify.
    """
    found: list[tuple[str, str]] = []
    _outside(tree, "", found)
    return tuple(found)


def _outside(value: Any, place: str, found: list[tuple[str, str]]) -> None:
    if _is_plain(value) or _is_array(value):
        return
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _outside(item, f"{place}[{i}]", found)
    elif isinstance(value, dict):
        for name, item in value.items():
            _outside(item, f"{place}[{name!r}]", found)
    elif isinstance(value, eqx.Module) and not _is_wrapper(value):
        if not _is_known(type(value).__module__):
            _record(f"the class {type(value).__qualname__}", type(value), found)
        for name, item in _fields(value):
            _outside(item, f"{place}.{name}", found)
    elif isinstance(value, functools.partial):
        _outside(value.func, f"{place}.func", found)
        _outside(value.args, f"{place}.args", found)
        _outside(value.keywords, f"{place}.keywords", found)
    elif isinstance(value, types.FunctionType) and not _by_name(value):
        parts = list(_parts(value))
        for name, part in parts:
            _record(f"{place} ({name})", part, found)
        _record(place, value, found, holds=not parts)
    else:
        _record(place, value, found)


def _record(place: str, value: Any, found: list[tuple[str, str]], *, holds: bool = True) -> None:
    place = place.lstrip(".") or "root"
    reader = _Reader()
    try:
        reader.read(value)
    except Exception:  # a user's object may raise anything; the structure may be nested too deeply
        reader.unknown = _unknown(value)
    if holds:
        found.append((f"{CONTENTS}{place}", TRACED if reader.traced else reader.unknown or reader.text(value)))
    if reader.has_code and not reader.traced:
        found.append((f"{CODE}{place}, {_PYTHON}", reader.code.hexdigest()[:16]))


class _Reader:
    """Walks through a value and hashes its data and, separately, the code that it runs."""

    def __init__(self):
        self.data, self.code = hashlib.sha256(), hashlib.sha256()
        self.has_code = self.traced = False
        self.unknown: str | None = None
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []

    def text(self, value: Any) -> str:
        if (name := _by_name(value)) is not None:
            return f"name {name}"
        if _is_plain(value):
            return repr(value) if len(repr(value)) <= 60 else f"{type(value).__name__} {self.data.hexdigest()[:16]}"
        return f"{_kind(value)} {self.data.hexdigest()[:16]}"

    def say(self, *words: str) -> None:
        self.data.update(("\x1f".join(words) + "\x1e").encode("utf-8", "surrogatepass"))

    def read(self, value: Any) -> None:
        if _is_plain(value):
            self.say(type(value).__name__, repr(value))
        elif isinstance(value, Tracer):
            self.traced = True
        elif _is_array(value):
            self._array(value)
        elif (name := _by_name(value)) is not None:
            self.say("name", name)
        elif isinstance(value, jax.Device):
            self.say("device", value.platform, str(value.id))
        elif id(value) in self.seen:
            self.say("again", str(self.seen[id(value)]))
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)  # keeps the object alive, so that its id is not reused
            self._inside(value)

    def _array(self, value: Any) -> None:
        if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            self.say("key", str(jax.random.key_impl(value)))
            value = jax.random.key_data(value)
        array = np.asarray(value)
        self.say("array", str(array.dtype), str(array.shape))
        if array.dtype.hasobject:
            self.read(array.ravel().tolist())
        else:
            self.data.update(array.tobytes())

    def _inside(self, value: Any) -> None:
        if isinstance(value, (list, tuple)) and not hasattr(value, "__dict__"):
            self.say(type(value).__name__, str(len(value)))
            for item in value:
                self.read(item)
        elif type(value) is dict:
            self.say("dict", str(len(value)))
            for key, item in sorted(value.items(), key=lambda entry: _digest(entry[0])):
                self.read(key)
                self.read(item)
        elif isinstance(value, (set, frozenset)):
            self.say(type(value).__name__, *sorted(map(_digest, value)))
        elif isinstance(value, types.ModuleType):
            self.say("module", name_in_files(str(value.__name__)))
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self.read(value.__func__)
            self.read(value.__self__)
        elif isinstance(value, (staticmethod, classmethod)):
            self.read(value.__func__)
        elif isinstance(value, property):
            self.read([value.fget, value.fset, value.fdel])
        elif isinstance(value, functools.cached_property):
            self.read(value.func)
        elif isinstance(value, functools.partial):
            self.read([value.func, value.args, value.keywords])
        elif _is_wrapper(value):
            self.say(type(value).__name__)
            for name in ("__wrapped__", "fun", "jvp", "fwd", "bwd"):
                self.read(getattr(value, name, None))
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            self.say("builtin", str(value.__qualname__))
            self.read(value.__self__)
        elif isinstance(value, (np.dtype, np.ufunc, types.CodeType)) or hasattr(value, "__objclass__"):
            named: Any = value
            self.say(type(named).__name__, str(getattr(named, "__name__", named)))
        elif isinstance(value, eqx.Module):
            self.read(type(value))
            for name, item in _fields(value):
                self.say(name)
                self.read(item)
        else:
            self._object(value)

    def _function(self, function: types.FunctionType) -> None:
        code = function.__code__
        module = function.__globals__.get("__name__", "")
        if _is_known(module):
            self.say("function", name_in_files(module), code.co_qualname)
        else:
            self.say("function")
            self.has_code = True
            self.code.update(_code(code, function.__doc__))
        for name, part in _parts(function):
            self.say(name)
            self.read(part)

    def _class(self, cls: type) -> None:
        self.say("class", str(cls.__qualname__))
        for base in cls.__bases__:
            self.read(base)
        for name, value in sorted(vars(cls).items()):
            made = isinstance(value, types.FunctionType) and "__create_fn__" in value.__code__.co_qualname
            if name not in _NOT_READ and not made:
                self.say(name)
                self.read(value)

    def _object(self, value: Any) -> None:
        self.read(type(value))
        try:
            told = value.__reduce_ex__(2)
        except Exception:  # a user's class may raise anything
            self.unknown = _unknown(value)
            return
        if isinstance(told, str):
            self.say(told)
            return
        function, arguments, state, items, pairs = (*told, None, None, None)[:5]
        if isinstance(state, dict):
            cached = {name for name in state if _is_cached(type(value), name)}
            state = {name: part for name, part in state.items() if name not in cached}
        self.read([function, arguments, state])
        self.read([None if items is None else list(items), None if pairs is None else list(pairs)])


def _parts(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """(name, value) of the closure, the defaults and the attributes of a function, and of the globals that its code reads."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            yield name, "not set"
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    yield from ((name, value) for name, value in sorted(function.__dict__.items()) if name != "__wrapped__")
    if _is_known(function.__globals__.get("__name__", "")):
        return
    names, modules, attributes = _globals(code)
    for name in names:
        if name in function.__globals__:
            yield from _global(name, function.__globals__[name], attributes)
    for name in modules:
        if name in sys.modules:
            yield from _global(name, sys.modules[name], attributes)


def _global(name: str, value: Any, attributes: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """A user's module is represented by the attributes that the code may read; any other value by itself."""
    if isinstance(value, types.ModuleType):
        if not _is_known(value.__name__):
            yield from ((f"{name}.{a}", vars(value)[a]) for a in attributes if a in vars(value))
    else:
        yield name, value


@functools.lru_cache(4096)
def _globals(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(global names that the code reads, modules that it imports, attribute names in it), including nested functions."""
    names: dict[str, None] = {}
    modules: dict[str, None] = {}
    attributes = dict.fromkeys(code.co_names)
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names[instruction.argval] = None
        elif instruction.opname == "IMPORT_NAME":
            modules[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for ours, theirs in zip((names, modules, attributes), _globals(constant), strict=True):
                ours.update(dict.fromkeys(theirs))
    return tuple(names), tuple(modules), tuple(attributes)


def _code(code: types.CodeType, doc: str | None = None) -> bytes:
    """A hash of what the interpreter executes. Line numbers, names of variables and docstrings are left out."""
    whole = hashlib.sha256(code.co_code + getattr(code, "co_exceptiontable", b""))
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    whole.update(repr((counts, code.co_names, len(code.co_freevars))).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            whole.update(_code(constant))
        elif not (isinstance(constant, str) and constant == doc):
            whole.update(_digest(constant).encode())
    return whole.digest()


def _unknown(value: Any) -> str:
    return f"{UNKNOWN}{type(value).__qualname__} at {id(value):#x}"


def _digest(value: Any) -> str:
    reader = _Reader()
    reader.read(value)
    return reader.data.hexdigest() + (reader.code.hexdigest() if reader.has_code else "")


def _is_plain(value: Any) -> bool:
    return value is None or value is ... or type(value) in (bool, int, float, complex, str, bytes)


def _is_array(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray, np.generic))


def _fields(module: eqx.Module) -> list[tuple[str, Any]]:
    names = (field.name for field in dataclasses.fields(module))
    return [(name, getattr(module, name)) for name in names if hasattr(module, name)]


def _is_known(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _BY_NAME


def _is_wrapper(value: Any) -> bool:
    """Whether JAX, equinox or functools wrapped a function (`jit`, `custom_jvp`, `lru_cache`). Caches inside do not count."""
    if isinstance(value, (type, types.FunctionType, types.MethodType)) or not _is_known(type(value).__module__):
        return False
    return hasattr(value, "__wrapped__")


def _is_cached(cls: type, name: Any) -> bool:
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in cls.__mro__)


def _by_name(value: Any) -> str | None:
    """The name of an object of JAX, NumPy, this library or the standard library, if looking it up gives the object."""
    module = getattr(value, "__module__", None)
    if module is None and isinstance(value, types.BuiltinFunctionType):
        module = "builtins"
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not (_is_known(module) and isinstance(name, str)):
        return None
    found: Any = sys.modules.get(module)  # pyright: ignore[reportArgumentType]
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is value or isinstance(value, type):
        return class_in_files(module, name)  # pyright: ignore[reportArgumentType]
    return None


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return "a class"
    if _is_array(value):
        return "an array"
    return "a function" if callable(value) else f"a {type(value).__name__}"
