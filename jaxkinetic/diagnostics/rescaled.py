r"""Densities of a gas whose number of particles changes, in a volume Lambda = 1/eps: the rescaled correlation functions
$f_\ell(V_\ell) = \sum_N \frac{\varepsilon^\ell}{(N-\ell)!} \int \Psi_N\,dv_{\ell+1} \dots dv_N$ of
[LodsNotaPezzotti2020, (1.12)], and their self-similar variables (6.5). Nondimensional; cost N."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from .._util.checks import argument_error, is_traced, nan_unless, scalar_or_nan
from .._util.numpy_checks import known_numbers
from .._util.sharding import on_any_mesh
from .._util.sums import gram, time_since
from .._util.types import RealScalar, RealScalarLike
from ..states import Particles
from ._checked import check_state, of_every_particle, one_program
from .moments import momentum, temperature

__all__ = ["SelfSimilar", "rescaled_density", "rescaled_f1", "rescaled_f2", "self_similar", "self_similar_time"]


@on_any_mesh
def rescaled_density(state: Particles, *, volume: RealScalarLike) -> RealScalar:
    """The density n = N/Lambda, N the number of alive particles; it is the mass of f_1 and does not depend on the velocities.

    A traced volume that is not positive gives NaN, here and in `rescaled_f1` and `rescaled_f2`."""
    check_state(state)
    return state.num_alive / _volume(volume, state)


@on_any_mesh
def rescaled_f1(
    state: Particles, *, volume: RealScalarLike, of: Callable[[Particles], Float[Array, " N"] | Float[Array, "N m"]]
) -> RealScalar | Float[Array, " m"]:
    r"""An unbiased estimate of $\int \varphi f_1\,dv$ from one state: $\frac1\Lambda \sum_i \varphi(v_i)$. Average it over an
    ensemble.

    **Arguments:** `of`: state -> (N,) or (N, m), phi at every particle. **Returns:** () or (m,); differentiable.
    **Raises:** `ValueError` for a volume that is not positive, and for a shape that does not fit.
    """
    return _sums(_of_all(state, of), state.alive, _volume(volume, state))


@jax.jit
def _sums(phi: Array, alive: Array, volume: Array) -> Array:
    return jnp.sum(_of_alive(phi, alive), axis=0) / volume


@on_any_mesh
def rescaled_f2(
    state: Particles, *, volume: RealScalarLike, of: Callable[[Particles], Float[Array, " N"] | Float[Array, "N m"]]
) -> RealScalar | Float[Array, "m m"]:
    r"""An unbiased estimate of $\int \varphi(v)\,\varphi(w)^T f_2\,dv\,dw$ from one state: $\frac1{\Lambda^2} \sum_{i \ne j}
    \varphi(v_i)\varphi(v_j)^T$.

    **Arguments** as in `rescaled_f1`. **Returns:** () or (m, m); differentiable, cost N m^2. If chaos propagates, its mean over
    an ensemble tends to $(\int \varphi f_1)(\int \varphi f_1)^T$; for i.i.d. particles with N = Lambda it is $(1 - 1/N)$ times
    that.
    """
    return _pairs(_of_all(state, of), state.alive, _volume(volume, state))


@jax.jit
def _pairs(phi: Array, alive: Array, volume: Array) -> Array:
    phi = _of_alive(phi, alive)
    flat = phi.reshape(phi.shape[0], -1)
    total = jnp.sum(flat, axis=0)
    own = gram(flat)
    pairs = (total[:, None] * total[None, :] - own) / volume**2
    return pairs.reshape(phi.shape[1:] * 2)


class SelfSimilar(NamedTuple):
    """`density` n, `temperature` T, `mean` velocity u (d,), and `xi` (N, d) = (v - u)/sqrt(2T), 0 in dead slots."""

    density: RealScalar
    temperature: RealScalar
    mean: Float[Array, " d"]
    xi: Float[Array, "N d"]


@on_any_mesh
def self_similar(state: Particles, *, volume: RealScalarLike) -> SelfSimilar:
    r"""The self-similar variables of [LodsNotaPezzotti2020, (6.5)], $f = n (2T)^{-d/2} \psi(\tau, (v-u)/\sqrt{2T})$: n, T, u,
    and particles xi with the law psi, for which $\int |\xi|^2 \psi = d/2$.

    `self_similar_time` gives tau. Differentiable in the velocities. NaN if no particle is alive or T = 0.
    """
    check_state(state)
    return SelfSimilar(rescaled_density(state, volume=volume), *_shape(state))


@one_program()
def _shape(state: Particles) -> tuple[Array, Array, Array]:
    mean, warmth = momentum(state), temperature(state)
    xi = (state.live_velocity - mean[None, :]) / jnp.sqrt(2 * warmth)
    xi = jnp.where(state.alive[:, None], xi, jnp.zeros((), xi.dtype))
    return warmth, mean, xi


def self_similar_time(
    times: Real[ArrayLike, " T"], density: Real[ArrayLike, "*runs T"], temperature: Real[ArrayLike, "*runs T"]
) -> Float[Array, "*runs T"]:
    r"""The self-similar time of hard spheres, $\tau(t) = \int_{t_0}^t n \sqrt{2T}\,ds$ from the first save t_0, by the
    trapezoidal rule. (For a collision frequency r^gamma the integrand would be $n (2T)^{\gamma/2}$; gamma = 1 is hard spheres.)

    **Arguments:** `times`: (T,). `density`, `temperature`: (..., T); leading axes are replicas. **Returns:** (..., T). At T = 0
    the derivative in T is infinite.

    **Raises:** `ValueError` for shapes that do not fit, times that do not increase, and negative n or T. If traced, bad times
    give NaN everywhere, and a negative n or T gives NaN from there on."""
    if not is_traced(times):
        known = known_numbers("times", times, shape=(None,))
        if np.any(np.diff(known) <= 0):
            raise argument_error("times", "increase", "do not", "sort the series")
    for name, values in (("density", density), ("temperature", temperature)):
        if not is_traced(values):
            known_numbers(name, values, nonnegative=True, finite=False)
        if not np.ndim(values) or np.shape(values)[-1] != np.shape(times)[-1] or np.shape(values) != np.shape(density):
            was = f"has shape {np.shape(values)}"
            raise argument_error(
                name, f"have one entry per time, {np.shape(times)[-1]}, and one row per run", was, "reshape it"
            )
    speed = jnp.asarray(density) * jnp.sqrt(2 * jnp.asarray(temperature))
    if is_traced(density):
        speed = nan_unless(jnp.asarray(density) >= 0, speed)
    middle = (speed[..., 1:] + speed[..., :-1]) / 2
    intervals = _intervals(times, middle.dtype)
    pieces = jnp.broadcast_to(intervals, middle.shape) * middle
    out = jnp.concatenate([jnp.zeros_like(pieces[..., :1]), jnp.cumsum(pieces, axis=-1)], axis=-1)
    return nan_unless(jnp.all(intervals > 0), out) if is_traced(times) else out


def _intervals(times: Any, dtype: jnp.dtype) -> Array:
    times = times if is_traced(times) else np.asarray(times, float)
    return time_since(times[1:], times[:-1], dtype)


def _volume(volume: RealScalarLike, state: Particles) -> RealScalar:
    return jnp.asarray(scalar_or_nan("volume", volume, positive=True)).astype(state.velocity.dtype)


def _of_all(state: Particles, of: Callable[[Particles], Array]) -> Float[Array, "N *m"]:
    check_state(state)
    return of_every_particle(state, of, "(N,) or (N, m)")


def _of_alive(phi: Array, alive: Array) -> Float[Array, "N *m"]:
    alive = alive.reshape(-1, *[1] * (phi.ndim - 1))
    return jnp.where(alive, phi, jnp.zeros((), phi.dtype))
