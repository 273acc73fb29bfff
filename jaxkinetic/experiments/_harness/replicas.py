"""Independent runs of one system, stored part by part so that a run that was stopped can be resumed."""

import dataclasses
import sys
from collections.abc import Callable, Mapping

import jax
import numpy as np

from ..._core.ensemble import ensemble
from ..._core.save import Contextual, Save
from ..._core.system import AbstractSystem
from ..._util.types import Key, Observable
from ...states import Particles
from .experiment import Options, Watch


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
    """`options.replicas` runs, each from its own draw of `initial`, with at most 21 saves: `jk.ensemble` with the key
    `jax.random.key(options.seed)`.

    With `watch.partial`, finished parts are stored on disk and not computed again; on a CPU a resumed result is bitwise the
    same. **Raises:** `SimulationError` if a replica fails."""
    if watch.progress:
        print(label, file=sys.stderr, flush=True)
    solution = ensemble(
        system,
        initial,
        # The kind of key is named, so that results do not depend on JAX_DEFAULT_PRNG_IMPL.
        key=jax.random.key(options.seed, impl="threefry2x32"),
        replicas=options.replicas,
        scheme=options.make_scheme(),
        dt=options.dt,
        num_steps=options.steps,
        save=Save(steps=save_steps(options.steps), state=state, observe=observe),
        path=None if watch.partial is None else watch.partial.path(label),
        progress=watch.progress,
    )
    observed = {name: np.asarray(values) for name, values in solution.observed.items()}
    velocities = None if solution.states is None else np.asarray(solution.states.velocity)
    return Runs(np.asarray(solution.times), observed, velocities)


def velocities_of(runs: Runs) -> np.ndarray:
    assert runs.velocities is not None, "run_replicas(..., state=True)"
    return runs.velocities


def save_steps(steps: int) -> tuple[int, ...]:
    """The steps to save: 0 to `steps` in at most 20 intervals whose lengths differ by at most one step."""
    return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))
