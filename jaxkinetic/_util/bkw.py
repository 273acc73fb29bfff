r"""The Bobylev-Krook-Wu (BKW) profile of width K, common to the Landau and the Boltzmann equation; T = 1, mean 0:

$g_K = (2\pi K)^{-d/2} e^{-|v|^2/2K} \big[\frac{(d+2)K - d}{2K} + \frac{(1-K)|v|^2}{2K^2}\big]$, $d/(d+2) \le K \le 1$.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float

from .checks import argument_error, check_integer, check_scalar
from .numpy_checks import known_numbers
from .types import Values, ValuesLike

# Of the speeds that are integrated over: beyond, the Maxwellian is e^{-128}.
_RADIUS = 16.0
# Gauss's nodes: error below 1e-12.
_NODES = 600


def width(decay: ValuesLike, dim: int, beta: float) -> Values:
    """K = 1 - beta decay. **Raises:** `ValueError` for beta outside [0, 2/(d+2)]."""
    check_scalar("beta", beta)
    if not 0 <= beta <= 2 / (dim + 2) * (1 + 1e-12):
        raise argument_error("beta", f"lie in [0, 2/(d+2)] = [0, {2 / (dim + 2):.4g}]", f"is {beta}", "lower it")
    return 1 - beta * np.asarray(decay, float)


def density(speed: ValuesLike, k: Float[np.ndarray, "*#shape"] | np.float64, dim: int) -> Values:
    """g_K at |v| = `speed`."""
    square = known_numbers("speed", speed, nonnegative=True, finite=False) ** 2
    bracket = ((dim + 2) * k - dim) / (2 * k) + (1 - k) * square / (2 * k * k)
    return (2 * math.pi * k) ** (-dim / 2) * np.exp(-square / (2 * k)) * bracket


def moment(k: Values, order: int, dim: int) -> Values:
    r"""$\int |v|^{2m} g_K = K^m (1 + m (1-K)/K) \prod_{l<m} (d + 2l)$, for even `order` = 2m."""
    if check_integer("order", order, minimum=0) % 2:
        raise argument_error("order", "be even", f"is {order}", "pass 2, 4, 6, ...")
    m = order // 2
    return math.prod(dim + 2 * l for l in range(m)) * (k**m + m * (1 - k) * k ** (m - 1) if m else np.ones_like(k))


@cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)


def entropy(k: Values, dim: int) -> Values:
    """int g_K log g_K, by Gauss-Legendre quadrature in |v| (600 nodes on [0, 16]; error below 1e-12)."""
    # Imported here, because scipy would double the import time of the library.
    from scipy.special import xlogy

    nodes, weights = _nodes()
    speed = _RADIUS * (nodes + 1) / 2
    sphere = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    f = density(speed, np.asarray(k)[..., None], dim)
    return np.sum(weights * sphere * speed ** (dim - 1) * xlogy(f, f), axis=-1) * _RADIUS / 2
