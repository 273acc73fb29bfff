"""Least squares of y = A N^{-q} + c for many series y at once, by variable projection: for a given q the model is linear in A
and c, and what remains is a search in one variable. NumPy in float64."""

from typing import Any

import numpy as np

__all__ = ["curvature", "exponents", "log_slope"]

# Values of q whose best one begins Newton's method, and its steps; a step that leaves the bracket halves it instead.
_GRID = 161
_STEPS = 12


def exponents(
    x: np.ndarray, y: np.ndarray, stderr: np.ndarray, *, sign: float, low: float, high: float, constant: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """q in [low, high] and c, (B,) each, of the weighted least-squares fits of the rows of y (B, n) by A exp(-q x) + c, where
    sign A >= 0; c = 0 unless `constant`. x = log N (n,); `stderr` (n,), of y, makes the weights stderr^-2."""
    x = x - x.mean()
    # Units of the largest weight, which avoids overflow.
    weight = (stderr.min() / stderr) ** 2
    weight = weight / weight.sum()

    def law(q: np.ndarray) -> np.ndarray:
        """exp(-q x) for q (...,), scaled to a maximum of 1."""
        exponent = -q[..., None] * x
        return np.exp(exponent - np.max(exponent, axis=-1, keepdims=True))

    def centred(m: np.ndarray) -> np.ndarray:
        """The part that a constant does not fit."""
        return m - (m @ weight)[..., None] if constant else m

    def slopes(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative in q of log(c^2/d), c = sum w m y, d = sum w m^2, which is what the fit removes from the
        sum of squares. The scale of m cancels."""
        m = law(q)
        m, m1, m2 = centred(m), centred(-x * m), centred(x**2 * m)
        c, c1, c2 = (np.sum(weight * k * y, axis=1) for k in (m, m1, m2))
        d, d1, d2 = m**2 @ weight, 2 * (m * m1) @ weight, 2 * (m1**2 + m * m2) @ weight
        return 2 * c1 / c - d1 / d, 2 * (c2 / c - (c1 / c) ** 2) - (d2 / d - (d1 / d) ** 2)

    grid = np.linspace(low, high, _GRID)
    m = centred(law(grid))
    best = np.argmax(np.maximum(sign * (y * weight) @ m.T, 0) ** 2 / (m**2 @ weight), axis=1)
    q, a, b = grid[best], grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    for _ in range(_STEPS):
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = slopes(q)
            a, b = np.where(first > 0, q, a), np.where(first > 0, b, q)
            new = q - first / second
        new = np.where((new >= a) & (new <= b) & (second < 0), new, (a + b) / 2)
        settled = np.max(np.abs(new - q)) < 1e-11
        q = new
        if settled:
            break
    if not constant:
        return q, np.zeros_like(q)
    m = law(q)
    amplitude = np.sum(weight * centred(m) * y, axis=1) / (centred(m) ** 2 @ weight)
    return q, (y - amplitude[:, None] * m) @ weight


def log_slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """q and its standard error from the residuals, of the unweighted fit of log|y| by a - q x."""
    design = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    theta, stderr = _linear(design, np.log(np.abs(y)))
    return -float(theta[1]), float(stderr[1])


def curvature(x: np.ndarray, y: np.ndarray, stderr: np.ndarray, q: float, sign: float) -> tuple[float, float]:
    """k and its standard error in y = A exp(-q x + k x^2 / 2). `q`: where the search begins. Without errors (`stderr` = 0):
    the unweighted fit of log|y|, whose error comes from the residuals."""
    x = x - x.mean()
    if not np.any(stderr):
        theta, error = _linear(np.stack([np.ones_like(x), x, x**2 / 2], axis=1), np.log(np.abs(y)))
        return float(theta[2]), float(error[2])
    # Here, because scipy would double the import time of the library.
    from scipy.optimize import least_squares

    size = np.abs(y).max()

    def model(theta: np.ndarray) -> np.ndarray:
        return sign * np.exp(np.clip(theta[0] + theta[1] * x + theta[2] * x**2 / 2, -700, 700))

    def jacobian(theta: np.ndarray) -> np.ndarray:
        return (model(theta) * size / stderr)[:, None] * np.stack([np.ones_like(x), x, x**2 / 2], axis=1)

    m = np.exp(-q * x)
    level = np.sum(m * sign * y / size / stderr**2) / np.sum((m / stderr) ** 2)
    start = np.array([np.log(level) if level > 0 else 0.0, -q, 0.0])
    # pyright takes `jac` for a string, the type of its default.
    jac: Any = jacobian
    found = least_squares(lambda theta: (size * model(theta) - y) / stderr, start, jac=jac, x_scale="jac")
    normal = found.jac.T @ found.jac
    if not found.success or np.linalg.cond(normal) > 1e14:
        return float("nan"), float("nan")
    return float(found.x[2]), float(np.sqrt(np.linalg.inv(normal)[2, 2]))


def _linear(design: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least-squares solution and its standard errors from the residuals, NaN without a degree of freedom."""
    theta = np.linalg.lstsq(design, values, rcond=None)[0]
    freedom = len(values) - design.shape[1]
    if freedom < 1:
        return theta, np.full(design.shape[1], np.nan)
    variance = np.sum((values - design @ theta) ** 2) / freedom
    return theta, np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
