"""An unstable mode: its growth rate beside that of the dispersion relation, and the vortex into which it saturates."""

import functools

import numpy as np

from ... import plotting as look
from ...fitting.decay import DecayFit, fit_decay
from ...plotting import Axes, Figure
from ...vlasov import AbstractPotential, Maxwellian, TwoStream, dispersion_root
from .._harness.experiment import GridOptions, Report, Watch
from .._harness.table import table
from ._mean_field import Evolution, accuracy, arrays, draw, evolve, rows
from ._systematic import systematic_errors

# The fit begins when the mode exceeds its first value by this factor (other modes are then negligible),
_ALONE = 30.0
# and ends at this fraction of its largest value,
_LINEAR = 0.05
# or at this fraction of the mass, if the mode is still growing when the run ends.
_SMALL = 5e-3
# Fewest saves in this window for a fit.
_FEWEST = 6


def run_growth(
    options: GridOptions, potential: AbstractPotential, f0: Maxwellian | TwoStream, k: float, reach: float, scale: float,
    title: str, label: str, watch: Watch, sign: int = 1,
) -> Report:  # fmt: skip
    """`scale`: width of f0. `reach`: the grid covers |v| < reach. `sign` -1: the density is largest in the middle of x."""
    root = complex(dispersion_root(potential, f0, k, scale=scale))
    evolution = evolve(options, potential, f0, reach, label, watch, sign)
    times, size = evolution.times, np.abs(evolution.mode)
    window = _linear_phase(times, size)
    fit = None if window is None else fit_decay(times, size, window=window)
    growth = np.nan if fit is None else -float(fit.rate)
    error = None
    if window is not None and root.imag > 0:

        def again(options: GridOptions) -> Evolution:
            return evolve(options, potential, f0, reach, f"{label}, 2 dt", watch, sign)

        error = systematic_errors(_growth_rate, options, evolution, window, again)["growth_rate"]

    lines = [[f"{times[i]:.4g}", f"{size[i]:.4e}", f"{evolution.field_energy[i]:+.4e}"] for i in rows(evolution)]
    stable = root.imag <= 0
    if np.isnan(root.imag):
        first = "No root of the dispersion relation was found to compare the fit with."
    elif stable:
        first = f"Stable: the least damped mode has growth rate {root.imag:.6f}; nothing is fitted."
    elif window is None:
        first = (
            f"The run is too short for a fit of the growth rate, which is {root.imag:.6f} by the dispersion relation; take "
            "more steps."
        )
    else:
        first = (
            f"Growth rate {growth:.6f} fitted from t = {window[0]:.3g} to {window[1]:.3g} ({error}), {root.imag:.6f} by the "
            f"dispersion relation ({growth / root.imag - 1:+.2%})."
        )
    findings = (
        first,
        f"The mode is largest at t = {times[size.argmax()]:.3g}: {size.max():.3g} of the mass.",
        *accuracy(evolution),
    )
    numbers = {
        "growth_rate": growth, "growth_rate_systematic": np.nan if error is None else error.total,
        "growth_rate_exact": root.imag,
        "window": None if window is None else list(window), "largest_mode": float(size.max()), "wavenumber": k,
        **evolution.drifts, **evolution.stats,
    }  # fmt: skip
    return Report(
        table(["t", "|density mode|", "field energy"], lines), findings, numbers, arrays(evolution),
        functools.partial(_draw, evolution, None if stable else fit, window, root, title, reach),
    )  # fmt: skip


def _growth_rate(evolution: Evolution, window: tuple[float, float]) -> dict[str, float] | None:
    inside = (evolution.times >= window[0]) & (evolution.times <= window[1])
    if inside.sum() < 5:
        return None
    return {"growth_rate": -float(fit_decay(evolution.times, np.abs(evolution.mode), window=window).rate)}


def _linear_phase(times: np.ndarray, size: np.ndarray) -> tuple[float, float] | None:
    """Window (first, last time) of linear growth: from `_ALONE` times the first value to `_LINEAR` of the largest, or to
    `_SMALL` of the mass if the mode is still growing when the run ends. None if it has too few saves."""
    top = size.argmax()
    limit = _LINEAR * size[top] if top < len(size) - 1 else _SMALL
    inside = (size > _ALONE * size[0]) & (size < limit) & (np.arange(len(size)) < top)
    return (float(times[inside][0]), float(times[inside][-1])) if inside.sum() >= _FEWEST else None


def _draw(
    evolution: Evolution, fit: DecayFit | None, window: tuple[float, float] | None, root: complex, title: str, reach: float
) -> Figure:  # fmt: skip
    def energies(ax: Axes) -> None:
        if fit is None or window is None:
            return
        t = np.linspace(*window, 50)
        at = np.abs(evolution.field_energy[np.argmin(np.abs(evolution.times - window[0]))])
        for rate, style, color, name in (
            (-float(fit.rate), "--", look.ORANGE, "fitted"), (root.imag, ":", look.BLACK, "exact")
        ):  # fmt: skip
            ax.plot(
                t, at * np.exp(2 * rate * (t - t[0])), style, color=color, lw=2.5, label=f"{name}, 2γ = {2 * rate:.4f}"
            )

    return draw(evolution, title, (-reach * 0.75, reach * 0.75), None, energies)
