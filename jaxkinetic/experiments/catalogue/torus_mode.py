"""The matrix-root system on the torus from one-mode data, for which the solution of the Landau equation is known: amplitude,
decay rate, entropy."""

import functools

import equinox as eqx
import numpy as np
from jaxtyping import Array

from ... import initial, plotting as look
from ...diagnostics import mode as empirical_mode
from ...fitting.decay import fit_decay
from ...landau import MatrixSqrt, Trigonometric, exact
from ...states import Particles
from .._harness import option as options
from .._harness.errors import fit_runs, meaning, standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, histograms, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Report, Series

__all__ = ["TorusMode", "interaction_for"]

_AMPLITUDE = 0.8


def interaction_for(dim: int) -> tuple[Trigonometric, tuple[int, ...]]:
    """a(z) and the mode that is followed.

    d = 1: a = 1 + cos(z)/2 and m = 1. d = 2, 3: a = I/2 + |s|^2 I - s s^T, s = sin z, as matrices of cosines, m = (1, 1, ..).
    """
    if dim == 1:
        return Trigonometric([[0], [1]], [1.0, 0.5]), (1,)
    unit, identity = np.eye(dim, dtype=int), np.eye(dim)
    modes, matrices = [0 * unit[0]], [dim / 2 * identity]
    for i in range(dim):
        modes.append(2 * unit[i])
        matrices.append((np.diag(unit[i]) - identity) / 2)
        for j in range(i):
            cross = (np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i])) / 2
            modes += [unit[i] + unit[j], unit[i] - unit[j]]
            matrices += [cross, -cross]
    return Trigonometric(np.stack(modes), np.stack(matrices)), (1, 1, 0)[:dim]


class TorusMode(ParticleExperiment):
    name = "torus-mode"
    summary = "the matrix-root system on the torus against the exact nonlinear one-mode solution; fits its decay rate"
    headline = Headline("decay_rate", "decay rate of the mode")
    particles: int = options.particles(4096)
    dim: int = options.dim(1, 1, 3)
    dt: float = options.dt(0.04)
    steps: int = options.steps(50, minimum=10)  # a rate is fitted
    replicas: int = options.replicas(128)
    scheme: str = options.scheme("euler-maruyama")

    def problem(self) -> Problem:
        interaction, mode = interaction_for(self.dim)
        start = eqx.Partial(initial.torus_mode, num_particles=self.particles, mode=mode, amplitude=_AMPLITUDE)
        observe = {"mode": functools.partial(_cosine, wavevector=mode)}
        return Problem(MatrixSqrt(interaction), start, observe, state=True)

    def analyse(self, runs: Runs) -> Report:
        interaction, mode = interaction_for(self.dim)
        times, amplitudes = runs.times, 2 * runs["mode"]
        known = exact.torus_mode_rate(interaction, mode)
        amplitude = Series(
            "amplitude", "A", amplitudes.mean(axis=0), standard_error(amplitudes),
            exact.torus_mode_amplitude(times, interaction, mode, _AMPLITUDE),
        )  # fmt: skip
        # Plug-in estimate: the variance of A is subtracted from A^2; the noise of A is multiplied by
        # dH/dA = A/(1 + sqrt(1 - A^2)).
        square = np.clip(amplitude.values**2 - np.nan_to_num(amplitude.noise) ** 2, 0, 1)
        entropy = Series(
            "entropy", "H-H_u", exact.torus_mode_entropy(0.0, interaction, mode, np.sqrt(square)),
            np.sqrt(square) / (1 + np.sqrt(1 - square)) * amplitude.noise,
            exact.torus_mode_entropy(times, interaction, mode, _AMPLITUDE), ".5f",
        )  # fmt: skip
        fit = fit_runs(times, amplitudes)
        rate = Estimate.of(fit, known)
        first_rate = known * (self.particles - 1) / self.particles
        stepped = exact.torus_mode_amplitude_euler(self.steps, self.dt, interaction, mode, _AMPLITUDE)[runs.steps]
        stepped_rate = float(fit_decay(times, stepped).rate)
        first, last = (np.mod(runs.velocities[:, i].astype(float) @ mode, 2 * np.pi).ravel() for i in (0, -1))
        components = ", ".join(map(str, mode))
        notes = (
            f"Decay rate of mode ({components}): {rate:.4f} fitted, {known:.4f} exact; "
            f"{(rate.value - known) / rate.stderr:+.1f} standard errors.",
            f"The exact rate is that of the Landau equation. The initial rate of {self.particles} particles is "
            f"{first_rate:.4f}, (N-1)/N of it; the time step {self.dt:g} alone shifts the fitted rate to {stepped_rate:.4f}.",
            "H - H_uniform is a plug-in estimate: the entropy of the one-mode density with the measured amplitude "
            "A = 2 E cos(m.v), since the exact solution stays in this family. |A| > 1 counts as 1.",
            meaning(self.replicas),
        )
        numbers = {
            "decay_rate": rate, "decay_rate_exact_at_first": first_rate, "decay_rate_stepped": stepped_rate,
            "fit_amplitude": float(fit.amplitude), "fit_r2": float(fit.r2), "mode": list(mode),
        }  # fmt: skip
        fine = np.linspace(times[0], times[-1], 200)
        panels = (
            panel(
                line(fine, _AMPLITUDE * np.exp(-known * fine), f"exact, rate {known:.4g}"),
                line(fine, fit(fine), f"fitted rate {rate.value:.3f} ± {rate.stderr:.3f}", "--", look.ORANGE),
                dots(times, amplitude.values, amplitude.noise),
                y=r"amplitude $A = 2\,\langle\cos m\cdot v\rangle$", title=f"Mode m = ({components}) decays exponentially",
                log="y",
            ),
            panel(
                line(times, entropy.exact, "exact"),
                dots(times, entropy.values, entropy.noise, "from the measured amplitude"),
                y=r"$H(t) - H_{\rm uniform}$", title="Entropy falls (plug-in of the amplitude)", log="y",
            ),
            histograms(
                [(first, times[0]), (last, times[-1])], 2 * np.pi,
                lambda x, t: (1 + _AMPLITUDE * np.exp(-known * t) * np.cos(x)) / (2 * np.pi),
                x=r"phase $m\cdot v$ modulo $2\pi$", title="The particles and the exact density", legend="lower right",
            ),
        )  # fmt: skip
        return Report(
            numbers, (runs.saves, amplitude, entropy), notes, panels,
            f"Landau equation on the torus, d = {self.dim}: an exact nonlinear solution, and {self.replicas} × "
            f"{self.particles} particles",
            {"amplitudes": amplitudes, "phase_first": first, "phase_last": last},
            dims={"amplitudes": "replica time", "phase_first": "sample", "phase_last": "sample"},
        )  # fmt: skip


def _cosine(state: Particles, *, wavevector: tuple[int, ...]) -> Array:
    return empirical_mode(state, wavevector=wavevector).real
