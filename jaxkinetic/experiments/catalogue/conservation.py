"""The three Landau particle systems side by side: which conserves momentum and energy on every path, and which in mean only.

(FW 1.6) is the system of [FengWang2025], (FW 1.7) that of [FontbonaGuerinMeleard2009], (FW 1.8) that of [Fournier2009]."""

import functools
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ... import initial, plotting as look
from ...diagnostics import energy, momentum
from ...landau import IndependentNoise, Kac, MatrixSqrt, Maxwell, exact
from ...plotting import Figure
from .._harness.errors import interval, meaning, momentum_drift, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas
from .._harness.table import table

__all__ = ["CONSERVATION", "run"]

_SYSTEMS = (
    ("kac", "Kac (FW 1.6)", Kac, look.BLUE),
    ("independent", "independent (FW 1.7)", IndependentNoise, look.ORANGE),
    ("matrix_sqrt", "matrix root (FW 1.8)", MatrixSqrt, look.GREEN),
)


def run(options: Options, watch: Watch) -> Report:
    rows: list[list[str]] = []
    series: dict[str, Any] = {}
    times = np.zeros(0)
    for noise, title, system, _ in _SYSTEMS:
        solution = run_replicas(
            system(Maxwell()),
            eqx.Partial(initial.maxwellian, num_particles=options.particles, dim=options.dim),
            options,
            observe={"energy": energy, "momentum": momentum},
            state=False,
            label=title,
            watch=watch,
        )
        times = np.asarray(solution.times, float)
        steps = np.rint(times / options.dt).astype(int)
        e, p = (
            np.asarray(solution.observed["energy"], float),
            np.asarray(solution.observed["momentum"], float),
        )
        exact_e, exact_p = _exact(noise, steps, options)
        series[noise] = {
            "energy": e - e[:, :1],
            "momentum": momentum_drift(p),
            "energy_exact": exact_e,
            "momentum_exact": exact_p,
        }
        rows.append(
            _row(title, system(Maxwell()), series[noise], float(jnp.finfo(solution.observed["energy"].dtype).eps))
        )
    headers = [
        "system", "momentum", "rms |dp|", "exact", "+-", "energy", "mean dE", "exact", "+-", "std of dE",
    ]  # fmt: skip
    findings = (
        f"At t = {times[-1]:.3g}, over {options.replicas} runs of {options.particles} particles. The columns `momentum` and "
        "`energy` say how the equation conserves them: on every path (exact) or in mean.",
        "The exact values are those of Euler-Maruyama at this dt, which heats every system by order dt in mean. The energy of "
        "Kac's system, which the equation conserves, scatters by order sqrt(dt); that of the other two scatters for every dt. "
        + meaning(options.replicas),
    )
    arrays = {f"{noise}_{k}": v for noise, parts in series.items() for k, v in parts.items()} | {"times": times}
    numbers = {
        noise: {
            "rms_momentum_drift": float(np.sqrt(np.mean(s["momentum"][:, -1] ** 2))),
            "mean_energy_drift": float(s["energy"][:, -1].mean()),
            "mean_energy_drift_stderr": float(standard_error(s["energy"][:, -1])),
            "mean_energy_drift_interval": interval(
                float(s["energy"][:, -1].mean()), float(standard_error(s["energy"][:, -1])), options.replicas - 1
            ),
            "mean_energy_drift_exact": float(s["energy_exact"][-1]),
            "std_energy_drift": float(s["energy"][:, -1].std()),
        }
        for noise, s in series.items()
    }
    return Report(table(headers, rows), findings, numbers, arrays, functools.partial(_draw, times, series, options))


def _exact(noise: str, steps: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Mean energy drift and root-mean-square momentum drift of the discrete scheme, per particle."""
    n, d = options.particles, options.dim
    moments = [exact.second_moments_euler(k, options.dt, np.eye(d), np.zeros((d, d)), n, noise) for k in steps]
    mean_energy = np.array([np.trace(p) / 2 for p, _ in moments])
    # The mean velocity is a martingale, so the variance of its drift is the growth of its second moment.
    square = np.array([(np.trace(p) + (n - 1) * np.trace(c)) / n for p, c in moments])
    return mean_energy - mean_energy[0], np.sqrt(np.maximum(square - square[0], 0))


def _row(title: str, system: Any, s: dict[str, np.ndarray], eps: float) -> list[str]:
    dp2, de = s["momentum"][:, -1] ** 2, s["energy"][:, -1]
    count = len(de)
    rms = math.sqrt(dp2.mean())
    # The error of the root by the delta method.
    stderr_p = dp2.std(ddof=1) / math.sqrt(count) / (2 * rms) if count > 1 and rms > 0 else math.nan
    # Where momentum is conserved on every path, the drift is round-off and no statistical error applies.
    if s["momentum_exact"][-1] < eps:
        stderr_p = float(eps)
    stderr_e = de.std(ddof=1) / math.sqrt(count) if count > 1 else math.nan
    return [
        title, system.conserves["momentum"], f"{rms:.2e}", f"{s['momentum_exact'][-1]:.2e}", f"{stderr_p:.0e}",
        system.conserves["energy"], f"{de.mean():+.2e}", f"{s['energy_exact'][-1]:+.2e}", f"{stderr_e:.0e}",
        f"{de.std():.1e}",
    ]  # fmt: skip


def _draw(times: np.ndarray, series: dict[str, Any], options: Options) -> Figure:
    figure, axes = look.new_figure(
        2, 3, size=(13.5, 7.6),
        title=f"What the three Landau particle systems conserve  (N = {options.particles}, d = {options.dim}, "
        f"Δt = {options.dt:g}, {options.replicas} runs)",
    )  # fmt: skip
    top_p = max(float(s["momentum"].max()) for s in series.values()) * 1.05
    top_e = max(float(np.abs(s["energy"]).max()) for s in series.values()) * 1.05
    for column, (noise, title, system, color) in enumerate(_SYSTEMS):
        s = series[noise]
        for row, (name, top) in enumerate((("momentum", top_p), ("energy", top_e))):
            ax = axes[row, column]
            ax.plot(times, s[name][:24].T, color=color, alpha=0.3, lw=0.9)
            average = np.sqrt(np.mean(s[name] ** 2, axis=0)) if name == "momentum" else s[name].mean(axis=0)
            ax.plot(
                times,
                average,
                color=color,
                lw=2.6,
                label="root mean square" if name == "momentum" else "mean",
            )
            ax.plot(times, s[f"{name}_exact"], "--", color=look.BLACK, lw=1.6, label="exact (Euler-Maruyama)")
            ax.set_ylim((0 if name == "momentum" else -top), top)
            kept = "on every path" if system(Maxwell()).conserves[name] == "exact" else "in mean only"
            look.describe(
                ax, "time t", r"$|p(t) - p(0)|$" if name == "momentum" else r"$E(t) - E(0)$",
                f"{title}\n{name}: conserved {kept}",
            )  # fmt: skip
            look.legend(ax, loc="upper left")
    return figure


CONSERVATION = Experiment(
    name="conservation",
    summary="three Landau particle systems side by side: momentum and energy, conserved on every path or in mean",
    defaults=Options(particles=128, dim=3, dt=0.001, steps=200, replicas=64),
    run=run,
    headline=Headline("kac.mean_energy_drift", "kac.mean_energy_drift_stderr", "mean energy drift of Kac's system"),
)
