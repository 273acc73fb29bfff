"""The README's section on accelerators, made from the JSON of bench_device.py that is kept in benchmarks/results.

    python benchmarks/_device_table.py            # write the section into README.md
    python benchmarks/_device_table.py FILE       # keep FILE as benchmarks/results/device_KIND.json, then write the section

Imports neither JAX nor the library. tests/command_line/test_bench_device.py compares README and JSON.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README = ROOT / "benchmarks" / "results", ROOT / "README.md"
BEGIN, END = "<!-- accelerator: written by benchmarks/_device_table.py -->", "<!-- end of accelerator -->"
NOTHING = (
    "On an accelerator nothing has been measured yet: neither a time, nor whether its results agree with the CPU's, nor "
    "whether a\nrestart is bitwise. `python benchmarks/bench_device.py` does all three in under eight minutes."
)
RESTARTS = ("restart", "restart_in_second_process")


def kept() -> list[tuple[str, dict[str, Any]]]:
    """(file name, content) of every measurement on an accelerator in benchmarks/results, in the order of names."""
    found = [(file.name, json.loads(file.read_text())) for file in sorted(RESULTS.glob("device_*.json"))]
    return [(name, content) for name, content in found if content["platform"] != "cpu" and not content["quick"]]


def section(results: list[tuple[str, dict[str, Any]]]) -> str:
    return "\n\n".join(one_device(name, content) for name, content in results) if results else NOTHING


def one_device(name: str, content: dict[str, Any]) -> str:
    versions = content["versions"]
    lines = [
        f"{content['device_kind']} (`{name}`, {content['date'][:10]}, commit {(content['commit'] or 'unknown')[:7]}, "
        f"JAX {versions['jax']}, Python {versions['python']}; `python benchmarks/bench_device.py`).",
        verified(content["verify"]),
        restarts(content["bitwise"]),
        repeated(content["bitwise"]),
        "",
        "| path | ms a step | rate | share of its ceiling |",
        "|---|---|---|---|",
        *(row(item, value) for item, value in content["time"].items()),
    ]
    return "\n".join(line for line in lines if line is not None)


def verified(checks: dict[str, Any]) -> str:
    failed = [name for name, value in checks.items() if not value["passed"]]
    more = f"; not: {', '.join(failed)}" if failed else ""
    return f"Checks that agree with the CPU: {len(checks) - len(failed)} of {len(checks)}{more}."


def restarts(bitwise: dict[str, Any]) -> str:
    """What held, and what did not; what raised or was not measured promises nothing."""
    runs = {name: value for name, value in bitwise.items() if not name.startswith("gradient")}
    held = [name for name, value in runs.items() if all(value.get(key) is True for key in RESTARTS)]
    other = [name for name in runs if name not in held]
    more = f"; not, or not measured: {'; '.join(other)}" if other else ""
    return f"Restarts that were bitwise, in one process and in two: {len(held)} of {len(runs)}{more}."


def repeated(bitwise: dict[str, Any]) -> str:
    gradients = {name.partition(", ")[2]: value for name, value in bitwise.items() if name.startswith("gradient")}
    other = [name for name, value in gradients.items() if value.get("repeats") is not True]
    more = f"; not, or not measured: {'; '.join(other)}" if other else ""
    return f"Gradients that gave the same bits at every call: {len(gradients) - len(other)} of {len(gradients)}{more}."


def row(name: str, value: dict[str, Any]) -> str:
    if "seconds_a_step" not in value:
        return f"| {name} | - | {value.get('skipped') or 'failed'} | |"
    share = f"{value['share']:.2g} of {value['ceiling']}" if "share" in value else ""
    return f"| {name} | {1e3 * value['seconds_a_step']:.3g} | {value['rate']:.3g} {value['unit']} | {share} |"


def summary(content: dict[str, Any]) -> list[str]:
    """What bench_device.py prints at its end."""
    return [
        content["device"],
        verified(content["verify"]),
        restarts(content["bitwise"]),
        repeated(content["bitwise"]),
    ] + [row(name, value) for name, value in content["time"].items()]


def current(readme: str) -> str:
    """The section that the README has."""
    return readme.partition(BEGIN)[2].partition(END)[0].strip("\n")


def keep(file: Path) -> Path:
    """**Raises:** `SystemExit` for a result that says nothing of an accelerator."""
    content = json.loads(file.read_text())
    if content["platform"] == "cpu" or content["quick"] or content["only"] or not content["done"]:
        sys.exit(f"{file} is of a CPU, quick, partial, or was stopped: not kept")
    kind = re.sub(r"\W+", "_", content["device_kind"]).strip("_").lower()
    return Path(shutil.copy(file, RESULTS / f"device_{kind}.json"))


def main() -> None:
    if len(sys.argv) > 1:
        print(keep(Path(sys.argv[1])))
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{section(kept())}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
