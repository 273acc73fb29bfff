"""A run as about 100 calls of one program, between which the progress bar advances and finished parts are stored."""

import contextlib
import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._io.part_files import PartFiles, arrays_of, rebuilt
from .._io.progress import Progress
from .._util.checks import argument_error, is_traced
from .._util.types import Array, PyTree, State
from .adjoint import AbstractAdjoint
from .checkpoint import Checkpoint
from .loops import Lengths
from .outcome import no_failure
from .reversible import Reversible
from .run_loop import Loop
from .save import Save
from .system import AbstractSystem

# Approximate number of program calls of a run.
_CALLS = 100
# Approximate number of files in which a run is stored.
_FILES = 10


class Kept(NamedTuple):
    """Where the parts of a run are stored, under which name, and the bar of all runs."""

    files: PartFiles
    name: str
    bar: Progress


def run_in_parts(
    run: Callable[..., Any],
    system: AbstractSystem,
    start: Checkpoint,
    first: Any,
    counts: np.ndarray,
    wanted: np.ndarray,
    lengths: Lengths,
    save: Save,
    adjoint: AbstractAdjoint,
    throw: bool,
    keep: Kept | None,
) -> tuple[Loop, PyTree, State, dict[str, Array]]:
    """`run` as at most about 100 calls of one program, between which the bar advances; on a CPU bitwise equal to one call.
    With `keep`, about ten files store what was saved and the state of the loop; what a file holds is not computed again."""
    if is_traced(system, start):
        raise _traced()
    if isinstance(adjoint, Reversible) and adjoint.measure:
        raise argument_error(
            "progress" if keep is None else "path",
            "be left out with `Reversible(measure=True)`",
            "is given",
            "measure in a run without it",
        )
    # Cut long intervals into parts without a save, then group the parts.
    most = max(1, -(-int(counts.sum()) // _CALLS))
    parts = [min(most, count - i) for count in counts.tolist() for i in range(0, max(count, 1), most)]
    saves = np.zeros(len(parts), bool)
    saves[np.cumsum([max(1, -(-count // most)) for count in counts.tolist()]) - 1] = wanted
    size = -(-len(parts) // _CALLS)
    groups = -(-len(parts) // size)
    counts = np.pad(np.asarray(parts, np.int32), (0, groups * size - len(parts))).reshape(groups, size)
    saves = np.pad(saves, (0, groups * size - len(parts))).reshape(groups, size)
    call = partial(run, lengths=Lengths.of(counts, most), save=save, adjoint=adjoint, throw=throw)
    # Totals start empty and are passed on from part to part; their shapes come from a trace without a run.
    shapes = eqx.filter_eval_shape(call, system, start, first, counts[0], saves[0], so_far=None)[0]
    so_far = {name: total.start() for name, total in shapes.totals.items()}, no_failure(start.dt.dtype), start.carry
    kept: list[PyTree] = []
    loop: Any = None
    final: Any = None
    stats: Any = None
    done = 0
    every = max(1, groups // _FILES)
    if keep is not None:
        like = eqx.filter_eval_shape(call, system, start, first, counts[0], saves[0], so_far=so_far)[:2]
        finished = _finished(keep, like, -(-groups // every))
        if finished:
            loop, done = finished[-1][0], min(len(finished) * every, groups)
            start = dataclasses.replace(start, carry=loop.carry, aux=loop.aux)
            first, so_far = loop.step, (loop.totals, loop.result, so_far[2])
            kept = [rows for _, rows in finished]
    bar = Progress(int(counts.sum()), "step", shown=True) if keep is None else keep.bar
    with bar if keep is None else contextlib.nullcontext():
        bar.advance(int(counts[:done].sum()))
        stored = len(kept)
        for index in range(done, groups):
            loop, rows, final, stats = call(system, start, first, counts[index], saves[index], so_far=so_far)
            if is_traced(loop):
                raise _traced()
            start = dataclasses.replace(start, carry=loop.carry, aux=loop.aux)
            first, so_far = loop.step, (loop.totals, loop.result, so_far[2])
            kept.append(jax.tree.map(partial(_rows, np.flatnonzero(saves[index])), rows))
            jax.block_until_ready(first)
            if keep is not None and ((index + 1) % every == 0 or index + 1 == groups):
                kept[stored:] = [_joined(kept[stored:])]
                keep.files.save(_name(keep, index // every), arrays_of((loop, kept[stored])))
                stored += 1
            bar.advance(int(counts[index].sum()))
    if stats is None:
        # Every part was on disk: no step, for the last state and the statistics.
        nothing = np.zeros_like(counts[0]), np.zeros_like(saves[0])
        loop, _, final, stats = call(system, start, first, *nothing, so_far=so_far)
    return loop, _joined(kept), final, stats


def _traced() -> ValueError:
    return argument_error(
        "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
    )


def _name(keep: Kept, number: int) -> str:
    return f"{keep.name}-{number:05d}"


def _finished(keep: Kept, like: PyTree, most: int) -> list[PyTree]:
    """(state of the loop, what was saved) of every file, up to the first that is absent."""
    pieces = []
    for number in range(most):
        arrays = keep.files.load(_name(keep, number))
        piece = None if arrays is None else rebuilt(like, arrays)
        if piece is None:
            break
        pieces.append(piece)
    return pieces


def _joined(pieces: list[PyTree]) -> PyTree:
    return jax.tree.map(lambda *x: jnp.concatenate(x), *pieces)


def _rows(places: np.ndarray, x: Array) -> Array:
    return x[places]
