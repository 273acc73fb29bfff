"""docs/performance.md, made from benchmarks/performance.template.md and the JSONs in benchmarks/results.

    python benchmarks/performance.py

The template holds the sentences. What stands in double braces is a Python expression over the functions of `names`: a number
gets two significant digits, `{{ x | 3 }}` three. Imports neither JAX nor the library.
"""

import json
import re
import statistics
from pathlib import Path
from typing import Any

import _device_table
from _claims_numbers import rounded, without_zero

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEMPLATE, PAGE = ROOT / "benchmarks" / "performance.template.md", ROOT / "docs" / "performance.md"
_EXPRESSION = re.compile(r"\{\{ (.+?)(?: \| (\d))? \}\}")
_CORES = {1: "one core", 2: "two cores"}


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


class Rows:
    """The rows of one benchmark: `rows(name, size)` is its best rate."""

    def __init__(self, name: str):
        self.name, self.content = name, read(name)

    def row(self, name: str, size: int | None = None) -> dict[str, Any]:
        (found,) = (x for x in self.content["results"] if x.get("name") == name and size in (None, x.get("size")))
        return found

    def __call__(self, name: str, size: int) -> float:
        return self.row(name, size)["best"]

    def seconds(self, name: str, size: int) -> float:
        return self.row(name, size)["seconds"]

    def extra(self, name: str, size: int, key: str) -> float:
        return self.row(name, size)["extra"][key]

    def spread(self) -> float:
        """The largest share by which the median of the calls of an entry is slower than the best one."""
        return max(1 - x["median"] / x["best"] for x in self.content["results"])

    @property
    def about(self) -> str:
        """Machine, versions, commit, date, file and command."""
        content = self.content
        machine = content["machine"].partition(",")[0]
        command = f"`python benchmarks/{content['benchmark']}`"
        return (
            f"{machine}, {_CORES[content['cores']]}, JAX {content['versions']['jax']}, {content['date'][:10]}, "
            f"{_device_table.code_of(content)} (`{self.name}.json`, {command})."
        )


class FirstCalls(Rows):
    def first(self, name: str) -> float:
        return self.row(name)["seconds"]

    def systems(self) -> int:
        return len(self._all(""))

    def median(self, kind: str) -> float:
        return statistics.median(self._all(kind))

    def _all(self, kind: str) -> list[float]:
        rows = self.content["results"]
        return [x["seconds"] for x in rows if x["name"].endswith(", gradient") == bool(kind)]


class Launches:
    """`launches(path)`: kernels that a step, a window or a sum launches."""

    def __init__(self):
        content = read("aot_h100")
        self.jax, self.date = content["jax"], content["date"]
        self.paths = {path["path"]: path for path in content["paths"]}

    def __call__(self, path: str) -> float:
        return self.paths[path]["kernels"]

    def bytes(self, path: str) -> int:
        return self.paths[path]["temp_bytes"]

    def largest_syncs(self) -> int:
        return round(max(path["syncs"] for path in self.paths.values()))


def names() -> dict[str, Any]:
    """What the expressions of the template may use."""
    pde, gradients = Rows("pde_cpu_2cores"), Rows("gradients_cpu_2cores")
    solvers, costs = pde.content["results"], gradients.content["results"]

    def one(rows: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
        (found,) = (x for x in rows if all(x.get(key) == value for key, value in given.items()))
        return found

    def gradient_rows() -> str:
        timed = [x for x in costs if "ratio" in x]
        return "\n".join(f"| {x['name']} | {two(x['ratio'])} | {two(x['gradient_ms'])} |" for x in timed)

    return {
        "pairs": Rows("pairs_cpu_1core"), "jumps": Rows("jumps_cpu_2cores"), "micro": Rows("microcanonical_cpu_2cores"),
        "compiled": FirstCalls("compile_cpu_1core"), "vlasov": Rows("vlasov_cpu_1core"), "nbody": Rows("nbody_cpu_1core"),
        "measuring": Rows("measuring_cpu_2cores"), "pde": pde, "gradients": gradients, "gradient_rows": gradient_rows,
        "isotropic": lambda name, num: one(solvers, solver="landau.IsotropicPDE", name=name, num=num, dim=3),
        "nodes": lambda num: one(solvers, solver="boltzmann.IsotropicPDE", nodes=num),
        "exponent": lambda kind: next(x["exponent"] for x in costs if x.get("estimator") == kind and "exponent" in x),
        "spread": lambda kind, size: one(costs, estimator=kind, size=size)["relative"],
        "device": read("device_nvidia_h200"), "again": read("device_nvidia_h200_checked_again"),
        "took": lambda check, content: content["verify"][f"{check}, float64"]["seconds"],
        "accelerators": lambda: _device_table.section(_device_table.kept()), "aot": Launches(),
    }  # fmt: skip


def two(value: float, digits: int = 2) -> str:
    """.39, 2.7, 47, 120; below 1e-3 with a power of ten: 1.1e-6."""
    if 0 < abs(value) < 1e-3:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(power)}"
    return without_zero(rounded(value, digits))


def page(template: str) -> str:
    known = names()

    def filled(match: re.Match) -> str:
        value = eval(match[1], dict(known))
        return (
            value
            if isinstance(value, str)
            else str(value)
            if isinstance(value, int)
            else two(value, int(match[2] or 2))
        )

    return _EXPRESSION.sub(filled, template)


def write() -> None:
    PAGE.write_text(page(TEMPLATE.read_text()))


if __name__ == "__main__":
    write()
