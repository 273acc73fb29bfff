"""Least squares of y = A N^{-q} + c for many series y at once, by variable projection: for a given q the model is linear in A
and c, and what remains is a search in one variable. NumPy in float64."""

import numpy as np

__all__ = ["curvature", "exponents", "log_slope"]

# Golden sections: each leaves .618 of the bracket, 5e-7 of it in the end.
_GOLDEN_STEPS = 30
_GRID = 161


def exponents(
    x: np.ndarray, y: np.ndarray, stderr: np.ndarray, *, sign: float, low: float, high: float, constant: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """q in [low, high] and c, (B,) each, of the weighted least-squares fits of the rows of y (B, n) by A exp(-q x) + c, where
    sign A >= 0; c = 0 unless `constant`. x = log N (n,); `stderr` (n,), of y, makes the weights stderr^-2."""
    x = x - x.mean()
    # Units of the largest weight, which avoids overflow.
    weight = (stderr.min() / stderr) ** 2
    weight = weight / weight.sum()

    def basis(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """exp(-q x), scaled to a maximum of 1, and its part orthogonal to the constant. q (..., 1)."""
        m = np.exp(-q * x - np.max(-q * x, axis=-1, keepdims=True))
        return m, m - (m @ weight)[..., None] if constant else m

    def gain(q: np.ndarray) -> np.ndarray:
        """What the fit with q[b] (B,) removes from the sum of squares of y[b]."""
        _, m = basis(q[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum(sign * np.sum(weight * m * y, axis=1), 0) ** 2 / np.sum(weight * m**2, axis=1)

    grid = np.linspace(low, high, _GRID)
    _, m = basis(grid[:, None])
    on_grid = np.maximum(sign * (y * weight) @ m.T, 0) ** 2 / np.sum(weight * m**2, axis=1)
    best = np.argmax(on_grid, axis=1)
    a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    ratio = (np.sqrt(5) - 1) / 2
    left, right = b - ratio * (b - a), a + ratio * (b - a)
    gain_left, gain_right = gain(left), gain(right)
    for _ in range(_GOLDEN_STEPS):
        lower = gain_left >= gain_right
        a, b = np.where(lower, a, left), np.where(lower, right, b)
        new = np.where(lower, b - ratio * (b - a), a + ratio * (b - a))
        gain_new = gain(new)
        left, right = np.where(lower, new, right), np.where(lower, left, new)
        gain_left, gain_right = np.where(lower, gain_new, gain_right), np.where(lower, gain_left, gain_new)
    q = (a + b) / 2
    if not constant:
        return q, np.zeros_like(q)
    m, centred = basis(q[:, None])
    amplitude = np.sum(weight * centred * y, axis=1) / np.sum(weight * centred**2, axis=1)
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
    found = least_squares(lambda theta: (size * model(theta) - y) / stderr, start, jac=jacobian, x_scale="jac")
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
