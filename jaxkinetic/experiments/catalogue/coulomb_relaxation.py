"""Rosenbluth's shell relaxes by Coulomb collisions in Kac's system: entropy falls, momentum and energy are conserved to
round-off."""

import dataclasses
import functools
import math

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import entropy, fisher_information, moment
from ...landau import Kac, PowerLaw, exact
from ...plotting import Axes
from .._harness import option as options
from .._harness.errors import largest_drifts, meaning, round_off
from .._harness.experiment import Headline
from .._harness.panels import dots, drifts, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Report, Series
from ._entropy import excess_entropy, fisher_excess, fit_excess, fourth_ratio, speeds, tail
from ._limit import limit_curves

__all__ = ["CoulombRelaxation"]

# The tangent of the entropy is drawn until it has fallen by this fraction.
_TANGENT = 0.3
# Sharpness of Rosenbluth's shell, e^{-sharpness (|v| - 1)^2} [RosenbluthMacDonaldJudd1957].
_SHARPNESS = 10.0
# Of the limit equation: largest speed, number of speeds, steps.
_RADIUS, _SPEEDS, _LIMIT_STEPS = 8.0, 180, 200


class CoulombRelaxation(ParticleExperiment):
    name = "coulomb-relaxation"
    summary = (
        "Rosenbluth's shell relaxes by Coulomb collisions: entropy, its fitted decay rate, invariants to round-off"
    )
    headline = Headline("entropy_decay_rate", "entropy-decay rate")
    particles: int = options.particles(100_000)
    dim: int = options.dim(3, 3, 3)
    dt: float = options.dt(0.0025)
    steps: int = options.steps(1600, minimum=10)  # a rate is fitted
    replicas: int = options.replicas(1)
    scheme: str = options.scheme("random-matching", "sweep")
    gamma: float = options.gamma(-3.0)

    def check(self) -> None:
        super().check()
        options.check_gamma(self.gamma, self.dim)

    def adapt(self, given: frozenset[str]) -> "CoulombRelaxation":
        """If the user gives no dt, scale the default of Coulomb collisions by r^-(gamma + 3): at the typical relative speed
        r = sqrt(6 T), the rates are larger by r^(gamma + 3)."""
        dt = float(f"{self.dt * 6 ** (-(self.gamma + 3) / 2):.2g}")
        return self if "dt" in given else dataclasses.replace(self, dt=dt)

    def problem(self) -> Problem:
        start = eqx.Partial(initial.rosenbluth, num_particles=self.particles, dim=self.dim, sharpness=_SHARPNESS)
        return Problem(Kac(PowerLaw(self.gamma)), start, state=True)

    def analyse(self, runs: Runs) -> Report:
        times, coulomb = runs.times, self.gamma == -3
        h = excess_entropy(runs.velocities, self)
        value, noise, num = h["value"], h["noise"], len(h["groups"])
        information, information_noise, subset = fisher_excess(runs.velocities, self)
        fourth, fourth_noise = fourth_ratio(runs.velocities)
        limit = self._limit(times)
        # Sum in float64, so that the drifts show the round-off of the scheme and not of the sums.
        v = np.asarray(runs.velocities, float)
        drift_p, drift_e = largest_drifts(v.mean(axis=2), (v**2).sum(axis=3).mean(axis=2) / 2)
        # Fit the tail only: it decays nearly exponentially, the beginning does not.
        late = tail(times, value, noise)
        fit, rate = fit_excess(times[late], h["groups"][:, late], h["bias_stderr"])
        window = (times[late][0], times[late][-1])
        start, slope = _at_the_start(coulomb)
        notes = (
            f"Entropy-decay rate, a fit of A exp(-rate t) to {window[0]:.3g} <= t <= {window[1]:.3g}: {rate:.3f}."
            + (" The rate falls with time, because fast particles collide rarely." if coulomb else ""),
            "The columns `limit` and the lines without points are the limit N -> infinity, the Landau equation, solved by "
            f"`landau.IsotropicPDE`. H - H_M differs from it by at most "
            f"{np.max(np.abs(value - limit['entropy']) / noise):.1f} of its errors.",
            f"At t = 0 the Landau equation has H - H_M = {start:.5f} exactly; estimated here {value[0]:.5f}."
            + (f" Its exact derivative there is {slope:.4f}, a relative rate of {-slope / start:.2f}." if coulomb else ""),
            f"I/I_M - 1 compares Fisher's information of {subset} particles of each run with that of the Maxwellian of their "
            "temperature, by the same kernel estimator. Structure finer than its kernel is not resolved, above all at t = 0: "
            "it is below the limit. I falls, as H does.",
            "The true value is at least 0. A value below 0 is an error of the estimator: its kernel widens thin tails, and the "
            "subtracted bias is that of a Maxwellian. For example, with 8192 particles and M4/15T^2 = .93 the "
            "estimate is -.012 instead of +.018.",
            round_off(drift_p, drift_e),
            "H_M is the entropy of the Maxwellian with the sample's own temperature. The bias of the estimator, measured on "
            "Maxwellian samples of the same size, is subtracted. For H, "
            + (meaning(num, "groups of runs") if num > 1 else "+- is that of the estimator on a Maxwellian sample.")
            + " For M4, +- is from the scatter of the particles.",
        )  # fmt: skip
        numbers = {
            "entropy_decay_rate": rate, "entropy_first": Estimate(value[0], noise[0], exact=start),
            "entropy_slope_first_exact": slope if coulomb else None, "entropy_last": value[-1],
            "fisher_first": information[0], "fisher_last": information[-1], "fourth_last": fourth[-1],
            "energy_drift": drift_e.max(), "momentum_drift": drift_p.max(),
        }  # fmt: skip
        # Draw the tangent short: on a logarithmic axis it bends away from the curve and would look like a wrong prediction.
        early = np.linspace(0, -_TANGENT * start / slope, 30)
        panels = (
            panel(
                line(times, limit["entropy"], "Landau equation", color=look.GREY),
                lambda ax: look.entropy(ax, times, value, noise, fit=fit, window=window, rate_stderr=rate.stderr),
                *([line(early, start + slope * early, "exact tangent at t = 0", lw=2.5)] if coulomb else []),
            ),
            panel(
                lambda ax: look.local_rate(ax, times, value, noise),
                *([line(0, -slope / start, "exact at t = 0", "D", ms=7)] if coulomb else []),
            ),
            panel(
                lambda ax: ax.axhline(0, color=look.GREY, ls=":"),
                line(times, limit["fisher"], "Landau equation", color=look.BLUE),
                line(times, 1 - limit["fourth"], "Landau equation", color=look.ORANGE),
                dots(times, information, information_noise, r"Fisher's information, $I/I_{\rm Maxwell} - 1$"),
                dots(times, 1 - fourth, fourth_noise, r"$1 - \langle |v|^4\rangle / 15\,T^2$", look.ORANGE),
                y="distance from the Maxwellian", title="Fisher's information and fourth moment",
            ),
            lambda ax: _slice(ax, runs.velocities[:, 0], times[0]),
            lambda ax: _slice(ax, runs.velocities[:, -1], times[-1]),
            drifts(times, {"energy, relative": drift_e, "momentum": drift_p}),
        )  # fmt: skip
        law = "Coulomb" if coulomb else f"γ = {self.gamma:g}"
        title = f"Kac's conservative Landau system, {law}: a shell relaxes  (N = {self.particles}, Δt = {self.dt:g})"
        series = (
            runs.saves,
            Series("entropy", "H-H_M", value, noise, form=".5f"),
            Series("entropy_limit", "limit", limit["entropy"], form=".5f"),
            Series("fisher", "I/I_M-1", information, information_noise), Series("fisher_limit", "limit", limit["fisher"]),
            Series("fourth", "M4/15T^2", fourth, fourth_noise), Series("fourth_limit", "limit", limit["fourth"]),
            Series("momentum_drift", "|dp|", drift_p, form=".1e"), Series("energy_drift", "|dE|/E", drift_e, form=".1e"),
        )  # fmt: skip
        ends = speeds(runs.velocities)
        return Report(numbers, series, notes, panels, title, ends, dims=dict.fromkeys(ends, "sample"))

    def _limit(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """H - H_M, I/I_M - 1 and <|v|^4>/15 T^2 of the Landau equation at `times`."""
        observe = {"entropy": entropy, "fisher": fisher_information, "fourth": moment}
        shell = functools.partial(initial.rosenbluth, sharpness=_SHARPNESS)
        found = limit_curves(
            lambda: self.problem().system.limit(isotropic=True, dim=self.dim),  # pyright: ignore
            lambda: initial.radial(shell, _RADIUS, _SPEEDS, self.dim),
            times, observe, num_steps=_LIMIT_STEPS,
        )  # fmt: skip
        found["entropy"] -= float(exact.maxwellian_entropy(self.dim))
        return {
            **found,
            "fisher": found["fisher"] / self.dim - 1,
            "fourth": found["fourth"] / (self.dim * (self.dim + 2)),
        }


def _at_the_start(coulomb: bool) -> tuple[float, float]:
    """(H - H_M, its time derivative) of Rosenbluth's shell at temperature 1; the derivative is NaN without `coulomb`."""
    speed = np.linspace(0, 6, 120_001)
    shell = np.exp(-_SHARPNESS * (speed - 1) ** 2)
    scale = float(np.sqrt(np.trapezoid(speed**4 * shell, speed) / np.trapezoid(speed**2 * shell, speed) / 3))
    density = np.exp(-_SHARPNESS * (speed * scale - 1) ** 2)
    excess = exact.isotropic_entropy(speed, density) - float(exact.maxwellian_entropy(3))
    return excess, exact.coulomb_entropy_rate(speed, density) if coulomb else math.nan


def _slice(ax: Axes, velocities: np.ndarray, time: float) -> None:
    image = look.velocity_slice(ax, velocities, title=f"Velocities with $|v_3|$ < .25 at t = {time:.3g}")
    ax.figure.colorbar(image, ax=ax, label="density", shrink=0.85)
