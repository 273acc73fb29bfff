"""What a fit of parameters returns."""

import math

import equinox as eqx
import jax
import numpy as np

from .._util.checks import is_traced
from .._util.html import preformatted
from .._util.printing import Printed
from .._util.student import student_interval
from .._util.types import Array, PyTree

__all__ = ["FitHistory", "FitResult", "ParameterFit"]


def __dir__() -> list[str]:
    return __all__


class FitResult(Printed):
    """How a fit ended. `status`: "converged"; "max_steps" if `steps` were not enough; "not_finite" if prediction, loss or
    gradient became NaN or infinite, where the parameters are the last good ones; "stalled" if no step decreased the loss.
    `message`: a sentence."""

    status: str = eqx.field(static=True)
    message: str = eqx.field(static=True)

    @property
    def ok(self) -> bool:
        return self.status == "converged"

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


class FitHistory(Printed):
    """The steps of a fit. `loss`: (K,), at the places of `parameters`, whose fitted leaves have a leading axis of length K;
    None in place of fixed leaves."""

    loss: Array
    parameters: PyTree


class ParameterFit(Printed):
    """Fitted parameters with standard errors.

    `parameters`: the pytree `start` with the fitted values. `stderr`: their standard errors, None in place of leaves that were
    held fixed. `covariance`: (p, p), in the order of `names`. `simulation_stderr`: the part of `stderr` that is due to the
    simulator's noise, which more replicas in the model, or a larger `final`, reduce.

    `chi2`: the reduced chi^2, with the simulator's noise in its expectation; about 1 if model and errors fit (exactly 1 if the
    error of the data was estimated; NaN without degrees of freedom). `noise`: the standard error of a datum, given (the mean)
    or estimated. `evaluations`: how often this call evaluated the model.

    `degrees_of_freedom` of the standard errors, like `stderr`: infinite where all noise was given, n - p where it was estimated
    from the residuals, `final` - 1 where it is the simulator's, and in between by Welch and Satterthwaite."""

    parameters: PyTree
    stderr: PyTree
    covariance: Array
    simulation_stderr: PyTree
    history: FitHistory
    result: FitResult
    chi2: float
    noise: float
    degrees_of_freedom: PyTree
    names: tuple[str, ...] = eqx.field(static=True)
    evaluations: int = eqx.field(static=True)

    def interval(self, level: float = 0.95) -> tuple[PyTree, PyTree]:
        """(low, high): the confidence intervals by Student's law with `degrees_of_freedom`, as pytrees like `stderr`.
        **Raises:** `ValueError` for a level outside (0, 1)."""
        fitted = jax.tree.map(lambda _, value: value, self.stderr, self.parameters)

        def end(which: int) -> PyTree:
            return jax.tree.map(
                lambda value, error, freedom: student_interval(value, error, freedom, level)[which],
                fitted,
                self.stderr,
                self.degrees_of_freedom,
            )

        return end(0), end(1)

    def __str__(self) -> str:
        fitted = jax.tree.map(lambda _, value: value, self.stderr, self.parameters)
        values, errors, simulated = (
            np.concatenate([np.asarray(x, float).ravel() for x in jax.tree.leaves(tree)])
            for tree in (fitted, self.stderr, self.simulation_stderr)
        )
        width = max(map(len, self.names))
        lines = [
            f"{name:{width}} = {_with_error(value, error)}"
            + (f"  (simulator {share / error:.0%} of the error)" if share > 0 and error < math.inf else "")
            for name, value, error, share in zip(self.names, values, errors, simulated, strict=True)
        ]
        lines.append(f"{len(self.history.loss)} steps, reduced chi^2 {self.chi2:.3g}; {self.result}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        told = "traced" if is_traced(self) else str(self).replace("\n", "\n  ")
        return f"ParameterFit:\n  {told}"

    def _repr_html_(self) -> str:
        return preformatted(repr(self))


def _with_error(value: float, error: float) -> str:
    """The error with two digits, and the value with as many decimals."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6g} +- {error:.2g}"
    decimals = 1 - math.floor(math.log10(error))
    if 0 <= decimals <= 12:
        return f"{value:.{decimals}f} +- {error:.{decimals}f}"
    return f"{value:.6g} +- {error:.2g}"
