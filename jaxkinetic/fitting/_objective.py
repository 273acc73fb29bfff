"""What a fit minimises, with the derivatives that Gauss-Newton steps and error bars need: in float64 by NumPy, except a user's
own loss."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, describe, numbers
from .._util.types import Array, PyTree

__all__ = ["CustomLoss", "LeastSquares", "TracedLoss", "read_stderr"]


class LeastSquares:
    r"""$L(m) = \frac12 (m - d)^T W (m - d)$. `noise`: None, so W = 1; the standard errors (n,), so W = diag(1/noise^2); or the
    covariance (n, n), so W is its inverse."""

    def __init__(self, data: np.ndarray, noise: np.ndarray | None):
        self.data, self.noise = data, noise
        self.factor = np.linalg.cholesky(noise) if noise is not None and noise.ndim == 2 else None

    def whiten(self, values: np.ndarray) -> np.ndarray:
        """W^{1/2} values, along the first axis."""
        if self.factor is not None:
            from scipy.linalg import solve_triangular  # slow to import

            return solve_triangular(self.factor, values, lower=True)
        if self.noise is None:
            return values
        return values / self.noise.reshape(-1, *[1] * (values.ndim - 1))

    def bend(self, m: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The second derivative of L in m, times columns (n, p)."""
        if self.factor is not None:
            from scipy.linalg import cho_solve

            return cho_solve((self.factor, True), columns)
        return columns if self.noise is None else columns / (self.noise**2).reshape(-1, *[1] * (columns.ndim - 1))

    def value(self, m: np.ndarray) -> float:
        return 0.5 * float(np.sum(self.whiten(m - self.data) ** 2))

    def slope(self, m: np.ndarray) -> np.ndarray:
        """dL/dm."""
        return self.bend(m, m - self.data)


class CustomLoss:
    """A user's `loss(prediction, data)`, as a function of vectors, of which `traced` makes one."""

    def __init__(self, traced: "TracedLoss", noise: np.ndarray | None):
        self.traced, self.noise = traced, noise
        self.data = np.asarray(traced.data, float)
        try:
            shape = eqx.filter_eval_shape(TracedLoss.value, traced, traced.data)
        except (TypeError, AttributeError) as error:
            raise argument_error("loss", "be a function of (prediction, data)", f"fails: {error}", "check it") from None
        if shape.shape != () or not jnp.issubdtype(shape.dtype, jnp.floating):
            was = f"gives {shape.dtype} of shape {shape.shape}"
            raise argument_error("loss", "give one real number", was, "sum over the data")

    def _call(self, function: Any, *arrays: np.ndarray) -> np.ndarray:
        return np.asarray(function(self.traced, *(np.asarray(x, self.traced.data.dtype) for x in arrays)), float)

    def value(self, m: np.ndarray) -> float:
        return float(self._call(_value, m))

    def slope(self, m: np.ndarray) -> np.ndarray:
        """dL/dm."""
        return self._call(_slope, m)

    def bend(self, m: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The second derivative of L in m, times columns (n, p)."""
        return self._call(_bend, m, columns)

    def mixed(self, m: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """d/d(data) of (dL/dm . columns), (n, p)."""
        return self._call(_mixed, m, columns)


class TracedLoss(eqx.Module):
    """L inside of a program. `loss`: the user's, or None for least squares with the standard errors `noise` or the Cholesky
    `factor` of the covariance. `structure`, `shapes`, `dtypes`: those of the data."""

    loss: Any
    data: Any
    noise: Any
    factor: Any
    structure: Any = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    dtypes: tuple[str, ...] = eqx.field(static=True)

    def value(self, m: Array, data: Any = None) -> Array:
        data = self.data if data is None else data
        if self.loss is None:
            return jnp.sum((m - data) * self._weighted(m - data)) / 2
        return jnp.asarray(self.loss(self._tree(m), self._tree(data)))

    def slope(self, m: Array, data: Array | None = None) -> Array:
        if self.loss is None:
            return self._weighted(m - self.data)
        return jax.grad(self.value)(m, data).astype(m.dtype)

    def _weighted(self, rest: Array) -> Array:
        if self.factor is not None:
            return jax.scipy.linalg.cho_solve((self.factor, True), rest)
        return rest if self.noise is None else rest / self.noise**2

    def _tree(self, flat: Array) -> PyTree:
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.shapes)])
        leaves = [
            flat[first:last].reshape(shape).astype(dtype)
            for first, last, shape, dtype in zip(ends[:-1], ends[1:], self.shapes, self.dtypes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, leaves)


@eqx.filter_jit
def _value(loss: TracedLoss, m: Array) -> Array:
    return loss.value(m)


@eqx.filter_jit
def _slope(loss: TracedLoss, m: Array) -> Array:
    return loss.slope(m)


@eqx.filter_jit
def _bend(loss: TracedLoss, m: Array, columns: Array) -> Array:
    return jax.vmap(lambda column: jax.jvp(loss.slope, (m,), (column,))[1], 1, 1)(columns)


@eqx.filter_jit
def _mixed(loss: TracedLoss, m: Array, columns: Array) -> Array:
    def crossed(column: Array) -> Array:
        return jax.grad(lambda data: jnp.vdot(loss.slope(m, data), column))(loss.data)

    return jax.vmap(crossed, 1, 1)(columns)


def read_stderr(stderr: PyTree, data: PyTree, num: int) -> np.ndarray | None:
    """Standard errors (n,) or a covariance (n, n) of the data; None if not given. **Raises:** `ValueError` if it has another
    form than the data, or is not positive."""
    if stderr is None:
        return None
    leaves = jax.tree.leaves(data)
    one = hasattr(stderr, "shape") or isinstance(stderr, (int, float, list))
    if one:
        matrix = numbers("stderr", stderr)
        if matrix.shape == (num, num) and not (len(leaves) == 1 and leaves[0].shape == matrix.shape):
            return _covariance(matrix)
    must = f"be a number, arrays like `data`, or a covariance ({num}, {num})"
    given = jax.tree.leaves(stderr, is_leaf=lambda x: isinstance(x, list))
    same = len(given) == len(leaves) and (one or jax.tree.structure(stderr) == jax.tree.structure(data))
    if np.shape(stderr if one else 0.0) == () and one:
        given, same = [stderr] * len(leaves), True
    if not same:
        raise argument_error("stderr", must, f"is {describe(stderr)}", "give it the form of `data`")
    rows = []
    for leaf, value in zip(leaves, given, strict=True):
        array = numbers("stderr", value)
        if array.shape not in ((), leaf.shape):
            raise argument_error(
                "stderr", must, f"has shape {array.shape} for {leaf.shape}", "give it the form of `data`"
            )
        rows.append(np.broadcast_to(array, leaf.shape).ravel())
    flat = np.concatenate(rows)
    bad = np.flatnonzero(~((flat > 0) & (flat < np.inf)))
    if len(bad):
        raise argument_error("stderr", "be positive", f"entry {bad[0]} is {flat[bad[0]]:g}", "leave that datum out")
    return flat


def _covariance(matrix: np.ndarray) -> np.ndarray:
    do = "pass the covariance of the data"
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-9 * np.abs(matrix).max()):
        raise argument_error("stderr", "be symmetric and finite if it is a covariance", "is not", do)
    matrix = (matrix + matrix.T) / 2
    least = float(np.linalg.eigvalsh(matrix)[0])
    if least <= 0:
        raise argument_error(
            "stderr", "be positive definite if it is a covariance", f"has the eigenvalue {least:g}", do
        )
    return matrix
