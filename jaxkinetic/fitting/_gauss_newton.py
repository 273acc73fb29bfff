"""Gauss-Newton for a noisy simulator: equations without bias, a step, and error bars."""

import math
from typing import Any, NamedTuple

import numpy as np

from ._bounds import Bounds
from ._objective import CustomLoss, LeastSquares

__all__ = [
    "Batch",
    "Errors",
    "Gauss",
    "Objective",
    "equations",
    "errors_of",
    "influence",
    "jackknife",
    "proposed",
    "solve",
]

# A step in the coordinates of a bounded parameter, at most: a factor e of its distance from the bound.
_LONGEST = 1.0


class Batch(NamedTuple):
    """E evaluations at one place: predictions m (E, n) and Jacobians in x, (E, n, p)."""

    m: np.ndarray
    jacobian: np.ndarray

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.m).all() and np.isfinite(self.jacobian).all())


class Gauss(NamedTuple):
    """gradient (p,) and curvature (p, p) in x; `curvature` is not negative, `unbiased` may be."""

    gradient: np.ndarray
    curvature: np.ndarray
    unbiased: np.ndarray


Objective = LeastSquares | CustomLoss


def equations(objective: Objective, batch: Batch) -> Gauss:
    r"""The gradient and the Gauss-Newton curvature of L at the expected prediction.

    The gradient of L(m) itself is biased for a noisy m: E[(m - d)^2] includes Var m, whose derivative pulls the parameters to
    where the simulator is quiet. Here every Jacobian $J_k$ meets the mean $m_{-k}$ of the other evaluations, whose noise is
    independent: $g = \frac1E\sum_k J_k^T L'(m_{-k})$ and $A = \frac1E\sum_k J_k^T L'' J_{-k}$ have the expectations
    $\bar J^T W(\bar m - d)$ and $\bar J^T W \bar J$ for a quadratic L. One evaluation (a model without noise) meets itself."""
    mean, slopes = batch.m.mean(0), batch.jacobian.mean(0)
    bent = objective.bend(mean, slopes)
    curvature = _symmetric(slopes.T @ bent)
    num = len(batch.m)
    if num == 1:
        return Gauss(slopes.T @ objective.slope(mean), curvature, curvature)
    gradient, unbiased = np.zeros(slopes.shape[1]), np.zeros_like(curvature)
    for m, jacobian in zip(batch.m, batch.jacobian, strict=True):
        others = mean + (mean - m) / (num - 1)
        gradient += jacobian.T @ objective.slope(others) / num
        unbiased += jacobian.T @ objective.bend(others, slopes + (slopes - jacobian) / (num - 1)) / num
    return Gauss(gradient, curvature, _symmetric(unbiased))


def solve(matrix: np.ndarray, right: np.ndarray, damping: float = 0.0) -> np.ndarray | None:
    """matrix^-1 right for a positive matrix, whose diagonal is raised by the factor 1 + damping; None if it is singular in
    units in which its diagonal is 1."""
    from scipy.linalg import cho_factor, cho_solve  # slow to import

    diagonal = np.diag(matrix)
    if not np.isfinite(matrix).all() or not np.all(diagonal > 0):
        return None
    scale = np.sqrt(diagonal)
    try:
        factor = cho_factor(matrix / np.outer(scale, scale) + damping * np.eye(len(scale)))
    except np.linalg.LinAlgError:
        return None
    if np.diag(factor[0]).min() ** 2 < 1e-12:
        return None
    shape = (-1, *[1] * (right.ndim - 1))
    return cho_solve(factor, right / scale.reshape(shape)) / scale.reshape(shape)


def proposed(gauss: Gauss, slope: np.ndarray, damping: float, bounds: Bounds) -> np.ndarray | None:
    """The Levenberg-Marquardt step in z: -(A + damping diag A)^-1 g, shortened where it is long for a bounded parameter."""
    gradient, curvature = gauss.gradient * slope, gauss.curvature * np.outer(slope, slope)
    # A parameter without influence here stays where it is.
    seen = np.diag(curvature) > 0
    if not seen.any():
        return None
    step = np.zeros_like(gradient)
    found = solve(curvature[np.ix_(seen, seen)], -gradient[seen], damping)
    if found is None:
        found = solve(curvature[np.ix_(seen, seen)], -gradient[seen], max(damping, 1e-3))
    if found is None or not np.isfinite(found).all():
        return None
    step[seen] = found
    longest = np.max(np.abs(step[bounds.bounded]), initial=0.0)
    return step * min(1.0, _LONGEST / longest) if longest > 0 else step


def influence(objective: Objective, batch: Batch) -> np.ndarray:
    """h_k (E, p): by how much evaluation k moves the gradient, to first order; see `errors_of`."""
    mean, slopes = batch.m.mean(0), batch.jacobian.mean(0)
    of_jacobian = np.einsum("kni,n->ki", batch.jacobian - slopes, objective.slope(mean))
    return (batch.m - mean) @ objective.bend(mean, slopes) + of_jacobian


def jackknife(objective: Objective, batch: Batch, gauss: Gauss) -> tuple[np.ndarray, np.ndarray] | None:
    r"""(shift (p,), covariance (p, p)) of the root of `equations` near this place, from the roots without one evaluation each.

    The noise of the Jacobian and that of the prediction are correlated, so the root is biased by O(1/M) although its equation
    is not, and in a soft direction the bias exceeds the error. Quenouille's $M x - (M - 1)\,\overline{x_{(-k)}}$ removes it,
    and $\frac{M-1}{M}\sum_k (x_{(-k)} - \bar x)(x_{(-k)} - \bar x)^T$ is the covariance. L is expanded to second order at the
    mean prediction. None if one of the roots is not determined."""
    num = len(batch.m)
    if num < 4:
        return None
    mean, total = batch.m.mean(0), batch.jacobian.sum(0)
    columns = np.moveaxis(batch.jacobian, 0, 1)
    bent = np.moveaxis(objective.bend(mean, columns.reshape(len(mean), -1)).reshape(columns.shape), 1, 0)
    all_bent, deviations, few = bent.sum(0), batch.m - mean, num - 1
    direct = np.einsum("kni,n->ki", batch.jacobian, objective.slope(mean))
    own = np.einsum("kni,kn->ki", bent, deviations)
    others = deviations @ all_bent - own
    gradients = (direct.sum(0) - direct) / few - (own.sum(0) - own + others) / (few * (few - 1))
    squares = np.einsum("kni,knj->kij", bent, batch.jacobian)
    crossed = np.einsum("kni,nj->kij", bent, total)
    crossed = crossed + np.einsum("ni,knj->kij", all_bent, batch.jacobian)
    curvatures = (all_bent.T @ total - crossed - squares.sum(0) + 2 * squares) / (few * (few - 1))
    full = solve(gauss.unbiased, gauss.gradient)
    roots = [solve(_symmetric(a), g) for a, g in zip(curvatures, gradients, strict=True)]
    if full is None or any(root is None for root in roots):
        return None
    places = -np.stack([root for root in roots if root is not None])
    spread = places - places.mean(0)
    return -num * full - few * places.mean(0), few / num * spread.T @ spread


class Errors(NamedTuple):
    """`covariance` (p, p) in x, of which `simulation` is due to the simulator's noise; `chi2`: the reduced chi^2; `noise`: the
    standard deviation of a datum, given or estimated, NaN for a covariance."""

    covariance: np.ndarray
    simulation: np.ndarray
    chi2: float
    noise: float


def errors_of(objective: Objective, batch: Batch, gauss: Gauss) -> Errors:
    r"""The covariance $A^{-1}BA^{-1} + C_s$ of the root of the equations.

    $B = \bar J^T W C_{data} W \bar J$ is the part of the data; for least squares with $W = C_{data}^{-1}$ it is A. C_s is that
    of the simulator, with the noise of predictions and Jacobians, by `jackknife`; where that fails, to first order from
    `influence`. Without given errors of the data, $C_{data} = s^2$, with s^2 from the residuals after subtraction of the
    simulator's noise."""
    mean, slopes = batch.m.mean(0), batch.jacobian.mean(0)
    (num, n), p = batch.m.shape, slopes.shape[1]
    # A parameter that moves no prediction has an infinite error, and none on the others.
    seen = np.diag(gauss.curvature) > 0
    known, inverse = np.ix_(seen, seen), None
    for curvature in (gauss.unbiased, gauss.curvature):
        if inverse is None and seen.any():
            inverse = solve(curvature[known], np.eye(int(seen.sum())))
    quiet = LeastSquares(objective.data, objective.noise)
    rest = quiet.whiten(mean - objective.data)
    deviations = batch.m - mean
    simulated, of_residuals = np.zeros((p, p)), 0.0
    if num > 1:
        moved = influence(objective, batch)
        simulated = moved.T @ moved / (num * (num - 1))
        # How much of the squared residuals is the simulator's: the trace of its covariance off the tangent space.
        white = quiet.whiten(deviations.T).T
        basis = np.linalg.qr(quiet.whiten(slopes))[0]
        of_residuals = float(np.sum(white**2) - np.sum((white @ basis) ** 2)) / (num * (num - 1))
    freedom, squares = n - p, float(rest @ rest)
    if objective.noise is None:
        variance = max(squares - of_residuals, 0.0) / freedom if freedom > 0 else math.nan
        noise, chi2 = math.sqrt(variance), 1.0 if freedom > 0 else math.nan
    else:
        variance = 1.0
        noise = float(objective.noise.mean()) if objective.noise.ndim == 1 else math.nan
        chi2 = squares / (freedom + of_residuals) if freedom > 0 else math.nan
    if isinstance(objective, LeastSquares):
        # Not `unbiased`: the noise of the Jacobian makes it a worse instrument, which this counts.
        of_data = variance * gauss.curvature
    else:
        crossed = objective.mixed(mean, slopes)
        if objective.noise is not None and objective.noise.ndim == 2:
            of_data = crossed.T @ objective.noise @ crossed
        else:
            scale = math.sqrt(variance) if objective.noise is None else objective.noise[:, None]
            of_data = (crossed * scale).T @ (crossed * scale)
    covariance, of_simulator = np.diag(np.where(seen & (inverse is not None), 0.0, math.inf)), np.zeros((p, p))
    if inverse is not None:
        resampled = jackknife(objective, batch, gauss) if seen.all() else None
        of_simulator[known] = inverse @ simulated[known] @ inverse if resampled is None else resampled[1]
        covariance[known] = _symmetric(inverse @ of_data[known] @ inverse) + of_simulator[known]
    return Errors(covariance, of_simulator, chi2, noise)


def _symmetric(matrix: Any) -> np.ndarray:
    return (matrix + matrix.T) / 2
