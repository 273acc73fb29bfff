"""From the runs of a study to a distance, its bootstrap, and the removal of its floor; with control variates and coupling."""

from collections.abc import Callable, Sequence

import numpy as np

from .._util.types import PyTree
from .distance import AbstractDistance

__all__ = ["Estimate", "bootstrap", "controlled", "plain"]

# (rows of the runs that are used) -> a number
Estimate = Callable[[np.ndarray], float]
# Bootstrap draws from which the coefficient of a control variate is estimated.
_DRAWS = 64


def plain(distance: AbstractDistance, statistics: np.ndarray, num: int, table: PyTree) -> Estimate:
    """The distance from (R, S)."""
    return lambda rows: distance.estimate(statistics[rows], num, table)


def difference(whole: Estimate, halves: Sequence[Estimate]) -> Estimate:
    """The distance of N particles minus the mean of those of its two halves, all from the same runs."""
    return lambda rows: whole(rows) - sum(half(rows) for half in halves) / len(halves)


def controlled(estimate: Estimate, control: Estimate, runs: int, rng: np.random.Generator) -> Estimate:
    """`estimate` minus beta times `control`, whose expectation is 0. The runs are split into two; the beta of each half comes
    from the other half, so that it is independent of what it multiplies, and the result has the expectation of `estimate`
    exactly. Returns a function of rows that resamples each half by itself."""
    parts = np.arange(0, runs, 2), np.arange(1, runs, 2)
    betas = []
    for part in parts:
        rows = [part[rng.integers(0, len(part), len(part))] for _ in range(_DRAWS)]
        pairs = np.array([[estimate(row), control(row)] for row in rows])
        matrix = np.cov(pairs.T)
        betas.append(matrix[0, 1] / matrix[1, 1] if matrix[1, 1] > 0 else 0.0)

    def result(rows: np.ndarray) -> float:
        even, odd = rows[rows % 2 == 0], rows[rows % 2 == 1]
        values = [estimate(part) - beta * control(part) for part, beta in ((even, betas[1]), (odd, betas[0]))]
        return (len(even) * values[0] + len(odd) * values[1]) / len(rows)

    return result


def bootstrap(estimate: Estimate, runs: int, draws: int, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """(value, draws of it). Even and odd rows are drawn separately, as `controlled` needs; one run has no draws but itself."""
    every = np.arange(runs)
    value = float(estimate(every))
    if runs == 1:
        return value, np.full(1, value)
    even, odd = every[::2], every[1::2]
    found = [
        estimate(
            np.concatenate([even[rng.integers(0, len(even), len(even))], odd[rng.integers(0, len(odd), len(odd))]])
        )
        for _ in range(draws)
    ]
    # A bootstrap of two halves of R/2 runs has the variance of R/2 - 1 of R/2: correct for few runs.
    half = max(len(odd), 1)
    spread = np.sqrt(half / max(half - 1, 1))
    found = np.asarray(found, float)
    return value, value + spread * (found - found.mean())
