"""A run as about 100 calls of one program, between which the progress bar advances."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._io.progress import Progress
from .._util.checks import argument_error, is_traced
from .._util.types import Array, PyTree, State
from .adjoint import AbstractAdjoint
from .checkpoint import Checkpoint
from .loops import Lengths
from .outcome import no_failure
from .reversible import Reversible
from .save import Save
from .system import AbstractSystem

# Approximate number of program calls of a run with a progress bar.
_PARTS = 100


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
) -> tuple["_Loop", PyTree, State, dict[str, Array]]:
    """`run` as at most about 100 calls of one program, between which the bar advances; on a CPU bitwise equal to one call."""
    if is_traced(system, start):
        raise argument_error(
            "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
        )
    if isinstance(adjoint, Reversible) and adjoint.measure:
        raise argument_error(
            "progress", "be False with `Reversible(measure=True)`", "is True", "measure in a run without a bar"
        )
    # Cut long intervals into parts without a save, then group the parts.
    most = max(1, -(-int(counts.sum()) // _PARTS))
    parts = [min(most, count - i) for count in counts.tolist() for i in range(0, max(count, 1), most)]
    saves = np.zeros(len(parts), bool)
    saves[np.cumsum([max(1, -(-count // most)) for count in counts.tolist()]) - 1] = wanted
    size = -(-len(parts) // _PARTS)
    groups = -(-len(parts) // size)
    counts = np.pad(np.asarray(parts, np.int32), (0, groups * size - len(parts))).reshape(groups, size)
    saves = np.pad(saves, (0, groups * size - len(parts))).reshape(groups, size)
    call = partial(run, lengths=Lengths.of(counts, most), save=save, adjoint=adjoint, throw=throw)
    # Totals start empty and are passed on from part to part; their shapes come from a trace without a run.
    shapes = eqx.filter_eval_shape(call, system, start, first, counts[0], saves[0], so_far=None)[0]
    so_far = {name: total.start() for name, total in shapes.totals.items()}, no_failure(start.dt.dtype), start.carry
    loop: Any
    kept, final, stats, loop = [], None, {}, None
    with Progress(int(counts.sum()), "step", shown=True) as bar:
        for part, save_now in zip(counts, saves, strict=True):
            loop, rows, final, stats = call(system, start, first, part, save_now, so_far=so_far)
            if is_traced(loop):
                raise argument_error(
                    "progress", "be False in a traced function", "is True", "show the bar outside of `jit` and `grad`"
                )
            start = dataclasses.replace(start, carry=loop.carry, aux=loop.aux)
            first, so_far = loop.step, (loop.totals, loop.result, so_far[2])
            kept.append(jax.tree.map(partial(_rows, np.flatnonzero(save_now)), rows))
            jax.block_until_ready(first)
            bar.advance(int(part.sum()))
    return loop, jax.tree.map(lambda *x: jnp.concatenate(x), *kept), final, stats


def _rows(places: np.ndarray, x: Array) -> Array:
    return x[places]
