"""Kac's conservative system (FW 1.6) with Maxwell molecules from Bobylev-Krook-Wu data [KrookWu1977], beside the exact
solution."""

import functools
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import energy, moment, momentum, temperature
from ...fitting.decay import DecayFit, fit_decay
from ...landau import Kac, Maxwell, exact
from ...plotting import Figure
from .._harness.errors import energy_drift, interval, meaning, momentum_drift, plus_minus, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas, velocities_of
from .._harness.table import table
from ._entropy import excess_entropy, fit_excess

__all__ = ["MAXWELL_BKW", "centred_fourth", "run"]

_MIN_STEPS = 10  # a rate is fitted
_TOO_NOISY = 0.2  # scatter relative to the initial excess; beyond it the fit is not linear in the noise
centred_fourth = functools.partial(moment, order=4, centred=True)


def run(options: Options, watch: Watch) -> Report:
    # The BKW density is not negative for beta <= 2/(d + 2).
    dim, beta = options.dim, min(0.4, 2 / (options.dim + 2))
    solution = run_replicas(
        Kac(Maxwell()),
        eqx.Partial(initial.bkw, num_particles=options.particles, dim=dim, beta=beta),
        options,
        observe={
            "energy": energy,
            "momentum": momentum,
            "temperature": temperature,
            "fourth": centred_fourth,
        },
        state=True,
        label="maxwell-bkw",
        watch=watch,
    )
    times = np.asarray(solution.times, float)
    velocities = velocities_of(solution)
    steps = np.rint(times / options.dt).astype(int)
    series = {
        "entropy": excess_entropy(velocities, options),
        "fourth": _fourth(solution, times, steps, options, beta),
        "energy": _energy(solution, steps, options),
        "momentum": _momentum(solution),
    }
    series["entropy"]["exact"] = exact.bkw_entropy(times, dim, beta) - exact.maxwellian_entropy(dim)
    groups, bias_stderr = series["entropy"].pop("groups"), series["entropy"].pop("bias_stderr")
    fit, rate_stderr = fit_excess(times, groups, bias_stderr)
    freedom = fit.degrees_of_freedom
    exact_fit = fit_decay(times, series["entropy"]["exact"])
    stepped_rate = float(fit_decay(times, _stepped_entropy(steps, options, beta)).rate) if _is_euler(options) else None

    columns = (
        ("entropy", "H-H_M", ".5f"),
        ("fourth", "M4", ".3f"),
        ("energy", "dE/E", ".2e"),
        ("momentum", "|dp|", ".1e"),
    )
    headers, rows = ["t"], [[f"{t:.4g}"] for t in times]
    for name, title, form in columns:
        headers += [title, "exact", "+-"]
        for i, row in enumerate(rows):
            row += [format(float(series[name][part][i]), form) for part in ("value", "exact", "noise")]
    asymptotic = 8 * (dim - 1)
    findings = (
        f"Entropy-decay rate: {plus_minus(float(fit.rate), rate_stderr, freedom, '.2f')} fitted, {float(exact_fit.rate):.2f} "
        f"exact (the same fit of the exact curve), {asymptotic} as t -> infinity."
        + (f" The time step {options.dt:g} alone shifts it to about {stepped_rate:.2f}." if stepped_rate else ""),
        f"H_M has the temperature and mean of the sample, one of {len(groups)} groups of runs; the exact H - H_M is that of "
        "the Landau equation. The bias of the estimator, measured on Maxwellian samples of the same size, is subtracted.",
        f"M4 is the centred fourth moment. The exact M4 and dE/E are those of {options.particles} particles with time step "
        f"{options.dt:g}: Kac's equation conserves energy, Euler-Maruyama multiplies it by 1 + 4(d-1)^2 dt^2 in every step. "
        "Momentum is conserved to round-off."
        if _is_euler(options)
        else f"M4 is the centred fourth moment; its exact value is that of {options.particles} particles. Momentum and energy "
        "are conserved to round-off.",
        f"{meaning(options.replicas)} For H - H_M it is from {len(groups)} groups of runs; for |dp| it is the round-off of one "
        "sum.",
    )
    excess = series["entropy"]["exact"]
    scatter = float(np.sqrt(np.mean((series["entropy"]["value"] - excess) ** 2)) / excess[0])
    if scatter > _TOO_NOISY:
        findings = (
            f"The entropy scatters by {100 * scatter:.0f} % of its initial excess: the fitted rate and its error mean nothing. "
            "Take more particles or replicas.",
            *findings,
        )
    numbers = {
        "entropy_scatter": scatter,
        "entropy_decay_rate": float(fit.rate),
        "entropy_decay_rate_stderr": rate_stderr,
        "entropy_decay_rate_interval": interval(float(fit.rate), rate_stderr, freedom),
        "degrees_of_freedom": freedom if math.isfinite(freedom) else None,
        "entropy_decay_rate_exact": float(exact_fit.rate),
        "entropy_decay_rate_asymptotic": asymptotic,
        "entropy_decay_rate_stepped": stepped_rate,
        "entropy_fit_amplitude": float(fit.amplitude),
        "entropy_fit_r2": float(fit.r2),
        "beta": beta,
    }
    arrays = {f"{name}_{part}": np.asarray(x) for name, parts in series.items() for part, x in parts.items()}
    arrays |= {"times": times, "entropy_groups": groups}
    speeds = np.linalg.norm(velocities[:, [0, -1]], axis=-1)
    arrays |= {"speed_first": speeds[:, 0].ravel(), "speed_last": speeds[:, 1].ravel()}
    return Report(
        table(headers, rows), findings, numbers, arrays,
        functools.partial(_draw, times, series, fit, rate_stderr, exact_fit, speeds, options, beta),
    )  # fmt: skip


def _is_euler(options: Options) -> bool:
    return options.scheme == "euler-maruyama"


def _stepped_entropy(steps: np.ndarray, options: Options, beta: float) -> np.ndarray:
    """Approximate effect of dt on H - H_M: its value for the BKW density with the <|v|^4>/<|v|^2>^2 of the exact law of the
    Euler-Maruyama steps.

    That law is a BKW density up to order dt only. Where no BKW density has this ratio (at coarse dt), the extreme one is used.
    """
    start = np.array([exact.bkw_moment(0.0, order, options.dim, beta) for order in (2, 4, 6)])
    m2, m4, _ = exact.isotropic_moments_euler(int(steps[-1]), options.dt, start, options.dim)[steps].T
    # <|v|^4>/<|v|^2>^2 = (d+2)/d K (2 - K), and beta = 1 - K.
    shape = np.sqrt(np.maximum(1 - options.dim / (options.dim + 2) * m4 / m2**2, 0))
    shape = np.minimum(shape, 2 / (options.dim + 2))
    return np.array([exact.bkw_entropy(0.0, options.dim, b) for b in shape]) - exact.maxwellian_entropy(options.dim)


def _fourth(solution: Any, times: np.ndarray, steps: np.ndarray, options: Options, beta: float) -> dict[str, Any]:
    values = np.asarray(solution.observed["fourth"], float)
    limit = exact.bkw_moment(times, 4, options.dim, beta)
    start = exact.quartic_start(np.eye(options.dim), options.particles, float(limit[0]))
    if _is_euler(options):
        law = [exact.kac_quartic_euler(n, options.dt, start, options.particles, options.dim)[0] for n in steps]
    else:
        law = [exact.kac_quartic(t, start, options.particles, options.dim)[0] for t in times]
    return {
        "value": values.mean(axis=0),
        "exact": np.array(law),
        "noise": standard_error(values),
        "limit": limit,
    }


def _energy(solution: Any, steps: np.ndarray, options: Options) -> dict[str, Any]:
    """Relative drift of the centred energy: only this part is heated, by an exact factor. That of the mean is conserved."""
    values = np.asarray(solution.observed["temperature"], float)
    drift = energy_drift(values)
    heating = exact.euler_heating(options.dt, options.dim, options.particles) if _is_euler(options) else 1.0
    law = heating**steps - 1
    return {"value": drift.mean(axis=0), "exact": law, "noise": standard_error(drift)}


def _momentum(solution: Any) -> dict[str, Any]:
    p = np.asarray(solution.observed["momentum"])
    drift = momentum_drift(p)
    floor = np.full(drift.shape[1], float(jnp.finfo(p.dtype).eps))
    return {"value": drift.max(axis=0), "exact": np.zeros(drift.shape[1]), "noise": floor}


def _draw(
    times: np.ndarray, series: dict[str, Any], fit: DecayFit, rate_stderr: float, exact_fit: DecayFit,
    speeds: np.ndarray, options: Options, beta: float,
) -> Figure:  # fmt: skip
    figure, axes = look.new_figure(
        2, 2, size=(12.5, 8.2),
        title=f"Kac's conservative Landau system, Maxwell molecules, d = {options.dim}: relaxation of Bobylev-Krook-Wu data",
    )  # fmt: skip
    fine = np.linspace(times[0], times[-1], 200)
    ax, h = axes[0, 0], series["entropy"]
    exact_h = exact.bkw_entropy(fine, options.dim, beta) - exact.maxwellian_entropy(options.dim)
    ax.plot(fine, exact_h, color=look.BLACK, label="exact (Landau equation)")
    ax.plot(
        fine, np.asarray(fit(fine)), "--", color=look.ORANGE,
        label=f"fitted rate {float(fit.rate):.1f} ± {rate_stderr:.1f}  (exact {float(exact_fit.rate):.1f})",
    )  # fmt: skip
    shown = h["value"] > 0
    ax.errorbar(
        times[shown], h["value"][shown], yerr=np.nan_to_num(h["noise"][shown]), fmt="o", ms=5, color=look.BLUE,
        capsize=2, label=f"{options.replicas} × {options.particles} particles",
    )  # fmt: skip
    if not shown.all():
        below = np.full((~shown).sum(), exact_h.min() / 3.6)
        ax.plot(times[~shown], below, "v", ms=7, color=look.BLUE, label="estimate below 0")
    if np.isfinite(h["noise"]).any():
        ax.axhspan(
            exact_h.min() / 4,
            np.nanmean(h["noise"]),
            color=look.GREY,
            alpha=0.25,
            lw=0,
            label="noise floor (1 s.e.)",
        )
    ax.set_yscale("log")
    ax.set_ylim(bottom=exact_h.min() / 4)
    look.describe(ax, "time t", r"$H(t) - H_{\rm Maxwell}$", "Entropy falls exponentially")
    look.legend(ax)

    ax, m = axes[0, 1], series["fourth"]
    step = f", Δt = {options.dt:g}" if _is_euler(options) else ""
    ax.plot(fine, exact.bkw_moment(fine, 4, options.dim, beta), color=look.GREY, label="Landau equation")
    ax.plot(
        times,
        m["exact"],
        color=look.BLACK,
        label=f"exact at N = {options.particles}{step}",
    )
    ax.errorbar(
        times,
        m["value"],
        yerr=np.nan_to_num(m["noise"]),
        fmt="o",
        ms=5,
        color=look.BLUE,
        capsize=2,
        label="measured",
    )
    look.describe(ax, "time t", r"$\langle |v-u|^4 \rangle$", "Fourth moment")
    look.legend(ax, loc="lower right")

    ax = axes[1, 0]
    bins = np.linspace(0, 4.5, 46)
    radius = np.linspace(0, 4.5, 300)
    sphere = 2 * math.pi ** (options.dim / 2) / math.gamma(options.dim / 2) * radius ** (options.dim - 1)
    for column, (t, color) in enumerate(((times[0], look.ORANGE), (times[-1], look.BLUE))):
        ax.hist(speeds[:, column].ravel(), bins=bins, density=True, color=color, alpha=0.35)
        ax.plot(
            radius,
            sphere * exact.bkw_density(radius, t, options.dim, beta),
            color=color,
            label=f"t = {t:.3g}, exact",
        )
    look.describe(ax, "speed |v|", "density", "Speeds: histogram of the particles, exact curves")
    look.legend(ax)

    ax, e, p = axes[1, 1], series["energy"], series["momentum"]
    if _is_euler(options):
        ax.plot(times[1:], e["exact"][1:], color=look.BLACK, label=r"$(1 + 4(d-1)^2\Delta t^2)^n - 1$, exact")
    error = np.nan_to_num(e["noise"][1:])
    ax.errorbar(
        times[1:],
        np.abs(e["value"][1:]),
        yerr=error,
        fmt="o",
        ms=5,
        color=look.BLUE,
        capsize=2,
        label="energy, relative",
    )
    ax.plot(
        times[1:],
        np.maximum(p["value"][1:], 1e-18),
        "s",
        ms=5,
        color=look.GREEN,
        label="momentum, largest of all runs",
    )
    ax.axhline(p["noise"][0], color=look.GREY, ls=":", label="round-off")
    ax.set_yscale("log")
    look.describe(
        ax,
        "time t",
        "drift",
        "Momentum to round-off, mean energy to order Δt" if _is_euler(options) else "To round-off",
    )
    look.legend(ax)
    return figure


MAXWELL_BKW = Experiment(
    name="maxwell-bkw",
    summary="Kac's system with Maxwell molecules from BKW data beside the exact solution; fits the entropy-decay rate",
    defaults=Options(particles=256, dim=3, dt=0.002, steps=100, replicas=256),
    run=run,
    headline=Headline("entropy_decay_rate", "entropy_decay_rate_stderr", "entropy-decay rate"),
    least_steps=_MIN_STEPS,
    schemes=("euler-maruyama", "sweep"),
)
