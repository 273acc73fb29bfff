"""The Landau equation for isotropic densities, conservative and with falling entropy by construction."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .. import spectral
from .._core.system import AbstractField, AbstractScheme
from .._util.checks import (
    argument_error,
    check_integer,
    check_law,
    deferred_checks,
    describe,
    is_traced,
    nan_unless_met,
)
from .._util.types import RealScalar, RealScalarLike
from ..radial import RadialDensity, sphere_area, unit_weights
from ..runge_kutta import RKC
from ..states import Density
from .interactions import AbstractRadial, check_callables
from .isotropic_kernel import kernel_table
from .radial_differences import REACH, difference_matrices, face_weights
from .trigonometric import Trigonometric

__all__ = ["IsotropicPDE"]

# Limits of the bends of log f between neighbouring points, and of the sum of the coefficients of a difference, each times f at
# the face over f at the point (2.7 for constant f), above which differences are of order 2.
_BEND, _STEEP = 3.0, 16.0
# |S^{d-1}| R^d f(R) over the mass, up to which the speeds reach far enough.
_EDGE = 1e-9
# A run does not start above this.
_FAR_TOO_LARGE = 1e-4
_LEAST_NUM = 3 * REACH


class IsotropicPDE(AbstractField):
    r"""The Landau equation $\partial_t f = \mathrm{div}\,[(a * f)\nabla f - (b * f) f]$, (1.1) of [CarrilloGuoJabin2024], for
    isotropic f(|v|) in R^d, d = `dim`, and a radial interaction: the limit of `MatrixSqrt`, `IndependentNoise` and `Kac` as N
    -> infinity from isotropic data.

    With $e = |v|^2/2$ and $a(z) z = 0$ the weak form is, for every $\phi(e)$,

    $$\frac{d}{dt}\int f \phi = -\frac12 \iint f f_* A(v, v_*)\,(\phi' - \phi'_*)\,(g' - g'_*),\qquad g = \log f,$$

    where A is the average of v.a(v - v*)v over the angle between v and v*. Here ' = d/de is replaced by a difference of order
    16 from the points of the grid to the faces between them, the same for phi and for log f, and f by the exponential of the
    interpolated log f. So mass and energy are conserved to round-off, int f log f falls at the rate `dissipation`, and
    Maxwellians are stationary, for every number of points. The form with phi' and g' is that of the difference schemes of
    [BuetCordier1998].

    State: `jk.RadialDensity` in R^d, d = 2 to 9. Nondimensional. gamma from -d on, Coulomb included. Good values at temperature
    T: R = 9 sqrt(T), 60 to 120 points, dt = .005 with `RKC`.

    Order in the spacing: above 8 for smooth f, for Coulomb too (`isotropic_kernel`); 7 near v = 0 if d is even. 80 points to
    R = 9 give f of BKW to 1e-9 in d = 3 and 4e-7 in d = 2, by `RungeKutta(4)` with dt = 2e-4; `RKC` is of order 2 in dt. Where
    log f is rough, at the edge of a support for instance: order 2. f stays positive as long as it is resolved and the step is
    stable. Cost: O(n^2) operations an evaluation, O(n^2) memory; the table of A is computed once per run. float32: relative
    error of M4 below 1e-5.

    `stats`: `spectral_tail`, the fraction of the squared norm of f in the upper third of the wavenumbers at the end;
    `negative_mass`, int max(-f, 0) at the end over int |f|; `radius_missing`, by how much R is too small for f, and the
    Maxwellian to which it tends, to be negligible there.

    **Raises:** `ValueError` for an interaction that is not radial and a dim below 2; in a run, for a state that is not a
    `RadialDensity` in R^d, fewer than 24 points, gamma < -d, data that are negative, not finite or of no mass, an R at which
    they are not small, and a spacing above half the thermal speed."""

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "energy": "exact"}
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "spectral_tail": (
            1e-6,
            "The grid is too coarse: {0:.2g} of the squared norm of f was in the upper third of the wavenumbers "
            "(`stats['spectral_tail']`); use twice as many points.",
        ),
        "negative_mass": (
            1e-6,
            "f became negative: int max(-f, 0) was {0:.2g} of int |f| (`stats['negative_mass']`); use more points, or a "
            "smaller dt.",
        ),
        "radius_missing": (
            0.0,
            "The grid is too short: f is not negligible at its end R; enlarge R by {0:.2g} (`stats['radius_missing']`).",
        ),
    }
    interaction: AbstractRadial
    dim: int = eqx.field(static=True, default=3)

    def __check_init__(self) -> None:
        if isinstance(self.interaction, Trigonometric):
            raise argument_error(
                "interaction", "be a radial interaction in R^d", "is a Trigonometric, on the torus",
                "use jk.landau.TorusPDE(interaction)",
            )  # fmt: skip
        if not isinstance(self.interaction, AbstractRadial):
            raise argument_error(
                "interaction", "be a radial interaction", f"is {describe(self.interaction)}",
                "pass jk.landau.PowerLaw(-3.0), say",
            )  # fmt: skip
        check_integer("dim", self.dim, minimum=2)

    def default_scheme(self) -> AbstractScheme:
        return RKC()

    def check(self, state: Any) -> None:
        if not isinstance(state, RadialDensity):
            do = "pass jk.initial.radial(law, R, num, dim)"
            if isinstance(state, Density):
                do += ", or use jk.landau.LandauPDE"
            raise argument_error("state", "be a RadialDensity", f"is {describe(state)}", do)
        if state.dim != self.dim:
            raise argument_error(
                "state", f"be a density in R^{self.dim}, as `dim` says", f"is one in R^{state.dim}",
                f"pass IsotropicPDE(interaction, dim={state.dim})",
            )  # fmt: skip
        if state.grid.num < _LEAST_NUM:
            raise argument_error(
                "num", f"be at least {_LEAST_NUM}", f"is {state.grid.num}", "use about 10 points per thermal speed"
            )
        self.interaction.check(self.dim)
        check_callables(self.interaction, self.dim, state.f.dtype)

    def check_start(self, state: RadialDensity) -> None:
        check_law("state.f", state.f)
        if is_traced(state):
            return
        f, radius, num = np.asarray(state.f, float), float(state.grid.radius), state.grid.num
        edge, missing, width = (float(x) for x in _edge(f, radius, self.dim, np))
        if edge > _FAR_TOO_LARGE:
            # The temperature lacks what is beyond R: hence the factor.
            raise argument_error(
                "R", "be so large that f and the Maxwellian of its energy vanish there",
                f"is {radius:.3g}, where |S^(d-1)| R^d f is {edge:.2g} of the mass", f"use R = {1.2 * (radius + missing):.2g}",
            )  # fmt: skip
        if 2 * radius > num * width:
            raise argument_error(
                "num", "give a spacing below half the thermal speed", f"is {num}, a spacing of {radius / num:.2g} at the "
                f"thermal speed {width:.2g}", f"use at least {int(np.ceil(4 * radius / width))}",
            )  # fmt: skip

    def make_plan(self, like: RadialDensity) -> "_Tabulated":
        grid = like.grid
        matrices = (jnp.asarray(x, like.f.dtype) for x in difference_matrices(grid.num, grid.dim))
        return _Tabulated(kernel_table(self.interaction, grid), *matrices)

    def vector_field(self, t: RealScalar, state: RadialDensity) -> RadialDensity:
        return self.make_plan(state).vector_field(t, state)

    def stiffness(self, t: RealScalar, state: RadialDensity) -> RealScalar:
        """A bound from the sums of the moduli of the derivative's coefficients (Gershgorin)."""
        return self.make_plan(state).stiffness(t, state)

    def dissipation(self, state: RadialDensity) -> RealScalar:
        r"""$D(f) = \frac12 \iint f f_* A\,(g' - g'_*)^2$, g = log f: minus the derivative of int f log f along the discrete
        equation, to round-off where f > 0.

        **Raises:** `ValueError` for a state as in a run, also for negative values; if they are traced, D is NaN."""
        with deferred_checks() as checks:
            self.check(state)
            check_law("state.f", state.f)
        return nan_unless_met(checks, self.make_plan(state).dissipation(state))

    def end_stats(self, state: RadialDensity, elapsed: RealScalarLike) -> dict[str, Any]:
        f = state.f
        return {
            "spectral_tail": spectral.tail(jnp.concatenate([f[::-1], f]), 0),
            "negative_mass": state.integral(jnp.maximum(-f, jnp.zeros_like(f))) / state.integral(jnp.abs(f)),
            "radius_missing": _edge(f, state.grid.radius, self.dim, jnp)[1],
        }


class _Tabulated(eqx.Module):
    """The equation with the table of A and the matrices of `difference_matrices`."""

    kernel: Float[Array, "faces faces"]
    derivative: Float[Array, "faces num"]
    interpolation: Float[Array, "faces num"]

    def vector_field(self, t: RealScalar, state: RadialDensity) -> RadialDensity:
        at = self._at_faces(state)
        flux = at.weighted * self._drift(at)
        slope = _product(jnp.where(at.rough, 0, flux), self.derivative) + _adjoint_step(jnp.where(at.rough, flux, 0))
        slope = -slope / (state.grid.spacing**2 * state.grid.weights)
        return eqx.tree_at(lambda s: s.f, jax.tree.map(lambda _: None, state), slope, is_leaf=lambda x: x is None)

    def _drift(self, at: "_AtFaces") -> Float[Array, " faces"]:
        """int f* A (g' - g'*), the flux in e over f."""
        # Near equilibrium g' is almost constant: its mean, which cancels, would leave round-off.
        slope = at.slope - jnp.sum(at.weighted * at.slope) / jnp.sum(at.weighted)
        sums = _product(self.kernel, jnp.stack([at.weighted, at.weighted * slope], -1))
        return slope * sums[:, 0] - sums[:, 1]

    def dissipation(self, state: RadialDensity) -> RealScalar:
        at = self._at_faces(state)
        return jnp.sum(at.weighted * at.slope * self._drift(at))

    def stiffness(self, t: RealScalar, state: RadialDensity) -> RealScalar:
        at, grid = self._at_faces(state), state.grid
        derivative, interpolation = jnp.abs(self.derivative), jnp.abs(self.interpolation)
        f, weights = jnp.maximum(state.f, _least(state.f)), grid.weights
        diffusion = _product(self.kernel, at.weighted)
        # The equation for x = df/f is x' = -(wf)^-1 D^T [f_faces (diffusion D x + drift I x) + a smooth integral of x]. Sums of
        # moduli bound it; those of diffusion are smallest for the variable sqrt(wf) x, in which it is symmetric.
        # Weights can be small: their product with the least f must not be 0.
        root = 1 / jnp.sqrt(jnp.maximum(weights * f, jnp.finfo(f.dtype).tiny))
        across = diffusion * _product(derivative, root) / grid.spacing**2
        across = across + jnp.abs(self._drift(at)) * _product(interpolation, root)
        high = root * _product(jnp.where(at.rough, 0, at.weighted * across), derivative)
        # Where the mean is logarithmic, f g' is the difference of f itself.
        low = face_weights(grid) * diffusion * (1 / weights[1:] + 1 / weights[:-1]) / _places(f) ** 2
        low = jnp.where(at.rough, low, 0)
        low = (jnp.pad(low, (1, 0)) + jnp.pad(low, (0, 1))) / grid.spacing**4
        return jnp.max(high / grid.spacing**2 + low)

    def _at_faces(self, state: RadialDensity) -> "_AtFaces":
        f, grid = state.f, state.grid
        g = jnp.log(jnp.maximum(f, _least(f)))
        slope, mean = _product(self.derivative, g), _product(self.interpolation, g)
        step, mean = g[1:] - g[:-1], jnp.minimum(mean, jnp.max(g) + 1)
        steep = jnp.exp(mean) * _places(f) * _product(jnp.abs(self.derivative), jnp.exp(-g)) > _STEEP
        rough = steep | _bent(step)
        # Where log f is rough, the logarithmic mean, (f_+ - f_-)/(log f_+ - log f_-).
        half = jnp.where(rough, step / 2, 0)
        small = jnp.abs(half) < 1e-2
        ratio = jnp.where(small, 1 + half**2 / 6, jnp.sinh(half) / jnp.where(small, 1, half))
        mean = jnp.where(rough, (g[1:] + g[:-1]) / 2, mean)
        slope = jnp.where(rough, step / _places(f), slope) / grid.spacing**2
        return _AtFaces(slope, face_weights(grid) * jnp.exp(mean) * ratio, rough)


class _AtFaces(NamedTuple):
    """The derivative `slope` of log f at the faces; f times the weights of the faces; whether log f is `rough`: in the stencil
    of the face it bends sharply at a point, or f is so small at a point that the flux through the face would change it by far
    more than a difference of neighbours does."""

    slope: Float[Array, " faces"]
    weighted: Float[Array, " faces"]
    rough: Bool[Array, " faces"]


def _least(f: Float[Array, " num"]) -> RealScalar:
    """What replaces f below it in log f."""
    return jnp.asarray(16 * jnp.finfo(f.dtype).tiny, f.dtype)


def _bent(step: Float[Array, " faces"]) -> Bool[Array, " faces"]:
    """Whether log f bends sharply in the stencil of a face."""
    # At the midpoints but the last; log f is even.
    bends = jnp.abs(jnp.diff(jnp.pad(step, (1, 0)))) > _BEND
    counted = jnp.cumsum(jnp.pad(bends.astype(jnp.int32), (REACH + 1, REACH)))
    return counted[2 * REACH + 1 :] > counted[: -2 * REACH - 1]


def _product(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.matmul(x, y, precision="highest")


def _places(f: Float[Array, " num"]) -> Float[Array, " faces"]:
    """The speeds of the faces in units of the spacing."""
    return jnp.arange(1, f.size, dtype=f.dtype)


def _adjoint_step(fluxes: Float[Array, " faces"]) -> Float[Array, " num"]:
    """The transpose of the difference of neighbours, divided by the speed of the face."""
    shares = fluxes / jnp.arange(1, fluxes.size + 1, dtype=fluxes.dtype)
    return jnp.pad(shares, (1, 0)) - jnp.pad(shares, (0, 1))


def _edge(f: Any, radius: Any, dim: int, xp: Any) -> tuple[Any, Any, Any]:
    """(|S^{d-1}| R^d f(R) over the mass, how much larger R must be for that to be negligible, the thermal speed). f(R) is that
    of the state or, if larger, that of the Maxwellian of its energy. `xp`: numpy, before a run, or jax.numpy."""
    num = f.shape[0]
    h = radius / num
    cells = h**dim * xp.asarray(unit_weights(num, dim), f.dtype) * f
    mass = xp.sum(cells)
    temperature = xp.sum(cells * (h * (xp.arange(num, dtype=f.dtype) + 0.5)) ** 2) / (dim * mass)
    maxwellian = (2 * math.pi * temperature) ** (-dim / 2) * xp.exp(-(radius**2) / (2 * temperature))
    edge = sphere_area(dim) * radius**dim * xp.maximum(xp.max(xp.abs(f[-2:])) / mass, maxwellian)
    enough = radius**2 + 2 * temperature * xp.log(xp.maximum(edge / _EDGE, xp.ones_like(edge)))
    return edge, xp.sqrt(enough) - radius, xp.sqrt(temperature)
