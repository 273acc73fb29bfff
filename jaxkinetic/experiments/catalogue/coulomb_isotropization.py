"""A bi-Maxwellian becomes isotropic by Coulomb collisions: the initial rate beside its exact value, and the bi-Maxwellian
closure."""

import functools

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import energy, momentum, stress
from ...landau import Kac, PowerLaw, exact
from ...plotting import Figure
from .._harness.errors import energy_drift, interval, meaning, momentum_drift, plus_minus, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas
from .._harness.table import table

__all__ = ["COULOMB_ISOTROPIZATION", "run"]

# Initial temperatures: (2 perpendicular + parallel)/3 = 1.
_PERPENDICULAR = 1.25
_PARALLEL = 0.5
# The fewest steps of a run: an initial rate is fitted.
_MIN_STEPS = 10


def run(options: Options, watch: Watch) -> Report:
    solution = run_replicas(
        Kac(PowerLaw(-3.0)),
        eqx.Partial(
            initial.bimaxwellian,
            num_particles=options.particles,
            dim=options.dim,
            perpendicular=_PERPENDICULAR,
            parallel=_PARALLEL,
        ),
        options,
        observe={"stress": stress, "energy": energy, "momentum": momentum},
        state=False,
        label="coulomb-isotropization",
        watch=watch,
    )
    times = np.asarray(solution.times, float)
    p = np.asarray(solution.observed["stress"], float)
    perpendicular, parallel = (p[..., 0, 0] + p[..., 1, 1]) / 2, p[..., 2, 2]
    energies, momenta = (np.asarray(solution.observed[name], float) for name in ("energy", "momentum"))
    drift_e = float(np.abs(energy_drift(energies)).max())
    drift_p = float(momentum_drift(momenta).max())
    closure = _closure(times)
    rate = 3 * exact.coulomb_isotropization_rate(_PERPENDICULAR, _PARALLEL)
    stepped = exact.coulomb_isotropization_rate_matching(_PERPENDICULAR, _PARALLEL, options.dt)
    stepped = rate if options.scheme == "sweep" else stepped
    rates = _initial_rates(times, perpendicular - parallel)
    found, stderr = float(rates.mean()), float(standard_error(rates))

    headers = ["t", "T_perp", "+-", "T_par", "+-", "difference", "closure"]
    rows = [
        [f"{t:.4g}", f"{a:.4f}", f"{da:.4f}", f"{b:.4f}", f"{db:.4f}", f"{a - b:.4f}", f"{c[0] - c[1]:.4f}"]
        for t, a, da, b, db, c in zip(
            times, perpendicular.mean(0), standard_error(perpendicular), parallel.mean(0), standard_error(parallel),
            closure, strict=True,
        )
    ]  # fmt: skip
    gap = (perpendicular - parallel).mean(0)[-1] / (closure[-1, 0] - closure[-1, 1])
    findings = (
        f"Initial decay rate of T_perp - T_par: {plus_minus(found, stderr, len(rates) - 1, '.3f')} (a parabola fitted to the "
        f"logarithm down to half of the first value), {rate:.3f} exact: 3 nu of the bi-Maxwellian."
        + (
            f" Random matching at dt = {options.dt:g} alone shifts it to {stepped:.3f}."
            if options.scheme != "sweep"
            else ""
        ),
        "The rate falls immediately, because slow particles become isotropic first. The parabola follows this only in part, "
        "and its error bar shows noise only.",
        f"The closure assumes a bi-Maxwellian at all times, which the solution is not: at t = {times[-1]:.3g} its "
        f"T_perp - T_par is {gap:.2f} times that of the closure.",
        f"Largest drift of momentum per particle: {drift_p:.1e}; of energy, relative: {drift_e:.1e}. Both are round-off at "
        "any dt.",
        meaning(options.replicas),
    )
    numbers = {
        "initial_rate": found,
        "initial_rate_interval": interval(found, stderr, len(rates) - 1),
        "degrees_of_freedom": len(rates) - 1,
        "initial_rate_stderr": stderr,
        "initial_rate_exact": rate,
        "initial_rate_stepped": stepped,
        "last_difference_over_closure": float(gap),
        "momentum_drift": drift_p,
        "energy_drift": drift_e,
    }
    arrays = {"times": times, "perpendicular": perpendicular, "parallel": parallel, "closure": closure, "rates": rates}
    draw = functools.partial(_draw, times, perpendicular, parallel, closure, rate, (found, stderr), options)
    return Report(table(headers, rows), findings, numbers, arrays, draw)


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


def _draw(
    times: np.ndarray, perpendicular: np.ndarray, parallel: np.ndarray, closure: np.ndarray, rate: float,
    found: tuple[float, float], options: Options,
) -> Figure:  # fmt: skip
    figure, axes = look.new_figure(
        1, 2, size=(12.5, 4.8),
        title=f"Two temperatures, Coulomb  ({options.replicas} × {options.particles} particles, Δt = {options.dt:g})",
    )  # fmt: skip
    ax = axes[0, 0]
    for values, column, name, color in (
        (perpendicular, 0, "perp", look.BLUE),
        (parallel, 1, r"\parallel", look.ORANGE),
    ):
        symbol = rf"$T_\{name}$" if name == "perp" else rf"$T_{name}$"
        noise = np.nan_to_num(standard_error(values))
        ax.errorbar(
            times, values.mean(0), yerr=noise, fmt="o", ms=4, color=color, capsize=2, label=f"{symbol}, particles"
        )
        ax.plot(times, closure[:, column], "--", color=color, lw=1.2, label=f"{symbol}, bi-Maxwellian closure")
    look.describe(ax, "time t", "temperature", "Both temperatures")
    look.legend(ax)

    ax, difference = axes[0, 1], (perpendicular - parallel).mean(0)
    fine = np.linspace(0, min(times[-1], 1.2 / rate), 100)
    ax.plot(fine, difference[0] * np.exp(-rate * fine), color=look.BLACK, label=f"exact rate {rate:.2f} at t = 0")
    shown = difference > 0
    noise = np.nan_to_num(standard_error(perpendicular - parallel))
    ax.errorbar(
        times[shown], difference[shown], yerr=noise[shown], fmt="o", ms=4, color=look.BLUE, capsize=2,
        label=f"particles, {found[0]:.2f} ± {found[1]:.2f} at t = 0",
    )  # fmt: skip
    ax.plot(times, closure[:, 0] - closure[:, 1], "--", color=look.GREY, label="bi-Maxwellian closure")
    look.describe(ax, "time t", r"$T_\perp - T_\parallel$", "The difference decays")
    ax.set_ylim(bottom=0)
    look.legend(ax)
    return figure


COULOMB_ISOTROPIZATION = Experiment(
    name="coulomb-isotropization",
    summary="two temperatures become one by Coulomb collisions: the initial rate beside the exact one, and the closure",
    defaults=Options(particles=25_000, dim=3, dt=0.0005, steps=2000, replicas=8, scheme="random-matching"),
    run=run,
    headline=Headline("initial_rate", "initial_rate_stderr", "initial isotropization rate"),
    least_steps=_MIN_STEPS,
    least_dim=3,
    most_dim=3,
    schemes=("random-matching", "sweep"),
)
