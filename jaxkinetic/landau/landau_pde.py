"""The spatially homogeneous Landau equation in R^2 and R^3 by a Fourier method: the limit of the particle systems."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import spectral
from .._core.system import AbstractField, AbstractScheme
from .._util.checks import (
    Range,
    argument_error,
    check_bool,
    check_law,
    check_scalar,
    deferred_checks,
    describe,
    nan_unless_met,
)
from .._util.memory import check_memory
from .._util.types import RealScalar, RealScalarLike
from ..runge_kutta import RKC
from ..states import Density, Grid
from .conserved_moments import without_moments
from .interactions import AbstractRadial, PowerLaw, check_callables
from .torus_pde import moving
from .trigonometric import Trigonometric
from .truncated_convolution import convolved_interaction, convolved_trace
from .truncated_kernel import KernelTables, kernel_tables
from .velocity_box import BOX_LIMITS, box_stats, check_box, check_resolved

__all__ = ["LandauPDE"]

# Complex arrays of n^d points of an evaluation: a * f and b * f, their half transforms, the fluxes; and the states of a step.
_ARRAYS = 30


class LandauPDE(AbstractField):
    r"""$\partial_t f = \mathrm{div}\,[(a * f)\nabla f - (b * f) f]$ in R^d, d = 2, 3, $a = \psi(r)(r^2 I - z z^T)$, b = div a:
    (1.1) of [CarrilloGuoJabin2024], (1.2) of [FengWang2025], the limit of `Kac`, `IndependentNoise` and `MatrixSqrt` as N ->
    infinity. The literature calls it the Landau [Landau1936] or Fokker-Planck-Landau equation, and this method a fast
    spectral method [PareschiRussoToscani2000].

    State: `jk.Density` on d velocity axes (periodic=False) of one length L and one number n of points. f must vanish outside of
    the ball inscribed in the box. Nondimensional.

    The convolutions are those of the trigonometric interpolant of f with a, cut off at r = L, by the exact Fourier transform of
    the cut-off a [VicoGreengardFerrando2016] over 2 n points an axis: all pairs of the ball interact, and none with a periodic
    image. So the singularity of psi costs no accuracy. gamma in [-d, 1], softening, and a user's own `AbstractRadial`, if psi
    is smooth for r > 0 and r^d psi is bounded at 0. Products are computed on the grid of f. The error falls faster than any
    power of n; of one evaluation on the BKW solution (beta = .4, gamma = 0), where max |df/dt| is .9 (d = 3) and .5 (d = 2), it
    is at most 4e-9 (d = 3, n = 32, L = 11), 6e-13 (d = 3, n = 64, L = 16), 4e-13 (d = 2, n = 128, L = 18). In float32 it is
    about 3e-5 of max |df/dt|.

    Conserved: mass, to round-off. Momentum and energy to the accuracy of the grid, or, with `conservative=True`, to round-off:
    each evaluation then subtracts f times a polynomial of degree 2, so that the moments of df/dt are 0. H = int f log f falls
    where f > 0; f may become negative where it is not resolved.

    Cost of an evaluation: 1 + d (d + 1)/2 + d real transforms over (2 n)^d points, without those of lines of zeros, and 2 d + 2
    over n^d; O(n^d log n). Memory: d (d + 1)/2 + d arrays of n^d points, and two tables of the interaction of 2^{d-1} n^d. Runs
    compute these once.

    `stats`, all at the end: `spectral_tail`, the fraction of the squared norm of f in the upper third of the wavenumbers of an
    axis; `negative_mass`, int max(-f, 0) over int |f|; `boundary_mass`, the fraction of int |f| outside of the inscribed ball;
    with `conservative`, `correction`, int |what it subtracts| over int |df/dt|, which tends to 0 in
    equilibrium.

    **Raises:** `ValueError` for an interaction that is not `AbstractRadial`; in a run: for axes that are periodic, unequal, or
    not 2 or 3, gamma outside of [-d, 1], data that are negative, not finite or of no mass, a box that is too small or a grid
    that is too coarse for the data, and a grid on which a run does not fit into memory.
    """

    limits: ClassVar[Mapping[str, tuple[float, str]]] = BOX_LIMITS
    coordinates: ClassVar[str] = "velocity"
    interaction: AbstractRadial
    conservative: bool = eqx.field(static=True, default=False)

    @property
    def conserves(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return dict.fromkeys(("mass", "momentum", "energy") if self.conservative else ("mass",), "exact")

    def __check_init__(self) -> None:
        check_bool("conservative", self.conservative)
        if isinstance(self.interaction, Trigonometric):
            do = "use TorusPDE, the equation on the torus"
            raise argument_error("interaction", "be a radial interaction", "is a Trigonometric", do)
        if not isinstance(self.interaction, AbstractRadial):
            raise argument_error(
                "interaction", "be an AbstractRadial", f"is {describe(self.interaction)}",
                "pass jk.landau.PowerLaw(-3.0), say",
            )  # fmt: skip

    def default_scheme(self) -> AbstractScheme:
        return RKC()

    def check(self, state: Any) -> None:
        dim = check_box(state)
        if isinstance(self.interaction, PowerLaw):
            check_scalar(
                "gamma", self.interaction.gamma,
                within=Range(f"be in [-d, 1] = [{-dim}, 1]", "choose another power", low=-dim, high=1.0),
            )  # fmt: skip
        self.interaction.check(dim)
        check_callables(self.interaction, dim, state.f.dtype)

    def check_start(self, state: Density) -> None:
        nbytes = 2 * _ARRAYS * state.f.size * state.f.dtype.itemsize
        check_memory("state", nbytes, f"a run on {state.grid.shape}", "take fewer points, or float32")
        check_resolved(state)

    def make_plan(self, like: Density) -> "LandauPDE":
        return _Prepared(self.interaction, self.conservative, self._tables(like.grid))

    def vector_field(self, t: RealScalar, state: Density) -> Density:
        slope = _divergence(self._flux(state), state.grid)
        if self.conservative:
            slope = slope - without_moments(slope, state)
        return moving(state, slope)

    def dissipation(self, state: Density) -> RealScalar:
        r"""$D(f) = \frac12 \iint f f_* \, a : (\nabla\log f - \nabla_*\log f_*)^{\otimes 2}$, minus the derivative of
        int f log f along the equation. Expanded and integrated by parts it is the integral of the flux times grad log f: as
        expensive as `vector_field`. Where f is negative or round-off of its maximum, the integrand counts as its limit at a
        zero of f, 2/d times the time derivative of f, if that is positive.

        **Raises:** `ValueError` for a state as in a run, also for negative values; if they are traced, D is NaN."""
        with deferred_checks() as checks:
            self.check(state)
            check_law("state.f", state.f)

        f, dim = state.f, state.f.ndim
        flux = self._flux(state)
        terms = [j * g for j, g in zip(flux, _gradient(f, state.grid), strict=True)]
        large = f > 10 * jnp.finfo(f.dtype).eps * jax.lax.stop_gradient(jnp.max(f))
        inside = sum(terms[1:], terms[0]) / jnp.where(large, f, 1)
        at_zero = jnp.maximum(_divergence(flux, state.grid), 0) * (2 / dim)
        return nan_unless_met(checks, jnp.sum(jnp.where(large, inside, at_zero)) * state.grid.cell)

    def stiffness(self, t: RealScalar, state: Density) -> RealScalar:
        """From max_v of the largest eigenvalue of a * f, which is at most its trace over d - 1, and the largest |k|^2."""
        trace = convolved_trace(state.f, self._tables(state.grid))
        dim = state.f.ndim
        largest = jnp.pi / state.grid.axes[0].spacing
        return dim * largest**2 * jnp.max(jnp.abs(trace)) / (dim - 1)

    def end_stats(self, state: Density, elapsed: RealScalarLike) -> dict[str, Any]:
        stats = box_stats(state)
        if self.conservative:
            slope = _divergence(self._flux(state), state.grid)
            removed, whole = jnp.sum(jnp.abs(without_moments(slope, state))), jnp.sum(jnp.abs(slope))
            stats["correction"] = removed / jnp.where(whole > 0, whole, jnp.ones_like(whole))
        return stats

    def _tables(self, grid: Grid) -> KernelTables:
        axis = grid.axes[0]
        return kernel_tables(self.interaction, axis.num, len(grid.axes), axis.length)

    def _flux(self, state: Density) -> list[Float[Array, "*grid"]]:
        """The components of (a * f) grad f - (b * f) f."""
        f = state.f
        a, b = convolved_interaction(f, self._tables(state.grid))
        flux, slopes = [-drift * f for drift in b], _gradient(f, state.grid)
        for i, row in enumerate(a):
            for component, slope in zip(row, slopes, strict=True):
                flux[i] = flux[i] + component * slope
        return flux


class _Prepared(LandauPDE):
    """The system with the tables of one grid."""

    tables: Any = None

    def _tables(self, grid: Grid) -> KernelTables:
        return self.tables


def _wavenumbers(grid: Grid) -> list[Array]:
    """k of a real transform, one array for each axis, 0 at the Nyquist frequencies."""
    dim = len(grid.axes)
    whole = [spectral.along(spectral.wavenumbers(axis), i, dim) for i, axis in enumerate(grid.axes[:-1])]
    return [*whole, spectral.along(spectral.half_wavenumbers(grid.axes[-1]), dim - 1, dim)]


@jax.jit
def _gradient(f: Float[Array, "*grid"], grid: Grid) -> list[Float[Array, "*grid"]]:
    hat = jnp.fft.rfftn(f)
    return [jnp.fft.irfftn(spectral.imaginary(k) * hat, f.shape) for k in _wavenumbers(grid)]


@jax.jit
def _divergence(flux: list[Float[Array, "*grid"]], grid: Grid) -> Float[Array, "*grid"]:
    terms = [spectral.imaginary(k) * jnp.fft.rfftn(j) for k, j in zip(_wavenumbers(grid), flux, strict=True)]
    return jnp.fft.irfftn(sum(terms[1:], terms[0]), flux[0].shape)
