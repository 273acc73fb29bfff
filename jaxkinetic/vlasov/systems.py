r"""The mean-field equations of [NeissPickl2018, Figure 1]: the Vlasov equation for f, and its two Hamiltonian forms for an
amplitude alpha with |alpha|^2 = f, in the velocity picture (HVl) and in its Fourier dual (HHt).

Every system is the sum of two flows that are exact on the grid: A, free streaming; B, acceleration in a field that B does not
change. The splitting is that of [ChengKnorr1976], with Fourier transforms for the shifts. [F, G] = F_x G_v - F_v G_x; unit
masses; nondimensional.

`Solution.stats` of a run contain, as the largest values over its steps,

- `spectral_tail_x`, `spectral_tail_v`: the fraction of the square norm of the perturbation (all modes with k_x != 0, of f or
  alpha) in the upper third of the wavenumbers, for the worst direction. It measures filamentation and is small for resolved
  data. The mean over x is left out, because a small perturbation can be unresolved while it is a small fraction of the total
  (for waves in d > 1 `spectral_tail_v` includes the mean);
- `boundary_mass`: the fraction of the mass in the outer sixteenths of the velocity axes; `boundary_mass_x`: the same for the
  axes of position that are not periodic; mass that crosses an end of an axis reappears at the other end. Above 1e-2 a run
  warns.

`recurrence`: t - t0 at the end of the run divided by the recurrence time T_R = length/dv = 2 pi/(k dv), k = 2 pi/length, for
periodic axes of position. At T_R free streaming on the grid has restored the first mode (mode m at T_R/m); from then on it
shows an artefact of the grid. Above .9 a run warns. These numbers are not differentiated.

Momentum is conserved to round-off as long as f is resolved in v and vanishes at the ends of the velocity axes. What a shift
carries over one end reappears at the other, at another v. Once filaments have reached the finest scale (`spectral_tail_v`), f
no longer vanishes at the ends and the momentum drifts: by 2e-4 at t = 40 on 64 velocities, by 1e-6 on 512 (HMF model,
perturbation .3).
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .._core.system import AbstractScheme, AbstractSplit, SplitPlan
from .._util.checks import argument_error, is_traced, kind, require
from .._util.types import RealScalar, RealScalarLike
from ..schemes import Strang
from ..spectral import along, half_wavenumbers, phase, wavenumbers
from ..states import Density, Grid, Wave, square_modulus, volume_element
from .grid_flows import DensityPlan, WavePlan
from .observables import phase_space_density
from .potentials import AbstractPotential, check_potential

__all__ = [
    "NORM",
    "AbstractMeanField",
    "HamiltonHartree",
    "HamiltonVlasov",
    "MeanField",
    "Vlasov",
    "in_picture",
    "stream",
    "turned",
]

# The largest |f| allowed at the ends of an axis on which f must decay, relative to its maximum.
_DECAYED = 1e-3
# The largest |norm - 1| of a wave.
NORM = 1e-2


class AbstractMeanField(AbstractSplit):
    """Base class of the systems on a grid of phase space: their checks, statistics and default scheme."""

    coordinates: ClassVar[str] = "phase space"
    potential: AbstractPotential
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "recurrence": (
            0.9,
            "The grid is too coarse in v: the run ends at {0:.3g} times the recurrence time length/dv "
            "(`stats['recurrence']`), at which damped waves reappear; use more velocities, or an earlier end.",
        ),
        "boundary_mass": (
            1e-2,
            "The grid is too small: {0:.2g} of the mass was near the ends of its velocities (`stats['boundary_mass']`); "
            "widen these axes.",
        ),
        "boundary_mass_x": (
            1e-2,
            "The grid is too small: {0:.2g} of the mass was near the ends of its positions (`stats['boundary_mass_x']`), which "
            "are not periodic; widen these axes.",
        ),
    }
    _state: ClassVar[type]
    _plan_class: ClassVar[Callable[..., SplitPlan]]

    @property
    def _particle_numbers(self) -> tuple[int, ...]:
        """The values of `Wave.num_particles` that the system accepts."""
        return (1,)

    def __check_init__(self) -> None:
        check_potential(self.potential)

    def default_scheme(self) -> AbstractScheme:
        return Strang()

    @property
    def gathers(self) -> str:
        return "collects the complete grid on every device"

    def check(self, state: Any) -> None:
        check_potential(self.potential)
        if not isinstance(state, self._state):
            name = self._state.__name__
            raise argument_error("state", f"be a {name}", f"is {kind(state)}", f"pass jk.{name}(values, grid)")
        axes = state.grid.axes
        place, values = ("f", state.f) if isinstance(state, Density) else ("alpha", state.alpha)
        if values.shape != state.grid.shape:
            raise argument_error(
                f"state.{place}", f"have the shape of its grid, {state.grid.shape}", f"has shape {values.shape}",
                "use `jax.vmap` over replicas",
            )  # fmt: skip
        if len(axes) % 2:
            raise argument_error(
                "grid", "have as many axes of velocity as of position", f"has {len(axes)} axes", "add one"
            )
        self.check_axes(state.grid)
        if isinstance(state, Wave) and state.num_particles not in self._particle_numbers:
            raise argument_error(
                "state", "be the wave of one particle" if self._particle_numbers == (1,) else "have the N of its system",
                f"is that of {state.num_particles} particles", "use jk.vlasov.PseudoSchrodinger with this N",
            )  # fmt: skip

    def check_axes(self, grid: Grid) -> None:
        """**Raises:** `ValueError` if the grid does not fit the system."""
        self.potential.check(grid.axes[: grid.half])
        self.potential.check_finite(grid.axes[: grid.half])

    def end_stats(self, state: Any, elapsed: RealScalarLike) -> dict[str, Any]:
        axes, d = state.grid.axes, state.grid.half
        pairs = [(x, v) for x, v in zip(axes[:d], axes[d:], strict=True) if x.periodic]
        if not pairs:
            return {}
        # With NumPy if nothing is traced, so that nothing is compiled.
        ends = [(x.length, v.length) for x, v in pairs]
        make = jnp if is_traced(elapsed, ends) else np
        rates = [make.asarray(b) / (v.num * make.asarray(a)) for (a, b), (_, v) in zip(ends, pairs, strict=True)]
        largest = functools.reduce(make.maximum, rates)
        return {"recurrence": jnp.asarray(make.abs(make.asarray(elapsed) * largest))}

    def check_memory(self, state: Any) -> None:
        """**Raises:** `ValueError` if a run would not fit into memory."""

    def check_start(self, state: Any) -> None:
        """**Raises:** `ValueError` for data that do not decay at the ends of the axes that are not periodic, and for a wave
        whose norm is not 1. If the data are traced, the run checks them instead."""
        self.check_memory(state)
        if is_traced(state):
            self._check_traced(state)
            return
        with jax.ensure_compile_time_eval():
            self._check_data(state)

    @staticmethod
    def _check_traced(state: Any) -> None:
        # NaN passes here, because another check reports where it is.
        if isinstance(state, Wave):
            do = "divide alpha by the root of `state.mass` (put a factor into the strength of the potential)"
            holds = ~(jnp.abs(state.mass - 1) > NORM)
            require("state", holds, state.mass, "have unit norm, int |alpha|^2 = 1", do, was="has")
        f = jnp.abs(phase_space_density(jax.lax.stop_gradient(state)))
        for i, axis in enumerate(state.grid.axes):
            if i >= state.grid.half or not axis.periodic:
                kind, number = ("velocity", i - state.grid.half) if i >= state.grid.half else ("position", i)
                share = jnp.max(f.take(jnp.asarray([0, -1]), i)) / jnp.max(f)
                must, was = (
                    f"decay towards the ends of its {kind} axis {number}",
                    "is there, relative to its largest value,",
                )
                require("state", ~(share > _DECAYED), share, must, "widen the axis", was=was)

    def _check_data(self, state: Any) -> None:
        if not np.isfinite(np.asarray(phase_space_density(state))).all():
            return  # another check reports where the data are not finite
        if isinstance(state, Wave) and abs(float(state.mass) - 1) > NORM:
            raise argument_error(
                "state", "have unit norm, int |alpha|^2 = 1", f"has {float(state.mass):.4g}",
                "divide alpha by the root of `state.mass` (put a factor into the strength of the potential)",
            )  # fmt: skip
        f = np.abs(np.asarray(phase_space_density(state)))
        for i, axis in enumerate(state.grid.axes):
            ends = max(f.take(0, i).max(), f.take(-1, i).max())
            if (i >= state.grid.half or not axis.periodic) and ends > _DECAYED * f.max():
                kind, number = ("velocity", i - state.grid.half) if i >= state.grid.half else ("position", i)
                raise argument_error(
                    "state", f"decay towards the ends of its {kind} axis {number}",
                    f"has {ends / f.max():.2g} of its largest value there", "widen the axis",
                )  # fmt: skip

    def make_plan(self, like: Any, dt: RealScalar, moves: frozenset[tuple[int, float]]) -> SplitPlan:
        return self._plan_class(self, like, dt, moves)


# The former name.
MeanField = AbstractMeanField


class Vlasov(AbstractMeanField):
    r"""$\partial_t f = -v \cdot \nabla_x f + (\nabla\Gamma * \rho) \cdot \nabla_v f$, rho = int f dv, for real f on a grid
    of phase space (`Density`), periodic in x and decaying in v.

    Conserved by every step: mass, to round-off; momentum (for potentials on a torus), to round-off as long as f is resolved in
    v and vanishes at the ends; the energy int |v|^2 f/2 + (1/2) int rho Gamma * rho, to the order of the scheme. Both flows are
    shifts, computed by Fourier transforms along one axis at a time. Cost of a step: 4 d real transforms of the grid.
    """

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    _state: ClassVar[type] = Density
    _plan_class: ClassVar[Callable[..., SplitPlan]] = DensityPlan

    @property
    def flows(self) -> tuple[Callable[..., Density], ...]:
        return self._stream, self._accelerate

    def _stream(self, tau: RealScalar, t: RealScalar, state: Density) -> Density:
        """f(x - tau v, v)."""
        f, axes, d = state.f, state.grid.axes, state.grid.half
        for i in range(d):
            k = along(half_wavenumbers(axes[i]), i, f.ndim)
            f = _shifted(f, i, -tau * k * along(axes[d + i].points, d + i, f.ndim))
        return Density(f, state.grid)

    def _accelerate(self, tau: RealScalar, t: RealScalar, state: Density) -> Density:
        """f(x, v + tau E), E = grad Gamma * rho."""
        f, axes, d = state.f, state.grid.axes, state.grid.half
        rho = jnp.sum(f, tuple(range(d, 2 * d))) * volume_element(axes[d:])
        field = self.potential.field(rho, axes[:d])
        for i in range(d):
            xi = along(half_wavenumbers(axes[d + i]), d + i, f.ndim)
            f = _shifted(f, d + i, tau * xi * field[i].reshape(*field[i].shape, *[1] * d))
        return Density(f, state.grid)


class HamiltonVlasov(AbstractMeanField):
    r"""(HVl): $\partial_t\alpha = [v^2/2 + \Gamma*|\alpha|^2, \alpha] - K\alpha$, $K = \Gamma * [\bar\alpha, \alpha]$, for a
    `Wave`.

    f = |alpha|^2 solves the Vlasov equation [NeissPickl2018, section 2]. K is imaginary. For real data K = 0 at all times; for
    alpha_0 >= 0 alpha = sqrt(f) at all times. Conserved by every step: the norm, to round-off; the momentum, as for `Vlasov`;
    $H_{Vl}$ and the energy, to the order of the scheme. Cost of a step: two complex transforms over x and two over v.
    """

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    _state: ClassVar[type] = Wave
    _plan_class: ClassVar[Callable[..., SplitPlan]] = WavePlan

    @property
    def flows(self) -> tuple[Callable[..., Wave], ...]:
        return stream, self._accelerate

    def _accelerate(self, tau: RealScalar, t: RealScalar, state: Wave) -> Wave:
        wave = state.velocity_picture()
        over_v = tuple(range(wave.dim, 2 * wave.dim))
        hat = jnp.fft.fftn(wave.alpha, axes=over_v)
        # The norm of the transform: int |alpha-hat|^2 dxi = int |alpha|^2 dv.
        axes = wave.grid.axes[wave.dim :]
        cells = volume_element(axes) / math.prod(axis.num for axis in axes)
        turned = _accelerated(hat, cells, tau, wave, self.potential)
        return in_picture(jnp.fft.ifftn(turned, axes=over_v), state)


class HamiltonHartree(AbstractMeanField):
    r"""(HHt): $i\,\partial_t\hat\alpha = (\nabla_x\cdot\nabla_\xi + \hat V * |\hat\alpha|^2)\,\hat\alpha$, $\hat V(x, \xi) =
    -\nabla\Gamma(x)\cdot\xi$: (HVl) in the Fourier picture of the velocities, a Hartree equation.

    Density and mean xi are sums over xi, so the potential part is a multiplication by a phase and needs no transform. It has
    the same conservation laws and the same solution as `HamiltonVlasov`.
    """

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    _state: ClassVar[type] = Wave
    _plan_class: ClassVar[Callable[..., SplitPlan]] = WavePlan

    @property
    def flows(self) -> tuple[Callable[..., Wave], ...]:
        return stream, self._turn

    def _turn(self, tau: RealScalar, t: RealScalar, state: Wave) -> Wave:
        """exp(i tau (xi . E - kappa)) alpha-hat."""
        wave = state.fourier_picture()
        cells = math.prod(2 * math.pi / axis.length for axis in wave.grid.axes[wave.dim :])
        return in_picture(_accelerated(wave.alpha, cells, tau, wave, self.potential), state, "fourier")


def stream(tau: RealScalar, t: RealScalar, state: Wave) -> Wave:
    """alpha(x - tau v, v), a multiplication by e^{-i tau k.v} in (k, v); in the Fourier picture alpha-hat_k(xi + tau k)."""
    wave = state.velocity_picture()
    alpha, d, axes = wave.alpha, wave.dim, wave.grid.axes
    over_x = tuple(range(d))
    angle = jnp.zeros((), tau.dtype)
    for i in range(d):
        k = along(wavenumbers(axes[i]), i, alpha.ndim)
        angle = angle - tau * k * along(axes[d + i].points, d + i, alpha.ndim)
    return in_picture(jnp.fft.ifftn(jnp.fft.fftn(alpha, axes=over_x) * phase(angle), axes=over_x), state)


def _accelerated(hat: Array, cells: Any, tau: RealScalar, wave: Wave, potential: AbstractPotential) -> Array:
    """hat times exp(i tau (xi . E - kappa)), with hat on the wavenumbers xi of v and |hat|^2 cells a density in xi."""
    d, axes = wave.dim, wave.grid.axes
    over = tuple(range(d, 2 * d))
    square = square_modulus(hat) * cells
    xi = [along(wavenumbers(axes[d + i]), d + i, hat.ndim) for i in range(d)]
    field = potential.field(jnp.sum(square, over), axes[:d])
    kappa = potential.twist(tuple(jnp.sum(square * x, over) for x in xi), axes[:d])
    return turned(hat, tau, wave, field, kappa)


def turned(
    hat: Complex[Array, "*grid"],
    tau: RealScalar,
    wave: Wave,
    field: tuple[Float[Array, "*places"], ...],
    kappa: Float[Array, "*places"] | None,
) -> Complex[Array, "*grid"]:
    """hat times exp(i tau (xi . E - kappa)), with kappa and the components of E as functions of x."""
    d, axes = wave.dim, wave.grid.axes

    def over_phase_space(x: Array) -> Array:
        return x.reshape(*x.shape, *[1] * d)

    angle = jnp.zeros((), tau.dtype) if kappa is None else -tau * over_phase_space(kappa)
    for i, e in enumerate(field):
        angle = angle + tau * along(wavenumbers(axes[d + i]), d + i, hat.ndim) * over_phase_space(e)
    return hat * phase(angle)


def _shifted(f: Array, axis: int, angle: Array) -> Array:
    return jnp.fft.irfft(jnp.fft.rfft(f, axis=axis) * phase(angle), n=f.shape[axis], axis=axis)


def in_picture(alpha: Complex[Array, "*grid"], like: Wave, picture: str = "velocity") -> Wave:
    wave = Wave(alpha, like.grid, picture, like.num_particles)
    return wave.velocity_picture() if like.picture == "velocity" else wave.fourier_picture()
