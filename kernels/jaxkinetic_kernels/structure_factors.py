"""Trigonometric polynomials of points and of their differences: all-pairs sums in N M operations for M modes."""

import jax
import jax.numpy as jnp

from .rows import map_rows
from .sizes import PAIRS, Area

__all__ = ["difference_series", "structure_factors", "trigonometric_series"]

_HIGHEST = jax.lax.Precision.HIGHEST


def structure_factors(
    points: jax.Array, mask: jax.Array, modes: jax.Array, *, area: Area | int = PAIRS
) -> tuple[jax.Array, jax.Array]:
    """sum_j cos(m.x_j) and sum_j sin(m.x_j) over the points with `mask` True, as two (M,) arrays.

    **Arguments:** `points`: (N, d). `mask`: (N,) bool; points with `mask` False affect neither values nor gradients. `modes`:
    (M, d), in the dtype of the points. Cost N M; memory O(max(N, `area`)), also in the backward pass.
    """
    zero = jnp.zeros((), points.dtype)
    points = jnp.where(mask[:, None], points, zero)

    def block(some: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Written as in `trigonometric_series`, so that with a single block the compiler evaluates the waves once for both.
        phases = jnp.matmul(points, some.T, precision=_HIGHEST)
        cosines, sines = (jnp.where(mask[:, None], f(phases), zero) for f in (jnp.cos, jnp.sin))
        return jnp.sum(cosines, axis=0), jnp.sum(sines, axis=0)

    return map_rows(block, modes, points.shape[0], area=area)


def trigonometric_series(
    points: jax.Array,
    modes: jax.Array,
    cosine: jax.Array | None = None,
    sine: jax.Array | None = None,
    *,
    area: Area | int = PAIRS,
) -> jax.Array:
    """sum_m [cosine_m cos(m.x) + sine_m sin(m.x)] at every point, (N, P), for weights (M, P); None stands for zero weights.

    Cost N M P; memory O(N P + max(M, `area`)), also in the backward pass. `modes`: (M, d), in the dtype of the points.
    """
    parts = [(f, weights) for f, weights in ((jnp.cos, cosine), (jnp.sin, sine)) if weights is not None]

    def block(some: jax.Array) -> jax.Array:
        phases = jnp.matmul(some, modes.T, precision=_HIGHEST)
        terms = [jnp.matmul(f(phases), weights, precision=_HIGHEST) for f, weights in parts]
        return sum(terms[1:], terms[0])

    return map_rows(block, points, modes.shape[0], area=area)


def difference_series(
    points: jax.Array,
    mask: jax.Array,
    modes: jax.Array,
    cosine: jax.Array,
    sine: jax.Array,
    *,
    area: Area | int = PAIRS,
) -> jax.Array:
    """sum_j sum_m [cosine_m cos(m.(x_i - x_j)) + sine_m sin(m.(x_i - x_j))] over the j with `mask` True, (N, P).

    The addition theorems reduce the sum over j to structure factors. The term j = i, sum_m cosine_m, is included; rows i with
    `mask` False are 0. Cost N M P instead of N^2 M P; memory as in `trigonometric_series`.
    """
    zero = jnp.zeros((), points.dtype)
    points = jnp.where(mask[:, None], points, zero)
    c, s = (x[:, None] for x in structure_factors(points, mask, modes, area=area))
    # cos(m.(x_i - x_j)) = cos cos + sin sin, sin(m.(x_i - x_j)) = sin cos - cos sin, summed over j.
    series = trigonometric_series(points, modes, c * cosine - s * sine, s * cosine + c * sine, area=area)
    return jnp.where(mask[:, None], series, zero)
