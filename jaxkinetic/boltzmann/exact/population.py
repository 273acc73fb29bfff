r"""The number of particles alive, for Maxwell molecules: a Markov chain, N -> N - 2 at rate alpha N(N-1)/(2 Lambda)."""

import numpy as np
from jaxtyping import Float, Int

from ..._util.checks import argument_error, check_integer
from ..._util.numpy_checks import check_known_scalar, known_times
from ..._util.types import Values, ValuesLike
from .bkw import checked_alpha

__all__ = ["death_law", "death_moments", "hierarchy_masses"]

_MOST = 2000


def death_moments(t: ValuesLike, num: int, volume: float, alpha: float) -> tuple[Values, Values]:
    r"""(E N(t), Var N(t)) from N(0) = `num`, for every num, volume and alpha, each of the shape of `t`.

    $E N = N_0 \sum_l c_l e^{-l(l+1)\alpha t/2\Lambda}$, $E N(N-1) = N_0 \sum_l c_l \frac{l(l+1)}2 e^{..}$ over l of the
    parity of m = N_0 - 1, $c_l = (2l+1)\, m! / (2^{(m-l)/2} ((m-l)/2)!\,(l+m+1)!!)$. All terms are positive. Derivation:
    docs/derivations/annihilation.md.
    """
    num, rate = check_integer("num", num, minimum=1), _rate(volume, alpha)
    t = known_times(t)[..., None]
    l, c = _legendre_coefficients(num)
    eigenvalue = l * (l + 1) / 2
    terms = num * c * np.exp(-eigenvalue * rate * t)
    mean, factorial = terms.sum(-1), (terms * eigenvalue).sum(-1)
    return mean, factorial + mean - mean**2


def death_law(t: float, num: int, volume: float, alpha: float) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """(numbers, probabilities): the law of N(t) from N(0) = `num` <= 2000, by the exponential of the matrix of rates. The
    numbers decrease from `num` in steps of 2 to 0 or 1."""
    from scipy.linalg import expm

    num, rate = check_integer("num", num, minimum=1), _rate(volume, alpha)
    if num > _MOST:
        raise argument_error(
            "num", f"be at most {_MOST}", f"is {num}", "use `death_moments`, or a normal approximation"
        )
    check_known_scalar("t", t, nonnegative=True)
    numbers = np.arange(num, -1, -2)
    rates = rate * numbers * (numbers - 1.0) / 2
    generator = np.diag(-rates) + np.diag(rates[:-1], 1)
    return numbers, np.clip(expm(float(t) * generator)[0], 0, 1)


def hierarchy_masses(t: ValuesLike, order: int, num: int, volume: float, alpha: float) -> tuple[Values, Values]:
    r"""The mass of the l-particle function f_l, l = `order`, for Maxwell molecules: (in the limit, for N_0 = `num` particles),
    each of the shape of `t`.

    In the limit N_0, Lambda -> infinity, at n_0 = N_0/Lambda, f_l tends to f^(x)l, whose mass is
    $\big(n_0/(1 + \alpha n_0 t)\big)^l$: the annihilated hierarchy (5.1) of [LodsNotaPezzotti2020]. For finite N_0 the mass is
    the factorial moment, for every order, num, volume and alpha,

    $$\Lambda^{-l} E\,N(N-1)\cdots(N-l+1) = \Lambda^{-l} N_0 \sum_k c_k P_k^{(l-1)}(1) e^{-k(k+1)\alpha t/2\Lambda},\qquad
    P_k^{(j)}(1) = \frac{(k+j)!}{2^j j! (k-j)!},$$

    with c_k as in `death_moments`; P_k is Legendre's polynomial. (The generating function G of N satisfies
    $\partial_t G = \frac{\alpha}{2\Lambda} (1 - z^2) G''$.) All terms are positive; for
    l > N_0 there are none.

    **Raises:** `ValueError` for order < 1, and for arguments out of range."""
    num, rate, order = (
        check_integer("num", num, minimum=1),
        _rate(volume, alpha),
        check_integer("order", order, minimum=1),
    )
    t = known_times(t)[..., None]
    k, c = _legendre_coefficients(num)
    mass = num / float(volume) * c * np.exp(-k * (k + 1) / 2 * rate * t)
    for j in range(1, order):
        # Divided by Lambda factor by factor, so that no product overflows.
        mass = mass * ((k + j) * (k - j + 1.0) / (2 * j * float(volume)))
    density = num / float(volume)
    return (density / (1 + checked_alpha(alpha) * density * t[..., 0])) ** order, mass.sum(-1)


def _legendre_coefficients(num: int) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """(l, c_l) of `death_moments`: $z^m = \\sum_l c_l P_l(z)$, m = num - 1."""
    m = num - 1
    l = np.arange(m % 2, m + 1, 2)
    # From the ratios c_{l+2}/c_l and the sum 1 of all c_l: with log m! too few digits remain for the variance.
    below = l[:-1]
    ratio = (2 * below + 5) / (2 * below + 1) * (m - below) / (below + m + 3)
    log_c = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    c = np.exp(log_c - log_c.max())
    return l, c / c.sum()


def _rate(volume: float, alpha: float) -> float:
    check_known_scalar("volume", volume, positive=True)
    return checked_alpha(alpha) / float(volume)
