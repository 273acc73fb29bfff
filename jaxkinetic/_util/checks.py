"""Argument checks. Each error is one sentence: which argument, what it must be, what it was, what to do."""

import dataclasses
import difflib
import inspect
import math
import operator
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def argument_error(argument: str, must: str, was: str, do: str) -> ValueError:
    """The form that all error messages of this library share."""
    return ValueError(f"Argument `{argument}` must {must}, but {was}; {do}.")


def did_you_mean(error: ValueError, word: str, known: Iterable[str]) -> ValueError:
    """The error, extended by the most similar word of `known`, if there is a similar one."""
    close = difflib.get_close_matches(word, list(known), 1)
    return ValueError(f"{error} Did you mean `{close[0]}`?") if close else error


def is_traced(*trees: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def check_integer(argument: str, value: Any, *, minimum: int) -> int:
    """`value` as a Python integer not below `minimum`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except (TypeError, jax.errors.TracerIntegerConversionError):
        convertible = hasattr(value, "shape") or type(value) is float
        do = f"pass `int({argument})`" if convertible else "pass an integer"
        raise argument_error(argument, "be an integer known while tracing", f"is {describe(value)}", do) from None
    if integer < minimum:
        raise argument_error(argument, f"be at least {minimum}", f"is {integer}", "raise it")
    return integer


class Range(NamedTuple):
    """Admissible range of a parameter: low <= x <= high, or low < x < high if `open`; always finite. `must` and `do` are the
    phrases of the error message."""

    must: str = "be finite"
    do: str = "pass a finite number"
    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def holds(self, x: Any) -> Any:
        """Whether x lies in the range: a bool, or a traced bool if x is traced."""
        inside = (x > self.low) & (x < self.high) if self.open else (x >= self.low) & (x <= self.high)
        return inside & (abs(x) < math.inf)


FINITE = Range()
POSITIVE = Range("be positive", "pass a number above 0", low=0.0, open=True)
NONNEGATIVE = Range("not be negative", "pass a number not below 0", low=0.0)
PROBABILITY = Range("be in [0, 1]", "it is a probability", low=0.0, high=1.0)


def same_length(one: Any, other: Any) -> Any:
    """Whether two lengths agree to float32 rounding; traced if either of them is traced."""
    if is_traced(one, other):
        return jnp.abs(jnp.asarray(one) / jnp.asarray(other).astype(jnp.result_type(one)) - 1) <= 1e-6
    return abs(float(one) / float(other) - 1) <= 1e-6


class Deferred(NamedTuple):
    """A check on a traced value: the condition, the value, and the error sentence with {0} in place of the value."""

    holds: Any
    value: Any
    sentence: str


_deferred: ContextVar[dict[str, Deferred] | None] = ContextVar("deferred", default=None)
_done: ContextVar[bool] = ContextVar("done", default=False)


@contextmanager
def deferred_checks() -> Iterator[dict[str, Deferred]]:
    """Collect the checks on traced values that are made in this block, from which `simulate` makes faults. The key is the
    error sentence, so if a parameter is checked twice, the later check replaces the earlier one."""
    found: dict[str, Deferred] = {}
    token = _deferred.set(None if _done.get() else found)
    try:
        yield found
    finally:
        _deferred.reset(token)


@contextmanager
def checks_done(done: bool) -> Iterator[None]:
    """If `done`, nested `deferred_checks` collect nothing: the values traced there were already checked outside the trace."""
    token = _done.set(done)
    try:
        yield
    finally:
        _done.reset(token)


def require(argument: str, holds: Any, value: Any, must: str, do: str, was: str = "is") -> None:
    """Raise `ValueError` unless `holds`. If `holds` is traced, the run performs the check: see `deferred_checks`."""
    if is_traced(holds, value):
        found = _deferred.get()
        if found is not None:
            sentence = str(argument_error(argument, must, was + " {0:g}", do))
            found[sentence] = Deferred(holds, jax.lax.stop_gradient(value), sentence)
    elif not holds:
        raise argument_error(argument, must, f"{was} {float(np.asarray(value)):g}", do)


def check_parameters(*trees: Any) -> None:
    """Check the parameters of every module in the trees against the `ranges` of its class. **Raises:** `ValueError` for a
    concrete parameter out of range; traced ones are checked during the run."""
    for tree in trees:
        if isinstance(tree, eqx.Module):
            for name, range_ in getattr(type(tree), "ranges", {}).items():
                if getattr(tree, name) is not None:
                    check_scalar(name, getattr(tree, name), within=range_)
            check_parameters(*(value for name, value in vars(tree).items() if name not in _static_fields(type(tree))))
        elif isinstance(tree, (tuple, list)):
            check_parameters(*tree)
        elif isinstance(tree, dict):
            check_parameters(*tree.values())


def _static_fields(module: type) -> set[str]:
    return {field.name for field in dataclasses.fields(module) if field.metadata.get("static", False)}


def check_scalar(
    argument: str, value: Any, *, positive: bool = False, nonnegative: bool = False, within: Range = FINITE
) -> None:
    """Check that `value` is a real, finite scalar of the required sign or in a range. For a traced value the shape is checked
    at once and the number during the run: see `require`."""
    try:
        shape, dtype = jnp.shape(value), jnp.result_type(value)
        real = jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
    except TypeError:
        shape, real = None, False
    if value is None or shape != () or not real:
        raise argument_error(argument, "be one real number", f"is {describe(value)}", "pass a float or a scalar array")
    within = POSITIVE if positive else NONNEGATIVE if nonnegative else within
    if is_traced(value):
        if _deferred.get() is not None:
            require(argument, within.holds(value), value, within.must, within.do)
        return
    number = float(value)
    if not math.isfinite(number):
        raise argument_error(argument, "be finite", f"is {number}", "pass a finite number")
    require(argument, within.holds(number), number, within.must, within.do)


def scalar_or_nan(
    argument: str, value: Any, *, positive: bool = False, nonnegative: bool = False, within: Range = FINITE
) -> Any:
    """`value` after `check_scalar`. A traced value that is out of range becomes NaN: for functions outside a run, which have
    no `Result` to report a failure."""
    within = POSITIVE if positive else NONNEGATIVE if nonnegative else within
    check_scalar(argument, value, within=within)
    if not is_traced(value):
        return value
    value = concrete_array(value)
    return jnp.where(within.holds(value), value, np.asarray(np.nan, value.dtype))


def nan_unless(holds: Any, values: jax.Array) -> jax.Array:
    """`values`, replaced by NaN where a traced condition on the arguments fails; their derivatives become NaN as well."""
    return values * jnp.where(holds, np.asarray(1, values.dtype), np.asarray(np.nan, values.dtype))


def nan_unless_met(checks: dict[str, Deferred], values: jax.Array) -> jax.Array:
    """`values`, replaced by NaN where one of the `deferred_checks` fails: for functions outside a run."""
    for check in checks.values():
        values = nan_unless(check.holds, values)
    return values


def nan_out_of_range(module: eqx.Module, values: jax.Array) -> jax.Array:
    """`values`, replaced by NaN if a traced parameter of the module or of a module inside it is outside the `ranges` of its
    class: for functions outside a run, which have no `Result` to report a failure."""
    ranges = getattr(type(module), "ranges", {})
    for name, value in vars(module).items():
        if isinstance(value, eqx.Module):
            values = nan_out_of_range(value, values)
        elif name in ranges and is_traced(value):
            values = nan_unless(ranges[name].holds(value), values)
    return values


def check_bool(argument: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise argument_error(argument, "be True or False", f"is {describe(value)}", "pass a bool")
    return bool(value)


def as_array(argument: str, value: Any, must: str, do: str) -> jax.Array:
    """`value` as an array. **Raises:** `ValueError` if JAX cannot convert it: text, None, rows of unequal lengths."""
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError):
        raise argument_error(argument, must, f"is {describe(value)}", do) from None


def real_numbers(argument: str, value: Any) -> jax.Array:
    """Real numbers of any shape as a floating array. **Raises:** `ValueError` for text, None, bools, complex numbers."""
    array = as_array(argument, value, "hold real numbers", "pass an array")
    if jnp.issubdtype(array.dtype, jnp.integer):
        return array.astype(jnp.result_type(float))
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise argument_error(argument, "hold real numbers", f"is {describe(value)}", "pass a real array")
    return array


def check_one_key(key: Any) -> None:
    """**Raises:** `ValueError` unless `key` is one JAX key."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    legacy = isinstance(key, (jax.Array, np.ndarray)) and key.dtype == jnp.uint32 and key.ndim == 1
    if not (typed or legacy):
        raise argument_error("key", "be one JAX key", f"is {describe(key)}", "pass key=jax.random.key(seed)")


def check_shape(argument: str, function: Any, shape: tuple[int, ...], *args: Any) -> None:
    """**Raises:** `ValueError` unless a user's function returns a real floating array of `shape` for arguments with the shapes
    and dtypes of `args`."""
    if any(
        type(x).__module__.partition(".")[0] == "jaxkinetic" for x in (function, getattr(function, "__self__", None))
    ):
        return  # functions of this library are tested, so they need no trace here
    given = ", ".join(str(tuple(x.shape)) for x in args)
    must = f"give a real array of shape {shape} for {given}"
    try:
        out = jax.eval_shape(lambda *x: jax.tree.map(jnp.asarray, function(*x)), *args)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise argument_error(
            argument, "be a function that JAX can trace", "uses values", "write it with `jnp`"
        ) from None
    except TypeError as error:
        if takes(function, len(args)) and "JAX array type" not in str(error) and "ArrayLike" not in str(error):
            raise
        if not takes(function, len(args)):
            raise argument_error(
                argument, must, "does not take one argument", "write it as a function of one"
            ) from None
        raise argument_error(argument, must, "gives no array", "return one") from None
    if not hasattr(out, "shape") or out.shape != shape or not jnp.issubdtype(out.dtype, jnp.floating):
        was = f"gives {out.dtype} of shape {out.shape}" if hasattr(out, "shape") else f"gives {kind(out)}"
        raise argument_error(argument, must, was, "return such an array")


def takes_one(function: Any) -> bool:
    return takes(function, 1)


def takes(function: Any, count: int) -> bool:
    """Whether `function` can be called with `count` arguments; True if its signature is unknown."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # built in, without a signature
        return True
    return True


def real_array(argument: str, value: Any, shape: str) -> jax.Array:
    """`value` as a real floating array with the axes named in `shape`, for example "N d"."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise argument_error(
            argument, f"be a real array of shape ({shape})", f"is {describe(value)}", "pass an array"
        ) from None
    axes = shape.split()
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise argument_error(
            argument,
            "have a real floating dtype",
            f"is {array.dtype}",
            f"pass `jnp.asarray({argument}, float)`",
        )
    if array.dtype not in (jnp.float32, jnp.float64):
        raise argument_error(argument, "be float32 or float64", f"is {array.dtype}", "convert it")
    if array.ndim != len(axes):
        raise argument_error(
            argument,
            f"have shape ({', '.join(axes)})",
            f"has shape {array.shape}",
            "reshape it, or `jax.vmap` over it",
        )
    return array


def concrete_array(value: Any) -> jax.Array:
    """`value` as an array that stays concrete inside a trace, unless it is itself traced, so that later checks can read it
    there. Integers become floats. **Raises:** `TypeError` or `ValueError` if it cannot be converted."""
    if is_traced(value):
        array = jnp.asarray(value)
    else:
        with jax.ensure_compile_time_eval():
            array = jnp.asarray(float(value) if isinstance(value, int) else value)
            if jnp.issubdtype(array.dtype, jnp.integer):
                return array.astype(jnp.result_type(float))
    return array.astype(jnp.result_type(float)) if jnp.issubdtype(array.dtype, jnp.integer) else array


def numbers(argument: str, value: Any) -> np.ndarray:
    """`value` as a float64 NumPy array. **Raises:** `ValueError` if it is traced or holds no numbers."""
    try:
        if value is None:
            raise TypeError
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise argument_error(argument, "be numbers", f"is {describe(value)}", "pass an array") from None


def known_as(dtype: jnp.dtype, *values: Any) -> tuple[Any, ...]:
    """The values as arrays of `dtype`. NumPy converts concrete values, so that nothing is compiled."""
    return tuple(jnp.asarray(x, dtype) if is_traced(x) else np.asarray(x).astype(dtype) for x in values)


def check_finite(argument: str, tree: Any) -> None:
    """**Raises:** `ValueError` if a concrete floating leaf holds a NaN or an infinity."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_inexact_array)):
        if is_traced(leaf):
            continue
        if not _all_finite(leaf):
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(leaf)))[0])
            raise argument_error(
                f"{argument}{jax.tree_util.keystr(path)}", "hold finite numbers", f"has a NaN or infinity at {first}",
                "remove it before the run",
            )  # fmt: skip


def check_law(argument: str, values: Any) -> None:
    """Check that the values of a density are finite, not negative beyond round-off, and have a mass. **Raises:** `ValueError`
    for concrete values; traced ones are checked during the run: see `require`."""
    traced = is_traced(values)
    check_finite(argument, values)
    array = jax.lax.stop_gradient(values) if traced else np.asarray(values)
    smallest, mass = array.min(), array.sum()
    # Data count as not negative above this fraction of their maximum: round-off of a transform.
    round_off = max(1e-9, 20 * float(jnp.finfo(array.dtype).eps))
    holds = smallest >= -round_off * abs(array).max()
    require(argument, holds, smallest, "not be negative", "pass a density", was="at one point is")
    require(argument, mass > 0, mass, "have a positive mass", "pass a density", was="has the sum")


def _all_finite(array: Any) -> bool:
    """Whether a concrete array is finite, evaluated at once even inside a jitted function. NumPy checks arrays in host memory,
    so that nothing is compiled; other arrays are checked on their device."""
    if not isinstance(array, jax.Array) or all(device.platform == "cpu" for device in array.devices()):
        return bool(np.isfinite(np.asarray(array)).all())
    with jax.ensure_compile_time_eval():
        return bool(jnp.isfinite(array).all())


def describe(value: Any) -> str:
    if isinstance(value, Tracer):
        return f"a traced value of shape {value.shape}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if callable(value) and not isinstance(value, (type, eqx.Module)) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__}"
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    text, name = " ".join(repr(value).split()), type(value).__name__
    if len(text) > 60:
        text = f"{text[:57]}..." if name in text[:57] else f"{name} {text[:57]}..."
    top, _, room = type(value).__module__.partition(".")
    if isinstance(value, eqx.Module) and top == "jaxkinetic" and "." in room:
        # Two subpackages define a `Maxwell`.
        text += f" of jk.{room.partition('.')[0]}"
    return text


def kind(value: Any) -> str:
    """The type in words, "a Density"; for a class, its description."""
    return describe(value) if isinstance(value, type) else f"a {type(value).__name__}"


def real_dtype(tree: Any) -> jnp.dtype:
    """The real dtype in which a state is computed: that of its floating leaves, or of the real parts of complex leaves."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    if not leaves:
        raise argument_error("state", "have a floating leaf", "has none", "build it from floating arrays")
    return jnp.result_type(*(jnp.finfo(leaf.dtype).dtype for leaf in leaves))


def cast_floating(tree: Any, dtype: jnp.dtype) -> Any:
    """The tree with its real floating leaves, Python floats included, as arrays of `dtype`; other leaves are unchanged."""

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, float):
            return jnp.asarray(np.asarray(leaf, dtype))
        if eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != dtype:
            return leaf.astype(dtype) if is_traced(leaf) else jnp.asarray(np.asarray(leaf).astype(dtype))
        return leaf

    return jax.tree.map(cast, tree)
