"""What an experiment found: numbers, series, sentences and panels. The table, the files and the figure follow from them."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import plotting as look
from ...plotting import Axes, Figure
from .errors import interval, plus_minus, standard_error

# A longer table is thinned to this many rows.
_LONGEST, _ROWS = 21, 15


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A measured number: its error (one standard error, or what `error` names), the degrees of freedom of the error, the exact
    value. As text, `f"{estimate:.3f}"`, it shows its error, and its 95 % confidence interval if the degrees of freedom are
    known."""

    value: float
    stderr: float
    freedom: float | None = None
    exact: float | None = None
    error: str = "stderr"

    @staticmethod
    def of(fit: Any, exact: float | None = None) -> "Estimate":
        """The rate of a `DecayFit`."""
        return Estimate(float(fit.rate), float(fit.rate_stderr), fit.degrees_of_freedom, exact)

    def __format__(self, form: str) -> str:
        if self.freedom is None:
            return f"{self.value:{form}} +- {self.stderr:{form}}"
        return plus_minus(self.value, self.stderr, self.freedom, form)

    def entries(self, name: str) -> dict[str, Any]:
        """The entries of result.json."""
        out: dict[str, Any] = {name: self.value, f"{name}_{self.error}": self.stderr}
        if self.freedom is not None:
            out[f"{name}_interval"] = interval(self.value, self.stderr, self.freedom)
            out["degrees_of_freedom"] = self.freedom if math.isfinite(self.freedom) else None
        return out if self.exact is None else {**out, f"{name}_exact": self.exact}


@dataclasses.dataclass(frozen=True)
class Series:
    """One quantity along the rows of the table, of values (T,), or words (T,). `noise`: its standard error. `exact`: the exact
    values, under the header `exact_header`. `form`, `noise_form`: formats of the cells. No `header`: not in the table. No
    `name`: not in result.npz; else its key there is `name`, or `name`_value with exact values. `runs`: the values of all R runs
    (R, T), which result.npz then holds instead."""

    name: str
    header: str
    values: Any
    noise: Any = None
    exact: Any = None
    form: str = ".4f"
    exact_header: str = "exact"
    noise_form: str = ""
    runs: np.ndarray | None = None

    def __post_init__(self) -> None:
        parts = (self.values, self.noise, self.exact)
        if len({len(part) for part in parts if part is not None}) > 1:
            raise ValueError(
                f"Series {self.name or self.header!r} must have as many errors and exact values as values."
            )

    @staticmethod
    def of_runs(name: str, header: str, runs: np.ndarray, **fields: Any) -> "Series":
        """The mean over runs (R, T) and its standard error."""
        return Series(name, header, runs.mean(axis=0), standard_error(runs), runs=runs, **fields)

    def columns(self) -> list[tuple[str, list[str]]]:
        """Headers and cells in the table."""
        if not self.header:
            return []
        parts = (
            (self.header, self.values, self.form), ("+-", self.noise, self.noise_form or self.form.lstrip("+")),
            (self.exact_header, self.exact, self.form),
        )  # fmt: skip
        return [(header, [_cell(x, form) for x in xs]) for header, xs, form in parts if xs is not None]

    def arrays(self) -> dict[str, np.ndarray]:
        """The entries of result.npz."""
        if not self.name:
            return {}
        if self.runs is not None:
            parts = {"": self.runs, "_exact": self.exact}
        else:
            parts = {"" if self.exact is None else "_value": self.values, "_noise": self.noise, "_exact": self.exact}
        return {self.name + end: np.asarray(values) for end, values in parts.items() if values is not None}


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel of the figure: `draw(ax)` draws what it shows; the labels of the axes, the title and the legend are added here.
    `log`: the logarithmic axes, "", "x", "y" or "xy". `bottom`: the lower end of the vertical axis."""

    draw: Callable[[Axes], Any]
    x: str = "time t"
    y: str = ""
    title: str = ""
    log: str = ""
    bottom: float | None = None
    legend: Any = "best"

    def __call__(self, ax: Axes) -> None:
        self.draw(ax)
        if self.log == "xy":
            look.log_log(ax)
        elif self.log:
            ax.set_yscale("log") if self.log == "y" else ax.set_xscale("log")
        if self.bottom is not None:
            ax.set_ylim(bottom=self.bottom)
        if self.y:
            look.describe(ax, self.x, self.y, self.title)


@dataclasses.dataclass(frozen=True)
class Report:
    """`numbers`: for result.json, `Estimate`s among them. `series`: the columns of the table, and arrays of result.npz.
    `notes`: sentences below the table; empty ones are left out. `panels`: functions of the axes that they draw in. `title`: of
    the figure. `arrays`: what result.npz holds beside the series. `size`: width and height of a panel."""

    numbers: Mapping[str, Any]
    series: Sequence[Series]
    notes: Sequence[str]
    panels: Sequence[Callable[[Axes], Any]]
    title: str = ""
    arrays: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    size: tuple[float, float] = (5.6, 4.7)
    dims: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        notes = [self.notes] if isinstance(self.notes, str) else self.notes
        object.__setattr__(self, "notes", tuple(note for note in notes if note))
        names = [series.name for series in self.series if series.name]
        if len(set(names)) < len(names):
            raise ValueError(f"The series of a report must have different names, but are {', '.join(names)}.")
        if not self.panels:
            raise ValueError("A report must have at least one panel, a function of the axes in which it draws.")

    def table(self) -> str:
        """The series as text; a long one is thinned."""
        columns = [column for series in self.series for column in series.columns()]
        if len({len(cells) for _, cells in columns}) > 1:
            lengths = ", ".join(f"{header}: {len(cells)}" for header, cells in columns)
            raise ValueError(f"The columns of a table must have the same number of rows, but have {lengths}.")
        rows = list(zip(*(cells for _, cells in columns), strict=True))
        if len(rows) > _LONGEST:
            rows = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, _ROWS).round().astype(int))]
        return table([header for header, _ in columns], rows)

    def show(self) -> None:
        """Print the table and the notes."""
        print(f"\n{self.table()}\n")
        for note in self.notes:
            print(f"- {note}")

    def header(self, name: str) -> str:
        """The header of the series with this name; empty if there is none."""
        return next((series.header for series in self.series if series.name == name), "")

    def results(self) -> dict[str, Any]:
        """The numbers as entries of result.json."""
        return _entries(self.numbers)

    def all_arrays(self) -> dict[str, Any]:
        """The arrays of result.npz."""
        return {name: x for series in self.series for name, x in series.arrays().items()} | dict(self.arrays)

    def figure(self) -> Figure:
        """All panels: up to three beside each other, four as a square."""
        columns = 2 if len(self.panels) == 4 else min(len(self.panels), 3)
        rows = -(-len(self.panels) // columns)
        size = (self.size[0] * columns, self.size[1] * rows)
        figure, axes = look.new_figure(rows, columns, size=size, title=self.title)
        for ax in list(axes.flat)[len(self.panels) :]:
            ax.set_visible(False)
        for ax, panel in zip(axes.flat, self.panels, strict=False):
            panel(ax)
            if ax.get_legend_handles_labels()[0]:
                look.legend(ax, loc=getattr(panel, "legend", "best"))
        return figure


def _entries(numbers: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in numbers.items():
        if isinstance(value, Estimate):
            found, freedom = value.entries(name), "degrees_of_freedom"
            if out.get(freedom) != found.get(freedom, out.get(freedom)) and freedom in out:
                found[f"{name}_{freedom}"] = found.pop(freedom)
            out |= found
        else:
            out[name] = _entries(value) if isinstance(value, Mapping) else value
    return out


def _cell(value: Any, form: str) -> str:
    return value if isinstance(value, str) else "" if value is None else format(value, form)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Right-aligned columns under their headers."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    lines = [headers, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)
