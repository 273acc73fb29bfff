"""The Landau equation on the torus for interactions that are trigonometric polynomials: the limit of the particle systems."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .. import spectral
from .._core.system import AbstractField, AbstractScheme
from .._util.checks import argument_error, check_law, deferred_checks, describe, nan_unless_met, require
from .._util.types import RealScalar, RealScalarLike
from ..runge_kutta import RKC
from ..states import Density
from .trigonometric import PERIOD, Trigonometric

__all__ = ["LIMITS", "TorusPDE", "check_density", "check_values", "moving", "negative_mass", "spectral_tail"]

# Deviations from the mean below this multiple of the precision, relative to f, are not judged by their spectrum.
_NOISE = 1e4

LIMITS: Mapping[str, tuple[float, str]] = {
    "spectral_tail": (
        1e-4,
        "The grid is too coarse: {0:.2g} of the squared norm of f was in the upper third of the wavenumbers "
        "(`stats['spectral_tail']`); use twice as many points.",
    ),
    "negative_mass": (
        1e-6,
        "f became negative: int max(-f, 0) was {0:.2g} of int |f| (`stats['negative_mass']`); use more points, or a "
        "smaller dt.",
    ),
}


class TorusPDE(AbstractField):
    r"""$\partial_t f = \mathrm{div}\,[(a * f)\nabla f - (b * f) f]$ on the torus $[0, 2\pi)^d$, d = 1, 2, 3, b = div a: the
    limit of `MatrixSqrt`, `IndependentNoise` and `Kac` as N -> infinity, (1.1) of [CarrilloGuoJabin2024].

    The Galerkin equation of the Fourier modes below the Nyquist frequency of the grid,

    $$\dot f_k = -(2\pi)^d \sum_m k^T a_m (k - 2m) f_m f_{k - m},\qquad a_0 = C_0,\ a_{\pm m} = C_m/2,$$

    without aliasing: products are computed on a grid that holds all their modes. So a solution of finitely many modes, such as
    `exact.torus_mode_density`, is exact to round-off in v.

    State: `jk.Density` on d periodic axes of length 2 pi, one for each component of the velocity. The number of points of each
    must be above twice the highest mode of the interaction. Nondimensional.

    Conserved: mass, to round-off. Momentum has no meaning on the torus; energy is not conserved. H = int f log f falls, at the
    rate `dissipation`. f stays positive as long as it is resolved.
    Cost of an evaluation: 2 + 2 d + d (d + 1)/2 + d real transforms (2 + 3 d + 1 for scalar interactions), most of them on the
    finer grid; O(n^d log n) operations, O(n^d d^2) memory.

    `stats`: `spectral_tail`, the fraction of the squared norm of f - (mean of f) in the upper third of the wavenumbers of an
    axis at the end, and `negative_mass`, int max(-f, 0) at the end over int |f|.

    **Raises:** `ValueError` for an interaction that is not `Trigonometric`; in a run: for axes of another number, length or
    kind, too few points, data that are negative, not finite or of no mass, and an a(z) that is not positive definite.
    """

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact"}
    coordinates: ClassVar[str] = "velocity"
    limits: ClassVar[Mapping[str, tuple[float, str]]] = LIMITS
    interaction: Trigonometric

    def __check_init__(self) -> None:
        if not isinstance(self.interaction, Trigonometric):
            raise argument_error(
                "interaction", "be a Trigonometric", f"is {describe(self.interaction)}",
                "pass jk.landau.Trigonometric([[0], [1]], [1.0, 0.5]), say",
            )  # fmt: skip

    def default_scheme(self) -> AbstractScheme:
        return RKC()

    def check(self, state: Any) -> None:
        dim = self.interaction.dim
        check_density(state, dim, "component of a mode")
        for i, axis in enumerate(state.grid.axes):
            highest = self._highest[i]
            if axis.num <= 2 * highest:
                raise argument_error(
                    f"state.grid.axes[{i}].num", f"be above {2 * highest}, twice the highest mode of the interaction",
                    f"is {axis.num}", f"use at least {2 * highest + 2} points",
                )  # fmt: skip
        self.interaction.check(dim)

    def check_start(self, state: Density) -> None:
        check_values(state)

    @property
    def _highest(self) -> np.ndarray:
        """The largest |m_i| of the interaction, (d,)."""
        return np.abs(np.asarray(self.interaction.modes)).max(axis=0)

    def vector_field(self, t: RealScalar, state: Density) -> Density:
        f, wave = state.f, _gradient_factors(state.f)
        _, _, flux = self._on_fine_grid(state)
        fine = flux[0].shape
        total = jnp.zeros((*f.shape[:-1], f.shape[-1] // 2 + 1), wave[0].dtype)
        for i, component in enumerate(flux):
            total = total + wave[i] * _resized(jnp.fft.rfftn(component) / math.prod(fine), fine, f.shape)
        slope = jnp.fft.irfftn(total * f.size, f.shape)
        return moving(state, slope)

    def dissipation(self, state: Density) -> RealScalar:
        r"""$D(f) = \frac12 \iint f f_*\,a(v - v_*) : (\nabla\log f - \nabla_*\log f_*)^{\otimes 2} = \int \nabla\log f \cdot
        [(a * f)\nabla f - (b * f) f]$, minus the derivative of H along the equation [FengWang2025, Lemma 5.2].

        By modes: the convolutions of an evaluation of the equation, O(n^d log n) operations, and the sum over the finer grid.
        Where f is below round-off nothing is added. Differentiable.

        **Raises:** `ValueError` as in a run, also for negative values; if they are traced, D is NaN."""
        with deferred_checks() as checks:
            self.check(state)
            check_values(state)
        f = state.f
        here, gradient, flux = self._on_fine_grid(state)
        # Below this, f and its derivative are round-off of the transforms.
        small = here <= 10 * jnp.finfo(f.dtype).eps * jax.lax.stop_gradient(jnp.max(here))
        power = sum((g * j for g, j in zip(gradient, flux, strict=True)), jnp.zeros_like(here))
        total = jnp.sum(jnp.where(small, 0, power / jnp.where(small, 1, here)))
        return nan_unless_met(checks, total * state.grid.cell * (f.size / here.size))

    def _on_fine_grid(self, state: Density) -> tuple[Array, list[Array], list[Array]]:
        """f, its gradient and the components of (a * f) grad f - (b * f) f on a grid that holds all modes of these products."""
        f, dim, axes = state.f, self.interaction.dim, state.grid.axes
        # All modes of a product a_m f_{k-m} that alias would be above those that are kept.
        fine = tuple(_smooth(axis.num + int(m)) for axis, m in zip(axes, self._highest, strict=True))
        hat = _resized(jnp.fft.rfftn(f) / f.size, f.shape, f.shape)

        def values(coefficients: Array) -> Array:
            return jnp.fft.irfftn(coefficients * math.prod(fine), fine)

        gradient = [values(_resized(k * hat, f.shape, fine)) for k in _gradient_factors(f)]
        here = values(_resized(hat, f.shape, fine))
        cosine, sine = self._convolved(hat, fine)
        fluxes = []
        for i in range(dim):
            flux = -sine[i] * here
            for j, component in enumerate(cosine[i]):
                flux = flux if component is None else flux + component * gradient[j]
            fluxes.append(flux)
        return here, gradient, fluxes

    def _convolved(
        self, hat: Complex[Array, "*half"], fine: tuple[int, ...]
    ) -> tuple[list[list[Array | None]], list[Array]]:
        """(a * f)_ij and (b * f)_i on the fine grid; None where a_ij = 0 for all z."""
        dim, dtype = self.interaction.dim, hat.real.dtype
        matrices = self.interaction.matrices(dtype)
        modes = np.asarray(self.interaction.modes)
        # m and -m are the same cosine: take the one whose last component the real transform holds.
        modes = np.where(modes[:, -1:] < 0, -modes, modes)
        weights = PERIOD**dim * hat[tuple(modes.T)]

        def on_grid(coefficients: Array) -> Array:
            """Re sum_m coefficients_m e^{i m.v}."""
            half = jnp.zeros((*fine[:-1], fine[-1] // 2 + 1), coefficients.dtype)
            half = half.at[tuple(modes.T)].add(coefficients / 2)
            alone = modes[:, -1] == 0  # the transform adds the conjugates of the others
            half = half.at[tuple(-modes[alone].T)].add(jnp.conj(coefficients[alone]) / 2)
            return jnp.fft.irfftn(half * math.prod(fine), fine)

        full = np.full((dim, dim), not self.interaction.is_scalar) | np.eye(dim, dtype=bool)
        components: dict[tuple[int, int], Array] = {}
        for i in range(dim):
            for j in range(i, dim):
                if i > 0 and i == j and self.interaction.is_scalar:
                    components[i, j] = components[0, 0]
                elif full[i, j]:
                    components[i, j] = on_grid(matrices[:, i, j].astype(hat.dtype) * weights)
        a = [[components.get((min(i, j), max(i, j))) for j in range(dim)] for i in range(dim)]
        divergences = jnp.einsum("mij,mj->mi", matrices, jnp.asarray(modes, dtype), precision=jax.lax.Precision.HIGHEST)
        # b = -sum_m C_m m sin(m.z), and sin(m.z) is the real part of -i e^{i m.z}.
        b = [on_grid(spectral.imaginary(divergences[:, i]) * weights) for i in range(dim)]
        return a, b

    def stiffness(self, t: RealScalar, state: Density) -> RealScalar:
        """A bound from |f_m| <= mass: sum_m |C_m| |f_m| times the largest |k|^2, and the first-order terms."""
        f, dim = state.f, self.interaction.dim
        modes = np.asarray(self.interaction.modes)
        modes = np.where(modes[:, -1:] < 0, -modes, modes)
        weights = PERIOD**dim * jnp.abs((jnp.fft.rfftn(f) / f.size)[tuple(modes.T)])
        norms = jnp.sqrt(jnp.sum(self.interaction.matrices(f.dtype) ** 2, (1, 2)))
        if self.interaction.is_scalar:
            norms = norms / math.sqrt(dim)
        length = jnp.asarray(np.linalg.norm(modes, axis=1), f.dtype)
        largest = math.sqrt(sum((n / 2 - 1) ** 2 for n in f.shape))
        mass = PERIOD**dim * jnp.mean(f)
        return jnp.sum(norms * (weights * largest + (weights + mass) * length) * largest)

    def end_stats(self, state: Density, elapsed: RealScalarLike) -> dict[str, Any]:
        return {"spectral_tail": spectral_tail(state.f), "negative_mass": negative_mass(state.f)}


def spectral_tail(f: Float[Array, "*grid"]) -> RealScalar:
    """The fraction of the squared norm of f - (mean of f) in the upper third of the wavenumbers of an axis. A deviation from
    the mean near round-off counts as resolved: there the spectrum is noise."""
    deviation = f - jnp.mean(f)
    noise = (_NOISE * jnp.finfo(f.dtype).eps) ** 2 * jnp.sum(f**2)
    square = jnp.sum(deviation**2)
    share = square / jnp.maximum(square, jnp.maximum(noise, jnp.finfo(f.dtype).tiny))
    return share * jnp.max(jnp.stack([spectral.tail(deviation, i) for i in range(f.ndim)]))


def negative_mass(f: Float[Array, "*grid"]) -> RealScalar:
    """int max(-f, 0) over int |f|."""
    return jnp.sum(jnp.maximum(-f, jnp.zeros_like(f))) / jnp.sum(jnp.abs(f))


def check_density(state: Any, num: int, each: str) -> None:
    """**Raises:** `ValueError` unless the state is a `Density` on `num` periodic axes of length 2 pi, one for `each`."""
    if not isinstance(state, Density):
        raise argument_error("state", "be a Density", f"is {describe(state)}", "pass jk.Density(f, grid)")
    axes = state.grid.axes
    periodic = all(axis.periodic for axis in axes)
    if len(axes) != num or not periodic:
        was = f"has {len(axes)}" + ("" if periodic else ", not all periodic")
        do = f"pass jk.Grid(*[jk.Axis(0.0, 2 * jnp.pi, 64)] * {num})"
        raise argument_error("state.grid", f"have {num} periodic axes, one for each {each}", was, do)
    for i, axis in enumerate(axes):
        require(
            f"state.grid.axes[{i}].length", jnp.abs(axis.length - PERIOD) < 1e-5, axis.length, "be 2 pi",
            "measure velocities in units of length / 2 pi",
        )  # fmt: skip


def check_values(state: Density) -> None:
    """**Raises:** `ValueError` for values that are negative or not finite, and for no mass; traced ones end the run."""
    check_law("state.f", state.f)


def moving(state: Density, slope: Float[Array, "*grid"]) -> Density:
    """The derivative of a state whose grid does not move."""
    return eqx.tree_at(lambda s: s.f, jax.tree.map(lambda _: None, state), slope, is_leaf=lambda x: x is None)


def _wavenumbers(shape: tuple[int, ...], dtype: Any) -> list[Array]:
    """The integer wavenumbers of a real transform, with 0 at the Nyquist frequencies, whose modes are 0."""
    *whole, last = shape
    signed = [np.fft.fftfreq(n, 1 / n) for n in whole] + [np.fft.rfftfreq(last, 1 / last)]
    return [jnp.asarray(np.where(2 * np.abs(k) == n, 0, k), dtype) for k, n in zip(signed, shape, strict=True)]


def _gradient_factors(f: Array) -> list[Array]:
    """i k_1, ..., i k_d for a real transform of f."""
    return [spectral.imaginary(spectral.along(k, i, f.ndim)) for i, k in enumerate(_wavenumbers(f.shape, f.dtype))]


def _resized(hat: Array, old: tuple[int, ...], new: tuple[int, ...]) -> Array:
    """The modes of a real transform on the grid `old`, on the grid `new`: those below both Nyquist frequencies, and 0."""
    for axis, (n, m) in enumerate(zip(old, new, strict=True)):
        kept = min(n, m) // 2  # 0 to kept - 1, and, but for the last axis, -kept + 1 to -1
        low = jax.lax.slice_in_dim(hat, 0, kept, axis=axis)
        if axis == len(old) - 1:
            parts, length = [low], m // 2 + 1
        else:
            parts, length = [low, jax.lax.slice_in_dim(hat, n - kept + 1, n, axis=axis)], m
        gap = list(low.shape)
        gap[axis] = length - sum(part.shape[axis] for part in parts)
        hat = jnp.concatenate([low, jnp.zeros(gap, hat.dtype), *parts[1:]], axis)
    return hat


def _smooth(least: int) -> int:
    """The smallest even number from `least` on without a prime factor above 5, for which transforms are fast."""
    size = least + least % 2
    while _reduced(size) > 1:
        size += 2
    return size


def _reduced(size: int) -> int:
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    return size
