"""Systematic errors of the numbers fitted to a run on a grid, whose data have no noise and so no statistical error."""

import math
from collections.abc import Callable
from typing import NamedTuple

from .._harness.experiment import make_scheme
from .._harness.grid import Evolution, GridExperiment

Window = tuple[float, float]


class Systematic(NamedTuple):
    """`windows`: the larger difference between the fit and the fits to the two halves of its window. `step`: the error of the
    time step, from a run with twice the step (Richardson). NaN where a half or that run is too short for a fit."""

    windows: float
    step: float

    @property
    def total(self) -> float:
        return math.hypot(self.windows, self.step)

    def __str__(self) -> str:
        return f"systematic error {self.total:.1g}: {self.windows:.1g} from the window, {self.step:.1g} from dt"


NOT_FITTED = Systematic(math.nan, math.nan)


def systematic_errors(
    fit: Callable[[Evolution, Window], dict[str, float] | None],
    experiment: GridExperiment,
    evolution: Evolution,
    window: Window,
) -> dict[str, Systematic]:
    """The systematic error of every number that `fit` returns."""
    found = fit(evolution, window)
    assert found is not None
    middle = sum(window) / 2
    halves = [fit(evolution, part) for part in ((window[0], middle), (middle, window[1]))]
    # Run one step beyond the end of the window, so that rounding does not lose its last save.
    steps = max(2, math.ceil(window[1] / (2 * experiment.dt)) + 1)
    coarse = fit(evolution.again(dt=2 * experiment.dt, steps=steps), window)
    # With an error of order dt^p, doubling dt changes the result by 2^p - 1 times the error at dt.
    order = make_scheme(experiment.scheme).weak_order or 2
    return {
        name: Systematic(
            max(math.nan if half is None else abs(half[name] - value) for half in halves),
            math.nan if coarse is None else abs(coarse[name] - value) / (2**order - 1),
        )
        for name, value in found.items()
    }
