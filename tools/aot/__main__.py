"""Counts of every path, printed and written to a JSON: `JAX_PLATFORMS=cpu python tools/aot --json FILE`."""

import argparse
import json
import re
import time
from pathlib import Path

import jax
from compile import compiled
from paths import PATHS


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what runs launch on an H100, without one.")
    parser.add_argument("--only", default="", help="paths whose name holds this regular expression")
    parser.add_argument("--quick", action="store_true", help="the paths of the test suite")
    parser.add_argument("--json", type=Path, help="where to write the counts")
    options = parser.parse_args()
    rows = []
    for path in PATHS:
        if not re.search(options.only, path.name) or (options.quick and not path.quick):
            continue
        found = compiled(*path.make(), trips=path.trips)
        counts = found.program.counts()
        row = {
            "path": path.name,
            "kernels": counts.kernels / path.steps,
            "syncs": counts.syncs / path.steps,
            "library": {name: number / path.steps for name, number in counts.library.items()},
            "scatters": found.program.instructions("scatter"),
            "temp_bytes": found.temp_bytes,
            "lower_s": found.lower_s,
            "compile_s": found.compile_s,
            "loops": found.program.loops(),
            "kernels_before": path.before[0],
            "syncs_before": path.before[1],
            "kernels_goal": path.goal[0],
            "syncs_goal": path.goal[1],
        }
        rows.append(row)
        late = "" if round(row["kernels"]) <= path.goal[0] and row["syncs"] <= path.goal[1] else "  MISSED"
        print(
            f"{path.name:46s} kernels {row['kernels']:10.1f} (before {path.before[0]:g}, goal {path.goal[0]:g})  syncs "
            f"{row['syncs']:6.2f} ({path.before[1]:g}, {path.goal[1]:g})  temp {found.temp_bytes / 1e6:7.1f} MB  "
            f"{found.lower_s + found.compile_s:5.1f} s{late}",
            flush=True,
        )
    if options.json:
        text = {"card": "H100 (description)", "jax": jax.__version__, "date": time.strftime("%Y-%m-%d"), "paths": rows}
        options.json.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
