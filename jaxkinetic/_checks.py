"""Bad input in one clear sentence: which argument, what it must be, what it was, what to do."""

import math
import operator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def refuse(argument: str, must: str, was: str, do: str) -> ValueError:
    """The one form of our error messages."""
    return ValueError(f"Argument `{argument}` must {must}, but {was}; {do}.")


def is_traced(*trees: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def check_integer(argument: str, value: Any, *, minimum: int) -> int:
    """`value` as a Python integer not below `minimum`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except (TypeError, jax.errors.TracerIntegerConversionError):
        raise refuse(
            argument, "be an integer known while tracing", f"is {describe(value)}", f"pass `int({argument})`"
        ) from None
    if integer < minimum:
        raise refuse(argument, f"be at least {minimum}", f"is {integer}", "raise it")
    return integer


def check_scalar(argument: str, value: Any, *, positive: bool = False, nonnegative: bool = False) -> None:
    """A real, finite scalar of the sign asked for. A traced value is checked for its shape alone."""
    try:
        shape, dtype = jnp.shape(value), jnp.result_type(value)
        real = jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
    except TypeError:
        shape, real = None, False
    if value is None or shape != () or not real:
        raise refuse(argument, "be one real number", f"is {describe(value)}", "pass a float or a scalar array")
    if is_traced(value):
        return
    number = float(value)
    if not math.isfinite(number):
        raise refuse(argument, "be finite", f"is {number}", "pass a finite number")
    if positive and number <= 0:
        raise refuse(argument, "be positive", f"is {number:g}", "pass a number above 0")
    if nonnegative and number < 0:
        raise refuse(argument, "not be negative", f"is {number:g}", "pass a number not below 0")


def real_array(argument: str, value: Any, shape: str) -> jax.Array:
    """`value` as a real floating array with the axes named in `shape`, for example "N d"."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise refuse(
            argument, f"be a real array of shape ({shape})", f"is {describe(value)}", "pass an array"
        ) from None
    axes = shape.split()
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise refuse(
            argument,
            "have a real floating dtype",
            f"is {array.dtype}",
            f"pass `jnp.asarray({argument}, float)`",
        )
    if array.dtype not in (jnp.float32, jnp.float64):
        raise refuse(argument, "be float32 or float64", f"is {array.dtype}", "convert it")
    if array.ndim != len(axes):
        raise refuse(
            argument,
            f"have shape ({', '.join(axes)})",
            f"has shape {array.shape}",
            "reshape it, or `jax.vmap` over it",
        )
    return array


def known_array(value: Any) -> jax.Array:
    """`value` as an array that stays known inside a trace, unless it is traced itself: what is checked later is checked there
    too. Integers become floats. **Raises:** `TypeError` or `ValueError` for what is no array."""
    if is_traced(value):
        array = jnp.asarray(value)
    else:
        with jax.ensure_compile_time_eval():
            array = jnp.asarray(float(value) if isinstance(value, int) else value)
            if jnp.issubdtype(array.dtype, jnp.integer):
                return array.astype(jnp.result_type(float))
    return array.astype(jnp.result_type(float)) if jnp.issubdtype(array.dtype, jnp.integer) else array


def known_as(dtype: jnp.dtype, *values: Any) -> tuple[Any, ...]:
    """The values as arrays of `dtype`. Concrete values are converted by NumPy, which compiles nothing."""
    return tuple(jnp.asarray(x, dtype) if is_traced(x) else np.asarray(x).astype(dtype) for x in values)


def check_finite(argument: str, tree: Any) -> None:
    """Raise if a concrete floating leaf holds a NaN or an infinity."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_inexact_array)):
        if is_traced(leaf):
            continue
        if not _all_finite(leaf):
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(np.asarray(leaf)))[0])
            raise refuse(
                f"{argument}{jax.tree_util.keystr(path)}", "hold finite numbers", f"has a NaN or infinity at {first}",
                "remove it before the run",
            )  # fmt: skip


def _all_finite(array: Any) -> bool:
    """Whether a concrete array is finite, evaluated at once, also inside a jitted function. An array in host memory is checked
    by NumPy, which compiles nothing; any other one on its device."""
    if not isinstance(array, jax.Array) or all(device.platform == "cpu" for device in array.devices()):
        return bool(np.isfinite(np.asarray(array)).all())
    with jax.ensure_compile_time_eval():
        return bool(jnp.isfinite(array).all())


def describe(value: Any) -> str:
    if isinstance(value, Tracer):
        return f"a traced value of shape {value.shape}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:57]}..."


def real_dtype(tree: Any) -> jnp.dtype:
    """The real dtype in which a state computes: that of its floating leaves, for complex ones of their parts."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    if not leaves:
        raise refuse("state", "have a floating leaf", "has none", "build it from floating arrays")
    return jnp.result_type(*(jnp.finfo(leaf.dtype).dtype for leaf in leaves))


def cast_floating(tree: Any, dtype: jnp.dtype) -> Any:
    """The tree with its real floating leaves, Python floats too, as arrays of `dtype`; other leaves as they are."""

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, float):
            return jnp.asarray(np.asarray(leaf, dtype))
        if eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != dtype:
            return leaf.astype(dtype) if is_traced(leaf) else jnp.asarray(np.asarray(leaf).astype(dtype))
        return leaf

    return jax.tree.map(cast, tree)
