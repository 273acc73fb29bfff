"""Figures in one style: large type, few lines, a palette for colour-blind readers (Okabe and Ito), and a symbol on every axis.
Each function that draws a panel takes its axes. All quantities are nondimensional.

Matplotlib comes with the extra `plot`: `pip install 'jaxkinetic[plot]'`. It is imported when the first figure is made."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ._util.checks import check_bool

if TYPE_CHECKING:
    # For annotations only, because importing matplotlib takes .3 s.
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
else:
    Axes = Figure = Any

__all__ = [
    "BLACK", "BLUE", "COLORS", "GREEN", "GREY", "ORANGE", "PURPLE", "convergence", "describe", "entropy", "legend",
    "local_rate", "log_log", "new_figure", "phase_space", "phase_space_density", "points", "velocity_slice",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
# For what is not data: bounds, noise floors, text.
GREY = "#999999"
BLACK = "#222222"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9")
_MAP = "cividis"


def need_matplotlib() -> None:
    """**Raises:** `ImportError`, which says what to install, if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            "Figures need matplotlib, which is not installed; run `pip install 'jaxkinetic[plot]'`."
        ) from None


def new_figure(
    rows: int, columns: int, *, size: tuple[float, float], title: str, dpi: int = 160
) -> tuple[Figure, np.ndarray]:
    """A figure that opens no window, and its (rows, columns) array of axes."""
    need_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=dpi)
    figure.suptitle(title, fontsize=15, fontweight="bold", color=BLACK)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="#e6e6e6", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=11)
    return figure, axes


def describe(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x, fontsize=12)
    ax.set_ylabel(y, fontsize=12)
    ax.set_title(title, fontsize=12.5, loc="left", color=BLACK)


def log_log(ax: Axes) -> None:
    """Make both axes logarithmic, with labels at 1, 2 and 5 times the powers of 10."""
    need_matplotlib()
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def legend(ax: Axes, loc: Literal["best", "upper left", "lower right"] = "best") -> None:
    ax.legend(frameon=False, fontsize=10.5, loc=loc)


def points(
    ax: Axes, x: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None, *, color: str = BLUE, label: str | None = None
) -> None:
    """Draw measured values with bars of one standard error; unknown errors (NaN) have no bar."""
    bars = None if noise is None else np.nan_to_num(np.asarray(noise, float))
    ax.errorbar(np.asarray(x), np.asarray(y), yerr=bars, fmt="o", ms=4.5, color=color, capsize=2, label=label)


def entropy(
    ax: Axes,
    times: ArrayLike,
    excess: ArrayLike,
    noise: ArrayLike | None = None,
    *,
    fit: Any = None,
    window: tuple[float, float] | None = None,
    rate_stderr: float | None = None,
    color: str = BLUE,
    name: str = "particles",
) -> None:
    """Draw H - H_M on a logarithmic axis: the positive values, their noise, the noise floor, and a `DecayFit` over its
    `window`."""
    t, y = np.asarray(times, float), np.asarray(excess, float)
    floor = None if noise is None else np.nan_to_num(np.asarray(noise, float))
    shown = y > 0
    if fit is not None:
        first, last = (t[0], t[-1]) if window is None else window
        fine = np.linspace(first, last, 200)
        stderr = float(fit.rate_stderr) if rate_stderr is None else rate_stderr
        text = f"fitted rate {float(fit.rate):.2f} ± {stderr:.2f}"
        ax.plot(fine, np.asarray(fit(fine)), "--", color=ORANGE, label=text)
    points(ax, t[shown], y[shown], None if floor is None else floor[shown], color=color, label=name)
    if floor is not None and np.any(floor > 0):
        ax.axhline(float(np.median(floor[floor > 0])), color=GREY, ls=":", label="one standard error")
    ax.set_yscale("log")
    if shown.any():
        ax.set_ylim(bottom=max(y[shown].min() / 2, y[shown].max() * 1e-5))
    describe(ax, "time t", r"$H(t) - H_{\rm Maxwell}$", "Entropy falls")


def local_rate(
    ax: Axes, times: ArrayLike, excess: ArrayLike, noise: ArrayLike | None = None, *, color: str = BLUE,
    name: str = "between saves",
) -> None:  # fmt: skip
    """Draw -d log(H - H_M)/dt between successive saves if both values exceed 3 standard errors."""
    t, y = np.asarray(times, float), np.asarray(excess, float)
    floor = np.zeros_like(y) if noise is None else np.nan_to_num(np.asarray(noise, float))
    known = (y[1:] > 3 * floor[1:]) & (y[:-1] > 3 * floor[:-1]) & (y[1:] > 0) & (y[:-1] > 0)
    rate = -np.diff(np.log(np.where(y > 0, y, 1))) / np.diff(t)
    error = np.hypot(floor[1:] / np.maximum(y[1:], 1e-300), floor[:-1] / np.maximum(y[:-1], 1e-300)) / np.diff(t)
    middle = (t[1:] + t[:-1]) / 2
    points(ax, middle[known], rate[known], error[known], color=color, label=name)
    describe(ax, "time t", r"$-\frac{d}{dt}\log(H - H_{\rm Maxwell})$", "Rate of decay")


def phase_space(ax: Axes, position: ArrayLike, velocity: ArrayLike, *, bins: int = 120) -> Any:
    """Draw the density in (x, v) of particles with positions (N,) and velocities (N,). Returns the image for a colour bar."""
    x, v = np.asarray(position, float).ravel(), np.asarray(velocity, float).ravel()
    *_, image = ax.hist2d(x, v, bins=bins, density=True, cmap=_MAP, rasterized=True)
    ax.grid(False)
    describe(ax, "position x", "velocity v", "Phase space")
    return image


def phase_space_density(
    ax: Axes, x: ArrayLike, v: ArrayLike, f: ArrayLike, *, signed: bool = False, title: str = "Phase space"
) -> Any:
    """Draw f (n_x, n_v) at the points (x, v) of a grid; `signed`: a diverging colour scale about 0. Returns the image for a
    colour bar."""
    signed = check_bool("signed", signed)
    values = np.asarray(f, float).T
    top = float(np.abs(values).max()) or 1.0
    image = ax.pcolormesh(
        np.asarray(x), np.asarray(v), values, cmap="RdBu_r" if signed else _MAP, vmin=-top if signed else 0.0, vmax=top,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    ax.grid(False)
    describe(ax, "position x", "velocity v", title)
    return image


def velocity_slice(
    ax: Axes,
    velocity: ArrayLike,
    *,
    axes: tuple[int, int] = (0, 1),
    thickness: float | None = 0.5,
    bins: int = 70,
    reach: float = 3.5,
    title: str = "Velocities",
) -> Any:
    """Draw the density in the plane of the two components `axes`, in logarithmic colours. Particles (N, d) count if their other
    components are below thickness/2 in modulus; None: all particles, which gives the marginal. Returns the image for a colour
    bar."""
    need_matplotlib()
    from matplotlib.colors import LogNorm

    v = np.asarray(velocity, float).reshape(-1, np.shape(velocity)[-1])
    others = [k for k in range(v.shape[1]) if k not in axes]
    if thickness is not None and others:
        v = v[(np.abs(v[:, others]) < thickness / 2).all(axis=1)]
    counts, x, y = np.histogram2d(v[:, axes[0]], v[:, axes[1]], bins=bins, range=[[-reach, reach]] * 2)
    density = counts / max(counts.sum(), 1) / np.diff(x)[0] / np.diff(y)[0]
    shown = np.ma.masked_less_equal(density.T, 0)
    top = float(density.max()) if density.max() > 0 else 1.0
    least = float(density[density > 0].min()) / 1.5 if density.max() > 0 else top / 2
    image = ax.pcolormesh(x, y, shown, cmap=_MAP, norm=LogNorm(least, top), rasterized=True)
    ax.set_aspect("equal")
    ax.grid(False)
    describe(ax, f"$v_{axes[0] + 1}$", f"$v_{axes[1] + 1}$", title)
    return image


def convergence(
    ax: Axes,
    sizes: ArrayLike,
    errors: ArrayLike,
    stderr: ArrayLike | None = None,
    *,
    floor: ArrayLike | None = None,
    color: str = BLUE,
    name: str = "measured",
    size: str = "number of particles N",
    error: str = "error",
) -> float | None:
    """Draw errors against sizes on logarithmic axes, with the noise floor (one number, or one per size) shaded, and a line
    fitted to the points above it. Returns the slope of the line, or None if fewer than two points lie above the floor."""
    n, e = np.asarray(sizes, float), np.asarray(errors, float)
    noise = None if stderr is None else np.asarray(stderr, float)
    limit = np.zeros_like(e) if floor is None else np.broadcast_to(np.asarray(floor, float), e.shape)
    points(ax, n, e, noise, color=color, label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    bottom = min(float(e[e > 0].min()), float(limit[limit > 0].min()) if np.any(limit > 0) else np.inf) / 2
    if np.any(limit > 0):
        ax.fill_between(n, bottom, limit, color=GREY, alpha=0.25, lw=0, label="noise floor")
    ax.set_ylim(bottom=bottom)
    above = (e > limit) & (e > 0)
    slope = None
    if above.sum() >= 2:
        slope, intercept = np.polyfit(np.log(n[above]), np.log(e[above]), 1)
        ax.plot(n, np.exp(intercept) * n**slope, "--", color=color, lw=1.2, label=f"slope {slope:.2f}")
    describe(ax, size, error, "Rate in the number of particles")
    return None if slope is None else float(slope)
