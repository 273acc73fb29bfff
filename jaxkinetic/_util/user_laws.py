"""Laws as users have them: functions that JAX can trace, modules with `__call__`, other objects, functions of NumPy or of one
number, and distributions with methods (scipy.stats, frozen or not; `log_prob`, `icdf` as of probability libraries on JAX)."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .checks import argument_error, describe, is_traced
from .host_callback import on_host

QUANTILE = ("ppf", "icdf", "inv_cdf", "quantile")
CDF = ("cdf",)
LOG_DENSITY = ("logpdf", "log_prob")


def function_of(argument: str, law: Any, methods: tuple[str, ...], must: str) -> Callable[[Any], Any]:
    """The first of `methods` that `law` has, or else `law` itself, if it can be called. **Raises:** `ValueError`."""
    for name in () if isinstance(law, type) else methods:
        method = getattr(law, name, None)
        if callable(method):
            return method
    if callable(law) and not isinstance(law, type):
        return law
    raise argument_error(argument, must, f"is {describe(law)}", f"pass a function, or an object with `{methods[0]}`")


def is_traceable(fn: Callable[[Any], Any], dtype: Any) -> bool:
    """Whether JAX can trace `fn` on a vector. Functions of NumPy, of scipy, and of one number at a time are not traceable."""
    try:
        jax.eval_shape(fn, jax.ShapeDtypeStruct((2,), dtype))
    except (TypeError, ValueError):
        return False
    return True


def cached_by_jit(fn: Any) -> bool:
    """Whether a jitted function may keep its program for `fn`. Other objects than functions and modules can change, and the
    program of their old content would be used."""
    return isinstance(fn, (FunctionType, jax.tree_util.Partial, eqx.Module))


def by_numpy(argument: str, fn: Callable[[Any], Any], x: Any) -> np.ndarray:
    """fn(x) by NumPy in float64, number by number where `fn` takes only one. **Raises:** `ValueError` for what gives no
    numbers of x's shape."""
    x = np.asarray(x, float)
    try:
        try:
            values = np.asarray(fn(x))
        except (TypeError, ValueError):
            values = None
        if values is None or values.shape != x.shape:
            values = np.vectorize(fn, otypes=[float])(x)
        values = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise argument_error(
            argument, "map numbers to numbers, elementwise", f"fails with {type(error).__name__}: {error}",
            "pass a function of one array",
        ) from None  # fmt: skip
    return values


def values_of(argument: str, fn: Callable[[Any], Any], x: Array) -> Array:
    """fn(x) elementwise, in the dtype of x: by JAX where it can trace `fn`, else on the host."""
    if is_traceable(fn, x.dtype):
        values = jnp.asarray(fn(x))
        if values.shape != x.shape:
            raise argument_error(
                argument, "map numbers to numbers, elementwise", f"returns shape {values.shape} for shape {x.shape}",
                "return one number for each",
            )  # fmt: skip
        return values.astype(x.dtype)
    if not is_traced(x):
        return jnp.asarray(by_numpy(argument, fn, x).astype(x.dtype))
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return on_host(lambda x: by_numpy(argument, fn, x).astype(shape.dtype), shape, x)


class _ByIdentity:
    """A callable whose class compares by content and has no hash: a dataclass with `__call__`, say."""

    def __init__(self, fn: Callable[..., Any]):
        self.fn = fn

    def __call__(self, *arguments: Any) -> Any:
        return self.fn(*arguments)


def hashable(fn: Any) -> Any:
    """`fn`, or the same as something that a jitted function can keep its program for."""
    if not callable(fn) or not jax.tree_util.all_leaves([fn]):
        return fn
    try:
        hash(fn)
    except TypeError:
        return _ByIdentity(fn)
    return fn
