r"""(PsQM^N) of [NeissPickl2018, section 2]: the complete N-particle amplitude on a grid, d = 1, N = 2 or 3."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import SplitPlan
from .._util.checks import argument_error, check_integer, describe, is_traced
from .._util.memory import check_memory
from .._util.types import RealScalar
from ..states import Axis, Grid, Wave
from .grid_flows import WavePlan
from .pair_tables import pair_field
from .potentials import AbstractPotential, check_potential
from .systems import AbstractMeanField, HamiltonHartree, in_picture, stream, turned

__all__ = [
    "PseudoFlows",
    "PseudoPlan",
    "PseudoSchrodinger",
    "check_symmetric",
    "first_marginal",
    "pair_field",
    "product_wave",
]

# Number of arrays of the size of the wave that a run holds, including its data and checks (measured at 24^6: 6.1).
_ARRAYS = 6
_SYMMETRY = 1e-5


class PseudoPlan(WavePlan):
    """Streaming as for one particle in N dimensions; the field on particle m is that of the other particles, and kappa = 0."""

    @staticmethod
    def _particles(state: Wave) -> int:
        # From here on the wave counts as one of N particles, also if its `num_particles` was left at 1.
        return state.dim

    def _forces(self, hat: Array, grid: Grid) -> tuple[tuple[Array, ...], Array | None]:
        return pair_field(self._potential, grid.axes[: grid.half]), None


class PseudoSchrodinger(AbstractMeanField):
    r"""$i\,\partial_t\hat\alpha_N = \Big(\sum_m \partial_{x_m}\partial_{\xi_m} - \frac{1}{N-1}\sum_m \xi_m \sum_{n\ne m}
    \Gamma'(x_m - x_n)\Big)\hat\alpha_N$ for a `Wave` on a grid of 2 N axes (x_1, ..., x_N, v_1, ..., v_N), N = 2 or 3, d = 1.

    The velocity Fourier transform of (HLv^N), $\partial_t\alpha_N = [H_N, \alpha_N]$. This is a transport equation, so
    $|\alpha_N|^2$ solves the Liouville equation of `NBody`; it is linear and has no self-consistent phase. States must be
    symmetric under the exchange of particles, and remain so to round-off. A solution has `num_particles` N, whatever that of
    the start. On a torus Gamma is represented on the grid (it is the `field` of a point mass).

    Conserved by every step: the norm, to round-off; on a torus also the momentum. Cost of a step: 4 N transforms along one axis
    of num_x^N num_v^N numbers. Memory about 6 times that of the wave: 8.7 GiB for 24^6 numbers of 8 bytes (1.4 GiB).

    **Raises:** `ValueError` for another N, axes that differ between the particles, data that are not symmetric or not
    normalised, and a grid whose run would not fit into memory (the message states the bytes).
    """

    num_particles: int = eqx.field(static=True)

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    _state: ClassVar[type] = Wave
    _plan_class: ClassVar[Callable[..., SplitPlan]] = PseudoPlan

    def __init__(self, potential: AbstractPotential, num_particles: int):
        check_potential(potential)
        self.potential, self.num_particles = potential, num_particles
        if check_integer("num_particles", num_particles, minimum=2) > 3:
            raise argument_error(
                "num_particles", "be 2 or 3: the grid has 2 N axes", f"is {num_particles}",
                "use jk.vlasov.NBody, or `sampled_counting`",
            )  # fmt: skip

    @property
    def _particle_numbers(self) -> tuple[int, ...]:
        return 1, self.num_particles

    def limit(self) -> HamiltonHartree:
        """The Hamilton-Hartree equation with the same potential."""
        return HamiltonHartree(self.potential)

    def check_axes(self, grid: Grid) -> None:
        num, axes = self.num_particles, grid.axes
        if len(axes) != 2 * num:
            raise argument_error(
                "grid", f"have {2 * num} axes, x_1.. and v_1..", f"has {len(axes)}", "build it with `product_wave`"
            )
        for kind, some in (("position", axes[:num]), ("velocity", axes[num:])):
            if len({(axis.num, axis.periodic) for axis in some}) > 1 or _apart(some):
                raise argument_error(
                    "grid", f"have the same axis of {kind} for all", "has different ones", "use `product_wave`"
                )
        self.potential.check(axes[:1])
        self.potential.check_finite(axes[:1])

    def check_memory(self, state: Wave) -> None:
        nbytes = _ARRAYS * state.alpha.size * state.alpha.dtype.itemsize
        check_memory("state", nbytes, f"a run on {state.grid.shape}", "take fewer points, or complex64")

    def _check_data(self, state: Wave) -> None:
        super()._check_data(state)
        check_symmetric("state", state)

    @property
    def flows(self) -> tuple[Callable[..., Wave], ...]:
        return stream, self._turn

    def _turn(self, tau: RealScalar, t: RealScalar, state: Wave) -> Wave:
        wave = state.fourier_picture()
        field = pair_field(self.potential, wave.grid.axes[: wave.dim])
        return in_picture(turned(wave.alpha, tau, wave, field, None), state, "fourier")


def check_symmetric(name: str, wave: Wave) -> None:
    """**Raises:** `ValueError` for an N-particle wave, not traced, that is not symmetric under the exchange of particles."""
    alpha, num = np.asarray(wave.alpha), wave.dim
    for m in range(1, num):
        other = alpha.swapaxes(0, m).swapaxes(num, num + m)
        if np.abs(alpha - other).max() > _SYMMETRY * np.abs(alpha).max():
            raise argument_error(
                name, "be symmetric under the exchange of particles",
                f"changes by {np.abs(alpha - other).max():.2g} under that of 1 and {m + 1}", "symmetrise it",
            )  # fmt: skip


def _apart(axes: tuple[Axis, ...]) -> bool:
    """Whether known starts or lengths differ."""
    ends = [(axis.start, axis.length) for axis in axes]
    if is_traced(ends):
        return False
    known = np.asarray(ends, float)
    return bool((known != known[0]).any())


def product_wave(wave: Wave, num_particles: int) -> Wave:
    """alpha(z_1) ... alpha(z_N) on the grid of N particles, from the wave alpha of one particle in d = 1, in its picture.

    **Raises:** `ValueError` for a wave with d > 1, and for a product that does not fit into memory (the message states the
    bytes)."""
    num = check_integer("num_particles", num_particles, minimum=2)
    if not isinstance(wave, Wave) or wave.dim != 1:
        was = f"has d = {wave.dim}" if isinstance(wave, Wave) else f"is {describe(wave)}"
        raise argument_error("wave", "be a Wave in d = 1", was, "pass jk.Wave(alpha, jk.Grid(x, v))")
    x, v = wave.grid.axes
    shape = (x.num,) * num + (v.num,) * num
    nbytes = math.prod(shape) * wave.alpha.dtype.itemsize
    check_memory("num_particles", nbytes, f"a wave on {shape}", "take fewer points, or complex64")
    out: Any = jnp.ones((1,) * (2 * num), wave.alpha.dtype)
    for m in range(num):
        one = [1] * (2 * num)
        one[m], one[num + m] = x.num, v.num
        out = out * wave.alpha.reshape(one)
    return Wave(out, Grid(*[x] * num, *[v] * num), wave.picture, num)


def first_marginal(wave: Wave) -> Float[Array, "num_x num_v"]:
    """int |alpha_N|^2 over all particles but the first, (num_x, num_v). **Raises:** `ValueError` for a wave of one particle."""
    if not isinstance(wave, Wave) or wave.dim < 2:
        was = "is of one" if isinstance(wave, Wave) else f"is a {type(wave).__name__}"
        raise argument_error("wave", "be of two particles or more", was, "pass the solution of PseudoSchrodinger")
    num = wave.dim
    wave = wave.velocity_picture()
    others = tuple(m for m in range(2 * num) if m not in (0, num))
    cell = math.prod((wave.grid.axes[m].spacing for m in others[1:]), start=wave.grid.axes[others[0]].spacing)
    return jnp.sum(wave.alpha.real**2 + wave.alpha.imag**2, others) * cell


# The former name.
PseudoFlows = PseudoPlan
