"""Kac's system under Coulomb's law from Rosenbluth's shell: entropy falls, momentum and energy stay to round-off."""

import functools
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import trapezoid

from .. import initial
from .._checks import check_integer
from ..fitting import DecayFit
from ..landau import Kac, PowerLaw, exact
from . import plotting as look
from ._entropy import excess_entropy, fit_excess
from ._experiment import Experiment, Options, Report
from ._replicas import run_replicas
from ._table import table

_SHARPNESS, _MIN_STEPS = 10.0, 10


def run(options: Options, progress: bool) -> Report:
    check_integer("--steps", options.steps, minimum=_MIN_STEPS)
    solution = run_replicas(
        Kac(PowerLaw(-3.0)),
        lambda key: initial.rosenbluth(key, options.particles, options.dim, sharpness=_SHARPNESS),
        options,
        observe={},
        state=True,
        label="coulomb-relaxation",
        progress=progress,
    )
    times = np.asarray(solution.times, float)
    states: Any = solution.states
    velocities = np.asarray(states.velocity)
    h = excess_entropy(velocities, options)
    groups, bias_stderr = h.pop("groups"), h.pop("bias_stderr")
    # The tail is nearly exponential, the beginning is not.
    late = times >= times[-1] / 4
    fit, rate_stderr = fit_excess(times[late], groups[:, late], bias_stderr)
    ratio, ratio_noise = _fourth(velocities)
    # Summed in float64: the round-off of a sum is not the scheme's.
    v = np.asarray(velocities, float)
    momenta, energies = v.mean(axis=2), (v**2).sum(axis=3).mean(axis=2) / 2
    drift_p = np.linalg.norm(momenta - momenta[:, :1], axis=-1).max(axis=0)
    drift_e = np.abs(energies / energies[:, :1] - 1).max(axis=0)
    start, slope = _at_the_start()

    headers = ["t", "H-H_M", "+-", "M4/15T^2", "+-", "|dp|", "|dE|/E"]
    rows = [
        [f"{t:.4g}", f"{a:.5f}", f"{b:.5f}", f"{c:.4f}", f"{d:.4f}", f"{p:.1e}", f"{e:.1e}"]
        for t, a, b, c, d, p, e in zip(times, h["value"], h["noise"], ratio, ratio_noise, drift_p, drift_e, strict=True)
    ]
    findings = (
        f"Entropy-decay rate, a fit of A exp(-rate t) to {times[late][0]:.3g} <= t <= {times[-1]:.3g}: "
        f"{float(fit.rate):.3f} +- {rate_stderr:.3f}. It falls with time: Coulomb collisions hardly reach the fast tail.",
        f"At t = 0 the Landau equation has H - H_M = {start:.5f} and d(H - H_M)/dt = {slope:.4f} exactly, a rate of "
        f"{-slope / start:.2f}; estimated here {h['value'][0]:.5f}.",
        f"Momentum and energy per particle move by at most {drift_p.max():.1e} and {drift_e.max():.1e}: round-off, at any dt.",
        "H - H_M is at the sample's own temperature; its estimator's bias is that of a Maxwellian of the same size, removed. "
        "+- is one standard error: of H over runs, or for one run that of the estimator; of M4 over particles.",
    )
    numbers = {
        "entropy_decay_rate": float(fit.rate),
        "entropy_decay_rate_stderr": rate_stderr,
        "entropy_first": float(h["value"][0]),
        "entropy_first_exact": start,
        "entropy_slope_first_exact": slope,
        "entropy_last": float(h["value"][-1]),
        "fourth_last": float(ratio[-1]),
        "momentum_drift": float(drift_p.max()),
        "energy_drift": float(drift_e.max()),
    }
    speeds = np.linalg.norm(velocities[:, [0, -1]], axis=-1)
    arrays = {
        "times": times, "entropy": h["value"], "entropy_noise": h["noise"], "fourth": ratio, "fourth_noise": ratio_noise,
        "momentum_drift": drift_p,
        "energy_drift": drift_e, "speed_first": speeds[:, 0].ravel(), "speed_last": speeds[:, 1].ravel(),
    }  # fmt: skip
    draw = functools.partial(
        _draw, times, h, fit, rate_stderr, (start, slope), ratio, (drift_p, drift_e), speeds, options
    )
    return Report(table(headers, rows), findings, numbers, arrays, draw)


def _fourth(velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """<|v|^4>/15 T^2 over the particles of all runs, and its standard error by the delta method."""
    q = np.sum(np.asarray(velocities, float) ** 2, axis=-1)
    q = np.moveaxis(q, 1, 0).reshape(q.shape[1], -1)
    m2, m4 = q.mean(1), (q**2).mean(1)
    influence = q**2 - 2 * (m4 / m2)[:, None] * q
    scale = 15 * (m2 / 3) ** 2
    return m4 / scale, influence.std(1) / scale / np.sqrt(q.shape[1])


def _at_the_start() -> tuple[float, float]:
    """(H - H_M, its derivative) of the shell at temperature 1."""
    speed = np.linspace(0, 6, 120_001)
    shell = np.exp(-_SHARPNESS * (speed - 1) ** 2)
    scale = float(np.sqrt(trapezoid(speed**4 * shell, speed) / trapezoid(speed**2 * shell, speed) / 3))
    density = np.exp(-_SHARPNESS * (speed * scale - 1) ** 2)
    excess = exact.isotropic_entropy(speed, density) - float(exact.maxwellian_entropy(3))
    return excess, exact.coulomb_entropy_rate(speed, density)


def _draw(
    times: np.ndarray, h: dict[str, Any], fit: DecayFit, rate_stderr: float, start: tuple[float, float], ratio: np.ndarray,
    drifts: tuple[np.ndarray, np.ndarray], speeds: np.ndarray, options: Options,
) -> Figure:  # fmt: skip
    figure, axes = look.new_figure(
        2, 2, size=(12.5, 8.2),
        title=f"Kac's conservative Landau system, Coulomb: a shell relaxes  (N = {options.particles}, Δt = {options.dt:g})",
    )  # fmt: skip
    fine = np.linspace(times[-1] / 4, times[-1], 200)
    ax, shown = axes[0, 0], h["value"] > 0
    ax.plot(
        fine,
        np.asarray(fit(fine)),
        "--",
        color=look.ORANGE,
        label=f"fitted rate {float(fit.rate):.2f} ± {rate_stderr:.2f}",
    )
    early = np.linspace(0, -0.9 * start[0] / start[1], 100)
    ax.plot(early, start[0] + start[1] * early, color=look.BLACK, label="exact value and slope at t = 0")
    ax.errorbar(
        times[shown], h["value"][shown], yerr=np.nan_to_num(h["noise"][shown]), fmt="o", ms=5, color=look.BLUE, capsize=2,
        label="particles",
    )  # fmt: skip
    ax.set_yscale("log")
    ax.set_ylim(bottom=max(h["value"][shown].min() / 2, 1e-4))
    look.label(ax, "time t", r"$H(t) - H_{\rm Maxwell}$", "Entropy falls")
    look.legend(ax)

    ax = axes[0, 1]
    ax.plot(times, ratio, "o-", ms=4, color=look.BLUE, label="particles")
    ax.axhline(1, color=look.GREY, ls=":", label="Maxwellian")
    look.label(ax, "time t", r"$\langle |v|^4\rangle / 15\,T^2$", "Fourth moment")
    look.legend(ax, loc="lower right")

    ax = axes[1, 0]
    bins = np.linspace(0, 4.5, 91)
    for column, (t, color) in enumerate(((times[0], look.ORANGE), (times[-1], look.BLUE))):
        ax.hist(speeds[:, column].ravel(), bins=bins, density=True, color=color, alpha=0.45, label=f"t = {t:.3g}")
    maxwell = np.sqrt(2 / np.pi) * bins**2 * np.exp(-(bins**2) / 2)
    ax.plot(bins, maxwell, color=look.BLACK, label="Maxwellian")
    look.label(ax, "speed |v|", "density", "Speeds")
    look.legend(ax)

    ax = axes[1, 1]
    ax.plot(times[1:], np.maximum(drifts[1][1:], 1e-18), "o", ms=5, color=look.BLUE, label="energy, relative")
    ax.plot(times[1:], np.maximum(drifts[0][1:], 1e-18), "s", ms=5, color=look.GREEN, label="momentum")
    ax.set_yscale("log")
    look.label(ax, "time t", "largest drift", "Momentum and energy: round-off")
    look.legend(ax)
    return figure


COULOMB_RELAXATION = Experiment(
    name="coulomb-relaxation",
    summary="Kac's system under Coulomb's law from Rosenbluth's shell: entropy, its fitted decay rate, invariants to round-off",
    defaults=Options(particles=100_000, dim=3, dt=0.0025, steps=1600, replicas=1, scheme="random-matching"),
    run=run,
    least_dim=3,
    most_dim=3,
    schemes=("random-matching", "sweep"),
)
