"""Panels that several experiments draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import plotting as look
from ...plotting import Axes
from .report import Panel, Series

# A drift of 0 has no place on a logarithmic axis: it is drawn here.
_ZERO = 1e-18


def line(
    x: np.ndarray, y: np.ndarray, label: str, style: str = "-", color: str = look.BLACK, **more: Any
) -> Callable[[Axes], Any]:
    """A curve, as an item of `measured`."""
    return lambda ax: ax.plot(x, y, style, color=color, label=label, **more)


def measured(
    times: np.ndarray, series: Series | Sequence[tuple[Series, str, str]], *items: Callable[[Axes], Any], **fields: Any
) -> Panel:
    """Series with bars of one standard error, (series, label, colour) each, above the `items`. `fields`: those of `Panel`. On a
    logarithmic axis, only positive values are shown."""
    given = [(series, "particles", look.BLUE)] if isinstance(series, Series) else series

    def draw(ax: Axes) -> None:
        for item in items:
            item(ax)
        for one, label, color in given:
            shown = one.values > 0 if "y" in fields.get("log", "") else np.full(len(times), True)
            noise = None if one.noise is None else np.asarray(one.noise)[shown]
            look.points(ax, times[shown], one.values[shown], noise, color=color, label=label)

    return Panel(draw, **fields)


def drifts(
    times: np.ndarray,
    values: Mapping[str, np.ndarray],
    title: str,
    *items: Callable[[Axes], Any],
    y: str = "largest drift",
) -> Panel:
    """Drifts (T,) of invariants, by name, on a logarithmic axis, without the first save."""

    def draw(ax: Axes) -> None:
        for item in items:
            item(ax)
        for (name, drift), mark, color in zip(
            values.items(), "osos", (look.BLUE, look.GREEN, look.ORANGE, look.BLACK), strict=False
        ):
            ax.plot(times[1:], np.maximum(drift[1:], _ZERO), mark, ms=5, color=color, mfc="none", label=name)

    return Panel(draw, y=y, title=title, log="y")


def histograms(
    samples: Sequence[tuple[np.ndarray, float]], reach: float, density: Callable[[np.ndarray, float], Any], **fields: Any
) -> Panel:  # fmt: skip
    """Histograms on [0, reach] of the first and the last `samples`, each with its time, and the exact `density(x, t)`."""

    def draw(ax: Axes) -> None:
        x = np.linspace(0, reach, 300)
        for (sample, t), color in zip(samples, (look.ORANGE, look.BLUE), strict=True):
            ax.hist(sample.ravel(), bins=48, range=(0, reach), density=True, color=color, alpha=0.35)
            ax.plot(x, density(x, t), color=color, label=f"t = {t:.3g}, exact")

    return Panel(draw, y="density", bottom=0, **fields)
