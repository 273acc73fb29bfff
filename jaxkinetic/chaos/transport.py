"""Wasserstein distances between the empirical law of N particles and the limit, on a line."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.checks import argument_error, check_integer, describe
from .._util.types import PyTree, State
from ..diagnostics._sorting import sorted_rows
from ..radial import RadialDensity
from ..states import Particles
from ._directions import fixed_directions
from .distance import AbstractDistance
from .limits import is_periodic, line_laws

__all__ = ["SlicedWasserstein", "Wasserstein", "check_number", "number_of"]


def check_number(of: Any) -> str | int:
    """`of`. **Raises:** `ValueError` unless it names one number of a velocity."""
    if isinstance(of, str):
        if of != "speed":
            raise argument_error("of", 'be "speed" or the index of a component', f"is {of!r}", 'pass "speed"')
        return of
    return check_integer("of", of, minimum=0)


def number_of(velocity: Float[Array, "N d"], of: str | int) -> Float[Array, " N"]:
    """|v|, or a component of v."""
    return jnp.linalg.norm(velocity, axis=1) if isinstance(of, str) else velocity[:, of]


def check_velocities(state: Any, of: str | int = 0) -> None:
    """**Raises:** `ValueError` unless `state` is particles that have the number `of`."""
    if not isinstance(state, Particles):
        raise argument_error(
            "state", "be Particles for this distance", f"is {describe(state)}", "use MarginalDistance for a Density"
        )
    if not isinstance(of, str) and of >= state.velocity.shape[1]:
        was = f"is {of} for d = {state.velocity.shape[1]}"
        raise argument_error("of", "be the index of a component of the velocity", was, "lower it")


class Wasserstein(AbstractDistance):
    r"""$\mathbb E\,W_2^2(\mu_N, f)$ of one number of v: between its empirical law in a run and its law in the limit, on average
    over the runs. Exact for each run, by quantiles: $W_2^2 = \int_0^1 |F_N^{-1} - F^{-1}|^2 du$.

    `of`: "speed" for |v|, or the index of a component. For isotropic laws W_2 of |v| is W_2 in R^d.

    The square of the distance. It has a floor: N independent particles of N(0, 1) are at 3.34/N (N = 1e3) and 3.56/N (1e4).
    What differs from the floor is the squared bias of the one-particle law, and correlations: a covariance of order 1/N changes
    E W_2^2 by an amount of order 1/N, of either sign (negative where it reduces fluctuations, as the conserved energy does).
    So this distance shows the exponent 1/2 where `MarginalL1` and covariances show 1. Annihilated particles do not count;
    F^{-1} is then replaced by its means over intervals of length 1/N. Cost N log N for each run; on a CPU NumPy sorts on the
    host.

    **Raises:** `ValueError` for a state that is no `Particles`, a component that it does not have, and a limit on the torus."""

    needs_limit: ClassVar[bool] = True
    has_floor: ClassVar[bool] = True
    squared: ClassVar[bool] = True
    of: str | int = eqx.field(static=True, default="speed")

    def __check_init__(self) -> None:
        check_number(self.of)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_velocities(state, self.of)

    def tables(self, laws: Sequence[Any], num: int) -> PyTree:
        """(q, their sums from the left, rest), (T, N), (T, N + 1), (T,): means of the quantiles, and the variance within the
        intervals."""
        return tuple(np.stack(x) for x in zip(*[_tables(law, [self.of], num)[0] for law in laws], strict=True))

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " 1"]:
        x = number_of(state.live_velocity, self.of)
        q, below, rest = table
        return _square(x[None], state.alive, q[None], below[None], rest)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics))


class SlicedWasserstein(AbstractDistance):
    r"""$\frac1L \sum_l \mathbb E\,W_2^2(\theta_l \cdot v, \theta_l \cdot w)$ over L = `num_directions` fixed directions: the
    mean of the squares of `Wasserstein` along them. Directions are equidistant on half of the circle in d = 2, else drawn once
    from the uniform law; in d = 1 there is one. Square of the distance, floor and errors as for `Wasserstein`. Isotropic limits
    need one table for all directions; projections of other densities are spectral, in L n^{d+1} operations a time and N.

    Cost L N log N for each run, memory L N."""

    needs_limit: ClassVar[bool] = True
    has_floor: ClassVar[bool] = True
    squared: ClassVar[bool] = True
    num_directions: int = eqx.field(static=True, default=32)

    def __check_init__(self) -> None:
        check_integer("num_directions", self.num_directions, minimum=1)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_velocities(state)

    def _directions(self, dim: int) -> np.ndarray:
        return np.ones((1, 1)) if dim == 1 else fixed_directions(self.num_directions, dim)

    def tables(self, laws: Sequence[Any], num: int) -> PyTree:
        """(q, sums, rest), as for `Wasserstein`, for each time and then L directions, or 1."""
        found = []
        for law in laws:
            rows = _tables(law, [0] if isinstance(law, RadialDensity) else list(self._directions(_dim(law))), num)
            found.append([np.stack(x) for x in zip(*rows, strict=True)])
        return tuple(np.stack(x) for x in zip(*found, strict=True))

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " 1"]:
        u = jnp.asarray(self._directions(state.dim), state.velocity.dtype)
        x = jnp.matmul(u, state.live_velocity.T, precision=jax.lax.Precision.HIGHEST)
        return jnp.mean(_square(x, state.alive, *table), keepdims=True)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics))


def _dim(law: Any) -> int:
    """The number of components of the velocity."""
    if callable(law):
        key = jax.random.key(0, impl="threefry2x32")
        return jax.eval_shape(lambda: law(key, 2)).velocity.shape[1]
    axes = law.grid.axes
    return len(axes) // 2 if any(axis.periodic for axis in axes) else len(axes)


def _tables(law: Any, ofs: Sequence[Any], num: int) -> list[tuple[np.ndarray, ...]]:
    """(q, their sums from the left, rest) of several numbers of v."""
    if is_periodic(law):
        raise argument_error(
            "limit", "be a law on R^d for a Wasserstein distance", "is on the torus", "use MarginalL1 or ModeVariance"
        )
    found = []
    for line in line_laws(law, ofs):
        q = line.means(num)
        found.append((q, np.concatenate([[0.0], np.cumsum(q)]), np.asarray(line.second - np.mean(q**2))))
    return found


def _square(
    x: Float[Array, "L N"],
    alive: Array,
    q: Float[Array, "#L N"],
    below: Float[Array, "#L N+1"],
    rest: Float[Array, "*#L"],
) -> Float[Array, " L"]:
    """W_2^2 of each row."""
    num, dtype = x.shape[1], x.dtype
    q, below, rest = (jnp.asarray(values, dtype) for values in (q, below, rest))
    rest = rest.reshape(-1)
    count = jnp.sum(alive, dtype=jnp.int32)
    ordered = sorted_rows(jnp.where(alive[None], x, jnp.inf))
    # With dead particles, means over longer intervals: by the integral, linear between multiples of 1/N.
    places = jnp.arange(num + 1, dtype=dtype) * (num / jnp.maximum(count, 1).astype(dtype))
    cell = jnp.minimum(places.astype(jnp.int32), num - 1)
    levels = below[:, cell] + (jnp.minimum(places, num) - cell.astype(dtype))[None] * q[:, cell]
    longer = jnp.diff(levels, axis=1) * (count.astype(dtype) / num)
    # W_2^2 = mean (x - m)^2 + int |F^{-1}|^2 - mean m^2: without the cancellation of mean x^2 against int |F^{-1}|^2.
    means = jnp.where(count == num, q, longer)
    total = count.astype(dtype)
    counts = jnp.arange(num, dtype=jnp.int32) < count
    gap = jnp.sum(jnp.where(counts[None], ordered - means, 0) ** 2, axis=1) / total
    inside = jnp.mean(q**2, axis=1) - jnp.sum(jnp.where(counts[None], means, 0) ** 2, axis=1) / total
    return gap + rest + jnp.where(count == num, 0, inside)
