"""Experiments with particles: independent runs of one system or several, stored part by part so that a run that was stopped can
be resumed."""

import dataclasses
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._core.ensemble import ensemble
from ..._core.save import Contextual, Save
from ..._core.system import AbstractSystem
from ..._util.types import Key, Observable
from ...states import Particles
from . import option as options
from .experiment import Experiment, Watch, make_scheme
from .report import Report, Series


@dataclasses.dataclass(frozen=True)
class Problem:
    """`system`, from `start(key)`, a draw for each run. `observe`: names and observables. `state`: whether the velocities are
    saved too. `scheme`: its name, if it is not that of the option."""

    system: AbstractSystem
    start: Callable[[Key], Particles]
    observe: Mapping[str, Observable | Contextual] = dataclasses.field(default_factory=dict)
    state: bool = False
    scheme: str | None = None


@dataclasses.dataclass(frozen=True)
class Runs:
    """`times` (T,) and `steps` (T,) of the saves. `runs[name]`: the observable in float64, (R, T, ...). `velocities`
    (R, T, N, d) if states were asked for, else empty. `eps`: the precision in which the runs were computed."""

    times: np.ndarray
    steps: np.ndarray
    observed: dict[str, np.ndarray]
    velocities: np.ndarray
    eps: float

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.observed:
            known = ", ".join(self.observed) or "nothing"
            raise KeyError(f"{name!r} was not observed: `observe` of the problem has {known}.")
        return np.asarray(self.observed[name], float)

    @property
    def saves(self) -> Series:
        """The first column of a table."""
        return Series("times", "t", self.times, form=".4g")


class ParticleExperiment(Experiment):
    """An experiment whose runs are those of `jk.ensemble` with the key `jax.random.key(seed)`."""

    particles: int
    dim: int
    dt: float
    steps: int
    replicas: int
    seed: int = options.seed()
    scheme: str

    @abstractmethod
    def problem(self) -> Problem | Mapping[str, Problem]:
        """What is simulated: one problem, or several with their labels. They start from the same draws."""

    def measure(self, runs: Runs) -> Any:
        """What `analyse` needs of the runs of a problem. With several problems, only this much of each stays in memory."""
        return runs

    @abstractmethod
    def analyse(self, runs: Any) -> Report:
        """The report. `runs`: what `measure` kept of the problem, or of several by their labels."""

    def run(self, watch: Watch = Watch()) -> Report:  # noqa: B008  (immutable)
        problem = self.problem()
        several = {self.name: problem} if isinstance(problem, Problem) else problem
        found = {label: self.measure(run_replicas(one, self, label, watch)) for label, one in several.items()}
        return self.analyse(found[self.name] if isinstance(problem, Problem) else found)


def run_replicas(problem: Problem, experiment: ParticleExperiment, label: str, watch: Watch) -> Runs:
    """Independent runs, each from its own draw of the start, with at most 21 saves.

    With `watch.partial`, finished parts are stored on disk and not computed again; on a CPU a resumed result is bitwise the
    same. **Raises:** `SimulationError` if a replica fails."""
    if watch.progress:
        print(label, file=sys.stderr, flush=True)
    solution = ensemble(
        problem.system,
        problem.start,
        # The kind of key is named, so that results do not depend on JAX_DEFAULT_PRNG_IMPL.
        key=jax.random.key(experiment.seed, impl="threefry2x32"),
        replicas=experiment.replicas,
        scheme=make_scheme(problem.scheme or experiment.scheme),
        dt=experiment.dt,
        num_steps=experiment.steps,
        save=Save(steps=save_steps(experiment.steps), state=problem.state, observe=problem.observe),
        path=None if watch.partial is None else watch.partial.path(label),
        progress=watch.progress,
    )
    observed = {name: np.asarray(values) for name, values in solution.observed.items()}
    velocities = np.zeros(0) if solution.states is None else np.asarray(solution.states.velocity)
    times = np.asarray(solution.times, float)
    eps = float(jnp.finfo(jnp.result_type(float)).eps)
    return Runs(times, np.rint(times / experiment.dt).astype(int), observed, velocities, eps)


def save_steps(steps: int) -> tuple[int, ...]:
    """The steps to save: 0 to `steps` in at most 20 intervals whose lengths differ by at most one step."""
    return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))
