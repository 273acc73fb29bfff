"""Argument checks for the exact laws, the initial laws and `jk.random`. They use NumPy only, so that nothing is compiled."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .checks import FINITE, Range, argument_error, check_scalar, describe, is_traced

# Rounding may make an eigenvalue of a positive semidefinite matrix negative by this much, relative to its largest entry.
_ROUNDING = 1e-9


def check_key(argument: str, key: Any) -> None:
    """**Raises:** `ValueError` unless `key` is one JAX key: a typed key, or the two uint32 words of a raw one."""
    dtype, shape = getattr(key, "dtype", np.dtype(object)), getattr(key, "shape", None)
    typed = isinstance(key, jax.Array) and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key) and shape == ()
    if not typed and not (isinstance(key, (jax.Array, np.ndarray)) and dtype == np.uint32 and shape == (2,)):
        raise argument_error(argument, "be one JAX key", f"is {describe(key)}", "pass jax.random.key(seed)")


def check_known(argument: str, *values: Any) -> None:
    """**Raises:** `ValueError` if one of the values is traced."""
    if is_traced(*values):
        must, do = "be concrete: exact laws use NumPy", "call the law outside of `jit` and `grad`"
        raise argument_error(argument, must, "is traced", do)


def check_known_scalar(
    argument: str, value: Any, *, positive: bool = False, nonnegative: bool = False, within: Range = FINITE
) -> None:
    """`check_scalar` for an argument that must be concrete. **Raises:** `ValueError` also for a traced value."""
    check_scalar(argument, value, positive=positive, nonnegative=nonnegative, within=within)
    check_known(argument, value)


def known_numbers(
    argument: str, value: Any, *, shape: tuple[int | None, ...] | None = None, nonnegative: bool = False,
    positive: bool = False, finite: bool = True,
) -> np.ndarray:  # fmt: skip
    """`value` as a float64 array. In `shape`, None stands for any length. Unless `finite`, NaN is accepted and propagates.

    **Raises:** `ValueError` for traced values, text, complex numbers, another shape, and numbers out of range."""
    check_known(argument, value)
    try:
        array = np.asarray(value)
        if array.dtype == object or array.dtype.kind not in "iuf":
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError):
        raise argument_error(
            argument, "hold real numbers", f"is {describe(value)}", "pass a number or an array"
        ) from None
    if shape is not None:
        fits = len(shape) == array.ndim and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not fits:
            wanted = ", ".join("N" if n is None else str(n) for n in shape)
            wanted = "be one number" if shape == () else f"have shape ({wanted}{',' * (len(shape) == 1)})"
            raise argument_error(argument, wanted, f"has shape {array.shape}", "reshape it")
    if finite and not np.isfinite(array).all():
        must = "be finite" if shape == () else "hold finite numbers"
        raise argument_error(argument, must, f"is {describe(value)}", "pass finite numbers")
    if positive and np.any(array <= 0):
        raise argument_error(argument, "be positive", f"holds {array.min():g}", "pass numbers above 0")
    if nonnegative and np.any(array < 0):
        raise argument_error(argument, "not be negative", f"holds {array.min():g}", "pass numbers not below 0")
    return array


def known_times(value: Any, argument: str = "t") -> np.ndarray:
    """Times t >= 0 of an exact law as a float64 array; infinity gives the limit of the law, NaN gives NaN."""
    return known_numbers(argument, value, nonnegative=True, finite=False)


def known_matrix(argument: str, value: Any, *, positive: bool, dim: int | None = None) -> Float[np.ndarray, "d d"]:
    """`value` as a symmetric (d, d) matrix, with `positive` positive semidefinite up to rounding. **Raises:** `ValueError`."""
    matrix = known_numbers(argument, value, shape=(dim, dim))
    scale = np.abs(matrix).max(initial=0.0)
    if matrix.shape[0] != matrix.shape[1] or matrix.size == 0 or np.abs(matrix - matrix.T).max() > _ROUNDING * scale:
        raise argument_error(argument, "be a symmetric (d, d) matrix", f"is {describe(value)}", "pass one covariance")
    smallest = np.linalg.eigvalsh(matrix)[0]
    if positive and smallest < -_ROUNDING * scale:
        raise argument_error(argument, "have no negative eigenvalue", f"has {smallest:g}", "it is a covariance")
    return matrix
