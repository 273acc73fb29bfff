"""Panels that several experiments draw, made of items: functions of the axes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ... import plotting as look
from ...plotting import Axes
from .report import Panel, Series

Item = Callable[[Axes], Any]

# A drift of 0 has no place on a logarithmic axis: it is drawn here.
_ZERO = 1e-18


def panel(*items: Item, log: str = "", **fields: Any) -> Panel:
    """The items, each above those before it. `fields`: those of `Panel`."""

    def draw(ax: Axes) -> None:
        if "y" in log:
            # Before the items are drawn: `dots` asks for the scale.
            ax.set_yscale("log")
        for item in items:
            item(ax)

    return Panel(draw, log=log, **fields)


def line(x: ArrayLike, y: ArrayLike, label: str, style: str = "-", color: str = look.BLACK, **more: Any) -> Item:
    return lambda ax: ax.plot(x, y, style, color=color, label=label, **more)


def dots(
    x: np.ndarray, y: np.ndarray, noise: np.ndarray | None, label: str = "particles", color: str = look.BLUE
) -> Item:
    """Values with bars of one standard error. On a logarithmic axis, only positive values are shown."""

    def draw(ax: Axes) -> None:
        shown = y > 0 if ax.get_yscale() == "log" else np.full(len(x), True)
        look.points(ax, x[shown], y[shown], None if noise is None else noise[shown], color=color, label=label)

    return draw


def measured(
    times: np.ndarray, series: Series | Sequence[tuple[Series, str, str]], *items: Item, **fields: Any
) -> Panel:  # fmt: skip
    """Series, each with its label and colour, above the items."""
    given = [(series, "particles", look.BLUE)] if isinstance(series, Series) else series
    return panel(*items, *(dots(times, one.values, one.noise, label, color) for one, label, color in given), **fields)


def drifts(
    times: np.ndarray, values: Mapping[str, np.ndarray], *items: Item, y: str = "largest drift",
    colors: Sequence[str] | None = None,
) -> Panel:  # fmt: skip
    """Drifts (T,) of invariants, by name, on a logarithmic axis, without the first save."""
    colors = [look.BLUE, look.GREEN, *look.COLORS[1:]] if colors is None else colors
    lines = [
        line(times[1:], np.maximum(drift[1:], _ZERO), name, "os"[i % 2], colors[i % len(colors)], ms=5, mfc="none")
        for i, (name, drift) in enumerate(values.items())
    ]
    return panel(*items, *lines, y=y, title="Momentum and energy: round-off", log="y")


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
