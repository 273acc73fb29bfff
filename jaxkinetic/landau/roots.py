"""The symmetric square root of small positive semi-definite matrices, differentiable also at equal eigenvalues."""

from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._util.gradients import zero_with_derivative

__all__ = ["symmetric_root"]

_HIGHEST = jax.lax.Precision.HIGHEST
_Eigen = tuple[Any, Any]
# Dimensions in which Jacobi rotations replace `eigh`.
_CLOSED = (2, 3)
_Jacobi = tuple[tuple[Array, ...], tuple[Array, ...], tuple[Any, ...]]


def _product(x: Array, y: Array) -> Array:
    def library(x: Array, y: Array) -> Array:
        return jnp.matmul(x, y, precision=_HIGHEST)

    def elementwise(x: Array, y: Array) -> Array:
        terms = (x[..., :, k, None] * y[..., None, k, :] for k in range(1, x.shape[-1]))
        return sum(terms, x[..., :, 0, None] * y[..., None, 0, :])

    if x.shape[-1] > 3:
        return library(x, y)
    # On an accelerator `matmul` of 3 x 3 matrices is a kernel of its own; sums of products are fused with their neighbours.
    return jax.lax.platform_dependent(x, y, cpu=library, default=elementwise)


def symmetric_root(matrix: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    r"""S = A^{1/2}, symmetric, S S = A. Eigenvalues below d eps times the largest count as 0.

    Derivative: S dS + dS S = dA, solved in the eigenbasis by dS_ij = dA_ij / (s_i + s_j); it is finite and correct also at
    equal eigenvalues, to every order. On the null space of A (for one pair of particles in d = 3 the rank is 2) the root has a
    derivative only along positive semi-definite directions; there dS_ij is set to 0 for s_i = s_j = 0, to every order. Cost per
    matrix: 12 to 15 rotations in d = 3, one in d = 2, one `eigh` in d > 3.
    """
    # Computed once, for the root and for its derivatives.
    return _root(matrix, _eigen(jax.lax.stop_gradient(matrix)))


# Jitted, because outside of `jit` its conditionals would be compiled at every call.
@jax.custom_jvp
@jax.jit
def _root(matrix: Array, eigen: _Eigen) -> Array:
    root = jax.lax.stop_gradient(_from_eigen(eigen))
    # Where JAX drops the rule below (see `_util/gradients.py`), this has the derivative of the root.
    return root + zero_with_derivative(_solved(root, eigen, matrix))


def _from_eigen(eigen: _Eigen) -> Array:
    roots, vectors = eigen
    if isinstance(roots, tuple):
        dim, parts = len(roots), list(zip(roots, vectors, strict=True))
        root = {(i, j): sum(s * x[i] * x[j] for s, x in parts) for i in range(dim) for j in range(i + 1)}
        rows = [[root[max(i, j), min(i, j)] for j in range(dim)] for i in range(dim)]
        return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    return _product(vectors * roots[..., None, :], jnp.swapaxes(vectors, -1, -2))


# A program of its own: outside of `jit` its loop would be compiled at every call.
@jax.jit
def _eigen(matrix: Array) -> _Eigen:
    """Roots of the eigenvalues, and eigenvectors: arrays as from `eigh`; in d = 2 and 3 a tuple of roots and a tuple of
    columns."""
    if matrix.shape[-1] in _CLOSED:
        values, columns, scale = _jacobi(matrix)
        return tuple(jnp.sqrt(value) * scale for value in _positive(values)), columns
    values, vectors = jnp.linalg.eigh(matrix)
    floor = matrix.shape[-1] * jnp.finfo(matrix.dtype).eps * values[..., -1:]
    return jnp.sqrt(jnp.where(values > floor, values, jnp.zeros((), values.dtype))), vectors


def _positive(values: tuple[Array, ...]) -> tuple[Array, ...]:
    """The eigenvalues, with those below the floor replaced by 0; NaN stays NaN."""
    floor = len(values) * jnp.finfo(values[0].dtype).eps * reduce(jnp.maximum, values)
    return tuple(jnp.where(value <= floor, jnp.zeros_like(value), value) for value in values)


def _jacobi(matrix: Array) -> tuple[tuple[Array, ...], tuple[Any, ...], Array]:
    """Eigenvalues of A / s^2, in any order, eigenvectors, and s, of symmetric A (..., d, d), d = 2 or 3, by Jacobi rotations.

    Error: a few eps of the largest eigenvalue, also for repeated, close and zero eigenvalues [GolubVanLoan2013, section 8.5].
    Elementwise over the batch, in one kernel. (An accelerator's library needs 4 kB for each matrix and fails for more than
    2 10^6 matrices; a CPU's library takes 8 to 20 times as long.) Four sweeps in float32 and five in float64 suffice, because
    convergence is quadratic.
    """
    dim = matrix.shape[-1]
    places = [(i, i) for i in range(dim)] + ([(0, 1)] if dim == 2 else [(0, 1), (1, 2), (2, 0)])
    # Scaled before sums and squares are taken, so that neither overflows.
    largest = reduce(jnp.maximum, [jnp.abs(matrix[..., i, j]) for i in range(dim) for j in range(dim)])
    scale = jnp.where(largest == 0, jnp.ones_like(largest), largest)
    scaled = [(matrix[..., i, j] / scale + matrix[..., j, i] / scale) / 2 for i, j in places]
    diagonal, off = tuple(scaled[:dim]), tuple(scaled[dim:])
    one, nought = jnp.ones_like(diagonal[0]), jnp.zeros_like(diagonal[0])
    columns = tuple(tuple(one if i == k else nought for i in range(dim)) for k in range(dim))
    state = (diagonal, off, columns)
    if dim == 2:
        diagonal, _, columns = _rotated(state)
    else:
        count = 12 if jnp.finfo(matrix.dtype).bits <= 32 else 15
        # On the CPU a loop compiles in a third of the time of the unrolled rotations.
        diagonal, _, columns = jax.lax.platform_dependent(
            state, cpu=partial(_looped, count=count), default=partial(_unrolled, count=count)
        )
    return diagonal, columns, jnp.sqrt(scale)


def _looped(state: _Jacobi, count: int) -> _Jacobi:
    state = (*state[:2], tuple(jnp.stack(column) for column in state[2]))
    diagonal, off, columns = jax.lax.fori_loop(0, count, lambda _, state: _rotated(state), state)
    return diagonal, off, tuple(tuple(column) for column in columns)


def _unrolled(state: _Jacobi, count: int) -> _Jacobi:
    for _ in range(count):
        state = _rotated(state)
    return state


def _rotated(state: _Jacobi) -> _Jacobi:
    """One rotation in the plane of the first two directions. Afterwards they are the last and the first direction, so that the
    next call rotates another plane. `state`: the diagonal; the entries (0, 1), (1, 2), (2, 0); the columns of the product of
    the rotations so far, each a tuple of components or an array whose first axis is the components."""
    (first, second, *rest), (between, *off), (x, y, *others) = state
    difference, double = second - first, 2 * between
    size = jnp.abs(difference) + jnp.sqrt(difference * difference + double * double)
    tangent = jnp.where(difference < 0, -double, double) / jnp.where(size == 0, jnp.ones_like(size), size)
    cosine = 1 / jnp.sqrt(1 + tangent * tangent)
    sine, shift = tangent * cosine, tangent * between

    def turned(p: Any, q: Any) -> tuple[Any, Any]:
        def combined(c: Array, p: Any, s: Array, q: Any) -> Any:
            return jax.tree.map(lambda p, q: jnp.broadcast_to(c, p.shape) * p + jnp.broadcast_to(s, p.shape) * q, p, q)

        return combined(cosine, p, -sine, q), combined(sine, p, cosine, q)

    new_x, new_y = turned(x, y)
    if off:
        to_first, to_second = turned(off[1], off[0])
        off = [to_second, to_first, jnp.zeros_like(between)]
    else:
        off = [jnp.zeros_like(between)]
    return (second + shift, *rest, first - shift), tuple(off), (new_y, *others, new_x)


def _solved(root: Array, eigen: _Eigen, change: Array) -> Array:
    """dS with S dS + dS S = dA, the symmetric part of `change`."""
    s, vectors = eigen
    if isinstance(s, tuple):
        s, vectors = jnp.stack(s, axis=-1), jnp.stack([jnp.stack(x, axis=-1) for x in vectors], axis=-1)
    sums = s[..., :, None] + s[..., None, :]
    inverse = jnp.where(sums > 0, 1 / jnp.where(sums > 0, sums, jnp.ones((), s.dtype)), jnp.zeros((), s.dtype))

    def solve(_, right: Array) -> Array:
        transposed = jnp.swapaxes(vectors, -1, -2)
        inner = _product(_product(transposed, right), vectors) * inverse
        return _product(_product(vectors, inner), transposed)

    def anticommutator(x: Array) -> Array:
        return _product(root, x) + _product(x, root)

    symmetric = (change + jnp.swapaxes(change, -1, -2)) / 2
    return jax.lax.custom_linear_solve(anticommutator, symmetric, solve, symmetric=True)


@_root.defjvp
def _root_jvp(primals: tuple[Array, _Eigen], tangents: tuple[Array, _Eigen]) -> tuple[Array, Array]:
    root = _root(*primals)
    return root, _solved(root, primals[1], tangents[0])
