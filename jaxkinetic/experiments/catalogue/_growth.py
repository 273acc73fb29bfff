"""An unstable mode: its growth rate beside that of the dispersion relation, and the vortex into which it saturates."""

import numpy as np

from ...fitting.decay import fit_decay
from ...plotting import Axes
from ...vlasov import dispersion_root
from .._harness.experiment import Headline
from .._harness.grid import Evolution, GridExperiment, GridProblem, grid_report, rates
from .._harness.report import Report, Series
from ._systematic import GridFit, fitted

# The fit begins when the mode exceeds its first value by this factor (other modes are then negligible),
_ALONE = 30.0
# and ends at this fraction of its largest value,
_LINEAR = 0.05
# or at this fraction of the mass, if the mode is still growing when the run ends.
_SMALL = 5e-3
# Fewest saves in this window for a fit.
_FEWEST = 6


class GrowthExperiment(GridExperiment):
    headline = Headline("growth_rate", "growth rate", "systematic")

    def title(self) -> str:
        raise NotImplementedError

    def analyse(self, evolution: Evolution, problem: GridProblem) -> Report:
        root = complex(dispersion_root(problem.potential, problem.f0, problem.wavenumber, scale=problem.width))
        times, size, stable = evolution.times, np.abs(evolution.mode), root.imag <= 0
        window = _linear_phase(times, size)
        found = fitted(_growth_rate, 5, self, evolution, None if stable else window).get("growth_rate", GridFit())
        if np.isnan(root.imag):
            first = "No root of the dispersion relation was found to compare the fit with."
        elif stable:
            first = f"Stable: the least damped mode has growth rate {root.imag:.6f}; nothing is fitted."
        elif window is None:
            first = (
                f"The run is too short for a fit of the growth rate, which is {root.imag:.6f} by the dispersion relation; "
                "take more steps."
            )
        else:
            first = found.sentence("Growth rate", root.imag, f" from t = {window[0]:.3g} to {window[1]:.3g}")
        largest = f"The mode is largest at t = {times[size.argmax()]:.3g}: {size.max():.3g} of the mass."
        numbers = {
            "growth_rate": found.beside(root.imag), "window": window, "largest_mode": size.max(),
            "wavenumber": problem.wavenumber,
        }  # fmt: skip

        def lines(ax: Axes) -> None:
            if window is not None and not stable:
                at = np.abs(evolution.field_energy[np.argmin(np.abs(times - window[0]))])
                rates(np.linspace(*window, 50), at, found.value, root.imag)(ax)

        mode = Series("", "|density mode|", size, form=".4e")
        title = f"{self.title()}  {self.resolution()}"
        return grid_report(evolution, mode, (first, largest), numbers, title, problem.reach * 0.75, None, lines)


def _growth_rate(evolution: Evolution, window: tuple[float, float]) -> dict[str, float]:
    return {"growth_rate": -float(fit_decay(evolution.times, np.abs(evolution.mode), window=window).rate)}


def _linear_phase(times: np.ndarray, size: np.ndarray) -> tuple[float, float] | None:
    """Window (first, last time) of linear growth: from `_ALONE` times the first value to `_LINEAR` of the largest, or to
    `_SMALL` of the mass if the mode is still growing when the run ends. None if it has too few saves."""
    top = size.argmax()
    limit = _LINEAR * size[top] if top < len(size) - 1 else _SMALL
    inside = (size > _ALONE * size[0]) & (size < limit) & (np.arange(len(size)) < top)
    return (float(times[inside][0]), float(times[inside][-1])) if inside.sum() >= _FEWEST else None
