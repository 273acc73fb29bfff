"""What a study of chaos measures: a distance takes a few numbers from each run, and makes one number of many runs."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.printing import Printed
from .._util.types import Key, PyTree, State

__all__ = ["AbstractDistance"]


class AbstractDistance(Printed):
    """A number measured on independent runs of N particles. Most of them tend to 0 if chaos propagates.

    - `needs_limit`: whether `tables` needs the law of one particle in the limit.
    - `has_floor`: whether N independent particles of the limit give a positive value, its floor.
    - `squared`: whether `estimate` returns the square of the distance.
    - `vanishes_initially`: whether the expectation of `estimate` at time 0 is 0 if the particles start independent with the
      law of the limit. Then its value at time 0 can serve as a control variate.
    - `samples_itself`: whether `sample` takes the place of runs of the study's system."""

    needs_limit: ClassVar[bool] = False
    has_floor: ClassVar[bool] = False
    squared: ClassVar[bool] = False
    vanishes_initially: ClassVar[bool] = False
    samples_itself: ClassVar[bool] = False

    def check(self, system: AbstractSystem, state: State) -> None:
        """**Raises:** `ValueError` if the distance is not defined for this state. `state`: shapes and dtypes only."""

    def tables(self, laws: Sequence[Any], num: int) -> PyTree:
        """What `statistics` needs of the limit: arrays with a leading axis of times. `laws`: the law of one particle at each
        time, empty without `needs_limit`. `num`: N."""
        return ()

    def sample(self, key: Key, num: int, times: Sequence[float], replicas: int) -> np.ndarray:
        """With `samples_itself`: the statistics (R, T, S) of R independent samples, each at all times."""
        raise NotImplementedError

    @abc.abstractmethod
    def statistics(self, state: State, table: PyTree) -> Float[Array, " S"]:
        """The numbers that are kept of one run at one time. `table`: the tables of that time."""

    @abc.abstractmethod
    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        """From the statistics (R, S) of R runs of N = `num` particles at one time, in float64, the distance or its square."""


def at(tables: PyTree, index: Any) -> PyTree:
    """The tables of one time."""
    return jax.tree.map(lambda x: x[index], tables)
