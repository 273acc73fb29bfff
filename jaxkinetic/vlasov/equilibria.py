r"""Homogeneous states f_0(v) per unit length of position, d = 1, analytic in v: for `dispersion_root` and as data on a grid."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Inexact

from .._util.checks import (
    argument_error,
    as_array,
    check_integer,
    check_scalar,
    check_shape,
    concrete_array,
    describe,
    is_traced,
    real_numbers,
    require,
    same_length,
    scalar_or_nan,
)
from .._util.printing import Printed
from .._util.types import RealScalar, RealScalarLike
from .._util.user_laws import LOG_DENSITY, function_of, values_of
from ..initial.samplers import AMPLITUDE
from ..states import Density, Grid

__all__ = ["Maxwellian", "TwoStream", "perturbed"]


class Maxwellian(Printed):
    r"""$f_0(v) = (2\pi T)^{-1/2} e^{-v^2/(2T)}/\mathrm{length}$: mass 1 on a torus of this length. Differentiable in both
    parameters. If `length` is None, `perturbed` uses the length of its grid, and calling f_0 raises.

    **Raises:** `ValueError` for a temperature or length that is not positive; a traced one gives NaN."""

    temperature: RealScalar
    length: RealScalar | None

    def __init__(self, temperature: RealScalarLike = 1.0, length: RealScalarLike | None = None):
        self.temperature, self.length = _positive("temperature", temperature), _length(length)

    def __call__(self, v: Inexact[ArrayLike, "*shape"]) -> Inexact[Array, "*shape"]:
        v = _velocities(v)
        t, length = self.temperature.astype(v.dtype), _known(self.length).astype(v.dtype)
        return jnp.exp(-v * v / (2 * t)) / jnp.sqrt(2 * math.pi * t) / length

    def velocities(self, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Velocities distributed as f_0, for uniform u in [0, 1]. u = 0 and 1 give the nearest finite velocities, with
        derivative 0 in u, where the true derivative is infinite."""
        u = real_numbers("u", u)
        eps = float(jnp.finfo(u.dtype).eps)
        u = jnp.clip(u, eps / 4, 1 - eps / 2)
        return jnp.sqrt(self.temperature.astype(u.dtype)) * jax.scipy.special.ndtri(u)


class TwoStream(Printed):
    r"""Two Maxwellians of equal mass and temperature with mean velocities `drift` and -`drift`; `length` and errors as in
    `Maxwellian`."""

    drift: RealScalar
    temperature: RealScalar
    length: RealScalar | None

    def __init__(self, drift: RealScalarLike, temperature: RealScalarLike = 1.0, length: RealScalarLike | None = None):
        check_scalar("drift", drift)
        self.drift = concrete_array(drift)
        self.temperature, self.length = _positive("temperature", temperature), _length(length)

    def __call__(self, v: Inexact[ArrayLike, "*shape"]) -> Inexact[Array, "*shape"]:
        v = _velocities(v)
        one, drift = Maxwellian(self.temperature, self.length), self.drift.astype(v.dtype)
        return (one(v - drift) + one(v + drift)) / 2

    def velocities(self, u: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Velocities distributed as f_0, for uniform u in [0, 1]; u < 1/2 gives the stream at -`drift`."""
        u = real_numbers("u", u)
        below = u < 0.5
        thermal = Maxwellian(self.temperature, self.length).velocities(jnp.where(below, 2 * u, 2 * u - 1))
        drift = self.drift.astype(u.dtype)
        return thermal + jnp.where(below, -drift, drift)


def _velocities(v: Any) -> Inexact[Array, "*shape"]:
    """Real or complex numbers as an array."""
    v = as_array("v", v, "hold numbers", "pass velocities")
    return v if jnp.issubdtype(v.dtype, jnp.inexact) else v.astype(jnp.result_type(float))


def _positive(name: str, value: RealScalarLike) -> RealScalar:
    return concrete_array(scalar_or_nan(name, value, positive=True))


def _length(value: RealScalarLike | None) -> RealScalar | None:
    return None if value is None else _positive("length", value)


def _known(length: RealScalar | None) -> RealScalar:
    if length is None:
        raise argument_error(
            "length", "be given, because f_0 is a density per unit length", "is None",
            "pass the length of the torus, length=2 * math.pi, say",
        )  # fmt: skip
    return length


def _on_length(f0: Any, length: RealScalar) -> Any:
    """f_0 on a torus of this length. **Raises:** `ValueError` if f_0 has another length: its mass would not be 1."""
    if not hasattr(f0, "length"):
        return f0
    if f0.length is None:
        return eqx.tree_at(lambda f: f.length, f0, length, is_leaf=lambda x: x is None)
    same = same_length(f0.length, length)
    if is_traced(same):
        return eqx.tree_at(lambda f: f.length, f0, jnp.where(same, f0.length, jnp.nan))
    if bool(same):
        return f0
    known = "" if is_traced(length) else f", {float(length):g}"
    require(
        "f0", same, f0.length, f"have the length of the grid{known}, or its mass there is not 1",
        "pass it `length=grid.axes[0].length`, or omit the length", was="has length",
    )  # fmt: skip
    return f0


def _per_length(f0: Any, length: RealScalar) -> Any:
    """A distribution of velocities with `logpdf` or `log_prob`, divided by the length of the torus; other objects unchanged."""
    if hasattr(f0, "length") or not any(callable(getattr(f0, name, None)) for name in LOG_DENSITY):
        return f0
    log_density = function_of("f0", f0, LOG_DENSITY, "be a function of velocity")

    def density(v: Array) -> Array:
        return jnp.exp(values_of("f0", log_density, v)) / length.astype(v.dtype)

    return density


def perturbed(f0: Maxwellian | TwoStream | Any, grid: Grid, amplitude: RealScalarLike, *, number: int = 1) -> Density:
    r"""$f = f_0(v)\,(1 + A\cos kx)$, k = 2 pi number/length of the grid; d = 1. x is measured from the start of its axis.

    **Arguments:** `f0`: a function of v, a density per unit length, or a distribution of v with `logpdf` or `log_prob`
    (scipy.stats, frozen), which is divided by the length of the grid. If it has a `length`, as `Maxwellian` does, this must be
    the length of the grid, or None, which is replaced by the length of the grid. **Raises:** `ValueError` unless the grid has
    one axis of position and one of velocity and resolves the wave, for |A| > 1, for a negative f0, and for an f0 of another
    length (a traced amplitude or length out of range makes f NaN)."""
    amplitude = scalar_or_nan("amplitude", amplitude, within=AMPLITUDE)
    check_integer("number", number, minimum=1)
    if not isinstance(grid, Grid) or len(grid.axes) != 2:
        was = f"has {len(grid.axes)} axes" if isinstance(grid, Grid) else f"is {describe(grid)}"
        raise argument_error("grid", "have one axis of position and one of velocity", was, "pass jk.Grid(x, v)")
    if 2 * number >= grid.axes[0].num:
        raise argument_error(
            "number", f"be below {grid.axes[0].num // 2} on this grid", f"is {number}", "take more points in x"
        )
    f0 = _per_length(f0, grid.axes[0].length)
    if not callable(f0):
        raise argument_error(
            "f0", "be a function of velocity", f"is {describe(f0)}", "pass jk.vlasov.Maxwellian(), say"
        )
    x, v = grid.mesh
    f0 = _on_length(f0, grid.axes[0].length)
    check_shape("f0", f0, v.shape, v)
    values = f0(v)
    if not is_traced(values):
        known = np.asarray(values)
        if known.min() < -1e-6 * np.abs(known).max():
            raise argument_error("f0", "not be negative", f"gives {known.min():g}", "pass a density of velocities")
    k = 2 * math.pi * number / grid.axes[0].length
    return Density((1 + amplitude * jnp.cos(k * (x - grid.axes[0].start))) * values, grid)
