"""Simulation states: particles, grids, densities, waves."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Inexact, Shaped, UInt32

from ._util.checks import (
    FINITE,
    POSITIVE,
    Range,
    argument_error,
    as_array,
    cast_floating,
    check_bool,
    check_integer,
    check_scalar,
    concrete_array,
    describe,
    is_traced,
    kind,
    real_array,
    require,
)
from ._util.fft_blocks import in_blocks
from ._util.printing import Printed, summary
from ._util.sums import count_true
from ._util.types import RealScalar, RealScalarLike

__all__ = [
    "Axis", "Density", "Grid", "Particles", "Wave", "check_alive", "check_particles", "square_modulus",
    "volume_element",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


class Particles(Printed):
    """N particles in d dimensions, nondimensional, each of unit mass.

    **Arguments:**

    - `velocity`: (N, d), real floating.
    - `position`: (N, d), or None for a spatially homogeneous system.
    - `alive`: (N,) bool, default all True. A dead slot neither moves nor acts, and is left out of every average.
    - `ident`: (N,) uint32, distinct, default 0..N-1. All noise is keyed by `ident`, not by the slot, so that a permuted
      state follows the same path.

    `jax.grad` with respect to a `Particles` object fails on its bool and uint32 leaves: use `eqx.filter_grad`, or
    differentiate with respect to `velocity`.

    **Raises:** `ValueError` for integer or complex velocities, and for shapes that do not match.
    """

    velocity: Float[Array, "N d"]
    position: Float[Array, "N d"] | None
    alive: Bool[Array, " N"]
    ident: UInt32[Array, " N"]

    def __repr__(self) -> str:
        parts = [f"velocity={summary(self.velocity)}"]
        parts += [] if self.position is None else [f"position={summary(self.position)}"]
        if isinstance(self.alive, (jax.Array, np.ndarray)) and not is_traced(self.alive):
            parts.append(f"alive={int(np.sum(np.asarray(self.alive)))} of {self.alive.size}")
        return f"Particles({', '.join(parts)})"

    def __init__(
        self,
        velocity: ArrayLike,
        position: ArrayLike | None = None,
        alive: ArrayLike | None = None,
        ident: ArrayLike | None = None,
    ):
        self.velocity = real_array("velocity", velocity, "N d")
        num = self.velocity.shape[0]
        if num > 2**31:
            raise argument_error(
                "velocity", "hold at most 2^31 particles: identities are uint32, places int32", f"holds {num}",
                "split the system",
            )  # fmt: skip
        self.position = None if position is None else real_array("position", position, "N d")
        if self.position is not None and self.position.shape != self.velocity.shape:
            raise argument_error(
                "position", f"have the shape of `velocity`, {self.velocity.shape}", f"has shape {self.position.shape}",
                "pass one position per particle",
            )  # fmt: skip
        # Inside a trace these are made by JAX: NumPy arrays would become constants of length N in the program.
        make = jnp if is_traced(velocity) else np
        alive = make.ones(num, bool) if alive is None else alive
        self.alive = as_array("alive", alive, f"be an array of {num} bools", "pass one for each particle")
        idents = make.arange(num, dtype=np.uint32) if ident is None else ident
        self.ident = as_array("ident", idents, f"be an array of {num} integers, uint32", "pass one for each particle")
        for name, array, dtype in (("alive", self.alive, jnp.bool_), ("ident", self.ident, jnp.uint32)):
            if array.shape != (num,) or array.dtype != dtype:
                raise argument_error(
                    name, f"be an array of shape ({num},) and dtype {jnp.dtype(dtype)}",
                    f"has shape {array.shape} and dtype {array.dtype}", "convert it",
                )  # fmt: skip

        if ident is not None and not is_traced(ident) and np.unique(np.asarray(ident)).size < num:
            raise argument_error("ident", "name every particle once", "holds duplicates", "pass distinct numbers")

    @property
    def num_slots(self) -> int:
        """N, including dead slots."""
        return self.velocity.shape[0]

    @property
    def dim(self) -> int:
        return self.velocity.shape[1]

    @property
    def num_alive(self) -> RealScalar:
        """The number of alive particles, counted exactly and then rounded to the dtype of the velocities."""
        return count_true(self.alive, self.velocity.dtype)

    @property
    def live_velocity(self) -> Float[Array, "N d"]:
        """(N, d): the velocities, with 0 in dead slots, so that the content of dead slots affects neither values nor
        gradients."""
        return jnp.where(self.alive[:, None], self.velocity, jnp.zeros((), self.velocity.dtype))

    def mean(self, values: Shaped[Array, "N *value"]) -> Inexact[Array, "*value"]:
        """The average of `values` (N, ...) over the alive particles. **Raises:** `ValueError` for another shape."""
        values = as_array("values", values, "be an array (N, ...)", "pass one row a particle")
        if values.shape[: self.alive.ndim] != self.alive.shape:
            raise argument_error(
                "values", f"have {self.num_slots} rows, one per particle", f"has shape {values.shape}", "pass (N, ...)"
            )
        alive = self.alive.reshape(-1, *[1] * (values.ndim - 1))
        return jnp.sum(jnp.where(alive, values, jnp.zeros((), values.dtype)), axis=0) / self.num_alive

    def increment(
        self, *, velocity: Float[Array, "N d"] | None = None, position: Float[Array, "N d"] | None = None
    ) -> "Particles":
        """A `Particles`-shaped update for `eqx.apply_updates`, with None for leaves that do not change."""
        nothing: Any = jax.tree.map(lambda _: None, self)
        return eqx.tree_at(
            lambda p: (p.velocity, p.position), nothing, (velocity, position), is_leaf=lambda x: x is None
        )


def check_particles(state: Any, least: int) -> None:
    """**Raises:** `ValueError` unless `state` is `Particles` of one run (no replica axis) with at least `least` slots."""
    if not isinstance(state, Particles):
        raise argument_error("state", "be Particles", f"is {kind(state)}", "pass jk.Particles(velocity)")
    if state.velocity.ndim != 2:
        raise argument_error(
            "state.velocity", "have shape (N, d)", f"has shape {state.velocity.shape}", "use `jax.vmap` over replicas"
        )
    if state.num_slots < least:
        plural = "" if least == 1 else "s"
        raise argument_error(
            "state", f"hold at least {least} particle{plural}", f"holds {state.num_slots}", "add particles"
        )


def check_alive(state: Particles, least: int) -> None:
    """**Raises:** `ValueError` if fewer than `least` particles are alive; a traced mask is checked during the run."""
    what = "a particle that is" if least == 1 else f"at least {least} particles that are"
    if is_traced(state.alive):
        alive = state.num_alive
        require(
            "state", alive >= least, alive, f"hold {what} alive", "set more entries of `alive` to True", was="holds"
        )
        return
    alive = int(np.sum(np.asarray(state.alive)))
    if alive < least:
        raise argument_error(
            "state", f"hold {what} alive", f"holds {alive or 'none'}", "set more entries of `alive` to True"
        )


class Axis(Printed):
    """`num` equidistant points start + j length/num of the interval [start, start + length). `num` is static; `start` and
    `length` are leaves. `periodic`: True if functions on the axis are periodic, False if they decay towards both ends."""

    ranges: ClassVar[Mapping[str, Range]] = {"start": FINITE, "length": POSITIVE}
    start: RealScalar
    length: RealScalar
    num: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __init__(self, start: RealScalarLike, length: RealScalarLike, num: int, periodic: bool = True):
        check_scalar("start", start)
        check_scalar("length", length, positive=True)
        self.num = check_integer("num", num, minimum=4)
        if self.num % 2:
            raise argument_error("num", "be even", f"is {num}", "add a point")
        self.start, self.length, self.periodic = (
            concrete_array(start),
            concrete_array(length),
            check_bool("periodic", periodic),
        )

    @property
    def spacing(self) -> RealScalar:
        return self.length / self.num

    @property
    def points(self) -> Float[Array, " num"]:
        return self.start + self.spacing * jnp.arange(self.num, dtype=self.length.dtype)


class Grid(Printed):
    """A product of axes. A phase-space grid has first the d position axes, then the d velocity axes."""

    axes: tuple[Axis, ...]

    def __init__(self, *axes: Axis):
        for axis in axes:
            if not isinstance(axis, Axis):
                raise argument_error(
                    "axes", "be Axis objects", f"hold {describe(axis)}", "pass jk.Axis(0.0, 1.0, 64), say"
                )
        if not axes:
            raise argument_error("axes", "hold at least one Axis", "hold none", "pass some")
        self.axes = tuple(axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.num for axis in self.axes)

    @property
    def cell(self) -> RealScalar:
        """The volume of a cell."""
        return volume_element(self.axes)

    @property
    def mesh(self) -> tuple[Float[Array, "*grid"], ...]:
        """The coordinates of all points, one array of `shape` for each axis."""
        return tuple(jnp.meshgrid(*(axis.points for axis in self.axes), indexing="ij"))

    @property
    def half(self) -> int:
        """Half the number of axes: d for a phase-space grid."""
        return len(self.axes) // 2


class Density(Printed):
    """A real density f on a grid of velocities or of phase space."""

    f: Float[Array, "*grid"]
    grid: Grid

    _summarised: ClassVar[tuple[str, ...]] = ("f",)

    def __init__(self, f: ArrayLike, grid: Grid):
        self.f = _array("f", f)
        if not jnp.issubdtype(self.f.dtype, jnp.floating) or jnp.finfo(self.f.dtype).bits < 32:
            raise argument_error("f", "be real, of 32 or 64 bits", f"has dtype {self.f.dtype}", "pass a floating array")
        _fits("f", self.f, grid)
        self.grid = cast_floating(grid, self.f.dtype)

    @property
    def mass(self) -> RealScalar:
        return self.integral(self.f)

    def integral(self, values: Float[Array, "*grid"]) -> RealScalar:
        """The integral over the grid of the function with these values."""
        return jnp.sum(values) * self.grid.cell


class Wave(Printed):
    r"""A complex amplitude alpha on a phase-space grid, with |alpha|^2 = f, in one of two pictures.

    - "velocity": alpha(x, v);
    - "fourier": $\hat\alpha(x, \xi) = (2\pi)^{-d/2} \int \alpha e^{-iv\cdot\xi} dv$ at the wavenumbers xi of the velocity
      axes, in FFT order.

    `velocity_picture()` and `fourier_picture()` convert. They are isometric: $\int|\alpha|^2 dv = \int|\hat\alpha|^2 d\xi$.

    `num_particles`: 1, or N for the amplitude of N particles in d = 1 on a grid of N position and N velocity axes, as returned
    by `vlasov.product_wave` and used by `vlasov.PseudoSchrodinger`. Energies depend on it, because one particle in N dimensions
    on the same grid has a different Hamiltonian: a wave of N particles made by hand needs it. (A run of `PseudoSchrodinger`
    sets it in the states that it returns.)
    """

    alpha: Complex[Array, "*grid"]
    grid: Grid
    picture: str = eqx.field(static=True)
    num_particles: int = eqx.field(static=True)

    _summarised: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: ArrayLike, grid: Grid, picture: str = "velocity", num_particles: int = 1):
        alpha = _array("alpha", alpha)
        if not jnp.issubdtype(alpha.dtype, jnp.inexact) or jnp.finfo(alpha.dtype).bits < 32:
            raise argument_error(
                "alpha", "be complex or floating, of 32 or 64 bits", f"has dtype {alpha.dtype}", "cast it"
            )
        self.alpha = alpha if jnp.iscomplexobj(alpha) else jax.lax.complex(alpha, jnp.zeros_like(alpha))
        self.picture = picture
        _check_picture(picture)
        _fits("alpha", self.alpha, grid)
        if len(grid.axes) % 2:
            raise argument_error(
                "grid", "have as many axes of velocity as of position", f"has {len(grid.axes)}", "add one"
            )
        self.num_particles = check_integer("num_particles", num_particles, minimum=1)
        if num_particles not in (1, grid.half):
            raise argument_error(
                "num_particles", f"be 1 or {grid.half}, the axes of position", f"is {num_particles}", "change the grid"
            )
        self.grid = cast_floating(grid, self.alpha.real.dtype)

    @property
    def dim(self) -> int:
        return self.grid.half

    @property
    def mass(self) -> RealScalar:
        """The squared L^2 norm, equal in both pictures."""
        return jnp.sum(square_modulus(self.alpha)) * self._cell

    def velocity_picture(self) -> "Wave":
        """The same wave as alpha(x, v)."""
        if self.picture == "velocity":
            return self
        return Wave.from_spectrum(self.spectrum(), self.grid, "velocity", self.num_particles)

    def fourier_picture(self) -> "Wave":
        """The same wave as hat alpha(x, xi)."""
        if self.picture == "fourier":
            return self
        return Wave.from_spectrum(self.spectrum(), self.grid, "fourier", self.num_particles)

    def spectrum(self) -> Complex[Array, "*grid"]:
        """The unnormalised discrete Fourier transform of alpha over the velocity axes: hat alpha without the prefactor and the
        phase of the integral."""
        if self.picture == "velocity":
            return in_blocks(partial(jnp.fft.fftn, axes=self._over_v), self.alpha)
        return self.alpha / self._kernel().astype(self.alpha.dtype)

    @staticmethod
    def from_spectrum(
        spectrum: Complex[Array, "*grid"], grid: Grid, picture: str = "velocity", num_particles: int = 1
    ) -> "Wave":
        """The wave with this `spectrum`."""
        _check_picture(picture)
        out = Wave(spectrum, grid, "fourier", num_particles)
        if picture == "velocity":
            alpha = in_blocks(partial(jnp.fft.ifftn, axes=out._over_v), spectrum)
            return Wave(alpha, grid, "velocity", num_particles)
        return Wave(spectrum * out._kernel(), grid, "fourier", num_particles)

    @property
    def _over_v(self) -> tuple[int, ...]:
        return tuple(range(self.dim, 2 * self.dim))

    def _kernel(self) -> Array:
        """The factor prod dv (2 pi)^{-1/2} e^{-i xi v_0} that turns the discrete transform into the integral. The Nyquist
        frequency, whose sign is ambiguous, counts as negative."""
        out: Any = jnp.ones((1,) * self.alpha.ndim, self.alpha.dtype)
        for i, axis in enumerate(self.grid.axes[self.dim :]):
            j = jnp.asarray([j if 2 * j < axis.num else j - axis.num for j in range(axis.num)], axis.length.dtype)
            angle = -2 * math.pi * j * (axis.start / axis.length)
            shape = [1] * self.alpha.ndim
            shape[self.dim + i] = axis.num
            one = axis.spacing / math.sqrt(2 * math.pi)
            out = out * jax.lax.complex(one * jnp.cos(angle), one * jnp.sin(angle)).reshape(shape)
        return out

    @property
    def _cell(self) -> RealScalar:
        d, axes = self.dim, self.grid.axes
        cell = volume_element(axes[:d])
        for a in axes[d:]:
            cell = cell * (a.spacing if self.picture == "velocity" else 2 * math.pi / a.length)
        return cell


def volume_element(axes: Sequence[Axis]) -> RealScalar:
    """The product of the grid spacings."""
    return math.prod((axis.spacing for axis in axes[1:]), start=axes[0].spacing)


def square_modulus(z: Inexact[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|z|^2."""
    return z.real**2 + z.imag**2


def _check_picture(picture: Any) -> None:
    if picture not in ("velocity", "fourier"):
        raise argument_error("picture", 'be "velocity" or "fourier"', f"is {describe(picture)}", "choose one")


def _array(name: str, values: Any) -> Array:
    return as_array(name, values, "be an array", "pass the values on the grid")


def _fits(name: str, values: Array, grid: Grid) -> None:
    if not isinstance(grid, Grid):
        raise argument_error("grid", "be a Grid", f"is {describe(grid)}", "pass jk.Grid(jk.Axis(...), ...)")
    if values.shape != grid.shape:
        raise argument_error(
            name, f"have the shape of the grid, {grid.shape}", f"has shape {values.shape}", "reshape it"
        )
