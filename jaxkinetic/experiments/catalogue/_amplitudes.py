"""Shared by the experiments on amplitudes of one particle and of N particles: the HMF model from complex data, so that the
phase K of (HVl) is not 0."""

import math
from typing import Any

import jax
import numpy as np

from ... import plotting as look
from ...states import Axis, Grid
from ...vlasov import Cosine, Counting, Maxwellian, MeanFieldFlow, PerturbedAmplitude, mean_field_flow, sampled_counting
from .._harness import option as options
from .._harness.errors import log_log_line
from .._harness.experiment import Headline
from .._harness.panels import Item, dots, line, panel
from .._harness.parts import ExperimentInParts
from .._harness.report import Estimate, Panel

# Strength of the phase e^{i v sin(x)/2} of the initial amplitude.
_TWIST = 0.5
# The smallest N in the fit: the exponent is that of large N.
FIRST = 8


class AmplitudeExperiment(ExperimentInParts):
    headline = Headline("outside", "share of particles outside")
    precision = 64
    particles: int
    dim: int = options.dim(1, 1, 1)
    dt: float = options.dt(0.05)
    steps: int
    replicas: int = options.replicas(10_000, minimum=16, help="number of Monte Carlo samples")
    seed: int = options.seed()
    scheme: str
    nx: int = options.points(32, "x", 8)
    nv: int
    amplitude: float = options.amplitude(0.4)
    temperature: float = options.temperature(0.5)

    def potential(self) -> Cosine:
        return Cosine()

    def datum(self) -> PerturbedAmplitude:
        r"""$\alpha_0 = \sqrt{f_0(v)(1 + A\cos x)}\,e^{i v \sin(x)/2}$."""
        return PerturbedAmplitude(Maxwellian(self.temperature, 2 * math.pi), self.amplitude, _TWIST)

    def grid(self) -> Grid:
        reach = 6 * math.sqrt(self.temperature) + 0.5
        return Grid(Axis(0.0, 2 * math.pi, self.nx), Axis(-reach, 2 * reach, self.nv, periodic=False))

    def flow(self, num_steps: int) -> MeanFieldFlow:
        """The mean-field flow on at least 32 points in x and 64 in v: its cost is negligible beside that of the samples."""
        x, v = self.grid().axes
        fine = Grid(Axis(0.0, x.length, max(32, x.num)), Axis(v.start, v.length, max(64, v.num), periodic=False))
        return mean_field_flow(self.potential(), self.datum(), fine, dt=self.dt, num_steps=num_steps)

    def sampled(self, num_particles: int, mean: MeanFieldFlow, *, swaps: int = 1) -> Counting:
        """Counting statistics of N particles at the end of the flow `mean`, by Monte Carlo; every N has its own key."""
        key = jax.random.fold_in(jax.random.key(self.seed, impl="threefry2x32"), num_particles)
        return sampled_counting(key, mean, num_particles, samples=self.replicas, swaps=swaps)

    def sizes(self) -> list[int]:
        """Particle numbers 2, 4, 8, ... below `particles`, and `particles`."""
        powers = [2**i for i in range(1, self.particles.bit_length()) if 2**i < self.particles]
        return [*powers, self.particles]


def exponent(sizes: np.ndarray, outside: np.ndarray, stderr: np.ndarray, first: int = FIRST) -> Estimate:
    """b of <n^2> ~ N^b, from N = `first` on; NaN for fewer than three values of N."""
    fitted = sizes >= first
    slope, error, _ = log_log_line(sizes[fitted], outside[fitted], stderr[fitted], least=3)
    return Estimate(slope, error)


def outside_panel(
    sizes: np.ndarray, outside: np.ndarray, stderr: np.ndarray, slope: float, label: str, *items: Item, **fields: Any
) -> Panel:  # fmt: skip
    """<n^2> against N above the items, and the power N^slope through its last value, if the slope is known."""
    if np.isfinite(slope):
        items += (line(sizes, outside[-1] * (sizes / sizes[-1]) ** slope, f"slope {slope:.2f}", "--", look.BLUE),)
    return panel(*items, dots(sizes, outside, stderr, label), x="number of particles N", log="xy", **fields)
