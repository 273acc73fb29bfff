"""Uniform directions on the sphere S^{d-1}: random, from uint32 words, and as nodes of a quadrature."""

import functools
import math

import jax.numpy as jnp
import numpy as np

from jaxkinetic_kernels import cos_sin_turns, normals, uniform

from .._util.types import Components, PairWords

__all__ = ["num_words", "quadrature", "uniform_direction"]


def num_words(dim: int) -> int:
    return dim - 1 if dim <= 3 else dim + dim % 2


def uniform_direction(words: PairWords, dim: int, dtype: jnp.dtype) -> Components:
    """The d components of a uniformly distributed unit vector."""
    if dim == 2:
        return cos_sin_turns(words[0], dtype)
    if dim == 3:
        # cos = 1 - 2u and sin = 2 sqrt(u(1 - u)): the squares add up to 1 without a renormalisation.
        u = uniform(words[0], dtype)
        cosine, sine = cos_sin_turns(words[1], dtype)
        across = 2 * jnp.sqrt(u * (1 - u))
        return 1 - 2 * u, across * cosine, across * sine
    x = normals(words, dtype)[:dim]
    length = jnp.sqrt(sum(c * c for c in x))
    return tuple(c / length for c in x)


@functools.cache
def quadrature(dim: int, degree: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (Q, d) on the sphere and weights (Q,) of sum 1, exact for polynomials up to `degree`: equidistant nodes on the
    circle, and Gauss-Gegenbauer nodes for each further coordinate."""
    num = degree + 1
    angle = 2 * math.pi * np.arange(num) / num
    nodes, weights = np.stack([np.cos(angle), np.sin(angle)], -1), np.full(num, 1 / num)
    for d in range(3, dim + 1):
        # The height x of a point has density (1 - x^2)^{(d-3)/2}.
        x, w = _gauss_gegenbauer(num, (d - 3) / 2)
        ring = np.sqrt(1 - x**2)[:, None, None] * nodes[None]
        height = np.broadcast_to(x[:, None, None], (*ring.shape[:2], 1))
        nodes = np.concatenate([height, ring], -1).reshape(-1, d)
        weights = (w[:, None] * weights[None]).reshape(-1)
    return nodes, weights


def _gauss_gegenbauer(num: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import roots_jacobi

    x, w = roots_jacobi(num, power, power)
    return x, w / w.sum()
