"""The table of gradients: for every system, scheme and leaf, which derivative of a mean exists.

    python benchmarks/gradient_table.py            # writes benchmarks/results/gradient_table.json and docs/gradients.md
    python benchmarks/gradient_table.py --page     # writes docs/gradients.md from the JSON

The kinds are found by `jk.gradient_kinds`; tests/contract/test_gradient_table.py compares each with finite differences.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "gradient_table.json", ROOT / "docs" / "gradients.md"
FAMILIES = {
    "landau": "Landau systems",
    "boltzmann": "Boltzmann systems",
    "vlasov": "Vlasov systems",
}
Content = dict[str, dict[str, Any]]

_BEFORE = """# Gradients

Written by `python benchmarks/gradient_table.py` from `jk.gradient_kinds`: do not edit.

The derivative of a mean, E of an observable at a later time, with respect to a parameter or to the initial state can be
computed in two ways.

- A **pathwise** derivative is that of each path at fixed random numbers. `jax.grad` of `jk.simulate` computes it. It is right
  where a small change of the parameter moves every path a little: for diffusions, pair flows, fields and grids.
- A **score** is needed where the parameter changes the probability of a decision: whether a pair jumps, whether it is
  annihilated. At fixed random numbers a decision stays the same for almost every small change of the parameter, so that the
  pathwise derivative is 0, although the mean does change: for rare random numbers the path becomes another one. The score is
  d log P(decision); multiplied by the observable and averaged, it gives exactly the missing part. `jk.expectation` adds it,
  each decision's score multiplied only by what this decision can influence.

Jump processes (`ExactClock`, `TauLeap`) therefore need scores for all that sets their rates: strengths, the volume, exponents,
and the velocities unless the rate is constant. A derivative that would need a score raises `ValueError` in `jk.simulate`,
because there it would be biased; use `jk.expectation`. Its standard error is reported beside it: a score is a random variable
with a spread of its own.

| kind | meaning | tool |
|---|---|---|
| pathwise | moves the paths | `jax.grad` of `jk.simulate`, or `jk.expectation` |
| score | decides which events happen | `jk.expectation` |
| both | the sum of the two | `jk.expectation` |
| zero | does not enter the result: the derivative is exactly 0 | |
| infinite | a probability is exactly 0 or 1, where no score exists: raises where it is known | see the notes |
| raises | `ValueError` with the reason | see the notes |

A derivative with respect to dt raises for jump processes, because dt decides which events happen; elsewhere it is pathwise. The
initial state is listed as `state`; a start that is drawn with `jk.random.bernoulli`, such as a random number of particles, adds
a score in `jk.expectation`. Axes of grids are not listed. For your own system call `jk.gradient_kinds(system, state, scheme)`,
which traces one step and runs nothing. That a derivative exists does not make it useful: see
[when gradients fail](when_gradients_fail.md).
"""


def measure() -> Content:
    """name of a row -> its family, system, scheme and kinds."""
    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "contract")]
    from gradient_rows import rows  # pyright: ignore[reportMissingImports]

    import jaxkinetic as jk

    found = {}
    for row in rows():
        kinds = jk.gradient_kinds(row.system, row.state, row.scheme)
        leaves = {name: kind._asdict() for name, kind in kinds.items()}
        scheme = type(row.scheme).__name__
        found[row.name] = {"family": row.family, "system": row.system_name, "scheme": scheme, "leaves": leaves}
    return found


def read() -> Content:
    return json.loads(RESULTS.read_text())


def page(content: Content) -> str:
    """The page of the documentation: one row for a system, the schemes with the same kinds, and the leaves of one kind."""
    lines, notes = [_BEFORE], {}
    for family, title in FAMILIES.items():
        lines += [f"## {title}", "", "| system | schemes | leaves | kind | why |", "|---|---|---|---|---|"]
        schemes: dict[tuple[str, str], list[str]] = {}
        for entry in content.values():
            if entry["family"] == family:
                schemes.setdefault((entry["system"], json.dumps(entry["leaves"])), []).append(entry["scheme"])
        systems = [system.partition("(")[0] for system, _ in schemes]
        for (system, leaves), names in sorted(
            schemes.items(), key=lambda item: systems.index(item[0][0].partition("(")[0])
        ):
            kinds: dict[tuple[str, str, str], list[str]] = {}
            for leaf, kind in json.loads(leaves).items():
                kinds.setdefault((kind["kind"], kind["reason"], kind["instead"]), []).append(f"`{leaf}`")
            for (kind, reason, instead), found in kinds.items():
                if kind in ("raises", "infinite"):
                    number = notes.setdefault(
                        f"{reason[:1].upper()}{reason[1:]}. Use instead: {instead}.", len(notes) + 1
                    )
                    reason = f"note {number}"
                lines.append(f"| {system} | {', '.join(names)} | {', '.join(found)} | {kind} | {reason} |")
        lines.append("")
    lines += ["## Notes", "", *(f"{number}. {note}" for note, number in notes.items()), ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--page", action="store_true", help="write the page from the JSON, and find nothing again")
    if not parser.parse_args().page:
        RESULTS.write_text(json.dumps(measure(), indent=1, allow_nan=False) + "\n")
    PAGE.write_text(page(read()))


if __name__ == "__main__":
    main()
