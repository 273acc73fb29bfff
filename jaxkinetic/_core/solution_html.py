"""A solution as a table for notebooks."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._util.checks import is_traced
from .._util.html import table
from .._util.printing import num_bytes, printed
from .columns import entry_name
from .run_manifest import system_of
from .solution import Solution

__all__ = ["html_of"]

# Rows that a part of the table has at most.
_ROWS = 40


def html_of(solution: Solution) -> str:
    """`Solution._repr_html_`."""
    run = solution.checkpoint if solution.checkpoint is not None else solution.run
    system = system_of(solution)
    what = [] if system is None else [["system", printed(system)]]
    if run is not None:
        what += [["scheme", printed(run.scheme)], ["t0, dt", _clock(run)], ["last step", str(run.step)]]
    times = _times(solution.times)
    parts = [("saved", {"times": solution.times, **solution.observed}), ("states", solution.states)]
    parts += [("final state", solution.final)]
    sections = [("run", what + times), *((name, _rows(tree)) for name, tree in parts)]
    stats = [[name, _number(value)] for name, value in solution.stats.items()]
    notes = [f"Warning: {sentence}" for sentence in solution.warnings]
    return table(f"Solution: {solution.result}", [*sections, ("stats", stats)], notes)


def _rows(tree: Any) -> list[list[str]]:
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array))
    rows = []
    # The numbers of a grid say less than the shape of the values on it.
    leaves = [(path, leaf) for path, leaf in leaves if not any(entry_name(entry) == "grid" for entry in path)]
    for path, leaf in leaves[:_ROWS]:
        place = ".".join(entry_name(entry) for entry in path)
        shape = " × ".join(map(str, leaf.shape)) or "scalar"
        rows.append([place or "state", str(leaf.dtype), shape, num_bytes(leaf.size * leaf.dtype.itemsize)])
    return rows if len(leaves) <= _ROWS else [*rows, ["...", f"{len(leaves) - _ROWS} more arrays"]]


def _times(times: Any) -> list[list[str]]:
    if times is None or is_traced(times) or not np.size(times):
        return []
    values = np.asarray(times)
    return [["saves", f"{values.shape[-1]}, t = {values.min():.6g} to {values.max():.6g}"]]


def _clock(run: Any) -> str:
    t0, dt = (run.t0, run.dt) if run.clock is None else run.clock
    return f"{printed(t0)}, {printed(dt)}"


def _number(value: Any) -> str:
    if is_traced(value) or np.size(value) != 1:
        return printed(value)
    return f"{np.asarray(value).item():.6g}"
