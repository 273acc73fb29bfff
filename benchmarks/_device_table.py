"""The section on accelerators of docs/performance.md, made from the JSONs of bench_device.py in benchmarks/results.

    python benchmarks/_device_table.py            # write docs/performance.md again
    python benchmarks/_device_table.py FILE...    # keep FILEs as one benchmarks/results/device_KIND.json, and write the page

Several FILEs are runs of one card, commit and set of versions, of all items or of some (`--only`); where two have an item, the
later one counts. Runs with XLA_FLAGS of their own are kept apart, under "with_flags", beside at least one without.

If a complete result of the card is kept and every FILE has some items only (`--only`), they are kept beside it, as
device_KIND_checked_again.json, and the section shows them after it. The next such call replaces this file; a complete result
removes it.

Imports neither JAX nor the library. tests/command_line/test_performance.py compares page and JSONs.
"""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from _device_report import SECTIONS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NOTHING = (
    "On an accelerator nothing has been measured yet: neither a time, nor whether its results agree with the CPU's, nor "
    "whether a\nrestart is bitwise. `python benchmarks/bench_device.py` does all three in under eight minutes."
)
RESTARTS = ("restart", "restart_in_second_process")
AGAIN = "_checked_again"
CEILINGS = ("copy", "instructions", "launches", "gather", "scatter", "sort", "fft")
# What files that are kept together share, and what the JSON says of each of them.
SHARED = ("device", "device_kind", "platform", "commit", "versions")
OF_A_RUN = ("date", "only", "deadline", "seconds", "threads", "load", "notes")
# How a run notes what it had no time for: (text before the name, section, text before the name there).
LATE = (
    ("not verified for want of time: ", "verify", ""),
    ("restart not tried for want of time: ", "bitwise", ""),
    ("gradient not repeated for want of time: ", "bitwise", "gradient, "),
    ("not compiled for want of time: ", "compile", ""),
    ("not profiled for want of time: ", "profile", ""),
)


def kept() -> list[tuple[str, dict[str, Any]]]:
    """(file name, content) of every measurement on an accelerator in benchmarks/results, in the order of names."""
    found = [(file.name, json.loads(file.read_text())) for file in sorted(RESULTS.glob("device_*.json"))]
    return [(name, content) for name, content in found if content["platform"] != "cpu" and not content["quick"]]


def section(results: list[tuple[str, dict[str, Any]]]) -> str:
    by_name = dict(results)
    parts = []
    for name, content in results:
        first = by_name.get(name.replace(f"{AGAIN}.json", ".json")) if name.endswith(f"{AGAIN}.json") else None
        parts.append(one_device(name, content) if first is None else checked_again(name, content, first))
    return "\n\n".join(parts) if parts else NOTHING


def code_of(content: dict[str, Any]) -> str:
    """A run of files that were changed after a commit is not a run of that commit."""
    commit = content["commit"] or "unknown"
    return f"commit {commit[:7]}{' with uncommitted changes' if commit.endswith('-dirty') else ''}"


def one_device(name: str, content: dict[str, Any]) -> str:
    versions = content["versions"]
    head = (
        f"{content['device_kind']}, JAX {versions['jax']}, Python {versions['python']}, {content['date'][:10]}, "
        f"{code_of(content)} (`{name}`, written by `benchmarks/bench_device.py`):"
    )
    limits, paths = in_two(content["time"])
    found = [*sentences(content), *with_flags(content), *missing(content["notes"])]
    if limits:
        found.append(f"Limits measured on the card: {', '.join(limits)}.")
    lines = [wrapped(head), "", *(wrapped(sentence, "- ") for sentence in found)]
    if paths:
        lines += [
            "", "| path | ms a step | rate | share: time at the limit / time measured |", "|---|---|---|---|",
            *(row(item, value) for item, value in largest(paths).items()),
        ]  # fmt: skip
    return "\n".join(lines)


def checked_again(name: str, content: dict[str, Any], first: dict[str, Any]) -> str:
    """What a partial run of a card gave after its complete result `first`, and what did not hold there and holds here."""
    now = holding(content)
    mended = [item for item, held in holding(first).items() if not held and now.get(item)]
    when = f"{content['date'][:10]}, {code_of(content)} (`{name}`)"
    head = f"Some items were checked again with JAX {content['versions']['jax']}, {when}."
    change = f" These did not hold above and hold here: {quoted(mended)}." if mended else ""
    found = [*sentences(content), *with_flags(content), *missing(content["notes"])]
    return wrapped(f"{head}{change} {' '.join(found)}")


def holding(content: dict[str, Any]) -> dict[str, bool]:
    """Every check, restart and repeated gradient: whether it holds, by the rules of `sentences`."""
    bitwise = {
        name: value.get("repeats") is True if name.startswith("gradient") else restarted(value)
        for name, value in content["bitwise"].items()
    }
    return {name: value["passed"] for name, value in content["verify"].items()} | bitwise


def wrapped(text: str, mark: str = "") -> str:
    return textwrap.fill(
        text,
        128,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def sentences(content: dict[str, Any]) -> list[str]:
    """What the checks, the restarts and the repeated gradients gave; nothing of a part that was not run."""
    out = [verified(content["verify"])] if content["verify"] else []
    return out + ([restarts(content["bitwise"]), repeated(content["bitwise"])] if content["bitwise"] else [])


def with_flags(content: dict[str, Any]) -> list[str]:
    other = content.get("with_flags", {})
    return [
        f"With `XLA_FLAGS={flags}`: {' '.join(sentences(part))}" for flags, part in other.items() if sentences(part)
    ]


def missing(notes: list[str]) -> list[str]:
    late = [name for name, _, _ in filter(None, map(item_of, notes))]
    return [f"Not measured for want of time: {quoted(late)}."] if late else []


def verified(checks: dict[str, Any]) -> str:
    failed = [name for name, value in checks.items() if not value["passed"]]
    more = f"; not: {quoted(failed)}" if failed else ""
    return f"Checks that agree with the CPU: {len(checks) - len(failed)} of {len(checks)}{more}."


def quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def restarts(bitwise: dict[str, Any]) -> str:
    """What held, and what did not; what raised or was not measured promises nothing."""
    runs = {name: value for name, value in bitwise.items() if not name.startswith("gradient")}
    held = [name for name, value in runs.items() if restarted(value)]
    kinds: dict[str, list[str]] = {}
    for name, value in runs.items():
        if name not in held:
            kinds.setdefault(why_not(value), []).append(name)
    more = "".join(f"; {kind}: {quoted(names)}" for kind, names in kinds.items())
    return f"Restarts that are bitwise in the same process and in a second one: {len(held)} of {len(runs)}{more}."


def restarted(value: dict[str, Any]) -> bool:
    return all(value.get(key) is True for key in RESTARTS)


def why_not(value: dict[str, Any]) -> str:
    if value.get("restart") is False:
        return "not even in the same process"
    if value.get("restart") is True and value.get("restart_in_second_process") is False:
        return "not in a second process"
    return "not measured"


def repeated(bitwise: dict[str, Any]) -> str:
    gradients = {name.partition(", ")[2]: value for name, value in bitwise.items() if name.startswith("gradient")}
    other = [name for name, value in gradients.items() if value.get("repeats") is not True]
    more = f"; not, or not measured: {quoted(other)}" if other else ""
    return f"Gradients that have the same bits at every call: {len(gradients) - len(other)} of {len(gradients)}{more}."


def in_two(times: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The ceilings as text, and the paths that are held against them."""
    limits = [
        f"{name} {in_thousands(times[name]['rate'])}{times[name]['unit']}"
        for name in CEILINGS
        if "rate" in times.get(name, {})
    ]
    return limits, {name: value for name, value in times.items() if name not in CEILINGS}


def in_thousands(number: float) -> str:
    """Three digits and a prefix: 3.48e12 is '3.48 T '."""
    power = next(power for power in (4, 3, 2, 1, 0) if number >= 1000**power or power == 0)
    return f"{number / 1000**power:.3g} {('', 'k ', 'M ', 'G ', 'T ')[power]}"


def largest(paths: dict[str, Any]) -> dict[str, Any]:
    """Of several sizes of a path the last one that was timed, else the last one."""
    kept: dict[str, str] = {}
    for name, value in paths.items():
        path = name.partition(", N =")[0]
        if path not in kept or "seconds_a_step" in value or "seconds_a_step" not in paths[kept[path]]:
            kept[path] = name
    return {name: paths[name] for name in kept.values()}


def row(name: str, value: dict[str, Any]) -> str:
    if "seconds_a_step" not in value:
        return f"| {name} | - | {value.get('skipped') or 'failed'} | |"
    share = f"{value['share']:.2g} of {value['ceiling']}" if "share" in value else ""
    return f"| {name} | {1e3 * value['seconds_a_step']:.3g} | {value['rate']:.3g} {value['unit']} | {share} |"


def summary(content: dict[str, Any]) -> list[str]:
    """What bench_device.py prints at its end."""
    return [content["device"], *sentences(content), *(row(name, value) for name, value in content["time"].items())]


def item_of(note: str) -> tuple[str, str, str] | None:
    """(name, section, key) of an item for which a run had no time; None for any other note."""
    for text, part, before in LATE:
        if note.startswith(text):
            name = note.removeprefix(text)
            return name, part, before + name
    return None


def merged(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The union of runs with the same flags: a later one counts where two have an item. Notes of items that another run did
    are left out, except in `runs`."""
    out: dict[str, Any] = {part: {} for part in SECTIONS}
    for content in results:
        for part in SECTIONS:
            out[part] |= content.get(part, {})
    notes = [note for content in results for note in content["notes"]]
    late = {note: item_of(note) for note in notes}
    done = {note for note, item in late.items() if item is not None and item[2] in out[item[1]]}
    out["notes"] = list(dict.fromkeys(note for note in notes if note not in done))
    out["runs"] = [{key: content[key] for key in OF_A_RUN if key in content} for content in results]
    return out


def is_complete(file: Path) -> bool:
    """Whether `file` is a kept result that contains a run of all items."""
    return file.exists() and any(not run["only"] for run in json.loads(file.read_text())["runs"])


def keep(files: list[Path]) -> Path:
    """**Raises:** `SystemExit` for a result that says nothing of an accelerator, and for files that do not belong together."""
    results = [(file, json.loads(file.read_text())) for file in files]
    (first, one), *others = results
    for file, content in results:
        if content["platform"] == "cpu" or content["quick"] or not content["done"]:
            sys.exit(f"{file} is of a CPU, quick, or was stopped: not kept")
    for file, content in others:
        for key in SHARED:
            if content[key] != one[key]:
                sys.exit(f"{file} and {first} differ in `{key}`, so they are not kept as one result")
    by_flags: dict[str, list[dict[str, Any]]] = {}
    for _, content in results:
        by_flags.setdefault(content.get("flags", ""), []).append(content)
    if "" not in by_flags:
        sys.exit(f"{first} was run with XLA_FLAGS: it is kept only beside a run without")
    head = {key: value for key, value in by_flags[""][0].items() if key not in (*SECTIONS, *OF_A_RUN, "flags")}
    content = {**head, "date": by_flags[""][0]["date"], **merged(by_flags.pop(""))}
    content["with_flags"] = {flags: merged(some) for flags, some in by_flags.items()}
    kind = re.sub(r"\W+", "_", content["device_kind"]).strip("_").lower()
    complete, again = RESULTS / f"device_{kind}.json", RESULTS / f"device_{kind}{AGAIN}.json"
    beside = is_complete(complete) and all(run["only"] for _, run in results)
    target = again if beside else complete
    target.write_text(json.dumps(content, indent=1) + "\n")
    if target == complete:
        again.unlink(missing_ok=True)
    return target


def main() -> None:
    if len(sys.argv) > 1:
        print(keep([Path(name) for name in sys.argv[1:]]))
    # Here, because it imports this module.
    import performance

    performance.write()


if __name__ == "__main__":
    main()
