r"""The overlaps of N particles in a harmonic potential with their mean field: Gaussian integrals."""

import math
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Complex, Float, Real

from ..._util.checks import argument_error, check_integer
from ..._util.numpy_checks import check_known_scalar, known_numbers
from ..._util.types import Rows

__all__ = ["harmonic_overlap"]


def harmonic_overlap(
    num_particles: int,
    time: float,
    covariance: Real[ArrayLike, "2 2"] | Rows,
    *,
    chirp: Real[ArrayLike, "2 2"] | Rows = ((0.0, 0.0), (0.0, 0.0)),
    stiffness: float = 1.0,
    swaps: int = 1,
) -> float:
    r"""$\pi_m = \langle p_1 \cdots p_m\rangle$, m = `swaps`, for `Harmonic(stiffness)`, d = 1, and all particles in
    $\alpha_0 \sim \exp(-z^T\Sigma^{-1}z/4 + i z^T B z/2)$ at time 0; $\langle n^2\rangle = 1 - \pi_1$.

    Both evolutions are linear maps of phase space: the mean moves freely, relative modes rotate with the frequency
    $\sqrt{\kappa N/(N-1)}$, those of the mean field with $\sqrt\kappa$. With $A = \Sigma^{-1}/2 - iB$, $a = R^T A R$, $b = F^T
    A F - a$ the N-particle exponent is $-\frac12 Z^T(a \otimes 1 + b \otimes J/N)Z$, and $\pi_m = \det\Sigma^{-(N+m)/2} \det
    W^{-1/2}$, where W is the matrix of the quadratic form of the integral over N + m points. Cost (N + m)^3.

    **Arguments:** `covariance`: Sigma of |alpha_0|^2, (2, 2). `chirp`: B, real and symmetric. **Raises:** `ValueError` for
    N < 2, m > N, matrices that are not symmetric, and a Sigma that is not positive definite."""
    num = check_integer("num_particles", num_particles, minimum=2)
    m = check_integer("swaps", swaps, minimum=0)
    if m > num:
        raise argument_error("swaps", f"be at most N = {num}", f"is {m}", "lower it")
    check_known_scalar("time", time)
    check_known_scalar("stiffness", stiffness, positive=True)
    sigma, phase = _symmetric("covariance", covariance), _symmetric("chirp", chirp)
    if np.linalg.eigvalsh(sigma).min() <= 0:
        raise argument_error("covariance", "be positive definite", f"is {sigma.tolist()}", "pass that of |alpha_0|^2")
    form = np.linalg.inv(sigma) / 2 - 1j * phase
    free = np.array([[1.0, -time], [0.0, 1.0]])

    def turned(omega: float) -> Complex[np.ndarray, "2 2"]:
        """The quadratic form transported back to time 0 under a rotation of frequency omega."""
        c, s = math.cos(omega * time), math.sin(omega * time)
        back = np.array([[c, -s / omega], [omega * s, c]])
        return back.T @ form @ back

    own, mean = turned(math.sqrt(stiffness * num / (num - 1))), free.T @ form @ free
    field = turned(math.sqrt(stiffness))
    whole = np.kron(np.eye(num), own) + np.kron(np.ones((num, num)) / num, mean - own)
    k = 2 * m
    inner, outer, cross = whole[:k, :k], whole[k:, k:], whole[:k, k:]
    alone = np.kron(np.eye(m), field)
    nothing = np.zeros((k, k))
    form = np.block(
        [
            [alone.conj() + inner, nothing, cross],
            [nothing, alone + inner.conj(), cross.conj()],
            [cross.T, cross.conj().T, outer + outer.conj()],
        ]
    )
    # Re W > 0, so the eigenvalues lie in the right half plane, where the principal root is continuous.
    logarithm = -np.sum(np.log(np.linalg.eigvals(form))) / 2 - (num + m) * np.log(np.linalg.det(sigma)) / 2
    return float(np.exp(logarithm).real)


def _symmetric(name: str, matrix: Any) -> Float[np.ndarray, "2 2"]:
    out = known_numbers(name, matrix, finite=False)
    if out.shape != (2, 2) or not np.isfinite(out).all() or not np.allclose(out, out.T):
        raise argument_error(name, "be a symmetric (2, 2) matrix", f"is {out.tolist()}", "order it as (x, v)")
    return out
