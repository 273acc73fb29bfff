r"""(HVl) and (HLv^N) of [NeissPickl2018] by characteristics, d = 1: amplitudes at arbitrary points instead of on a grid.

All amplitudes are logarithms, log alpha = log |alpha| + i phase: at N = 100 a product of amplitudes underflows.
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Complex, Float, Real

from .._core.adjoint import Direct
from .._core.save import Save
from .._core.simulate import simulate
from .._util.checks import argument_error, cast_floating, check_bool, check_integer, real_array, scalar_or_nan
from .._util.printing import Printed
from .._util.types import RealScalar, RealScalarLike
from ..schemes import Leapfrog, Yoshida
from ..spectral import along, wavenumbers
from ..states import Axis, Grid, Particles, Wave, square_modulus
from .amplitudes import AbstractAmplitude, check_amplitude
from .nbody import NBody
from .potentials import AbstractPotential
from .systems import HamiltonHartree

__all__ = ["MeanFieldFlow", "hamilton_liouville", "mean_field_flow", "nbody_characteristics"]


class MeanFieldFlow(Printed):
    r"""The characteristics of (HVl) over a time T = num_steps dt, in the field of a run on a grid, from which rho and $M =
    \int \xi |\hat\alpha|^2 d\xi$ are stored at every step.

    Half a kick, a drift, half a kick, as in `Leapfrog` on that grid. The field is interpolated in x by its Fourier sum (for
    `Harmonic` by moments). Order 2 in dt."""

    potential: AbstractPotential
    amplitude: AbstractAmplitude
    axis: Axis
    dt: RealScalar
    density: Float[Array, "T num_x"]
    current: Float[Array, "T num_x"]

    _summarised: ClassVar[tuple[str, ...]] = ("density", "current")

    def forward(
        self, x: Float[Array, " S"], v: Float[Array, " S"]
    ) -> tuple[Float[Array, " S"], Float[Array, " S"], Float[Array, " S"]]:
        """(x, v, phase) at T for points (S,) at time 0: alpha(T, x, v) = e^{i phase} alpha_0 at the given points."""
        return self._along(x, v, 1)

    def backward(
        self, x: Float[Array, " S"], v: Float[Array, " S"]
    ) -> tuple[Float[Array, " S"], Float[Array, " S"], Float[Array, " S"]]:
        """(x, v, phase) at time 0 for points (S,) at T: alpha(T, .) at the given points is e^{i phase} alpha_0(x, v)."""
        return self._along(x, v, -1)

    def _along(self, x: Array, v: Array, sign: int) -> tuple[Array, Array, Array]:
        def step(z: tuple[Array, Array, Array], ends: Any) -> tuple[tuple[Array, Array, Array], None]:
            x, v, phase = self._kicked(*z, ends[::sign][0], sign)
            return self._kicked(x + sign * self.dt * v, v, phase, ends[::sign][1], sign), None

        # The sources at the start and at the end of every step; backwards in time they exchange their roles.
        sources = self.density, self.current
        ends = tuple(s[:-1] for s in sources), tuple(s[1:] for s in sources)
        return jax.lax.scan(step, (x, v, jnp.zeros_like(x)), ends, reverse=sign < 0)[0]

    def _kicked(
        self, x: Array, v: Array, phase: Array, sources: tuple[Array, ...], sign: int
    ) -> tuple[Array, Array, Array]:
        field, kappa = (self.potential.gradient_at(x, source, self.axis) for source in sources)
        half = self.dt / 2
        return x, v - sign * half * field, phase - half * kappa


def mean_field_flow(
    potential: AbstractPotential, amplitude: AbstractAmplitude, grid: Grid, *, dt: float, num_steps: int
) -> MeanFieldFlow:
    """Runs (HHt) from `amplitude` on `grid` and stores the density and the mean xi (`current`) that `MeanFieldFlow` needs.
    Differentiable in `potential` and `amplitude`.

    **Raises:** `ValueError` for data that do not decay at the ends of the grid."""
    check_amplitude(amplitude)
    num_steps = check_integer("num_steps", num_steps, minimum=1)
    wave = amplitude.wave(grid)
    save = Save(every=1, observe={"sources": _sources})
    start = wave.fourier_picture()
    run = simulate(HamiltonHartree(potential), start, scheme=Leapfrog(), dt=dt, num_steps=num_steps, save=save)
    density, current = jnp.moveaxis(run.observed["sources"], 1, 0)
    held, start = cast_floating((potential, amplitude), density.dtype)
    return MeanFieldFlow(held, start, wave.grid.axes[0], jnp.asarray(dt, density.dtype), density, current)


def _sources(wave: Wave) -> Float[Array, "2 num_x"]:
    wave = wave.fourier_picture()
    v = wave.grid.axes[1]
    # 2 pi/length is the spacing of xi.
    square = square_modulus(wave.alpha) * (2 * jnp.pi / v.length)
    return jnp.stack([jnp.sum(square, 1), jnp.sum(square * along(wavenumbers(v), 1, 2), 1)])


def nbody_characteristics(
    potential: AbstractPotential,
    x: Float[Array, "S N"],
    v: Float[Array, "S N"],
    *,
    dt: RealScalarLike,
    num_steps: int,
    backward: bool = False,
) -> tuple[Float[Array, "S N"], Float[Array, "S N"]]:
    """(x, v) of S systems of N bodies, (S, N) each, after num_steps steps of dt (`backward`: before them), by `Yoshida(4)`."""

    sign = -1 if check_bool("backward", backward) else 1

    def one(x: Array, v: Array) -> tuple[Array, Array]:
        # Newton's equations are reversed in time by reversing the velocities.
        run = partial(simulate, NBody(potential), scheme=Yoshida(4), dt=dt, num_steps=num_steps, adjoint=Direct())
        end = run(Particles(sign * v[:, None], x[:, None]), throw=False).final
        return end.position[:, 0], sign * end.velocity[:, 0]

    return jax.vmap(one)(x, v)


def hamilton_liouville(
    potential: AbstractPotential,
    amplitude: AbstractAmplitude,
    x: Real[ArrayLike, "S N"],
    v: Real[ArrayLike, "S N"],
    *,
    dt: RealScalarLike,
    num_steps: int,
) -> Complex[Array, " S"]:
    r"""log alpha_N(T, Z) of (HLv^N) from product data: $\alpha_N(T, Z) = \prod_m \alpha_0(Z_m(0; T, Z))$ at configurations x, v
    of shape (S, N), by solving the N-body equations backwards from each. T = num_steps dt; order 4 in dt. **Returns:** (S,),
    complex.

    **Raises:** `ValueError` unless x and v have the same shape (S, N), N >= 2, and for dt <= 0 (a traced dt gives NaN)."""
    dt = scalar_or_nan("dt", dt, positive=True)
    check_amplitude(amplitude)
    x, v = real_array("x", x, "S N"), real_array("v", v, "S N")
    if x.shape != v.shape or x.shape[1] < 2:
        raise argument_error(
            "x", "have the shape (S, N) of v, N >= 2", f"has shape {x.shape}, v {v.shape}", "add an axis"
        )
    before = nbody_characteristics(potential, x, v, dt=dt, num_steps=num_steps, backward=True)
    return jnp.sum(amplitude.log(*before), 1)
