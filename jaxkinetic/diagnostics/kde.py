r"""Leave-one-out kernel density estimates at the particles, and the entropy and the Fisher information computed from them.

$\hat f_i = \frac{1}{N-1} \sum_{j \ne i} G_h(v_i - v_j)$, G_h the Gaussian of variance h^2 per component. The sums over pairs
are computed relative to the term of the nearest neighbour, so that an outlier keeps a finite log density.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxkinetic_kernels import map_rows, once, row_sums

from .._util.checks import argument_error, describe, scalar_or_nan
from .._util.sharding import on_any_mesh
from .._util.types import Key, RealScalar, RealScalarLike
from ..pairs.sums import Rows, Slots, differences, partners, rows_of, slots
from ..radial import RadialDensity
from ..states import Density, Particles
from . import densities
from ._checked import check_state, checked_bias
from .entropy import mean_on_maxwellians
from .moments import temperature

__all__ = ["fisher_information", "fisher_information_bias", "kde_entropy"]

# With fewer neighbours, counted as sum_j exp(-r^2/2h^2), the curvature of log f at a particle cannot be estimated.
_ENOUGH = 3.0


@on_any_mesh
def kde_entropy(state: Particles, *, bandwidth: RealScalarLike | None = None, bias: RealScalarLike = 0.0) -> RealScalar:
    r"""H = int f log f, estimated by $\hat H = \frac1N \sum_i \log \hat f_i$ with the leave-one-out densities at the particles.

    **Arguments:** `bandwidth`: h; None: $\sqrt T\,(4/((d+2)N))^{1/(d+4)}$, T the sample's temperature. `bias`: subtracted from
    the estimate; `entropy_bias(key, N, d, estimator=kde_entropy)` measures it on a Maxwellian.

    **Returns:** a scalar, smoother in the particles than `knn_entropy` but more biased. Smoothing lowers H by (h^2/2) I, I the
    Fisher information, and the noise of the densities lowers it further where particles are few. The bias in d = 3 at N = 250,
    1000, 4000 is -.10, -.06, -.035 on a Maxwellian and -.35, -.26, -.20 on a uniform ball. Structure finer than h is not
    resolved.

    Cost N^2 exponentials, memory O(N), also in the backward pass. Differentiable everywhere, including the default bandwidth.
    NaN if fewer than two particles are alive or one of them is not finite. Not finite if all particles coincide and the
    bandwidth is the default, which is then 0.

    **Raises:** `ValueError` for a bandwidth that is not positive; a traced one gives NaN.
    """
    check_state(state)
    h, bias = _bandwidth(state, bandwidth, 2), checked_bias(bias, state.velocity.dtype)
    log_density, _ = _estimate(state.velocity, state.alive, h, False)
    return state.mean(log_density) - bias


@on_any_mesh
def fisher_information(
    state: Particles | Density | RadialDensity, *, bandwidth: RealScalarLike | None = None, bias: RealScalarLike = 0.0
) -> RealScalar:
    r"""The Fisher information $I = \int |\nabla f|^2 / f = -\int f\,\Delta \log f$, estimated by
    $\hat I = -\frac1N \sum_i \Delta \log \hat f(v_i)$,

    $-\Delta \log \hat f_i = \frac{d}{h^2} - \frac{1}{h^4}\,\mathrm{Var}_i$, Var_i the variance of the v_j, with the weights
    G_h(v_i - v_j), about their weighted mean. This form divides by no density.

    **Arguments:** `bandwidth`: h; None: $\sqrt T\,(4/((d+4)N))^{1/(d+6)}$, the rule for estimating a gradient. `bias`: the bias
    at temperature 1 and bandwidth h/sqrt(T), as `fisher_information_bias` measures it; bias/T is subtracted.

    **Returns:** a scalar, in 1/(units of v)^2; d/T for a Maxwellian. Its expectation is about the integral of
    $\nabla f \cdot \nabla \log(f * G_h)$, close to I of f * G_h, d/(T + h^2) for a Maxwellian; structure finer than h is not
    resolved. The noise of the score enters linearly and averages out, whereas the mean of |score|^2 would add its square: at
    N = 8192, d = 3, h = .35 this estimator gives 2.68 for a Maxwellian and 4.62 for a shell, whose smoothed values are 2.67 and
    4.64; the mean of |score|^2 gives 2.63 and 2.47. Particles with fewer than 3 neighbours within h count 0, which lowers the
    result for a Maxwellian in d = 3 by .10, .025 at N = 700, 2800. Compare only runs with the same N and h. I decreases in time
    for the Landau equation.

    Cost and memory as `kde_entropy`, with d + 1 more sums. Differentiable except where a particle gains its third neighbour.

    Of a `Density` on velocity axes or a `RadialDensity` it is the integral itself, by quadrature, without options. Derivatives
    are spectral on a `Density`, which must be resolved and vanish at its ends: an error of the derivative is divided by the
    small f of the tails. On a `RadialDensity` they are differences of order 12.

    **Raises:** `ValueError` for a bandwidth that is not positive (a traced one gives NaN), and for options with a `Density`.
    """
    if isinstance(state, densities.DENSITIES):
        for name, value, default in (("bandwidth", bandwidth, None), ("bias", bias, 0.0)):
            if value is not default and not (isinstance(value, float) and value == default):
                must, do = "be left out for a density", "it belongs to the estimate from particles"
                raise argument_error(name, must, f"is {describe(value)}", do)
        return densities.fisher_information(state)
    check_state(state, also=" or a density")
    h, bias = _bandwidth(state, bandwidth, 4), checked_bias(bias, state.velocity.dtype)
    _, curvature = _estimate(state.velocity, state.alive, h, True)
    estimate = state.mean(curvature)
    return estimate - bias / temperature(state)


def fisher_information_bias(
    key: Key, num_particles: int, dim: int, *, bandwidth: RealScalarLike | None = None, replicas: int = 16
) -> tuple[float, float]:
    """(bias, standard error) of `fisher_information` on Maxwellian samples of temperature 1 and `num_particles`. (1/N) sum
    |v|^2, whose mean is d, serves as a control variate. **Raises:** `ValueError` for fewer than 2 replicas."""

    def error(v: Float[Array, "N d"]) -> float:
        sample = float(np.mean(np.sum(np.asarray(v, float) ** 2, axis=1)))
        # The estimate scales as 1/T with the sample's temperature T, so to first order it scatters as d (2 - T).
        return float(fisher_information(Particles(v), bandwidth=bandwidth)) - (2 * dim - sample)

    return mean_on_maxwellians(key, num_particles, dim, error, replicas)


def _bandwidth(state: Particles, given: RealScalarLike | None, extra: int) -> RealScalar:
    """h, or the normal-reference rule sqrt(T) (4/((d + extra) N))^{1/(d + 2 + extra)}."""
    if state.num_slots < 2:
        raise argument_error("state", "hold at least 2 particles", f"holds {state.num_slots}", "add particles")
    if given is not None:
        return jnp.asarray(scalar_or_nan("bandwidth", given, positive=True)).astype(state.velocity.dtype)
    dim = state.dim
    return jnp.sqrt(temperature(state)) * (4 / ((dim + extra) * state.num_alive)) ** (1 / (dim + 2 + extra))


@partial(jax.jit, static_argnums=3)
def _estimate(
    v: Float[Array, "N d"], alive: Bool[Array, " N"], h: RealScalar, curvature: bool
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """(N,) log of the leave-one-out density at every particle, and (N,) minus its Laplacian, or 0 unless `curvature`; both 0 in
    dead slots."""
    state = Particles(v, alive=alive)
    columns, dim = slots(state), v.shape[1]

    def block(rows: Rows) -> tuple[Array, Array]:
        def exponents(rows: Rows, columns: Slots, h: Array) -> Array:
            r2 = sum(z * z for z in differences(rows, columns))
            far = np.asarray(-np.inf, v.dtype)
            return jnp.where(partners(rows, columns), -r2 / (2 * h * h), far)

        exponent = once(exponents, rows, columns, h)
        largest = jax.lax.stop_gradient(jnp.max(exponent, axis=1))
        # -inf if a particle is so far from all others that its squared distances overflow.
        alone = largest == -jnp.inf
        largest = jnp.where(alone, jnp.zeros((), v.dtype), largest)
        weight = once(lambda exponent, largest: jnp.exp(exponent - largest[:, None]), exponent, largest)
        total = row_sums(weight)
        total = jnp.where(alone, jnp.ones_like(total), total)
        log_total = jnp.where(alone, np.asarray(-np.inf, v.dtype), largest + jnp.log(total))
        if not curvature:
            return log_total, jnp.zeros_like(log_total)
        z = differences(rows, columns)
        means = [row_sums(weight * c) / total for c in z]
        square = row_sums(weight * sum(c * c for c in z)) / total
        variance = square - sum(m * m for m in means)
        bent = dim / (h * h) - variance / h**4
        return log_total, jnp.where(log_total > math.log(_ENOUGH), bent, jnp.zeros((), v.dtype))

    log_total, bent = map_rows(block, rows_of(state), state.num_slots)
    norm = jnp.log(state.num_alive - 1) + dim * (jnp.log(h) + 0.5 * jnp.log(2 * jnp.pi).astype(v.dtype))
    zero = jnp.zeros((), v.dtype)
    fine = (state.num_alive > 1) & jnp.all(jnp.isfinite(v) | ~alive[:, None])
    enough = jnp.where(fine, zero, np.asarray(np.nan, v.dtype))
    log_density = jnp.where(alive, log_total - norm, zero) + enough
    return log_density, jnp.where(alive, bent, zero) + enough
