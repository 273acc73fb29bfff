r"""Kac's system at gamma = 0, centred: Q4 = <|v|^4>, e^2 and T2 = tr S^2, whose equations are closed. S = <v v^T>, e = tr S;
<.> is the mean over the N particles of one run. Derivation: docs/derivations/landau_maxwell.md, and for the discrete scheme in
`_euler_matrix`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import ArrayLike, Float, Real

from ..._util.checks import argument_error, check_integer
from ..._util.numpy_checks import check_known_scalar, known_matrix, known_numbers

__all__ = ["kac_quartic", "kac_quartic_euler", "quartic_start"]


def quartic_start(
    covariance: Real[ArrayLike, "d d"], num_particles: int, fourth_moment: float | None = None
) -> Float[np.ndarray, "3"]:
    """E (Q4, e^2, T2) of i.i.d. data, centred by their sample mean.

    **Arguments:** `covariance`: (d, d), of a Gaussian. `fourth_moment`: E|v|^4, if the law is isotropic but not Gaussian. Its
    fourth cumulant then enters only through the diagonal of the projection v_i -> v_i - <v>.
    """
    sigma, num_particles = known_matrix("covariance", covariance, positive=True), _number(num_particles)
    n, big = num_particles - 1, num_particles
    t1, t2 = np.trace(sigma), np.trace(sigma @ sigma)
    start = np.array([
        (1 - 1 / big) ** 2 * (t1**2 + 2 * t2),
        (n**2 * t1**2 + 2 * n * t2) / big**2,
        (n * (n + 1) * t2 + n * t1**2) / big**2,
    ])  # fmt: skip
    if fourth_moment is not None:
        check_known_scalar("fourth_moment", fourth_moment)
        if fourth_moment < t1**2 * (1 - 1e-9):
            was = f"is {fourth_moment:g}"
            raise argument_error("fourth_moment", f"be at least (tr covariance)^2 = {t1**2:g}", was, "pass E|v|^4")
        excess = fourth_moment - (t1**2 + 2 * t2)
        single = excess * (1 - 1 / big) ** 2 / big
        start = start + np.array([excess * ((1 - 1 / big) ** 4 + n / big**4), single, single])
    return start


def kac_quartic(
    t: float, start: Real[ArrayLike, "3"] | Sequence[float], num_particles: int, dim: int
) -> Float[np.ndarray, "3"]:
    """E (Q4, e^2, T2) at time t: Q4' = -4D Q4 + 4(d+1) e^2 - 8 T2, T2' = -8d T2 + 8 e^2 + (4D/N)(Q4 + e^2 + 2 T2),
    D = d - 1, e constant."""
    from scipy.linalg import expm

    d, big = check_integer("dim", dim, minimum=1) - 1, _number(num_particles)
    check_known_scalar("t", t, nonnegative=True)
    rates = np.array([
        [-4 * d, 4 * (dim + 1), -8],
        [0, 0, 0],
        [4 * d / big, 8 + 4 * d / big, -8 * dim + 8 * d / big],
    ])  # fmt: skip
    return expm(float(t) * rates) @ known_numbers("start", start, shape=(3,), nonnegative=True)


def kac_quartic_euler(
    num_steps: int, dt: float, start: Real[ArrayLike, "3"] | Sequence[float], num_particles: int, dim: int
) -> Float[np.ndarray, "3"]:
    """E (Q4, e^2, T2) after `num_steps` Euler-Maruyama steps of size dt: the exact law of the discrete scheme."""
    num_steps, dim = check_integer("num_steps", num_steps, minimum=0), check_integer("dim", dim, minimum=1)
    check_known_scalar("dt", dt, positive=True)
    step = _euler_matrix(float(dt), _number(num_particles), dim)
    return np.linalg.matrix_power(step, num_steps) @ known_numbers("start", start, shape=(3,), nonnegative=True)


def _number(num_particles: int) -> int:
    return check_integer("num_particles", num_particles, minimum=2)


def _euler_matrix(h: float, big: int, dim: int) -> Float[np.ndarray, "3 3"]:
    """The matrix of one step on E (Q4, e^2, T2). A step is v_i -> c v_i + xi_i, c = 1 - 2 D h, with xi Gaussian of covariances
    Cov(xi_i, xi_j) = delta_ij A_i - (2h/N) a(v_i - v_j), A_i = 2h [(|v_i|^2 + e) I - v_i v_i^T - S]. By Isserlis' theorem and
    sum_i v_i = 0 the new moments depend on Q4, e^2 and T2 only."""
    d = dim - 1
    c = 1 - 2 * d * h
    q4, e2, t2 = np.eye(3)
    # <(tr A)^2>, <tr A^2> and the mean of |v_i - v_j|^4 over all i and j, in terms of Q4, e^2 and T2.
    trace_a_squared = 4 * h**2 * d**2 * (q4 + 3 * e2)
    square_a = 4 * h**2 * (dim * (q4 + 3 * e2) - q4 - 6 * e2 + 3 * t2)
    r4 = 2 * q4 + 2 * e2 + 4 * t2
    new_q4 = c**4 * q4 + 4 * c**2 * h * d * (q4 + e2) + 8 * c**2 * h * (e2 - t2) + trace_a_squared + 2 * square_a
    # Given the state: the square of the mean of e, plus the variance of e.
    new_e2 = (1 + 4 * d**2 * h**2) ** 2 * e2 + 2 / big * (square_a + 4 * h**2 / big * d * r4)
    k = c**2 - 4 * h
    new_t2 = (
        k**2 * t2 + 8 * h * k * e2 + 16 * h**2 * dim * e2
        + 4 * c**2 * h * d / big * (q4 + e2 + 2 * t2)
        + 1 / big * (trace_a_squared + square_a + 4 * h**2 / big * (d**2 + d) * r4)
    )  # fmt: skip
    return np.stack([new_q4, new_e2, new_t2])
