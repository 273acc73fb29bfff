"""The matrix-root system on the torus from one-mode data, for which the solution of the Landau equation is known: amplitude,
decay rate, entropy."""

import functools
import math
from typing import Any

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ..._util.checks import argument_error
from ...diagnostics import mode as empirical_mode
from ...fitting.decay import DecayFit, fit_decay
from ...landau import MatrixSqrt, Trigonometric, exact
from ...plotting import Figure
from ...states import Particles
from .._harness.errors import interval, meaning, plus_minus, standard_error
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas, velocities_of
from .._harness.table import table

__all__ = ["TORUS_MODE", "interaction_for", "run"]

_AMPLITUDE = 0.8
_MIN_STEPS = 10  # a rate is fitted


def interaction_for(dim: int) -> tuple[Trigonometric, tuple[int, ...]]:
    """a(z) and the mode that is followed.

    d = 1: a = 1 + cos(z)/2 and m = 1. d = 2, 3: a = I/2 + |s|^2 I - s s^T, s = sin z, as matrices of cosines, m = (1, 1, ..).
    """
    if dim == 1:
        return Trigonometric([[0], [1]], [1.0, 0.5]), (1,)
    unit, identity = np.eye(dim, dtype=int), np.eye(dim)
    modes, matrices = [0 * unit[0]], [dim / 2 * identity]
    for i in range(dim):
        modes.append(2 * unit[i])
        matrices.append((np.diag(unit[i]) - identity) / 2)
        for j in range(i):
            cross = (np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i])) / 2
            modes += [unit[i] + unit[j], unit[i] - unit[j]]
            matrices += [cross, -cross]
    return Trigonometric(np.stack(modes), np.stack(matrices)), (1, 1, 0)[:dim]


def run(options: Options, watch: Watch) -> Report:
    if options.dim > 3:
        raise argument_error("--dim", "be 1, 2 or 3 on the torus", f"is {options.dim}", "lower it")
    interaction, wavevector = interaction_for(options.dim)
    solution = run_replicas(
        MatrixSqrt(interaction),
        eqx.Partial(initial.torus_mode, num_particles=options.particles, mode=wavevector, amplitude=_AMPLITUDE),
        options,
        observe={"mode": functools.partial(_cosine, wavevector=wavevector)},
        state=True,
        label="torus-mode",
        watch=watch,
    )
    times, amplitudes = np.asarray(solution.times, float), 2 * np.asarray(solution.observed["mode"], float)
    rate = exact.torus_mode_rate(interaction, wavevector)
    first_rate = rate * (options.particles - 1) / options.particles
    steps = np.rint(times / options.dt).astype(int)
    stepped = exact.torus_mode_amplitude_euler(options.steps, options.dt, interaction, wavevector, _AMPLITUDE)[steps]
    stepped_rate = float(fit_decay(times, stepped).rate)
    series = {
        "amplitude": _amplitude(amplitudes, times, interaction, wavevector),
        "entropy": _entropy(amplitudes, times, interaction, wavevector),
    }
    fit = fit_decay(times, amplitudes if len(amplitudes) > 1 else amplitudes[0])
    freedom = fit.degrees_of_freedom
    phases = np.mod(velocities_of(solution).astype(float)[:, [0, -1]] @ np.array(wavevector), 2 * np.pi)

    headers, rows = ["t"], [[f"{t:.4g}"] for t in times]
    for name, title, form in (("amplitude", "A", ".4f"), ("entropy", "H-H_u", ".5f")):
        headers += [title, "exact", "+-"]
        for i, row in enumerate(rows):
            row += [format(float(series[name][part][i]), form) for part in ("value", "exact", "noise")]
    findings = (
        f"Decay rate of mode ({_components(wavevector)}): {plus_minus(float(fit.rate), float(fit.rate_stderr), freedom)} "
        f"fitted, {rate:.4f} exact; {(float(fit.rate) - rate) / float(fit.rate_stderr):+.1f} standard errors.",
        f"The exact rate is that of the Landau equation. The initial rate of {options.particles} particles "
        f"is {first_rate:.4f}, (N-1)/N of it; the time step {options.dt:g} alone shifts the fitted rate to {stepped_rate:.4f}.",
        "H - H_uniform is a plug-in estimate: the entropy of the one-mode density with the measured amplitude "
        "A = 2 E cos(m.v), since the exact solution stays in this family. |A| > 1 counts as 1.",
        meaning(options.replicas),
    )
    numbers = {
        "decay_rate": float(fit.rate),
        "decay_rate_stderr": float(fit.rate_stderr),
        "decay_rate_interval": interval(float(fit.rate), float(fit.rate_stderr), freedom),
        "degrees_of_freedom": freedom if math.isfinite(freedom) else None,
        "decay_rate_exact": rate,
        "decay_rate_exact_at_first": first_rate,
        "decay_rate_stepped": stepped_rate,
        "fit_amplitude": float(fit.amplitude),
        "fit_r2": float(fit.r2),
        "mode": list(wavevector),
    }
    arrays = {f"{name}_{part}": np.asarray(x) for name, parts in series.items() for part, x in parts.items()}
    arrays |= {
        "times": times,
        "amplitudes": amplitudes,
        "phase_first": phases[:, 0].ravel(),
        "phase_last": phases[:, 1].ravel(),
    }
    return Report(
        table(headers, rows), findings, numbers, arrays,
        functools.partial(_draw, times, series, fit, rate, phases, options, wavevector),
    )  # fmt: skip


def _components(mode: tuple[int, ...]) -> str:
    return ", ".join(map(str, mode))


def _cosine(state: Particles, *, wavevector: tuple[int, ...]) -> Any:
    return empirical_mode(state, wavevector=wavevector).real


def _amplitude(amplitudes: np.ndarray, times: np.ndarray, interaction: Trigonometric, mode: Any) -> dict[str, Any]:
    return {
        "value": amplitudes.mean(axis=0),
        "exact": exact.torus_mode_amplitude(times, interaction, mode, _AMPLITUDE),
        "noise": standard_error(amplitudes),
    }


def _entropy(amplitudes: np.ndarray, times: np.ndarray, interaction: Trigonometric, mode: Any) -> dict[str, Any]:
    """Plug-in estimate: the variance of A is subtracted from A^2; the noise of A is multiplied by
    dH/dA = A/(1 + sqrt(1 - A^2))."""
    noise = standard_error(amplitudes)
    square = np.clip(amplitudes.mean(axis=0) ** 2 - np.nan_to_num(noise) ** 2, 0, 1)
    measured = np.sqrt(square)
    return {
        "value": exact.torus_mode_entropy(0.0, interaction, mode, measured),
        "exact": exact.torus_mode_entropy(times, interaction, mode, _AMPLITUDE),
        "noise": measured / (1 + np.sqrt(1 - square)) * noise,
    }


def _draw(
    times: np.ndarray, series: dict[str, Any], fit: DecayFit, rate: float, phases: np.ndarray, options: Options, mode: Any
) -> Figure:  # fmt: skip
    figure, axes = look.new_figure(
        1, 3, size=(15.5, 5.2),
        title=f"Landau equation on the torus, d = {options.dim}: an exact nonlinear solution, and "
        f"{options.replicas} × {options.particles} particles",
    )  # fmt: skip
    fine = np.linspace(times[0], times[-1], 200)
    ax, a = axes[0, 0], series["amplitude"]
    ax.plot(fine, _AMPLITUDE * np.exp(-rate * fine), color=look.BLACK, label=f"exact, rate {rate:.4g}")
    ax.plot(
        fine, np.asarray(fit(fine)), "--", color=look.ORANGE,
        label=f"fitted rate {float(fit.rate):.3f} ± {float(fit.rate_stderr):.3f}",
    )  # fmt: skip
    shown = a["value"] > 0
    look_points = {"fmt": "o", "ms": 5, "color": look.BLUE, "capsize": 2}
    ax.errorbar(
        times[shown], a["value"][shown], yerr=np.nan_to_num(a["noise"][shown]), label="particles", **look_points
    )
    ax.set_yscale("log")
    look.describe(
        ax,
        "time t",
        r"amplitude $A = 2\,\langle\cos m\cdot v\rangle$",
        f"Mode m = ({_components(mode)}) decays exponentially",
    )
    look.legend(ax)

    ax, h = axes[0, 1], series["entropy"]
    ax.plot(times, h["exact"], color=look.BLACK, label="exact")
    shown = h["value"] > 0
    ax.errorbar(
        times[shown], h["value"][shown], yerr=np.nan_to_num(h["noise"][shown]), label="from the measured amplitude",
        **look_points,
    )  # fmt: skip
    ax.set_yscale("log")
    look.describe(ax, "time t", r"$H(t) - H_{\rm uniform}$", "Entropy falls (plug-in of the amplitude)")
    look.legend(ax)

    ax = axes[0, 2]
    theta = np.linspace(0, 2 * np.pi, 200)
    for column, (t, color) in enumerate(((times[0], look.ORANGE), (times[-1], look.BLUE))):
        ax.hist(phases[:, column].ravel(), bins=48, range=(0, 2 * np.pi), density=True, color=color, alpha=0.35)
        wave = _AMPLITUDE * np.exp(-rate * t) * np.cos(theta)
        ax.plot(theta, (1 + wave) / (2 * np.pi), color=color, label=f"t = {t:.3g}, exact")
    look.describe(ax, r"phase $m\cdot v$ modulo $2\pi$", "density", "The particles and the exact density")
    ax.set_ylim(bottom=0)
    look.legend(ax, loc="lower right")
    return figure


TORUS_MODE = Experiment(
    name="torus-mode",
    summary="the matrix-root system on the torus against the exact nonlinear one-mode solution; fits its decay rate",
    defaults=Options(particles=4096, dim=1, dt=0.04, steps=50, replicas=128),
    run=run,
    headline=Headline("decay_rate", "decay_rate_stderr", "decay rate of the mode"),
    least_steps=_MIN_STEPS,
    least_dim=1,
    most_dim=3,
)
