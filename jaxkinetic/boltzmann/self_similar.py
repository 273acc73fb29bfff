"""Self-similar solutions of the Boltzmann equation with annihilation: what its densities tend to as they vanish."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import Range, argument_error, cast_floating, check_integer, concrete_array, is_traced, scalar_or_nan
from .._util.gradients import implicit_root
from .._util.printing import Printed
from .._util.types import RealScalar, RealScalarLike
from ..radial import RadialDensity, RadialGrid
from .collision_tensor import collision_tensor
from .cross_sections import AbstractCrossSection
from .isotropic_pde import check_uniform, mass_rate

__all__ = ["SelfSimilar", "self_similar_profile"]

# The largest |xi|: 8.5 times its standard deviation 1/sqrt(2).
_RADIUS = 6.0
# Newton's method converges quadratically from the Maxwellian: 5 steps suffice up to alpha = .8.
_STEPS = 8
_ALPHA = Range("be in [0, 0.8]", "at larger alpha run `IsotropicPDE`", low=0.0, high=0.8)


class SelfSimilar(Printed):
    r"""The solution $f = n (2T)^{-3/2} \psi(v/\sqrt{2T})$ with $n \sim t^{-\xi}$, $T \sim t^{-\zeta}$ at long times.

    `profile`: psi, a `RadialDensity` with mass 1 and $\int |x|^2 \psi = d/2$. `xi`, `zeta`: the exponents, with $\xi + \gamma
    \zeta/2 = 1$ for Sigma = C r^gamma. `kurtosis`: $\langle |v|^4 \rangle / (d (d + 2) T^2)$, 1 for a Maxwellian. `frequency`:
    $\langle\Sigma\rangle$ in psi, so that $n' = -\alpha\,\langle\Sigma\rangle\,n^2 (2T)^{\gamma/2}$."""

    profile: RadialDensity
    xi: RealScalar
    zeta: RealScalar
    kurtosis: RealScalar
    frequency: RealScalar


def self_similar_profile(
    cross_section: AbstractCrossSection, annihilation: RealScalarLike, *, num: int = 80
) -> SelfSimilar:
    r"""The stationary solution of (6.6) of [LodsNotaPezzotti2020] for isotropic psi in R^3,

    $$(A - dB)\,\psi + B\,\mathrm{div}(\xi\psi) = (1-\alpha)\,Q(\psi,\psi) - \alpha\,Q_-(\psi,\psi),$$

    with mass 1 and energy d/2, by Newton's method for psi, A - dB and B on `num` nodes of [0, 6]. For Sigma = C r^gamma; xi,
    zeta and psi do not depend on C. With $a_k = \int |\xi|^k Q_-$: $p = (2 a_2/d - a_0)/a_0$, $\xi = 1/(1 + \gamma p/2)$,
    $\zeta = p\,\xi$. As alpha -> 0, $\xi \to 12/13$ for hard spheres, and psi tends to the Maxwellian; at alpha = 0, where
    nothing vanishes, it is this limit. For Maxwell molecules psi is the Maxwellian, xi = 1, zeta = 0: the temperature is
    constant. For gamma = 2 it is the Maxwellian too: xi = 3/4, zeta = 1/4.

    Error for hard spheres at num = 80, of order 4: 2e-8 in xi, 4e-8 in zeta, 4e-8 in the kurtosis; in float32 1e-6, 2e-6 and
    1e-5. Cost O(num^3) per step. Differentiable in alpha and in the parameters of the cross section, in reverse and forward
    mode. Nondimensional.

    **Raises:** `ValueError` for something that is not a cross section, one with its own `scatter` or that is no power of r,
    alpha outside [0, .8]. For hard spheres the distance from the profile decreases as n^4.3, n^1.5, n^.6, n^.4 at alpha = .1,
    .25, .5, .8 (linearised, measured): for more annihilation a solution is far from it until almost nothing is left."""
    check_uniform(cross_section)
    alpha = concrete_array(scalar_or_nan("annihilation", annihilation, within=_ALPHA))
    num = check_integer("num", num, minimum=32)
    return _solve(cast_floating(cross_section, alpha.dtype), _exponent(cross_section, alpha.dtype), alpha, num)


@eqx.filter_jit
def _solve(cross_section: AbstractCrossSection, gamma: RealScalar, alpha: RealScalar, num: int) -> SelfSimilar:
    grid = RadialGrid(jnp.asarray(_RADIUS, alpha.dtype), num, 3)
    dim, x, weights = grid.dim, grid.speeds, grid.weights
    tensor = collision_tensor(cross_section, grid)
    slope = jnp.asarray(_derivative(num) / _RADIUS, alpha.dtype)

    def residual(unknown: Float[Array, " num_and_2"]) -> Float[Array, " num_and_2"]:
        psi, shrink, stretch = unknown[:-2], unknown[-2], unknown[-1]
        divergence = dim * psi + x * jnp.dot(slope, psi, precision="highest")
        rate = mass_rate(tensor, weights * psi, alpha) / weights - shrink * psi - stretch * divergence
        moments = jnp.stack([jnp.sum(weights * psi) - 1, jnp.sum(weights * x**2 * psi) - dim / 2])
        return jnp.concatenate([rate, moments])

    def newton(_: Any, unknown: Array) -> Array:
        return unknown - jnp.linalg.solve(jax.jacfwd(residual)(unknown), residual(unknown))

    maxwellian = jnp.pi ** (-dim / 2) * jnp.exp(-(x**2))
    start = jnp.concatenate([maxwellian, jnp.zeros(2, alpha.dtype)])
    root = implicit_root(residual, jax.lax.fori_loop(0, _STEPS, newton, jax.lax.stop_gradient(start)))
    psi = root[:-2]
    masses = weights * psi
    met = tensor.met(masses) * masses
    frequency = jnp.sum(met)
    cooling = (2 / dim * jnp.sum(met * x**2) - frequency) / frequency
    xi = 1 / (1 + gamma * cooling / 2)
    kurtosis = 4 / (dim * (dim + 2)) * jnp.sum(masses * x**4)
    return SelfSimilar(RadialDensity(psi, grid), xi, cooling * xi, kurtosis, frequency)


def _exponent(cross_section: AbstractCrossSection, dtype: jnp.dtype) -> RealScalar:
    """gamma of Sigma = C r^gamma. **Raises:** `ValueError` if Sigma is known to be no power of r."""
    sigma = cast_floating(cross_section, dtype).sigma(jnp.asarray([0.25, 1.0, 4.0], dtype))
    low, high = jnp.log2(sigma[1] / sigma[0]), jnp.log2(sigma[2] / sigma[1])
    if not is_traced(low, high) and not abs(float(low) - float(high)) < 1e-4:
        raise argument_error(
            "cross_section", "be proportional to a power of r",
            f"has Sigma(2)/Sigma(1) = {float(2**high):.4g}, Sigma(1)/Sigma(1/2) = {float(2**low):.4g}",
            "run `IsotropicPDE`: there is no self-similar solution",
        )  # fmt: skip
    return (low + high) / 2


def _derivative(num: int) -> Float[np.ndarray, "num num"]:
    """The derivative of even functions, of their cosine modes on `num` midpoints of [0, 1]."""
    x, k = (np.arange(num) + 0.5) / num, np.pi * np.arange(num)
    modes = 2 / num * np.cos(np.outer(k, x))
    return -np.sin(np.outer(x, k)) * k @ modes
