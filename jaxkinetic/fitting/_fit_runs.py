"""The loops of a fit: evaluations of the model, the search, and what a file keeps of it."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._io.part_files import PartFiles
from .._io.progress import Progress
from .._util.checks import argument_error
from .._util.types import Key, PyTree
from ._bounds import Bounds
from ._fit_problem import Problem, evaluate
from ._gauss_newton import Batch, Objective
from ._objective import TracedLoss
from ._polish import Polished, loss_parts, polish, rises
from ._search import DONE, FAILED, RUNNING, Marquardt, OptaxState, marquardt_step, optax_step

__all__ = ["Evaluations", "Searched", "finish", "run_marquardt", "run_optax"]

# Seconds between two files.
_SECONDS = 1.0
# Levenberg-Marquardt steps at the last keys, if Gauss-Newton fails there, and trials in vain that end
# them.
_LAST, _VAIN = 30, 6
# Steps of optax between two looks at their results, which wait for the device.
_LOOK = 16


class Evaluations:
    """Evaluations of the model at z, in float64 on the host. `count`: how many were made."""

    def __init__(self, problem: Problem, bounds: Bounds, key: Key | None):
        self.problem, self.bounds, self.key, self.count = problem, bounds, key, 0
        self.eps = float(jnp.finfo(problem.dtype).eps)
        # The last two with the same keys, or without: the better one is needed again.
        self.kept: tuple[Any, dict[bytes, Batch]] = None, {}

    def step_keys(self, step: int, count: int) -> Any:
        """The keys of a step; None for a model without a key."""
        if self.key is None:
            return None
        return jax.random.split(jax.random.fold_in(jax.random.fold_in(self.key, 0), step), count)

    def final_keys(self, count: int) -> Any:
        return None if self.key is None else jax.random.split(jax.random.fold_in(self.key, 1), count)

    def __call__(self, z: np.ndarray, keys: Any) -> Batch:
        x = self.bounds.inside(z).astype(self.problem.dtype)
        kept = self.kept[1] if self.kept[0] is keys else {}
        if x.tobytes() in kept:
            return kept[x.tobytes()]
        # All calls are dispatched before the first result is waited for.
        found = [evaluate(self.problem, x, one) for one in ([None] if keys is None else keys)]
        batch = Batch(*(np.stack([np.asarray(one[i], float) for one in found]) for i in (0, 1)))
        self.count += len(found)
        self.kept = keys, dict([*kept.items(), (x.tobytes(), batch)][-2:])
        return batch


class Searched(NamedTuple):
    """The end of a search: z, its status, the losses (K,) and places x (K, p) of its steps."""

    z: np.ndarray
    status: int
    losses: np.ndarray
    places: np.ndarray


class _History:
    """Losses and places of the steps, and the file that holds them with the state of the search."""

    def __init__(self, files: PartFiles | None):
        self.files, self.losses, self.places, self.saved = files, [], [], time.monotonic()

    def resume(self, state: PyTree) -> PyTree:
        """The stored state, or `state` if there is none."""
        arrays = None if self.files is None else self.files.load("search")
        leaves, structure = jax.tree.flatten(state)
        if arrays is None or len(arrays) != len(leaves) + 2:
            return state
        if any(
            a.shape != np.shape(b) or a.dtype != np.asarray(b).dtype for a, b in zip(arrays[2:], leaves, strict=True)
        ):
            return state
        self.losses, self.places = list(arrays[0]), list(arrays[1])
        return jax.tree.unflatten(structure, arrays[2:])

    def save(self, state: PyTree, *, now: bool = False) -> None:
        if self.files is None or not (now or time.monotonic() - self.saved > _SECONDS):
            return
        arrays = [np.asarray(x) for x in jax.tree.leaves(state)]
        self.files.save("search", [np.asarray(self.losses, float), np.asarray(self.places, float), *arrays])
        self.saved = time.monotonic()


def run_marquardt(
    evaluations: Evaluations, objective: Objective, steps: int, most: int, z: np.ndarray, tolerance: float, bar: Progress,
    files: PartFiles | None,
) -> Searched:  # fmt: skip
    """Levenberg-Marquardt steps until the search ends, at most `steps`, of at most `most` evaluations at each place."""
    history = _History(files)
    state = history.resume(Marquardt.start(z, min(2, most)))
    bar.advance(len(history.losses))
    while int(state.status) == RUNNING and len(history.losses) < steps:
        keys, first = evaluations.step_keys(len(history.losses), int(state.number)), not history.losses
        state = marquardt_step(
            state, objective, evaluations.bounds, partial(evaluations, keys=keys), most, tolerance, evaluations.eps
        )
        if first and int(state.status) == FAILED:
            raise no_start()
        if int(state.status) != FAILED:
            history.losses.append(float(state.loss))
            history.places.append(evaluations.bounds.inside(state.z))
        bar.advance()
        bar.note(f"loss {float(state.loss):.4g}")
        history.save(state)
    history.save(state, now=True)
    return _searched(state.z, state.status, history, evaluations)


def finish(evaluations: Evaluations, objective: Objective, found: Searched, keys: Any, tolerance: float) -> Polished:
    """The last Gauss-Newton steps, at fixed keys; if they fail, Levenberg-Marquardt with the mean at these keys, and
    then again."""
    evaluated = partial(evaluations, keys=keys)

    def mean(z: np.ndarray) -> Batch:
        return Batch(*(x.mean(0, keepdims=True) for x in evaluated(z)))

    # Without noise another step costs one evaluation and gives twice the digits.
    tolerance = tolerance if keys is not None else 1e-3 * tolerance
    start = found.z if found.status == DONE else _better(evaluations, objective, found, keys)
    ended = polish(objective, evaluations.bounds, start, evaluated, tolerance, evaluations.eps)
    if ended.status == "converged" or keys is None:
        return ended
    state = Marquardt.start(start, 1)
    for _ in range(_LAST):
        if int(state.status) == RUNNING and int(state.rejected) < _VAIN:
            state = marquardt_step(state, objective, evaluations.bounds, mean, 1, tolerance, evaluations.eps)
    again = polish(objective, evaluations.bounds, state.z, evaluated, tolerance, evaluations.eps, rough=True)
    if again.parts is None:
        return ended
    if ended.errors is None or ended.parts is None:
        return again
    # The mean of the predictions has another minimum than the loss without its noise: keep the better place. Places within one
    # standard error are as good as each other, so there it is the one that converged.
    apart = np.abs(evaluations.bounds.inside(again.z) - evaluations.bounds.inside(ended.z))
    same = again.status == "converged" and np.all(apart**2 <= np.diag(ended.errors.covariance))
    return again if same or not rises(ended.parts, again.parts) else ended


def _better(evaluations: Evaluations, objective: Objective, found: Searched, keys: Any) -> np.ndarray:
    """The last place of a search, or that of its smallest loss, if this one is better at these keys."""
    if not np.isfinite(found.losses).any():
        return found.z
    best = evaluations.bounds.outside(found.places[np.nanargmin(found.losses)])
    if not np.isfinite(best).all():
        return found.z
    there, here = evaluations(best, keys), evaluations(found.z, keys)
    if not (there.finite and here.finite):
        return best if there.finite else found.z
    return best if rises(loss_parts(objective, there), loss_parts(objective, here)) else found.z


def run_optax(
    evaluations: Evaluations, loss: TracedLoss, optimiser: Any, steps: int, z: np.ndarray, bar: Progress,
    files: PartFiles | None,
) -> Searched:  # fmt: skip
    """`steps` steps of an optimiser of optax, which are waited for every 16 steps only."""
    problem, history = evaluations.problem, _History(files)
    place = jnp.asarray(z, problem.dtype)
    inner = jax.tree.map(jnp.asarray, optimiser.init(problem.fitted(place)))
    status = jnp.asarray(RUNNING, jnp.int32)
    value: Any = np.asarray(np.nan, problem.dtype)
    state = history.resume(OptaxState(place, place, inner, status, value, evaluations.bounds.inside(place)))
    bar.advance(len(history.losses))
    key = None if evaluations.key is None else jax.random.fold_in(evaluations.key, 0)
    while int(state.status) == RUNNING and len(history.losses) < steps:
        done, recent = len(history.losses), []
        for number in range(done, min(done + _LOOK, steps)):
            state = optax_step(state, problem, loss, evaluations.bounds, optimiser, key, np.asarray(number, np.int32))
            recent.append((state.status, state.loss, state.x))
        evaluations.count += len(recent) * (1 if key is None else 2)
        for one in recent:
            if int(one[0]) == RUNNING:
                history.losses.append(float(one[1]))
                history.places.append(np.asarray(one[2], float))
        if not history.losses:
            raise no_start()
        bar.advance(len(history.losses) - done)
        bar.note(f"loss {history.losses[-1]:.4g}")
        history.save(state)
    history.save(state, now=True)
    return _searched(np.asarray(state.z, float), state.status, history, evaluations)


def no_start() -> ValueError:
    return argument_error(
        "start", "give a finite prediction with a finite derivative", "gives NaN or infinity", "start elsewhere"
    )


def _searched(z: np.ndarray, status: Any, history: _History, evaluations: Evaluations) -> Searched:
    places: Sequence[np.ndarray] = history.places
    return Searched(
        np.asarray(z, float),
        int(status),
        np.asarray(history.losses, float),
        np.asarray(places, float).reshape(-1, len(z)),
    )
