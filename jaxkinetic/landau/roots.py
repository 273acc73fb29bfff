"""The symmetric square root of small positive semi-definite matrices, with the derivative that survives degeneracy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["symmetric_root"]

_HIGHEST = jax.lax.Precision.HIGHEST


def _product(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y, precision=_HIGHEST)


@jax.custom_jvp
def symmetric_root(matrix: Float[Array, "*batch d d"]) -> Float[Array, "*batch d d"]:
    r"""S = A^{1/2}, symmetric, S S = A. Eigenvalues below d eps times the largest count as 0.

    Derivative: S dS + dS S = dA, solved in the eigenbasis, dS_ij = dA_ij / (s_i + s_j), finite and right also at equal
    eigenvalues, to every order. On the null space of A (rank 2 in d = 3: one pair of particles), where the root has a
    derivative only along positive semi-definite directions, dS_ij = 0 for s_i = s_j = 0, to every order. Cost: one `eigh` a
    matrix.
    """
    values, vectors = _eigen(matrix)
    return _product(vectors * jnp.sqrt(values)[..., None, :], jnp.swapaxes(vectors, -1, -2))


def _eigen(matrix: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(matrix))
    floor = matrix.shape[-1] * jnp.finfo(matrix.dtype).eps * values[..., -1:]
    return jnp.where(values > floor, values, jnp.zeros((), values.dtype)), vectors


@symmetric_root.defjvp
def _symmetric_root_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    root = symmetric_root(primals[0])
    values, vectors = _eigen(primals[0])
    s = jnp.sqrt(values)
    sums = s[..., :, None] + s[..., None, :]
    inverse = jnp.where(sums > 0, 1 / jnp.where(sums > 0, sums, jnp.ones((), s.dtype)), jnp.zeros((), s.dtype))

    def solve(_, right: Array) -> Array:
        transposed = jnp.swapaxes(vectors, -1, -2)
        inner = _product(_product(transposed, right), vectors) * inverse
        return _product(_product(vectors, inner), transposed)

    def anticommutator(x: Array) -> Array:
        return _product(root, x) + _product(x, root)

    change = (tangents[0] + jnp.swapaxes(tangents[0], -1, -2)) / 2
    return root, jax.lax.custom_linear_solve(anticommutator, change, solve, symmetric=True)
