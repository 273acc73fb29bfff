"""Histograms, the L^1 distance of marginals, and the entropy on a grid."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from jaxkinetic_kernels import square_root

from .._util.checks import argument_error, check_integer, describe, is_traced, nan_unless, scalar_or_nan
from .._util.numpy_checks import known_numbers
from .._util.sharding import on_any_mesh
from .._util.sums import count_true, deposit
from .._util.types import RealScalar, RealScalarLike
from .._util.user_laws import CDF, cached_by_jit, function_of, is_traceable, values_of
from ..states import Particles
from ._checked import check_state, checked_bias, of_every_particle, one_program
from ._counted import counted

__all__ = ["grid_entropy", "histogram", "marginal_l1", "marginal_l1_floor", "speed"]


@on_any_mesh
def speed(state: Particles) -> Float[Array, " N"]:
    """The speeds |v_i|, which `histogram` and `marginal_l1` use by default. The derivative is 0 where v_i = 0."""
    check_state(state)
    return _speed(state)


@on_any_mesh
def histogram(
    state: Particles,
    *,
    edges: Real[ArrayLike, " edges"] | None = None,
    of: Callable[[Particles], Float[Array, " N"]] = speed,
) -> Float[Array, "edges-1"]:
    """The density of a scalar function of the particles: the fraction of particles in each bin over its width. Bins are
    half-open, [left, right).

    **Arguments:** `edges`: (bins + 1,), increasing. `of`: state -> (N,), the speed by default. Particles outside the edges fall
    in no bin but count in N, so that the sum of density times width is the fraction inside.

    Unbiased for the mean density of a bin, with variance p (1 - p)/(N width^2), p the bin's probability. Cost N log bins,
    memory O(N). Differentiating it raises `ValueError`, even if only another output of the run is differentiated; if so,
    observe it through `jax.lax.stop_gradient`. **Raises:** `ValueError` for edges that are missing, infinite, or do not
    increase in the state's dtype; traced edges that are infinite or do not increase give NaN.
    """
    check_state(state)
    edges = _edges(edges, state.velocity.dtype)
    values = of_every_particle(state, of, "one number a particle")
    return _densities(values, state.alive, edges)


@on_any_mesh
def marginal_l1(
    state: Particles,
    cdf: Callable[[Float[Array, " edges"]], Float[Array, " edges"]] | Any,
    *,
    edges: Real[ArrayLike, " edges"] | None = None,
    of: Callable[[Particles], Float[Array, " N"]] = speed,
) -> RealScalar:
    r"""The binned L^1 distance $\sum_b |\hat m_b - p_b|$ of the one-particle marginal to a law.

    \hat m_b is the fraction of particles in bin b, and p_b = cdf(right) - cdf(left). The two ranges outside the edges count as
    further bins. The distance lies between 0 and 2 and never exceeds the L^1 distance of the densities.

    **Arguments:** `cdf`: the distribution function of `of` under the law, elementwise, or a distribution with the method `cdf`
    (scipy.stats, frozen). The same kinds of functions are accepted as in `wasserstein`. `edges`, `of`: as in `histogram`.

    Noise floor for N i.i.d. particles: the mean is $\sum_b \sqrt{2 p_b (1 - p_b)/(\pi N)}$ (`marginal_l1_floor`); smaller
    distances cannot be resolved. Cost N log bins. Differentiating it raises `ValueError`.
    """
    check_state(state)
    edges = _edges(edges, state.velocity.dtype, infinite=True)
    values, probabilities = of_every_particle(state, of, "one number a particle"), _probabilities(cdf, edges)
    return _difference(values, state.alive, edges, probabilities)


def marginal_l1_floor(
    cdf: Callable[[Float[Array, " edges"]], Float[Array, " edges"]] | Any,
    num_particles: int,
    *,
    edges: Real[ArrayLike, " edges"] | None = None,
) -> RealScalar:
    """The mean of `marginal_l1` for N i.i.d. draws of the law itself, in the normal approximation for each bin."""
    num = check_integer("num_particles", num_particles, minimum=1)
    p = _probabilities(cdf, _edges(edges, jnp.result_type(float), infinite=True))
    return jnp.sum(square_root(jnp.maximum(2 * p * (1 - p) / (math.pi * num), 0)))


@on_any_mesh
def grid_entropy(
    state: Particles, *, bins: int = 32, halfwidth: RealScalarLike | None = None, bias: RealScalarLike = 0.0
) -> RealScalar:
    r"""H = int f log f, estimated by $\sum_c m_c \log(m_c/\Delta^d)$ with the masses m_c on the nodes of a grid. Each particle
    is shared linearly among its 2^d nearest nodes (cloud in cell).

    **Arguments:** `bins`: n; the grid has (n + 1)^d nodes on the cube of half width L about the mean velocity, spacing
    Delta = 2 L/n. `halfwidth`: L; None: 5.5 sqrt(T), T the sample's temperature. Particles outside are moved to the boundary.
    `bias`: subtracted from the estimate; `entropy_bias` measures it on a Maxwellian.

    **Returns:** a scalar with two biases: $+((2/3)^d K - 1)/(2N)$ from the noise of K occupied nodes, if each holds many
    particles, and $-(\Delta^2/12) I$ from smoothing, I the Fisher information. Suited to d = 1, 2, or to very many particles.

    Cost 2^d N, memory (n + 1)^d + O(N). Differentiable, also through the grid's position and L, except where a particle crosses
    a grid line.

    **Raises:** `ValueError` for fewer than 2 bins, a half width that is not positive, more than 2^26 nodes.
    """
    check_state(state)
    bias = checked_bias(bias, state.velocity.dtype)
    bins, dim = check_integer("bins", bins, minimum=2), state.dim
    if (bins + 1) ** dim > 2**26:
        raise argument_error("bins", f"give at most 2^26 nodes in d = {dim}", f"gives {(bins + 1) ** dim}", "lower it")
    if halfwidth is not None:
        halfwidth = jnp.asarray(scalar_or_nan("halfwidth", halfwidth, positive=True)).astype(state.velocity.dtype)
    return _grid_entropy(state, bins=bins, halfwidth=halfwidth, bias=bias)


@one_program()
def _speed(state: Particles) -> Array:
    return square_root(jnp.sum(state.live_velocity**2, axis=1))


@one_program("bins")
def _grid_entropy(state: Particles, *, bins: int, halfwidth: Array | None, bias: Array) -> Array:
    v, dim = state.live_velocity, state.dim
    mean = state.mean(v)
    centred = jnp.where(state.alive[:, None], v - mean[None, :], jnp.zeros((), v.dtype))
    warmth = state.mean(jnp.sum(centred**2, axis=1)) / dim
    width = 5.5 * jnp.sqrt(warmth) if halfwidth is None else halfwidth
    spacing = 2 * width / bins
    place = jnp.clip((centred + width) / spacing, 0, bins)
    cell = jnp.clip(jnp.floor(jax.lax.stop_gradient(place)), 0, bins - 1)
    fraction, cell = place - cell, cell.astype(jnp.int32)
    alive, mass = state.alive.astype(v.dtype), jnp.zeros((bins + 1) ** dim, v.dtype)
    for corner in itertools.product((0, 1), repeat=dim):
        weight, index = alive, jnp.zeros(state.num_slots, jnp.int32)
        for axis, upper in enumerate(corner):
            weight = weight * (fraction[:, axis] if upper else 1 - fraction[:, axis])
            index = index * (bins + 1) + cell[:, axis] + upper
        mass = deposit(mass, index, weight)
    mass = mass / state.num_alive
    occupied = mass > 0
    log_mass = jnp.log(jnp.where(occupied, mass, jnp.ones((), v.dtype)))
    return jnp.sum(mass * log_mass) - dim * jnp.log(spacing) - bias


def _edges(edges: ArrayLike | None, dtype: jnp.dtype, *, infinite: bool = False) -> Array:
    """`edges` (bins + 1,) in `dtype`, in which they must still increase. `infinite`: the outermost may be infinite."""
    if edges is None or np.ndim(edges) != 1 or np.shape(edges)[0] < 2:
        raise argument_error(
            "edges", "have shape (bins + 1,)", f"is {describe(edges)}", "pass `jnp.linspace(0, 5, 51)`, say"
        )
    if is_traced(edges):
        traced = jnp.asarray(edges).astype(dtype)
        increase = jnp.all(traced[1:] > traced[:-1])
        return nan_unless(increase if infinite else increase & jnp.all(jnp.isfinite(traced)), traced)
    known = known_numbers("edges", edges, finite=False)
    if np.isnan(known).any() or not (infinite or np.isfinite(known).all()):
        raise argument_error("edges", "be finite", f"are {describe(edges)}", "end them at the outermost particles")
    if not np.all(known[1:] > known[:-1]):
        raise argument_error("edges", "increase", "do not", "sort them")
    rounded = known.astype(dtype)
    if not np.all(rounded[1:] > rounded[:-1]):
        raise argument_error(
            "edges", f"increase in the dtype of the state, {jnp.dtype(dtype)}", "coincide there", "widen the bins"
        )
    return jnp.asarray(rounded)


@jax.jit
def _densities(values: Array, alive: Array, edges: Array) -> Array:
    return _shares(values, alive, edges, "histogram") / jnp.diff(edges)


@jax.jit
def _difference(values: Array, alive: Array, edges: Array, probabilities: Array) -> Array:
    inner = _shares(values, alive, edges, "marginal_l1", outside=True)
    return jnp.sum(jnp.abs(inner - probabilities))


def _shares(values: Array, alive: Array, edges: Array, name: str, *, outside: bool = False) -> Array:
    """The fraction of alive particles in every bin; with `outside`, also below the first and above the last edge."""
    values = counted(name, values).astype(edges.dtype)
    place = jnp.searchsorted(edges, values, side="right")
    # Dead particles get an index out of range, which `mode="drop"` ignores.
    place = jnp.where(alive, place, edges.shape[0] + 1)
    # Counted in integers, because a float32 counter stops growing at 2^24.
    counts = jnp.zeros(edges.shape[0] + 1, jnp.uint32).at[place].add(jnp.ones((), jnp.uint32), mode="drop")
    return (counts if outside else counts[1:-1]).astype(edges.dtype) / count_true(alive, edges.dtype)


def _probabilities(cdf: Any, edges: Array) -> Array:
    fn = function_of("cdf", cdf, CDF, "be a distribution function, or a distribution")
    values = _jitted_values if cached_by_jit(fn) and is_traceable(fn, edges.dtype) else _values
    below = values(fn, edges)
    if is_traced(edges):
        # A user's function may return a finite value at NaN.
        below = nan_unless(~jnp.isnan(edges), below)
    if not is_traced(below):
        known, eps = np.asarray(below), 8 * float(jnp.finfo(edges.dtype).eps)
        if np.any(known < -eps) or np.any(known > 1 + eps) or np.any(np.diff(known) < -eps):
            raise argument_error(
                "cdf", "increase from 0 to 1", f"gives {known.min():.4g} to {known.max():.4g} at the edges",
                "pass the distribution function of `of`, not its density",
            )  # fmt: skip
    return jnp.diff(jnp.concatenate([jnp.zeros(1, edges.dtype), below, jnp.ones(1, edges.dtype)]))


def _values(cdf: Callable[[Array], Array], edges: Array) -> Array:
    return values_of("cdf", cdf, edges)


_jitted_values = eqx.filter_jit(_values)
