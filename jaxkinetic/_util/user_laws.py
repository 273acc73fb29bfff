"""Accept probability laws in the forms that users have: functions that JAX can trace, modules and other objects with
`__call__`, functions of NumPy arrays or of one number, and distribution objects (scipy.stats; `log_prob` and `icdf` as in the
probability libraries for JAX)."""

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
    """The first of `methods` that `law` has, otherwise `law` itself. **Raises:** `ValueError` if neither is callable."""
    for name in () if isinstance(law, type) else methods:
        method = getattr(law, name, None)
        if callable(method):
            return method
    if callable(law) and not isinstance(law, type):
        return law
    raise argument_error(argument, must, f"is {describe(law)}", f"pass a function, or an object with `{methods[0]}`")


def is_traceable(fn: Callable[[Any], Any], dtype: Any) -> bool:
    """Whether JAX can trace `fn` on a vector. Functions of NumPy, of scipy, and of one number at a time cannot be traced."""
    try:
        jax.eval_shape(fn, jax.ShapeDtypeStruct((2,), dtype))
    except (TypeError, ValueError):
        return False
    return True


def cached_by_jit(fn: Any) -> bool:
    """Whether `jit` may cache a program for `fn`. Only functions and modules qualify: another object may change its content,
    and the cached program would still use the old content."""
    return isinstance(fn, (FunctionType, jax.tree_util.Partial, eqx.Module))


def by_numpy(argument: str, fn: Callable[[Any], Any], x: Any) -> np.ndarray:
    """fn(x) by NumPy in float64, element by element if `fn` takes only one number. **Raises:** `ValueError` unless the result
    holds numbers and has the shape of x."""
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
    """fn(x) elementwise in the dtype of x, by JAX if it can trace `fn`, otherwise on the host."""
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
    """Make a callable hashable whose class is not, for example a dataclass with `__call__`, which compares by content."""

    def __init__(self, fn: Callable[..., Any]):
        self.fn = fn

    def __call__(self, *arguments: Any) -> Any:
        return self.fn(*arguments)


def hashable(fn: Any) -> Any:
    """`fn`, wrapped if it has no hash, so that `jit` can cache a program for it."""
    if not callable(fn) or not jax.tree_util.all_leaves([fn]):
        return fn
    try:
        hash(fn)
    except TypeError:
        return _ByIdentity(fn)
    return fn
