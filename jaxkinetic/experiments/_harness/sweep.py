"""One experiment at several values of one option, with one table and one figure; finished values are not computed again."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import plotting as look
from ..._io.lock import folder_lock
from ..._util.checks import argument_error, did_you_mean
from ...plotting import Axes
from .experiment import Experiment
from .option import Option, options_of
from .output import check_replaceable, device, prepare, read_manifest, write
from .panels import measured
from .partial import Partial, differing
from .report import Report, Series
from .run import identity, kept_apart, run_to_files


def parse_over(text: str, given: Mapping[str, Any], known: Mapping[str, Option]) -> tuple[str, list[Any]]:
    """("gamma", [-3.0, -2.0, 0.0]) from "gamma=-3,-2,0". `known`: the options of all experiments. **Raises:** `ValueError`."""
    name, equals, values = text.partition("=")
    if not equals or name not in known:
        sentence = argument_error(
            "--over", f"be OPTION=V1,V2,... with OPTION one of {', '.join(known)}", f"is {text!r}", "see --help"
        )
        raise did_you_mean(sentence, name, known)
    if name in given:
        raise argument_error(f"--{name}", "be left out when the sweep is over it", f"is {given[name]}", "remove it")
    try:
        parsed = [known[name].kind(value) for value in values.split(",")]
    except ValueError:
        raise argument_error(
            "--over", f"list values that are {known[name].kind.__name__}", f"is {text!r}", "separate them by commas"
        ) from None
    if len(set(parsed)) < len(parsed) or len(parsed) < 2:
        raise argument_error(
            "--over", "list at least two different values", f"is {text!r}", "add values, or remove duplicates"
        )
    return name, parsed


def sweep(cells: Sequence[Experiment], name: str, precision: int, folder: Path, *, force: bool = False) -> None:
    """Run every cell, one experiment with another value of the option `name`, in its own subfolder, then write the table and
    the figure of all to `folder`, which is locked meanwhile.

    A value that has results is not computed again, and a stopped one continues from its finished parts: a kill loses at most
    the part that was being computed. **Raises:** `ValueError` if another command writes to the folder, and, without
    `force`, if it holds results or finished parts of other options."""
    prepare(folder)
    with folder_lock("--out", folder):
        if not force:
            for cell in cells:
                _check_cell(cell, precision, folder / _own(cell, name))
            _check_summary(cells, name, precision, folder)
        _sweep(cells, name, precision, folder, force=force)


def _own(cell: Experiment, name: str) -> str:
    """The name of the subfolder of a value."""
    return f"{name}={getattr(cell, name)}"


def _check_summary(cells: Sequence[Experiment], name: str, precision: int, folder: Path) -> None:
    """**Raises:** `ValueError` if the folder holds the summary of another sweep or the result of a single run."""
    there = read_manifest(folder)
    wanted: dict[str, Any] = {"over": name, **kept_apart(cells[0], precision)}
    if there is not None:
        # The swept option, and options that `adapt` fits to it, differ between the values.
        known = there["parameters"] if isinstance(there["parameters"], dict) else {}
        fitted = {k for cell in cells for k, v in kept_apart(cell, precision)["parameters"].items()
                  if v != wanted["parameters"][k]}  # fmt: skip
        wanted["parameters"] = {k: v for k, v in wanted["parameters"].items() if k in known and k not in fitted}
        values, earlier = [getattr(cell, name) for cell in cells], there.get("values")
        if isinstance(earlier, list) and not set(map(str, earlier)) <= set(map(str, values)):
            wanted["values"] = values
    check_replaceable(folder, wanted)


def _check_cell(cell: Experiment, precision: int, own: Path) -> None:
    if _finished(own, identity(cell, precision)) is None:
        partial = Partial(own, identity(cell, precision))
        if not (partial.exists() and partial.difference() is None):
            check_replaceable(own, kept_apart(cell, precision))
            partial.check_fresh(force=False)


def _sweep(cells: Sequence[Experiment], name: str, precision: int, folder: Path, *, force: bool) -> None:
    numbers: list[Mapping[str, Any]] = []
    for cell in cells:
        own = folder / _own(cell, name)
        finished = _finished(own, identity(cell, precision), force=force)
        if finished is not None:
            Partial(own, {}).clear()
            print(f"{name} = {getattr(cell, name)}: already there, {own}", flush=True)
            numbers.append(finished)
            continue
        prepare(own)
        partial = Partial(own, identity(cell, precision))
        go_on = partial.exists() and partial.difference() is None
        run_to_files(cell, precision, own, resume=go_on, force=force, quiet=True)
        numbers.append(json.loads((own / "result.json").read_text())["results"])
    report = _summary(cells, name, numbers)
    common = identity(cells[0], precision)
    parameters = [identity(cell, precision)["parameters"] for cell in cells]
    # Parameters that all values share; those that differ (the swept option, options fitted to it) become lists.
    common["parameters"] = {k: v for k, v in parameters[0].items() if all(p[k] == v for p in parameters)}
    common["parameters_of_values"] = {
        k: [p[k] for p in parameters] for k in parameters[0] if k not in common["parameters"]
    }
    manifest = {
        **common, "device": device(), "table": report.table(), "over": name, "values": [getattr(cell, name) for cell in cells],
        "folders": [_own(cell, name) for cell in cells],
    }  # fmt: skip
    paths = write(folder, report, manifest)
    print(f"\n{report.table()}\n")
    for note in report.notes:
        print(f"- {note}")
    print(f"\nWrote {', '.join(str(p) for p in paths)}")


def _finished(folder: Path, wanted: Mapping[str, Any], *, force: bool = False) -> Mapping[str, Any] | None:
    """The numbers of a finished value, or None. **Raises:** `ValueError` without `force` if its options differ."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    manifest = read_manifest(folder)
    other = "is damaged" if manifest is None else differing(manifest, wanted)
    if other is None and manifest is not None:
        return manifest["results"]
    if force:
        return None
    if manifest is None:
        raise argument_error(
            "--out",
            "be a folder of this sweep",
            f"{str(path)!r} is damaged",
            "remove it, or pass --force to replace it",
        )
    raise argument_error(
        "--out", "be a new folder, or one of the same sweep", f"{str(path)!r} differs: {other}",
        "pass another folder, or --force to replace it",
    )  # fmt: skip


def _number(numbers: Mapping[str, Any], path: str) -> float:
    """The number at a path, "kac.mean_energy_drift" for example; NaN if there is none."""
    value: Any = numbers
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return math.nan if value is None else float(value)


def _summary(cells: Sequence[Experiment], name: str, numbers: Sequence[Mapping[str, Any]]) -> Report:
    headline, declared = cells[0].headline, options_of(cells[0])
    found, stderr, exact = (
        np.array([_number(n, headline.number + end) for n in numbers]) for end in ("", f"_{headline.error}", "_exact")
    )
    values = [getattr(cell, name) for cell in cells]
    words = declared[name].kind is str
    places = np.arange(float(len(values))) if words else np.array(values, float)
    texts = [f"{e:.5g}" if math.isfinite(e) else "" for e in exact]
    shown = [column for column in ("dt", "replicas", "particles", "nx", "nv") if column in declared]
    series = (
        Series("", name, [str(v) for v in values]),
        Series("", headline.label, found, form=".5g"),
        Series("", "+-", stderr, form=".2g"),
        Series("", "exact", texts),
        *(
            Series("", column, [getattr(cell, column) for cell in cells], form="g" if column == "dt" else "d")
            for column in shown
        ),
    )
    error = "one standard error" if headline.error == "stderr" else f"the {headline.error} error"
    note = f"{headline.label.capitalize()} of {cells[0].name}; +- is {error}. Each value has its own folder."
    results = {"headline": headline.number, "found": found.tolist(), "stderr": stderr.tolist(), "exact": exact.tolist()}
    arrays = {"values": places, "headline": found, "headline_stderr": stderr, "exact": exact}

    def draw_exact(ax: Axes) -> None:
        if np.isfinite(exact).any():
            ax.plot(places, exact, "D", mfc="none", mec=look.BLACK, ms=9, ls="none", label="exact")
        if words:
            ax.set_xticks(places, values)
        elif name in ("particles", "dt", "replicas", "steps") and places.min() > 0 and places.max() / places.min() > 5:
            ax.set_xscale("log")

    panel = measured(
        places, [(Series("", "", found, stderr), "measured", look.BLUE)], draw_exact, x=declared[name].symbol or name,
        y=headline.label, title=headline.label.capitalize(),
    )  # fmt: skip
    return Report(results, series, (note,), (panel,), f"{cells[0].name} over {name}", arrays)
