"""The counting functional as a distance of chaos."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, check_scalar, describe
from .._util.types import Key, PyTree, State
from ..states import Grid
from ..vlasov.amplitudes import AbstractAmplitude
from ..vlasov.characteristics import mean_field_flow
from ..vlasov.counting import drawn_cosines
from ..vlasov.potentials import AbstractPotential
from .distance import AbstractDistance

__all__ = ["CountingFunctional"]

# Particles, or pairs of them, that one batch of samples may have.
_BATCH = 2**20


class CountingFunctional(AbstractDistance):
    r"""$\langle n^2\rangle = 1 - \langle p_1\rangle$ of [NeissPickl2018, Definition 4.1]: the mean fraction of N particles
    outside the mean-field state, from the product state of `amplitude`, as `jk.vlasov.sampled_counting` samples it. Bounded and
    unbiased; 0 at time 0. `jk.vlasov.Counting.bounds` bounds the weighted functional.

    The samples come from `potential` and `amplitude`: the study's system is only named in its table.

    **Arguments:** `grid`: of the mean-field wave. `dt`: of all characteristics; the times of the study are multiples of it.
    Cost of a sample: two runs of N particles."""

    potential: AbstractPotential
    amplitude: AbstractAmplitude
    grid: Grid
    dt: float = eqx.field(static=True)

    samples_itself: ClassVar[bool] = True

    def __init__(self, potential: AbstractPotential, amplitude: AbstractAmplitude, grid: Grid, *, dt: float):
        check_scalar("dt", dt, positive=True)
        if not isinstance(grid, Grid):
            raise argument_error("grid", "be a Grid", f"is {describe(grid)}", "pass jk.Grid(x_axis, v_axis)")
        self.potential, self.amplitude, self.grid, self.dt = potential, amplitude, grid, float(dt)

    def sample(self, key: Key, num: int, times: Sequence[float], replicas: int) -> np.ndarray:
        batch = max(1, _BATCH // (num**2 if self.potential.by_pairs else num))
        columns = []
        for index, time in enumerate(times):
            steps = round(time / self.dt)
            if abs(steps * self.dt - time) > 1e-6 * max(time, self.dt):
                raise argument_error("times", f"be multiples of the dt = {self.dt:g} of CountingFunctional", f"has {time:g}",
                                     "change one of the two")  # fmt: skip
            if steps == 0:
                columns.append(np.ones(replicas))
                continue
            flow = mean_field_flow(self.potential, self.amplitude, self.grid, dt=self.dt, num_steps=steps)
            keys = [jax.random.fold_in(jax.random.fold_in(key, index), start) for start in range(0, replicas, batch)]
            sizes = [min(batch, replicas - i * batch) for i in range(len(keys))]
            drawn = [drawn_cosines(one, flow, num, size, 1)[:, 0] for one, size in zip(keys, sizes, strict=True)]
            columns.append(np.concatenate([np.asarray(x, float) for x in drawn]))
        return np.stack(columns, 1)[..., None]

    def statistics(self, state: State, table: PyTree) -> Float[Array, " 1"]:
        return jnp.ones(1)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return 1 - float(np.mean(statistics[:, 0]))
