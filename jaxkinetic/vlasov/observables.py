r"""Functions of a state: of a `Density`, or of a `Wave` with f = |alpha|^2 in either picture; of `Particles` their means, which
tend to the same values as N grows if the mass is 1. Differentiable.

For the `Wave` of N particles in d = 1 (`num_particles` N, from `PseudoSchrodinger`) f is f_N, energies are those of all N
particles, and `momentum` has one component for each particle.

**Raises:** every function raises `ValueError` for a state of another type, for values that do not have the shape of their grid,
and for a potential that a run from this state would not accept; a traced parameter of it that is out of range, or a traced
length that is not that of the grid, gives NaN."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .. import spectral
from .._util.checks import (
    Deferred,
    argument_error,
    as_array,
    check_integer,
    deferred_checks,
    describe,
    nan_out_of_range,
    nan_unless_met,
)
from .._util.sharding import on_any_mesh
from .._util.types import RealScalar
from ..states import Density, Particles, Wave, check_particles, square_modulus, volume_element
from .pair_tables import pair_energy, pair_field
from .potentials import AbstractPotential, Axes, check_potential

__all__ = [
    "AnyState", "State", "casimir", "density", "density_mode", "energy", "hamiltonian", "kinetic_energy",
    "magnetisation", "momentum", "phase_space_density", "potential_energy",
]  # fmt: skip

State = Density | Wave
AnyState = Density | Wave | Particles


@on_any_mesh
def phase_space_density(state: State) -> Float[Array, "*grid"]:
    """f(x, v) on the grid."""
    _check_grid(state)
    if isinstance(state, Density):
        return state.f
    alpha = state.velocity_picture().alpha
    return alpha.real**2 + alpha.imag**2


def _check_grid(state: Any) -> None:
    """**Raises:** `ValueError` unless f is given on a grid of phase space."""
    if not isinstance(state, (Density, Wave)):
        raise argument_error("state", "be a Density or a Wave", f"is a {type(state).__name__}", "pass one")
    place, values = ("f", state.f) if isinstance(state, Density) else ("alpha", state.alpha)
    if values.shape != state.grid.shape:
        raise argument_error(
            f"state.{place}", f"have the shape of its grid, {state.grid.shape}", f"has shape {values.shape}",
            "use `jax.vmap` over replicas",
        )  # fmt: skip
    if len(state.grid.axes) % 2:
        raise argument_error(
            "state", "be given on a grid of phase space, with as many axes of velocity as of position",
            f"has {len(state.grid.axes)} axes", "add the positions",
        )  # fmt: skip


def _check_bodies(state: Particles, potential: AbstractPotential) -> None:
    check_particles(state, 2)
    _positions(state)
    potential.check_particles(state.dim)


@on_any_mesh
def density(state: State) -> Float[Array, "*places"]:
    """rho(x) = int f dv."""
    f, d = phase_space_density(state), state.grid.half
    return jnp.sum(f, tuple(range(d, 2 * d))) * volume_element(state.grid.axes[d:])


@on_any_mesh
def density_mode(state: State, *, number: int = 1) -> Complex[Array, ""]:
    r"""$\int \rho\,e^{-ik(x_1 - x_0)} dx$, k = 2 pi number/length along the first direction, x_0 the start of the axis."""
    rho, d = density(state), state.grid.half
    if check_integer("number", number, minimum=0) > rho.shape[0] // 2:
        raise argument_error(
            "number", f"be at most {rho.shape[0] // 2} on this grid", f"is {number}", "take more points in x"
        )
    line = jnp.sum(rho, tuple(range(1, d))) * volume_element(state.grid.axes[:d])
    return jnp.fft.fft(line)[number]


@on_any_mesh
def magnetisation(state: AnyState) -> Complex[Array, ""]:
    r"""$M = \int \rho\,e^{ix_1} dx$, for particles the mean of $e^{ix_1}$: the order parameter of the HMF model, whose field
    energy is -strength |M|^2/2 (for N particles -strength (N |M|^2 - 1)/(2 (N - 1)))."""
    if isinstance(state, Particles):
        x = _positions(state)[:, 0]
        return jax.lax.complex(state.mean(jnp.cos(x)), state.mean(jnp.sin(x)))
    _check_grid(state)
    return _grid_magnetisation(state)


@jax.jit
def _grid_magnetisation(state: State) -> Array:
    rho, axes = density(state), state.grid.axes[: state.grid.half]
    x = spectral.along(axes[0].points, 0, len(axes))
    cell = volume_element(axes)
    return jax.lax.complex(jnp.sum(rho * jnp.cos(x)) * cell, jnp.sum(rho * jnp.sin(x)) * cell)


@on_any_mesh
def momentum(state: AnyState) -> Float[Array, " d"]:
    """int v f, d components; for particles the mean of v. On a torus it is conserved by the dynamics and by every step, as long
    as f is resolved in v and vanishes at the ends of the velocity axes: see `systems`."""
    if isinstance(state, Particles):
        return state.mean(state.velocity)
    _check_grid(state)
    return _momentum(state)


# Jitted, as are the two below: outside of `jit` a call then is one program and not one for each operation.
@jax.jit
def _momentum(state: State) -> Array:
    f, grid = phase_space_density(state), state.grid
    return jnp.stack([jnp.sum(f * v) for v in grid.mesh[grid.half :]]) * grid.cell


@on_any_mesh
def kinetic_energy(state: AnyState) -> RealScalar:
    """int |v|^2 f/2; for particles the mean of |v|^2/2. For the wave of N particles that of all N."""
    if isinstance(state, Particles):
        return state.mean(jnp.sum(state.velocity**2, -1)) / 2
    _check_grid(state)
    return _kinetic_energy(state)


@jax.jit
def _kinetic_energy(state: State) -> Array:
    f, grid = phase_space_density(state), state.grid
    return sum((jnp.sum(f * v * v) for v in grid.mesh[grid.half :]), start=jnp.zeros((), f.dtype)) * grid.cell / 2


@on_any_mesh
def potential_energy(state: AnyState, potential: AbstractPotential) -> RealScalar:
    r"""(1/2) int rho Gamma * rho: the energy of the field, quadratic in a cosine perturbation of rho. For N particles the mean
    of Gamma/2 over ordered pairs, which is their energy divided by N. For the wave of N particles $\frac{1}{2(N-1)}\sum_{m\ne
    n}\int\Gamma(x_m - x_n)\,|\alpha_N|^2$, not divided by N."""
    check_potential(potential)
    if isinstance(state, Particles):
        _check_bodies(state, potential)
        pairs = state.num_alive * (state.num_alive - 1)
        return nan_out_of_range(potential, potential.pair_sum(_positions(state), state.alive) / (2 * pairs))
    rho, axes = density(state), state.grid.axes[: state.grid.half]
    if isinstance(state, Wave) and state.num_particles > 1:
        checks = _checks(potential, axes[:1])
        value = jnp.sum(rho * pair_energy(potential, axes)) * volume_element(axes)
    else:
        checks = _checks(potential, axes)
        value = jnp.sum(rho * potential.convolve(rho, axes)) * volume_element(axes) / 2
    return nan_unless_met(checks, nan_out_of_range(potential, value))


def _checks(potential: AbstractPotential, axes: Axes) -> dict[str, Deferred]:
    """The conditions on traced numbers under which the potential is defined on these axes of position."""
    with deferred_checks() as checks:
        potential.check(axes)
    return checks


@on_any_mesh
def energy(state: AnyState, potential: AbstractPotential) -> RealScalar:
    r"""Kinetic plus potential energy: H(f), for particles H_N/N. For the wave of N particles $\mathcal{H}_N = \int H_N
    |\alpha_N|^2$, $H_N = \sum_m |v_m|^2/2 + \frac{1}{2(N-1)}\sum_{m\ne n}\Gamma(x_m - x_n)$ [NeissPickl2018, section 2], not
    divided by N. Conserved by the dynamics, and by a scheme to its order."""
    return kinetic_energy(state) + potential_energy(state, potential)


def _positions(state: Particles) -> Array:
    if state.position is None:
        raise argument_error(
            "state", "have positions", "has only velocities", "pass jk.Particles(velocity, position), say"
        )
    return state.position


@on_any_mesh
def casimir(state: State, fn: Callable[[Float[Array, "*grid"]], Float[Array, "*grid"]]) -> RealScalar:
    """int fn(f) over phase space. Conserved by the dynamics for every fn; int f^2 of a `Density` also by every step on the
    grid.
    **Raises:** `ValueError` for an fn that does not return one number for each point."""
    if not callable(fn):
        raise argument_error("fn", "be a function of f", f"is {describe(fn)}", "pass jnp.square, say")
    f = phase_space_density(state)
    values = as_array("fn(f)", fn(f), "be an array", "return numbers")
    if values.shape != f.shape:
        raise argument_error(
            "fn", f"give values of the shape of f, {f.shape}", f"gives shape {values.shape}", "work elementwise"
        )
    return jnp.sum(values) * state.grid.cell


@on_any_mesh
def hamiltonian(wave: Wave, potential: AbstractPotential) -> RealScalar:
    r"""$H_{Vl} = H_{Ht} = \frac{1}{2i}\int (\tfrac{v^2}{2} + \Gamma*|\alpha|^2)[\bar\alpha, \alpha]
    = \frac12\Big(\int k\cdot v\,|\alpha_k(v)|^2 - \int E\cdot M\Big)$, E = grad Gamma * rho, $M = \int \xi |\hat\alpha|^2 d\xi$
    [NeissPickl2018, section 2]. For the wave of N particles $H_{N,Vl} = \frac{1}{2i}\int H_N\,[\bar\alpha_N, \alpha_N]$, where
    the gradient of the interaction with the other particles replaces E.

    It generates the dynamics of alpha, is conserved by it, and is 0 for real alpha. It is not the energy."""
    if not isinstance(wave, Wave):
        raise argument_error("wave", "be a Wave", f"is a {type(wave).__name__}", "pass jk.Wave(alpha, grid)")
    check_potential(potential)
    _check_grid(wave)
    many = wave.num_particles > 1
    d, axes = wave.dim, wave.grid.axes
    checks = _checks(potential, axes[: 1 if many else d])
    alpha, hat = wave.velocity_picture().alpha, wave.fourier_picture().alpha
    # The brackets by Parseval's formula: k.v |alpha_k(v)|^2 over (k, v), E.M from alpha-hat over (x, xi).
    over_x = tuple(range(d))
    modes = square_modulus(jnp.fft.fftn(alpha, axes=over_x)) * wave.grid.cell / math.prod(alpha.shape[:d])
    cell = math.prod((2 * math.pi / v.length for v in axes[d + 1 :]), start=2 * math.pi / axes[d].length)
    square = square_modulus(hat) * cell
    rho = jnp.sum(square, tuple(range(d, 2 * d)))
    field = pair_field(potential, axes[:d]) if many else potential.field(rho, axes[:d])
    out = jnp.zeros((), square.dtype)
    for i, (x, v) in enumerate(zip(axes[:d], axes[d:], strict=True)):
        k, xi = spectral.along(spectral.wavenumbers(x), i, 2 * d), spectral.along(spectral.wavenumbers(v), d + i, 2 * d)
        moment = jnp.sum(square * xi, tuple(range(d, 2 * d)))
        out = out + jnp.sum(modes * k * spectral.along(v.points, d + i, 2 * d))
        out = out - jnp.sum(field[i] * moment) * volume_element(axes[:d])
    return nan_unless_met(checks, nan_out_of_range(potential, out / 2))
