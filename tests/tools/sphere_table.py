"""How the table behind the quantile on S^2 is made: `python tests/tools/sphere_table.py` prints it.

The exact quantile, in float64 numpy and by formulas of its own, at Chebyshev's nodes in (v, q); tensor interpolation of x/v.
"""

import numpy as np
from numpy.polynomial import chebyshev, legendre
from scipy.special import eval_legendre, roots_genlaguerre

DEGREE = 13


def chebyshev_nodes(count):
    return 0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


def by_harmonics(x, tau):
    """F for tau >= .05."""
    total = np.array(x)
    for degree in range(1, 32):
        difference = eval_legendre(degree - 1, 1 - 2 * x) - eval_legendre(degree + 1, 1 - 2 * x)
        total = total + np.exp(-degree * (degree + 1) * tau) * difference / 2
    return total


def survival_by_images(theta, tau):
    """1 - F as an integral over the angles beyond theta, all images of the pole included; relative precision."""
    t, weights = legendre.leggauss(64)
    t, weights = (1 + t) / 2, weights / 2
    reach = np.pi - theta[..., None]
    phi = theta[..., None] + reach * t**2
    kernel = sum(
        (-1) ** k * (phi + 2 * np.pi * k) * np.exp(-((phi + 2 * np.pi * k) ** 2) / (4 * tau[..., None]))
        for k in range(-3, 4)
    )
    root = np.sqrt(2 * np.abs(np.sin((phi + theta[..., None]) / 2) * np.sin((phi - theta[..., None]) / 2)))
    integral = (weights * kernel * root * 2 * t * reach).sum(-1)
    return 4 * np.pi * np.sqrt(2) * np.exp(tau / 4) * (4 * np.pi * tau) ** -1.5 * integral


def log_survival_early(theta, tau):
    """log(1 - F) for tau <= .05."""
    nodes, weights = roots_genlaguerre(40, 0.5)
    phi = np.sqrt(theta[..., None] ** 2 + 4 * tau[..., None] * nodes)
    sincs = np.sinc((phi + theta[..., None]) / (2 * np.pi)) * np.sinc((phi - theta[..., None]) / (2 * np.pi))
    mean = (weights / weights.sum() * np.sqrt(np.maximum(sincs, 0))).sum(-1)
    return tau / 4 - theta**2 / (4 * tau) + np.log(mean)


def kappa(tau):
    q = np.exp(-2 * tau)
    return np.pi**2 / 2 * q / -np.expm1(-2 * tau) + (6 - np.pi**2 / 2) * q


def exact(v, tau):
    """x at the place v of the law e^{-kappa v}, by bisection in theta."""
    k = kappa(tau)
    log_target = -k * v + np.log(-np.expm1(-k * (1 - v))) - np.log(-np.expm1(-k))
    u = np.expm1(-k * v) / np.expm1(-k)
    low, high = np.zeros_like(v), np.full_like(v, np.pi)
    early, late = np.minimum(tau, 0.05), np.maximum(tau, 0.05)
    for _ in range(60):
        theta = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = np.log(survival_by_images(theta, late)) > log_target
        body = by_harmonics(np.sin(theta / 2) ** 2, late) < u
        below = np.where((late < 1) & (u > 0.3), tail, body)
        below = np.where(tau < 0.05, log_survival_early(theta, early) > log_target, below)
        low, high = np.where(below, theta, low), np.where(below, high, theta)
    return np.sin(low / 2) ** 2


def table():
    """c[i, j] of x/v = sum c_ij T_i(2v - 1) T_j(2q - 1)."""
    nodes = chebyshev_nodes(DEGREE + 1)
    v, q = np.meshgrid(nodes, nodes, indexing="ij")
    ratio = (exact(v.ravel(), -0.5 * np.log(q.ravel())) / v.ravel()).reshape(v.shape)
    vandermonde = chebyshev.chebvander(2 * nodes - 1, DEGREE)
    return np.linalg.solve(vandermonde, np.linalg.solve(vandermonde, ratio.T).T)


if __name__ == "__main__":
    print(
        '"""x/v = sum c_ij T_i(2v - 1) T_j(2q - 1) of `_heat_sphere.guess`; made by `tests/tools/sphere_table.py`."""\n'
    )
    print("# fmt: off\nCHEBYSHEV: tuple[tuple[float, ...], ...] = (")
    for row in table():
        numbers = [f"{c:.3e}" if abs(c) < 1e-4 else f"{c:.8f}" for c in row]
        half = len(numbers) // 2
        print("    (" + ", ".join(numbers[:half]) + ",\n     " + ", ".join(numbers[half:]) + "),")
    print(")")
