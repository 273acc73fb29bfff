"""Fluctuations of the number of particles that are alive: distances from chaos for systems with annihilation."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.checks import argument_error, describe
from .._util.types import PyTree, State
from ..radial import RadialDensity
from ..states import Density, Particles
from .distance import AbstractDistance
from .pair_distances import check_particles_state, several_runs

__all__ = ["NumberBias", "NumberVariance", "PairMass"]

Volume: TypeAlias = float | Callable[[int], float] | None


class _Number(AbstractDistance):
    """The statistic of a run is n, the number alive."""

    volume: Volume = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.volume is not None and not callable(self.volume):
            _positive(self.volume)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_particles_state(state)

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        return jnp.reshape(state.num_alive, 1)

    def volume_of(self, num: int) -> float:
        """Lambda for N = `num`."""
        return (
            float(num) if self.volume is None else _positive(self.volume(num) if callable(self.volume) else self.volume)
        )


class NumberVariance(_Number):
    r"""$\mathrm{Var}(n)/\Lambda^2$, the variance of the density n/Lambda. It tends to 0 if and only if n/Lambda becomes
    deterministic. Predicted exponent 1: for Sigma = 1, N_0 = Lambda, it tends to (2/3)(1/u - 1/u^4)/Lambda, u = 1 + alpha t.
    Unbiased for R >= 2 runs. (`vanishes_initially` is False: with a Poisson number of particles at the start it is 1/Lambda,
    and with a fixed number it is 0 without noise, of no use as a control variate.)

    **Arguments:** `volume`: Lambda, a number or a function of N; None for N, the number of slots.
    **Raises:** `ValueError` for states that are no `Particles`, a volume that is not positive, and R = 1."""

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.var(several_runs(statistics)[:, 0], ddof=1)) / self.volume_of(num) ** 2


class PairMass(_Number):
    r"""The mass of $f_2 - f_1 \otimes f_1$ for the rescaled correlation functions of [LodsNotaPezzotti2020],

    $$\frac{\mathbb E[n(n-1)] - (\mathbb E n)^2}{\Lambda^2} = \frac{\mathrm{Var}(n) - \mathbb E n}{\Lambda^2}.$$

    Predicted exponent 1: for Sigma = 1, N_0 = Lambda, Lambda times it tends to -(1/3)/u - (2/3)/u^4, u = 1 + alpha t. It is 0
    for a Poisson number, and -1/N for a fixed one at Lambda = N. Unbiased for R >= 2 runs: the square of the mean is taken over
    pairs of different runs.

    **Arguments**, **Raises:** as `NumberVariance`."""

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        n = several_runs(statistics)[:, 0]
        return float(np.var(n, ddof=1) - np.mean(n)) / self.volume_of(num) ** 2


class NumberBias(_Number):
    r"""$\mathbb E\,n/\Lambda$ minus the mass of the limit's law, n(t). Predicted exponent 1. Unbiased.

    **Arguments**, **Raises:** as `NumberVariance`; also `ValueError` for a limit that is a sampler, which has no mass."""

    needs_limit: ClassVar[bool] = True
    vanishes_initially: ClassVar[bool] = True

    def tables(self, laws: Sequence[Any], num: int) -> np.ndarray:
        """(T,): the mass of the limit's law at each time."""
        return np.array([_mass(law) for law in laws])

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics)) / self.volume_of(num) - float(table)


def _mass(law: Any) -> float:
    if not isinstance(law, (Density, RadialDensity)):
        must = "give a density, for the number of particles"
        raise argument_error("limit", must, f"gives {describe(law)}", "pass (system.limit(), density)")
    with jax.enable_x64(True):
        return float(jax.tree.map(jnp.asarray, law).mass)


def _positive(volume: Any) -> float:
    try:
        value = float(volume)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 < value < np.inf:
        must = "be a positive number, or a function of N that returns one"
        raise argument_error("volume", must, f"is {describe(volume)}", "pass Lambda, or leave it out for Lambda = N")
    return value
