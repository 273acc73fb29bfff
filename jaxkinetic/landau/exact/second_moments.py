"""P = E[v_1 v_1^T] and C = E[v_1 v_2^T] for every N, gamma = 0, for the three systems; the heating by Euler-Maruyama steps.

Derivation: docs/derivations/landau_maxwell.md. The discrete recursions follow from the conditional mean and covariance of one
step: (2/N) sum_j b = -2 (d-1) (v_i - mean) and E a(z_12) = 2 tr(X) I - 2 X, with X = P - C.
"""

import numpy as np
from jaxtyping import ArrayLike, Float, Real

from ..._util.checks import argument_error, check_integer
from ..._util.numpy_checks import check_known_scalar, known_matrix

__all__ = ["euler_heating", "second_moments", "second_moments_euler"]

_CONSERVATIVE = {"kac": True, "independent": False, "matrix_sqrt": False}


def _conservative(noise: str) -> bool:
    if noise not in _CONSERVATIVE:
        raise argument_error("noise", f"be one of {', '.join(_CONSERVATIVE)}", f"is {noise!r}", "choose one")
    return _CONSERVATIVE[noise]


def second_moments(
    t: float, p0: Real[ArrayLike, "d d"], c0: Real[ArrayLike, "d d"], num_particles: int, noise: str = "kac"
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """(P, C) at time t, each (d, d), from their values at 0, for the stochastic differential equations.

    **Arguments:** `noise`: "kac", "independent" or "matrix_sqrt": (1.6), (1.7) or (1.8) of [FengWang2025]. The last two have
    the same law. For i.i.d. data of mean m and covariance A: p0 = A + m m^T, c0 = m m^T.
    """
    check_known_scalar("t", t, nonnegative=True)
    t = float(t)
    n, p0, c0 = _checked(num_particles, p0, c0)
    d = len(p0)
    x0 = p0 - c0
    sphere = np.trace(x0) / d * np.eye(d)
    deviator = x0 - sphere
    # X_dev decays exponentially; P and C follow by integration, and for Kac tr X is constant.
    if _conservative(noise):
        loss = deviator * -np.expm1(-4 * d * t)
        return p0 - (n - 1) / n * loss, c0 + loss / n
    rate_trace = 4 * (d - 1) / n
    rate = 4 * d * (n - 1) / n + rate_trace
    x = deviator * np.exp(-rate * t) + sphere * np.exp(-rate_trace * t)
    p = p0 - 4 * d * (n - 1) / n * deviator * -np.expm1(-rate * t) / rate
    return p, p - x


def second_moments_euler(
    num_steps: int,
    dt: float,
    p0: Real[ArrayLike, "d d"],
    c0: Real[ArrayLike, "d d"],
    num_particles: int,
    noise: str = "kac",
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """(P, C) after `num_steps` Euler-Maruyama steps of size dt: the exact law of the discrete scheme."""
    num_steps, h = check_integer("num_steps", num_steps, minimum=0), _step(dt)
    n, p, c = _checked(num_particles, p0, c0)
    d = len(p)
    shared = 1.0 if _conservative(noise) else 0.0
    for _ in range(num_steps):
        x = p - c
        # The step multiplies v_i - mean by 1 - 2 (d - 1) h and adds noise of covariance (2 h/N) E a(z_12) per pair.
        drift = (-4 * (d - 1) * h + 4 * (d - 1) ** 2 * h**2) * x
        noise_pair = 4 * h * (np.trace(x) * np.eye(d) - x)
        p = p + (n - 1) / n * (drift + noise_pair)
        c = c - (drift + shared * noise_pair) / n
    return p, c


def euler_heating(dt: float, dim: int, num_particles: int, noise: str = "kac") -> float:
    """The factor by which one Euler-Maruyama step multiplies the mean of the energy about the mean velocity, given the state.

    Kac: 1 + 4 (d-1)^2 dt^2. Independent noise and matrix square root: less by 4 (d-1) dt / N, the energy that the mean velocity
    gains.
    """
    dt, dim = _step(dt), check_integer("dim", dim, minimum=1)
    num_particles = check_integer("num_particles", num_particles, minimum=2)
    heating = 1 + 4 * (dim - 1) ** 2 * dt**2
    return heating if _conservative(noise) else heating - 4 * (dim - 1) * dt / num_particles


def _step(dt: float) -> float:
    check_known_scalar("dt", dt, positive=True)
    return float(dt)


def _checked(num_particles: int, p0: ArrayLike, c0: ArrayLike) -> tuple[int, np.ndarray, np.ndarray]:
    p0 = known_matrix("p0", p0, positive=True)
    c0 = known_matrix("c0", c0, positive=False, dim=len(p0))
    difference = np.linalg.eigvalsh(p0 - c0)[0]
    if difference < -1e-9 * np.abs(p0).max():
        must = "leave p0 - c0, half the covariance of v_1 - v_2, without a negative eigenvalue"
        raise argument_error("c0", must, f"gives {difference:g}", "pass E[v_1 v_2^T]")
    return check_integer("num_particles", num_particles, minimum=2), p0, c0
