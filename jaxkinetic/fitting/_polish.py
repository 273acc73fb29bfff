"""The last Gauss-Newton steps of a fit, at fixed keys: no step that raises the loss is taken."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._bounds import Bounds
from ._gauss_newton import Batch, Errors, Gauss, Objective, equations, errors_of, jackknife, proposed, solve

__all__ = ["Polished", "loss_parts", "polish", "rises"]

# The last Gauss-Newton iteration of a noisy model leaves the end of the search by less than so many errors, or it is lost.
_FAR = 10.0
# Steps below this share of the standard errors are short enough where they become no shorter.
_ROUGH = 0.3
# Rounds of the last Gauss-Newton iteration.
_ROUNDS = 8
# How often the last step, with the correction by the jackknife, is halved before it is left out.
_HALVED = 3
# A rise of the loss by so many of its standard errors may be noise.
_SIGMAS = 2.0


def loss_parts(objective: Objective, batch: Batch) -> np.ndarray:
    r"""The pseudo-values $M L(\bar m) - (M - 1) L(m_{-k})$ (M,) of the loss, whose mean is the loss without the noise of the
    simulator.

    $L(\bar m)$ itself includes the variance of $\bar m$, so its minimum is biased. For least squares the gradient of the mean
    of the pseudo-values is that of `equations`."""
    num, mean = len(batch.m), batch.m.mean(0)
    value = objective.value(mean)
    if num == 1:
        return np.array([value])
    others = [objective.value(mean + (mean - m) / (num - 1)) for m in batch.m]
    return num * value - (num - 1) * np.array(others)


def rises(old: np.ndarray, new: np.ndarray, allowed: float = 0.0, *, noisy: bool = False) -> bool:
    """Whether the loss rises by more than `allowed`, from its parts at the same keys; with `noisy`: by more than twice the
    standard error of the difference, too. A loss that is not finite has risen."""
    if not np.isfinite(new).all():
        return True
    if noisy and len(old) > 1:
        # The noise of the old loss bounds that of the difference, which is large where the simulator is.
        allowed += _SIGMAS * float(min(np.std(new - old, ddof=1), np.std(old, ddof=1))) / math.sqrt(len(old))
    return bool(np.mean(new) - np.mean(old) > allowed)


class Polished(NamedTuple):
    """The result in z; `errors`: None if nothing was finite; `status`: "converged", "max_steps" or "not_finite"; `parts`: those
    of the loss before the last step, None if there are no errors."""

    z: np.ndarray
    errors: Errors | None
    status: str
    parts: np.ndarray | None = None


class _Round(NamedTuple):
    """A Gauss-Newton step from z, which is expected to move x by `moved` and to gain `gain`. `parts`: those of the loss,
    `rounding`: the error of the loss by rounding of the predictions."""

    z: np.ndarray
    batch: Batch
    gauss: Gauss
    errors: Errors
    step: np.ndarray
    moved: np.ndarray
    gain: float
    parts: np.ndarray
    rounding: float

    @property
    def stderr(self) -> np.ndarray:
        return np.sqrt(np.maximum(np.diag(self.errors.covariance), 0))

    def within(self, share: float, rounding: np.ndarray, moved: np.ndarray | None = None) -> bool:
        """Whether the step, or `moved`, is below this share of the standard errors, or lost in rounding."""
        return bool(np.all(np.abs(self.moved if moved is None else moved) <= np.maximum(share * self.stderr, rounding)))


def _round(objective: Objective, bounds: Bounds, z: np.ndarray, batch: Batch, eps: float) -> _Round | None:
    gauss, slope = equations(objective, batch), bounds.slope(z)
    positive = solve(gauss.unbiased, np.eye(len(z))) is not None
    step = proposed(gauss._replace(curvature=gauss.unbiased) if positive else gauss, slope, 0.0, bounds)
    if step is None:
        return None
    moved, mean = bounds.inside(z + step) - bounds.inside(z), batch.m.mean(0)
    errors, parts = errors_of(objective, batch, gauss), loss_parts(objective, batch)
    rounding = 16 * eps * float(np.abs(objective.slope(mean) * mean).sum() + np.abs(parts).sum())
    gain = float(-(gauss.gradient * slope) @ step)
    return _Round(z, batch, gauss, errors, step, moved, gain, parts, rounding)


def polish(
    objective: Objective, bounds: Bounds, start: np.ndarray, evaluated: Callable[[np.ndarray], Batch], tolerance: float,
    eps: float, *, rough: bool = False,
) -> Polished:  # fmt: skip
    """Gauss-Newton steps at the same keys, until the next one is below `tolerance` standard errors; that one is taken without
    another evaluation, since its error is of second order.

    No step raises the loss, and what a step is expected to gain falls from round to round; if not, a quarter of it is tried. A
    simulator whose decisions jump with the parameters has a loss that jumps: a step below one standard error may raise it
    within its noise, but the result of an iteration that does not converge is the place of the smallest loss. Such a simulator
    comes to no smaller steps: for it .3 standard errors are enough, if chi^2 is plausible or with `rough`."""
    kept: _Round | None = None
    best: _Round | None = None
    z, status, shrink = start, "max_steps", 1.0
    rounding = 16 * eps * np.abs(bounds.inside(z))
    for _ in range(_ROUNDS):
        batch = evaluated(z)
        if not batch.finite and kept is None:
            return Polished(z, None, "not_finite")
        new = _round(objective, bounds, z, batch, eps) if batch.finite else None
        if new is None and kept is None:
            parts = loss_parts(objective, batch)
            return Polished(z, errors_of(objective, batch, equations(objective, batch)), "max_steps", parts)
        lower = kept is None or (
            new is not None
            and new.gain <= kept.gain
            and not rises(kept.parts, new.parts, kept.rounding, noisy=kept.within(1.0, rounding))
        )
        if new is not None and lower:
            kept, shrink = new, 1.0
            best = new if best is None or not rises(best.parts, new.parts) else best
            rounding = 16 * eps * np.abs(bounds.inside(z))
            if new.within(tolerance, rounding):
                status = "converged"
                break
            z = z + new.step
        elif kept is not None:
            spread = 5 * math.sqrt(2 / max(len(objective.data) - len(z), 1))
            plausible = objective.noise is not None and kept.errors.chi2 < 1 + spread
            if (rough or plausible) and kept.within(_ROUGH, rounding):
                status = "converged"
                break
            shrink /= 4
            z = kept.z + shrink * kept.step
    kept = kept if status == "converged" else best
    if kept is None:
        return Polished(start, None, status)

    def short(moved: np.ndarray) -> bool:
        return kept.within(tolerance, rounding, moved)

    z, batch = _last_step(objective, bounds, kept, evaluated, status == "converged", rounding, short)
    errors = kept.errors if z is kept.z else errors_of(objective, batch, kept.gauss)
    left = np.abs(bounds.inside(z) - bounds.inside(start)) > _FAR * kept.stderr
    lost = len(batch.m) > 1 and left.any()
    return Polished(z, errors, "max_steps" if lost else status, kept.parts)


def _last_step(
    objective: Objective, bounds: Bounds, last: _Round, evaluated: Callable[[np.ndarray], Batch], converged: bool,
    rounding: np.ndarray, short: Callable[[np.ndarray], bool],
) -> tuple[np.ndarray, Batch]:  # fmt: skip
    """The place after the last step, with the predictions to first order. With noise it is that of the jackknife, if the
    iteration has converged. A step that is not `short` is halved until the loss there is not raised.

    The jackknife moves the result from the minimum of the loss at these keys, so that a loss as high as its second derivative
    explains is no failure."""
    if not last.within(1.0, rounding):
        return last.z, last.batch
    step, batch = last.step, last.batch
    resampled = jackknife(objective, batch, last.gauss) if converged else None
    if resampled is not None and np.all(np.abs(resampled[0]) <= 2 * last.stderr):
        step = resampled[0] / bounds.slope(last.z)
    for halved in range(_HALVED + 1):
        z = last.z + step / 2**halved
        moved = bounds.inside(z) - bounds.inside(last.z)
        raised = False
        if not (converged and short(moved)):
            there = evaluated(z)
            # Twice the second-order term, for the higher ones.
            expected = float(last.gauss.gradient @ moved + moved @ last.gauss.curvature @ moved) if converged else 0.0
            raised = not there.finite or rises(
                last.parts, loss_parts(objective, there), max(expected, 0.0) + last.rounding, noisy=converged
            )
        if not raised:
            return z, batch._replace(m=batch.m + batch.jacobian @ moved)
    return last.z, last.batch
