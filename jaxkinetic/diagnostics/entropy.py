"""Estimators of the entropy H = int f log f from particles."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.spatial import KDTree
from scipy.special import digamma

from .._checks import check_integer, refuse
from .._types import Key
from ..states import Particles


def knn_entropy(state: Particles, *, k: int = 5, bias: ArrayLike = 0.0) -> Float[Array, ""]:
    r"""Kozachenko and Leonenko's estimator of $H = \int f \log f$ from distances to the k-th neighbour,

    $\hat H = -[\psi(N) - \psi(k) + \log|B_d| + \frac dN \sum_i \log r_{i,k}]$ - `bias`, self excluded.

    **Arguments:** `k`: neighbour, 1 <= k < N. `bias`: subtracted; `knn_entropy_bias` measures it.

    **Returns:** a scalar. Its bias falls more slowly than any simple law at these N: on a Maxwellian with k = 5 it is
    +.0485, +.0178, +.0054 (d = 3) and +.0202, +.0039, +.0008 (d = 2) at N = 1e3, 1e4, 1e5, so correct it by that of a
    Maxwellian of the same N and do not extrapolate. One run scatters by about 1.3/sqrt(N).

    Neighbours are found on the host by a k-d tree, O(N log N), outside the derivative; distances are recomputed in JAX,
    so the gradient is that of the estimator wherever neighbours do not change rank. Particles with k coincident
    neighbours count with the smallest normal distance and have derivative 0. Memory O(N).

    **Raises:** `ValueError` unless 1 <= k < N. If fewer than k + 1 particles are alive, or one of them is not finite, the
    value is NaN.
    Source: Kozachenko and Leonenko, Probl. Inf. Transm. 23 (1987).
    """
    k = check_integer("k", k, minimum=1)
    v, alive = state.velocity, state.alive
    if k >= state.num_slots:
        raise refuse("k", f"be below the number of particles, {state.num_slots}", f"is {k}", "lower it")
    return _knn_estimate(v, alive, jnp.asarray(bias, v.dtype), k)


@partial(jax.jit, static_argnames="k")
def _knn_estimate(v: Array, alive: Array, bias: Array, k: int) -> Array:
    state, dim = Particles(v, alive=alive), v.shape[1]
    index = jax.pure_callback(
        partial(_kth_neighbour, k=k),
        jax.ShapeDtypeStruct((state.num_slots,), jnp.int32),
        jax.lax.stop_gradient(v),
        alive,
        vmap_method="sequential",
    )
    distance2 = jnp.sum((v - v[index]) ** 2, axis=1)
    tiny = jnp.finfo(v.dtype).tiny
    mean_log = state.mean(0.5 * jnp.log(jnp.where(distance2 > tiny, distance2, tiny)))
    num = state.num_alive
    log_ball = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
    estimate = -(jax.scipy.special.digamma(num) - float(digamma(k)) + log_ball + dim * mean_log)
    finite = jnp.all(jnp.isfinite(v) | ~alive[:, None])
    return jnp.where((num > k) & finite, estimate - bias, jnp.nan)


def _kth_neighbour(velocity: Array, alive: Array, *, k: int) -> np.ndarray:
    v = np.asarray(velocity, float)
    out = np.arange(len(v), dtype=np.int32)
    where = np.flatnonzero(np.asarray(alive))
    if len(where) > k and np.isfinite(v[where]).all():
        # Coordinates in [1, 2]: XLA's threads flush subnormal numbers, and the tree's splits next to 0 would be one.
        low, span = v[where].min(), np.ptp(v[where])
        points = 1 + (v[where] - low) / (span if span > 0 else 1.0)
        # The point itself is the nearest, or ties with one that coincides: number k + 1 is the k-th either way.
        neighbours = np.asarray(KDTree(points).query(points, k=k + 1, workers=-1)[1])
        out[where] = where[neighbours[:, k]]
    return out


def knn_entropy_bias(key: Key, num_particles: int, dim: int, *, k: int = 5, replicas: int = 16) -> tuple[float, float]:
    """(bias, standard error) of `knn_entropy` on a Maxwellian of `num_particles`, measured over `replicas`.

    The scatter of -(1/N) sum log f, whose mean is known, is taken out, which leaves that of the neighbour distances.
    The bias is the same at every temperature.
    """
    replicas = check_integer("replicas", replicas, minimum=2)
    errors = []
    for sub in jax.random.split(key, replicas):
        v = jax.random.normal(sub, (num_particles, dim))
        mean_square = float(np.mean(np.sum(np.asarray(v, float) ** 2, axis=1)))
        mean_log_f = -dim / 2 * math.log(2 * math.pi) - mean_square / 2
        errors.append(float(knn_entropy(Particles(v), k=k)) - mean_log_f)
    return float(np.mean(errors)), float(np.std(errors, ddof=1) / replicas**0.5)
