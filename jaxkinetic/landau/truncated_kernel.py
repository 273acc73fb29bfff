r"""The Fourier transform of $a(z) = \psi(r)(r^2 I - z z^T)$, cut off at r = R, as radial tables.

$$\hat a(k) = \int_{r < R} a(z) e^{-i k \cdot z} dz = S\,(I - \hat k \hat k^T) + P\,\hat k \hat k^T,\qquad \hat b(k) = i k\,P,$$

because a(z) z = 0: the cut adds no surface term to b = div a. With $G_\nu(x) = J_\nu(x)/x^\nu$,

$$P = (d-1)(2\pi)^{d/2} \int_0^R \psi\, r^{d+1} G_{d/2}(k r) dr,\qquad
  P + (d-1) S = (d-1)(2\pi)^{d/2} \int_0^R \psi\, r^{d+1} G_{d/2-1}(k r) dr.$$

Both are entire functions of $k^2$. On the wavenumbers of a box of length 2 R, k R = pi |m|, they are needed at the integers
|m|^2 up to d n^2: they are Chebyshev series in |m|^2, whose coefficients are linear in the values of psi at Gauss's nodes. So
the tables are differentiable in every parameter of psi. With r = R u^2 the integrand is smooth enough for r^gamma, gamma >= -d:
the tables are exact to 1e-13 of their largest value.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import spectral
from .._util.types import RealScalar
from .interactions import AbstractRadial

__all__ = ["KernelTables", "kernel_tables"]

# Powers of e^{i theta} are products of two tables, the shorter one of this length.
_BLOCK = 16


class KernelTables(NamedTuple):
    """S and (P - S)/|m|^2 at the wavenumbers pi m/R, (n + 1, 2 n, ..): 0 <= m <= n along the first axis, the signed m in FFT
    order along the others; they depend on |m| only. `unit`: pi/R."""

    across: Float[Array, "half *rest"]
    excess: Float[Array, "half *rest"]
    unit: RealScalar


def kernel_tables(interaction: AbstractRadial, num: int, dim: int, radius: RealScalar) -> KernelTables:
    """The tables for a grid of `num` points an axis and length `radius`, in its dtype. Cost: O(n^2) for the coefficients,
    O(n^3) (d = 2, 3) for the series, O(n^d) for the grid; 3 % of an evaluation of the equation at d = 3, n = 64."""
    dtype = radius.dtype
    nodes, along, trace = _coefficients(num, dim)
    # Without the barrier XLA evaluates the tables of known parameters while it compiles, far slower than the program does.
    interaction, radius = jax.lax.optimization_barrier((interaction, radius))
    psi = interaction.psi((radius * jnp.asarray(nodes, dtype)) ** 2).astype(dtype)
    both = jnp.asarray(np.stack([along, trace]), dtype)
    series = jnp.matmul(both, psi, precision=jax.lax.Precision.HIGHEST) * radius ** (dim + 2)
    squares, place = _squares(num, dim)
    p, total = _evaluated(series, squares, dim * num * num)
    s = (total - p) / (dim - 1)
    least = np.maximum(squares, 1).astype(dtype)
    excess = (p - s) / jnp.asarray(least)
    octant = jnp.asarray(place)[_square_of_wavevector(num, dim)]
    across, excess = (_unfolded(table[octant], num) for table in (s, excess))
    return KernelTables(across, excess, math.pi / radius)


def _evaluated(series: Float[Array, "rows terms"], squares: np.ndarray, largest: int) -> Float[Array, "rows squares"]:
    """sum_j c_j T_j(y) at y = 1 - 2 |m|^2/largest = cos(theta), for every row of coefficients: cos(j theta) is the real part
    of the product of two short tables of powers."""
    # The angle is small where |m| is: there the transforms are largest, and there it is known best.
    angle = jnp.asarray(2 * np.arcsin(np.sqrt(squares / largest)), series.dtype)
    rows, terms = series.shape
    blocks = -(-terms // _BLOCK)
    series = jnp.pad(series, ((0, 0), (0, blocks * _BLOCK - terms))).reshape(rows * blocks, _BLOCK)
    low = spectral.phase(jnp.multiply.outer(angle, jnp.arange(_BLOCK, dtype=angle.dtype)))
    high = spectral.phase(jnp.multiply.outer(angle, (_BLOCK * jnp.arange(blocks)).astype(angle.dtype)))
    real, imag = (
        jnp.matmul(part, series.T, precision=jax.lax.Precision.HIGHEST).reshape(-1, rows, blocks)
        for part in (low.real, low.imag)
    )
    return jnp.sum(high.real[:, None] * real - high.imag[:, None] * imag, -1).T


def _square_of_wavevector(num: int, dim: int) -> Int[Array, "..."]:
    """|m|^2 for 0 <= m_i <= num."""
    square = jnp.asarray(np.arange(num + 1) ** 2, jnp.int32)
    total = spectral.along(square, 0, dim)
    for axis in range(1, dim):
        total = total + spectral.along(square, axis, dim)
    return total


def _unfolded(octant: Float[Array, "*octant"], num: int) -> Float[Array, "half *rest"]:
    """Even functions of m, 0 <= m_i <= num, at all signed m but along the first axis."""
    for axis in range(1, octant.ndim):
        inner = jax.lax.slice_in_dim(octant, 1, num, axis=axis)
        octant = jnp.concatenate([octant, jnp.flip(inner, axis)], axis)
    return octant


@functools.cache
def _squares(num: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The values of |m|^2, 0 <= m_i <= num, and the place of each integer up to the largest among them."""
    reached = np.ones(1, bool)
    for _ in range(dim):
        wider = np.zeros(len(reached) + num * num, bool)
        for m in range(num + 1):
            wider[m * m : m * m + len(reached)] |= reached
        reached = wider
    return np.flatnonzero(reached), (np.cumsum(reached) - 1).astype(np.int32)


@functools.cache
def _coefficients(num: int, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(nodes, along, trace): P/R^(d+2) = sum_j (along @ psi(R nodes))_j T_j(1 - 2 |m|^2/(d n^2)); `trace`: P + (d-1) S."""
    from scipy.special import jv, spherical_jn  # here: scipy would double the import time of the library

    largest = math.pi * num * math.sqrt(dim)  # of k R
    # The series in k^2 converges from the degree k R/2 on, Gauss's rule in u, of degree 2 count, from k R on.
    terms, count = (
        math.ceil(largest / 2 + 3 * largest ** (1 / 3) + 20),
        math.ceil(largest / 2 + 3 * largest ** (1 / 3) + 30),
    )
    u, weights = np.polynomial.legendre.leggauss(count)
    u, weights = (u + 1) / 2, weights / 2
    nodes = u * u
    angle = math.pi * (np.arange(terms) + 0.5) / terms
    x = np.maximum(np.outer(largest * np.sin(angle / 2), nodes), 1e-300)
    if dim == 2:
        along, trace = 2 * math.pi * jv(1, x) / x, 2 * math.pi * jv(0, x)
    else:
        small = np.where(x < 1e-4, 1 / 3 - x * x / 30, spherical_jn(1, x) / x)
        along, trace = 8 * math.pi * small, 8 * math.pi * spherical_jn(0, x)
    factor = weights * 2 * u * nodes ** (dim + 1)
    cosines = 2 / terms * np.cos(np.outer(np.arange(terms), angle))
    cosines[0] /= 2
    along, trace = cosines @ (along * factor), cosines @ (trace * factor)
    return nodes, along, trace
