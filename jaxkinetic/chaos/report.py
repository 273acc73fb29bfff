"""What a study of chaos shows: its table, its figure, and its content as JSON."""

import dataclasses
import json
import math
import os
import platform
import textwrap
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .. import plotting as look
from .._io.atomic_npz import as_path, path_errors
from .._util.checks import argument_error, describe
from ._statement import plain
from .series import Exponent, Series, Theory

__all__ = ["ChaosRecord", "draw_series", "from_json", "plot", "table", "to_json"]

_FORMAT, _VERSION = "jaxkinetic chaos study", 1


@runtime_checkable
class Study(Protocol):
    """What a report is made of. `theory` may lack distances."""

    @property
    def Ns(self) -> Any: ...
    @property
    def times(self) -> Any: ...
    @property
    def time(self) -> float: ...
    @property
    def series(self) -> Any: ...
    @property
    def exponents(self) -> Any: ...
    @property
    def theory(self) -> Mapping[str, Theory]: ...
    @property
    def limit(self) -> str: ...
    @property
    def system(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class ChaosRecord:
    """A study that was read from JSON: what its table and its figure need. The bootstrap draws of its series are not kept, so
    `draws` has shape (0, n). `versions`: of the programs that made it."""

    Ns: tuple[int, ...]
    times: tuple[float, ...]
    time: float
    series: dict[str, Series]
    exponents: dict[str, Exponent]
    theory: dict[str, Theory]
    limit: str
    system: str
    versions: dict[str, str]

    def table(self) -> str:
        return table(self)

    def plot(self) -> look.Figure:
        return plot(self)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        return to_json(self, path)


# ---- the table -----------------------------------------------------------------------------------------------------------


def table(study: Study) -> str:
    """A table in Markdown, one row for each distance. The predicted exponent is blank where theory is silent. The range of N
    says how many of the N lie within the noise."""
    head = ("quantity", "theorem", "predicted exponent", "measured exponent", "N used", "statement")
    rows = [head, ("---",) * len(head)]
    for name, found in study.exponents.items():
        theory = study.theory.get(name, Theory())
        theorem = theory.theorem + (f" [{theory.source}]" if theory.source else "")
        predicted = "" if theory.predicted is None else f"{theory.predicted:g}"
        measured = plain(found.value, found.stderr) if math.isfinite(found.value) else "none"
        rows.append((name, theorem, predicted, measured, _range(found), found.statement))
    return "".join("| " + " | ".join(_cell(entry) for entry in row) + " |\n" for row in rows)


def _range(found: Exponent) -> str:
    if not found.used:
        return "none"
    noisy = f", {len(found.within_noise)} within the noise" if found.within_noise else ""
    return f"{found.used[0]} to {found.used[-1]} ({len(found.used)} N{noisy})"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ---- the figure ----------------------------------------------------------------------------------------------------------


def plot(study: Study) -> look.Figure:
    """Every distance against N on logarithmic axes, with error bars of one standard error, the fitted power law, and the floor
    in grey.

    A filled marker stands out of the noise, and lies above the floor. Hollow markers are values below the floor, which was
    removed from them; grey hollow markers are within two standard errors of 0, or were left out of the fit. A value at or
    below 0, which a logarithmic axis cannot show, is a triangle at two standard errors above 0. Each has its legend entry."""
    names = list(study.series)
    columns = min(len(names), 3) if len(names) != 4 else 2
    rows = -(-len(names) // columns)
    title = f"Propagation of chaos, {study.system}, t = {float(study.time):g}"
    if not study.limit.startswith("none"):
        title += f", against {study.limit}"
    title = textwrap.fill(title, 38 * columns, max_lines=3, placeholder=" ...")
    figure, axes = look.new_figure(rows, columns, size=(5.4 * columns, 4.8 * rows + 0.7), title=title)
    for ax, name in zip(axes.flat, names, strict=False):
        draw_series(ax, study.series[name], study.exponents[name])
        look.log_log(ax)
        _limits(ax, study.series[name])
        look.describe(ax, "number of particles N", "distance", name)
        handles, labels = ax.get_legend_handles_labels()
        # Measured points first, and outside, where no point is.
        order = sorted(range(len(labels)), key=lambda i: not isinstance(handles[i], tuple))
        ax.legend(
            [handles[i] for i in order], [labels[i] for i in order], frameon=False, fontsize=10, ncols=2,
            loc="upper center", bbox_to_anchor=(0.5, -0.16),
        )  # fmt: skip
    for ax in list(axes.flat)[len(names) :]:
        ax.set_visible(False)
    return figure


def draw_series(ax: Any, series: Series, found: Exponent) -> None:
    """One distance against N in a panel that `plot` describes."""
    color = look.BLUE
    n = np.asarray(series.N, float)
    value, stderr = np.asarray(series.value, float), np.nan_to_num(np.asarray(series.stderr, float))
    negative = _sign(value, stderr) < 0
    size = -value if negative else value
    kinds = shown(n, size, stderr, np.asarray(series.floor, float), found)
    bars = np.stack([np.minimum(stderr, np.maximum(size * (1 - 1e-6), 0)), stderr])
    minus = "below the floor by" if series.power == 2 else "minus the value"
    looks = {
        "clear": (minus if negative else "measured", color, color),
        "below": (f"below the floor{' by' if negative else ', which was removed'}", color, "white"),
        "noisy": ("within its noise, or left out", look.GREY, "white"),
    }
    for kind, (label, edge, face) in looks.items():
        which = kinds[kind]
        if which.any():
            ax.errorbar(
                n[which], size[which], yerr=bars[:, which], fmt="o", ms=5.5, color=edge, mfc=face, capsize=2.5, lw=1.2,
                label=label,
            )  # fmt: skip
    which = kinds["none"] & (stderr > 0)
    if which.any():
        ax.plot(
            n[which],
            2 * stderr[which],
            "v",
            ms=7,
            mfc="white",
            color=look.GREY,
            label="below 0: two standard errors",
        )
    if math.isfinite(found.value):
        _line(ax, n, size, stderr, series.power, found, color)
    limit = np.asarray(series.floor, float)
    if np.any(limit > 0):
        ax.plot(n[limit > 0], limit[limit > 0], "-", color=look.GREY, lw=2.5, alpha=0.7, label="floor")
    _limits(ax, series)


def shown(
    n: np.ndarray, size: np.ndarray, stderr: np.ndarray, floor: np.ndarray, found: Exponent
) -> dict[str, np.ndarray]:
    """How each point (n,) is drawn: "clear", "below" the floor that was removed from it, "noisy" (within its noise, or left out
    of the fit), "none" (at or below 0)."""
    apart = {int(k) for k in (*found.left_out, *found.within_noise)}
    positive = np.isfinite(size) & (size > 0)
    noisy = positive & (np.array([int(k) in apart for k in n]) | ~(size > 2 * stderr))
    below = positive & ~noisy & (size < floor)
    return {
        "clear": positive & ~noisy & ~below,
        "below": below,
        "noisy": noisy,
        "none": np.isfinite(size) & (size <= 0),
    }


def _sign(value: np.ndarray, stderr: np.ndarray) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num(np.where(stderr > 0, value / stderr, np.sign(value) * 10))
    return -1.0 if np.clip(z, -10, 10).sum() < 0 else 1.0


def _line(
    ax: Any, n: np.ndarray, size: np.ndarray, stderr: np.ndarray, power: int, found: Exponent, color: str
) -> None:
    """The fitted law through the weighted mean of the points that stand out of the noise."""
    used = np.isin(n, found.used)
    clear = used & (size > 2 * stderr)
    if not clear.any():
        return
    constant = 0.0
    if found.fitted_floor is not None:
        constant = math.copysign(abs(found.fitted_floor) ** power, found.fitted_floor)
    law = n[clear] ** (-power * found.value)
    relative = stderr[clear] / size[clear]
    weight = (law / size[clear] ** power / np.maximum(relative, 1e-3)) ** 2
    amplitude = np.sum(weight * (size[clear] ** power - constant) / law) / np.sum(weight)
    fine = np.geomspace(n[used].min(), n[used].max(), 100)
    y = amplitude * fine ** (-power * found.value) + constant
    kept = y > 0
    label = f"p = {plain(found.value, found.stderr)}{'' if np.any(stderr > 0) or len(n) < 4 else ' at large N'}"
    ax.plot(fine[kept], y[kept] ** (1 / power), "--", color=color, lw=1.3, label=label)
    if found.fitted_floor is not None and found.fitted_floor > 0:
        ax.axhline(found.fitted_floor, color=look.GREY, ls=":", label="fitted floor")


def _limits(ax: Any, series: Series) -> None:
    """Ticks at the N that were run. A bar that reaches 0 ends at the lower edge."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = np.unique(series.N)
    ax.xaxis.set_major_locator(FixedLocator(ticks[:: -(-len(ticks) // 7)].tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    values = np.abs(np.concatenate([np.asarray(series.value, float), np.asarray(series.floor, float)]))
    values = values[np.isfinite(values) & (values > 0)]
    if len(values):
        ax.set_ylim(bottom=values.min() * min(0.5, (values.min() / values.max()) ** 0.1))


# ---- JSON ----------------------------------------------------------------------------------------------------------------


def to_json(study: Study, path: str | os.PathLike | None = None) -> str:
    """The study as strict JSON, NaN and infinity as null: all that its table and its figure show, and the versions of the
    programs. The bootstrap draws are left out. `path`: also write it there, atomically."""
    content = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "system": study.system,
        "limit": study.limit,
        "Ns": study.Ns,
        "times": study.times,
        "time": study.time,
        "series": {name: _fields(series, without="draws") for name, series in study.series.items()},
        "exponents": {name: _fields(found) for name, found in study.exponents.items()},
        "theory": {name: _fields(theory) for name, theory in study.theory.items()},
        "versions": getattr(study, "versions", None) or _versions(),
    }
    text = json.dumps(_strict(content), indent=1, allow_nan=False) + "\n"
    if path is not None:
        place = as_path("path", path)
        with path_errors("path", place, "be a file that can be written"):
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(f".{place.name}.{os.getpid()}.writing")
            partial.write_text(text)
            os.replace(partial, place)
    return text


def from_json(source: str | os.PathLike) -> ChaosRecord:
    """The study in a file of `to_json`, or in its text. **Raises:** `ValueError` if it is neither."""
    text = source if isinstance(source, str) and source.lstrip().startswith("{") else None
    if text is None:
        path = as_path("source", source)
        with path_errors("source", path, "be a file of `to_json` that can be read"):
            text = Path(path).read_text()
    must, do = "be JSON that `to_json` wrote", "pass its text or its path"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise argument_error("source", must, "is not JSON", do) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise argument_error("source", must, f"is {describe(content)}", do)
    if content.get("format_version") != _VERSION:
        was = f"has the version {content.get('format_version')} of the format"
        raise argument_error("source", f"have the version {_VERSION}", was, "read it with the version that wrote it")
    return ChaosRecord(
        tuple(content["Ns"]),
        tuple(content["times"]),
        content["time"],
        {name: _series(entry) for name, entry in content["series"].items()},
        {name: _exponent(entry) for name, entry in content["exponents"].items()},
        {name: Theory(**entry) for name, entry in content["theory"].items()},
        content["limit"],
        content["system"],
        content["versions"],
    )


def _fields(record: Any, without: str = "") -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != without}


def _series(entry: dict[str, Any]) -> Series:
    integers = ("N", "replicas")
    arrays = {name: np.asarray(values, int if name in integers else float) for name, values in entry.items()
              if name != "power"}  # fmt: skip
    return Series(**arrays, draws=np.zeros((0, len(arrays["N"]))), power=entry["power"])


def _exponent(entry: dict[str, Any]) -> Exponent:
    """null is NaN, but for a floor that was not fitted."""
    optional = ("fitted_floor", "fitted_floor_stderr")
    values: dict[str, Any] = {
        name: math.nan if value is None and name not in optional else value for name, value in entry.items()
    }
    values["interval"] = tuple(math.nan if bound is None else bound for bound in values["interval"])
    values["used"] = tuple(values["used"])
    for name in ("left_out", "within_noise"):
        values[name] = {int(k): reason for k, reason in values[name].items()}
    return Exponent(**values)


def _strict(value: Any) -> Any:
    """The value for JSON, which has no NumPy types, NaN or infinity: the last two become None."""
    if isinstance(value, Mapping):
        return {str(name): _strict(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("jaxkinetic", "jax", "numpy", "scipy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found
