"""Microcanonical collisions, after [Du2025], and Kac's diffusion from the same data: their distance as a function of epsilon,
and the drift of their invariants. The rates and angles of the collisions are this library's."""

import dataclasses
import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ... import initial, plotting as look
from ..._util.checks import argument_error
from ...diagnostics import wasserstein
from ...landau import Kac, Microcanonical as Jumps, PowerLaw, exact
from ...landau.microcanonical import LAWS
from ...states import Particles
from .._harness import option as options
from .._harness.errors import largest_drifts, log_log_line, meaning, round_off, standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, drifts, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Panel, Report, Series

__all__ = ["Microcanonical"]

# Initial temperatures: (2 perpendicular + parallel)/3 = 1.
_PERPENDICULAR = 1.4
_PARALLEL = 0.2
# Number of values of epsilon, each half of the one before.
_SIZES = 3
# Largest degree of the spherical harmonics whose decay rates are drawn.
_DEGREES = 8
# Default of the largest epsilon: an angle, or a mean free time.
_EPSILON = {"fixed_angle": 1.2, "constant_rate": 0.08, "heat_kernel": 0.08}


class Microcanonical(ParticleExperiment):
    name = "microcanonical"
    summary = "microcanonical collisions and Kac's diffusion, Coulomb: distance against epsilon, its measured order, invariants"
    headline = Headline("order", "order in ε")
    particles: int = options.particles(32)
    dim: int = options.dim(3)
    dt: float = options.dt(0.1)
    steps: int = options.steps(10, minimum=4)
    replicas: int = options.replicas(8192)
    scheme: str = options.scheme("exact-clock")
    gamma: float = options.gamma(-3.0, "at least 0 with --law fixed_angle, else at least -dim")
    law: str = options.option("heat_kernel", "law of the collision angle", choices=LAWS)
    epsilon: float = options.option(
        _EPSILON["heat_kernel"], "small parameter, the angle for fixed_angle (then 1.2 by default), else the mean free time",
        above=0, note="at most pi with --law fixed_angle", symbol="largest size of a collision ε",
    )  # fmt: skip

    def check(self) -> None:
        super().check()
        options.check_gamma(self.gamma, self.dim)
        if self.law == "fixed_angle" and self.epsilon > math.pi:
            raise argument_error(
                "--epsilon", "be an angle in (0, pi] with --law fixed_angle", f"is {self.epsilon:g}", "lower it"
            )

    def adapt(self, given: frozenset[str]) -> "Microcanonical":
        if self.law == "fixed_angle" and self.gamma < 0:
            was = f"is {self.gamma:g}" if "gamma" in given else "is not given, and -3 is the default"
            raise argument_error(
                "--gamma", "be at least 0 with --law fixed_angle", was,
                "pass --gamma 1, for example, or --law heat_kernel: the rate at small relative speeds would have no bound",
            )  # fmt: skip
        return self if "epsilon" in given else dataclasses.replace(self, epsilon=_EPSILON[self.law])

    @property
    def _epsilons(self) -> np.ndarray:
        return self.epsilon / 2.0 ** np.arange(_SIZES)

    @property
    def _coulomb(self) -> bool:
        return self.gamma == -3 and self.dim == 3

    def problem(self) -> dict[str, Problem]:
        shape = {"perpendicular": _PERPENDICULAR, "parallel": _PARALLEL}
        start = eqx.Partial(initial.bimaxwellian, num_particles=self.particles, dim=self.dim, **shape)
        force = PowerLaw(self.gamma)
        jumps = {f"epsilon {e:.4g}": Problem(Jumps(force, self.law, e), start, state=True) for e in self._epsilons}
        return {"Kac": Problem(Kac(force), start, state=True, scheme="sweep"), **jumps}

    def measure(self, runs: Runs) -> tuple[np.ndarray, ...]:
        """The saves, the anisotropy (R, T) of every run and save, the final velocities of all runs along the axis, and the
        largest drifts (T,) of momentum and energy."""
        # Sum in float64, so that the drifts show the round-off of the scheme and not of the sums.
        v = np.asarray(runs.velocities, float)
        square = (v**2).mean(axis=2)
        gaps = square[..., :-1].mean(-1) - square[..., -1]
        return (
            runs.times,
            gaps,
            runs.velocities[:, -1, :, -1].ravel(),
            *largest_drifts(v.mean(axis=2), square.sum(-1) / 2),
        )

    def analyse(self, runs: Mapping[str, tuple[np.ndarray, ...]]) -> Report:
        # Kac's diffusion first, then the jump processes. Anisotropies (R, 4, T), final velocities (4, ...), drifts (4, T).
        (times, *_), gaps, last, momentum, energy = zip(*runs.values(), strict=True)
        gaps, momentum, energy = np.stack(gaps, axis=1), np.stack(momentum), np.stack(energy)
        epsilons, average = self._epsilons, gaps.mean(axis=0)
        # Both processes start from the same velocities, whose scatter cancels in the difference.
        changes = gaps[:, 1:] - gaps[:, :1]
        shift, noise = changes.mean(axis=0), standard_error(changes)
        distances = np.array([_distance(x, last[0]) for x in last[1:]])
        half = len(last[0]) // 2
        floor = _distance(last[0][:half], last[0][half : 2 * half]) / math.sqrt(2)
        size, stderr = np.abs(shift[:, -1]), noise[:, -1]
        slope, slope_stderr, level = _line(epsilons, size, stderr)
        order = Estimate(slope, slope_stderr)
        limit, theory = self._limit(), self._theory(size / stderr)
        series = (
            Series("", "epsilon", ["Kac", *(f"{e:.4g}" for e in epsilons)]),
            Series("", "T_perp-T_par", average[:, -1], standard_error(gaps)[:, -1], form=".5f"),
            Series("", "minus Kac's", ["", *shift[:, -1]], ["", *stderr], form="+.5f"),
            Series("", "W2", [floor, *distances], form=".5f"),
            Series("", "|dp|", momentum.max(axis=1), form=".1e"),
            Series("", "|dE|/E", energy.max(axis=1), form=".1e"),
        )
        symbol = "the angle" if self.law == "fixed_angle" else "h, the mean free time of a particle"
        notes = (
            f"Measured order in epsilon of the difference at t = {times[-1]:.3g}: {order:.2f}; {limit:.3g} as epsilon -> 0"
            + (f"; {theory:.2f} for the exact initial rates at these epsilon (pairs of small relative speed count)."
               if theory else ".")
            if math.isfinite(slope)
            else "Too few differences exceed 3 standard errors; take more replicas or a larger epsilon.",
            f'Law "{self.law}", gamma = {self.gamma:g}: epsilon is {symbol}. Kac\'s diffusion starts from the same data and '
            f"is computed by second-order sweeps at dt = {self.dt:g}; the jump processes have no time step.",
            "W2: distance from Kac's diffusion of the final law of the velocity along the axis, all runs pooled. The row `Kac` "
            f"shows the noise floor for independent data, from two halves of Kac's runs ({len(last[0])} velocities in all).",
            meaning(self.replicas),
            round_off(momentum, energy, "epsilon"),
        )  # fmt: skip
        numbers = {
            "order": order, "order_limit": limit, "order_initial_exact": theory, "law": self.law,
            "largest_epsilon": self.epsilon, "difference_first": Estimate(shift[0, -1], stderr[0]),
            "wasserstein": distances, "wasserstein_floor": floor, "momentum_drift": momentum.max(),
            "energy_drift": energy.max(),
        }  # fmt: skip
        arrays = {
            "times": times, "epsilon": epsilons, "kac": gaps[:, 0], "microcanonical": np.moveaxis(gaps[:, 1:], 1, 0),
            "difference": shift, "difference_noise": noise, "wasserstein": distances, "momentum_drift": momentum,
            "energy_drift": energy,
        }  # fmt: skip
        dims = {
            "kac": "replica time", "microcanonical": "epsilon replica time", "difference": "epsilon time",
            "difference_noise": "epsilon time", "wasserstein": "epsilon", "momentum_drift": "process time",
            "energy_drift": "process time",
        }  # fmt: skip
        label = f"order {slope:.2f} ± {slope_stderr:.2f}"
        power = (
            [line(epsilons, np.exp(level) * epsilons**slope, label, "--", look.BLUE)] if math.isfinite(slope) else []
        )
        tangent = []
        if self._coulomb:
            # Independent particles: N - 1 partners give (N - 1)/N of the limit.
            rate = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL) * (1 - 1 / self.particles)
            early = np.linspace(0, min(0.5 / rate, times[-1]), 2)
            tangent.append(
                line(early, average[0, 0] * (1 - rate * early), "exact slope at t = 0", ":", look.GREY, lw=2)
            )
        worst = {
            f"{name}: {what}": drift[i]
            for i, name in ((0, "Kac"), (-1, f"jumps, {self._label(-1)}"))
            for what, drift in (("energy, relative", energy), ("momentum", momentum))
        }
        panels = (
            panel(
                *(line(times, average[1 + i], f"jumps, {self._label(i)}", color=look.COLORS[i]) for i in range(_SIZES)),
                *tangent,
                dots(times, average[0], standard_error(gaps[:, 0]), "Kac's diffusion", look.BLACK),
                y=r"$T_\perp - T_\parallel$", title="Two temperatures become one",
            ),
            panel(
                line(epsilons, stderr, "its standard error", ":", look.BLUE),
                lambda ax: ax.axhline(floor, color=look.ORANGE, ls=":", label=r"noise floor of $W_2$"),
                *power,
                dots(epsilons, size, stderr, r"$|\Delta(T_\perp - T_\parallel)|$"),
                dots(epsilons, distances, None, r"$W_2$ along the axis", look.ORANGE),
                x="angle ε" if self.law == "fixed_angle" else "mean free time h", y="distance from Kac's diffusion",
                title=f"Distance at t = {times[-1]:.3g}", log="xy",
            ),
            self._rates(),
            drifts(times, worst, y="largest drift of a run", colors=[look.BLACK] * 2 + [look.COLORS[_SIZES - 1]] * 2),
        )  # fmt: skip
        name = "Coulomb" if self._coulomb else f"γ = {self.gamma:g}"
        title = f"Microcanonical collisions and Kac's diffusion, {name}  ({self.replicas} × {self.particles} particles)"
        return Report(numbers, series, notes, panels, title, arrays, dims=dims)

    def _limit(self) -> float:
        """The order as epsilon -> 0 of the difference of moments, for a smooth law. If 2 gamma + d + 4 < 0, pairs of relative
        speed below h^{1/|gamma|}, whose rotation is saturated, dominate: order (d + 4)/|gamma| - 1."""
        if self.law == "fixed_angle":
            return 2.0
        return min(1.0, (self.dim + 4) / -self.gamma - 1) if self.gamma < 0 else 1.0

    def _theory(self, signal: np.ndarray) -> float | None:
        """The same slope for the exact rates at t = 0 as N -> infinity: known for Coulomb collisions in d = 3 and the laws of
        constant rate."""
        if not self._coulomb or self.law == "fixed_angle" or not np.isfinite(signal).all():
            return None
        temperatures, epsilons = (_PERPENDICULAR, _PARALLEL), self._epsilons
        rates = [exact.coulomb_isotropization_rate_microcanonical(*temperatures, self.law, float(e)) for e in epsilons]
        gaps = np.abs(3 * exact.coulomb_isotropization_rate(*temperatures) - np.array(rates))
        # With the weights of the measured differences.
        return _line(epsilons, gaps, gaps / signal)[0]

    def _label(self, i: int) -> str:
        """What the legends call a jump process."""
        return f"{'ε' if self.law == 'fixed_angle' else 'h'} = {self._epsilons[i]:.3g}"

    def _rates(self) -> Panel:
        typical = math.sqrt(2 * ((self.dim - 1) * _PERPENDICULAR + _PARALLEL))

        given = {"dim": self.dim, "psi": typical**self.gamma, "exact": True}
        degrees = range(1, _DEGREES + 1)
        lines = [
            line(
                degrees, [1 + exact.microcanonical_defect(self.law, l, e, **given) for l in degrees], self._label(i), "o-",
                look.COLORS[i], ms=5,
            ) for i, e in enumerate(self._epsilons)
        ]  # fmt: skip
        return panel(
            lambda ax: ax.axhline(1, color=look.BLACK, lw=1), *lines, x="degree l of the harmonic",
            y="rate of decay over Landau's", title=f"Exact rates of one pair at r = {typical:.2g}",
        )  # fmt: skip


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(wasserstein(*(Particles(jnp.asarray(v)[:, None]) for v in (x, y))))


def _line(epsilons: np.ndarray, values: np.ndarray, noise: np.ndarray) -> tuple[float, float, float]:
    """`log_log_line` through the values above 3 standard errors. NaN for fewer than two, or for one run: its noise is unknown.
    The values share the noise of Kac's runs, which changes a slope less than independent noise would."""
    clear = values > 3 * noise
    return log_log_line(epsilons[clear], values[clear], noise[clear], least=2)
