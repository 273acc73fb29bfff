"""Central differences of expectations with common random numbers, to check a gradient."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._core.system import AbstractSystem
from .._util.checks import argument_error, check_scalar, describe, is_traced
from .._util.types import State
from .expectation import expectation
from .result import Expectation

__all__ = ["finite_difference"]


def finite_difference(
    model: Callable[[Any], AbstractSystem],
    parameter: float,
    start: State | Callable[[Any], State],
    observe: Callable[[State], Array],
    *,
    step: float,
    **options: Any,
) -> Expectation:
    r"""The derivative of `expectation(model(parameter), start, observe, **options)` in one number, by a central difference:
    $(f(\theta + h) - f(\theta - h))/(2h)$, where both runs of a replica use the same random numbers.

    A check of `expectation`'s gradient, and a way out where a pathwise derivative has grown too large (chaos): its bias is of
    order h^2. For a jump process its variance is of order 1/h (decisions that differ between the two runs), and after such a
    decision the two runs are coupled only by the numbers of the candidates.

    **Arguments:** `model`: parameter -> system. `step`: h > 0, in units of the parameter. `options`: those of `expectation`,
    without `gradient`.

    **Returns:** an `Expectation` whose `value` is the derivative, with its `stderr`. **Raises:** `ValueError` as `expectation`,
    and for a step that is not positive or vanishes beside the parameter.
    """
    if not callable(model):
        raise argument_error(
            "model",
            "be a function of the parameter",
            f"is {describe(model)}",
            "pass `lambda alpha: KacWalk(..., alpha)`",
        )
    if options.get("gradient", False) is not False:
        raise argument_error("gradient", "be left out", "is given", "the difference needs no gradient")
    check_scalar("parameter", parameter)
    check_scalar("step", step, positive=True)
    if is_traced(parameter, step):
        raise argument_error(
            "parameter", "be known", "is traced", "call `finite_difference` outside of `jit` and `grad`"
        )
    high, low = float(parameter) + float(step), float(parameter) - float(step)
    if not low < float(parameter) < high:
        raise argument_error("step", "change the parameter", f"is {float(step):g}", "raise it")
    above, below = (expectation(model(x), start, observe, **options) for x in (high, low))
    runs = (above.runs - below.runs) / np.asarray(high - low, above.runs.dtype)
    stats = jax.tree.map(lambda a, b: (a + b) / 2, above.stats, below.stats)
    return Expectation(jnp.asarray(runs), False, above.times, None, stats)
