"""What the fit of an exponent says, in one plain sentence that is chosen by rule."""

import math

import numpy as np

__all__ = ["bends", "changes_sign", "plain", "runs_for_three", "too_few", "what_it_says"]

# The exponents between which a study decides.
_CANDIDATES = {0.0: "0", 0.5: "1/2", 1.0: "1", 2.0: "2"}
# Exponents within this distance count as close, and a curve bends if its local exponent changes by more than this over the
# range of N, and by more than 3 standard errors.
_CLOSE = 0.05


def plain(value: float, error: float) -> str:
    """0.98 +- 0.03: the error with one digit, or two if the first is 1."""
    if not (math.isfinite(value) and math.isfinite(error)):
        return f"{value:.3g}" if math.isfinite(value) else "unknown"
    if error < 1e-6:
        return f"{value:.6g}"
    digits = _decimals(error)
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def bends(curvature: float, stderr: float, span: float) -> bool:
    """Whether the local exponent changes over log N in a range of length `span`."""
    return bool(math.isfinite(stderr) and abs(curvature) > 3 * stderr and abs(curvature) * span > _CLOSE)


def what_it_says(value: float, stderr: float, window: float, interval: tuple[float, float]) -> str:
    """The sentence for a power law without a visible bend. `window`: the part of `stderr` that more runs do not reduce."""
    low, high = interval
    inside = [p for p in _CANDIDATES if low <= p <= high]
    measured = plain(value, stderr)
    if len(inside) > 1:
        names = [_CANDIDATES[p] for p in inside]
        apart = f"Cannot tell {' from '.join(names)} (p = {measured})"
        # Half the distance of the two closest candidates: the half-width at which at most one of them lies inside.
        wanted = float(np.min(np.diff(inside))) / 2
        left = wanted**2 - (1.96 * window) ** 2
        if left <= 0 or window >= stderr:
            return f"{apart}: the exponent depends on the range of N, so larger N are needed, not more runs."
        factor = max((((high - low) / 2) ** 2 - (1.96 * window) ** 2) / left, 1.5)
        return f"{apart}: needs about {_round_up(factor)} times as many runs."
    if inside == [0.0]:
        within = max(abs(low), abs(high))
        if within < 0.25:
            shown = f"{within:.{_decimals(within)}f}" if within >= 1e-4 else f"{within:.0e}"
            return f"Does not decrease with N: exponent 0 within {shown}."
        return f"Does not visibly decrease with N: p = {measured}."
    near = [name for p, name in _CANDIDATES.items() if abs(p - value) < _CLOSE]
    if not inside and near == ["0"]:
        return f"Hardly depends on N: p = {measured}."
    if high < 0:
        return f"Grows with N: p = {measured}."
    if not inside and near:
        return f"Decays as N^-p, p = {measured}: close to {near[0]}, which lies outside the 95 % interval."
    if not inside:
        return f"Decays as N^-p, p = {measured}: none of 0, 1/2, 1 and 2 lies in the 95 % interval."
    below = max((p for p in _CANDIDATES if p < inside[0]), default=None)
    above = min((p for p in _CANDIDATES if p > inside[0]), default=None)
    excluded = " and ".join(_CANDIDATES[p] for p in (below, above) if p is not None)
    return f"Decays as N^-p, p = {measured}: consistent with {_CANDIDATES[inside[0]]}, excludes {excluded}."


def changes_sign(first: list[int], second: list[int], sign: float) -> str:
    """The sentence if the amounts stand out of the noise with both signs: `sign` at `first`, the other one at `second`."""
    sides = ("positive", "negative") if sign > 0 else ("negative", "positive")
    places = [f"{side} at N = {', '.join(map(str, n))}" for side, n in zip(sides, (first, second), strict=True)]
    return f"Changes sign with N, which no power law does: {' and '.join(places)}."


def too_few(n: np.ndarray, y: np.ndarray, stderr: np.ndarray, above: int, least: int, replicas: np.ndarray) -> str:
    """The sentence if fewer than three N stand out of the noise. `above`: how many do."""
    if len(n) < least:
        return f"{len(n)} N are too few: at least {least} are needed."
    if len(y) < least:
        return f"Only {len(y)} of {len(n)} N have a usable value: at least {least} are needed."
    if above >= 3:
        return f"Only {len(y)} of {len(n)} N can be fitted: at least {least} are needed."
    runs, guessed = runs_for_three(y, stderr, replicas)
    at_least = "at least " if guessed else "about "
    counted = "No" if above == 0 else f"Only {above} of {len(n)}"
    lies = "lies" if above < 2 else "lie"
    return f"{counted} N {lies} above the noise: {at_least}{_round_up(runs)} runs of each N are needed for three."


def runs_for_three(y: np.ndarray, stderr: np.ndarray, replicas: np.ndarray) -> tuple[float, bool]:
    """How many runs of each N let three N exceed 3 standard errors; and whether the third signal is not seen yet, so that the
    number is a lower bound."""
    z = np.sort(np.where(stderr > 0, np.abs(y) / np.where(stderr > 0, stderr, 1), np.inf))[::-1]
    # The measured signal squared in units of the noise contains the noise itself, 1 on average.
    squared = float(z[2]) ** 2 - 1
    return float(np.max(replicas)) * 9 / max(squared, 0.25), squared < 0.25


def _round_up(x: float) -> str:
    """Two significant digits, rounded up."""
    if x < 10:
        return f"{math.ceil(x)}"
    unit = 10 ** (math.floor(math.log10(x)) - 1)
    return f"{math.ceil(x / unit) * unit:d}"


def _decimals(error: float) -> int:
    """So that the error shows one digit, or two if the first is 1."""
    return max(-math.floor(math.log10(error)) + (f"{error:.1e}"[0] == "1"), 0)
