"""Independent runs of one system, watched, and kept part by part so that a run that was stopped can go on."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..._core.checkpoint import Checkpoint, load_checkpoint
from ..._core.iterate import iterate, read_chunks, saved_arrays
from ..._core.save import Contextual, Save
from ..._core.simulate import simulate
from ..._core.solution import SimulationError
from ..._core.system import AbstractScheme, AbstractSystem
from ..._util.types import Key, Observable
from ...states import Particles
from .experiment import Options, Watch
from .partial import clear_chunks
from .progress import Progress

# Replicas advance together as long as their pairs fit one block of rows.
_PAIRS = 1 << 17
_PARTS = 32
# Fewer runs than this, each too large for company, are kept chunk by chunk.
_FEW = 8
# Chunks of such a run: a tenth of it is lost if it is killed.
_CHUNKS = 10


@dataclasses.dataclass(frozen=True)
class Runs:
    """`times` (T,); `observed[name]` (R, T, ...); `velocities` (R, T, N, d), or None if no states were asked for."""

    times: np.ndarray
    observed: dict[str, np.ndarray]
    velocities: np.ndarray | None


def run_replicas(
    system: AbstractSystem,
    initial: Callable[[Key], Particles],
    options: Options,
    *,
    observe: Mapping[str, Observable | Contextual],
    state: bool,
    label: str,
    watch: Watch,
) -> Runs:
    """`options.replicas` runs, each from its own draw of `initial`, saved about 21 times.

    With `watch.partial` what is finished is on disk, and is not computed again; on a CPU the result is bitwise the same.
    **Raises:** `SimulationError` if one of them fails."""
    steps = save_steps(options.steps)
    batch = max(1, min(options.replicas, _PAIRS // options.particles**2))
    few = batch == 1 and options.replicas < _FEW
    # The host gets a say (an interrupt, a part on disk) between parts.
    size = 1 if few else batch * max(1, options.replicas // (_PARTS * batch))
    parts = -(-options.replicas // size)
    keys = jax.random.split(jax.random.key(options.seed, impl="threefry2x32"), parts * size)
    with Progress(label, parts * size * len(steps), shown=watch.progress) as bar:
        save = Save(steps=steps, state=state, observe=observe)
        if few:
            pieces = [_long_run(system, initial, options, keys[i], i, save, label, watch, bar) for i in range(parts)]
        else:
            pieces = _short_runs(system, initial, options, keys.reshape(parts, size), batch, save, label, watch, bar)
    joined = {name: np.concatenate([piece[name] for piece in pieces])[: options.replicas] for name in pieces[0]}
    observed = {name.removeprefix("observed/"): x for name, x in joined.items() if name.startswith("observed/")}
    return Runs(joined["times"][0], observed, joined.get("states/velocity"))


def velocities_of(runs: Runs) -> np.ndarray:
    assert runs.velocities is not None, "run_replicas(..., state=True)"
    return runs.velocities


def _short_runs(
    system: AbstractSystem, initial: Callable, options: Options, keys: Any, batch: int, save: Save, label: str,
    watch: Watch, bar: Progress,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """Part after part in one compiled program; the unit that is kept is a part."""
    given = initial, options.make_scheme(), options.dt, options.steps, save, batch
    # With the system as it is: its numbers are looked at here.
    structure = jax.tree.structure(jax.eval_shape(lambda keys: _part(system, keys, *given), keys[0]))
    pieces = []
    for part in range(len(keys)):
        kept = watch.partial.load(label, part) if watch.partial else None
        arrays = kept
        if arrays is None:
            arrays = jax.tree.leaves(jax.device_get(_compiled_part(system, keys[part], *given)))
        bar.advance(keys.shape[1] * len(save.steps or ()))
        times, observed, states, result = jax.tree.unflatten(structure, arrays)
        if not bool(result.ok.all()):
            raise SimulationError(result.message)
        if kept is None and watch.partial:
            watch.partial.save(label, part, arrays)
        pieces.append(saved_arrays(times, observed, states))
    return pieces


def _part(
    system: AbstractSystem, keys: Any, initial: Callable, scheme: AbstractScheme, dt: float, steps: int, save: Save, batch: int
) -> Any:  # fmt: skip
    def one(key: Key) -> Any:
        start_key, run_key = jax.random.split(key)
        run = simulate(
            system, initial(start_key), scheme=scheme, key=run_key, dt=dt, num_steps=steps, save=save, throw=False
        )
        return run.times, run.observed, run.states, run.result

    return jax.lax.map(one, keys, batch_size=batch)


# One program for systems that differ by their numbers.
_compiled_part = eqx.filter_jit(_part)


def _long_run(
    system: AbstractSystem, initial: Callable, options: Options, key: Key, number: int, save: Save, label: str,
    watch: Watch, bar: Progress,
) -> dict[str, np.ndarray]:  # fmt: skip
    """One run in ten chunks; each finished chunk is kept on disk, with the checkpoint at its end."""
    start_key, run_key = jax.random.split(key)
    folder = watch.partial.path(label, number) if watch.partial else None
    steps, chunks = save.steps or (), []
    kept = None if folder is None else _kept_chunks(folder)
    if kept is not None:
        at: Any = kept[0]
        done, fresh = at.step, {}
        chunks.append(kept[1])
        bar.advance(len(chunks[0]["times"]))
        steps = tuple(step for step in steps if step > done)
    else:
        if folder is not None:
            # Killed between its first chunk and the first checkpoint, or damaged.
            clear_chunks(folder)
        at, done = initial(start_key), 0
        fresh = {"scheme": options.make_scheme(), "key": run_key, "dt": options.dt}
    rest = Save(steps=steps, state=save.state, observe=save.observe)
    chunk, left = -(-options.steps // _CHUNKS), options.steps - done
    for run in iterate(system, at, chunk=chunk, num_steps=left, path=folder, save=rest, **fresh):
        chunks.append(saved_arrays(run.times, run.observed, run.states))
        bar.advance(len(run.times))
    return {name: np.concatenate([c[name] for c in chunks])[None] for name in chunks[0]}


def _kept_chunks(folder: Path) -> tuple[Checkpoint, dict[str, np.ndarray]] | None:
    """The last checkpoint and what was saved until then; None if there is none or it cannot be read: it is made again."""
    try:
        at = load_checkpoint(folder / "checkpoint.npz")
        return at, read_chunks(folder, last=at.step)
    except ValueError:
        return None


def save_steps(steps: int) -> tuple[int, ...]:
    """0 to `steps` in at most 20 intervals that differ by one step at most."""
    return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))
