"""Standard errors and confidence intervals from a few runs, fitted orders, and drifts of invariants."""

import math
from typing import Any

import numpy as np

from ..._util.student import student_quantile
from ...fitting.decay import DecayFit, fit_decay


def standard_error(runs: np.ndarray) -> np.ndarray:
    """Standard error of the mean over the leading axis; NaN for a single run, whose scatter is unknown."""
    return np.std(runs, axis=0, ddof=1) / math.sqrt(len(runs)) if len(runs) > 1 else np.full(runs.shape[1:], np.nan)


def fit_runs(times: np.ndarray, runs: np.ndarray, **given: Any) -> DecayFit:
    """`fit_decay` to the runs (R, T), or to a single one."""
    return fit_decay(times, runs if len(runs) > 1 else runs[0], **given)


def log_log_line(
    sizes: np.ndarray, values: np.ndarray, errors: np.ndarray, *, least: int
) -> tuple[float, float, float]:
    """The line through log values against log sizes, weighted by the errors: its slope, the standard error of the slope, and
    its value at size 1. NaN for fewer than `least` points, or for a single one."""
    if len(sizes) < max(least, 2):
        return math.nan, math.nan, math.nan
    line, covariance = np.polyfit(np.log(sizes), np.log(values), 1, w=values / errors, cov="unscaled")
    return float(line[0]), float(np.sqrt(covariance[0, 0])), float(line[1])


def momentum_drift(momenta: np.ndarray) -> np.ndarray:
    """|p(t) - p(0)|, (runs, times), of momenta (runs, times, d)."""
    return np.linalg.norm(momenta - momenta[:, :1], axis=-1)


def energy_drift(energies: np.ndarray) -> np.ndarray:
    """E(t)/E(0) - 1 of energies (runs, times)."""
    return energies / energies[:, :1] - 1


def largest_drifts(momenta: np.ndarray, energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |drift| (times,) of all runs, of momenta and of energies."""
    return momentum_drift(momenta).max(axis=0), np.abs(energy_drift(energies)).max(axis=0)


def round_off(momentum: np.ndarray, energy: np.ndarray, of: str = "dt") -> str:
    """The sentence on the drifts of momentum and energy."""
    return (
        f"Largest drift of momentum per particle: {momentum.max():.1e}; of energy, relative: {energy.max():.1e}. Both are "
        f"round-off at any {of}."
    )


def interval(value: float, stderr: float, degrees_of_freedom: float) -> list[float]:
    """95 % confidence interval [low, high] from Student's t distribution."""
    # Below 1 degree of freedom the quantile is infinite, and its product with a zero error would be NaN.
    reach = stderr * float(student_quantile(0.95, degrees_of_freedom)) if stderr > 0 else stderr
    return [value - reach, value + reach]


def plus_minus(value: float, stderr: float, degrees_of_freedom: float, form: str = ".4f") -> str:
    """The value, its standard error and its 95 % confidence interval, as text."""
    low, high = interval(value, stderr, degrees_of_freedom)
    return f"{value:{form}} +- {stderr:{form}} (95 %: {low:{form}} to {high:{form}})"


def meaning(num: int, of: str = "runs") -> str:
    """The sentence that explains the column "+-" of a table."""
    if num < 2:
        return "+- is one standard error, which cannot be estimated from one run (nan)."
    quantile = float(student_quantile(0.95, num - 1))
    return f"+- is one standard error from {num} {of}; the 95 % interval is +- {quantile:.3g} standard errors."
