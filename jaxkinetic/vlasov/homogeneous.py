r"""Homogeneous states f_0(v) per unit length of position, d = 1, analytic in v: for `dispersion_root`, and for the grid."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .._checks import check_integer, check_scalar, check_shape, describe, is_traced, known_array, refuse
from .._printing import Printed
from .._types import RealScalar, RealScalarLike
from ..states import Density, Grid

__all__ = ["Maxwellian", "TwoStream", "perturbed"]


class Maxwellian(Printed):
    r"""$f_0(v) = (2\pi T)^{-1/2} e^{-v^2/(2T)}/\mathrm{length}$, mass 1 on the whole length. Both parameters are
    differentiable."""

    temperature: RealScalar
    length: RealScalar

    def __init__(self, temperature: RealScalarLike = 1.0, length: RealScalarLike = 1.0):
        check_scalar("temperature", temperature, positive=True)
        check_scalar("length", length, positive=True)
        self.temperature, self.length = known_array(temperature), known_array(length)

    def __call__(self, v: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
        t, length = self.temperature.astype(v.dtype), self.length.astype(v.dtype)
        return jnp.exp(-v * v / (2 * t)) / jnp.sqrt(2 * math.pi * t) / length

    def velocities(self, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Distributed as f_0, for uniform u in [0, 1], whose ends are rounded to the nearest finite velocity: derivative 0 in u
        there, where it is infinite."""
        eps = float(jnp.finfo(u.dtype).eps)
        u = jnp.clip(u, eps / 4, 1 - eps / 2)
        return jnp.sqrt(self.temperature.astype(u.dtype)) * jax.scipy.special.ndtri(u)


class TwoStream(Printed):
    r"""Half of the mass at `drift`, half at -`drift`, both of one temperature."""

    drift: RealScalar
    temperature: RealScalar
    length: RealScalar

    def __init__(self, drift: RealScalarLike, temperature: RealScalarLike = 1.0, length: RealScalarLike = 1.0):
        check_scalar("drift", drift)
        check_scalar("temperature", temperature, positive=True)
        check_scalar("length", length, positive=True)
        self.drift, self.temperature, self.length = known_array(drift), known_array(temperature), known_array(length)

    def __call__(self, v: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
        one, drift = Maxwellian(self.temperature, self.length), self.drift.astype(v.dtype)
        return (one(v - drift) + one(v + drift)) / 2

    def velocities(self, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Distributed as f_0, for uniform u in [0, 1]: the lower half of it is one stream."""
        below = u < 0.5
        thermal = Maxwellian(self.temperature, self.length).velocities(jnp.where(below, 2 * u, 2 * u - 1))
        drift = self.drift.astype(u.dtype)
        return thermal + jnp.where(below, -drift, drift)


def perturbed(f0: Maxwellian | TwoStream, grid: Grid, amplitude: RealScalarLike, *, number: int = 1) -> Density:
    r"""$f = f_0(v)\,(1 + A\cos kx)$, k = 2 pi number/length of the grid; d = 1. `f0`: any function of v, per unit length.

    **Raises:** `ValueError` unless the grid has one axis of position and one of velocity and resolves the wave."""
    check_scalar("amplitude", amplitude)
    check_integer("number", number, minimum=1)
    if not isinstance(grid, Grid) or len(grid.axes) != 2:
        was = f"has {len(grid.axes)} axes" if isinstance(grid, Grid) else f"is {describe(grid)}"
        raise refuse("grid", "have one axis of position and one of velocity", was, "pass jk.Grid(x, v)")
    if 2 * number >= grid.axes[0].num:
        raise refuse(
            "number", f"be below {grid.axes[0].num // 2} on this grid", f"is {number}", "take more points in x"
        )
    if not callable(f0):
        raise refuse("f0", "be a function of velocity", f"is {describe(f0)}", "pass jk.vlasov.Maxwellian(), say")
    if not is_traced(amplitude) and abs(float(np.asarray(amplitude))) > 1:
        raise refuse(
            "amplitude", "lie in [-1, 1]", f"is {np.asarray(amplitude):g}", "lower it: the density is negative"
        )
    x, v = grid.mesh
    check_shape("f0", f0, v.shape, v)
    k = 2 * math.pi * number / grid.axes[0].length
    return Density((1 + amplitude * jnp.cos(k * (x - grid.axes[0].start))) * f0(v), grid)
