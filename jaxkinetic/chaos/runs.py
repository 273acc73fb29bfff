"""The runs of a study: for every N, rounds of replicas of which only a few numbers are kept."""

import dataclasses
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._core.ensemble import ensemble
from .._core.save import Context, Contextual, Save
from .._core.system import AbstractScheme, AbstractSystem
from .._util.types import Array, Key, PyTree, State
from .distance import AbstractDistance, at

__all__ = ["Runs", "parts_of"]

# Numbers of the states that one round may hold: it keeps the final states of its replicas.
_ROUND = 2**21
# A study is divided into at least this many rounds, so that its time can be foreseen after the first.
_ROUNDS = 4


class Start(eqx.Module):
    """key -> `size` of the particles of start(key, num), from number `offset` on, with the idents (and so the noise) that they
    have among all. For all of them, any state is accepted."""

    start: Callable[[Key, int], State]
    offset: Array
    num: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __call__(self, key: Key) -> State:
        state = self.start(key, self.num)
        if self.size == self.num:
            return state
        return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, self.offset, self.size), state)


def parts_of(start: Callable[[Key, int], State], num: int, coupled: bool) -> list[Start]:
    """All particles, and with coupling each of the halves."""
    half = num // 2
    ends = [(0, num), (0, half), (half, half)] if coupled else [(0, num)]
    return [Start(start, jnp.asarray(offset, jnp.int32), num, size) for offset, size in ends]


class Statistics(eqx.Module):
    """The statistics of every distance at the saved steps."""

    distances: dict[str, AbstractDistance]
    tables: dict[str, PyTree]
    steps: Array

    def __call__(self, context: Context) -> dict[str, Array]:
        index = jnp.searchsorted(self.steps, context.step)
        return {
            name: one.statistics(context.state, at(self.tables[name], index)) for name, one in self.distances.items()
        }


@dataclasses.dataclass
class Runs:
    """Runs of one system of N particles. `warned`: the warnings that the study has shown.
    `rounds`: of each, the statistics (R, T, S) by the name of the distance."""

    system: AbstractSystem
    start: Start
    distances: Mapping[str, AbstractDistance]
    tables: dict[str, PyTree]
    key: Key
    times: tuple[float, ...]
    steps: tuple[int, ...]
    dt: float
    scheme: AbstractScheme | None
    path: Path | None
    warned: set[str]
    size: int = 1
    rounds: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)

    def run(self) -> None:
        """One more round."""
        number = len(self.rounds)
        key = jax.random.fold_in(self.key, number)
        own = {name: one for name, one in self.distances.items() if one.samples_itself}
        found = {
            name: np.asarray(one.sample(jax.random.fold_in(key, i), self.start.num, self.times, self.size), float)
            for i, (name, one) in enumerate(own.items())
        }
        if len(own) < len(self.distances):
            found |= self.simulated(key, number, {k: one for k, one in self.distances.items() if k not in own})
        self.rounds.append(found)

    def simulated(self, key: Key, number: int, distances: dict[str, AbstractDistance]) -> dict[str, np.ndarray]:
        # As the states are: tables come from NumPy in float64.
        dtype = self.dtype
        tables = jax.tree.map(
            lambda x: jnp.asarray(x, dtype if np.issubdtype(np.asarray(x).dtype, np.floating) else None), self.tables
        )
        observe = Statistics(distances, tables, jnp.asarray(self.steps, jnp.int32))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            solution = ensemble(
                self.system, self.start, key=key, replicas=self.size, scheme=self.scheme, dt=self.dt,
                num_steps=max(self.steps[-1], 1), save=Save(steps=self.steps, observe={"statistics": Contextual(observe)}),
                path=None if self.path is None else self.path.parent / f"{self.path.name}-round-{number}",
            )  # fmt: skip
        for one in caught:
            # Once in a study, for the N at which it is seen first: only the numbers differ.
            kind = re.sub(r"[-+.\de]*\d", "", str(one.message))
            if kind not in self.warned:
                self.warned.add(kind)
                warnings.warn(f"At N = {self.start.num}: {one.message}", one.category, stacklevel=5)
        return {name: np.asarray(x, float) for name, x in solution.observed["statistics"].items()}

    @property
    def dtype(self) -> Any:
        leaves = jax.tree.leaves(jax.eval_shape(self.start, self.key))
        return next(x.dtype for x in leaves if jnp.issubdtype(x.dtype, jnp.floating))

    @property
    def replicas(self) -> int:
        return self.size * len(self.rounds)

    def statistics(self, name: str) -> np.ndarray:
        """(R, T, S)."""
        return np.concatenate([one[name] for one in self.rounds])


def round_size(start: Start, key: Key, replicas: int) -> int:
    """Replicas of a round."""
    numbers = sum(x.size for x in jax.tree.leaves(jax.eval_shape(start, key)))
    return max(1, min(_ROUND // max(numbers, 1), -(-replicas // _ROUNDS)))


def steps_of(times: Sequence[float], dt: float) -> tuple[int, ...]:
    return tuple(round(t / dt) for t in times)
