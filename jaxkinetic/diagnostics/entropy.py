"""Estimators of the entropy H = int f log f from particles."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import kth_nearest

from .._util.checks import argument_error, check_integer, is_traced
from .._util.host_callback import on_host
from .._util.numpy_checks import check_key
from .._util.sharding import on_any_mesh
from .._util.types import Key, RealScalar, RealScalarLike
from ..radial import RadialDensity
from ..states import Density, Particles
from . import densities
from ._checked import check_function, check_state, checked_bias

# Exponent of 2: squares of coordinates up to 2^500 and down to 2^-511 are normal numbers of float64.
_LARGEST = 500
# Coordinates nearer to 0 are moved here: a normal number, whose square vanishes beside the others.
_SMALLEST = 2.0**-900

__all__ = ["entropy", "entropy_bias", "knn_entropy", "knn_entropy_bias", "mean_on_maxwellians"]


@on_any_mesh
def entropy(state: Particles | Density | RadialDensity) -> RealScalar:
    r"""The entropy $H = \int f \log f$, which decreases in time: of particles the estimate `knn_entropy(state)`; of a `Density`
    on velocity axes or a `RadialDensity` by quadrature, where f is positive. Differentiable; the cost for a density is that of
    a sum over its points."""
    if isinstance(state, densities.DENSITIES):
        return densities.entropy(state)
    check_state(state, also=" or a density")
    return knn_entropy(state)


@on_any_mesh
def knn_entropy(state: Particles, *, k: int = 5, bias: RealScalarLike = 0.0) -> RealScalar:
    r"""The Kozachenko-Leonenko estimator of $H = \int f \log f$ from distances r_{i,k} to the k-th nearest other particle
    [KozachenkoLeonenko1987],

    $\hat H = -[\psi(N) - \psi(k) + \log|B_d| + \frac dN \sum_i \log r_{i,k}]$ - `bias`.

    **Arguments:** `k`: 1 <= k < N. `bias`: subtracted from the estimate; `knn_entropy_bias` measures it.

    **Returns:** a scalar. At practical N the bias does not yet follow its asymptotic power of N. On a Maxwellian with k = 5 it
    is +.0485, +.0178, +.0054 (d = 3) and +.0202, +.0039, +.0008 (d = 2) at N = 1e3, 1e4, 1e5. So correct it by the bias on a
    Maxwellian of the same N, and do not extrapolate in N. The correction works for smooth densities; at a jump of f the bias is
    of order (k/N)^{1/d}: after the correction -.29, -.18, -.11 on a uniform ball in d = 3 at N = 250, 1000, 4000. One run
    scatters by about 1.3/sqrt(N).

    Neighbours are found outside the derivative, on a CPU by a k-d tree on the host in O(N log N), elsewhere on the device in
    O(N^2). Distances are recomputed in JAX, so the gradient is that of the estimator wherever neighbours do not change rank.
    For a particle with k coincident neighbours the distance counts as the smallest normal number, with derivative 0. Memory
    O(N).

    **Raises:** `ValueError` unless 1 <= k < N. If fewer than k + 1 particles are alive, or one of them is not finite, the
    value is NaN.
    """
    check_state(state)
    k, bias = check_integer("k", k, minimum=1), checked_bias(bias, state.velocity.dtype)
    v, alive = state.velocity, state.alive
    if k >= state.num_slots:
        raise argument_error("k", f"be below the number of particles, {state.num_slots}", f"is {k}", "lower it")
    if is_traced(v, alive) or any(device.platform != "cpu" for device in v.devices()):
        index = jax.lax.platform_dependent(
            jax.lax.stop_gradient(v), alive, cpu=partial(_on_cpu, k=k), default=partial(kth_nearest, k=k)
        )
    else:
        index = jnp.asarray(_kth_neighbour(v, alive, k=k))
    return _knn_estimate(v, alive, index, bias, k)


@partial(jax.jit, static_argnames="k")
def _knn_estimate(v: Array, alive: Array, index: Array, bias: Array, k: int) -> Array:
    state, dim = Particles(v, alive=alive), v.shape[1]
    live = state.live_velocity
    z = live - live[index]
    # Divide by the largest component first: a squared distance overflows or underflows long before the distance does.
    largest, tiny = jax.lax.stop_gradient(jnp.max(jnp.abs(z), axis=1)), jnp.finfo(v.dtype).tiny
    apart = largest >= tiny
    largest = jnp.where(apart, largest, jnp.ones_like(largest))
    ratio2 = jnp.sum((z / largest[:, None]) ** 2, axis=1)
    log_distance = jnp.log(largest) + 0.5 * jnp.log(jnp.where(apart, ratio2, jnp.ones_like(ratio2)))
    mean_log = state.mean(jnp.where(apart, log_distance, math.log(tiny)))
    num = state.num_alive
    log_ball = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
    psi_k = sum(1 / j for j in range(1, k)) - np.euler_gamma
    estimate = -(jax.scipy.special.digamma(num) - psi_k + log_ball + dim * mean_log)
    finite = jnp.all(jnp.isfinite(v) | ~alive[:, None])
    return jnp.where((num > k) & finite, estimate - bias, jnp.nan)


def _on_cpu(v: Array, alive: Array, *, k: int) -> Array:
    return on_host(partial(_kth_neighbour, k=k), jax.ShapeDtypeStruct(alive.shape, jnp.int32), v, alive)


def _kth_neighbour(velocity: Array, alive: Array, *, k: int) -> np.ndarray:
    v = np.asarray(velocity, float)
    out = np.arange(len(v), dtype=np.int32)
    where = np.flatnonzero(np.asarray(alive))
    if len(where) > k and np.isfinite(v[where]).all():
        # Scaled by a power of 2, without rounding, so that squares neither overflow nor (down to 1e-300 of the largest
        # coordinate) underflow. Coordinates next to 0 are moved away from it: otherwise the tree might split at a subnormal
        # number, which XLA's threads flush to 0.
        points = np.ldexp(v[where], _LARGEST - int(np.frexp(np.abs(v[where]).max())[1]))
        points[np.abs(points) < _SMALLEST] = _SMALLEST
        # The point itself is its nearest, or ties with a coincident one, so entry k + 1 is the k-th neighbour in any case.
        from scipy.spatial import KDTree

        neighbours = np.asarray(KDTree(points).query(points, k=k + 1, workers=-1)[1])
        out[where] = where[neighbours[:, k]]
    return out


def knn_entropy_bias(key: Key, num_particles: int, dim: int, *, k: int = 5, replicas: int = 16) -> tuple[float, float]:
    """(bias, standard error) of `knn_entropy` on Maxwellian samples of `num_particles`, by `entropy_bias`."""
    return entropy_bias(key, num_particles, dim, estimator=partial(knn_entropy, k=k), replicas=replicas)


def entropy_bias(
    key: Key,
    num_particles: int,
    dim: int,
    *,
    estimator: Callable[[Particles], RealScalar] = knn_entropy,
    replicas: int = 16,
) -> tuple[float, float]:
    """(bias, standard error) of an estimator of H, measured on `replicas` Maxwellian samples of `num_particles`.

    (1/N) sum log f, whose mean is known, serves as a control variate, so that only the estimator's own scatter remains. If the
    estimator is equivariant under scaling, the bias is the same at every temperature. **Raises:** `ValueError` for fewer than 2
    replicas.
    """

    check_function("estimator", estimator, "H, one number")

    def error(v: Array) -> float:
        mean_square = float(np.mean(np.sum(np.asarray(v, float) ** 2, axis=1)))
        return float(estimator(Particles(v))) + dim / 2 * math.log(2 * math.pi) + mean_square / 2

    return mean_on_maxwellians(key, num_particles, dim, error, replicas)


def mean_on_maxwellians(
    key: Key, num_particles: int, dim: int, function: Callable[[Float[Array, "N d"]], float], replicas: int
) -> tuple[float, float]:
    """Mean and standard error of a function of (N, d) standard normal velocities, by a host loop over `replicas` draws."""
    replicas = check_integer("replicas", replicas, minimum=2)
    num_particles = check_integer("num_particles", num_particles, minimum=1)
    dim = check_integer("dim", dim, minimum=1)
    check_key("key", key)
    keys = jax.random.split(key, replicas)
    # By index, because iterating over an array of keys compiles a program with one output per key.
    values = [function(jax.random.normal(keys[r], (num_particles, dim))) for r in range(replicas)]
    return float(np.mean(values)), float(np.std(values, ddof=1) / replicas**0.5)
