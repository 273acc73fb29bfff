"""Hard spheres that annihilate with probability alpha at a collision [LodsNotaPezzotti2020]: density and temperature decay
as powers of time. That this walk tends to the annihilated Boltzmann equation is not proved for hard spheres."""

import functools
from math import gamma, isfinite, nan, pi

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ... import initial, plotting as look
from ...boltzmann import HardSphere, KacWalk, exact
from ...diagnostics import histogram, self_similar
from ...fitting.decay import DecayFit, fit_decay
from ...plotting import Figure
from ...states import Particles
from .._harness.errors import interval, meaning, plus_minus, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas
from .._harness.table import table

__all__ = ["ANNIHILATION", "run"]

# The fewest steps of a run: exponents are fitted.
_MIN_STEPS = 10
# The exponents are fitted while every run has this many particles: with fewer, one event removes more than a quarter.
_ENOUGH = 8
# Edges of the histogram of the scaled speed |xi|.
_EDGES = np.linspace(0, 3, 31)
# Density exponents of the limit equation at long times in d = 3, see `hard_sphere_density`.
_KNOWN = {0.1: 0.9225, 0.25: 0.9213, 0.75: 0.9145}


def run(options: Options, watch: Watch) -> Report:
    alpha, dim = 0.5 if options.alpha is None else options.alpha, options.dim
    volume = float(options.particles)
    solution = run_replicas(
        KacWalk(HardSphere(), volume, alpha),
        eqx.Partial(initial.maxwellian, num_particles=options.particles, dim=dim),
        options,
        observe={"gas": functools.partial(_gas, volume=volume), "profile": _profile},
        state=False,
        label="annihilation",
        watch=watch,
    )
    times = np.asarray(solution.times, float)
    density, temperature = np.moveaxis(np.asarray(solution.observed["gas"], float), -1, 0)
    laws = exact.hard_sphere_density(times, dim, alpha), exact.hard_sphere_temperature(times, dim, alpha)
    alive = np.rint(density * volume)
    # A single particle has no temperature.
    temperature = np.where(alive > 1, temperature, np.nan)
    late = _late(times, density, alive)
    # s of the small-alpha law (s + t)^-xi: with this offset, the fitted power holds from earlier times on.
    offset = 4 * dim / ((4 * dim + 1) * max(alpha, 1e-3) * exact.mean_relative_speed(dim))
    fits = tuple(_power(times, x, offset, late) for x in (density, temperature)) if late else None
    freedom = fits[0].degrees_of_freedom if fits else nan
    (xi, xi_stderr), (cooling, cooling_stderr) = (
        [(float(fit.rate), float(fit.rate_stderr)) for fit in fits] if fits else [(nan, nan)] * 2
    )
    limit = 4 * dim / (4 * dim + 1)
    known = _KNOWN.get(round(alpha, 10)) if dim == 3 else None
    slopes = exact.initial_rates(dim, alpha)

    headers = ["t", "n", "+-", "small-alpha law", "T", "+-", "small-alpha law"]
    rows = [
        [f"{t:.4g}", f"{n:.5f}", f"{dn:.5f}", f"{ln:.5f}", f"{w:.4f}", f"{dw:.4f}", f"{lw:.4f}"]
        for t, n, dn, ln, w, dw, lw in zip(
            times, density.mean(0), standard_error(density), laws[0], temperature.mean(0), standard_error(temperature),
            laws[1], strict=True,
        )
    ]  # fmt: skip
    references = f"{limit:.4f} as alpha -> 0" + (f", {known:.4f} in the limit equation at this alpha" if known else "")
    if late:
        found = (
            f"Density: n ~ (s + t)^-xi, xi = {plus_minus(xi, xi_stderr, freedom)} over t = {late[0]:.3g} to {late[1]:.3g} "
            f"({references}).",
            f"Temperature: T ~ (s + t)^-zeta, zeta = {plus_minus(cooling, cooling_stderr, freedom)}; the density's "
            f"exponent gives 2(1 - xi) = {plus_minus(2 * (1 - xi), 2 * xi_stderr, freedom)}.",
        )
    else:
        found = (f"Too few particles are left to fit exponents ({references}); take more particles or fewer steps.",)
    findings = (
        *found,
        f"s = {offset:.3g}. The exact slopes at t = 0, for Maxwellian data, are n' = {slopes[0]:.4f} and T' = {slopes[1]:.4f}.",
        f"Error bars show statistical noise only. {meaning(options.replicas)}",
        *(
            ["`tau-leap` has an error of order dt, `exact-clock` has none; compare the two."]
            if options.scheme == "tau-leap"
            else []
        ),
    )
    numbers = {
        "density_exponent": xi,
        "density_exponent_stderr": xi_stderr,
        "density_exponent_interval": interval(xi, xi_stderr, freedom),
        **({"density_exponent_exact": known} if known else {}),
        "density_exponent_small_alpha": limit,
        "temperature_exponent": cooling,
        "temperature_exponent_stderr": cooling_stderr,
        "temperature_exponent_interval": interval(cooling, cooling_stderr, freedom),
        "degrees_of_freedom": freedom if isfinite(freedom) else None,
        "window": list(late) if late else None,
        "last_density": float(density.mean(0)[-1]),
    }
    profiles = np.asarray(solution.observed["profile"], float)
    arrays = {"times": times, "density": density, "temperature": temperature, "profiles": profiles, "edges": _EDGES}
    draw = functools.partial(_draw, times, density, temperature, laws, profiles, fits, late, alpha, options)
    return Report(table(headers, rows), findings, numbers, arrays, draw)


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


def _power(times: np.ndarray, values: np.ndarray, offset: float, window: tuple[float, float]) -> DecayFit:
    runs = values if len(values) > 1 else values[0]
    return fit_decay(times, runs, model="algebraic", offset=offset, window=window)


def _draw(
    times: np.ndarray, density: np.ndarray, temperature: np.ndarray, laws: tuple[np.ndarray, np.ndarray],
    profiles: np.ndarray, fits: tuple[DecayFit, ...] | None, late: tuple[float, float] | None, alpha: float, options: Options,
) -> Figure:  # fmt: skip
    figure, axes = look.new_figure(
        1, 3, size=(16.5, 4.8),
        title=f"Annihilating hard spheres, α = {alpha:g}  ({options.replicas} × {options.particles} particles)",
    )  # fmt: skip
    panels = (
        (axes[0, 0], density, laws[0], r"density $n = N/\Lambda$", "ξ", look.BLUE),
        (axes[0, 1], temperature, laws[1], "temperature $T$", "ζ", look.ORANGE),
    )
    for k, (ax, values, law, name, symbol, color) in enumerate(panels):
        shown = (times > 0) & (density.mean(0) > 0)
        mean, noise = values.mean(0)[shown], standard_error(values)[shown]
        look.points(ax, times[shown], mean, noise, color=color, label="particles")
        ax.plot(times[shown], law[shown], "--", color=look.GREY, label="limit α → 0, αt fixed")
        if fits and late:
            fit, fine = fits[k], np.geomspace(max(late[0], times[1]), late[1], 100)
            rate, error, offset = float(fit.rate), float(fit.rate_stderr), float(fit.shape)
            # Relative to the first fitted value: (s + t)^-rate.
            power = float(fit.first_value) * ((offset + fine) / (offset + float(fit.first_time))) ** -rate
            ax.plot(fine, power, color=look.BLACK, label=f"power of s + t: {symbol} = {rate:.4f} ± {error:.4f}")
        look.log_log(ax)
        look.describe(ax, "time t", name, f"{name.split(' ')[0].capitalize()} falls by a power of time")
        look.legend(ax)

    ax, centres = axes[0, 2], (_EDGES[1:] + _EDGES[:-1]) / 2
    sphere = 2 * pi ** (options.dim / 2) / gamma(options.dim / 2)
    shell = sphere * centres ** (options.dim - 1)
    ax.plot(centres, pi ** (-options.dim / 2) * np.exp(-(centres**2)), color=look.BLACK, label="Maxwellian")
    for index, color in ((0, look.GREY), (len(times) // 2, look.GREEN), (-1, look.PURPLE)):
        psi = profiles[:, index] / shell
        look.points(ax, centres, psi.mean(0), standard_error(psi), color=color, label=f"t = {times[index]:.3g}")
    ax.set_yscale("log")
    ax.set_ylim(bottom=1e-4)
    look.describe(ax, r"$|\xi| = |v - u|/\sqrt{2T}$", r"$\psi(|\xi|)$", "Self-similar profile")
    look.legend(ax)
    return figure


ANNIHILATION = Experiment(
    name="annihilation",
    summary="hard spheres that annihilate with probability alpha: exponents of density and temperature, self-similar profile",
    defaults=Options(particles=20_000, dim=3, dt=0.5, steps=80, replicas=16, scheme="exact-clock", alpha=0.5),
    run=run,
    headline=Headline("density_exponent", "density_exponent_stderr", "density exponent ξ"),
    least_steps=_MIN_STEPS,
    schemes=("exact-clock", "tau-leap"),
)
