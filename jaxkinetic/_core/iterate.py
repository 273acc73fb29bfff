"""A long run in chunks, which can be watched, written to disk, stopped early and continued."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._io.atomic_npz import as_path, path_errors, read_header, write_arrays
from .._io.fingerprint import data_entries
from .._io.lock import folder_lock
from .._io.progress import Progress, check_progress
from .._util.checks import argument_error, cast_floating, check_bool, check_integer, describe
from .._util.types import Key, RealScalarLike, State
from .adjoint import AbstractAdjoint, Checkpointed
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .chunks import FORMAT, VERSION, chunk_files, described, last_step
from .columns import entry_name
from .run_manifest import run_manifest
from .save import Save
from .simulate import run_simulation
from .solution import Solution, raise_or_mark, warn
from .system import AbstractScheme, AbstractSystem
from .times import times_of


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
    """A generator that runs `simulate` in chunks of `chunk` steps and yields one `Solution` per chunk. On a CPU the chunks
    together are bitwise identical to one run; with `num_steps=0` nothing is yielded.

    **Arguments:**

    - `chunk`: steps per chunk. `num_steps`: steps of the complete run; None: until the caller stops.
    - `progress`: show a bar on standard error. `path`: a folder. Before a chunk is yielded, its times, observed values and
      saved states are written to `chunk-000000000400.npz` (named by its last step) and its end to `checkpoint.npz`, each
      atomically.
    - The others are those of `simulate`; `save` counts absolute steps over all chunks. With neither `every`, `steps` nor
      `observe`, the last step of every chunk is saved.

    To continue, call `iterate(system, jk.load_checkpoint(path + "/checkpoint.npz"), ...)`; `jk.read_chunks(path)` reads the
    saved values. Chunks of this run beyond the checkpoint are removed when the first new chunk is finished; no other file is.
    Every chunk records its run (key, dt, t0, scheme, system and the state where it begins). Only one run at a time writes to a
    folder: it holds a lock from its first chunk until the generator ends or is closed; a lock left by a dead process is taken
    over. Leaving the loop ends the run. With `throw=False` the run ends after the first failed chunk.

    **Raises:** `ValueError` at the call for bad numbers, a path that cannot be written, and a folder that holds chunks of
    another run or whose chunks end before the checkpoint. When the first chunk is requested: as `simulate`, and `ValueError`
    for a folder that another run writes to; it names process, host and time.
    """
    chunk = check_integer("chunk", chunk, minimum=1)
    if num_steps is not None:
        num_steps = check_integer("num_steps", num_steps, minimum=0)
    check_progress(progress)
    check_bool("throw", throw)
    if not isinstance(save, Save):
        raise argument_error("save", "be a Save", f"is {describe(save)}", "pass jk.Save(every=10), say")
    folder = None if path is None else as_path("path", path)
    if folder is not None:
        if folder.suffix == ".npz" and not os.path.exists(folder):
            raise argument_error("path", "name a folder", f"is {str(folder)!r}", "leave out `.npz`")
        _check_folder(folder, state_or_checkpoint)
    options = {"scheme": scheme, "key": key, "dt": dt, "t0": t0, "adjoint": adjoint, "throw": throw}
    return _chunks(system, state_or_checkpoint, chunk, num_steps, progress, folder, save, options)


def _chunks(
    system: AbstractSystem, at: Any, chunk: int, num_steps: int | None, progress: bool, folder: Path | None, save: Save,
    options: dict[str, Any],
) -> Iterator[Solution]:  # fmt: skip
    done = at.step if isinstance(at, Checkpoint) else 0
    last = None if num_steps is None else done + num_steps
    if save.steps is not None:
        _within(save.steps, done, last, fresh=not isinstance(at, Checkpoint))
    with contextlib.ExitStack() as held:
        writer = None
        if folder is not None:
            held.enter_context(folder_lock("path", folder))
            # Check again under the lock: another run may have written since the generator was made.
            writer = _Writer(folder, done, _check_folder(folder, at))
        bar = held.enter_context(Progress(num_steps, "step", shown=progress))
        while last is None or done < last:
            size = chunk if last is None else min(chunk, last - done)
            fresh = not isinstance(at, Checkpoint)
            solution = run_simulation(
                system, at, num_steps=size, save=_part(save, done, done + size, fresh),
                **{"scheme": None, "key": None, "dt": None, "t0": 0.0, **options},
            )  # fmt: skip
            if options["throw"]:
                # Called here, so that the warning names the line of the caller's loop.
                warn(solution)
                solution = raise_or_mark(solution, "simulate")
            if writer is not None:
                writer.write(system, at, solution)
            at, done = solution.checkpoint, done + size
            options = {"adjoint": options["adjoint"], "throw": options["throw"]}
            bar.advance(size)
            bar.note(f"t = {float(times_of(at, np.asarray(done))):.4g}")
            yield solution
            if not bool(solution.result.ok):
                return


def _check_folder(folder: Path, at: Any) -> list[dict[str, Any]]:
    """The headers of the chunks in a folder, which is created if missing. **Raises:** `ValueError` if a run that begins at `at`
    must not write to it."""
    try:
        with path_errors("path", folder, "name a folder that can be written"):
            folder.mkdir(parents=True, exist_ok=True)
    except ValueError:
        if not os.path.exists(folder) or os.path.isdir(folder):
            raise
        raise argument_error("path", "name a folder", f"{str(folder)!r} is a file", "pass another one") from None
    files = chunk_files("path", folder)
    if not isinstance(at, Checkpoint):
        if files:
            raise argument_error(
                "path", "name a folder without chunks for a fresh run", f"{str(folder)!r} holds some",
                "pass another one, or continue from its checkpoint.npz",
            )  # fmt: skip
        if os.path.lexists(folder / "checkpoint.npz"):
            raise argument_error(
                "path", "name a folder without a checkpoint for a fresh run", f"{str(folder)!r} holds checkpoint.npz",
                "pass another one, or continue from it",
            )  # fmt: skip
        return []
    headers = [read_header(file, FORMAT, VERSION) for file in files]
    if not files and os.path.lexists(folder / "checkpoint.npz"):
        key = np.asarray(load_checkpoint(folder / "checkpoint.npz").key).tolist()
        headers.append({"step": at.step, "key": key})
    ours, run = np.asarray(at.key).tolist(), _run_of(at)
    for header in headers:
        other = "key" if header.get("key", ours) != ours else "time step, scheme or start of time"
        if other == "key" or header.get("run", run) != run:
            raise argument_error(
                "path", "name the folder of this run", f"{str(folder)!r} holds a run with another {other}",
                "pass another folder",
            )  # fmt: skip
    kept = [header for header in headers if header["step"] <= at.step]
    if kept and kept[-1]["step"] != at.step:
        raise argument_error(
            "path", f"name a folder whose chunks end at the checkpoint's step, {at.step}",
            f"the last one in {str(folder)!r} ends at {kept[-1]['step']}", "pass another folder",
        )  # fmt: skip
    if not kept and headers and headers[0].get("start", 0) != at.step:
        raise argument_error(
            "path", "name the folder of this run", f"{str(folder)!r} holds a run that began at another step",
            "pass another folder",
        )  # fmt: skip
    ends = kept[-1].get("ends") if kept else headers[0].get("begins") if headers else None
    if ends is not None and ends != _state_of(at):
        raise argument_error(
            "path", "name the folder of this run", f"{str(folder)!r} holds another run: at step {at.step} its state differs",
            "pass another folder",
        )  # fmt: skip
    return kept if files else []


def _run_of(at: Checkpoint) -> str:
    """A hash of the key, t0, dt and scheme, which all parts of a run share. The checkpoint itself compares the system."""
    own = [np.asarray(at.key).tolist(), [float(x) for x in np.ravel([at.t0, at.dt])], data_entries(at.scheme)]
    return hashlib.sha256(json.dumps(own).encode()).hexdigest()[:16]


def _system_of(system: AbstractSystem, at: Checkpoint) -> str:
    return hashlib.sha256(json.dumps(data_entries(cast_floating(system, at.dt.dtype))).encode()).hexdigest()[:16]


def _state_of(at: Checkpoint) -> str:
    """A hash of the state that the scheme carries: the end of a chunk must equal the beginning of the next one."""
    whole = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(at.carry, eqx.is_array)):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        whole.update(np.asarray(leaf).tobytes())
    return whole.hexdigest()[:16]


def _within(steps: tuple[int, ...], first: int, last: int | None, *, fresh: bool) -> None:
    begin = first if fresh else first + 1
    outside = [step for step in steps if step < begin or (last is not None and step > last)]
    if outside:
        until = "" if last is None else f" to {last}"
        raise argument_error(
            "steps", f"be absolute steps of this run, from {begin}{until}", f"holds {outside}", "drop them"
        )


def _part(save: Save, first: int, last: int, fresh: bool) -> Save:
    """The part of `save` that concerns the chunk from step `first` to step `last`."""
    if save.steps is None:
        return save
    inside = tuple(step for step in save.steps if (first <= step if fresh else first < step) and step <= last)
    return Save(steps=inside, state=save.state, observe=save.observe)


class _Writer:
    """Writes the chunks of one run to a folder that this run has locked."""

    def __init__(self, folder: Path, begin: int, kept: list[dict[str, Any]]):
        self.folder, self.begin = folder, begin
        self.ends = kept[-1].get("ends") if kept else None
        # The first step of the run in this folder; unknown if version 0.1.0 began it.
        self.start = kept[0].get("start") if kept else begin
        self.system: str | None = None

    def write(self, system: AbstractSystem, at: Any, solution: Solution) -> None:
        """Write the saves of one chunk, then the checkpoint. If the process dies between the two, the continuation writes the
        same chunk again. A failed run does not overwrite the last good checkpoint."""
        end = solution.checkpoint
        if self.ends is None and isinstance(at, Checkpoint):
            self.ends = _state_of(at)
        if self.system is None:
            self.system = _system_of(system, end)
        header = {
            "format": FORMAT, "version": VERSION, "step": end.step, "key": np.asarray(end.key).tolist(), "run": _run_of(end),
            "system": self.system, "start": self.start, "first": self.begin, "begins": self.ends, "ends": _state_of(end),
            "manifest": run_manifest(solution), "states": described(solution),
        }  # fmt: skip
        arrays = saved_arrays(solution.times, solution.observed, solution.states)
        # Chunks beyond the checkpoint come from an earlier attempt, which this run replaces.
        for file in chunk_files("path", self.folder):
            if last_step(file) > self.begin:
                file.unlink()
        write_arrays(self.folder / f"chunk-{end.step:012d}.npz", header, arrays)
        if bool(solution.result.ok):
            save_checkpoint(self.folder / "checkpoint.npz", end)
        self.begin, self.ends = end.step, header["ends"]


def saved_arrays(times: Any, observed: Any, states: Any) -> dict[str, np.ndarray]:
    """The saved values of a run under flat names: "times", "observed/NAME", "states/velocity", ..."""
    arrays = {"times": np.asarray(times)}
    for kind, tree in (("observed", observed), ("states", states)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            name = "/".join([kind, *map(entry_name, path)])
            if name in arrays:
                raise argument_error(
                    "observe",
                    "give every array a name of its own",
                    f"two are {name!r} when joined by '/'",
                    "rename one",
                )
            if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.extended):
                raise argument_error(
                    name, "be an array of numbers", f"is {describe(leaf)}", "observe `jax.random.key_data` of it"
                )
            arrays[name] = np.asarray(leaf)
    return arrays
