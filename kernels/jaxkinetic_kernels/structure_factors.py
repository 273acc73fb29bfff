"""Trigonometric polynomials of points and of their differences: all-pairs sums in N M operations, M modes."""

import jax
import jax.numpy as jnp

from .rows import map_rows
from .sizes import PAIRS, Area

__all__ = ["difference_series", "structure_factors", "trigonometric_series"]

_HIGHEST = jax.lax.Precision.HIGHEST


def structure_factors(
    points: jax.Array, mask: jax.Array, modes: jax.Array, *, area: Area | int = PAIRS
) -> tuple[jax.Array, jax.Array]:
    """sum_j cos(m.x_j) and sum_j sin(m.x_j) over the points in the mask, two (M,) arrays.

    **Arguments:** `points`: (N, d). `mask`: (N,) bool; what a masked point holds reaches neither value nor derivative.
    `modes`: (M, d), of the dtype of the points. Cost N M; memory O(max(N, `area`)), also backwards.
    """
    zero = jnp.zeros((), points.dtype)
    points = jnp.where(mask[:, None], points, zero)

    def block(some: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Written as in `trigonometric_series`: where one block holds all, the compiler evaluates the waves once.
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
    """sum_m [cosine_m cos(m.x) + sine_m sin(m.x)] at every point, (N, P), for weights (M, P), None for none.

    Cost N M P; memory O(N P + max(M, `area`)), also backwards. `modes`: (M, d), of the dtype of the points.
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
    """sum_j sum_m [cosine_m cos(m.(x_i - x_j)) + sine_m sin(m.(x_i - x_j))] over the j in the mask, (N, P).

    The addition theorems turn the sum over j into structure factors. The term j = i, sum_m cosine_m, is in it; rows of
    masked i are 0. Cost N M P instead of N^2 M P; memory as above.
    """
    zero = jnp.zeros((), points.dtype)
    points = jnp.where(mask[:, None], points, zero)
    c, s = (x[:, None] for x in structure_factors(points, mask, modes, area=area))
    series = trigonometric_series(points, modes, c * cosine - s * sine, s * cosine + c * sine, area=area)
    return jnp.where(mask[:, None], series, zero)
