"""Fit the parameters of a model, also of a stochastic simulator, to data, with error bars."""

import functools
import math
import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._io.atomic_npz import as_path
from .._io.fingerprint import fingerprint
from .._io.lock import folder_lock
from .._io.part_files import open_parts
from .._io.progress import Progress, check_progress
from .._util.checks import argument_error, check_integer, check_one_key, check_scalar, describe, is_traced
from .._util.types import Key, PyTree, RealScalarLike
from ._bounds import Bounds, is_pair, read_bounds
from ._fit_problem import Problem, broadcast, flat_data, read_problem
from ._fit_runs import Evaluations, Searched, finish, run_marquardt, run_optax
from ._gauss_newton import Errors
from ._objective import CustomLoss, LeastSquares, TracedLoss, read_stderr
from ._polish import Polished
from ._search import FAILED, RUNNING
from .parameter_fit import FitHistory, FitResult, ParameterFit

__all__ = ["fit_parameters"]


def __dir__() -> list[str]:
    return __all__


# Final evaluations of a model with a key.
_FINAL = 16
# Steps of Levenberg-Marquardt, and of an optimiser of optax.
_STEPS, _OPTAX_STEPS = 100, 500


def fit_parameters(
    model: Callable[..., PyTree],
    data: PyTree,
    start: PyTree,
    *,
    key: Key | None = None,
    stderr: PyTree = None,
    loss: Callable[[PyTree, PyTree], Any] | None = None,
    optimiser: Any = None,
    bounds: PyTree = None,
    mask: PyTree = None,
    steps: int | None = None,
    final: int | None = None,
    tolerance: RealScalarLike = 1e-2,
    progress: bool = False,
    path: str | os.PathLike | None = None,
) -> ParameterFit:
    r"""Fit parameters theta by weighted least squares, $\min_\theta \frac12 (m(\theta) - d)^T C^{-1} (m(\theta) - d)$, where m
    is the expectation of `model`, and estimate their errors.

    **Arguments:**

    - `model(parameters, key) -> prediction`: in the form of `data`, without bias for its expectation, differentiable in the
      parameters (`jax.jvp`, or else `jax.vjp`). Each call is one minibatch, so let it average over some replicas. Without
      `key`: a deterministic `model(parameters)`. Use a named function: a new lambda compiles again.
    - `data`: an array or a pytree of arrays, n numbers. `start`: any pytree; its floating leaves are fitted, p numbers, and
      all other leaves are held fixed. `mask`: a pytree prefix of bools; False holds a subtree fixed.
    - `stderr`: the standard error of the data: a number, a pytree like `data`, or the covariance (n, n). None: independent
      errors of one size, which is estimated from the residuals.
    - `loss(prediction, data)`: another loss, twice differentiable. With a simulator it is evaluated at mean predictions, and is
      biased by O(variance of the mean prediction) unless it is quadratic in the prediction.
    - `bounds`: a pytree prefix of (low, high); None or infinity for no bound. Every evaluated parameter lies strictly within
      (logistic or exponential coordinates).
    - `optimiser`: None for Levenberg-Marquardt; "adam" (rate .1, cosine decay to 0 over `steps`) or any optimiser of optax.
      It works in unbounded coordinates in which the start has size 1. `steps`: the largest number of steps, 100 for
      Levenberg-Marquardt and 500 for optax.
    - `final`: how many evaluations of a stochastic model determine the result, 16 if None. The simulator's part of the error
      falls as 1/sqrt(final) (`.simulation_stderr`).
    - `tolerance`: a fit has converged when the next step is below this many standard errors.
    - `progress`: show a bar on standard error. `path`: a folder in which the search is stored about every second; the same call
      continues it, bitwise on the CPU, and also with more `steps` (except for "adam").

    **Search.** Levenberg-Marquardt, with Nielsen's rule for the damping, compares the last place and its trial at the same
    keys, `split(fold_in(fold_in(key, 0), k), E)` in step k, which are not those that proposed the trial. E = 2 evaluations at
    each place at first; E doubles, up to `final`, whenever a step is within its own noise, and there the search ends. (For
    optax E stays 2; a deterministic model is evaluated once, and its search ends by `tolerance`.) Each Jacobian meets the
    prediction of the other evaluations, so the gradient has no bias. (The gradient of the squared deviation of one noisy
    prediction includes the derivative of its variance, which pulls the parameters to where the simulator is quiet.)

    **Result.** Then Gauss-Newton steps with `final` evaluations M at fixed keys solve
    $\frac1M\sum_k J_k^T W (m_{-k} - d) = 0$, in which $m_{-k}$ is the mean of all evaluations but k. So the search only has to
    come near, and its noise is not in the result. A step that raises the loss at these keys, or leads to a prediction that is
    not finite, is shortened. A search that has not converged continues from the better of its last place and that of its
    smallest loss. The jackknife over the evaluations removes the bias of O(1/M) that a nonlinear function of noisy means has,
    and estimates the simulator's part C_s of the covariance, with the noise of predictions and Jacobians. The covariance is
    $A^{-1}J^TWC_{data}WJA^{-1} + C_s$ with $A = J^TWJ$: Gauss-Newton, without
    second derivatives of the model.

    **Cost:** with Levenberg-Marquardt one compiled program, the model and its Jacobian (about p + 1 models); 2 E calls a step
    (one for a deterministic model), and `final` calls for each of the last three or four Gauss-Newton steps. With optax a
    second program, of two models and their gradient a step.

    **Raises:** `ValueError` for fewer data than parameters, a start outside of its bounds or without a finite prediction, no
    floating leaf, a mask that is True for an integer, a prediction unlike the data, NaN in the data, errors that are not
    positive, a missing or a superfluous key, traced arguments, a missing optax, or a `path` with something else.
    """
    for name, value in {"data": data, "start": start, "stderr": stderr, "bounds": bounds, "key": key}.items():
        if is_traced(value):
            raise argument_error(
                name, "not be traced", "is", "call `fit_parameters` outside of `jit`, `grad` and `vmap`"
            )
    check_progress(progress)
    if key is not None:
        check_one_key(key)
    data, flat = flat_data(data)
    problem, leaves, names = read_problem(model, data, start, mask, key)
    num, p = len(flat), len(names)
    noise = read_stderr(stderr, data, num)
    if num < p + (noise is None):
        must = f"hold at least {p} numbers for {p} parameters" if noise is not None else (
            f"hold more numbers than the {p} parameters, to estimate their error"
        )  # fmt: skip
        do = "hold some fixed by `mask`" if noise is not None else "pass `stderr`, or hold some fixed by `mask`"
        raise argument_error("data", must, f"holds {num}", do)
    limits = _limits(bounds, problem, leaves)
    check_scalar("tolerance", tolerance, positive=True)
    precision = np.asarray(tolerance).item()
    optimiser, steps, known = _optimiser(optimiser, steps)
    if final is not None and key is None:
        raise argument_error("final", "be None for a model without a key", f"is {describe(final)}", "leave it out")
    final = 1 if key is None else _FINAL if final is None else check_integer("final", final, minimum=4)
    traced = _traced_loss(loss, data, flat, noise, problem.dtype)
    objective = LeastSquares(flat, noise) if loss is None else CustomLoss(traced, noise)
    evaluations = Evaluations(problem, limits, key)
    z = limits.outside(np.concatenate([np.asarray(leaf, float).ravel() for _, leaf in leaves]))
    owner = {
        "model": model, "data": data, "start": start, "key": key, "stderr": stderr, "loss": loss, "bounds": bounds,
        "mask": mask, "optimiser": known, "final": final, "tolerance": precision, "dtype": problem.dtype,
    }  # fmt: skip
    with Progress(steps, "step", shown=progress, label="fit") as bar:
        if optimiser is None:
            run = functools.partial(run_marquardt, evaluations, objective, steps, final, z, precision, bar)
        else:
            run = functools.partial(run_optax, evaluations, traced, optimiser, steps, z, bar)
        found = run(None) if path is None else _stored(run, path, owner)
        bar.note("final evaluations")
        ended = finish(evaluations, objective, found, evaluations.final_keys(final), precision)
    return _assembled(evaluations, ended, found, names, final, num, steps, noise is None)


def _stored(run: Callable[[Any], Searched], path: Any, owner: dict[str, Any]) -> Searched:
    # No argument is traced, so every fingerprint exists.
    own: Any = {name: fingerprint(value) for name, value in owner.items()}
    folder = as_path("path", path)
    if not os.path.isdir(folder):
        open_parts("path", folder, own)
    with folder_lock("path", folder):
        return run(open_parts("path", folder, own))


def _limits(bounds: PyTree, problem: Problem, leaves: list[tuple[str, np.ndarray]]) -> Bounds:
    if bounds is None:
        return Bounds.free(np.concatenate([leaf.astype(float).ravel() for _, leaf in leaves]))
    pairs: list[Any] = []

    def spread(path: Any, pair: Any, subtree: PyTree) -> None:
        if not (pair is None or is_pair(pair)):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "the parameters"
            raise argument_error("bounds", f"be (low, high) or None for {name}", f"are {describe(pair)}", "pass a pair")
        pairs.extend([pair] * len(jax.tree.leaves(subtree)))

    fitted = jax.tree.unflatten(problem.structure, [leaf for _, leaf in leaves])
    broadcast("bounds", spread, bounds, fitted, is_leaf=lambda x: x is None or is_pair(x))
    return read_bounds(leaves, pairs)


def _optimiser(optimiser: Any, steps: Any) -> tuple[Any, int, Any]:
    """(the optimiser of optax or None, the number of steps, how a file identifies it)."""
    steps = None if steps is None else check_integer("steps", steps, minimum=1)
    if optimiser is None:
        return None, _STEPS if steps is None else steps, "Levenberg-Marquardt"
    steps = _OPTAX_STEPS if steps is None else steps
    try:
        import optax
    except ImportError:
        raise argument_error(
            "optimiser", "be None where optax is not installed", f"is {describe(optimiser)}",
            "run `pip install 'jaxkinetic[infer]'`",
        ) from None  # fmt: skip
    if isinstance(optimiser, str) and optimiser == "adam":
        return _adam(steps), steps, f"adam {steps}"
    if not isinstance(optimiser, optax.GradientTransformation):
        raise argument_error(
            "optimiser",
            'be None, "adam" or an optimiser of optax',
            f"is {describe(optimiser)}",
            "pass optax.adam(.1), say",
        )
    return optimiser, steps, optimiser


@functools.lru_cache(maxsize=8)
def _adam(steps: int) -> Any:
    """One object for equal arguments, so that nothing is compiled twice."""
    import optax

    return optax.adam(optax.cosine_decay_schedule(0.1, steps))


def _traced_loss(loss: Any, data: PyTree, flat: np.ndarray, noise: np.ndarray | None, dtype: str) -> TracedLoss:
    if loss is not None and not callable(loss):
        raise argument_error("loss", "be None or a function of (prediction, data)", f"is {describe(loss)}", "pass one")
    factor = np.linalg.cholesky(noise).astype(dtype) if noise is not None and noise.ndim == 2 else None
    return TracedLoss(
        loss, flat.astype(dtype), noise.astype(dtype) if noise is not None and noise.ndim == 1 else None, factor,
        jax.tree.structure(data), tuple(x.shape for x in jax.tree.leaves(data)),
        tuple(x.dtype.name for x in jax.tree.leaves(data)),
    )  # fmt: skip


def _assembled(
    evaluations: Evaluations, ended: Polished, found: Searched, names: list[str], final: int, num: int, steps: int,
    estimated: bool,
) -> ParameterFit:  # fmt: skip
    problem, limits, p = evaluations.problem, evaluations.bounds, len(names)
    x = limits.inside(ended.z)
    errors = ended.errors
    if errors is None:
        unknown = np.full((p, p), math.nan)
        errors = Errors(unknown, unknown, math.nan, math.nan)
    variance, simulated = (np.maximum(np.diag(c), 0) for c in (errors.covariance, errors.simulation))
    freedom = np.full(p, math.inf)
    if estimated or final > 1:
        # Welch and Satterthwaite: two estimated variances are added.
        with np.errstate(all="ignore"):
            parts = (variance - simulated) ** 2 / (num - p) if estimated else np.zeros(p)
            parts = parts + (simulated**2 / (final - 1) if final > 1 else 0)
            freedom = np.where(parts > 0, variance**2 / parts, math.inf)

    def tree(vector: Any) -> PyTree:
        return jax.tree.map(jnp.asarray, problem.fitted(np.asarray(vector)))

    stderr = np.sqrt(variance)
    near = [name for name, d, error in zip(names, limits.distance(x), stderr, strict=True) if d < error]
    # Five standard deviations of chi^2.
    misfit = errors.chi2 > 1 + 5 * math.sqrt(2 / max(num - p, 1))
    return ParameterFit(
        eqx.combine(tree(x), problem.fixed), tree(stderr), jnp.asarray(errors.covariance, problem.dtype),
        tree(np.sqrt(simulated)), FitHistory(jnp.asarray(found.losses, problem.dtype), _along(problem, found.places)),
        _result(ended.status, found, steps, near, names, stderr, misfit), errors.chi2, errors.noise, tree(freedom),
        tuple(names), evaluations.count,
    )  # fmt: skip


def _along(problem: Problem, places: np.ndarray) -> PyTree:
    """The fitted leaves with a leading axis, of x (K, p)."""
    rows = [problem.fitted(row) for row in places]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *rows)


def _result(
    ended: str, found: Searched, steps: int, near: list[str], names: list[str], stderr: np.ndarray, misfit: bool
) -> FitResult:
    number = len(found.losses)
    if found.status == FAILED or ended == "not_finite":
        when = f"at step {number}" if found.status == FAILED else "in the final evaluations"
        return FitResult(
            "not_finite",
            f"prediction, loss or gradient became NaN or infinite {when}; the parameters are the last good ones.",
        )
    if not np.isfinite(stderr).all():
        which = ", ".join(name for name, error in zip(names, stderr, strict=True) if not math.isfinite(error))
        return FitResult("stalled", f"the data do not determine {which}; hold a parameter fixed by `mask`.")
    if ended == "converged":
        hint = f" Near its bound, so that its error is not that of a normal law: {', '.join(near)}." if near else ""
        if misfit:
            hint += " A reduced chi^2 so far above 1 means that the model does not fit the data, or that `stderr` is too small."
        return FitResult("converged", f"the last step is below the tolerance.{hint}")
    if found.status == RUNNING:
        return FitResult("max_steps", f"{steps} steps were not enough; raise `steps` or start nearer.")
    return FitResult("stalled", "no step decreased the loss further; start elsewhere, or average more replicas.")
