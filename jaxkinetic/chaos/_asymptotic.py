"""The exponent at large N of values without noise at small N."""

import numpy as np

__all__ = ["asymptotic"]


def asymptotic(x: np.ndarray, y: np.ndarray) -> tuple[float, float, tuple[float, float]]:
    """(slope p, its error, the local slopes at the smallest and at the largest N) of log|y| = c - p x + b/N + ..., x = log N:
    with one or two corrections, so that values are left over or all are met. The error is the change by the last correction."""
    number, slopes = np.exp(-x), []
    log = np.log(np.abs(y))
    most = min(len(x) - 2, 2)
    for corrections in (most - 1, most):
        columns = [np.ones_like(x), -x, *(number**k for k in range(1, corrections + 1))]
        slopes.append(float(np.linalg.lstsq(np.stack(columns, 1), log, rcond=None)[0][1]))
    local = -np.diff(log) / np.diff(x)
    return slopes[1], abs(slopes[1] - slopes[0]), (float(local[0]), float(local[-1]))
