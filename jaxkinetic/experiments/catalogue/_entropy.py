"""H - H_M and Fisher's information of the one-particle law: estimates from pooled replicas with the bias subtracted, their
noise, and the fit of the decay of H - H_M."""

import math
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from ..._util.types import Key
from ...diagnostics import fisher_information, fisher_information_bias, knn_entropy, knn_entropy_bias, temperature
from ...fitting.decay import DecayFit, fit_decay
from ...landau import exact
from ...states import Particles
from .._harness.errors import standard_error
from .._harness.report import Estimate

# Number of groups of replicas; the scatter between groups gives the noise.
_GROUPS = 8
# Largest number of Maxwellian samples from which the bias is measured.
_BIAS_REPLICAS = 128
# Largest number of particles in all these samples together; at least 8 samples are drawn.
_BIAS_PARTICLES = 1 << 20
# Particles of a run that enter Fisher's information, at most: its kernel estimator sums over pairs.
_FISHER_PARTICLES = 8192


@runtime_checkable
class Sample(Protocol):
    """The options of an experiment with particles that its estimates need."""

    @property
    def particles(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def replicas(self) -> int: ...
    @property
    def seed(self) -> int: ...


def excess_entropy(velocities: np.ndarray, experiment: Sample) -> dict[str, Any]:
    """H - H_M of velocities (replica, time, N, d), where the Maxwellian has the sample's own temperature and mean. Replicas are
    pooled in groups. Returns "value" and "noise" (time,), "groups" (group, time), and the scalar "bias_stderr"."""
    dim = experiment.dim
    groups = np.array_split(velocities, min(_GROUPS, len(velocities)))
    k = min(5, min(len(g) for g in groups) * experiment.particles - 1)
    at_unit = float(exact.maxwellian_entropy(dim))
    key = _bias_key(experiment, experiment.replicas)
    sizes = {len(g) * experiment.particles for g in groups}
    biases = {size: knn_entropy_bias(key, size, dim, k=k, replicas=_bias_replicas(size)) for size in sizes}
    bias_stderr = max(stderr for _, stderr in biases.values())
    out = np.empty((len(groups), velocities.shape[1]))
    for i, group in enumerate(groups):
        for j in range(velocities.shape[1]):
            pooled = Particles(jnp.asarray(group[:, j].reshape(-1, dim)))
            h = float(knn_entropy(pooled, k=k, bias=biases[pooled.num_slots][0]))
            log_temperature = math.log(float(temperature(pooled))) - _log_temperature_bias(pooled.num_slots, dim)
            out[i, j] = h + dim / 2 * log_temperature - at_unit
    # The scatter of a single group is unknown: use that of the estimator on Maxwellian samples of the same size.
    scatter = standard_error(out) if len(out) > 1 else bias_stderr * math.sqrt(_bias_replicas(max(sizes)))
    noise = np.broadcast_to(np.hypot(scatter, bias_stderr), out.shape[1:])
    return {"value": out.mean(axis=0), "noise": noise, "groups": out, "bias_stderr": bias_stderr}


def _log_temperature_bias(num: int, dim: int) -> float:
    """E log(sample temperature) of `num` particles of a Maxwellian of temperature 1, where d N T ~ chi^2 of d (N - 1)."""
    from scipy.special import digamma

    return float(digamma(dim * (num - 1) / 2)) + math.log(2 / (dim * num))


def tail(times: np.ndarray, value: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Mask of the saves to which a rate is fitted: from a quarter of the run to the last save before the excess falls below 3
    standard errors. It has at least five saves, and begins earlier if necessary."""
    lost = np.flatnonzero(value < 3 * np.nan_to_num(noise))
    last = max(int(lost[0]) if lost.size else len(times), 5)
    first = min(int(np.searchsorted(times, times[-1] / 4)), last - 5)
    places = np.arange(len(times))
    return (places >= first) & (places < last)


def fisher_excess(velocities: np.ndarray, experiment: Sample) -> tuple[np.ndarray, np.ndarray, int]:
    """(I T/d - 1, its standard error, M) at every time: Fisher's information of the first M <= 8192 particles of every run,
    relative to that of the Maxwellian with their temperature, estimated in the same way from M particles. 0 in equilibrium."""
    num, dim = min(_FISHER_PARTICLES, velocities.shape[2]), velocities.shape[3]
    key = _bias_key(experiment, experiment.replicas + 1)
    bias, bias_stderr = fisher_information_bias(key, num, dim, replicas=8)
    relative = np.empty(velocities.shape[:2])
    for r, run in enumerate(velocities):
        for t in range(len(run)):
            state = Particles(jnp.asarray(run[t, :num]))
            relative[r, t] = float(fisher_information(state)) * float(temperature(state)) / (dim + bias) - 1
    # The scatter of a single run is unknown: use that of the 8 Maxwellian samples, whose mean has the error `bias_stderr`.
    own = standard_error(relative)
    own = np.where(np.isnan(own), bias_stderr * 8**0.5 / dim, own)
    return relative.mean(axis=0), np.hypot(own, bias_stderr / dim), num


def fit_excess(
    times: np.ndarray, groups: np.ndarray, bias_stderr: float, exact_rate: float | None = None
) -> tuple[DecayFit, Estimate]:
    """The fit and its rate. The error of the bias is common to all times and groups, so the scatter does not show it; it enters
    the error of the rate through d(rate)/d(floor), with floor the constant of the fit."""
    values = groups if len(groups) > 1 else groups[0]

    def rate_and_fit(floor: float) -> tuple[Any, DecayFit]:
        fit = fit_decay(times, values, floor=floor)
        return fit.rate, fit

    slope, fit = jax.grad(rate_and_fit, has_aux=True)(0.0)
    stderr = math.hypot(float(fit.rate_stderr), float(slope) * bias_stderr)
    return fit, Estimate(float(fit.rate), stderr, fit.degrees_of_freedom, exact_rate)


def fourth_ratio(velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """<|v|^4> over d (d+2) T^2, its value for a Maxwellian, over the particles of all runs, and its standard error by the delta
    method."""
    d = velocities.shape[-1]
    q = np.sum(np.asarray(velocities, float) ** 2, axis=-1)
    q = np.moveaxis(q, 1, 0).reshape(q.shape[1], -1)
    m2, m4 = q.mean(1), (q**2).mean(1)
    influence = q**2 - 2 * (m4 / m2)[:, None] * q
    scale = d * (d + 2) * (m2 / d) ** 2
    return m4 / scale, influence.std(1) / scale / np.sqrt(q.shape[1])


def speeds(velocities: np.ndarray) -> dict[str, np.ndarray]:
    """The speeds of the particles of all runs at the first and the last save, as entries of result.npz."""
    ends = {"speed_first": velocities[:, 0], "speed_last": velocities[:, -1]}
    return {name: np.linalg.norm(v, axis=-1).ravel() for name, v in ends.items()}


def _bias_replicas(particles: int) -> int:
    return max(8, min(_BIAS_REPLICAS, _BIAS_PARTICLES // particles))


def _bias_key(experiment: Sample, number: int) -> Key:
    """A key that no run has: the runs have the numbers 0 to replicas - 1."""
    return jax.random.fold_in(jax.random.key(experiment.seed, impl="threefry2x32"), number)
