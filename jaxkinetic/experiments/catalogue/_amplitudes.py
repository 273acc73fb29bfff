"""Shared by the experiments on amplitudes of one particle and of N particles: the HMF model from complex data, so that the
phase K of (HVl) is not 0."""

import math

import jax

from ...states import Axis, Grid
from ...vlasov import Cosine, Counting, Maxwellian, MeanFieldFlow, PerturbedAmplitude, mean_field_flow, sampled_counting
from .._harness.experiment import AmplitudeOptions

# Strength of the phase e^{i v sin(x)/2} of the initial amplitude.
_TWIST = 0.5


def potential() -> Cosine:
    return Cosine()


def datum(options: AmplitudeOptions) -> PerturbedAmplitude:
    r"""$\alpha_0 = \sqrt{f_0(v)(1 + A\cos x)}\,e^{i v \sin(x)/2}$."""
    return PerturbedAmplitude(Maxwellian(options.temperature, 2 * math.pi), options.amplitude, _TWIST)


def grid(options: AmplitudeOptions) -> Grid:
    reach = 6 * math.sqrt(options.temperature) + 0.5
    return Grid(Axis(0.0, 2 * math.pi, options.nx), Axis(-reach, 2 * reach, options.nv, periodic=False))


def flow(options: AmplitudeOptions, num_steps: int) -> MeanFieldFlow:
    """The mean-field flow on at least 32 points in x and 64 in v: its cost is negligible beside that of the samples."""
    x, v = grid(options).axes
    fine = Grid(Axis(0.0, x.length, max(32, x.num)), Axis(v.start, v.length, max(64, v.num), periodic=False))
    return mean_field_flow(potential(), datum(options), fine, dt=options.dt, num_steps=num_steps)


def sampled(options: AmplitudeOptions, num_particles: int, mean: MeanFieldFlow, *, swaps: int = 1) -> Counting:
    """Counting statistics of N particles at the end of the flow `mean`, by Monte Carlo; every N has its own key."""
    key = jax.random.fold_in(jax.random.key(options.seed, impl="threefry2x32"), num_particles)
    return sampled_counting(key, mean, num_particles, samples=options.replicas, swaps=swaps)


def sizes(largest: int) -> list[int]:
    """Particle numbers 2, 4, 8, ... below `largest`, and `largest`."""
    powers = [2**i for i in range(1, largest.bit_length()) if 2**i < largest]
    return [*powers, largest]
