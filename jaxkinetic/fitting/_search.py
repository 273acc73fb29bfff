"""The search for the minimum, one step at a time: Levenberg-Marquardt with fresh keys, or an optimiser of optax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.types import Array, Key, PyTree
from ._bounds import Bounds
from ._fit_problem import Problem
from ._gauss_newton import Batch, Gauss, Objective, equations, influence, proposed, solve
from ._objective import TracedLoss

__all__ = ["DONE", "FAILED", "RUNNING", "STALLED", "Marquardt", "OptaxState", "marquardt_step", "optax_step"]

RUNNING, DONE, FAILED, STALLED = 0, 1, 2, 3
# A step counts as within the noise if the noise alone would seem to gain more than this share of it.
_WITHIN = 0.5
# Failed trials in a row that end the search, and that double the number of evaluations.
_REJECTED, _DOUBTFUL = 15, 4


class Marquardt(NamedTuple):
    """Where a Levenberg-Marquardt search is. `trial`: the next place to try, NaN at the first step, `expected`: what it should
    gain. `growth`: the factor of the damping after a failed trial. `number`: how many evaluations the next step takes at each
    place, `rejected`: how many trials in a row failed. All are arrays, for a file."""

    z: np.ndarray
    trial: np.ndarray
    expected: np.ndarray
    damping: np.ndarray
    growth: np.ndarray
    number: np.ndarray
    rejected: np.ndarray
    status: np.ndarray
    loss: np.ndarray

    @classmethod
    def start(cls, z: np.ndarray, number: int) -> "Marquardt":
        values = (np.nan, 0.1, 2.0, number, 0, RUNNING, np.nan)
        return cls(z, np.full(z.shape, np.nan), *(np.asarray(x) for x in values))


def marquardt_step(
    state: Marquardt, objective: Objective, bounds: Bounds, evaluated: Callable[[np.ndarray], Batch], most: int,
    tolerance: float, eps: float,
) -> Marquardt:  # fmt: skip
    """Compare the trial with the current place at the same keys, which are not those that proposed it, keep the better one, and
    propose from there. The damping follows Nielsen's rule.

    With noise, the number of evaluations doubles whenever a step is within its own noise or trials keep failing, up to `most`,
    where the search ends."""
    z, damping, growth, rejected = state.z, float(state.damping), float(state.growth), int(state.rejected)
    here, number = evaluated(z), int(state.number)
    if not here.finite:
        return state._replace(status=np.asarray(FAILED))
    noisy, trial_finite = len(here.m) > 1, True
    loss = objective.value(here.m.mean(0))
    if np.isfinite(state.trial).all():
        there = evaluated(state.trial)
        value = objective.value(there.m.mean(0)) if there.finite else np.inf
        trial_finite = bool(np.isfinite(value))
        if trial_finite and value <= loss:
            ratio = (loss - value) / max(float(state.expected), np.finfo(float).tiny)
            damping = damping * max(1 / 3, 1 - (2 * min(ratio, 1.0) - 1) ** 3) if damping > 1e-12 else 0.0
            z, here, loss, growth, rejected = state.trial, there, value, 2.0, 0
        else:
            rejected, damping, growth = rejected + 1, max(growth * damping, 1e-3), 2 * growth
    slope = bounds.slope(z)
    gauss = equations(objective, here)
    step = proposed(gauss, slope, damping, bounds)
    status = RUNNING
    if step is None:
        step, status = np.zeros_like(z), STALLED
    gradient = gauss.gradient * slope
    expected = max(-float(gradient @ step) - float(step @ (gauss.curvature * np.outer(slope, slope)) @ step) / 2, 0.0)
    if noisy:
        # Of the step without damping: a damped one gains little far from the minimum, too.
        full = solve(gauss.curvature, gauss.gradient)
        gain = expected if full is None else float(gauss.gradient @ full) / 2
        if _WITHIN * gain <= _noise(objective, here, gauss) or rejected >= _DOUBTFUL:
            status = DONE if number >= most else status
            number, rejected, damping, growth = min(2 * number, most), 0, min(damping, 1e-2), 2.0
    else:
        scale = 1.0 if objective.noise is not None else 2 * abs(loss) / max(len(objective.data) - len(z), 1)
        # A step that is short in standard errors, or one whose gain is lost in rounding.
        small = expected <= tolerance**2 * scale / 2 or expected <= 8 * eps * abs(loss)
        still = np.all(np.abs(step) <= 16 * eps * np.abs(z))
        status = DONE if damping <= 1e-2 and (small or still) else status
    if rejected >= _REJECTED:
        lost = not noisy and expected <= 1e-6 * abs(loss)
        status = DONE if lost else STALLED if trial_finite else FAILED
    values = (expected, damping, growth, number, rejected, status, loss)
    return Marquardt(z, z + step, *(np.asarray(x) for x in values))


def _noise(objective: Objective, batch: Batch, gauss: Gauss) -> float:
    """What the noise of the gradient alone would seem to gain in the mean: half the trace of A^-1 times its covariance."""
    moved, num = influence(objective, batch), len(batch.m)
    found = solve(gauss.curvature, moved.T)
    return 0.0 if found is None else float(np.sum(moved.T * found)) / (2 * num * (num - 1))


class OptaxState(NamedTuple):
    """Where an optimiser of optax is. `good`: the last place where loss and gradient were finite."""

    z: Array
    good: Array
    inner: PyTree
    status: Array
    loss: Array
    x: Array


@eqx.filter_jit
def optax_step(
    state: OptaxState, problem: Problem, loss: TracedLoss, bounds: Bounds, optimiser: Any, key: Key | None, number: Any
) -> OptaxState:
    r"""One step with the gradient $\frac12[J_a^T L'(m_b) + J_b^T L'(m_a)]$ of two evaluations with independent keys; without a
    key, that of one. After a loss or a gradient that is not finite nothing moves any more."""
    keys = None if key is None else jax.random.split(jax.random.fold_in(key, number), 2)

    def predicted(z: Array) -> Array:
        x = bounds.inside(z)
        if keys is None:
            return problem.predict(x, None)[None]
        return jax.lax.map(lambda one: problem.predict(x, one), keys)

    if problem.forward and len(state.z) <= 4:
        jacobian, m = jax.jacfwd(lambda z: (predicted(z),) * 2, has_aux=True)(state.z)
        pull = lambda c: jnp.einsum("kn,knp->p", c, jacobian)  # noqa: E731
    else:
        m, vjp = jax.vjp(predicted, state.z)
        pull = lambda c: vjp(c)[0]  # noqa: E731
    slopes = jax.vmap(loss.slope)(m[::-1])
    gradient = pull(slopes / m.shape[0])
    value = loss.value(jnp.mean(m, axis=0)).astype(state.loss.dtype)
    finite = jnp.isfinite(value) & jnp.isfinite(gradient).all()
    running = state.status == RUNNING
    ok = running & finite
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        updates, inner = optimiser.update(problem.fitted(gradient), state.inner, problem.fitted(state.z))
    moved = jnp.concatenate([leaf.reshape(-1).astype(state.z.dtype) for leaf in jax.tree.leaves(updates)])
    new = OptaxState(state.z + moved, state.z, inner, state.status, value, bounds.inside(state.z).astype(state.x.dtype))
    failed = state._replace(
        z=state.good, status=jnp.where(running, jnp.asarray(FAILED, state.status.dtype), state.status)
    )
    return jax.tree.map(lambda a, b: jnp.where(ok, a, b), new, failed)
