"""Rosenbluth's shell relaxes by Coulomb collisions in Kac's system: entropy falls, momentum and energy are conserved to
round-off."""

import dataclasses
import functools
import math
from typing import Any

import equinox as eqx
import numpy as np

from ... import initial, plotting as look
from ...fitting.decay import DecayFit
from ...landau import Kac, PowerLaw, exact
from ...plotting import Figure
from .._harness.errors import energy_drift, interval, meaning, momentum_drift, plus_minus
from .._harness.experiment import Experiment, Headline, Options, Report, Watch
from .._harness.replicas import run_replicas, velocities_of
from .._harness.table import table
from ._entropy import excess_entropy, fisher_excess, fit_excess, tail

__all__ = ["COULOMB_RELAXATION", "run"]

# The tangent of the entropy is drawn until it has fallen by this fraction.
_TANGENT = 0.3
# Sharpness of Rosenbluth's shell, e^{-sharpness (|v| - 1)^2} [RosenbluthMacDonaldJudd1957].
_SHARPNESS = 10.0
# The fewest steps of a run: a rate is fitted.
_MIN_STEPS = 10


def run(options: Options, watch: Watch) -> Report:
    gamma = -3.0 if options.gamma is None else options.gamma
    coulomb = gamma == -3
    solution = run_replicas(
        Kac(PowerLaw(gamma)),
        eqx.Partial(initial.rosenbluth, num_particles=options.particles, dim=options.dim, sharpness=_SHARPNESS),
        options,
        observe={},
        state=True,
        label="coulomb-relaxation",
        watch=watch,
    )
    times = np.asarray(solution.times, float)
    velocities = velocities_of(solution)
    h = excess_entropy(velocities, options)
    groups, bias_stderr = h.pop("groups"), h.pop("bias_stderr")
    # Fit the tail only: it decays nearly exponentially, the beginning does not.
    late = tail(times, h["value"], h["noise"])
    fisher, fisher_noise, subset = fisher_excess(velocities, options)
    fit, rate_stderr = fit_excess(times[late], groups[:, late], bias_stderr)
    ratio, ratio_noise = _fourth(velocities)
    # Sum in float64, so that the drifts show the round-off of the scheme and not of the sums.
    v = np.asarray(velocities, float)
    momenta, energies = v.mean(axis=2), (v**2).sum(axis=3).mean(axis=2) / 2
    drift_p = momentum_drift(momenta).max(axis=0)
    drift_e = np.abs(energy_drift(energies)).max(axis=0)
    start, slope = _at_the_start(coulomb)

    headers = ["t", "H-H_M", "+-", "I/I_M-1", "+-", "M4/15T^2", "+-", "|dp|", "|dE|/E"]
    forms = (".4g", ".5f", ".5f", ".4f", ".4f", ".4f", ".4f", ".1e", ".1e")
    columns = (times, h["value"], h["noise"], fisher, fisher_noise, ratio, ratio_noise, drift_p, drift_e)
    rows = [[format(x, form) for x, form in zip(row, forms, strict=True)] for row in zip(*columns, strict=True)]
    findings = (
        f"Entropy-decay rate, a fit of A exp(-rate t) to {times[late][0]:.3g} <= t <= {times[late][-1]:.3g}: "
        f"{plus_minus(float(fit.rate), rate_stderr, fit.degrees_of_freedom, '.3f')}."
        + (" The rate falls with time, because fast particles collide rarely." if coulomb else ""),
        f"At t = 0 the Landau equation has H - H_M = {start:.5f} exactly; estimated here {h['value'][0]:.5f}."
        + (f" Its exact derivative there is {slope:.4f}, a relative rate of {-slope / start:.2f}." if coulomb else ""),
        f"I/I_M - 1 compares Fisher's information of {subset} particles of each run with that of the Maxwellian of their "
        "temperature, by the same kernel estimator. Structure finer than its kernel is not resolved, above all at t = 0. I "
        "falls, as H does.",
        "The true value is at least 0. A value below 0 is an error of the estimator: its kernel widens thin tails, and the "
        "subtracted bias is that of a Maxwellian. With 8192 particles and M4/15T^2 = .93 it gives -.012 instead of +.018.",
        f"Largest drift of momentum per particle: {drift_p.max():.1e}; of energy, relative: {drift_e.max():.1e}. Both are "
        "round-off at any dt.",
        "H_M has the sample's own temperature. The bias of the estimator, measured on Maxwellian samples of the same size, is "
        "subtracted. For H, "
        + (
            meaning(len(groups), "groups of runs")
            if len(groups) > 1
            else "+- is that of the estimator on a Maxwellian sample."
        )
        + " For M4, +- is from the scatter of the particles.",
    )
    numbers = {
        "entropy_decay_rate": float(fit.rate),
        "entropy_decay_rate_stderr": rate_stderr,
        "entropy_decay_rate_interval": interval(float(fit.rate), rate_stderr, fit.degrees_of_freedom),
        "degrees_of_freedom": fit.degrees_of_freedom if math.isfinite(fit.degrees_of_freedom) else None,
        "entropy_first": float(h["value"][0]),
        "entropy_first_exact": start,
        "entropy_slope_first_exact": slope if coulomb else None,
        "fisher_first": float(fisher[0]),
        "fisher_last": float(fisher[-1]),
        "entropy_last": float(h["value"][-1]),
        "fourth_last": float(ratio[-1]),
        "momentum_drift": float(drift_p.max()),
        "energy_drift": float(drift_e.max()),
    }
    speeds = np.linalg.norm(velocities[:, [0, -1]], axis=-1)
    arrays = {
        "times": times, "entropy": h["value"], "entropy_noise": h["noise"], "fourth": ratio, "fourth_noise": ratio_noise,
        "fisher": fisher, "fisher_noise": fisher_noise, "momentum_drift": drift_p,
        "energy_drift": drift_e, "speed_first": speeds[:, 0].ravel(), "speed_last": speeds[:, 1].ravel(),
    }  # fmt: skip
    draw = functools.partial(
        _draw,
        times,
        h,
        fit,
        rate_stderr,
        (times[late][0], times[late][-1]),
        (start, slope),
        (fisher, fisher_noise),
        (ratio, ratio_noise),
        (drift_p, drift_e),
        velocities[:, [0, -1]],
        options,
    )
    return Report(table(headers, rows), findings, numbers, arrays, draw)


def _fourth(velocities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """<|v|^4>/(15 T^2) over the particles of all runs, and its standard error by the delta method."""
    q = np.sum(np.asarray(velocities, float) ** 2, axis=-1)
    q = np.moveaxis(q, 1, 0).reshape(q.shape[1], -1)
    m2, m4 = q.mean(1), (q**2).mean(1)
    influence = q**2 - 2 * (m4 / m2)[:, None] * q
    scale = 15 * (m2 / 3) ** 2
    return m4 / scale, influence.std(1) / scale / np.sqrt(q.shape[1])


def _at_the_start(coulomb: bool) -> tuple[float, float]:
    """(H - H_M, its time derivative) of Rosenbluth's shell at temperature 1; the derivative is NaN without `coulomb`."""
    speed = np.linspace(0, 6, 120_001)
    shell = np.exp(-_SHARPNESS * (speed - 1) ** 2)
    scale = float(np.sqrt(np.trapezoid(speed**4 * shell, speed) / np.trapezoid(speed**2 * shell, speed) / 3))
    density = np.exp(-_SHARPNESS * (speed * scale - 1) ** 2)
    excess = exact.isotropic_entropy(speed, density) - float(exact.maxwellian_entropy(3))
    return excess, exact.coulomb_entropy_rate(speed, density) if coulomb else math.nan


def _adapt(options: Options, given: frozenset[str]) -> Options:
    """If the user gives no dt, scale the default of Coulomb collisions by r^-(gamma + 3): at the typical relative speed
    r = sqrt(6 T), the rates are larger by r^(gamma + 3)."""
    if options.gamma is None or "dt" in given:
        return options
    return dataclasses.replace(options, dt=float(f"{options.dt * 6 ** (-(options.gamma + 3) / 2):.2g}"))


def _draw(
    times: np.ndarray, h: dict[str, Any], fit: DecayFit, rate_stderr: float, window: tuple[float, float],
    start: tuple[float, float], fisher: tuple[np.ndarray, np.ndarray], ratio: tuple[np.ndarray, np.ndarray],
    drifts: tuple[np.ndarray, np.ndarray], velocities: np.ndarray, options: Options,
) -> Figure:  # fmt: skip
    gamma = -3.0 if options.gamma is None else options.gamma
    law = "Coulomb" if gamma == -3 else f"γ = {gamma:g}"
    figure, axes = look.new_figure(
        2, 3, size=(17.5, 9.2),
        title=f"Kac's conservative Landau system, {law}: a shell relaxes  (N = {options.particles}, Δt = {options.dt:g})",
    )  # fmt: skip
    ax = axes[0, 0]
    look.entropy(ax, times, h["value"], h["noise"], fit=fit, window=window, rate_stderr=rate_stderr)
    if math.isfinite(start[1]):
        # Draw the tangent short: on a logarithmic axis it bends away from the curve and would look like a wrong prediction.
        early = np.linspace(0, -_TANGENT * start[0] / start[1], 30)
        ax.plot(early, start[0] + start[1] * early, color=look.BLACK, lw=2.5, label="exact tangent at t = 0")
    look.legend(ax)

    ax = axes[0, 1]
    look.local_rate(ax, times, h["value"], h["noise"])
    if math.isfinite(start[1]):
        ax.plot([0], [-start[1] / start[0]], "D", color=look.BLACK, ms=7, label="exact at t = 0")
    look.legend(ax)

    ax = axes[0, 2]
    look.points(ax, times, fisher[0], fisher[1], label=r"Fisher's information, $I/I_{\rm Maxwell} - 1$")
    look.points(ax, times, 1 - ratio[0], ratio[1], color=look.ORANGE, label=r"$1 - \langle |v|^4\rangle / 15\,T^2$")
    ax.axhline(0, color=look.GREY, ls=":")
    look.describe(ax, "time t", "distance from the Maxwellian", "Fisher's information and the fourth moment")
    look.legend(ax)

    for ax, column in ((axes[1, 0], 0), (axes[1, 1], -1)):
        title = f"Velocities with $|v_3|$ < .25 at t = {times[column]:.3g}"
        image = look.velocity_slice(ax, velocities[:, column], title=title)
        figure.colorbar(image, ax=ax, label="density", shrink=0.85)

    ax = axes[1, 2]
    ax.plot(times[1:], np.maximum(drifts[1][1:], 1e-18), "o", ms=5, color=look.BLUE, label="energy, relative")
    ax.plot(times[1:], np.maximum(drifts[0][1:], 1e-18), "s", ms=5, color=look.GREEN, label="momentum")
    ax.set_yscale("log")
    look.describe(ax, "time t", "largest drift", "Momentum and energy: round-off")
    look.legend(ax)
    return figure


COULOMB_RELAXATION = Experiment(
    name="coulomb-relaxation",
    summary="Rosenbluth's shell relaxes by Coulomb collisions: entropy, its fitted decay rate, invariants to round-off",
    defaults=Options(particles=100_000, dim=3, dt=0.0025, steps=1600, replicas=1, scheme="random-matching", gamma=-3.0),
    run=run,
    headline=Headline("entropy_decay_rate", "entropy_decay_rate_stderr", "entropy-decay rate"),
    least_steps=_MIN_STEPS,
    adapt=_adapt,
    least_dim=3,
    most_dim=3,
    schemes=("random-matching", "sweep"),
)
