"""Distances between probability laws, estimated from particles."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import PROJECTIONS

from .._util.checks import argument_error, check_integer, check_scalar, describe, is_traced
from .._util.gradients import forbid_gradient
from .._util.host_callback import on_host
from .._util.numpy_checks import check_key
from .._util.sharding import on_any_mesh
from .._util.types import Key, RealScalar
from .._util.user_laws import LOG_DENSITY, QUANTILE, by_numpy, cached_by_jit, function_of, is_traceable, values_of
from ..radial import RadialDensity
from ..states import Density, Particles
from . import densities
from ._checked import check_function, check_state
from ._monotone_transport import cumulated, power_distance, quantile_of
from ._sorting import sorted_rows
from .entropy import knn_entropy
from .moments import temperature

__all__ = ["MAX_ASSIGNED_PARTICLES", "relative_entropy", "sliced_wasserstein", "wasserstein"]

MAX_ASSIGNED_PARTICLES = 2000
_GAUSS = np.polynomial.legendre.leggauss(12)
# Gauss's, on [0, 1].
_NODES = (_GAUSS[0] + 1) / 2
_WEIGHTS = _GAUSS[1] / 2


@on_any_mesh
def relative_entropy(
    state: Particles | Density | RadialDensity,
    log_density: Callable[[Float[Array, "N d"]], Float[Array, " N"]] | Density | RadialDensity | Any | None = None,
    *,
    entropy: Callable[[Particles], RealScalar] = knn_entropy,
) -> RealScalar:
    r"""The relative entropy $H(f \mid g) = \int f \log(f/g)$, estimated by $\hat H - \frac1N \sum_i \log g(v_i)$.

    **Arguments:** `log_density`: v (N, d) -> log g (N,), as a function, an `eqx.Module` or other object with `__call__`, or a
    distribution with `logpdf` or `log_prob`. Functions of NumPy arrays (scipy's) are called on the host inside `jit`; their
    gradients raise. None: g is the Maxwellian with the mean and temperature T of the sample, and H(f|g) = H + (d/2) log(2 pi e
    T). `entropy`: the estimator of H; bind its options, such as the bias, by `jax.tree_util.Partial(
    jk.diagnostics.knn_entropy, k=5, bias=...)`.

    The bias is that of `entropy`, plus, if T is the sample's, that of (d/2) log T: -(d + 1)/(2N) for a Maxwellian. The noise of
    the estimator can make the result negative. Differentiability and cost are those of `entropy`.

    Of a `Density` f on velocity axes, or a `RadialDensity`: int f log(f/g) by quadrature, with g another one on the same grid,
    or, if None, the Maxwellian of its mass, mean and temperature.

    **Raises:** `ValueError` if `log_density` does not return one number per particle, or is not on the same grid (a traced axis
    that differs gives NaN), and for `entropy` with a `Density`.
    """
    if isinstance(state, densities.DENSITIES):
        if entropy is not knn_entropy:
            raise argument_error(
                "entropy", "be left out for a density", f"is {describe(entropy)}", "its entropy is an integral"
            )
        if log_density is None:
            mass = state.mass
            log_maxwellian = jnp.log(mass) - densities.dim(state) / 2 * jnp.log(
                2 * math.pi * math.e * temperature(state)
            )
            return densities.entropy(state) - mass * log_maxwellian
        if not isinstance(log_density, type(state)):
            own = type(state).__name__
            must = f"be a {own} on the same grid, or None, for a {own}"
            raise argument_error("log_density", must, f"is {describe(log_density)}", f"pass jk.{own}(g, grid)")
        return densities.relative_entropy(state, log_density)
    check_state(state, also=" or a density")
    check_function("entropy", entropy, "H, one number")
    h = entropy(state)
    if log_density is None:
        return h + state.dim / 2 * jnp.log(2 * math.pi * math.e * temperature(state))
    v = state.live_velocity
    fn = function_of("log_density", log_density, LOG_DENSITY, "map velocities (N, d) to log g (N,)")
    try:
        values = _one_number_each(jnp.asarray(fn(v)), v)
    except TypeError as error:
        if is_traced(v):
            values = _log_density_on_host(fn, v)
        else:
            must, was = "map velocities (N, d) to log g (N,)", f"fails with {type(error).__name__}"
            raise argument_error("log_density", must, was, "write it with jax.numpy, as one function of v") from error
    return h - state.mean(values.astype(v.dtype))


def _one_number_each(values: Any, v: Any) -> Any:
    """`values` as (N,). **Raises:** `ValueError` unless they are one number for each of the velocities v (N, d)."""
    if values.shape == (v.shape[0], 1) and v.shape[1] == 1:  # a distribution of one number
        values = values[:, 0]
    if values.shape != v.shape[:1]:
        raise argument_error("log_density", "return shape (N,)", f"returns {values.shape}", "sum over the components")
    return values


def _log_density_on_host(fn: Callable[[Any], Any], v: Float[Array, "N d"]) -> Float[Array, " N"]:
    """log g (N,) by a function of NumPy arrays, inside a program. Gradients raise: the derivative of log g is not known."""
    dtype = np.dtype(v.dtype)

    def host(v: np.ndarray) -> np.ndarray:
        return _one_number_each(np.asarray(fn(np.asarray(v, float)), float), v).astype(dtype)

    try:
        host(np.zeros(v.shape))
    except TypeError as error:
        must, was = "map velocities (N, d) to log g (N,)", f"fails with {type(error).__name__}"
        raise argument_error("log_density", must, was, "write it with jax.numpy, as one function of v") from error
    message = str(
        argument_error(
            "log_density",
            "be a function that JAX can trace, for gradients",
            "is one of NumPy",
            "write it with jax.numpy",
        )
    )
    return on_host(host, jax.ShapeDtypeStruct(v.shape[:1], dtype), forbid_gradient(message, v))


@on_any_mesh
def wasserstein(
    state: Particles | Density | RadialDensity,
    other: Particles | Density | RadialDensity | Callable[[Float[Array, " N"]], Float[Array, " N"]] | Any,
    *,
    order: float = 2,
) -> RealScalar:
    r"""The Wasserstein distance $W_p = \big(\inf_\pi \int |v - w|^p \, d\pi\big)^{1/p}$, p >= 1, of two empirical measures, of
    two densities, or for d = 1 of an empirical measure and a law.

    **Arguments:** `state`: `Particles`, a `Density` on one axis that is not periodic, or a `RadialDensity`. `other`:
    `Particles` of the same d; for a `RadialDensity` another one in the same R^d; for d = 1 a law: a `Density`, its quantile
    function u -> F^{-1}(u), elementwise, or a distribution with a method `ppf`, `icdf`, `inv_cdf` or `quantile` (scipy.stats,
    frozen). Accepted are functions that JAX can trace, `eqx.Module`s and other objects with `__call__`, functions of NumPy
    arrays, and functions of one number. If JAX cannot trace it, the law is called on the host, also inside `jit`. Gradients in
    the particles are always available, gradients in the parameters of the law only if it is a module. `order`: p.

    For d = 1 the distance is exact for any two numbers of particles, as $\int_0^1 |F^{-1} - G^{-1}|^p du$ piece by piece.
    Against a quantile function, each interval of length 1/N has 12 Gauss nodes; nodes that round to 1 (float32, N > 1e5) are
    moved to 1 - 2^-24. Cost N log N. For d > 1 it is exact by optimal assignment on the host (scipy), for equal numbers of at
    most 2000 particles; cost N^3, memory N^2 on the host. For more use `sliced_wasserstein`.

    Densities are divided by their mass, and may be on different grids. For isotropic ones the optimal map is monotone in the
    speed, so W_p is that of the speeds. By quadrature and cubic inversion of the distribution function: the error is of order
    4 in the spacing, or 2 where |v - w|^p has a kink. Cost n log n.

    Sampling floor: $N\,\mathbb E W_2^2$ of N draws of N(0,1) against the law itself is 3.34 at N = 1e3 and 3.56 at 1e4, where
    one run scatters by 1.75, and 6.3 between two samples of 1e3. In d = 3, W_2 falls only as N^{-1/3}. Differentiable wherever
    the optimal pairing does not change: the derivative holds the pairing fixed, which is exact by optimality. The
    derivative is 0 where W = 0.

    **Raises:** `ValueError` for different d, for p < 1, and in d > 1 for unequal or too many particles. NaN if no particle is
    alive, if an alive one is not finite, or (d > 1) if the numbers of alive particles differ.
    """
    order = _order(order)
    if isinstance(state, densities.DENSITIES):
        return _root(_of_densities(state, other, order), order)
    check_state(state)
    if isinstance(other, RadialDensity):
        do = "compare speeds, or a Density on one axis"
        raise argument_error("other", "be Particles or a law for d = 1, for Particles", "is a RadialDensity", do)
    if isinstance(other, Density):
        other = quantile_of(other, "other")
    if not isinstance(other, Particles):
        must = "be Particles, or for d = 1 a quantile function or a distribution"
        quantile = function_of("other", other, QUANTILE, must)
        if state.dim != 1:
            raise argument_error(
                "other", must, f"is {describe(other)} for d = {state.dim}", "pass Particles drawn from that law"
            )
        return _root(_to_law(state.velocity[:, 0], state.alive, quantile, order), order)
    _same_dim(state, other)
    if state.dim == 1:
        return _on_a_line(state.velocity, state.alive, other.velocity, other.alive, order)
    if state.num_slots != other.num_slots:
        raise argument_error(
            "other", f"hold as many particles as `state`, {state.num_slots}", f"holds {other.num_slots}",
            "use `sliced_wasserstein`",
        )  # fmt: skip
    if state.num_slots > MAX_ASSIGNED_PARTICLES:
        raise argument_error(
            "state", f"hold at most {MAX_ASSIGNED_PARTICLES} particles for d > 1", f"holds {state.num_slots}",
            "use `sliced_wasserstein`, or the first 2000 of them",
        )  # fmt: skip
    return _root(_assigned(state, other, order), order)


@on_any_mesh
def sliced_wasserstein(
    state: Particles, other: Particles, *, order: float = 2, num_directions: int = 128, key: Key | None = None
) -> RealScalar:
    r"""The sliced Wasserstein distance $SW_p = \big(\frac1L \sum_l W_p^p(\theta_l \cdot v, \theta_l \cdot w)\big)^{1/p}$ over L
    directions theta_l, uniform on the sphere. For d = 1 it is `wasserstein`.

    **Arguments:** `num_directions`: L. `key`: for the directions; None uses one fixed set in every call, so that distances
    along a run are comparable. The two states may have different numbers of particles.

    SW_p <= W_p. Two Gaussians of equal covariance whose means differ by m are |m|/sqrt(d) apart for p = 2. The error of the
    mean over directions is about 1/sqrt(L) times the spread over directions. Sampling floor between two samples of N = 1000 of
    N(0, I) in d = 3: N E SW_2^2 = 6.2(2), like `wasserstein` in d = 1 (6.1(3)). Cost L N log N. Memory O(N) plus a batch of
    directions: 2^20 numbers on a CPU, 2^24 elsewhere. On a CPU NumPy sorts on the host, also inside `jit`. Differentiable like
    `wasserstein` in d = 1.

    **Raises:** `ValueError` for different d, p < 1, L < 1.
    """
    check_state(state)
    order, num_directions = _order(order), check_integer("num_directions", num_directions, minimum=1)
    _same_dim(state, other)
    if state.dim == 1:
        return wasserstein(state, other, order=order)
    key = jax.random.key(0, impl="threefry2x32") if key is None else key
    check_key("key", key)
    return _sliced(state, other, key, order, num_directions)


def _of_densities(state: Density | RadialDensity, other: Any, order: float) -> Array:
    """W_p^p."""
    here = cumulated(state, "state")
    if isinstance(state, RadialDensity):
        if not isinstance(other, RadialDensity) or other.dim != state.dim:
            was = f"has dim = {other.dim}" if isinstance(other, RadialDensity) else f"is {describe(other)}"
            do = "make it by jk.initial.radial"
            raise argument_error("other", f"be a RadialDensity with dim = {state.dim}", was, do)
        quantile = quantile_of(other, "other")
    elif isinstance(other, Particles):
        return wasserstein(other, state, order=order) ** order
    elif isinstance(other, Density):
        quantile = quantile_of(other, "other")
    else:
        must = "be a Density on one axis, Particles of d = 1, a quantile function or a distribution"
        fn = function_of("other", other, QUANTILE, must)
        quantile = partial(values_of, "other", fn)
    return power_distance(here, quantile, partial(_power, order=order))


def _order(order: float) -> float:
    if is_traced(order):
        raise argument_error("order", "be a number known while tracing", f"is {describe(order)}", "pass 1 or 2")
    check_scalar("order", order)
    if order < 1:
        raise argument_error("order", "be at least 1", f"is {order}", "pass 1 or 2")
    return float(order)


def _same_dim(state: Particles, other: Particles) -> None:
    if not isinstance(other, Particles) or state.dim != other.dim:
        was = f"has d = {other.dim}" if isinstance(other, Particles) else f"is {type(other).__name__}"
        raise argument_error("other", f"be Particles with d = {state.dim}", was, "compare states of one dimension")


def _power(distance: Array, order: float) -> Array:
    """|x|^p, with all derivatives at 0 set to 0 unless p = 2."""
    if order in (1, 2):
        return distance * distance if order == 2 else jnp.abs(distance)
    zero = distance == 0
    return jnp.where(zero, 0, jnp.abs(jnp.where(zero, 1, distance)) ** order)


def _root(power: Array, order: float) -> Array:
    """power^(1/p), with derivative 0 at 0."""
    # Not `power > 0`, so that NaN propagates.
    zero = power == 0
    safe = jnp.where(zero, jnp.ones_like(power), power)
    return jnp.where(zero, jnp.zeros_like(power), safe ** (1 / order))


def _unless_broken(value: Array, *sides: tuple[Array, Array]) -> Array:
    """`value`, or NaN if one of the sides, each (values, alive), has no alive particle or an alive one that is not finite."""
    fine = jnp.ones((), bool)
    for x, alive in sides:
        finite = jnp.isfinite(x) if x.ndim == 1 else jnp.isfinite(x).all(axis=1)
        fine &= jnp.any(alive) & jnp.all(finite | ~alive)
    return jnp.where(fine, value, jnp.nan)


def _sorted(x: Array, alive: Array) -> Array:
    """Sort every row, dead particles last."""
    return sorted_rows(jnp.where(alive, x, np.asarray(np.inf, x.dtype)))


# Jitted, because an eager loop over directions would be traced and compiled at every call.
@partial(jax.jit, static_argnums=(3, 4))
def _sliced(state: Particles, other: Particles, key: Key, order: float, num_directions: int) -> Array:
    """SW_p over `num_directions` directions."""
    v = jax.random.normal(key, (num_directions, state.dim), state.velocity.dtype)
    directions = v / jnp.linalg.norm(v, axis=1, keepdims=True)
    slots = max(state.num_slots, other.num_slots)
    areas = PROJECTIONS.cpu, PROJECTIONS.on_accelerator(slots)
    on_cpu, elsewhere = (-(-num_directions // max(1, area // slots)) for area in areas)
    given = (directions, state.live_velocity, state.alive, other.live_velocity, other.alive)
    powers = partial(_powers, order=order, batches=elsewhere)
    if on_cpu == elsewhere:
        return _root(jnp.mean(powers(*given)), order)
    cpu = partial(_powers, order=order, batches=on_cpu)
    return _root(jnp.mean(jax.lax.platform_dependent(*given, cpu=cpu, default=powers)), order)


def _powers(
    directions: Array, v: Array, alive_v: Array, w: Array, alive_w: Array, *, order: float, batches: int
) -> Array:
    """(L,): W_p^p along each of the (L, d) directions, computed in `batches` batches of nearly equal size."""

    def along(directions: Array) -> Array:
        x, y = (jnp.matmul(directions, z.T, precision=jax.lax.Precision.HIGHEST) for z in (v, w))
        return _between(x, alive_v, y, alive_w, order)

    if batches == 1:
        return along(directions)
    num, dim = directions.shape
    # All batches have one size: the last one repeats some directions, whose results are dropped.
    padded = jnp.resize(directions, (batches, -(-num // batches), dim))
    return jax.lax.map(jax.checkpoint(along), padded).reshape(-1)[:num]


@partial(jax.jit, static_argnums=4)
def _on_a_line(v: Array, alive_v: Array, w: Array, alive_w: Array, order: float) -> Array:
    """W_p between (N, 1) and (M, 1) particles."""
    return _root(_between(v.T, alive_v, w.T, alive_w, order)[0], order)


def _between(x: Array, alive_x: Array, y: Array, alive_y: Array, order: float) -> Array:
    """(L,): W_p^p between the rows of (L, N) and (L, M) projections, all particles of a side with equal weight."""
    sides = (x.T, alive_x), (y.T, alive_y)
    x, y = _sorted(x, alive_x[None, :]), _sorted(y, alive_y[None, :])
    num_x, num_y = jnp.sum(alive_x, dtype=jnp.int32), jnp.sum(alive_y, dtype=jnp.int32)

    def rank_by_rank(x: Array, y: Array) -> Array:
        shortest = min(x.shape[1], y.shape[1])
        counts = jnp.arange(shortest, dtype=jnp.int32)[None, :] < num_x
        difference = jnp.where(counts, x[:, :shortest], 0) - jnp.where(counts, y[:, :shortest], 0)
        return jnp.sum(_power(difference, order), axis=1) / num_x.astype(x.dtype)

    def piece_by_piece(x: Array, y: Array) -> Array:
        n, m = num_x.astype(x.dtype), num_y.astype(x.dtype)
        ends_x, ends_y = (jnp.arange(1, z.shape[1] + 1, dtype=x.dtype) / c for z, c in ((x, n), (y, m)))
        cuts = sorted_rows(jnp.minimum(jnp.concatenate([jnp.zeros(1, x.dtype), ends_x, ends_y]), 1))
        middle, width = (cuts[1:] + cuts[:-1]) / 2, jnp.diff(cuts)
        i, j = ((middle * c).astype(jnp.int32) for c in (n, m))
        difference = x[:, jnp.minimum(i, num_x - 1)] - y[:, jnp.minimum(j, num_y - 1)]
        return jnp.sum(width[None, :] * _power(difference, order), axis=1)

    return _unless_broken(jax.lax.cond(num_x == num_y, rank_by_rank, piece_by_piece, x, y), *sides)


def _to_law(x: Array, alive: Array, quantile: Callable[[Any], Any], order: float) -> Array:
    """W_p^p in d = 1 between (N,) particles and a law."""
    traceable = is_traceable(quantile, x.dtype)
    if not traceable and not is_traced(x, alive):
        return jnp.asarray(_to_quantile_on_host(np.asarray(x), np.asarray(alive), quantile, order), x.dtype)
    distance = _jitted_to_quantile if cached_by_jit(quantile) and traceable else _to_quantile
    return distance(x, alive, quantile, order, traceable)


def _to_quantile_on_host(x: np.ndarray, alive: np.ndarray, quantile: Callable[[Any], Any], order: float) -> float:
    """`_to_quantile` for concrete particles, by NumPy, without the cost of a callback."""
    if not alive.any() or not np.isfinite(x[alive]).all():
        return math.nan
    x, total = np.sort(x[alive].astype(float)), 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        u = (np.arange(x.size) + node) / x.size
        total += weight * float(np.mean(np.abs(x - by_numpy("other", quantile, u)) ** order))
    return total


def _to_quantile(
    x: Array, alive: Array, quantile: Callable[[Array], Array], order: float, traceable: bool = True
) -> Array:
    """W_p^p in d = 1 between (N,) particles and a law, by Gauss nodes in every interval of length 1/N. A quantile function that
    JAX cannot trace is called on the host. The callback gets only two numbers, since a large argument may deadlock: its
    transfer may wait for the program, which waits for the callback."""
    side, dtype, slots = (x, alive), x.dtype, x.shape[0]
    x, whole = _sorted(x, alive), jnp.sum(alive, dtype=jnp.int32)
    rank, num = jnp.arange(slots, dtype=jnp.int32), whole.astype(dtype)
    # The last nodes may round to 1, where a quantile is infinite.
    last = 1 - jnp.finfo(dtype).epsneg
    counts = rank < whole

    def host(whole: Any, node: Any) -> np.ndarray:
        alive = max(int(whole), 1)
        u = (np.minimum(np.arange(slots), alive - 1) + float(node)) / alive
        return by_numpy("other", quantile, u).astype(dtype)

    def at(node_and_weight: tuple[Array, Array]) -> Array:
        node, weight = node_and_weight
        if traceable:
            u = jnp.minimum(jnp.where(counts, (rank.astype(dtype) + node) / num, 0.5), last)
            values = values_of("other", quantile, u)
        else:
            shape = jax.ShapeDtypeStruct((slots,), dtype)
            values = jax.pure_callback(host, shape, whole, node, vmap_method="sequential")
        difference = jnp.where(counts, x, 0) - jnp.where(counts, values, 0)
        return weight * jnp.sum(_power(difference, order)) / num

    nodes, weights = (jnp.asarray(a, dtype) for a in (_NODES, _WEIGHTS))
    return _unless_broken(jnp.sum(jax.lax.map(jax.checkpoint(at), (nodes, weights))), side)


_jitted_to_quantile = eqx.filter_jit(_to_quantile)


@partial(jax.jit, static_argnums=2)
def _assigned(state: Particles, other: Particles, order: float) -> Array:
    """W_p^p by the optimal assignment, which is found on the host."""
    v, w, num = state.live_velocity, other.live_velocity, state.num_alive
    partner = on_host(
        partial(_assignment, order=order),
        jax.ShapeDtypeStruct((state.num_slots,), jnp.int32),
        *jax.lax.stop_gradient((v, state.alive, w, other.alive)),
    )
    square = jnp.sum(jnp.where(state.alive[:, None], v - w[partner], jnp.zeros((), v.dtype)) ** 2, axis=1)
    cost = square if order == 2 else _root(square, 2 / order)
    cost = jnp.where(num == other.num_alive, jnp.sum(cost) / num, jnp.nan)
    return _unless_broken(cost, (state.velocity, state.alive), (other.velocity, other.alive))


def _assignment(v: Array, alive_v: Array, w: Array, alive_w: Array, *, order: float) -> np.ndarray:
    """For every alive particle of v, the index of its partner in w."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    out = np.arange(len(v), dtype=np.int32)
    here, there = np.flatnonzero(np.asarray(alive_v)), np.flatnonzero(np.asarray(alive_w))
    x, y = np.asarray(v, float)[here], np.asarray(w, float)[there]
    if len(x) == len(y) and np.isfinite(x).all() and np.isfinite(y).all():
        cost = cdist(x, y, "sqeuclidean") if order == 2 else cdist(x, y) ** order
        rows, columns = linear_sum_assignment(cost)
        out[here[rows]] = there[columns]
    return out
