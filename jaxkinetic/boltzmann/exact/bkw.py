r"""The Bobylev-Krook-Wu solution for Maxwell molecules with annihilation: $f = n(t)\,g_{K(t)}$, any d >= 2, T = 1, mean 0,

$n = 1/(1 + \alpha t)$, $K = 1 - \beta (1 + \alpha t)^{-(1-\alpha)(d-1)/(4 d \alpha)}$; alpha = 0: n = 1,
$K = 1 - \beta e^{-(d-1)t/(4d)}$. The temperature stays 1. Without annihilation, in d = 3: [KrookWu1977]. Derivation:
docs/derivations/annihilation.md.
"""

import numpy as np

from ..._util import bkw as _bkw
from ..._util.checks import argument_error, check_integer
from ..._util.numpy_checks import check_known_scalar, known_times
from ..._util.types import Values, ValuesLike

__all__ = ["bkw_density", "bkw_entropy", "bkw_moment", "checked_alpha", "maxwell_density"]


def checked_alpha(alpha: float) -> float:
    check_known_scalar("alpha", alpha)
    if not 0 <= alpha <= 1:
        raise argument_error("alpha", "be in [0, 1]", f"is {alpha:g}", "it is a probability")
    return float(alpha)


def maxwell_density(t: ValuesLike, alpha: float) -> Values:
    """n(t) = 1/(1 + alpha t), the limit of N/Lambda. **Raises:** `ValueError` for alpha outside [0, 1]."""
    return 1 / (1 + checked_alpha(alpha) * known_times(t))


def _width(t: ValuesLike, dim: int, beta: float, alpha: float) -> Values:
    t, alpha, dim = known_times(t), checked_alpha(alpha), check_integer("dim", dim, minimum=1)
    # log(1 + alpha t)/alpha, the integral of n over time; at alpha = 0 its limit t.
    meetings = t if alpha == 0 else np.log1p(alpha * t) / alpha
    return _bkw.width(np.exp(-(1 - alpha) * (dim - 1) / (4 * dim) * meetings), dim, beta)


def bkw_density(speed: ValuesLike, t: ValuesLike, dim: int, beta: float, alpha: float = 0.0) -> Values:
    """f(t, v) at |v| = `speed`, of mass n(t). **Raises:** `ValueError` for beta outside [0, 2/(d+2)], alpha outside [0, 1]."""
    return maxwell_density(t, alpha) * _bkw.density(speed, _width(t, dim, beta, alpha), dim)


def bkw_moment(t: ValuesLike, order: int, dim: int, beta: float, alpha: float = 0.0) -> Values:
    r"""$\frac1n \int |v|^{2m} f = K^m (1 + m (1-K)/K) \prod_{l<m} (d + 2l)$, per particle, for even `order` = 2m."""
    return _bkw.moment(_width(t, dim, beta, alpha), order, dim)


def bkw_entropy(t: ValuesLike, dim: int, beta: float, alpha: float = 0.0) -> Values:
    """int g log g for g = f/n, by quadrature to 1e-12. It decreases in t."""
    return _bkw.entropy(_width(t, dim, beta, alpha), dim)
