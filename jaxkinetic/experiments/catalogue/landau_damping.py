"""Landau damping [Landau1946]: a wave in a collisionless Maxwellian plasma decays at the rate of the dispersion relation."""

import functools

import jax.numpy as jnp
import numpy as np

from ... import plotting as look
from ..._util.checks import argument_error
from ...fitting.oscillation import OscillationFit, fit_oscillation
from ...plotting import Axes, Figure
from ...vlasov import Maxwellian, Poisson, dispersion_root
from .._harness.experiment import Experiment, GridOptions, Headline, Report, Watch
from .._harness.table import table
from ._mean_field import Evolution, accuracy, arrays, draw, evolve, rows, wavelength
from ._systematic import systematic_errors

__all__ = ["LANDAU_DAMPING", "run"]

# The largest velocity on the grid.
_REACH = 8.0
# Periods left out of the fit: modes that are damped faster are still present.
_TRANSIENT = 2.5
# Fraction of the initial wave below which round-off dominates.
_LOST = 1e-8


def run(options: GridOptions, watch: Watch) -> Report:
    k = options.wavenumber or 0.5
    length = wavelength(k)
    f0 = Maxwellian(1.0, length)
    root = complex(dispersion_root(Poisson(length), f0, k))
    period, end = 2 * np.pi / root.real, options.dt * options.steps
    evolution = evolve(options, Poisson(length), f0, _REACH, "landau-damping", watch)
    times, mode = evolution.times, evolution.mode
    # At this time the phases k v t of all grid velocities agree again [ChengKnorr1976].
    recurrence = 2 * np.pi / (k * (evolution.v[1] - evolution.v[0]))
    # End the fit before the recurrence of the wave, and before round-off dominates.
    window = _TRANSIENT * period, min(end, 0.8 * recurrence, np.log(_LOST) / root.imag)
    inside = (times >= window[0]) & (times <= window[1])
    fit, errors = None, {}
    if inside.sum() >= 12 and window[1] > window[0] + 2 * period:
        fit = fit_oscillation(times, mode, window=window)

        def again(options: GridOptions) -> Evolution:
            return evolve(options, Poisson(length), f0, _REACH, "landau-damping, 2 dt", watch)

        errors = systematic_errors(_rates, options, evolution, window, again)

    chosen = rows(evolution)
    lines = [[f"{times[i]:.4g}", f"{mode[i]:+.4e}", f"{evolution.field_energy[i]:.4e}"] for i in chosen]
    damping, frequency = (np.nan,) * 2 if fit is None else (-float(fit.growth), float(fit.frequency))
    # sqrt(k E), with the field E = A/k of the density perturbation A cos kx.
    bounce = np.sqrt(options.amplitude)
    if fit is None:
        found = (
            f"Nothing is fitted: within {_TRANSIENT + 2:g} periods the wave recurs, decays to round-off or is not yet a single "
            f"mode. By the dispersion relation the frequency is {root.real:.6f} and the damping rate {-root.imag:.6f}.",
        )
    else:
        found = (
            f"Frequency {frequency:.6f} fitted ({errors['frequency']}), {root.real:.6f} by the dispersion relation "
            f"({frequency / root.real - 1:+.2%}).",
            f"Damping rate {damping:.6f} fitted ({errors['damping_rate']}), {-root.imag:.6f} by the dispersion relation "
            f"({-damping / root.imag - 1:+.2%}).",
            f"Fitted to the mode of the density from t = {window[0]:.3g} to {window[1]:.3g} (the first {_TRANSIENT:g} periods "
            "are a transient); the energy of the field decays at twice the rate.",
        )
    findings = (
        *found,
        *(
            [f"NOT linear: the bounce frequency of trapped particles, about {bounce:.2g}, exceeds the damping rate."]
            if bounce > -root.imag
            else []
        ),
        f"On this grid the wave recurs at t = {recurrence:.3g}"
        + (", within the run." if recurrence < end else ", after the run."),
        *accuracy(evolution),
    )
    numbers = {
        "damping_rate": damping, "damping_rate_exact": -root.imag,
        "frequency": frequency, "frequency_exact": root.real,
        **{f"{name}_systematic": errors[name].total if errors else np.nan for name in ("damping_rate", "frequency")},
        "wavenumber": k, **evolution.drifts, **evolution.stats,
    }  # fmt: skip
    return Report(
        table(["t", "density mode", "field energy"], lines), findings, numbers,
        arrays(evolution),
        functools.partial(_draw, evolution, fit, root, np.asarray(f0(jnp.asarray(evolution.v)))[None, :], options, k),
    )  # fmt: skip


def _rates(evolution: Evolution, window: tuple[float, float]) -> dict[str, float] | None:
    inside = (evolution.times >= window[0]) & (evolution.times <= window[1])
    if inside.sum() < 12:
        return None
    fit = fit_oscillation(evolution.times, evolution.mode, window=window)
    return {"damping_rate": -float(fit.growth), "frequency": float(fit.frequency)}


def _long_enough(options: GridOptions, given: frozenset[str]) -> GridOptions:
    """The options, unchanged. **Raises:** `ValueError` for a run that is too short for a fit."""
    k, end = options.wavenumber or 0.5, options.dt * options.steps
    # By Bohm and Gross's frequency, which is below that of the wave: this many true periods take less time.
    least = (_TRANSIENT + 2) * 2 * np.pi / np.sqrt(1 + 3 * k * k)
    if end < least:
        raise argument_error(
            "--steps", f"reach t = {least:.3g}, {_TRANSIENT + 2:g} periods of the wave", f"ends at {end:.3g}",
            "raise it, or --dt",
        )  # fmt: skip
    return options


def _draw(
    evolution: Evolution, fit: OscillationFit | None, root: complex, f0: np.ndarray, options: GridOptions, k: float
) -> Figure:
    def energies(ax: Axes) -> None:
        if fit is None:
            return
        # Envelopes of the field energy, from its largest value in the first fitted period on.
        t = evolution.times[evolution.times >= float(fit.first_time)]
        middle = np.argmin(np.abs(evolution.times - t[0]))
        near = slice(middle, middle + max(2, round(2 * np.pi / root.real / (evolution.times[1] - evolution.times[0]))))
        top = evolution.field_energy[near].max()
        for rate, style, color, name in (
            (float(fit.growth), "--", look.ORANGE, "fitted"), (root.imag, ":", look.BLACK, "exact")
        ):  # fmt: skip
            ax.plot(
                t, top * np.exp(2 * rate * (t - t[0])), style, color=color, lw=2, label=f"{name}, 2γ = {2 * rate:.4f}"
            )

    title = f"Landau damping, k = {k:g}  ({options.system}, {options.nx} × {options.nv} points)"
    return draw(evolution, title, (-_REACH / 2, _REACH / 2), f0, energies)


LANDAU_DAMPING = Experiment(
    name="landau-damping",
    summary="a wave in a collisionless plasma: frequency and damping rate against the roots of the dispersion relation",
    defaults=GridOptions(nx=32, nv=256, dt=0.1, steps=400, amplitude=1e-3, wavenumber=0.5),
    run=run,
    adapt=_long_enough,
    precision=64,
    headline=Headline("damping_rate", "damping_rate_systematic", "damping rate", "the systematic error"),
    least_steps=20,
    least_dim=1,
    most_dim=1,
    schemes=("strang", "strang-4"),
)
