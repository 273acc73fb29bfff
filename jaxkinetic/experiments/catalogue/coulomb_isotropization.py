"""A bi-Maxwellian becomes isotropic by Coulomb collisions: the initial rate beside its exact value, and the bi-Maxwellian
closure."""

import functools

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import energy, momentum, stress
from ...landau import Kac, PowerLaw, exact
from ...states import Axis, Grid
from .._harness import option as options
from .._harness.errors import largest_drifts, meaning, round_off, standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Report, Series
from ._limit import limit_curves

__all__ = ["CoulombIsotropization"]

# Initial temperatures: (2 perpendicular + parallel)/3 = 1.
_PERPENDICULAR = 1.25
_PARALLEL = 0.5
# Of the limit equation: length and points of a velocity axis, steps.
_LENGTH, _POINTS, _LIMIT_STEPS = 14.0, 36, 50


class CoulombIsotropization(ParticleExperiment):
    name = "coulomb-isotropization"
    summary = (
        "two temperatures become one by Coulomb collisions: initial rate and its exact value, bi-Maxwellian closure"
    )
    headline = Headline("initial_rate", "initial isotropization rate")
    particles: int = options.particles(25_000)
    dim: int = options.dim(3, 3, 3)
    dt: float = options.dt(0.0005)
    steps: int = options.steps(2000, minimum=10)  # an initial rate is fitted
    replicas: int = options.replicas(8)
    scheme: str = options.scheme("random-matching", "sweep")

    def problem(self) -> Problem:
        shape = {"perpendicular": _PERPENDICULAR, "parallel": _PARALLEL}
        start = eqx.Partial(initial.bimaxwellian, num_particles=self.particles, dim=self.dim, **shape)
        return Problem(Kac(PowerLaw(-3.0)), start, {"stress": stress, "energy": energy, "momentum": momentum})

    def analyse(self, runs: Runs) -> Report:
        times, p = runs.times, runs["stress"]
        perpendicular = Series.of_runs("perpendicular", "T_perp", (p[..., 0, 0] + p[..., 1, 1]) / 2)
        parallel = Series.of_runs("parallel", "T_par", p[..., 2, 2])
        differences = (p[..., 0, 0] + p[..., 1, 1]) / 2 - p[..., 2, 2]
        closure, limit = _closure(times), self._limit(times)
        closed = closure[:, 0] - closure[:, 1]
        difference = Series("", "difference", differences.mean(0), exact=closed, exact_header="closure")
        difference_noise = float(standard_error(differences)[-1])
        drift_p, drift_e = largest_drifts(runs["momentum"], runs["energy"])
        stepped = exact_rate = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL)
        shift = ""
        if self.scheme == "random-matching":
            stepped = exact.coulomb_isotropization_rate_matching(_PERPENDICULAR, _PARALLEL, self.dt)
            shift = f" Random matching at dt = {self.dt:g} alone shifts it to {stepped:.3f}."
        rates = _initial_rates(times, differences)
        rate = Estimate(rates.mean(), float(standard_error(rates)), len(rates) - 1, exact_rate)
        gap = difference.values[-1] / closed[-1]
        notes = (
            f"Initial decay rate of T_perp - T_par: {rate:.3f} (a parabola fitted to the logarithm down to half of the first "
            f"value), {exact_rate:.3f} exact, for a bi-Maxwellian.{shift}",
            "The rate falls immediately, because slow particles become isotropic first. The parabola follows this only in "
            "part, and its error bar shows noise only.",
            "The columns `limit` and the black lines are the limit N -> infinity, the Landau equation, solved by "
            f"`landau.LandauPDE` on {_POINTS}^3 points. At the last time T_perp - T_par is "
            f"{abs(difference.values[-1] - limit[-1, 0] + limit[-1, 1]) / difference_noise:.1f} of its errors from it.",
            f"The closure assumes a bi-Maxwellian at all times, which the solution is not: at t = {times[-1]:.3g} its "
            f"T_perp - T_par is {gap:.2f} times that of the closure.",
            round_off(drift_p, drift_e),
            meaning(self.replicas),
        )
        numbers = {
            "initial_rate": rate, "initial_rate_stepped": stepped, "last_difference_over_closure": gap,
            "momentum_drift": drift_p.max(), "energy_drift": drift_e.max(),
        }  # fmt: skip
        columns = (
            perpendicular, Series("", "limit", limit[:, 0]), parallel, Series("", "limit", limit[:, 1])
        )  # fmt: skip
        fine = np.linspace(0, min(times[-1], 1.2 / exact_rate), 100)
        panels = (
            panel(
                line(times, limit[:, 0], "Landau equation"),
                line(times, limit[:, 1], ""),
                line(times, closure[:, 0], r"$T_\perp$, bi-Maxwellian closure", "--", look.BLUE),
                line(times, closure[:, 1], r"$T_\parallel$, bi-Maxwellian closure", "--", look.ORANGE),
                dots(times, perpendicular.values, perpendicular.noise, r"$T_\perp$, particles"),
                dots(times, parallel.values, parallel.noise, r"$T_\parallel$, particles", look.ORANGE),
                y="temperature", title="Both temperatures",
            ),
            panel(
                line(times, limit[:, 0] - limit[:, 1], "Landau equation"),
                line(
                    fine, difference.values[0] * np.exp(-exact_rate * fine), f"exact rate {exact_rate:.2f} at t = 0", ":",
                ),
                line(times, closed, "bi-Maxwellian closure", "--", look.GREY),
                dots(
                    times, difference.values, standard_error(differences),
                    f"particles, {rate.value:.2f} ± {rate.stderr:.2f} at t = 0",
                ),
                y=r"$T_\perp - T_\parallel$", title="The difference decays", bottom=0,
            ),
        )  # fmt: skip
        return Report(
            numbers, (runs.saves, *columns, difference), notes, panels,
            f"Two temperatures, Coulomb  ({self.replicas} × {self.particles} particles, Δt = {self.dt:g})",
            {"closure": closure, "limit": limit, "rates": rates},
            dims={"closure": "time temperature", "limit": "time temperature", "rates": "replica"},
        )  # fmt: skip

    def _limit(self, times: np.ndarray) -> np.ndarray:
        """(T_perp, T_par) of the Landau equation at `times`, (T, 2)."""
        axis = Axis(-_LENGTH / 2, _LENGTH, _POINTS, periodic=False)
        law = functools.partial(initial.bimaxwellian, perpendicular=_PERPENDICULAR, parallel=_PARALLEL)
        p = limit_curves(
            self.problem().system.limit,  # pyright: ignore
            lambda: initial.on_grid(law, Grid(axis, axis, axis)),
            times, {"stress": stress}, num_steps=_LIMIT_STEPS,
        )["stress"]  # fmt: skip
        return np.stack([(p[:, 0, 0] + p[:, 1, 1]) / 2, p[:, 2, 2]], -1)


def _closure(times: np.ndarray) -> np.ndarray:
    """(T_perp, T_par) of the moment equations, closed by a bi-Maxwellian at all times."""
    from scipy.integrate import solve_ivp

    def slope(_: float, y: np.ndarray) -> list[float]:
        nu = exact.coulomb_isotropization_rate(y[0], y[1])
        return [-nu * (y[0] - y[1]), 2 * nu * (y[0] - y[1])]

    return solve_ivp(slope, (0, times[-1]), [_PERPENDICULAR, _PARALLEL], t_eval=times, rtol=1e-10, atol=1e-12).y.T


def _initial_rates(times: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """-d log(T_perp - T_par)/dt at t = 0 of every run: a parabola fitted to the logarithm above half of the first value."""
    early = max(4, int(np.argmax(differences.mean(0) < differences.mean(0)[0] / 2)) or len(times))
    # Noise can make a difference negative: avoid the logarithm of it.
    ratio = np.log(np.maximum(differences[:, :early] / differences[:, :1], 1e-3))
    design = np.stack([times[:early], times[:early] ** 2], -1)
    return -np.linalg.lstsq(design, ratio.T, rcond=None)[0][0]
