r"""Hard spheres, Sigma = r, with annihilation: the solution for small alpha, and rates at t = 0.

$n' = -\alpha n^2 \langle r\rangle$, and for a Maxwellian $\langle r\rangle = c_d \sqrt T$, $c_d =
2\Gamma((d+1)/2)/\Gamma(d/2)$. Derivation: docs/derivations/annihilation.md.
"""

from math import gamma

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._util.checks import argument_error, check_integer, describe
from ..._util.numpy_checks import check_known, check_known_scalar, known_times
from ..._util.types import Values, ValuesLike
from ...states import Particles, check_particles
from ..cross_sections import AbstractCrossSection
from .bkw import checked_alpha

__all__ = ["hard_sphere_density", "hard_sphere_temperature", "initial_rates", "mean_relative_speed", "pressure_rate"]


def mean_relative_speed(dim: int) -> float:
    """c_d = E|v - v_*| for two independent Maxwellian velocities of temperature 1: 4/sqrt(pi) in d = 3."""
    dim = check_integer("dim", dim, minimum=1)
    return 2 * gamma((dim + 1) / 2) / gamma(dim / 2)


def hard_sphere_density(t: ValuesLike, dim: int, alpha: float) -> Values:
    r"""n(t) = $(1 + \frac{4d+1}{4d} \alpha c_d t)^{-4d/(4d+1)}$: exact as alpha -> 0 with alpha t fixed, when collisions
    keep the gas Maxwellian. n = T = 1 at t = 0. For larger alpha the exponent at long times in d = 3 is .9225 (alpha = .1),
    .9213 (.25) and .9145 (.75) instead of 12/13 = .9231."""
    clock = checked_alpha(alpha) * mean_relative_speed(dim) * known_times(t)
    return (1 + (4 * dim + 1) / (4 * dim) * clock) ** (-4 * dim / (4 * dim + 1))


def hard_sphere_temperature(t: ValuesLike, dim: int, alpha: float) -> Values:
    r"""T(t) = $n(t)^{1/2d}$ in the same limit: fast particles meet more often, so the gas cools."""
    return hard_sphere_density(t, dim, alpha) ** (1 / (2 * dim))


def initial_rates(dim: int, alpha: float, temperature: float = 1.0) -> tuple[float, float]:
    r"""(n', T') at t = 0 from a Maxwellian with n = 1, for every alpha: $n' = -\alpha c_d \sqrt T$, $T' = T n'/(2d)$."""
    check_known_scalar("temperature", temperature, nonnegative=True)
    slope = -checked_alpha(alpha) * mean_relative_speed(dim) * float(temperature) ** 0.5
    return slope, float(temperature) * slope / (2 * dim)


def pressure_rate(cross_section: AbstractCrossSection, volume: float, state: Particles) -> Float[np.ndarray, "d d"]:
    r"""d/dt E dev sum_i v_i v_i^T given the state, for alpha = 0, uniform z', every N and every cross section:

    $-\frac1{2\Lambda} \sum_{i<j} \Sigma(r_{ij})\,\mathrm{dev}(z_{ij} z_{ij}^T)$; (d, d). Cost N^2."""
    if not isinstance(cross_section, AbstractCrossSection):
        must, do = "be a cross section", "pass jk.boltzmann.HardSphere(), say"
        raise argument_error("cross_section", must, f"is {describe(cross_section)}", do)
    check_particles(state, 1)
    check_known_scalar("volume", volume, positive=True)
    check_known("cross_section", cross_section)
    check_known("state", state)
    v = np.asarray(state.velocity, float)[np.asarray(state.alive)]
    first, second = np.triu_indices(len(v), 1)
    z = v[first] - v[second]
    r2 = np.sum(z**2, axis=1)
    sigma = np.asarray(cross_section.sigma(jnp.asarray(r2, state.velocity.dtype)), float)
    dim = v.shape[1]
    return -(np.einsum("p,pa,pb->ab", sigma, z, z) - np.eye(dim) * np.sum(sigma * r2) / dim) / (2 * float(volume))
