"""One look for every figure: large type, few lines, colours that survive colour blindness (Okabe and Ito)."""

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999", "#222222"


def new_figure(rows: int, columns: int, *, size: tuple[float, float], title: str) -> tuple[Figure, np.ndarray]:
    """A figure without a window, and its (rows, columns) array of axes."""
    figure = Figure(figsize=size, layout="constrained", dpi=160)
    figure.suptitle(title, fontsize=15, fontweight="bold", color=BLACK)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="#e6e6e6", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=11)
    return figure, axes


def label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x, fontsize=12)
    ax.set_ylabel(y, fontsize=12)
    ax.set_title(title, fontsize=12.5, loc="left", color=BLACK)


def legend(ax: Axes, loc: Literal["best", "upper left", "lower right"] = "best") -> None:
    ax.legend(frameon=False, fontsize=10.5, loc=loc)
