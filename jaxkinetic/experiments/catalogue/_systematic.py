"""Numbers fitted to a run on a grid, whose data have no noise and so no statistical error: they have systematic errors."""

import math
from collections.abc import Callable
from typing import NamedTuple

from .._harness.experiment import make_scheme
from .._harness.grid import Evolution, GridExperiment
from .._harness.report import Estimate

Window = tuple[float, float]


class GridFit(NamedTuple):
    """`windows`: the larger difference between the fitted value and the fits to the two halves of its window. `step`: the error
    of the time step, from a run with twice the step (Richardson). NaN where a half or that run is too short for a fit."""

    value: float = math.nan
    windows: float = math.nan
    step: float = math.nan

    def beside(self, exact: float) -> Estimate:
        return Estimate(self.value, math.hypot(self.windows, self.step), None, exact, "systematic")

    def sentence(self, name: str, exact: float, over: str = "") -> str:
        return (
            f"{name} {self.value:.6f} fitted{over} (systematic error {self.beside(exact).stderr:.1g}: {self.windows:.1g} from "
            f"the window, {self.step:.1g} from dt), {exact:.6f} by the dispersion relation ({self.value / exact - 1:+.2%})."
        )


def fitted(
    fit: Callable[[Evolution, Window], dict[str, float]], least: int, experiment: GridExperiment, evolution: Evolution,
    window: Window | None,
) -> dict[str, GridFit]:  # fmt: skip
    """Every number that `fit` returns, with its errors; empty without a window, or if it has fewer than `least` saves."""

    def attempt(run: Evolution, start: float, end: float) -> dict[str, float]:
        enough = ((run.times >= start) & (run.times <= end)).sum() >= least
        return fit(run, (start, end)) if enough else {}

    if window is None or not (found := attempt(evolution, *window)):
        return {}
    middle = sum(window) / 2
    halves = attempt(evolution, window[0], middle), attempt(evolution, middle, window[1])
    # Run one step beyond the end of the window, so that rounding does not lose its last save.
    steps = max(2, math.ceil(window[1] / (2 * experiment.dt)) + 1)
    coarse = attempt(evolution.again(dt=2 * experiment.dt, steps=steps), *window)
    # With an error of order dt^p, doubling dt changes the result by 2^p - 1 times the error at dt.
    change = 2 ** (make_scheme(experiment.scheme).weak_order or 2) - 1
    return {
        name: GridFit(
            value,
            max(abs(half.get(name, math.nan) - value) for half in halves),
            abs(coarse.get(name, math.nan) - value) / change,
        )
        for name, value in found.items()
    }
