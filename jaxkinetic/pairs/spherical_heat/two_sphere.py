r"""d = 3: the heat kernel on S^2 in closed form, with x = sin^2(theta/2) and y = theta^2/4.

Late (tau >= tau_0): $F = x + 2x(1-x)\sum_{l \ge 1} \frac{2l+1}{l(l+1)} e^{-l(l+1)\tau} P_l'(1-2x)$.
Early (tau < tau_0): integrating the S^2 kernel over the angles beyond theta by parts gives

$\log(1-F) = \tau/4 - y/\tau + \log E\big[\sqrt{D(\theta^2, \theta^2 + 4\tau s)}\big]$, s ~ Gamma(3/2),

D(p, q) = 2 (cos sqrt(p) - cos sqrt(q))/(q - p); Gauss-Laguerre nodes for s; the error is e^{-pi^2/4 tau}.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxkinetic_kernels import square_root

from .general import crossover, num_degrees, series
from .two_sphere_table import CHEBYSHEV

__all__ = ["cumulative", "guess", "quantile"]

# Laguerre's nodes for s.
_NODES = 10
# Of -log(1 - F): below, the logarithm of the whole would lose its digits, and a slope times y does not.
_NEAR = 1e-3


def cumulative(x: Array, tau: Array) -> Array:
    """F(x), relative precision at small x."""
    edge = jnp.asarray(crossover(x.dtype), x.dtype)
    late = _late(x, jnp.maximum(tau, edge))[0]
    y, early = _half_angle_square(x), jnp.minimum(tau, edge)
    whole = _log_survival(y, early)
    # Near 0 log(1 - F) is round-off, but its slope is smooth on the scale y ~ 1: the slope at y/2 times y keeps all digits.
    near = _log_survival_and_slope(y / 2, early)[1] * y
    return jnp.where(tau < edge, -jnp.expm1(jnp.where(near > -_NEAR, near, whole)), late)


def quantile(u: Array, tau: Array) -> Array:
    """x with F(x) = u: `guess`, followed in float64 by a Newton step, which squares the error."""
    x = guess(u, tau)
    if jnp.finfo(x.dtype).bits <= 32:
        return x
    edge = jnp.asarray(crossover(x.dtype), x.dtype)
    late, early = jnp.maximum(tau, edge), jnp.minimum(tau, edge)
    y, target = _half_angle_square(x), jnp.log1p(-u)
    near = target > -_NEAR
    value, density = _late(x, late)
    # In the far tail the density is round-off, and so would be the step: bounded below.
    step = (value - u) / jnp.maximum(density, 1e-12)
    x = jnp.clip(x - jnp.clip(step, -1 / 64, x / 8), 0, 1)
    whole, slope = _log_survival_and_slope(jnp.where(near, y / 2, y), early)
    y = jnp.where(near, target / slope, jnp.clip(y - (whole - target) / slope, y / 2, 2 * y))
    by_angle = jnp.sin(jnp.minimum(jnp.sqrt(y), np.pi / 2)) ** 2
    return jnp.where(tau < edge, by_angle, x)


def guess(u: Array, tau: Array) -> Array:
    r"""x = v C(v, q), with an error in F below 5e-6 for every tau: final in float32, a first guess in float64.

    q = e^{-2 tau}; v is the quantile of the density proportional to e^{-kappa v} on [0, 1], with
    $\kappa = (\pi^2/2)\,q/(1-q) + (6 - \pi^2/2)\,q$, which makes it correct to first order at both ends of the range of tau.
    """
    q, one_minus_q = jnp.exp(-2 * tau), -jnp.expm1(-2 * tau)
    # Bounded below, so that u kappa does not underflow.
    kappa = jnp.maximum(np.pi**2 / 2 * q / one_minus_q + (6 - np.pi**2 / 2) * q, 1e-10)
    v = -jnp.log1p(u * jnp.expm1(-kappa)) / kappa
    rows = [_clenshaw(4 * q - 2, row) for row in CHEBYSHEV]
    return jnp.clip(v * _clenshaw(4 * v - 2, rows), 0, 1)


def _clenshaw(twice: Array, coefficients: list[Array] | tuple[float, ...]) -> Array:
    """sum_k c_k T_k, `twice` being twice the argument."""
    after, here = jnp.zeros_like(twice), jnp.zeros_like(twice)
    for c in coefficients[:0:-1]:
        after, here = here, twice * here - after + c
    return twice / 2 * here - after + coefficients[0]


def _late(x: Array, tau: Array) -> tuple[Array, Array]:
    """(F, dF/dx) by harmonics."""
    value, _ = series(1 - 2 * x, tau, 3)
    total, below, here = jnp.zeros_like(x), jnp.zeros_like(x), jnp.ones_like(x)
    cosine = 1 - 2 * x
    for degree in range(1, num_degrees(x.dtype) + 1):
        total = total + (2 * degree + 1) / (degree * (degree + 1)) * jnp.exp(-degree * (degree + 1) * tau) * here
        # P'_{l+1} = ((2l+1) c P'_l - (l+1) P'_{l-1}) / l
        below, here = here, ((2 * degree + 1) * cosine * here - (degree + 1) * below) / degree
    return x + 2 * x * (1 - x) * total, value


@functools.cache
def _laguerre() -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import roots_genlaguerre

    nodes, weights = roots_genlaguerre(_NODES, 0.5)
    return nodes, weights / weights.sum()


def _log_survival(y: Array, tau: Array) -> Array:
    theta = 2 * jnp.sqrt(y)
    mean = jnp.zeros_like(y)
    for node, weight in zip(*_laguerre(), strict=True):
        phi = jnp.sqrt(4 * y + 4 * node * tau)
        difference = jnp.sinc((phi + theta) / (2 * np.pi)) * jnp.sinc((phi - theta) / (2 * np.pi))
        # Angles beyond the antipode do not contribute.
        mean = mean + weight * square_root(jnp.where(difference > 0, difference, 0))
    return tau / 4 - y / tau + jnp.log(mean)


def _log_survival_and_slope(y: Array, tau: Array) -> tuple[Array, Array]:
    return jax.jvp(lambda y: _log_survival(y, tau), (y,), (jnp.ones_like(y),))


def _half_angle_square(x: Array) -> Array:
    return jnp.arctan2(jnp.sqrt(x), jnp.sqrt(1 - x)) ** 2
