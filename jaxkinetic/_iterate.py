"""A long run in chunks: watched, written to disk, stopped early, gone on with."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ._adjoint import AbstractAdjoint, Checkpointed
from ._checkpoint import Checkpoint, save_checkpoint
from ._checks import check_integer, refuse
from ._files import read_arrays, write_arrays
from ._save import Save
from ._simulate import simulate, times_of
from ._solution import Solution
from ._system import AbstractScheme, AbstractSystem
from ._types import Key, RealScalarLike, State

_FORMAT, _VERSION = "jaxkinetic chunk", 1


def iterate(
    system: AbstractSystem,
    state_or_checkpoint: State | Checkpoint,
    *,
    chunk: int,
    num_steps: int | None = None,
    progress: bool = False,
    path: str | os.PathLike | None = None,
    scheme: AbstractScheme | None = None,
    key: Key | None = None,
    dt: RealScalarLike | None = None,
    t0: RealScalarLike = 0.0,
    save: Save = Save(),  # noqa: B008  (immutable)
    adjoint: AbstractAdjoint = Checkpointed(),  # noqa: B008  (immutable)
    throw: bool = True,
) -> Iterator[Solution]:
    """A host generator over `simulate` in chunks of `chunk` steps: one `Solution` each, together bitwise the whole run (of 0
    steps: none).

    **Arguments:**

    - `chunk`: steps a chunk; `num_steps`: of the whole, None: until the caller stops.
    - `progress`: a bar on standard error. `path`: a folder; before a chunk is handed out, its times, observed values and saved
      states are written to `chunk-000000000400.npz` (named by its last step) and its end to `checkpoint.npz`, each atomically.
    - the others as in `simulate`; `save` counts absolute steps over all chunks. With neither `every`, `steps` nor `observe`
    the last
      step of every chunk is saved.

    To go on: `iterate(system, jk.load_checkpoint(path + "/checkpoint.npz"), ...)`; `jk.read_chunks(path)` reads what was
    written. Chunks in the folder beyond the checkpoint are removed when the first new one is finished. Leaving the loop ends
    the run. With `throw=False` the run ends after the first chunk that failed.

    **Raises:** as `simulate`, when the first chunk is asked for; at once `ValueError` for bad numbers, and for a folder that
    holds chunks of another run, or chunks that end before the checkpoint.
    """
    chunk = check_integer("chunk", chunk, minimum=1)
    if num_steps is not None:
        num_steps = check_integer("num_steps", num_steps, minimum=0)
    folder = None if path is None else Path(path)
    fresh = not isinstance(state_or_checkpoint, Checkpoint)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise refuse("path", "name a folder", f"{str(folder)!r} is a file", "pass another one") from None
        if fresh and any(folder.glob("chunk-*.npz")):
            raise refuse(
                "path", "name a folder without chunks for a fresh run", f"{str(folder)!r} holds some",
                "pass another one, or go on from its checkpoint.npz",
            )  # fmt: skip
        if isinstance(state_or_checkpoint, Checkpoint):
            _same_run(folder, state_or_checkpoint)
    options = {"scheme": scheme, "key": key, "dt": dt, "t0": t0, "adjoint": adjoint, "throw": throw}
    return _chunks(system, state_or_checkpoint, chunk, num_steps, progress, folder, save, options)


def _chunks(
    system: AbstractSystem, at: Any, chunk: int, num_steps: int | None, progress: bool, folder: Path | None, save: Save,
    options: dict[str, Any],
) -> Iterator[Solution]:  # fmt: skip
    from tqdm import tqdm

    done = at.step if isinstance(at, Checkpoint) else 0
    last = None if num_steps is None else done + num_steps
    if save.steps is not None:
        _within(save.steps, done, last, fresh=not isinstance(at, Checkpoint))
    with tqdm(total=num_steps, unit="step", file=sys.stderr, disable=not progress, smoothing=0.05) as bar:
        while last is None or done < last:
            size = chunk if last is None else min(chunk, last - done)
            fresh = not isinstance(at, Checkpoint)
            solution = simulate(system, at, num_steps=size, save=_part(save, done, done + size, fresh), **options)
            at, done = solution.checkpoint, done + size
            options = {"adjoint": options["adjoint"], "throw": options["throw"]}
            if folder is not None:
                # What was written beyond the checkpoint belongs to a run that is given up.
                for file in folder.glob("chunk-*.npz"):
                    if _last_step(file) > done - size:
                        file.unlink()
                write_chunk(folder, solution)
            bar.update(size)
            bar.set_postfix_str(f"t = {float(times_of(at, np.asarray(done))):.4g}", refresh=False)
            yield solution
            if not bool(solution.result.ok):
                return


def _same_run(folder: Path, at: Checkpoint) -> None:
    """**Raises:** `ValueError` if the chunks up to the checkpoint are another run's, or end before it."""
    kept = sorted(file for file in folder.glob("chunk-*.npz") if _last_step(file) <= at.step)
    if not kept:
        return
    header, _ = read_arrays(kept[-1], _FORMAT, _VERSION)
    ours = np.asarray(at.key).tolist()
    if header.get("key", ours) != ours:
        raise refuse(
            "path", "name the folder of this run", f"{str(folder)!r} holds another one, of another key",
            "pass another folder",
        )  # fmt: skip
    if header["step"] != at.step:
        raise refuse(
            "path", f"name a folder whose chunks end at the checkpoint's step, {at.step}",
            f"the last one in {str(folder)!r} ends at {header['step']}", "pass another folder",
        )  # fmt: skip


def _within(steps: tuple[int, ...], first: int, last: int | None, *, fresh: bool) -> None:
    begin = first if fresh else first + 1
    outside = [step for step in steps if step < begin or (last is not None and step > last)]
    if outside:
        until = "" if last is None else f" to {last}"
        raise refuse("steps", f"be absolute steps of this run, from {begin}{until}", f"holds {outside}", "drop them")


def _part(save: Save, first: int, last: int, fresh: bool) -> Save:
    """What `save` asks of one chunk."""
    if save.steps is None:
        return save
    inside = tuple(step for step in save.steps if (first <= step if fresh else first < step) and step <= last)
    return Save(steps=inside, state=save.state, observe=save.observe)


def write_chunk(folder: Path, solution: Solution) -> None:
    """The saves of one chunk, then the checkpoint: one killed between the two is written again, the same. A run that failed
    leaves the last good checkpoint in its place."""
    arrays = saved_arrays(solution.times, solution.observed, solution.states)
    step, key = solution.checkpoint.step, np.asarray(solution.checkpoint.key).tolist()
    header = {"format": _FORMAT, "version": _VERSION, "step": step, "key": key}
    write_arrays(folder / f"chunk-{step:012d}.npz", header, arrays)
    if bool(solution.result.ok):
        save_checkpoint(folder / "checkpoint.npz", solution.checkpoint)


def _name(entry: Any) -> str:
    """Of one step into a tree: a key, a field, an index."""
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def saved_arrays(times: Any, observed: Any, states: Any) -> dict[str, np.ndarray]:
    """What was saved of a run under flat names: "times", "observed/NAME", "states/velocity", ..."""
    arrays = {"times": np.asarray(times)}
    for kind, tree in (("observed", observed), ("states", states)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            arrays["/".join([kind, *map(_name, path)])] = np.asarray(leaf)
    return arrays


def read_chunks(path: str | os.PathLike, *, last: int | None = None) -> dict[str, np.ndarray]:
    """What `iterate` wrote to a folder, joined in time: "times", "observed/NAME", "states/velocity", ..., leading axis T.

    `last`: only chunks that end at this step or before.

    **Raises:** `ValueError` for a folder without chunks, for chunks that do not hold the same names, and for one that is
    damaged or newer than this version.
    """
    files = sorted(Path(path).glob("chunk-*.npz"))
    files = [file for file in files if last is None or _last_step(file) <= last]
    if not files:
        raise refuse("path", "name a folder of chunks", f"{str(path)!r} holds none", "check it")
    parts = [read_arrays(file, _FORMAT, _VERSION)[1] for file in files]
    for file, part in zip(files, parts, strict=True):
        if set(part) != set(parts[0]):
            other = ", ".join(sorted(set(part) ^ set(parts[0])))
            raise refuse("path", "name chunks that hold the same", f"{str(file)!r} differs by {other}", "read it alone")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _last_step(file: Path) -> int:
    return int(file.stem.removeprefix("chunk-"))
