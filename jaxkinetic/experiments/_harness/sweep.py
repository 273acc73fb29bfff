"""One experiment at several values of one option, with one table and one figure; finished values are not computed again."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import plotting as look
from ..._io.lock import folder_lock
from ..._io.manifest import device
from ..._util.checks import argument_error, did_you_mean
from ...plotting import Axes
from .experiment import Experiment
from .option import Option, options_of
from .output import ELSEWHERE, check_replaceable, prepare, read_manifest, write
from .panels import measured
from .partial import Partial, differing
from .report import Report, Series
from .run import identity, run_to_files


def parse_over(text: str, given: Mapping[str, Any], known: Mapping[str, Option]) -> tuple[str, list[Any]]:
    """("gamma", [-3.0, -2.0, 0.0]) from "gamma=-3,-2,0". `known`: the options of all experiments. **Raises:** `ValueError`."""

    def error(must: str, do: str) -> ValueError:
        return argument_error("--over", must, f"is {text!r}", do)

    name, equals, values = text.partition("=")
    if not equals or name not in known:
        must = f"be OPTION=V1,V2,... with OPTION one of {', '.join(known)}"
        raise did_you_mean(error(must, "see --help"), name, known)
    if name in given:
        raise argument_error(f"--{name}", "be left out when the sweep is over it", f"is {given[name]}", "remove it")
    kind = known[name].kind
    try:
        parsed = [kind(value) for value in values.split(",")]
    except ValueError:
        raise error(f"list values that are {kind.__name__}", "separate them by commas") from None
    if len(set(parsed)) < len(parsed) or len(parsed) < 2:
        raise error("list at least two different values", "add values, or remove duplicates")
    return name, parsed


def sweep(
    cells: Sequence[Experiment], name: str, precision: int, folder: Path, *, force: bool = False, netcdf: bool = False
) -> None:
    """Run every cell, one experiment with another value of the option `name`, in its own subfolder, then write the table and
    the figure of all to `folder`, which is locked meanwhile.

    A value that has results is not computed again, and a stopped one continues from its finished parts: a kill loses at most
    the part that was being computed. **Raises:** `ValueError` if another command writes to the folder, and, without
    `force`, if it holds results or finished parts of other options."""
    prepare(folder)
    values = [getattr(cell, name) for cell in cells]
    folders = [folder / f"{name}={value}" for value in values]
    runs = [identity(cell, precision) for cell in cells]
    parameters = [run["parameters"] for run in runs]
    # The others differ between the values: the swept option, and options that `adapt` fits to it.
    shared = {k: v for k, v in parameters[0].items() if all(p[k] == v for p in parameters)}
    with folder_lock("--out", folder):
        if not force:
            for own, run in zip(folders, runs, strict=True):
                partial = Partial(own, run)
                if _finished(own, run) is None and not partial.continues():
                    check_replaceable(own, run)
                    partial.check_fresh(force=False)
            _check_summary(folder, {"over": name, "experiment": cells[0].name, "parameters": shared}, values)
        numbers = []
        for cell, value, own, run in zip(cells, values, folders, runs, strict=True):
            finished = _finished(own, run, force=force)
            if finished is None:
                resume = Partial(prepare(own), run).continues()
                finished = run_to_files(
                    cell, precision, own, resume=resume, force=force, quiet=True, netcdf=netcdf
                ).results()
            else:
                Partial(own, run).clear()
                print(f"{name} = {value}: already there, {own}", flush=True)
            numbers.append(finished)
        report = _summary(cells, name, numbers)
        different = {k: [p[k] for p in parameters] for k in parameters[0] if k not in shared}
        manifest = {
            **runs[0], "parameters": shared, "parameters_of_values": different, "device": device(), "table": report.table(),
            "over": name, "values": values, "folders": [own.name for own in folders],
        }  # fmt: skip
        wrote = write(folder, report, manifest, netcdf=netcdf)
        report.show()
        print(f"\n{wrote}")


def _check_summary(folder: Path, wanted: dict[str, Any], values: list[Any]) -> None:
    """**Raises:** `ValueError` if the folder holds the summary of another sweep or the result of a single run."""
    there = read_manifest(folder) or {}
    known, earlier = there.get("parameters"), there.get("values")
    # Only parameters that both sweeps share can disagree.
    known = known if isinstance(known, dict) else {}
    wanted["parameters"] = {k: v for k, v in wanted["parameters"].items() if k in known}
    if isinstance(earlier, list) and not set(map(str, earlier)) <= set(map(str, values)):
        wanted["values"] = values
    check_replaceable(folder, wanted)


def _finished(folder: Path, wanted: Mapping[str, Any], *, force: bool = False) -> Mapping[str, Any] | None:
    """The numbers of a finished value, or None. **Raises:** `ValueError` without `force` if its options differ."""
    path, manifest = folder / "result.json", read_manifest(folder)
    other = None if manifest is None else differing(manifest, wanted)
    if manifest is not None and other is None:
        return manifest["results"]
    if force or not path.is_file():
        return None
    if manifest is None:
        words = "be a folder of this sweep", f"{str(path)!r} is damaged", "remove it, or pass --force to replace it"
    else:
        words = "be a new folder, or one of the same sweep", f"{str(path)!r} differs: {other}", ELSEWHERE
    raise argument_error("--out", *words)


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
    shown = [key for key in ("dt", "replicas", "particles", "nx", "nv") if key in declared]
    series = (
        Series("", name, [str(v) for v in values]),
        Series("", headline.label, found, form=".5g"),
        Series("", "+-", stderr, form=".2g"),
        Series("", "exact", texts),
        *(Series("", key, [getattr(cell, key) for cell in cells], form="g" if key == "dt" else "d") for key in shown),
    )
    error = "one standard error" if headline.error == "stderr" else f"the {headline.error} error"
    title = headline.label[:1].upper() + headline.label[1:]
    note = f"{title} of {cells[0].name}; +- is {error}. Each value has its own folder."
    results = {"headline": headline.number, "found": found.tolist(), "stderr": stderr.tolist(), "exact": exact.tolist()}
    arrays = {"values": places, "headline": found, "headline_stderr": stderr, "exact": exact}
    dims = dict.fromkeys(arrays, "value")

    def draw_exact(ax: Axes) -> None:
        if np.isfinite(exact).any():
            ax.plot(places, exact, "D", mfc="none", mec=look.BLACK, ms=9, ls="none", label="exact")
        if words:
            ax.set_xticks(places, values)
        elif name in ("particles", "dt", "replicas", "steps") and places.min() > 0 and places.max() / places.min() > 5:
            ax.set_xscale("log")

    panel = measured(
        places, [(Series("", "", found, stderr), "measured", look.BLUE)], draw_exact, x=declared[name].symbol or name,
        y=headline.label, title=title,
    )  # fmt: skip
    return Report(results, series, (note,), (panel,), f"{cells[0].name} over {name}", arrays, dims=dims)
