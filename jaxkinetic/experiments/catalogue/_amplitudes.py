"""What the experiments on amplitudes of one and of N particles share: the HMF model from complex data, K != 0."""

import math

import jax

from ...states import Axis, Grid
from ...vlasov import Cosine, Counting, Maxwellian, MeanFieldFlow, PerturbedAmplitude, mean_field_flow, sampled_counting
from .._harness.experiment import AmplitudeOptions

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
    """Of the mean field, on velocities twice as fine: it costs nothing beside the samples."""
    x, v = grid(options).axes
    fine = Grid(Axis(0.0, x.length, max(32, x.num)), Axis(v.start, v.length, max(64, v.num), periodic=False))
    return mean_field_flow(potential(), datum(options), fine, dt=options.dt, num_steps=num_steps)


def sampled(options: AmplitudeOptions, num_particles: int, mean: MeanFieldFlow, *, swaps: int = 1) -> Counting:
    key = jax.random.fold_in(jax.random.key(options.seed, impl="threefry2x32"), num_particles)
    return sampled_counting(key, mean, num_particles, samples=options.replicas, swaps=swaps)


def sizes(largest: int) -> list[int]:
    """2, 4, 8, ..., and the largest."""
    powers = [2**i for i in range(1, largest.bit_length()) if 2**i < largest]
    return [*powers, largest]
