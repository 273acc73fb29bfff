r"""The Bobylev-Krook-Wu solution of the Landau equation for Maxwell molecules, any d, T = 1, mean 0.

$f = (2\pi K)^{-d/2} e^{-|v|^2/2K} \big[\frac{(d+2)K - d}{2K} + \frac{(1-K)|v|^2}{2K^2}\big]$,
$K = 1 - \beta e^{-2(d-1)t}$, with $0 \le \beta \le 2/(d+2)$. It has the form of the solution of the Boltzmann equation in
[KrookWu1977]. Derivation: docs/derivations/landau_maxwell.md.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Real
from numpy.polynomial import Polynomial

from ..._util import bkw as _bkw
from ..._util.checks import argument_error, check_integer, scalar_or_nan
from ..._util.numpy_checks import check_key, check_known_scalar, known_numbers, known_times
from ..._util.types import Key, RealScalarLike, Values, ValuesLike
from ...states import Particles, check_particles

__all__ = [
    "bkw_density", "bkw_entropy", "bkw_moment", "isotropic_moments_euler", "maxwellian_entropy", "ornstein_uhlenbeck",
]  # fmt: skip


def _width(t: ValuesLike, dim: int, beta: float) -> Values:
    dim = check_integer("dim", dim, minimum=1)
    return _bkw.width(np.exp(-2 * (dim - 1) * known_times(t)), dim, beta)


def bkw_density(speed: ValuesLike, t: ValuesLike, dim: int, beta: float) -> Values:
    """f(t, v) at |v| = `speed`. **Raises:** `ValueError` for beta outside [0, 2/(d+2)], negative times and speeds."""
    return _bkw.density(speed, _width(t, dim, beta), dim)


def bkw_moment(t: ValuesLike, order: int, dim: int, beta: float) -> Values:
    r"""$\int |v|^{2m} f = K^m (1 + m (1-K)/K) \prod_{l<m} (d + 2l)$, for even `order` = 2m."""
    return _bkw.moment(_width(t, dim, beta), order, dim)


def bkw_entropy(t: ValuesLike, dim: int, beta: float) -> Values:
    """H(t) = int f log f, by Gauss-Legendre quadrature in |v| (600 nodes on [0, 16]; error below 1e-12). It decreases in t."""
    return _bkw.entropy(_width(t, dim, beta), dim)


def maxwellian_entropy(dim: int, temperature: ValuesLike = 1.0) -> Values:
    r"""$\int M \log M = -\frac d2 (1 + \log 2\pi T)$, the smallest H at temperature T."""
    dim = check_integer("dim", dim, minimum=1)
    return -dim / 2 * (1 + np.log(2 * math.pi * known_numbers("temperature", temperature, positive=True)))


def ornstein_uhlenbeck(key: Key, state: Particles, t: RealScalarLike) -> Particles:
    r"""An i.i.d. sample of the exact solution at time t, from an i.i.d. sample of the isotropic datum f_0 (T = 1, mean 0).

    $v_t = e^{-(d-1)t} v_0 + \sqrt{1 - e^{-2(d-1)t}}\,\xi$, xi standard normal: for Maxwell molecules the collision operator
    acts on isotropic f of temperature 1 as the generator of an Ornstein-Uhlenbeck process does [Villani1998]. Differentiable in
    t > 0; at t = 0 the derivative of a path is infinite.

    **Raises:** `ValueError` for t < 0; a traced negative t gives NaN.
    """
    t = scalar_or_nan("t", t, nonnegative=True)
    check_key("key", key)
    check_particles(state, 1)
    v = state.velocity
    decay = jnp.exp(-(state.dim - 1) * jnp.asarray(t, v.dtype))
    noise = jax.random.normal(key, v.shape, v.dtype)
    return Particles(decay * v + jnp.sqrt(1 - decay**2) * noise, state.position, state.alive, state.ident)


def isotropic_moments_euler(
    num_steps: int, dt: float, moments: Real[ArrayLike, "3"] | Sequence[float], dim: int
) -> Float[np.ndarray, "{num_steps}+1 3"]:
    """(<|v|^2>, <|v|^4>, <|v|^6>) after each of `num_steps` Euler-Maruyama steps of size dt, as N -> infinity.

    **Arguments:** `moments`: the three at step 0 of an isotropic, centred law. **Returns:** (num_steps + 1, 3).

    One step of a particle of velocity v, where <|v|^2> = e: v is multiplied by c = 1 - 2 (d-1) dt and receives Gaussian noise
    of variance 2 dt k along v and 2 dt (|v|^2 + k) across v, k = e (d-1)/d. The law stays isotropic.
    """
    num_steps, dim = check_integer("num_steps", num_steps, minimum=0), check_integer("dim", dim, minimum=1)
    check_known_scalar("dt", dt, positive=True)
    m2, m4, m6 = start = known_numbers("moments", moments, shape=(3,), nonnegative=True)
    if m4 < m2**2 * (1 - 1e-9) or m2 * m6 < m4**2 * (1 - 1e-9):
        raise argument_error(
            "moments",
            "be moments of a probability law",
            f"is {start.tolist()}",
            "<|v|^4> is at least <|v|^2>^2, and so on",
        )
    out = [start]
    c, q = 1 - 2 * (dim - 1) * dt, Polynomial([0.0, 1.0])
    for _ in range(num_steps):
        bath = out[-1][0] * (dim - 1) / dim
        s2 = 2 * dt * bath
        across = 2 * dt * (q + bath)
        # Even moments of the components of the new velocity along v (x) and across it (y), as polynomials in q = |v|^2.
        x = [1, c**2 * q + s2, c**4 * q**2 + 6 * c**2 * s2 * q + 3 * s2**2]
        x.append(c**6 * q**3 + 15 * c**4 * s2 * q**2 + 45 * c**2 * s2**2 * q + 15 * s2**3)
        y = [1]
        for l in range(3):
            y.append(y[-1] * (dim - 1 + 2 * l) * across)
        averages = np.concatenate([[1.0], out[-1]])
        new = []
        for m in (1, 2, 3):
            total = sum((math.comb(m, l) * x[l] * y[m - l] for l in range(m + 1)), Polynomial([0.0]))
            new.append(float(np.dot(total.coef, averages[: len(total.coef)])))
        out.append(np.array(new))
    return np.stack(out)
