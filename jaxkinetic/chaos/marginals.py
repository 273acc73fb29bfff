"""Distances of the k-particle marginals to products of the limit: by bins for particles, exact for densities of N particles."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.checks import argument_error, cast_floating, check_bool, check_integer, describe
from .._util.types import PyTree, State
from ..diagnostics.densities import entropy_per_particle
from ..landau.torus_tables import derivative
from ..laws import marginal
from ..states import Density, Particles
from .distance import AbstractDistance
from .limits import is_periodic, line_law, mass_of
from .transport import check_number, check_velocities, number_of

__all__ = ["MarginalDistance", "MarginalEntropy", "MarginalFisher", "MarginalL1"]

# Points of an axis to which k = 1, 2 marginals are interpolated, at least.
_POINTS = {1: 512, 2: 256}


class MarginalL1(AbstractDistance):
    r"""$\sum_B |\mathbb P_{N,k}(B) - f^{\otimes k}(B)|$ over products B of k = 1 or 2 bins of one number of v: the L1 distance
    (at most 2) of the k-particle marginal to the product of the limit, as the bins resolve it, which is at most the true one.

    The probabilities come from the counts n_b of all runs together: n_b/N, and for pairs of different particles
    n_b (n_c - delta_bc)/(N(N-1)), unbiased for the marginals at every N. The bins have equal probability in the limit.

    **Arguments:** `k`. `bins`: their number. `of`: "speed", or the index of a component or of an angle of the torus. `plug_in`:
    False splits the runs into two halves and takes the signs of the differences from one half and their values from the other,
    and the mean over both ways. Noise then adds nothing: the expectation is at most the true sum, tends to it as the signs
    become certain, and is 0 for independent particles of the limit. Estimates may be negative. True takes absolute values of
    the mean differences. These have a positive floor, of order (bins/(N R))^{1/2} for k = 1 and R runs, measured as for other
    distances.

    Where particles are annihilated, the alive ones over N are compared with a limit whose mass is 1 at time 0.

    **Raises:** `ValueError` for another k, fewer than 2 bins, a state that is no `Particles` or lacks the component, and for a
    single run unless `plug_in`."""

    needs_limit: ClassVar[bool] = True
    k: int = eqx.field(static=True, default=1)
    bins: int = eqx.field(static=True, default=16)
    of: str | int = eqx.field(static=True, default="speed")
    plug_in: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if check_integer("k", self.k, minimum=1) > 2:
            raise argument_error("k", "be 1 or 2", f"is {self.k}", "bins of more particles are too many")
        check_integer("bins", self.bins, minimum=2)
        check_number(self.of)
        check_bool("plug_in", self.plug_in)

    @property
    def has_floor(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.plug_in

    def check(self, system: AbstractSystem, state: State) -> None:
        check_velocities(state, self.of)

    def tables(self, laws: Sequence[Any], num: int) -> PyTree:
        """(edges, period, mass), (T, bins - 1), (T, 2), (T,): the period as (start, length), length 0 if there is none."""
        found = []
        for law in laws:
            line = line_law(law, self.of)
            edges = line.quantile(np.arange(1, self.bins) / self.bins)
            period = (line.x[0], line.x[-1] - line.x[0]) if is_periodic(law) else (0.0, 0.0)
            found.append((edges, np.array(period), np.asarray(mass_of(law))))
        return tuple(np.stack(x) for x in zip(*found, strict=True))

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        x = number_of(state.live_velocity, self.of)
        edges, (start, length) = (jnp.asarray(values, x.dtype) for values in table[:2])
        x = jnp.where(length > 0, start + jnp.mod(x - start, jnp.where(length > 0, length, 1)), x)
        below = jnp.sum((x[:, None] <= edges[None]) & state.alive[:, None], axis=0).astype(x.dtype)
        alive = jnp.sum(state.alive).astype(x.dtype)
        counts = jnp.diff(jnp.concatenate([jnp.zeros_like(below[:1]), below, alive[None]]))
        num = state.num_slots
        if self.k == 1:
            return counts / num
        pairs = counts[:, None] * counts[None] - jnp.diag(counts)
        return (pairs / (num * (num - 1))).reshape(-1)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        gaps = np.asarray(statistics, float) - (float(table[2]) / self.bins) ** self.k
        if self.plug_in:
            return float(np.abs(gaps.mean(0)).sum())
        if len(gaps) < 2:
            raise argument_error(
                "replicas", "be at least 2 for MarginalL1", f"is {len(gaps)}", "raise it, or pass plug_in=True"
            )
        half = (len(gaps) + 1) // 2
        one, other = gaps[:half].mean(0), gaps[half:].mean(0)
        return float(np.sum(np.sign(one) * other + np.sign(other) * one)) / 2


class _OfDensity(AbstractDistance):
    """A functional of the density of N particles on one axis for each, of which there is one run without noise."""

    needs_limit: ClassVar[bool] = True
    k: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.k is not None:
            check_integer("k", self.k, minimum=1)

    def check(self, system: AbstractSystem, state: State) -> None:
        name = type(self).__name__
        if not isinstance(state, Density) or len(state.grid.axes) != getattr(system, "num_particles", None):
            was = f"is {describe(state)}" if not isinstance(state, Density) else f"has {len(state.grid.axes)} axes"
            raise argument_error(
                "state", f"be a Density on one axis for each particle for {name}", was,
                "use jk.landau.Liouville and jk.product, or MarginalL1 for particles",
            )  # fmt: skip
        if self.k is not None and self.k > len(state.grid.axes):
            raise argument_error("k", f"be at most N = {len(state.grid.axes)}", f"is {self.k}", "lower it, or raise N")

    def tables(self, laws: Sequence[Any], num: int) -> PyTree:
        """A `Density` of one particle, with a leading axis of times in its leaves."""
        for law in laws:
            if not isinstance(law, Density) or len(law.grid.axes) != 1:
                raise argument_error(
                    "limit", f"give a Density on one axis for {type(self).__name__}", f"gives {describe(law)}",
                    "pass (system.limit(), jk.Density(f, jk.Grid(axis)))",
                )  # fmt: skip
        return jax.tree.map(lambda *x: np.stack([np.asarray(one) for one in x]), *laws)

    def statistics(self, state: Density, table: PyTree) -> Float[Array, " 1"]:
        law = cast_floating(jax.tree.map(jnp.asarray, table), state.f.dtype)
        if law.f.shape != state.f.shape[:1]:
            raise argument_error(
                "limit", f"have the {state.f.shape[0]} points of the axis of a particle", f"has {law.f.shape[0]}",
                "use one axis for both",
            )  # fmt: skip
        return self.functional(state, law)[None]

    def functional(self, state: Density, law: Density) -> Array:
        raise NotImplementedError

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics))


class MarginalEntropy(_OfDensity):
    r"""$H_k = \frac1k \int F_{N,k} \log(F_{N,k}/f^{\otimes k})$, the relative entropy per particle of k of N particles and
    independent ones of the limit, exact from the density of N particles (`jk.landau.Liouville`) by
    `jk.diagnostics.entropy_per_particle`. `k`: None for H_N. Fluctuation theory gives N^{-2} for fixed k and N^{-1} for H_N.

    **Raises:** `ValueError` for a state that is no density of N particles, k > N, and a limit on another axis."""

    def functional(self, state: Density, law: Density) -> Array:
        return jnp.asarray(entropy_per_particle(state, law, k=self.k))


class MarginalDistance(_OfDensity):
    r"""$\int |F_{N,k} - f^{\otimes k}|$, the L1 distance of the k-particle marginal (`k`: None for N) to the product of the
    limit, exact from the density of N particles. Marginals of k = 1, 2 are first interpolated to 512, 256 points an axis. The
    error is of order 2 in the spacing, where the difference changes its sign. **Raises:** as `MarginalEntropy`."""

    def functional(self, state: Density, law: Density) -> Array:
        part = marginal(state, len(state.grid.axes) if self.k is None else self.k)
        count = part.f.ndim
        gap = part.f - _product(law.f, count)
        times = math.ceil(_POINTS.get(count, 0) / gap.shape[0])
        if times > 1:
            for i in range(count):
                gap = _interpolated(gap, i, times)
        return jnp.sum(jnp.abs(gap)) * part.grid.cell / max(times, 1) ** count


class MarginalFisher(_OfDensity):
    r"""$I_k = \frac1k \int F_{N,k}\, |\nabla \log(F_{N,k}/f^{\otimes k})|^2$, the relative Fisher information per particle,
    from the density of N particles with spectral derivatives. `k`: None for N. Points where a density is not positive do not
    count. **Raises:** as `MarginalEntropy`."""

    def functional(self, state: Density, law: Density) -> Array:
        part = marginal(state, len(state.grid.axes) if self.k is None else self.k)
        count, f = part.f.ndim, part.f
        positive = law.f > 0
        slope = jnp.where(positive, derivative(law.f, 0) / jnp.where(positive, law.f, 1), 0)
        total = jnp.zeros_like(f)
        for i in range(count):
            shape = [1] * count
            shape[i] = len(slope)
            total = total + (derivative(f, i) - f * slope.reshape(shape)) ** 2
        filled = f > 0
        return jnp.sum(jnp.where(filled, total / jnp.where(filled, f, 1), 0)) * part.grid.cell / count


def _product(f: Float[Array, " n"], count: int) -> Array:
    out = f
    for _ in range(count - 1):
        out = out[..., None] * f.reshape(*[1] * out.ndim, -1)
    return out


def _interpolated(f: Array, axis: int, times: int) -> Array:
    """The trigonometric interpolant along a periodic axis, at `times` as many points."""
    num = f.shape[axis]
    hat = jnp.fft.rfft(f, axis=axis)
    place = tuple(num // 2 if i == axis else slice(None) for i in range(f.ndim))
    return jnp.fft.irfft(hat.at[place].multiply(0.5), num * times, axis=axis) * times
