"""One inference: hidden parameters, a noisy curve made with them, the fit, and its band."""

import os
from typing import Any, NamedTuple

import jax
import numpy as np

from ..._util.student import student_quantile
from ..._util.types import Key
from ...fitting._fit_problem import evaluate, read_problem
from ...fitting.parameter_fit import ParameterFit
from ...fitting.parameters import fit_parameters
from ._inference_cases import Case

__all__ = ["Inference", "infer"]

# Steps of an optimiser of optax, whose rate falls to 0 by a cosine.
_ADAM_STEPS = 100


class Inference(NamedTuple):
    """`truth`, `estimate`, `stderr`, `z` (p,): in the order of `names`. `inside`: whether the truth is in the 95 % interval.
    `data`, `exact` (with the hidden parameters, without noise), `sizes` (standard error of each datum): (T, C)."""

    names: tuple[str, ...]
    truth: np.ndarray
    estimate: np.ndarray
    stderr: np.ndarray
    freedom: np.ndarray
    inside: np.ndarray
    fit: ParameterFit
    data: np.ndarray
    exact: np.ndarray
    sizes: np.ndarray

    @property
    def z(self) -> np.ndarray:
        return (self.estimate - self.truth) / self.stderr


def infer(
    case: Case, seed: int, optimiser: str | None = None, *, final: int = 16, progress: bool = False,
    path: str | os.PathLike | None = None,
) -> Inference:  # fmt: skip
    """Draw the hidden parameters, measure the curves, and fit. Truth, data and fit have keys of their own."""
    names = tuple(sorted(case.parameters))
    keys = _keys(seed)
    low, high = np.transpose([case.parameters[name].drawn for name in names])
    truth = low + (high - low) * np.asarray(jax.random.uniform(keys[0], (len(names),)), float)
    exact, covariance, first = case.exact(dict(zip(names, truth.tolist(), strict=True)), keys[1])
    sizes = np.broadcast_to(case.noise * np.abs(first), exact.shape)
    data = exact + sizes * np.asarray(jax.random.normal(keys[2], exact.shape), float)
    covariance = covariance + np.diag(sizes.ravel() ** 2)
    model: Any = case
    fit = fit_parameters(
        model, data, begin(case), key=_key(case, keys[3]), stderr=covariance, optimiser=optimiser,
        steps=None if optimiser is None else _ADAM_STEPS, bounds={name: case.parameters[name].bounds for name in names},
        final=final if case.random else None, progress=progress, path=path,
    )  # fmt: skip
    low, high = fit.interval(0.95)
    inside = np.array([float(low[name]) < x < float(high[name]) for name, x in zip(names, truth, strict=True)])
    estimate, stderr, freedom = (
        np.array([float(tree[name]) for name in names]) for tree in (fit.parameters, fit.stderr, fit.degrees_of_freedom)
    )
    spread = np.sqrt(np.diag(covariance)).reshape(data.shape)
    return Inference(names, truth, estimate, stderr, freedom, inside, fit, data, exact, spread)


def begin(case: Case) -> dict[str, Any]:
    return {name: float(symbol.begin) for name, symbol in case.parameters.items()}


def _keys(seed: int) -> list[Key]:
    """Of the truth, the runs that are measured, their noise, and the fit."""
    root = jax.random.key(seed, impl="threefry2x32")
    return [jax.random.fold_in(root, i) for i in range(4)]


def _key(case: Case, key: Key) -> Key | None:
    return key if case.random else None


def band(case: Case, found: Inference, seed: int, evaluations: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The fitted curves (T, C), and half the width of their 95 % band, from the covariance C of the parameters: the square root
    of the diagonal of J C J^T, J the Jacobian of the curves, times the quantile of Student's law."""
    key = _key(case, _keys(seed)[3])
    # The program of the fit: another one would take as long to compile as the fit.
    problem, *_ = read_problem(case, found.data, begin(case), None, key)
    place: Any = found.estimate.astype(problem.dtype)
    # The keys of the fit's final evaluations, so that the curve is the one that was fitted.
    keys = [None] if key is None else list(jax.random.split(jax.random.fold_in(key, 1), evaluations))
    every = [evaluate(problem, place, key) for key in keys]
    prediction, jacobian = (np.mean([np.asarray(one[i], float) for one in every], axis=0) for i in (0, 1))
    variance = np.einsum("np,pq,nq->n", jacobian, np.asarray(found.fit.covariance, float), jacobian)
    reach = float(student_quantile(0.95, float(found.freedom.min()))) * np.sqrt(variance)
    return prediction.reshape(found.data.shape), reach.reshape(found.data.shape)
