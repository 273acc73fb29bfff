"""The runs of one distance as series in N."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error
from .._util.types import Key, PyTree
from .distance import AbstractDistance, at
from .estimates import Estimate, bootstrap, controlled, difference, plain
from .limits import draw
from .series import Series

__all__ = ["Measured", "floors"]

# Runs from which on the start is compared with `independent_start`.
_ENOUGH = 64


@dataclasses.dataclass(frozen=True)
class Measured:
    """Statistics of one distance: for every N those of the whole system, and with coupling those of its halves, each (R, T, S),
    T = 0 being time 0; with their tables. `floor`: statistics (R, T, S) of independent particles for every N, or None."""

    distance: AbstractDistance
    Ns: tuple[int, ...]
    statistics: tuple[tuple[np.ndarray, ...], ...]
    tables: tuple[tuple[PyTree, ...], ...]
    floor: bool | str
    independent_start: bool
    draws: int
    floors: list[np.ndarray] | None = None

    @property
    def replicas(self) -> tuple[int, ...]:
        return tuple(len(parts[0]) for parts in self.statistics)

    @property
    def fit_floor(self) -> bool:
        return self.floor == "fit" and self.distance.has_floor

    def _at(self, i: int, part: int, time: int) -> Estimate:
        num = self.Ns[i] // (2 if part else 1)
        values, table = self.statistics[i][part][:, time], at(self.tables[i][part], time)
        return plain(self.distance, values, num, table)

    def _whole(self, i: int, time: int) -> Estimate:
        parts = [self._at(i, part, time) for part in range(len(self.statistics[i]))]
        return parts[0] if len(parts) == 1 else difference(parts[0], parts[1:])

    def _has_control(self, i: int, time: int) -> bool:
        runs = len(self.statistics[i][0])
        return self.independent_start and self.distance.vanishes_initially and time > 0 and runs >= 8

    def _estimate(self, i: int, time: int) -> Estimate:
        """With its control variate, if it has one."""
        runs = len(self.statistics[i][0])
        if not self._has_control(i, time):
            return self._whole(i, time)
        return controlled(self._whole(i, time), self._whole(i, 0), runs, np.random.default_rng([self.Ns[i], time, 1]))

    def check_control(self, name: str) -> None:
        """**Raises:** `ValueError` if the control variate has no expectation 0, by more than 8 standard errors: the start is
        then not independent with the law of the limit, and the result would be biased by it."""
        for i, num in enumerate(self.Ns):
            runs = len(self.statistics[i][0])
            if runs < _ENOUGH or not (self.independent_start and self.distance.vanishes_initially):
                continue
            value, draws = bootstrap(self._whole(i, 0), runs, self.draws, np.random.default_rng([num, 6]))
            error = draws.std(ddof=1)
            # A statistic that does not vary, but for round-off, is no control variate.
            if error > 1e-6 * np.abs(self.statistics[i][0][:, 0]).max() / num and abs(value) > 8 * error:
                raise argument_error(
                    "independent_start", f"be False where {name!r} does not vanish at time 0",
                    f"is True, and it is {value:.3g} +- {error:.1g} at N = {num}",
                    "leave it out, or start from independent particles of the limit",
                )  # fmt: skip

    def series(self, time: int) -> Series:
        """At the save `time`."""
        power = 2 if self.distance.squared or self.floors is not None else 1
        columns = []
        for i, num in enumerate(self.Ns):
            runs = len(self.statistics[i][0])
            # The same resampling at every time.
            value, draws = bootstrap(self._estimate(i, time), runs, self.draws, np.random.default_rng([num, 2]))
            if power == 2 and not self.distance.squared:
                value, draws = value**2, draws**2
            raw, low = value, 0.0
            if self.floors is not None:
                base = self.floors[i][:, time]
                table = at(self.tables[i][0], time)
                low, spread = bootstrap(
                    plain(self.distance, base, num, table), len(base), self.draws, np.random.default_rng([num, 3])
                )
                if not self.distance.squared:
                    low, spread = low**2, spread**2
                value, draws = value - low, draws - spread
            columns.append((raw, low, value, draws))
        count = max(len(draws) for *_, draws in columns)
        raw, low, amount = (np.array([column[k] for column in columns]) for k in range(3))
        draws = np.stack([np.resize(column[3], count) for column in columns], 1)
        root = (lambda x: np.sign(x) * np.sqrt(np.abs(x))) if power == 2 else (lambda x: x)
        value = root(amount)
        spread = draws.std(0, ddof=1) if count > 1 else np.zeros(len(self.Ns))
        # d sqrt(a) = da / (2 sqrt(a)), and where a is within its noise, the root of the noise.
        stderr = spread if power == 1 else np.minimum(spread / np.maximum(2 * np.abs(value), 1e-300), np.sqrt(spread))
        return Series(
            np.array(self.Ns), value, stderr, root(raw), root(low), np.array(self.replicas), amount, draws, power
        )

    def gain(self, time: int) -> np.ndarray:
        """For every N, the variance without control variates and coupling over that with them."""
        gains = []
        for i, num in enumerate(self.Ns):
            runs, parts = len(self.statistics[i][0]), len(self.statistics[i])

            def variance(estimate: Estimate, seed: int, runs: int = runs, num: int = num) -> float:
                return float(
                    np.var(bootstrap(estimate, runs, self.draws, np.random.default_rng([num, seed]))[1], ddof=1)
                )

            if runs == 1 or (parts == 1 and not self._has_control(i, time)):
                gains.append(1.0)
                continue
            # Independent runs of N and of two systems of N/2 particles.
            alone = [variance(self._at(i, part, time), 4 + part) for part in range(parts)]
            before = alone[0] + sum(alone[1:]) / max(parts - 1, 1) ** 2
            after = variance(self._estimate(i, time), 2)
            gains.append(before / after if after > 0 else 1.0)
        return np.array(gains)


def floors(
    distance: AbstractDistance,
    Ns: Sequence[int],
    tables: Sequence[PyTree],
    laws: Sequence[Any],
    key: Key,
    replicas: int,
) -> list[np.ndarray]:
    """The statistics (R, T, S) of N independent particles of the limit, for every N."""
    found = []
    for num, table in zip(Ns, tables, strict=True):
        columns = []
        for index, law in enumerate(laws):
            keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, num), 2**31 + index), replicas)
            columns.append(_statistics(distance, num, law, at(table, index), keys))
        found.append(np.stack(columns, 1))
    return found


def _statistics(distance: AbstractDistance, num: int, law: Any, table: PyTree, keys: Any) -> np.ndarray:
    size = max(1, 2**20 // num)
    table = jax.tree.map(jnp.asarray, table)
    parts = [
        np.asarray(_drawn(distance, num, law, table, keys[i : i + size]), float) for i in range(0, len(keys), size)
    ]
    return np.concatenate(parts)


@eqx.filter_jit
def _drawn(distance: AbstractDistance, num: int, law: Any, table: PyTree, keys: Any) -> Any:
    return jax.vmap(lambda key: distance.statistics(draw(law, key, num), table))(keys)
