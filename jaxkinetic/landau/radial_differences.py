"""Differences of isotropic functions, from the midpoints of a radial grid to the faces between them, and their adjoints.

The spacing is 1 and the faces are v = 1, 2, ..., num - 1: no flux passes v = 0 and v = R."""

import math
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import bernoulli

from ..radial import RadialGrid, sphere_area, unit_weights

__all__ = ["REACH", "difference_matrices", "face_weights"]

# The points of a stencil on either side of a face: order 16.
REACH = 8
# For even d the weights of this many faces are corrected at v = 0, as those of the midpoints are, and the coefficients of the
# derivative wherever a stencil meets a corrected weight.
_CORRECTED = 8
_BLOCK = _CORRECTED + REACH
# The highest powers of v that the corrected derivative and divergence treat exactly in d = 2.
_EXACT = 7


@cache
def difference_matrices(num: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(d/de, interpolation) from the midpoints to the faces for even functions of the speed, e = v^2/2, (num - 1, num) each.

    d/de is 0 for a constant and 1 for e, to round-off. Both are of order 16 in v, lower at the last faces; for even d the
    derivative is of order 7 at the first faces. Dense: for some hundred points a product with a matrix is as fast as 16 shifted
    additions, and compiles faster."""
    slope, value = np.zeros((2, num - 1, num))
    for face in range(1, num):
        half = min(REACH, num - face)
        # Lagrange's weights of the points +-(k - 1/2), k = 1 .. half, in closed form: a linear system loses four digits.
        scale = math.prod(range(1, 2 * half, 2)) ** 2 / 2 ** (2 * half - 1)
        for k in range(1, half + 1):
            weight = (-1) ** (k - 1) * scale / (math.factorial(half + k - 1) * math.factorial(half - k) * (2 * k - 1))
            for place, sign in ((face + k - 1, 1), (face - k, -1)):
                place = max(place, -1 - place)  # even at v = 0
                value[face - 1, place] += weight
                # d/de = (1/v) d/dv.
                slope[face - 1, place] += sign * 2 * weight / ((2 * k - 1) * face)
    if dim % 2 == 0:
        slope[:_BLOCK, :_BLOCK] += _block(slope, dim)
    return slope, value


def face_weights(grid: RadialGrid) -> Float[Array, " faces"]:
    """The weights of the trapezoidal rule at the faces, for isotropic functions that are O(v^2) at v = 0."""
    weights = sphere_area(grid.dim) * _unit_weights(grid.num, grid.dim)
    return grid.spacing**grid.dim * jnp.asarray(weights, grid.radius.dtype)


@cache
def _unit_weights(num: int, dim: int) -> np.ndarray:
    """v^{d-1} at the faces; for even d corrected by the Euler-Maclaurin formula for the powers of v from d + 1 on."""
    v = np.arange(1.0, num)
    weights = v ** (dim - 1)
    if dim % 2 == 0:
        # sum_{v >= 1} v^n has the end term zeta(-n) = -B_{n+1}/(n + 1) at 0, which vanishes for even n.
        odd = [dim + 1 + 2 * k for k in range(_CORRECTED)]
        numbers = bernoulli(odd[-1] + 1)
        ends = np.array([numbers[n + 1] / (n + 1) for n in odd])
        powers = np.array([v[:_CORRECTED] ** (2 + 2 * k) for k in range(_CORRECTED)])
        weights[:_CORRECTED] += np.linalg.solve(powers, ends)
    return weights


def _block(slope: np.ndarray, dim: int) -> np.ndarray:
    """For even d, what is added to the coefficients of the first faces and midpoints, (_BLOCK, _BLOCK).

    The divergence of a flux is, by duality, the transpose of the derivative between the weights of faces and midpoints. For odd
    d v^{d-1} times an odd flux is odd, so this is again a difference of order 16. For even d it is even, with a kink at v = 0.
    The block is the least change that makes the divergence exact for the fluxes v, v^3, v^5, v^7, and leaves the derivative
    exact for v^2 and the even powers up to 8 - d. A derivative and a divergence that are exact for higher powers would together
    contradict summation by parts within the stencils."""
    num = slope.shape[1]
    weights, outer = unit_weights(num, dim) / sphere_area(dim), _unit_weights(num, dim)
    v, middle = np.arange(1.0, num), np.arange(_BLOCK) + 0.5
    powers = np.arange(1, _EXACT + 1, 2)
    defect = []
    for n in powers:
        # The flux v^n: against d/de it has a factor v.
        divergence = slope.T @ (outer * v ** (n + 1))
        defect.append(-weights[:_BLOCK] * (dim - 1 + n) * middle ** (n - 1) - divergence[:_BLOCK])
    faces, scale = np.linalg.qr(v[:_BLOCK, None] ** powers)
    kept, _ = np.linalg.qr(middle[:, None] ** np.arange(0, max(_EXACT + 2 - dim, 3), 2))
    change = faces @ np.linalg.solve(scale.T, np.array(defect))
    for _ in range(2):  # twice, for round-off
        change = change - (change @ kept) @ kept.T
    return change / (outer[:_BLOCK] * v[:_BLOCK])[:, None]
