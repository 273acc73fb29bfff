"""The atlas of chaos: measured exponents of every system, interaction and dimension, each study run once.

    python benchmarks/chaos_atlas.py [--only REGEX] [--runs 1000] [--json FILE]    # measure what FILE lacks, study by study
    python benchmarks/chaos_atlas.py --list                                        # names, and whether they are measured
    python benchmarks/chaos_atlas.py --table                                       # write docs/chaos_atlas.md from the JSON

FILE (benchmarks/results/chaos_atlas.json) is complete after every study; a study that it holds is not run again.
"""

import argparse
import datetime
import json
import os
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "chaos_atlas.json", ROOT / "docs" / "chaos_atlas.md"
SEED = 22
# In the order of the page.
FAMILIES = ("kac", "independent", "root", "microcanonical", "annihilation", "torus", "law", "HMF")


def studies() -> dict[str, tuple[Any, int, dict[str, Any]]]:
    """name -> (plan, steps, arguments of `chaos_study`)."""
    from jaxkinetic.experiments.catalogue import _chaos_systems as plans

    found: dict[str, tuple[Any, int, dict[str, Any]]] = {}
    for noise in ("kac", "independent", "root"):
        for dim in (3, 2):
            for gamma in (0.0, -1.0, -2.0, -3.0):
                if gamma >= -dim:
                    plan = partial(plans.landau, gamma, dim, 64, 0.025 if noise == "kac" else 0.05, noise)
                    found[f"{noise}, gamma = {gamma:g}, d = {dim}"] = plan, 4, {}
    for dim in (3, 2):
        for gamma in (0.0, -1.0, -2.0, -3.0):
            if gamma >= -dim:
                found[f"microcanonical, gamma = {gamma:g}, d = {dim}"] = (
                    partial(plans.microcanonical, gamma, dim, 64, 0.2),
                    1,
                    {},
                )
    found["microcanonical, gamma = 0, d = 3, h ~ 1/N"] = (
        partial(plans.microcanonical, 0.0, 3, 64, 0.2, couple="N"),
        1,
        {},
    )
    for gamma, name in ((0.0, "Maxwell"), (1.0, "hard spheres")):
        for dim in (3, 2):
            found[f"annihilation, {name}, d = {dim}"] = (
                partial(plans.annihilation, gamma, dim, 512),
                1,
                {"replicas": 4096},
            )
    for noise in ("root", "independent", "kac"):
        found[f"torus, {noise}, d = 1"] = partial(plans.torus, 128, 0.02, 0.5, noise), 50, {"replicas": 4096}
    for noise in ("independent", "kac"):
        found[f"law of N = 2 to 6, {noise}, d = 1"] = partial(plans.liouville, noise=noise), 10, {}
    found["HMF, d = 1"] = plans.hmf, 20, {"replicas": 20_000}
    return found


def measure(file: Path, only: str, runs: int) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxkinetic as jk

    content = read(file)
    for name, (plan, steps, given) in studies().items():
        if name in content or not re.search(only, name):
            continue
        begin, chosen = time.perf_counter(), plan()
        try:
            study = jk.chaos_study(
                **chosen.given(), key=jax.random.key(SEED), times=[chosen.dt * steps], **{"replicas": runs, **given}
            )
        except (ValueError, jk.SimulationError) as error:
            print(f"{name}: {error}", flush=True)
            continue
        record = json.loads(study.to_json())
        seconds = time.perf_counter() - begin
        device = f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind}"
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Read again: another process may have measured something else meanwhile.
        content = read(file)
        content[name] = {
            "device": device,
            "date": date,
            "seconds": seconds,
            "notes": list(chosen.notes),
            "study": record,
        }
        text = json.dumps(content, indent=1, allow_nan=False)
        file.with_suffix(".partial").write_text(text + "\n")
        os.replace(file.with_suffix(".partial"), file)
        print(f"{name}: {seconds:.0f} s\n{study.table()}", flush=True)


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def page(content: dict[str, Any]) -> str:
    """The page of the documentation."""
    from jaxkinetic.chaos.report import plain

    lines = [
        "# The atlas of chaos",
        "",
        "Written by `python benchmarks/chaos_atlas.py --table` from `benchmarks/results/chaos_atlas.json`: do not edit.",
        "",
        "Distances between N particles and their limit decay as N^-p. One row is one distance of one system at one time; p is "
        'measured by `jk.chaos_study`, with one standard error over the runs and over the N that are fitted. "Theorem" is a '
        'bound, or says that the theorem gives no rate. "Predicted" comes from exact moment equations or from formal '
        "fluctuation theory; it is blank where theory is silent.",
        "",
        "| system | t | quantity | theorem | predicted | measured p | N | runs of each N |",
        "|---|---|---|---|---|---|---|---|",
    ]
    content = {name: content[name] for family in FAMILIES for name in content if name.startswith(family)}
    for name, entry in content.items():
        study = entry["study"]
        for quantity, exponent in study["exponents"].items():
            theory, series = study["theory"].get(quantity, {}), study["series"][quantity]
            source = f" [{theory['source']}]" if theory.get("source") and theory.get("theorem") else ""
            predicted = "" if theory.get("predicted") is None else f"{theory['predicted']:g}"
            value = exponent["value"]
            measured = plain(value, exponent["stderr"]) if value is not None else exponent["statement"]
            used = exponent["used"]
            where = f"{used[0]} to {used[-1]}" if used else "none"
            quantity = quantity.replace("|", "\\|")
            lines.append(
                f"| {name} | {study['time']:g} | {quantity} | {theory.get('theorem', '')}{source} | {predicted} | {measured} | "
                f"{where} | {max(series['replicas'])} |"
            )
    lines += ["", "## Notes", ""]
    notes: dict[str, list[str]] = {}
    for name, entry in content.items():
        for note in entry["notes"]:
            notes.setdefault(note, []).append(name)
    lines += [f"- {', '.join(names)}: {note}" for note, names in notes.items() if note]
    devices = sorted({entry["device"] for entry in content.values()})
    lines += ["", f"Measured on {' and '.join(devices)} (two cores), in minutes for each study.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--only", default="", help="a regular expression: studies whose name matches")
    parser.add_argument("--runs", type=int, default=1000, help="runs of each N, where a study does not say more")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if chosen.table:
        PAGE.write_text(page(read(chosen.json)))
    elif chosen.list:
        content = read(chosen.json)
        print("\n".join(f"{'measured' if name in content else '        '}  {name}" for name in studies()))
    else:
        measure(chosen.json, chosen.only, chosen.runs)


if __name__ == "__main__":
    main()
