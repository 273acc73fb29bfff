"""The three Landau particle systems side by side: which conserves momentum and energy on every path, and which in mean only.

(FW 1.6) is the system of [FengWang2025], (FW 1.7) that of [FontbonaGuerinMeleard2009], (FW 1.8) that of [Fournier2009]."""

from collections.abc import Mapping

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import energy, momentum
from ...landau import IndependentNoise, Kac, MatrixSqrt, Maxwell, exact
from .._harness import option as options
from .._harness.errors import meaning, momentum_drift, standard_error
from .._harness.experiment import Headline
from .._harness.panels import line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Panel, Report, Series

__all__ = ["Conservation"]

# By the name of the system in the results: its label, the class, its colour.
_SYSTEMS = {
    "kac": ("Kac (FW 1.6)", Kac, look.BLUE),
    "independent": ("independent (FW 1.7)", IndependentNoise, look.ORANGE),
    "matrix_sqrt": ("matrix root (FW 1.8)", MatrixSqrt, look.GREEN),
}


class Conservation(ParticleExperiment):
    name = "conservation"
    summary = "three Landau particle systems side by side: momentum and energy, conserved on every path or in mean"
    headline = Headline("kac.mean_energy_drift", "mean energy drift of Kac's system")
    particles: int = options.particles(128)
    dim: int = options.dim(3)
    dt: float = options.dt(0.001)
    steps: int = options.steps(200)
    replicas: int = options.replicas(64)
    scheme: str = options.scheme("euler-maruyama")

    def problem(self) -> dict[str, Problem]:
        start = eqx.Partial(initial.maxwellian, num_particles=self.particles, dim=self.dim)
        observe = {"energy": energy, "momentum": momentum}
        return {label: Problem(system(Maxwell()), start, observe) for label, system, _ in _SYSTEMS.values()}

    def analyse(self, runs: Mapping[str, Runs]) -> Report:
        first = next(iter(runs.values()))
        times, eps = first.times, first.eps
        # Drifts of every run, (R, 3, T), and their exact values, (3, T).
        p = np.stack([momentum_drift(run["momentum"]) for run in runs.values()], axis=1)
        e = np.stack([run["energy"] - run["energy"][:, :1] for run in runs.values()], axis=1)
        p_exact, e_exact = np.stack([self._exact(key, first.steps) for key in _SYSTEMS], axis=1)
        rms, mean = np.sqrt(np.mean(p**2, axis=0)), e.mean(axis=0)
        # The error of the root by the delta method. Where momentum is conserved on every path, the drift is round-off and no
        # statistical error applies.
        rms_noise = np.where(p_exact < eps, eps, standard_error(p**2) / (2 * np.maximum(rms, 1e-300)))
        mean_noise, spread = standard_error(e), e.std(axis=0)
        conserves = [system(Maxwell()).conserves for _, system, _ in _SYSTEMS.values()]
        table = (
            Series("", "system", list(runs)),
            Series("", "momentum", [kept["momentum"] for kept in conserves]),
            Series("", "rms |dp|", rms[:, -1], rms_noise[:, -1], p_exact[:, -1], ".2e", noise_form=".0e"),
            Series("", "energy", [kept["energy"] for kept in conserves]),
            Series("", "mean dE", mean[:, -1], mean_noise[:, -1], e_exact[:, -1], "+.2e", noise_form=".0e"),
            Series("", "std of dE", spread[:, -1], form=".1e"),
        )
        of = (("momentum", p, p_exact, rms), ("energy", e, e_exact, mean))
        over_time = [
            Series.of_runs(f"{key}_{name}", "", drift[:, i], exact=known[i])
            for i, key in enumerate(_SYSTEMS) for name, drift, known, _ in of
        ]  # fmt: skip
        notes = (
            f"At t = {times[-1]:.3g}, over {self.replicas} runs of {self.particles} particles. The columns `momentum` and "
            "`energy` say how the equation conserves them: on every path (exact) or in mean.",
            "The exact values are those of Euler-Maruyama at this dt, which heats every system by order dt in mean. The energy "
            "of Kac's system, which the equation conserves, scatters by order sqrt(dt); that of the other two scatters for "
            "every dt. " + meaning(self.replicas),
        )
        numbers = {
            key: {
                "rms_momentum_drift": rms[i, -1],
                "mean_energy_drift": Estimate(mean[i, -1], mean_noise[i, -1], self.replicas - 1, e_exact[i, -1]),
                "std_energy_drift": spread[i, -1],
            }
            for i, key in enumerate(_SYSTEMS)
        }

        def over(name: str, drift: np.ndarray, known: np.ndarray, average: np.ndarray, i: int) -> Panel:
            """The drift of some runs, its average, and the exact value."""
            (label, _, color), top = list(_SYSTEMS.values())[i], np.abs(drift).max() * 1.05
            momentum = name == "momentum"
            kept = "on every path" if conserves[i][name] == "exact" else "in mean only"
            return panel(
                line(times, drift[:24, i].T, "", color=color, alpha=0.3, lw=0.9),
                line(times, average[i], "root mean square" if momentum else "mean", color=color, lw=2.6),
                line(times, known[i], "exact (Euler-Maruyama)", "--", lw=1.6),
                lambda ax: ax.set(ylim=(0 if momentum else -top, top)),
                lambda ax: ax.locator_params(axis="x", nbins=5),
                y=r"$|p(t) - p(0)|$" if momentum else r"$E(t) - E(0)$", title=f"{label}\n{name}: conserved {kept}",
                legend="upper left",
            )  # fmt: skip

        panels = [over(*each, i) for each in of for i in range(len(_SYSTEMS))]
        return Report(
            numbers, (*table, *over_time), notes, panels,
            f"What the three Landau particle systems conserve  (N = {self.particles}, d = {self.dim}, Δt = {self.dt:g}, "
            f"{self.replicas} runs)",
            {"times": times},
        )  # fmt: skip

    def _exact(self, noise: str, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Root-mean-square momentum drift and mean energy drift of the discrete scheme, per particle."""
        n, d = self.particles, self.dim
        moments = [exact.second_moments_euler(k, self.dt, np.eye(d), np.zeros((d, d)), n, noise) for k in steps]
        mean_energy = np.array([np.trace(p) / 2 for p, _ in moments])
        # The mean velocity is a martingale, so the variance of its drift is the growth of its second moment.
        square = np.array([(np.trace(p) + (n - 1) * np.trace(c)) / n for p, c in moments])
        return np.sqrt(np.maximum(square - square[0], 0)), mean_energy - mean_energy[0]
