"""H - H_M of the one-particle law: replicas pooled, bias and noise known; and the fit of its decay."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...diagnostics import fisher_information, fisher_information_bias, knn_entropy, knn_entropy_bias, temperature
from ...fitting.decay import DecayFit, fit_decay
from ...landau import exact
from ...states import Particles
from .._harness.errors import standard_error
from .._harness.experiment import Options

# Of replicas, whose scatter is the noise.
_GROUPS = 8
# Samples of the Maxwellian that measure the bias, at most.
_BIAS_REPLICAS = 128
# Particles in all of them together, at most, unless that leaves fewer than 8 samples.
_BIAS_PARTICLES = 1 << 20
_FISHER_PARTICLES = 8192


def excess_entropy(velocities: np.ndarray, options: Options) -> dict[str, Any]:
    """H - H_M at the sample's own temperature and mean, of velocities (replica, time, N, d): "value", "noise", "groups",
    "bias_stderr". Replicas are pooled in groups, whose scatter is the noise."""
    groups = np.array_split(velocities, min(_GROUPS, len(velocities)))
    k = min(5, min(len(g) for g in groups) * options.particles - 1)
    at_unit = float(exact.maxwellian_entropy(options.dim))
    bias_key = jax.random.fold_in(jax.random.key(options.seed, impl="threefry2x32"), options.replicas)
    sizes = {len(g) * options.particles for g in groups}
    biases = {size: knn_entropy_bias(bias_key, size, options.dim, k=k, replicas=_bias_replicas(size)) for size in sizes}
    bias_stderr = max(stderr for _, stderr in biases.values())
    out = np.empty((len(groups), velocities.shape[1]))
    for i, group in enumerate(groups):
        for j in range(velocities.shape[1]):
            pooled = Particles(jnp.asarray(group[:, j].reshape(-1, options.dim)))
            h = float(knn_entropy(pooled, k=k, bias=biases[pooled.num_slots][0]))
            log_temperature = math.log(float(temperature(pooled))) - _log_temperature_bias(
                pooled.num_slots, options.dim
            )
            out[i, j] = h + options.dim / 2 * log_temperature - at_unit
    # One group does not show its own scatter: that on a Maxwellian of its size stands for it.
    scatter = standard_error(out) if len(out) > 1 else bias_stderr * math.sqrt(_bias_replicas(max(sizes)))
    noise = np.broadcast_to(np.hypot(scatter, bias_stderr), out.shape[1:])
    return {"value": out.mean(axis=0), "noise": noise, "groups": out, "bias_stderr": bias_stderr}


def _log_temperature_bias(num: int, dim: int) -> float:
    """E log(sample temperature) of `num` particles of a Maxwellian of temperature 1, where d N T ~ chi^2 of d (N - 1)."""
    from scipy.special import digamma

    return float(digamma(dim * (num - 1) / 2)) + math.log(2 / (dim * num))


def tail(times: np.ndarray, value: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Where a rate is fitted: from a quarter of the time to the last save before the excess is below 3 standard errors; five
    saves at least, earlier ones if need be."""
    lost = np.flatnonzero(value < 3 * np.nan_to_num(noise))
    last = max(int(lost[0]) if lost.size else len(times), 5)
    first = min(int(np.searchsorted(times, times[-1] / 4)), last - 5)
    places = np.arange(len(times))
    return (places >= first) & (places < last)


def fisher_excess(velocities: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray, int]:
    """(I T/d - 1, its standard error, M) at every time: Fisher's information of the first M <= 8192 particles of every run over
    that of the Maxwellian of their temperature, by the same estimator on Maxwellians of M particles. 0 in equilibrium."""
    num, dim = min(_FISHER_PARTICLES, velocities.shape[2]), velocities.shape[3]
    key = jax.random.fold_in(jax.random.key(options.seed, impl="threefry2x32"), options.replicas + 1)
    bias, bias_stderr = fisher_information_bias(key, num, dim, replicas=8)
    relative = np.empty(velocities.shape[:2])
    for r, run in enumerate(velocities):
        for t in range(len(run)):
            state = Particles(jnp.asarray(run[t, :num]))
            relative[r, t] = float(fisher_information(state)) * float(temperature(state)) / (dim + bias) - 1
    # One run does not show its own scatter: that on a Maxwellian stands for it.
    own = standard_error(relative)
    own = np.where(np.isnan(own), bias_stderr * 8**0.5 / dim, own)
    return relative.mean(axis=0), np.hypot(own, bias_stderr / dim), num


def fit_excess(times: np.ndarray, groups: np.ndarray, bias_stderr: float) -> tuple[DecayFit, float]:
    """The fit and the standard error of its rate, to which the error of the bias, common to all times and groups, adds
    through the derivative of the rate with respect to the floor."""
    values = groups if len(groups) > 1 else groups[0]

    def rate_and_fit(floor: float) -> tuple[Any, DecayFit]:
        fit = fit_decay(times, values, floor=floor)
        return fit.rate, fit

    slope, fit = jax.grad(rate_and_fit, has_aux=True)(0.0)
    return fit, math.hypot(float(fit.rate_stderr), float(slope) * bias_stderr)


def _bias_replicas(particles: int) -> int:
    return max(8, min(_BIAS_REPLICAS, _BIAS_PARTICLES // particles))
