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
from ...plotting import Figure
from .experiment import KINDS, Common, Experiment, Report
from .output import check_replaceable, device, prepare, read_manifest, write
from .partial import Partial, differing
from .run import identity, kept_apart, run_to_files
from .table import table

_SYMBOLS = {
    "gamma": "exponent γ",
    "alpha": "annihilation probability α",
    "epsilon": "largest size of a collision ε",
    "particles": "number of particles N",
    "dt": "time step Δt",
    "dim": "dimension d",
    "wavenumber": "wavenumber k",
    "temperature": "temperature T",
    "drift": "drift $v_0$",
    "amplitude": "amplitude of the perturbation",
    "nx": "points in x",
    "nv": "points in v",
}


def parse_over(text: str, given: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """("gamma", [-3.0, -2.0, 0.0]) from "gamma=-3,-2,0". **Raises:** `ValueError`."""
    name, equals, values = text.partition("=")
    if not equals or name not in KINDS:
        sentence = argument_error(
            "--over", f"be OPTION=V1,V2,... with OPTION one of {', '.join(KINDS)}", f"is {text!r}", "see --help"
        )
        raise did_you_mean(sentence, name, KINDS)
    if name in given:
        raise argument_error(f"--{name}", "be left out when the sweep is over it", f"is {given[name]}", "remove it")
    try:
        parsed = [KINDS[name](value) for value in values.split(",")]
    except ValueError:
        raise argument_error(
            "--over", f"list values that are {KINDS[name].__name__}", f"is {text!r}", "separate them by commas"
        ) from None
    if len(set(parsed)) < len(parsed) or len(parsed) < 2:
        raise argument_error(
            "--over", "list at least two different values", f"is {text!r}", "add values, or remove duplicates"
        )
    return name, parsed


def sweep(
    experiment: Experiment,
    name: str,
    values: Sequence[Any],
    cells: Sequence[Common],
    precision: int,
    folder: Path,
    *,
    force: bool = False,
) -> None:
    """Run every value in its own subfolder, then write the table and the figure of all to `folder`, which is locked meanwhile.

    A value that has results is not computed again, and a stopped one continues from its finished parts: a kill loses at most
    the part that was being computed. **Raises:** `ValueError` if another command writes to the folder, and, without
    `force`, if it holds results or finished parts of other options."""
    prepare(folder)
    with folder_lock("--out", folder):
        if not force:
            for value, options in zip(values, cells, strict=True):
                _check_cell(experiment, options, precision, folder / f"{name}={value}")
            _check_summary(experiment, name, values, cells, precision, folder)
        _sweep(experiment, name, values, cells, precision, folder, force=force)


def _check_summary(
    experiment: Experiment, name: str, values: Sequence[Any], cells: Sequence[Common], precision: int, folder: Path
) -> None:
    """**Raises:** `ValueError` if the folder holds the summary of another sweep or the result of a single run."""
    there = read_manifest(folder)
    wanted: dict[str, Any] = {"over": name, **kept_apart(experiment, cells[0], precision)}
    if there is not None:
        # The swept option, and options that `adapt` fits to it, differ between the values.
        known = there["parameters"] if isinstance(there["parameters"], dict) else {}
        fitted = {k for cell in cells for k, v in kept_apart(experiment, cell, precision)["parameters"].items()
                  if v != wanted["parameters"][k]}  # fmt: skip
        wanted["parameters"] = {k: v for k, v in wanted["parameters"].items() if k in known and k not in fitted}
        earlier = there.get("values")
        if isinstance(earlier, list) and not set(map(str, earlier)) <= set(map(str, values)):
            wanted["values"] = list(values)
    check_replaceable(folder, wanted)


def _check_cell(experiment: Experiment, options: Common, precision: int, own: Path) -> None:
    if _finished(own, identity(experiment, options, precision)) is None:
        partial = Partial(own, identity(experiment, options, precision))
        if not (partial.exists() and partial.difference() is None):
            check_replaceable(own, kept_apart(experiment, options, precision))
            partial.check_fresh(force=False)


def _sweep(
    experiment: Experiment, name: str, values: Sequence[Any], cells: Sequence[Common], precision: int, folder: Path, *,
    force: bool,
) -> None:  # fmt: skip
    numbers: list[Mapping[str, Any]] = []
    for value, options in zip(values, cells, strict=True):
        own = folder / f"{name}={value}"
        finished = _finished(own, identity(experiment, options, precision), force=force)
        if finished is not None:
            Partial(own, {}).clear()
            print(f"{name} = {value}: already there, {own}", flush=True)
            numbers.append(finished)
            continue
        prepare(own)
        partial = Partial(own, identity(experiment, options, precision))
        go_on = partial.exists() and partial.difference() is None
        run_to_files(experiment, options, precision, own, resume=go_on, force=force, quiet=True)
        numbers.append(json.loads((own / "result.json").read_text())["results"])
    report = _summary(experiment, name, values, numbers, cells)
    common = identity(experiment, cells[0], precision)
    parameters = [identity(experiment, cell, precision)["parameters"] for cell in cells]
    # Parameters that all values share; those that differ (the swept option, options fitted to it) become lists.
    common["parameters"] = {k: v for k, v in parameters[0].items() if all(p[k] == v for p in parameters)}
    common["parameters_of_values"] = {
        k: [p[k] for p in parameters] for k in parameters[0] if k not in common["parameters"]
    }
    folders = [f"{name}={value}" for value in values]
    manifest = {
        **common,
        "device": device(),
        "table": report.table,
        "over": name,
        "values": list(values),
        "folders": folders,
    }
    paths = write(folder, report, manifest)
    print(f"\n{report.table}\n")
    for finding in report.findings:
        print(f"- {finding}")
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
    value: Any = numbers
    for part in path.split("."):
        value = value[part]
    return math.nan if value is None else float(value)


def _summary(
    experiment: Experiment,
    name: str,
    values: Sequence[Any],
    numbers: Sequence[Mapping[str, Any]],
    cells: Sequence[Common],
) -> Report:
    headline = experiment.headline
    found = np.array([_number(n, headline.number) for n in numbers])
    stderr = np.array([_number(n, headline.stderr) for n in numbers])
    exact = np.array(
        [_number(n, f"{headline.number}_exact") if _has(n, f"{headline.number}_exact") else math.nan for n in numbers]
    )
    sizes = [column for column in ("replicas", "particles", "nx", "nv") if getattr(cells[0], column, None) is not None]
    rows = [
        [
            str(v),
            f"{f:.5g}",
            f"{s:.2g}",
            f"{e:.5g}" if math.isfinite(e) else "",
            f"{o.dt:g}",
            *(str(getattr(o, column)) for column in sizes),
        ]
        for v, f, s, e, o in zip(values, found, stderr, exact, cells, strict=True)
    ]
    text = table([name, headline.label, "+-", "exact", "dt", *sizes], rows)
    arrays = {"values": np.array([float(v) if KINDS[name] is not str else i for i, v in enumerate(values)]), "headline": found,
              "headline_stderr": stderr, "exact": exact}  # fmt: skip
    results = {"headline": headline.number, "found": found.tolist(), "stderr": stderr.tolist(), "exact": exact.tolist()}
    findings = (
        f"{headline.label.capitalize()} of {experiment.name}; +- is {headline.error}. Each value has its own folder.",
    )
    return Report(text, findings, results, arrays, lambda: _draw(experiment, name, values, found, stderr, exact))


def _has(numbers: Mapping[str, Any], path: str) -> bool:
    value: Any = numbers
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _draw(
    experiment: Experiment, name: str, values: Sequence[Any], found: np.ndarray, stderr: np.ndarray, exact: np.ndarray
) -> Figure:
    figure, axes = look.new_figure(1, 1, size=(7.5, 5.2), title=f"{experiment.name} over {name}")
    ax = axes[0, 0]
    places = np.arange(len(values)) if KINDS[name] is str else np.array([float(v) for v in values])
    if np.isfinite(exact).any():
        ax.plot(places, exact, "D", mfc="none", mec=look.BLACK, ms=9, ls="none", label="exact")
    look.points(ax, places, found, stderr, label="measured")
    if KINDS[name] is str:
        ax.set_xticks(places, [str(v) for v in values])
    elif name in ("particles", "dt", "replicas", "steps") and places.min() > 0 and places.max() / places.min() > 5:
        ax.set_xscale("log")
    look.describe(ax, _SYMBOLS.get(name, name), experiment.headline.label, experiment.headline.label.capitalize())
    look.legend(ax)
    return figure
