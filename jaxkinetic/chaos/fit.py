r"""The exponent p of a distance that decays as N^{-p}, with errors that include the choice of the range of N.

**Model.** The amounts (the distance, or its square, `power` = 2) are fitted by $A N^{-\text{power}\, p}$ with weights
stderr^{-2}. The errors of the amounts are nearly Gaussian also where they exceed the amount. A fit of log(amount) would need
points that stand out of the noise, and a choice of points by significance keeps those that fluctuate up: it makes the exponent
too small (.951(5) instead of 1 for five N at 5 to 2 standard errors). Here every finite point enters, within the noise or not,
so that nothing is selected (1.004(6) for the same data)."""

import math
from typing import Literal

import numpy as np

from .._util.checks import argument_error, check_scalar, describe
from .._util.student import student_quantile
from ._asymptotic import asymptotic
from ._power_law import curvature, exponents, log_slope
from ._statement import bends, changes_sign, plain, runs_for_three, too_few, what_it_says
from .series import Exponent, Series

__all__ = ["fit_exponent", "runs_needed"]

# A point stands out of the noise above this many standard errors; with the other sign beyond the second it obeys another law.
_ABOVE_NOISE = 2.0
_OTHER_SIGN = 3.0
# Range in which the exponent of the distance is sought; with a fitted floor, which p = 0 would equal.
_RANGE = (-2.0, 6.0)
_RANGE_WITH_FLOOR = (0.05, 6.0)
# By which intervals are extended, so that round-off excludes no exponent.
_RESOLUTION = 1e-6
# Square of a standard Gaussian that noise exceeds in 5 % of all cases; neighbouring windows are nearly one variable.
_SIGNIFICANT = 3.84
# Draws that give the error of the exponent in each window.
_WINDOW_DRAWS = 300


def fit_exponent(series: Series, *, seed: int = 0, floor: Literal["fit"] | None = None) -> Exponent:
    r"""Fit $|\text{amount}| = A N^{-\text{power}\, p}$ by weighted least squares on the amounts, and say what the fit shows.

    - The amounts have the sign that most of them have: squared distances below their floor at every N, for example, show that
      N particles are nearer to the limit than N independent ones.
    - Every N with a finite amount is fitted. Left out are amounts that are not finite, and those with the other sign by more
      than 3 standard errors, such as squared distances below their floor. `within_noise` lists the fitted N within 2 standard
      errors of 0.
    - Fewer than three N above 2 standard errors: no exponent (NaN), and the statement estimates the runs that it would take.
      Neither has an amount that changes its sign with N, unless it is a square.
    - `stderr`: $\sqrt{s^2 + \tau^2}$. s is half the central 68 % of the fits of `series.draws`, the bootstrap over runs, which
      are shifted to the mean `series.amount` and widened by $\sqrt{R/(R-1)}$, since a bootstrap over R runs lacks this factor.
      $\tau$ comes from the fits to all windows w of consecutive N of which at least three stand out of the noise. They differ
      from the complete fit by $d_w$, with a variance $v_w$ over the bootstrap, and $\tau^2 \ge 0$ solves
      $\sum_w d_w^2/(v_w + \tau^2) = \sum_w 1$: it is what the errors of the amounts do not explain. So short windows of noisy
      points do not widen the error. With three N, d is half the difference of the two local slopes.
    - `stderr_window` <= $\tau$ is the significant part: it has 3.84 on the right of this equation, since $\tau$ exceeds 0 by
      chance in a third of all series without any such dependence.
    - `interval`: 2.5 and 97.5 % of the bootstrap with Gaussian shifts $\tau$, extended to value +- t stderr, t of Student's law
      with the degrees of freedom of Welch and Satterthwaite for the runs (1.96 for many).
    - A deterministic series (draws without spread) of at least four N: $\log|\text{amount}|$ is fitted with corrections in 1/N
      (one for four N, two for more), and p is that of N -> infinity; the error is the change by the last correction. With
      three N: least squares with equal weights; the error is $\tau$ or that from the residuals, whichever is larger.

    `floor`: "fit" adds a constant to the model, F^2 for squared distances and F otherwise, and reports F: use it for amounts
    from which no floor was removed. It needs four N and p > 0. The floor must not depend on N.

    Cost: O(B n^3) for n values of N and B draws. **Raises:** `ValueError` for arrays that do not fit together, and for another
    `floor`."""
    n, y, stderr, draws = _checked(series)
    if floor not in (None, "fit"):
        raise argument_error("floor", 'be None or "fit"', f"is {describe(floor)}", "choose one")
    sign, left_out, noisy = _sorted_out(n, y, stderr, series.power)
    kept = np.array([int(k) not in left_out for k in n])
    x, y, stderr, draws = np.log(n[kept]), y[kept], stderr[kept], draws[:, kept]
    replicas = _replicas(series)[kept]
    used = tuple(int(k) for k in n[kept])
    least = 4 if floor == "fit" else 3
    above = len(used) - len(noisy)
    opposite = [k for k, reason in left_out.items() if reason.startswith("of the other sign")]
    if opposite or above < 3 or len(used) < least:
        seen = [k for k in used if k not in noisy]
        statement = (
            changes_sign(seen, opposite, sign) if opposite else too_few(n, y, stderr, above, least, series.replicas)
        )
        left_out |= noisy
        return Exponent(math.nan, math.nan, (math.nan, math.nan), (), left_out, statement)

    fit = _Fit(x, y, stderr, draws, sign, series.power, floor == "fit")
    if fit.exact and floor is None and len(used) >= 4:
        return _at_large_N(x, y, series.power, used, left_out)
    rng = np.random.default_rng(seed)
    total = math.hypot(fit.statistical, fit.window)
    shifted = fit.sample + fit.window * rng.standard_normal(len(fit.sample))
    low, high = np.percentile(shifted, [2.5, 97.5])
    half = float(student_quantile(0.95, fit.freedom(replicas))) * total + _RESOLUTION
    interval = (min(float(low), fit.value - half), max(float(high), fit.value + half))
    bend = bend_stderr = math.nan
    if len(used) >= 4 and floor is None:
        bend, bend_stderr = (c / series.power for c in curvature(x, y, stderr, series.power * fit.value, sign))
    if bends(bend, bend_stderr, np.ptp(x)):
        numbers, ends = n[kept], [fit.over(slice(-3, None)), fit.over(slice(3))]
        statement = (
            f"Bends: the largest N ({numbers[-3]} to {numbers[-1]}) give p = {plain(*ends[0])}, the smallest ({numbers[0]} to "
            f"{numbers[2]}) p = {plain(*ends[1])}."
        )
    else:
        statement = what_it_says(fit.value, total, fit.surely_window, interval)
    if series.power == 2 and sign < 0:
        statement = f"Nearer to the limit than N independent particles. {statement}"
    if left_out:
        statement = f"{statement[:-1]}; left out: {', '.join(f'N = {k} ({why})' for k, why in left_out.items())}."
    return Exponent(
        fit.value, total, interval, used, left_out, statement, bend, bend_stderr, fit.surely_window, noisy, *fit.floor()
    )


def _at_large_N(x: np.ndarray, y: np.ndarray, power: int, used: tuple[int, ...], left_out: dict[int, str]) -> Exponent:
    value, error, local = (np.asarray(p) / power for p in asymptotic(x, y))
    value, error, half = float(value), float(error), 1.96 * float(error) + _RESOLUTION
    statement = what_it_says(value, error, error, (value - half, value + half))
    if abs(local[0] - local[1]) > max(error, 1e-3):
        statement = f"{statement[:-1]}; at large N: the local exponents go from {local[0]:.2f} to {local[1]:.2f}."
    return Exponent(value, error, (value - half, value + half), used, left_out, statement, stderr_window=error)


def runs_needed(exponent: Exponent, series: Series, target: float) -> int:
    """How many runs of each N give the exponent the standard error `target`. All of its error falls as R^{-1/2} except for
    `stderr_window`. If the N had different numbers of runs R, the largest of them is scaled, and the others in proportion.
    Without an exponent, because too few N stand out of the noise: the runs until three of them do.

    **Raises:** `ValueError` if `target` is not above `stderr_window`, or if more runs give no exponent either."""
    check_scalar("target", target, positive=True)
    if not math.isfinite(exponent.value):
        _, y, stderr, _ = _checked(series)
        usable = np.isfinite(y) & np.isfinite(stderr) & ((y != 0) | (stderr > 0))
        if usable.sum() < 3 or np.all(stderr[usable] == 0) or exponent.statement.startswith("Changes sign"):
            was = f"has none, and more runs do not help: {exponent.statement.rstrip('.')}"
            raise argument_error("exponent", "have a value", was, "choose other N")
        return math.ceil(runs_for_three(y[usable], stderr[usable], series.replicas)[0])
    fixed = exponent.stderr_window
    if not target > fixed:
        raise argument_error(
            "target", "exceed the dependence of the exponent on the range of N, which more runs do not change",
            f"is {float(target):g}, not above {fixed:.2g}", "choose larger N, or a larger target",
        )  # fmt: skip
    factor = max(exponent.stderr**2 - fixed**2, 0.0) / (float(target) ** 2 - fixed**2)
    return max(math.ceil(int(np.max(series.replicas)) * factor), 1)


class _Fit:
    """The fit over all points x = log N (n,), y (n,), with the parts of its error."""

    def __init__(self, x, y, stderr, draws, sign, power, constant):
        self.x, self.y, self.sign, self.power, self.constant = x, y, sign, power, constant
        self.exact = not np.any(stderr)
        # Exact points among noisy ones have a large, finite weight.
        self.stderr = stderr if self.exact else np.maximum(stderr, 1e-6 * np.abs(y).max())
        self.draws = draws
        fits, self.constants = self.exponents(slice(None), np.concatenate([y[None], self.draws]))
        self.value, self.sample = float(fits[0]), fits[1:]
        self.statistical = 0.0 if self.exact else _spread(self.sample)
        self.window, self.surely_window = self._windows()

    def exponents(self, which: slice, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p and the constants (B,) of the fits over some of the points, for each row of amounts (B, n)."""
        x, rows = self.x[which], rows[:, which]
        if self.exact and not self.constant:
            slope = log_slope(x, rows[0])[0] / self.power
            return np.full(len(rows), slope), np.zeros(len(rows))
        stderr = np.abs(rows[0]) if self.exact else self.stderr[which]
        low, high = _RANGE_WITH_FLOOR if self.constant else _RANGE
        q, constants = exponents(
            x, rows, stderr, sign=self.sign, low=low * self.power, high=high * self.power, constant=self.constant
        )
        return q / self.power, constants

    def over(self, which: slice) -> tuple[float, float]:
        """p and its error over some of the points."""
        p, _ = self.exponents(which, np.concatenate([self.y[None], self.draws]))
        return float(p[0]), _spread(p[1:])

    def freedom(self, replicas: np.ndarray) -> float:
        """Degrees of freedom of the statistical error, by Welch and Satterthwaite: the variance of each point comes from
        R - 1 deviations, and counts as its part of the variance of the exponent."""
        if self.exact or not self.statistical > 0:
            return math.inf
        apart = self.draws - self.y
        slopes = np.linalg.lstsq(apart / self.stderr, self.sample - self.sample.mean(), rcond=None)[0]
        parts = slopes**2
        return float(parts.sum() ** 2 / np.sum(parts**2 / np.maximum(replicas - 1, 1))) if parts.sum() > 0 else math.inf

    def floor(self) -> tuple[float | None, float | None]:
        if not self.constant:
            return None, None
        c, error = float(self.constants[0]), _spread(self.constants[1:])
        if self.power == 1:
            return c, error
        root = math.copysign(math.sqrt(abs(c)), c)
        return root, min(error / (2 * abs(root)), math.sqrt(error)) if root else math.sqrt(error)

    def _windows(self) -> tuple[float, float]:
        """tau: how far the exponent depends on the range of N, beyond what the errors of the points explain; and the part of it
        that is significant."""
        num, least = len(self.x), 4 if self.constant else 3
        rows = np.concatenate([self.y[None], self.draws[:_WINDOW_DRAWS]])
        if num > least:
            complete = np.concatenate([[self.value], self.sample[:_WINDOW_DRAWS]])
            seen = self.sign * self.y > _ABOVE_NOISE * self.stderr
            windows = [slice(i, j) for i in range(num) for j in range(i + least, num + 1) if j - i < num]
            clear = [w for w in windows if np.sum(seen[w]) >= least]
            apart = np.array([self.exponents(w, rows)[0] - complete for w in clear]).reshape(-1, len(rows))
        elif not self.constant:
            with np.errstate(divide="ignore", invalid="ignore"):
                slopes = -np.diff(np.log(np.maximum(self.sign * rows, 0)), axis=1) / np.diff(self.x) / self.power
            apart = np.diff(slopes, axis=1).T / 2
        else:
            return 0.0, 0.0
        apart = apart[np.isfinite(apart[:, 0])]
        if self.exact:
            residual = 0.0 if self.constant or num < 4 else log_slope(self.x, self.y)[1] / self.power
            tau = max(float(np.sqrt(np.mean(apart[:, 0] ** 2))) if len(apart) else 0.0, residual)
            return tau, tau
        squares, variances = apart[:, 0] ** 2, np.array([_spread(row[1:]) ** 2 for row in apart])
        return _excess(squares, variances, 1.0), _excess(squares, variances, _SIGNIFICANT)


def _excess(squares: np.ndarray, variances: np.ndarray, level: float) -> float:
    """tau >= 0 at which the mean of squares/(variances + tau^2) is `level`; 0 if it is below `level` already."""
    known = np.isfinite(variances) & (variances > 0)
    squares, variances = squares[known], variances[known]
    if len(squares) == 0 or np.mean(squares / variances) <= level:
        return 0.0
    low, high = 0.0, float(squares.max())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(squares / (variances + middle)) > level else (low, middle)
    return math.sqrt((low + high) / 2)


def _spread(sample: np.ndarray) -> float:
    """Half the central 68.27 %: the standard deviation of a Gaussian, not governed by the few draws whose fit has no scale."""
    finite = sample[np.isfinite(sample)]
    if len(finite) == 0:
        return math.nan
    low, high = np.percentile(finite, [15.865, 84.135])
    return float(high - low) / 2


def _checked(series: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """In increasing order of N: N, amounts, standard errors (0 for a scatter below round-off), draws with the mean `amount`."""
    n, y, draws = np.asarray(series.N).astype(int), np.asarray(series.amount, float), np.asarray(series.draws, float)
    shapes = f"has N {n.shape}, amount {y.shape}, draws {draws.shape}"
    if n.ndim != 1 or y.shape != n.shape or draws.shape[1:] != n.shape or len(draws) == 0:
        raise argument_error("series", "have arrays (n,), (n,) and (B, n)", shapes, "make them by `chaos_study`")
    if np.any(n < 1) or len(np.unique(n)) < len(n):
        raise argument_error("series", "have distinct N of at least 1", f"has {n.tolist()}", "pass each N once")
    order = np.argsort(n)
    n, y, draws, runs = n[order], y[order], draws[:, order], _replicas(series)
    # The variance of a bootstrap over R runs is too small by (R - 1)/R, and the bootstrap of a square has a mean above it.
    widen = np.where(runs > 1, np.sqrt(runs / np.maximum(runs - 1, 1)), 1.0)
    with np.errstate(invalid="ignore"):
        draws = y + widen * (draws - draws.mean(axis=0))
        stderr = draws.std(axis=0, ddof=1) if len(draws) > 1 else np.zeros(len(n))
    return n, y, np.where(stderr <= 1e-12 * np.abs(y), 0, stderr), draws


def _replicas(series: Series) -> np.ndarray:
    """In increasing order of N."""
    n = np.asarray(series.N)
    return np.broadcast_to(np.asarray(series.replicas, float), n.shape)[np.argsort(n)]


def _sorted_out(
    n: np.ndarray, y: np.ndarray, stderr: np.ndarray, power: int
) -> tuple[float, dict[int, str], dict[int, str]]:
    """The sign of the law, and N -> reason of the points that are left out and of those within the noise."""
    left_out: dict[int, str] = {}
    noisy: dict[int, str] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(np.isfinite(y) & np.isfinite(stderr), y / stderr, np.nan)
    finite = np.isfinite(y) & np.isfinite(stderr)
    z = np.where(finite & (stderr == 0), np.sign(y) * np.inf, z)
    sign = 1.0 if np.sum(np.clip(z[finite], -10, 10)) >= 0 else -1.0
    for k, number in enumerate(n.tolist()):
        if not finite[k]:
            left_out[number] = "not finite"
        elif y[k] == 0 and stderr[k] == 0:
            left_out[number] = "exactly 0"
        elif sign * z[k] < -_OTHER_SIGN:
            side = ("below its floor" if sign > 0 else "above its floor") if power == 2 else "of the other sign"
            by = "" if stderr[k] == 0 else f" by {abs(z[k]):.1f} standard errors"
            left_out[number] = side + by
        elif sign * z[k] <= _ABOVE_NOISE:
            noisy[number] = (
                "below its floor" if power == 2 and sign > 0 and y[k] <= 0 else "within 2 standard errors of 0"
            )
    return sign, left_out, noisy
