r"""Interaction potentials Gamma, even functions of the displacement of two particles. Nondimensional.

On a torus of length L_i in direction i the field depends on $\hat\Gamma(k) = \int \Gamma e^{-ik\cdot x} dx$ only:
$\Gamma * \rho = \prod L_i^{-1} \sum_k \hat\Gamma(k) \hat\rho(k) e^{ik\cdot x}$. A potential is regular, assumption (Pot) of
[NeissPickl2018, section 3], if its derivatives of order 1, 2 and 3 are bounded (by C_Gamma).
"""

import abc
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxkinetic_kernels import trigonometric_series

from .._util.checks import (
    FINITE,
    POSITIVE,
    Range,
    argument_error,
    cast_floating,
    check_scalar,
    concrete_array,
    describe,
    is_traced,
    require,
    same_length,
    takes_one,
)
from .._util.printing import Printed, printed
from .._util.sums import count_true
from .._util.types import RealScalar, RealScalarLike
from ..pairs.sums import compiled_once
from ..spectral import along, filtered, imaginary, unit_wavenumber, wavenumbers
from ..states import Axis, volume_element
from .pair_sums import series_gradient, series_sum, tiled_gradient, tiled_sum
from .sheets import sheet_gradient, sheet_sum

__all__ = ["AbstractPotential", "Axes", "Cosine", "Custom", "Gaussian", "Harmonic", "Poisson", "check_potential"]

Axes = tuple[Axis, ...]


class AbstractPotential(Printed):
    """Base class of the potentials. A subclass implements `gamma` and `coefficients`, and `series` if Gamma is a sum of few
    cosines; or it overrides the convolutions (`gradient_at` is one of them) and the sums over pairs. For N particles Gamma is
    evaluated at x_i - x_j, not at the nearest image. It may be singular at 0 only.

    Two particles at the same place exert no force on each other: grad Gamma counts as 0 there, and its derivative is the second
    derivative of Gamma at 0, or 0 if Gamma has none."""

    @abc.abstractmethod
    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        """Gamma at displacements x (..., d)."""

    @abc.abstractmethod
    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        """hat Gamma at the wavenumbers of the axes of position, (n_1, ..., n_d), real."""

    @property
    def regular(self) -> bool:
        """Whether (Pot) is known to hold. Optional: no run reads it; the default, False, claims nothing."""
        return False

    def bound(self, dim: int) -> RealScalar:
        """C_Gamma on R^d, the largest of the suprema of the derivatives of order 1, 2 and 3 (operator norms); infinite if they
        are unbounded or not known. Optional, for theorems that use C_Gamma: the default is infinite."""
        return jnp.asarray(math.inf)

    def grad(self, x: Float[Array, "*points d"]) -> Float[Array, "*points d"]:
        """grad Gamma at displacements x (..., d)."""
        flat = x.reshape(-1, x.shape[-1])
        return jax.vmap(jax.grad(self.gamma))(flat).reshape(x.shape)

    def check(self, axes: Axes) -> None:
        """**Raises:** `ValueError` if the potential is not defined on these axes of position."""

    def check_finite(self, axes: Axes) -> None:
        """**Raises:** `ValueError` if the field of a point mass on this grid is not finite."""
        if is_traced(self, axes):
            return
        with jax.ensure_compile_time_eval():
            potential = cast_floating(self, axes[0].length.dtype)
            point = jnp.zeros([axis.num for axis in axes], axes[0].length.dtype).at[(0,) * len(axes)].set(1.0)
            field = potential.field(point, axes)
        # A function may close over a tracer, which no leaf shows.
        if not is_traced(field) and not all(np.isfinite(part).all() for part in field):
            raise argument_error(
                "potential", "have a finite field", "has NaN or infinity", "soften it, or check its parameters"
            )

    def check_particles(self, dim: int) -> None:
        """**Raises:** `ValueError` if it defines no forces between particles in d dimensions."""

    @property
    def by_pairs(self) -> bool:
        """Whether forces on N particles are sums over N^2 pairs."""
        return type(self).pair_gradient is AbstractPotential.pair_gradient and self.series(1) is None

    def series(self, dim: int) -> tuple[Float[Array, "M {dim}"], Float[Array, " M"]] | None:
        """Modes m (M, d) and coefficients c (M,) of Gamma = sum_m c_m cos(m . x), if Gamma is a sum of few cosines; forces on N
        particles then cost N M. None: the forces are computed by `pair_gradient` and `pair_sum`."""
        return None

    def pair_gradient(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> Float[Array, "N d"]:
        """sum_{j != i} grad Gamma(x_i - x_j) over the points x (N, d) in the mask, (N, d)."""
        series = self.series(x.shape[1])
        if series is None:
            return compiled_once(tiled_gradient, self.grad, x, mask)
        return series_gradient(series, x, mask)

    def pair_sum(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> RealScalar:
        """sum_{i != j} Gamma(x_i - x_j) over ordered pairs of points in the mask."""
        series = self.series(x.shape[1])
        return compiled_once(tiled_sum, self.gamma, x, mask) if series is None else series_sum(series, x, mask)

    def gradient_at(self, x: Float[Array, " S"], rho: Float[Array, " {axis.num}"], axis: Axis) -> Float[Array, " S"]:
        """Gamma' * rho at points x (S,), d = 1, with rho given on a grid: the interpolation of `field`."""
        weights = rho * axis.spacing
        series = self.series(1)
        if series is not None:
            modes, coefficients = (part.astype(x.dtype) for part in series)
        else:
            # Of a real function: all modes but the mean and Nyquist's count twice.
            half = slice(1, axis.num // 2)
            modes = wavenumbers(axis)[half, None]
            coefficients = 2 * self.coefficients((axis,))[half] / axis.length
        angles = axis.points[:, None] * modes.T
        cosines, sines = (jnp.sum(weights[:, None] * wave(angles), 0) for wave in (jnp.cos, jnp.sin))
        factor = coefficients * modes[:, 0]
        return trigonometric_series(x[:, None], modes, (factor * sines)[:, None], (-factor * cosines)[:, None])[:, 0]

    def convolve(self, rho: Float[Array, "*places"], axes: Axes) -> Float[Array, "*places"]:
        """Gamma * rho."""
        return jnp.fft.ifftn(filtered(jnp.fft.fftn(rho), self.coefficients(axes))).real

    def field(self, rho: Float[Array, "*places"], axes: Axes) -> tuple[Float[Array, "*places"], ...]:
        """E = grad Gamma * rho, d components; the force on a particle is -E."""
        half = rho.shape[-1] // 2 + 1
        hat = filtered(jnp.fft.rfftn(rho), self.coefficients(axes)[..., :half])
        sides = (_derivative(axes, i) for i in range(len(axes)))
        return tuple(jnp.fft.irfftn(side[..., :half] * hat, s=rho.shape) for side in sides)

    def twist(self, moment: tuple[Float[Array, "*places"], ...], axes: Axes) -> Float[Array, "*places"]:
        """kappa = sum_i d_i Gamma * M_i."""
        hats = [_derivative(axes, i) * jnp.fft.fftn(m) for i, m in enumerate(moment)]
        return jnp.fft.ifftn(filtered(sum(hats[1:], hats[0]), self.coefficients(axes))).real


def check_potential(potential: Any) -> None:
    """**Raises:** `ValueError` unless `potential` is an `AbstractPotential`."""
    if not isinstance(potential, AbstractPotential):
        raise argument_error("potential", "be a potential", f"is {describe(potential)}", "pass jk.vlasov.Cosine(), say")


def _derivative(axes: Axes, i: int) -> Array:
    return imaginary(along(wavenumbers(axes[i]), i, len(axes)))


def _square(axes: Axes) -> Array:
    """|k|^2, including the Nyquist frequencies (which `wavenumbers` sets to 0)."""
    parts = []
    for i, axis in enumerate(axes):
        whole = jnp.asarray([min(j, axis.num - j) for j in range(axis.num)], axis.length.dtype)
        parts.append(along(unit_wavenumber(axis) * whole, i, len(axes)) ** 2)
    return sum(parts[1:], parts[0])


def _volume(axes: Axes) -> Array:
    return math.prod((axis.length for axis in axes[1:]), start=axes[0].length)


def _centred(x: Array, mask: Array) -> tuple[Array, Array]:
    """x_i minus their mean, 0 outside of the mask; the number of particles in the mask."""
    num = count_true(mask, x.dtype)
    x = jnp.where(mask[:, None], x, 0)
    return jnp.where(mask[:, None], x - jnp.sum(x, 0, keepdims=True) / num, 0), num


class Cosine(AbstractPotential):
    """Gamma = -strength sum_i cos x_i on a torus of lengths 2 pi, attractive for strength > 0. In d = 1 it is the HMF model
    [AntoniRuffo1995]."""

    ranges: ClassVar[Mapping[str, Range]] = {"strength": FINITE}
    strength: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0):
        check_scalar("strength", strength)
        self.strength = concrete_array(strength)

    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        return -self.strength.astype(x.dtype) * jnp.sum(jnp.cos(x), -1)

    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        ones = np.zeros([axis.num for axis in axes])
        for i, axis in enumerate(axes):
            for j in (1, axis.num - 1):
                place = [0] * len(axes)
                place[i] = j
                ones[tuple(place)] = 1
        return -self.strength / 2 * _volume(axes) * jnp.asarray(ones, axes[0].length.dtype)

    def series(self, dim: int) -> tuple[Float[Array, "M {dim}"], Float[Array, " M"]]:
        return jnp.eye(dim, dtype=self.strength.dtype), jnp.broadcast_to(-self.strength, (dim,))

    def grad(self, x: Float[Array, "*points d"]) -> Float[Array, "*points d"]:
        return self.strength.astype(x.dtype) * jnp.sin(x)

    def check(self, axes: Axes) -> None:
        for axis in axes:
            require(
                "grid", same_length(axis.length, 2 * math.pi), axis.length,
                "have positions on a circle of length 2 pi for Cosine", "set it so, or use Custom", was="has length",
            )  # fmt: skip

    @property
    def regular(self) -> bool:
        return True

    def bound(self, dim: int) -> RealScalar:
        # |grad| <= sqrt(d), attained; second and third derivatives are diagonal.
        return jnp.abs(self.strength) * math.sqrt(dim)


class Gaussian(AbstractPotential):
    """Gamma = strength exp(-|x|^2/(2 width^2)); on a torus the sum over all images."""

    ranges: ClassVar[Mapping[str, Range]] = {"strength": FINITE, "width": POSITIVE}
    strength: RealScalar
    width: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0, width: RealScalarLike = 1.0):
        check_scalar("strength", strength)
        check_scalar("width", width, positive=True)
        self.strength, self.width = concrete_array(strength), concrete_array(width)

    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        return self.strength.astype(x.dtype) * jnp.exp(-jnp.sum(x * x, -1) / (2 * self.width.astype(x.dtype) ** 2))

    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        norm = self.strength * (math.sqrt(2 * math.pi) * self.width) ** len(axes)
        return norm * jnp.exp(-_square(axes) * self.width**2 / 2)

    @property
    def regular(self) -> bool:
        return True

    def bound(self, dim: int) -> RealScalar:
        # Of one Gaussian on R^d, in units of the width: sup |s| e^{-s^2/2}, of |1 - s^2| and 1, of |3s - s^3|, along one
        # direction.
        first, second, third = math.exp(-0.5), 1.0, 1.3801175
        w = self.width
        return jnp.abs(self.strength) * jnp.max(jnp.stack([first / w, second / w**2, third / w**3]))


class Poisson(AbstractPotential):
    """The repulsive Coulomb interaction on a torus with a neutralising background: -Laplace Gamma = strength (delta -
    1/volume), hat Gamma = strength/|k|^2 and 0 at k = 0. In d = 1 `strength = length` gives plasma frequency 1 at mass 1.

    N particles in d = 1 are charged sheets [Dawson1962], with forces in O(N log N) by sorting. The force jumps by strength/(N -
    1) where two sheets cross. There a path has an error of O(dt) for every scheme, and so has the energy, whose error adds up
    like a random walk; means over many sheets keep the order of the scheme down to that noise. Gradients through these forces
    raise `ValueError`, because they would omit the jumps. Gradients of the energy are correct; where two sheets coincide the
    energy has a kink, and the mean of the two one-sided derivatives is returned."""

    ranges: ClassVar[Mapping[str, Range]] = {"length": POSITIVE, "strength": FINITE}
    length: RealScalar
    strength: RealScalar

    def __init__(self, length: RealScalarLike, strength: RealScalarLike | None = None):
        check_scalar("length", length, positive=True)
        strength = length if strength is None else strength
        check_scalar("strength", strength)
        self.length, self.strength = concrete_array(length), concrete_array(strength)

    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        """d = 1 only: a Bernoulli polynomial of degree 2. At multiples of the length Gamma has a kink; its derivatives are set
        to 0 there (for the first one this is the mean of both sides)."""
        if x.shape[-1] != 1:
            raise argument_error(
                "x", "have one component for Poisson in real space", f"has {x.shape[-1]}", "use `coefficients`"
            )
        length = self.length.astype(x.dtype)
        u = jnp.abs(x[..., 0]) / length
        u = u - jnp.floor(u)
        u = jnp.where(u == 0, 0, u)
        return self.strength.astype(x.dtype) * length * (1 / 12 - u * (1 - u) / 2)

    def check_particles(self, dim: int) -> None:
        if dim > 1:
            raise argument_error(
                "potential", "have forces between particles", f"is Poisson in d = {dim}", "use d = 1, or Custom"
            )

    def pair_gradient(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> Float[Array, "N d"]:
        self.check_particles(x.shape[1])
        return sheet_gradient(x[:, 0], mask, self.length.astype(x.dtype), self.strength.astype(x.dtype))[:, None]

    def pair_sum(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> RealScalar:
        self.check_particles(x.shape[1])
        return sheet_sum(x[:, 0], mask, self.length.astype(x.dtype), self.strength.astype(x.dtype))

    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        k2 = _square(axes)
        zero = k2 == 0
        return jnp.where(zero, 0, self.strength / jnp.where(zero, 1, k2))

    def check(self, axes: Axes) -> None:
        for axis in axes:
            ours = "its `length`" if is_traced(self.length) else f"length {float(self.length):g}"
            require(
                "grid", same_length(axis.length, self.length), axis.length,
                f"have positions on a torus of {ours}, that of Poisson", "pass the grid's length to Poisson",
                was="has length",
            )  # fmt: skip


class Harmonic(AbstractPotential):
    """Gamma = stiffness |x|^2/2 on R^d: the axes of position must contain the data. Its first derivatives are unbounded, so
    (Pot) does not hold."""

    ranges: ClassVar[Mapping[str, Range]] = {"stiffness": FINITE}
    stiffness: RealScalar

    def __init__(self, stiffness: RealScalarLike = 1.0):
        check_scalar("stiffness", stiffness)
        self.stiffness = concrete_array(stiffness)

    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        return self.stiffness.astype(x.dtype) * jnp.sum(x * x, -1) / 2

    def grad(self, x: Float[Array, "*points d"]) -> Float[Array, "*points d"]:
        return self.stiffness.astype(x.dtype) * x

    def pair_gradient(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> Float[Array, "N d"]:
        centred, num = _centred(x, mask)
        return self.stiffness.astype(x.dtype) * num * centred

    def pair_sum(self, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> RealScalar:
        centred, num = _centred(x, mask)
        return self.stiffness.astype(x.dtype) * num * jnp.sum(centred * centred)

    def gradient_at(self, x: Float[Array, " S"], rho: Float[Array, " {axis.num}"], axis: Axis) -> Float[Array, " S"]:
        weights = rho * axis.spacing
        return self.stiffness.astype(x.dtype) * (x * jnp.sum(weights) - jnp.sum(weights * axis.points))

    def check(self, axes: Axes) -> None:
        if any(axis.periodic for axis in axes):
            raise argument_error(
                "grid", "have positions on an axis that is not periodic, for Harmonic", "has a periodic one",
                "pass jk.Axis(..., periodic=False)",
            )  # fmt: skip

    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        raise argument_error("potential", "be periodic", "is Harmonic", "use `field`, which it computes from moments")

    def convolve(self, rho: Float[Array, "*places"], axes: Axes) -> Float[Array, "*places"]:
        cell = volume_element(axes)
        x = [along(axis.points, i, len(axes)) for i, axis in enumerate(axes)]
        mass = jnp.sum(rho) * cell
        total = jnp.zeros_like(rho)
        for c in x:
            total = total + mass * c * c / 2 - c * jnp.sum(rho * c) * cell + jnp.sum(rho * c * c) * cell / 2
        return self.stiffness * total

    def field(self, rho: Float[Array, "*places"], axes: Axes) -> tuple[Float[Array, "*places"], ...]:
        return tuple(self._pull(rho, axes, i) for i in range(len(axes)))

    def twist(self, moment: tuple[Float[Array, "*places"], ...], axes: Axes) -> Float[Array, "*places"]:
        parts = [self._pull(m, axes, i) for i, m in enumerate(moment)]
        return sum(parts[1:], parts[0])

    def _pull(self, weight: Array, axes: Axes, i: int) -> Array:
        """stiffness int (x_i - y_i) weight(y) dy."""
        cell = volume_element(axes)
        x = along(axes[i].points, i, len(axes))
        whole = jnp.sum(weight) * cell
        return jnp.broadcast_to(self.stiffness * (x * whole - jnp.sum(weight * x) * cell), weight.shape)


class Custom(AbstractPotential):
    """Gamma = fn(x), your own even function of displacements x (..., d). On a grid it is evaluated at the nearest image of the
    torus and should be smooth across the boundary; between particles it is evaluated at x_i - x_j, so it must be periodic for
    particles on a torus. `regular_bound`: C_Gamma, if you know that (Pot) holds. Gradients with respect to parameters of `fn`
    exist if it is an `eqx.Module` or a `jax.tree_util.Partial`, or (with `Direct` and `Checkpointed`) if it closes over
    them."""

    fn: Callable[[Float[Array, "*points d"]], Float[Array, "*points"]]
    regular_bound: float | None = eqx.field(static=True)

    def __init__(
        self,
        fn: Callable[[Float[Array, "*points d"]], Float[Array, "*points"]],
        regular_bound: float | None = None,
    ):
        if not callable(fn):
            raise argument_error(
                "fn", "be a function of displacements (..., d)", f"is {describe(fn)}", "write it with jnp"
            )
        if not takes_one(fn):
            raise argument_error(
                "fn", "take displacements (..., d) as its only argument", f"{printed(fn)} does not", "drop the others"
            )
        # A plain function is no leaf that a loop can carry.
        known = isinstance(fn, (eqx.Module, jax.tree_util.Partial))
        self.fn = cast(Callable[[Array], Array], fn if known else jax.tree_util.Partial(fn))
        self.regular_bound = regular_bound

    def gamma(self, x: Float[Array, "*points d"]) -> Float[Array, "*points"]:
        return self.fn(x)

    def coefficients(self, axes: Axes) -> Float[Array, "*places"]:
        values = self.fn(self._displacements(axes))
        cell = volume_element(axes)
        return jnp.fft.fftn(values).real * cell

    @staticmethod
    def _displacements(axes: Axes) -> Array:
        steps = [[j if 2 * j < a.num else j - a.num for j in range(a.num)] for a in axes]
        points = [a.spacing * jnp.asarray(s, a.length.dtype) for a, s in zip(axes, steps, strict=True)]
        return jnp.stack(jnp.meshgrid(*points, indexing="ij"), -1)

    def check(self, axes: Axes) -> None:
        if not is_traced(*(axis.length for axis in axes)):
            with jax.ensure_compile_time_eval():
                x = self._displacements(axes)
            self._check_at(x)

    def check_particles(self, dim: int) -> None:
        self._check_at(np.random.default_rng(0).normal(size=(16, dim)))

    def _check_at(self, points: Any) -> None:
        """**Raises:** `ValueError` unless `fn` is a finite, real, even function there, one value for each point."""
        if is_traced(self.fn):
            return
        with jax.ensure_compile_time_eval():
            x = jnp.asarray(points)
            fn = cast_floating(self.fn, x.dtype)
            try:
                if not hasattr(jax.eval_shape(fn, x), "dtype"):
                    raise TypeError("not a JAX type")
                here, there = fn(x), fn(-x)
            except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
                raise argument_error(
                    "fn", "be written with jnp", "calls numpy or float()", "replace np by jnp"
                ) from None
            except TypeError as error:
                if "JAX type" not in str(error) and "JAX array type" not in str(error):
                    raise
                raise argument_error("fn", "give an array", "gives something else", "write it with jnp") from None
        if is_traced(here, there):
            return
        here, there = np.asarray(here), np.asarray(there)
        if not np.issubdtype(here.dtype, np.floating):
            raise argument_error(
                "fn", "give real floating numbers", f"gives {here.dtype}", "take the real part, or cast"
            )
        if here.shape != x.shape[:-1]:
            raise argument_error("fn", "map (..., d) to (...)", f"gives shape {here.shape}", "sum over the last axis")
        if not np.isfinite(here).all():
            raise argument_error("fn", "be finite", "gives a NaN or infinity", "soften it")
        scale = np.abs(here).max()
        if np.abs(here - there).max() > 1e-5 * scale:
            raise argument_error(
                "fn", "be even", f"fn(x) and fn(-x) differ by {np.abs(here - there).max():.2g}", "symmetrise it"
            )

    @property
    def regular(self) -> bool:
        return self.regular_bound is not None

    def bound(self, dim: int) -> RealScalar:
        return jnp.asarray(math.inf if self.regular_bound is None else self.regular_bound)
