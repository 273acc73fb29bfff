"""Quadrature on the sphere of directions."""

import itertools
import math

import numpy as np
from jaxtyping import Float

__all__ = ["directions", "fixed_directions"]

_ON_THE_CIRCLE = 16


def directions(dim: int) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
    """(unit vectors, weights of sum 1) that integrate polynomials of degree 7 over the sphere of R^d exactly.

    d = 1: +-1. d = 2: 16 equidistant angles, degree 15. d >= 3: the fully symmetric rule with the points that have one, two, or
    three equal non-zero components up to sign; for d = 3 it is Lebedev's with 26 points [Lebedev1976]. Its three weights follow
    from the means of 1, sum x_i^4 and sum x_i^6: with an even polynomial that is symmetric these generate all of degree 7. For
    d > 5 one weight is negative."""
    if dim == 1:
        return np.array([[1.0], [-1.0]]), np.full(2, 0.5)
    if dim == 2:
        angle = 2 * math.pi * (np.arange(_ON_THE_CIRCLE) + 0.5) / _ON_THE_CIRCLE
        return np.stack([np.cos(angle), np.sin(angle)], 1), np.full(_ON_THE_CIRCLE, 1 / _ON_THE_CIRCLE)
    # Rows: 1, sum x^4, sum x^6; columns: the points with m = 1, 2, 3 non-zero components.
    equations = np.array([[m**-power for m in (1.0, 2.0, 3.0)] for power in (0, 1, 2)])
    totals = np.linalg.solve(equations, [1.0, 3 / (dim + 2), 15 / ((dim + 2) * (dim + 4))])
    points, weights = [], []
    for m, total in zip((1, 2, 3), totals, strict=True):
        orbit = []
        for places in itertools.combinations(range(dim), m):
            for signs in itertools.product((1.0, -1.0), repeat=m):
                point = np.zeros(dim)
                point[list(places)] = np.array(signs) / math.sqrt(m)
                orbit.append(point)
        points += orbit
        weights += [total / len(orbit)] * len(orbit)
    return np.array(points), np.array(weights)


def fixed_directions(num: int, dim: int) -> Float[np.ndarray, "num d"]:
    """`num` unit vectors, the same in every call: equidistant on half of the circle for d = 2, else drawn once and for all from
    the uniform law. u and -u count as one, as the distance along them is the same."""
    if dim == 2:
        angle = math.pi * (np.arange(num) + 0.5) / num
        return np.stack([np.cos(angle), np.sin(angle)], 1)
    v = np.random.default_rng(0).standard_normal((num, dim))
    return v / np.linalg.norm(v, axis=1, keepdims=True)
