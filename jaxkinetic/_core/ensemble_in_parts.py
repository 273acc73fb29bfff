"""Ensembles that store finished parts on disk and do not compute them again."""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._io.atomic_npz import as_path
from .._io.fingerprint import Fingerprint, fingerprint
from .._io.lock import folder_lock
from .._io.part_files import PartFiles, arrays_of, open_parts, rebuilt
from .._io.progress import Progress
from .._util.checks import argument_error, checks_done
from .._util.types import Array, Key, PyTree, State
from .reductions import AbstractReduction
from .replicas import Replica, empty_total, even_batches, run_batches, without_values
from .run_in_parts import Kept
from .simulate import run_simulation
from .solution import SimulationError, Solution

# Largest number of parts of an ensemble; an interrupt takes effect between two parts.
_PARTS = 32
# Fewer replicas than this, if each is too large to advance with another one, are stored one by one in several files each.
_FEW = 8


def run_resumably(
    run: Replica,
    reduce: AbstractReduction | None,
    replicas: int,
    batches: tuple[int, ...],
    path: str | os.PathLike,
    *,
    throw: bool,
    progress: bool,
) -> tuple[Solution, PyTree]:
    """As `run_batches`: (solutions, totals with a leading axis of length 1). `batches`: replicas that advance together on the
    CPU, and on accelerators if that differs. With `throw`, the first part with a failed replica ends the ensemble.

    **Raises:** `SimulationError`; `ValueError` if `path` is not a folder of this ensemble, or another process writes to it."""
    folder = as_path("path", path)
    owner = _owner(run, reduce, replicas, batches)
    if not os.path.isdir(folder):
        open_parts("path", folder, owner)
    with folder_lock("path", folder):
        files = open_parts("path", folder, owner)
        if batches[0] == 1 and replicas < _FEW:
            return _one_by_one(run, reduce, replicas, files, throw, progress)
        return _in_parts(run, reduce, replicas, batches, files, throw, progress)


def _owner(
    run: Replica, reduce: AbstractReduction | None, replicas: int, batches: tuple[int, ...]
) -> dict[str, Fingerprint]:
    """The fingerprints of everything on which the parts depend, `batch` included: it determines the program and the parts."""
    fields = ("system", "init", "key", "dt", "t0", "num_steps", "save")
    told = {name: getattr(run, name) for name in fields}
    told["scheme"] = run.system.default_scheme() if run.scheme is None else run.scheme
    told |= {"reduce": reduce, "replicas": replicas, "batch": list(batches)}
    found = {}
    for name, value in told.items():
        own = fingerprint(value)
        if own is None:
            raise argument_error(
                "path", "be left out in a traced function", "is given", "call `ensemble` outside of `jit`"
            )
        found[name] = own
    return found


def _in_parts(
    run: Replica, reduce: AbstractReduction | None, replicas: int, batches: tuple[int, ...], files: PartFiles, throw: bool,
    progress: bool,
) -> tuple[Solution, PyTree]:  # fmt: skip
    num_batches = -(-replicas // batches[0])
    # All parts have this length, so that one program computes them; the last part may have idle places.
    size = batches[0] * -(-num_batches // min(_PARTS, num_batches))
    plans = tuple(dict.fromkeys(even_batches(size, batch) for batch in batches))
    total = None if reduce is None else empty_total(run, reduce)
    pieces, like = [], None
    with Progress(replicas, "replica", shown=progress) as bar:
        for number, first in enumerate(range(0, replicas, size)):
            wanted = min(size, replicas - first)
            arguments = run, reduce, plans, size
            part = jnp.asarray(first, jnp.int32), jnp.asarray(wanted, jnp.int32), total
            arrays, found = files.load(f"part-{number:05d}"), None
            if arrays is not None:
                like = eqx.filter_eval_shape(run_batches, *arguments, part=part) if like is None else like
                found = rebuilt(like, arrays)
                # A file with fewer rows, which some other program wrote, is computed again.
                if found is not None and any(len(x) != size for x in arrays_of(found[0].result)):
                    found = None
            if found is None:
                found = run_batches(*arguments, part=part)
                _raise_if_failed(found[0], wanted, throw)
                files.save(f"part-{number:05d}", arrays_of(found))
            if reduce is not None:
                # The next part adds to this total: the same sums, in the same order, as without interruption.
                total = jax.tree.map(lambda x: x[0], found[1]), found[0].times
            pieces.append(_first_rows(found[0], wanted))
            bar.advance(wanted)
    return _concatenated(pieces), _on_one_device(total)


def _one_by_one(
    run: Replica, reduce: AbstractReduction | None, replicas: int, files: PartFiles, throw: bool, progress: bool
) -> tuple[Solution, PyTree]:
    pieces = []
    total = None if reduce is None else empty_total(run, reduce)
    with Progress(replicas * run.num_steps, "step", shown=progress) as bar:
        for number in range(replicas):
            state, key = _start(run, jnp.asarray(number, jnp.int32))
            keep = Kept(files, f"replica-{number:05d}", bar)
            with checks_done(run.checked):
                found = run_simulation(
                    run.system, state, run.scheme, key, run.dt, run.num_steps, run.t0, run.save, run.adjoint, False, keep=keep
                )  # fmt: skip
            found = eqx.tree_at(lambda s: s.checkpoint.origin, found, None)
            times = jnp.asarray(found.times)
            found = jax.tree.map(lambda x: x[None] if eqx.is_array(x) else x, found)
            _raise_if_failed(found, 1, throw)
            if reduce is not None:
                total = _added(reduce, total, found), times
                found = without_values(found)
            pieces.append(eqx.tree_at(lambda s: s.times, found, times, is_leaf=lambda x: x is None))
    return _concatenated(pieces), _on_one_device(total)


def _on_one_device(total: PyTree) -> PyTree:
    """The totals, without the times, with a leading axis of one device as `run_batches` returns them."""
    return None if total is None else jax.tree.map(lambda x: jnp.asarray(x)[None], total[0])


@eqx.filter_jit
def _start(run: Replica, number: Array) -> tuple[State, Key]:
    return run.start(number)


@eqx.filter_jit
def _added(reduce: AbstractReduction, total: PyTree, found: Solution) -> PyTree:
    parts = (found.observed, found.states)[: len(total[0])]
    return tuple(reduce.add(a, x, jnp.ones(1, bool)) for a, x in zip(total[0], parts, strict=True))


def _raise_if_failed(found: Solution, wanted: int, throw: bool) -> None:
    ended = jax.tree.map(lambda x: x[:wanted], found.result)
    if throw and not bool(np.all(np.asarray(ended.ok))):
        raise SimulationError(ended.message)


def _first_rows(found: Solution, wanted: int) -> Solution:
    """The first `wanted` replicas; `times` has no axis of replicas."""
    times = found.times
    cut = jax.tree.map(lambda x: x[:wanted] if eqx.is_array(x) else x, eqx.tree_at(lambda s: s.times, found, None))
    return eqx.tree_at(lambda s: s.times, cut, times, is_leaf=lambda x: x is None)


def _concatenated(pieces: list[Solution]) -> Solution:
    times = pieces[0].times
    bare = [eqx.tree_at(lambda s: s.times, piece, None) for piece in pieces]
    whole = jax.tree.map(lambda *x: jnp.concatenate(x) if eqx.is_array(x[0]) else x[0], *bare)
    return eqx.tree_at(lambda s: s.times, whole, jnp.asarray(times), is_leaf=lambda x: x is None)
