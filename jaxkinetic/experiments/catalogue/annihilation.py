"""Hard spheres that annihilate with probability alpha at a collision [LodsNotaPezzotti2020]: density and temperature decay
as powers of time. That this walk tends to the annihilated Boltzmann equation is not proved for hard spheres."""

import functools
from math import gamma, nan, pi

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ... import initial, plotting as look
from ...boltzmann import HardSphere, KacWalk, exact
from ...diagnostics import histogram, self_similar, temperature as temperature_of
from ...radial import RadialDensity
from ...states import Particles
from .._harness import option as options
from .._harness.errors import fit_runs, meaning, standard_error
from .._harness.experiment import Headline
from .._harness.panels import dots, line, panel
from .._harness.replicas import ParticleExperiment, Problem, Runs
from .._harness.report import Estimate, Panel, Report, Series
from ._limit import limit_curves

__all__ = ["Annihilation"]

# The exponents are fitted while every run has this many particles: with fewer, one event removes more than a quarter.
_ENOUGH = 8
# Edges of the histogram of the scaled speed |xi|.
_EDGES = np.linspace(0, 3, 31)
# Of the limit equation: largest speed, number of speeds, steps.
_RADIUS, _SPEEDS, _LIMIT_STEPS = 7.0, 120, 400
# Density exponents of the limit equation at long times in d = 3, see `hard_sphere_density`.
_KNOWN = {0.1: 0.9225, 0.25: 0.9213, 0.75: 0.9145}


class Annihilation(ParticleExperiment):
    name = "annihilation"
    summary = "hard spheres that annihilate with probability alpha: exponents of density and temperature, self-similar profile"
    headline = Headline("density_exponent", "density exponent ξ")
    particles: int = options.particles(20_000)
    dim: int = options.dim(3)
    dt: float = options.dt(0.5)
    steps: int = options.steps(80, minimum=10)  # exponents are fitted
    replicas: int = options.replicas(16)
    scheme: str = options.scheme("exact-clock", "tau-leap")
    alpha: float = options.option(
        0.5, "probability of annihilation at a collision", above=0, maximum=1, symbol="annihilation probability α",
        reason=", since it is a probability",
    )  # fmt: skip

    def problem(self) -> Problem:
        volume = float(self.particles)
        start = eqx.Partial(initial.maxwellian, num_particles=self.particles, dim=self.dim)
        observe = {"gas": functools.partial(_gas, volume=volume), "profile": _profile}
        return Problem(KacWalk(HardSphere(), volume, self.alpha), start, observe)

    def analyse(self, runs: Runs) -> Report:
        alpha, dim, times = self.alpha, self.dim, runs.times
        densities, temperatures = np.moveaxis(runs["gas"], -1, 0)
        alive = np.rint(densities * self.particles)
        # A single particle has no temperature.
        temperatures = np.where(alive > 1, temperatures, nan)
        dilution, cooling = (
            law(times, dim, alpha) for law in (exact.hard_sphere_density, exact.hard_sphere_temperature)
        )
        law = {"exact_header": "small-alpha law"}
        density = Series.of_runs("density", "n", densities, exact=dilution, form=".5f", **law)
        temperature = Series.of_runs("temperature", "T", temperatures, exact=cooling, **law)
        late = _late(times, densities, alive)
        # s of the small-alpha law (s + t)^-xi: with this offset, the fitted power holds from earlier times on.
        offset = 4 * dim / ((4 * dim + 1) * max(alpha, 1e-3) * exact.mean_relative_speed(dim))
        power = {"model": "algebraic", "offset": offset, "window": late}
        fits = [fit_runs(times, values, **power) for values in (densities, temperatures)] if late else []
        # `boltzmann.IsotropicPDE` is for d = 3.
        limit = self._limit(times) if dim == 3 else {}
        known = _KNOWN.get(round(alpha, 10)) if dim == 3 else None
        xi, zeta = (
            (Estimate.of(fits[0], known), Estimate.of(fits[1]))
            if late
            else (Estimate(nan, nan, nan, known), Estimate(nan, nan, nan))
        )
        twice = Estimate(2 * (1 - xi.value), 2 * xi.stderr, xi.freedom)
        small, slopes = 4 * dim / (4 * dim + 1), exact.initial_rates(dim, alpha)
        limits = f"{small:.4f} as alpha -> 0" + (f", {known:.4f} in the limit equation at this alpha" if known else "")
        notes = (
            f"Density: n ~ (s + t)^-xi, xi = {xi:.4f} over t = {late[0]:.3g} to {late[1]:.3g} ({limits})."
            if late
            else f"Too few particles are left to fit exponents ({limits}); take more particles or fewer steps.",
            f"Temperature: T ~ (s + t)^-zeta, zeta = {zeta:.4f}; the density's exponent gives 2(1 - xi) = {twice:.4f}."
            if late
            else "",
            "The columns `limit` and the black lines are the annihilated Boltzmann equation, solved by "
            "`boltzmann.IsotropicPDE`. The density differs from it by at most "
            f"{np.max(np.abs(density.values - limit['density'])[1:] / density.noise[1:]):.1f} of its errors."
            if limit
            else "",
            f"s = {offset:.3g}. The exact slopes at t = 0, for Maxwellian data, are n' = {slopes[0]:.4f} and "
            f"T' = {slopes[1]:.4f}.",
            f"Error bars show statistical noise only. {meaning(self.replicas)}",
            "`tau-leap` has an error of order dt, `exact-clock` has none; compare the two."
            * (self.scheme == "tau-leap"),
        )
        numbers = {
            "density_exponent": xi, "density_exponent_small_alpha": small, "temperature_exponent": zeta, "window": late,
            "last_density": density.values[-1],
        }  # fmt: skip
        centres = (_EDGES[1:] + _EDGES[:-1]) / 2
        profiles = runs["profile"] / (2 * pi ** (dim / 2) / gamma(dim / 2) * centres ** (dim - 1))
        shown = (0, look.GREY), (len(times) // 2, look.GREEN), (-1, look.PURPLE)

        def decay(series: Series, i: int, symbol: str, name: str, color: str) -> Panel:
            """A quantity that falls by a power of time: the particles, the law for small alpha, and the fitted power."""
            items = [line(times[1:], series.exact[1:], "α → 0 with αt fixed", "--", look.GREY)]
            if limit:
                items.append(line(times[1:], limit[series.name][1:], "limit N → ∞"))
            if late:
                fine, fit = np.geomspace(max(late[0], times[1]), late[1], 100), fits[i]
                label = f"power of s + t: {symbol} = {float(fit.rate):.4f} ± {float(fit.rate_stderr):.4f}"
                items.append(line(fine, fit(fine), label, ":", look.GREEN))
            items.append(dots(times[1:], series.values[1:], series.noise[1:], color=color))
            return panel(*items, y=name, title=f"{name.split(' ')[0].capitalize()} falls by a power of time", log="xy")

        panels = (
            decay(density, 0, "ξ", r"density $n = N/\Lambda$", look.BLUE),
            decay(temperature, 1, "ζ", "temperature $T$", look.ORANGE),
            panel(
                line(centres, pi ** (-dim / 2) * np.exp(-(centres**2)), "Maxwellian"),
                *(dots(centres, profiles[:, i].mean(0), standard_error(profiles[:, i]), f"t = {times[i]:.3g}", color)
                  for i, color in shown),
                x=r"$|\xi| = |v - u|/\sqrt{2T}$", y=r"$\psi(|\xi|)$", title="Self-similar profile", log="y", bottom=1e-4,
            ),
        )  # fmt: skip
        title = f"Annihilating hard spheres, α = {alpha:g}  ({self.replicas} × {self.particles} particles)"
        arrays = {"profiles": runs["profile"], "edges": _EDGES}
        dims = {"profiles": "replica time bin"}
        columns = []
        for series in (density, temperature):
            columns.append(series)
            if limit:
                columns.append(Series(f"{series.name}_limit", "limit", limit[series.name], form=series.form))
        return Report(numbers, (runs.saves, *columns), notes, panels, title, arrays, dims=dims)

    def _limit(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Density and temperature of the annihilated Boltzmann equation at `times`."""
        return limit_curves(
            lambda: self.problem().system.limit(),  # pyright: ignore
            lambda: initial.radial(initial.maxwellian, _RADIUS, _SPEEDS),
            times, {"density": _mass, "temperature": temperature_of}, num_steps=_LIMIT_STEPS,
        )  # fmt: skip


def _mass(state: RadialDensity) -> Array:
    return state.mass


def _gas(state: Particles, *, volume: float) -> Array:
    """(n, T); T = 0 when no particle is left."""
    gas = self_similar(state, volume=volume)
    return jnp.stack([gas.density, jnp.nan_to_num(gas.temperature)])


def _scaled(state: Particles) -> Array:
    """The scaled speed |xi| of every particle, in self-similar variables."""
    return jnp.linalg.norm(self_similar(state, volume=1.0).xi, axis=1)


def _profile(state: Particles) -> Array:
    return histogram(state, edges=_EDGES, of=_scaled)


def _late(times: np.ndarray, density: np.ndarray, alive: np.ndarray) -> tuple[float, float] | None:
    """Window of the fit. It ends at the last save before a run has fewer than 8 particles. It begins when half of the particles
    are gone, or after a quarter of these saves if that leaves fewer than six. None for fewer than six saves."""
    few = np.flatnonzero((alive < _ENOUGH).any(axis=0))
    end = few[0] if few.size else len(times)
    gone = np.flatnonzero(density.mean(0)[:end] < 0.5 * density.mean(0)[0])
    begin = gone[0] if gone.size and end - gone[0] >= 6 else end // 4
    return (float(times[begin]), float(times[end - 1])) if end - begin >= 6 else None
