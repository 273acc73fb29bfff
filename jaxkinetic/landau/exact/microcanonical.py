"""The relative error of the decay rates of a pair's harmonics under `Microcanonical`, compared with the Landau equation."""

import math

from ..._util.checks import argument_error, check_bool, check_integer
from ..._util.numpy_checks import check_known_scalar
from ..microcanonical import LAWS, check_angle

__all__ = ["microcanonical_defect"]


def microcanonical_defect(
    law: str, l: int, epsilon: float, dim: int, *, psi: float = 1.0, exact: bool = False
) -> float:
    r"""delta_l: under `landau.Microcanonical` a harmonic of degree l of z/r decays at the rate $\frac4N \psi \Lambda (1 +
    \delta_l)$, Lambda = l (l + d - 2); under `landau.Kac` delta_l = 0.

    To leading order in epsilon:

    - "fixed_angle": $-\frac{\epsilon^2}{4(d+1)} (\Lambda - (d-1))$,
    - "constant_rate": $-\frac{2(d-1)}{d+1} h\psi\,(\Lambda - (d-1))$,
    - "heat_kernel": $-2 h\psi\Lambda$.

    `exact=True`: $(1 - m_l)/(4h\psi\Lambda) - 1$, m_l = E R_l(cos theta) = R_l(max(1 - 4(d-1) h psi, 0)) for "constant_rate"
    and $e^{-4h\psi\Lambda}$ for "heat_kernel"; $(d-1)(1 - R_l(\cos\epsilon))/((1 - \cos\epsilon)\Lambda) - 1$ for
    "fixed_angle". R_l is the Gegenbauer polynomial with R_l(1) = 1.

    For constant psi (Maxwell molecules) and every N, the deviator of the pressure tensor about the mean velocity decays at the
    rate 4 d psi (1 + delta_2).

    **Arguments:** `law`, `epsilon`: as in `Microcanonical`. `l` >= 1. `dim`: d. `psi`: psi(r), not used by "fixed_angle".
    **Raises:** `ValueError` for values out of range.
    """
    if law not in LAWS:
        raise argument_error("law", f"be one of {', '.join(map(repr, LAWS))}", f"is {law!r}", "choose one")
    l, dim = check_integer("l", l, minimum=1), check_integer("dim", dim, minimum=2)
    exact = check_bool("exact", exact)
    check_known_scalar("epsilon", epsilon, positive=True)
    check_known_scalar("psi", psi, nonnegative=True)
    epsilon, psi = float(epsilon), float(psi)
    if law == "fixed_angle":
        check_angle(epsilon)
    eigenvalue, step = l * (l + dim - 2), epsilon * psi
    if not exact:
        return {
            "fixed_angle": -(epsilon**2) / (4 * (dim + 1)) * (eigenvalue - (dim - 1)),
            "constant_rate": -2 * (dim - 1) / (dim + 1) * step * (eigenvalue - (dim - 1)),
            "heat_kernel": -2 * step * eigenvalue,
        }[law]
    if law == "heat_kernel":
        return _mean_defect(4 * step * eigenvalue)
    if law == "fixed_angle":
        return _defect_at_angle(l, 2 * math.sin(epsilon / 2) ** 2, dim)
    required, y = 4 * (dim - 1) * step, min(4 * (dim - 1) * step, 1.0)
    # If the angle is capped, `y` is less than Landau's rate requires.
    return (1 + _defect_at_angle(l, y, dim)) * (y / required) - 1 if y < required else _defect_at_angle(l, y, dim)


def _mean_defect(x: float) -> float:
    """(1 - e^-x)/x - 1, without cancellation at 0."""
    if x < 1e-2:
        return -x / 2 * (1 - x / 3 * (1 - x / 4 * (1 - x / 5 * (1 - x / 6))))
    return -math.expm1(-x) / x - 1


def _defect_at_angle(l: int, y: float, dim: int) -> float:
    r"""(d-1)(1 - R_l(1 - y))/(y Lambda) - 1, by the terms k >= 2 of
    $R_l(1-y) = \sum_k \frac{(-l)_k (l+d-2)_k}{((d-1)/2)_k\,k!} (y/2)^k$, without cancellation at small y."""
    eigenvalue = l * (l + dim - 2)
    if y * eigenvalue > 1:
        return (dim - 1) * (1 - _harmonic(l, 1 - y, dim)) / (y * eigenvalue) - 1
    total, term = 0.0, 1.0
    for k in range(1, l):
        # Relative to the term k = 1, which is -Lambda y/(d-1).
        term *= (k - l) * (l + dim - 2 + k) / (((dim - 1) / 2 + k) * (k + 1)) * y / 2
        total += term
    return total


def _harmonic(l: int, cosine: float, dim: int) -> float:
    """R_l, the Gegenbauer polynomial with R_l(1) = 1."""
    if dim == 2:
        return math.cos(l * math.acos(cosine))
    from scipy.special import eval_gegenbauer

    order = (dim - 2) / 2
    return float(eval_gegenbauer(l, order, cosine) / eval_gegenbauer(l, order, 1.0))
