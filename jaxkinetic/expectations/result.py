"""The result of `expectation`: a mean over replicas, its errors and its gradient."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, describe, is_traced
from .._util.gradients import forbid_gradient
from .._util.printing import Printed
from .._util.types import PyTree

__all__ = ["Expectation"]

_SAMPLES = (
    "A gradient reaches the samples of a `jk.Expectation` of a jump process, where only means have one; pass the function of a "
    "run's sums as `function=` to `jk.expectation`, or use `.value` and `.apply`."
)


class Expectation(Printed):
    """The mean of an observable over independent replicas. Nondimensional.

    - `value`: the mean, with the shape of the observable's row, after an axis of times if there are several. `stderr`: its
      standard error, from the scatter of the replicas (NaN for a single one). `covariance`: that of all numbers of `value`, in
      order, as a matrix.
      `jax.grad` of `value` is an unbiased estimate of the derivative of the expectation.
    - `samples`: (R, ...), the value of each replica. For jump processes a gradient through `samples`, `stderr` or `covariance`
      raises: a score estimates the derivative of a mean, not of a function of single runs. Pass that function to `expectation`
      (`function=`), or take a function of the mean with `apply`.
    - `runs`: as `samples`, for derivatives of means only: `jax.jvp` of it gives one estimate of the derivative a replica,
      whose scatter is its error, also in what `start` depends on.
    - `gradient`, `gradient_stderr`: with `gradient=` in the call; trees of the chosen leaves, each with the axes of `value`
      before its own. `gradient_samples` has a leading axis of replicas.
    - `times`: of the saves. `stats`: `candidates`, `events` (means over the replicas), for jump processes.
    """

    runs: Float[Array, "R *value"]
    by_score: bool = eqx.field(static=True)
    times: Any
    gradient_samples: PyTree
    stats: dict[str, Any]

    @property
    def value(self) -> Float[Array, "*value"]:
        return jnp.mean(self.runs, axis=0)

    @property
    def samples(self) -> Float[Array, "R *value"]:
        return forbid_gradient(_SAMPLES, self.runs) if self.by_score else self.runs

    @property
    def stderr(self) -> Float[Array, "*value"]:
        return _stderr(self.samples)

    @property
    def covariance(self) -> Float[Array, "n n"]:
        rows = self.samples.reshape(self.samples.shape[0], -1)
        rows = rows - jnp.mean(rows, axis=0, keepdims=True)
        replicas = rows.shape[0]
        return jnp.einsum("ri,rj->ij", rows, rows, precision=jax.lax.Precision.HIGHEST) / (
            replicas * (replicas - 1) if replicas > 1 else jnp.nan
        )

    @property
    def gradient(self) -> PyTree:
        self._with_gradient()
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), self.gradient_samples)

    @property
    def gradient_stderr(self) -> PyTree:
        self._with_gradient()
        return jax.tree.map(_stderr, self.gradient_samples)

    def _with_gradient(self) -> None:
        if self.gradient_samples is None:
            raise AttributeError(
                "This Expectation has no gradient; call `jk.expectation(..., gradient=True)`, or differentiate its `value`."
            )

    def apply(self, function: Callable[[Array], Array]) -> "Expectation":
        """The Expectation of `function(value)`, for example a ratio: `mean.apply(lambda sums: sums[1] / (3 * sums[0]))`, the
        temperature from the sums of 1 and |v|^2.

        Errors by the delta method: sample r is f(mean) + Df(mean) (sample_r - mean). The estimate has a bias of order 1/R; its
        gradient is that of f at the mean. **Raises:** `ValueError` unless `function` maps an array like `value` to an array.
        """
        if not callable(function):
            raise argument_error(
                "function", "be a function of `value`", f"is {describe(function)}", "pass one, such as jnp.log"
            )

        def linearised(samples: Array) -> Array:
            mean = jnp.mean(samples, axis=0)

            def one(sample: Array) -> Array:
                out, slope = jax.jvp(lambda x: jnp.asarray(function(x)), (mean,), (sample - mean,))
                return out + slope

            return jax.vmap(one)(samples)

        runs = linearised(self.runs)
        slopes = None
        if self.gradient_samples is not None:

            def moved(slope: Array) -> Array:
                own = self.runs.ndim
                flat = slope.reshape(*slope.shape[:own], -1)

                def one(direction: Array) -> Array:
                    return jax.jvp(linearised, (self.runs,), (direction,))[1]

                out = jax.vmap(one, in_axes=-1, out_axes=-1)(flat)
                return out.reshape(*runs.shape, *slope.shape[own:])

            slopes = jax.tree.map(moved, self.gradient_samples)
        return Expectation(runs, self.by_score, self.times, slopes, self.stats)

    def __repr__(self) -> str:
        if is_traced(self.runs):
            return f"Expectation(traced, {self.runs.shape[0]} replicas)"
        lines = [f"Expectation over {self.runs.shape[0]} replicas: {_with_errors(self.value, self.stderr)}"]
        if self.gradient_samples is not None and not is_traced(self.gradient_samples):
            values = jax.tree_util.tree_leaves_with_path(eqx.filter(self.gradient, eqx.is_array))
            errors = jax.tree.leaves(eqx.filter(self.gradient_stderr, eqx.is_array))
            for (path, value), error in zip(values, errors, strict=True):
                lines.append(f"  derivative in {jax.tree_util.keystr(path) or 'it'}: {_with_errors(value, error)}")
        return "\n".join(lines)


def _stderr(samples: Array) -> Array:
    replicas = samples.shape[0]
    if replicas == 1:
        return jnp.broadcast_to(np.asarray(np.nan, samples.dtype), samples.shape[1:])
    return jnp.std(samples, axis=0, ddof=1) / replicas**0.5


def _with_errors(values: Any, errors: Any) -> str:
    values, errors = np.ravel(np.asarray(values)), np.ravel(np.asarray(errors))
    shown = [f"{value:.6g} +- {error:.2g}" for value, error in zip(values[:4], errors[:4], strict=True)]
    return ", ".join(shown) + (f", ... ({values.size} numbers)" if values.size > 4 else "")
