"""What the figures of make.py share: sizes, labels, histograms."""

from typing import Any

import numpy as np

from jaxkinetic import plotting as look

__all__ = ["DPI", "TIMES", "bars", "label", "legend", "row", "speeds"]

# Dots per inch: a figure 10 inches wide has 1000 pixels.
DPI = 100
# Colours of early, middle and late times.
TIMES = (look.BLUE, look.ORANGE, look.GREEN)


def row(columns: int, title: str, height: float = 4.0) -> tuple[Any, Any]:
    made, axes = look.new_figure(1, columns, size=(10.0, height), title=title, dpi=DPI)
    made._suptitle.set_fontsize(13)
    for ax in axes[0]:
        ax.tick_params(labelsize=10)
    return made, axes[0]


def label(ax: Any, x: str, y: str, title: str = "") -> None:
    look.describe(ax, x, y, "")
    ax.set_title(title, fontsize=11, loc="left", color=look.BLACK)
    ax.xaxis.label.set_fontsize(11)
    ax.yaxis.label.set_fontsize(11)


def legend(ax: Any, **options: Any) -> None:
    ax.legend(frameon=False, fontsize=9, **options)


def speeds(velocity: Any, edges: np.ndarray) -> np.ndarray:
    """The density f(|v|) in R^3 of velocities (..., 3), by shells."""
    counts, _ = np.histogram(np.linalg.norm(np.asarray(velocity), axis=-1), edges)
    return counts / np.prod(np.shape(velocity)[:-1]) / (4 * np.pi / 3 * np.diff(edges**3))


def bars(ax: Any, edges: np.ndarray, heights: np.ndarray, color: str) -> None:
    ax.stairs(heights, edges, fill=True, color=color, alpha=0.3, lw=0)
