"""Coverage of the error bars of `jaxkinetic run infer`: many seeds, each with its own hidden parameters, data and noise.

    python benchmarks/infer_seeds.py --system landau [--seeds 20] [--json benchmarks/results/infer_landau.json]

The JSON is complete after every seed; seeds that it holds, with the same options, are not run again.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from _harness import RESULTS, provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--system", choices=("annihilation", "landau", "vlasov"), required=True)
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds: 0, 1, ...")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/infer_SYSTEM.json")
    chosen = parser.parse_args()
    path = chosen.json or RESULTS / f"infer_{chosen.system}.json"

    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxkinetic.experiments.catalogue._inference import infer
    from jaxkinetic.experiments.catalogue.infer import Infer

    experiment = Infer.of({"system": chosen.system})
    options = {name: value for name, value in experiment.values().items() if name != "seed"}
    known = json.loads(path.read_text()) if path.exists() else {}
    rows = known.get("results", []) if known.get("options") == options else []
    for seed in range(chosen.seeds):
        if any(row["seed"] == seed for row in rows):
            continue
        start = time.perf_counter()
        found = infer(experiment.case(), seed)
        simulated = [float(found.fit.simulation_stderr[name]) for name in found.names]
        row = {
            "seed": seed, "truth": found.truth.tolist(), "estimate": found.estimate.tolist(),
            "stderr": found.stderr.tolist(), "simulation_stderr": simulated, "z": found.z.tolist(),
            "inside": found.inside.tolist(), "reduced_chi2": found.fit.chi2, "steps": len(found.fit.history.loss),
            "evaluations": found.fit.evaluations, "status": found.fit.result.status,
            "seconds": round(time.perf_counter() - start, 2),
        }  # fmt: skip
        rows.append(row)
        write(path, found.names, options, rows)
        print(seed, " ".join(f"{value:+.2f}" for value in row["z"]), f"{row['seconds']} s", flush=True)
    print(json.dumps(summary(rows)))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every parameter: how many intervals of 95 % hold the truth, and the mean of z^2."""
    columns = list(zip(*(row["z"] for row in rows), strict=True))
    return {
        "seeds": len(rows),
        "inside": [sum(column) for column in zip(*(row["inside"] for row in rows), strict=True)],
        "mean_z": [sum(column) / len(column) for column in columns],
        "mean_z2": [sum(z * z for z in column) / len(column) for column in columns],
        "mean_reduced_chi2": sum(row["reduced_chi2"] for row in rows) / len(rows),
    }


def write(path: Path, names: tuple[str, ...], options: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    method = "fits by Levenberg-Marquardt; seconds include the compilation in the first seed of a process"
    content = {
        **provenance(len(os.sched_getaffinity(0))), "method": method, "options": options, "parameters": names,
        "summary": summary(rows), "results": rows,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
