"""What every benchmark shares: options, timing, the table, the JSON. Nothing here imports JAX before `options` is done."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Entry:
    """One line of a benchmark.

    `prepare(N)` gives a function of no argument that does the work once and waits for it, or raises `Skip`. `work(N)` is
    how many `unit`s that is; it is asked after the calls. `rival_of` names the entry that this one competes with, in the same
    run. `extra(N)`: further numbers for the JSON.
    """

    name: str
    unit: str
    work: Callable[[int], float]
    prepare: Callable[[int], Callable[[], Any]]
    largest: int
    rival_of: str | None = None
    extra: Callable[[int], dict[str, float]] | None = None


class Skip(Exception):
    """Why an entry cannot run here, or at this size."""


@dataclass(frozen=True)
class Result:
    name: str
    size: int
    unit: str
    best: float
    median: float
    seconds: float
    repeats: int
    rival_of: str | None
    extra: dict[str, float]


def options(
    description: str,
    sizes: Sequence[int],
    quick: Sequence[int],
    *,
    of: str = "numbers of particles",
    switches: Sequence[tuple[str, str]] = (),
) -> argparse.Namespace:
    """Command line; with `--cores 1` the process starts again bound to one core, so that every library sees one. `switches`:
    (name, help) of further options that are on or off."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(sizes), help=of)
    parser.add_argument("--quick", action="store_true", help=f"sizes {list(quick)}, one repetition")
    parser.add_argument("--only", default="", help="entries whose name contains this")
    parser.add_argument("--json", type=Path, help=f"where to write the figures (say {RESULTS.name}/NAME.json)")
    parser.add_argument("--cores", type=int, help="bind to this many cores; default: all that there are")
    for name, meaning in switches:
        parser.add_argument(name, action="store_true", help=meaning)
    chosen = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    if chosen.cores and chosen.cores < len(available):
        os.sched_setaffinity(0, available[: chosen.cores])
        os.execv(sys.executable, [sys.executable, *sys.argv])
    chosen.cores = len(available)
    os.environ.setdefault("NUMBA_NUM_THREADS", str(chosen.cores))
    if chosen.quick:
        chosen.sizes = list(quick)
    return chosen


def measure(call: Callable[[], Any], *, at_least: float = 0.3) -> tuple[float, float, int]:
    """(best, median, repetitions) of the seconds a call takes, after one that is not counted; three at least, or one of
    more than 5 s."""
    call()
    times: list[float] = []
    while not times or sum(times) < at_least or (len(times) < 3 and at_least > 0 and sum(times) < 5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times), len(times)


def run(entries: Sequence[Entry], chosen: argparse.Namespace) -> list[Result]:
    """Every entry at every size, a line as it comes."""
    results, notes = [], []
    for size in chosen.sizes:
        for entry in entries:
            if chosen.only not in entry.name:
                continue
            if size > entry.largest:
                notes.append(f"{entry.name}: not above N = {entry.largest}")
                continue
            try:
                call = entry.prepare(size)
            except Skip as reason:
                notes.append(f"{entry.name}: {reason}")
                continue
            best, median, repeats = measure(call, at_least=0.0 if chosen.quick else 0.3)
            work = entry.work(size)
            extra = entry.extra(size) if entry.extra else {}
            rates = work / best, work / median
            results.append(Result(entry.name, size, entry.unit, *rates, best, repeats, entry.rival_of, extra))
            print(f"  {entry.name}, N = {size}: {work / best:.4g} {entry.unit}", file=sys.stderr, flush=True)
    for note in dict.fromkeys(notes):
        print(f"  skipped: {note}", file=sys.stderr)
    return results


def table(results: Sequence[Result]) -> str:
    """Rates, and beside a competitor the share of its rate that ours reaches at the same size."""
    from jaxkinetic.experiments._harness.report import table

    best = {(r.name, r.size): r.best for r in results}
    rows = []
    for r in sorted(results, key=lambda r: r.size):
        ours = best.get((r.rival_of, r.size)) if r.rival_of else None
        share = f"{ours / r.best:.2f}" if ours else ""
        rows.append([str(r.size), r.name, f"{r.best:.4g}", f"{r.median:.4g}", r.unit, share, r.rival_of or ""])
    return table(["N", "what", "best", "median", "unit", "ours/this", "ours"], rows)


def finish(results: Sequence[Result], chosen: argparse.Namespace) -> None:
    """Print the table; write the JSON if it was asked for."""
    print(table(results))
    write(results, chosen, "one call not counted, then 0.3 s and 3 calls at least, or one of more than 5 s")


def write(results: Sequence[Result], chosen: argparse.Namespace, method: str) -> None:
    """The JSON, if it was asked for. `method`: how the times were taken."""
    write_rows([asdict(result) for result in results], chosen, method)


def write_rows(rows: Sequence[dict[str, Any]], chosen: argparse.Namespace, method: str) -> None:
    """As `write`, for measurements that are not rates."""
    if not chosen.json:
        return
    content = {**provenance(chosen.cores), "method": method, "results": list(rows)}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def provenance(cores: int) -> dict[str, Any]:
    """Where and when a result was measured: what every JSON begins with."""
    from jaxkinetic._io.manifest import commit, device

    versions = {"python": platform.python_version()}
    for package in ("jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "numba", "pykeops"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "benchmark": Path(sys.argv[0]).name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "device": device(),
        "machine": _processor(),
        "cores": cores,
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"{name}, {platform.machine()}, {platform.system()}"
