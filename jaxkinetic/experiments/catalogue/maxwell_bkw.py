"""Kac's conservative system (FW 1.6) with Maxwell molecules from Bobylev-Krook-Wu data [KrookWu1977], beside the exact
solution."""

import functools
from math import gamma, pi

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import moment, momentum, temperature
from ...fitting.decay import fit_decay
from ...landau import Kac, Maxwell, exact
from .._harness import option as options
from .._harness.errors import energy_drift, meaning, momentum_drift, standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, histograms, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Report, Series
from ._entropy import excess_entropy, fit_excess, speeds

__all__ = ["MaxwellBKW"]

# Scatter relative to the initial excess; beyond it the fit is not linear in the noise.
_TOO_NOISY = 0.2


class MaxwellBKW(ParticleExperiment):
    name = "maxwell-bkw"
    summary = "Kac's system with Maxwell molecules from BKW data beside the exact solution; fits the entropy-decay rate"
    headline = Headline("entropy_decay_rate", "entropy-decay rate")
    particles: int = options.particles(256)
    dim: int = options.dim(3)
    dt: float = options.dt(0.002)
    steps: int = options.steps(100, minimum=10)  # a rate is fitted
    replicas: int = options.replicas(256)
    scheme: str = options.scheme("euler-maruyama", "sweep")

    @property
    def _beta(self) -> float:
        # The BKW density is not negative for beta <= 2/(d + 2).
        return min(0.4, 2 / (self.dim + 2))

    def problem(self) -> Problem:
        start = eqx.Partial(initial.bkw, num_particles=self.particles, dim=self.dim, beta=self._beta)
        fourth = functools.partial(moment, order=4, centred=True)
        observe = {"momentum": momentum, "temperature": temperature, "fourth": fourth}
        return Problem(Kac(Maxwell()), start, observe, state=True)

    def analyse(self, runs: Runs) -> Report:
        times, steps, d, num, euler = runs.times, runs.steps, self.dim, self.particles, self.scheme == "euler-maruyama"
        h = excess_entropy(runs.velocities, self)
        groups, excess = len(h["groups"]), self._excess(times)
        entropy = Series("entropy", "H-H_M", h["value"], h["noise"], excess, ".5f")
        limit = exact.bkw_moment(times, 4, d, self._beta)
        start = exact.quartic_start(np.eye(d), num, float(limit[0]))
        quartic = (
            [exact.kac_quartic_euler(n, self.dt, start, num, d)[0] for n in steps] if euler
            else [exact.kac_quartic(t, start, num, d)[0] for t in times]
        )  # fmt: skip
        moments = runs["fourth"]
        fourth = Series("fourth", "M4", moments.mean(0), standard_error(moments), np.array(quartic), ".3f")
        # The energy about the mean velocity: only this part is heated, by an exact factor. That of the mean is conserved.
        heating = exact.euler_heating(self.dt, d, num) if euler else 1.0
        drift = energy_drift(runs["temperature"])
        energy = Series("energy", "dE/E", drift.mean(0), standard_error(drift), heating**steps - 1, ".2e")
        round_off, zero = np.full(len(times), runs.eps), np.zeros(len(times))
        impulse = Series("momentum", "|dp|", momentum_drift(runs.observed["momentum"]).max(0), round_off, zero, ".1e")

        exact_rate = float(fit_decay(times, excess).rate)
        fit, rate = fit_excess(times, h["groups"], h["bias_stderr"], exact_rate)
        scatter = np.sqrt(np.mean((h["value"] - excess) ** 2)) / excess[0]
        stepped_rate = float(fit_decay(times, self._stepped_excess(steps)).rate) if euler else None
        notes = (
            f"The entropy scatters by {100 * scatter:.0f} % of its initial excess: the fitted rate and its error mean nothing. "
            "Take more particles or replicas." if scatter > _TOO_NOISY else "",
            f"Entropy-decay rate: {rate:.2f} fitted, {exact_rate:.2f} exact (the same fit of the exact curve), {8 * (d - 1)} "
            "as t -> infinity."
            + (f" The time step {self.dt:g} alone shifts it to about {stepped_rate:.2f}." if euler else ""),
            "H_M is the entropy of the Maxwellian with the temperature and mean of the sample, which is one of "
            f"{groups} groups of runs; the exact H - H_M is that of the Landau equation. The bias of the estimator, measured "
            "on Maxwellian samples of the same size, is subtracted.",
            f"M4 is the centred fourth moment. The exact M4 and dE/E are those of {num} particles with time step {self.dt:g}: "
            "Kac's equation conserves energy, Euler-Maruyama multiplies it by 1 + 4(d-1)^2 dt^2 in every step. Momentum is "
            "conserved to round-off."
            if euler
            else f"M4 is the centred fourth moment; its exact value is that of {num} particles. Momentum and energy are "
            "conserved to round-off.",
            f"{meaning(self.replicas)} For H - H_M it is from {groups} groups of runs; for |dp| it is the round-off of one "
            "sum.",
        )  # fmt: skip
        numbers = {
            "entropy_scatter": scatter, "entropy_decay_rate": rate, "entropy_decay_rate_asymptotic": 8 * (d - 1),
            "entropy_decay_rate_stepped": stepped_rate, "entropy_fit_amplitude": float(fit.amplitude),
            "entropy_fit_r2": float(fit.r2), "beta": self._beta,
        }  # fmt: skip
        ends = speeds(runs.velocities)
        sphere = 2 * pi ** (d / 2) / gamma(d / 2)
        fine, low, below = np.linspace(times[0], times[-1], 200), excess.min() / 4, times[h["value"] <= 0]
        label = f"fitted rate {rate.value:.1f} ± {rate.stderr:.1f}  (exact {exact_rate:.1f})"
        marks = line(below, np.full(len(below), 1.1 * low), "estimate below 0", "v", look.BLUE, ms=7)
        law = line(times[1:], energy.exact[1:], r"$(1 + 4(d-1)^2\Delta t^2)^n - 1$, exact")
        panels = (
            panel(
                line(fine, self._excess(fine), "exact (Landau equation)"),
                line(fine, fit(fine), label, "--", look.ORANGE),
                *([marks] if len(below) else []),
                lambda ax: ax.axhspan(low, h["noise"].mean(), color=look.GREY, alpha=0.25, lw=0, label="noise floor (1 s.e.)"),
                dots(times, entropy.values, entropy.noise, f"{self.replicas} × {num} particles"),
                y=r"$H(t) - H_{\rm Maxwell}$", title="Entropy falls exponentially", log="y", bottom=low,
            ),
            panel(
                line(times, limit, "Landau equation", color=look.GREY),
                line(times, fourth.exact, f"exact at N = {num}" + (f", Δt = {self.dt:g}" if euler else "")),
                dots(times, fourth.values, fourth.noise, "measured"),
                y=r"$\langle |v-u|^4 \rangle$", title="Fourth moment", legend="lower right",
            ),
            histograms(
                [(ends["speed_first"], times[0]), (ends["speed_last"], times[-1])], 4.5,
                lambda speed, t: sphere * speed ** (d - 1) * exact.bkw_density(speed, t, d, self._beta),
                x="speed |v|", title="Speeds: histogram of the particles, exact curves",
            ),
            panel(
                *([law] if euler else []),
                line(times[1:], np.maximum(impulse.values[1:], 1e-18), "momentum, largest of all runs", "s", look.GREEN, ms=5),
                lambda ax: ax.axhline(runs.eps, color=look.GREY, ls=":", label="round-off"),
                dots(times[1:], np.abs(energy.values[1:]), energy.noise[1:], "energy, relative"),
                y="drift", title="Momentum to round-off, mean energy to order Δt" if euler else "To round-off", log="y",
            ),
        )  # fmt: skip
        title = f"Kac's conservative Landau system, Maxwell molecules, d = {d}: relaxation of BKW data"
        series = (runs.saves, entropy, fourth, energy, impulse)
        return Report(
            numbers, series, notes, panels, title, {"entropy_groups": h["groups"], "fourth_limit": limit, **ends},
            (6.2, 4.4), {"entropy_groups": "group time", "fourth_limit": "time", **dict.fromkeys(ends, "sample")},
        )  # fmt: skip

    def _excess(self, times: np.ndarray) -> np.ndarray:
        """H - H_M of the Landau equation."""
        return np.asarray(exact.bkw_entropy(times, self.dim, self._beta)) - exact.maxwellian_entropy(self.dim)

    def _stepped_excess(self, steps: np.ndarray) -> np.ndarray:
        """Approximate effect of dt on H - H_M: its value for the BKW density with the <|v|^4>/<|v|^2>^2 of the exact law of the
        Euler-Maruyama steps. That law is a BKW density up to order dt only. Where no BKW density has this ratio (at coarse dt),
        the extreme one is used."""
        d = self.dim
        start = np.array([exact.bkw_moment(0.0, order, d, self._beta) for order in (2, 4, 6)])
        m2, m4, _ = exact.isotropic_moments_euler(int(steps[-1]), self.dt, start, d)[steps].T
        # <|v|^4>/<|v|^2>^2 = (d+2)/d K (2 - K), and beta = 1 - K.
        shape = np.minimum(np.sqrt(np.maximum(1 - d / (d + 2) * m4 / m2**2, 0)), 2 / (d + 2))
        return np.array([exact.bkw_entropy(0.0, d, beta) for beta in shape]) - exact.maxwellian_entropy(d)
