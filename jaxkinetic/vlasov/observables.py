r"""Functions of a state: of `Density` or `Wave`, for |alpha|^2 = f, in either picture; means over `Particles`, which tend to
the same as N grows where the mass is 1. Differentiable."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .. import spectral
from .._checks import check_integer, describe, refuse
from .._sharding import on_any_mesh
from .._types import RealScalar
from ..states import Density, Particles, Wave, square_modulus, volume_element
from .potentials import AbstractPotential

__all__ = [
    "AnyState", "State", "casimir", "density", "density_mode", "energy", "hamiltonian", "kinetic_energy",
    "magnetisation", "momentum", "phase_space_density", "potential_energy",
]  # fmt: skip

State = Density | Wave
AnyState = Density | Wave | Particles


@on_any_mesh
def phase_space_density(state: State) -> Float[Array, "*grid"]:
    """f(x, v), on the grid."""
    if isinstance(state, Density):
        return state.f
    if not isinstance(state, Wave):
        raise refuse("state", "be a Density or a Wave", f"is a {type(state).__name__}", "pass one")
    alpha = state.velocity_picture().alpha
    return alpha.real**2 + alpha.imag**2


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
        raise refuse("number", f"be at most {rho.shape[0] // 2} on this grid", f"is {number}", "take more points in x")
    line = jnp.sum(rho, tuple(range(1, d))) * volume_element(state.grid.axes[:d])
    return jnp.fft.fft(line)[number]


@on_any_mesh
def magnetisation(state: AnyState) -> Complex[Array, ""]:
    r"""$M = \int \rho\,e^{ix_1} dx$, of particles their mean of $e^{ix_1}$: the order parameter of the HMF model, whose
    field energy is -strength |M|^2/2 (of N particles, -strength (N |M|^2 - 1)/(2 (N - 1)))."""
    if isinstance(state, Particles):
        x = _positions(state)[:, 0]
        return jax.lax.complex(state.mean(jnp.cos(x)), state.mean(jnp.sin(x)))
    axes, rho = state.grid.axes[: state.grid.half], density(state)
    x = spectral.along(axes[0].points, 0, len(axes))
    cell = volume_element(axes)
    return jax.lax.complex(jnp.sum(rho * jnp.cos(x)) * cell, jnp.sum(rho * jnp.sin(x)) * cell)


@on_any_mesh
def momentum(state: AnyState) -> Float[Array, " d"]:
    """int v f, d components; of particles the mean of v. Kept by the dynamics, and by every step of it, on a torus."""
    if isinstance(state, Particles):
        return state.mean(state.velocity)
    grid, f = state.grid, phase_space_density(state)
    return jnp.stack([jnp.sum(f * v) for v in grid.mesh[grid.half :]]) * grid.cell


@on_any_mesh
def kinetic_energy(state: AnyState) -> RealScalar:
    """int |v|^2 f/2; of particles the mean of |v|^2/2."""
    if isinstance(state, Particles):
        return state.mean(jnp.sum(state.velocity**2, -1)) / 2
    grid, f = state.grid, phase_space_density(state)
    return sum((jnp.sum(f * v * v) for v in grid.mesh[grid.half :]), start=jnp.zeros((), f.dtype)) * grid.cell / 2


@on_any_mesh
def potential_energy(state: AnyState, potential: AbstractPotential) -> RealScalar:
    """(1/2) int rho Gamma * rho: the energy of the field. That of a cosine perturbation of rho goes as its square. Of N
    particles the mean over ordered pairs of Gamma/2: their energy divided by N."""
    if isinstance(state, Particles):
        pairs = state.num_alive * (state.num_alive - 1)
        return potential.pair_sum(_positions(state), state.alive) / (2 * pairs)
    axes, rho = state.grid.axes[: state.grid.half], density(state)
    return jnp.sum(rho * potential.convolve(rho, axes)) * volume_element(axes) / 2


@on_any_mesh
def energy(state: AnyState, potential: AbstractPotential) -> RealScalar:
    """H(f), or H_N/N of particles: kinetic and potential. Kept by the dynamics; by a scheme to its order."""
    return kinetic_energy(state) + potential_energy(state, potential)


def _positions(state: Particles) -> Array:
    if state.position is None:
        raise refuse("state", "have positions", "has velocities alone", "pass jk.Particles(velocity, position), say")
    return state.position


@on_any_mesh
def casimir(state: State, fn: Callable[[Float[Array, "*grid"]], Float[Array, "*grid"]]) -> RealScalar:
    """int fn(f) over phase space. Kept by the dynamics for every fn; of a `Density` int f^2 by every step on the grid too."""
    if not callable(fn):
        raise refuse("fn", "be a function of f", f"is {describe(fn)}", "pass jnp.square, say")
    return jnp.sum(fn(phase_space_density(state))) * state.grid.cell


@on_any_mesh
def hamiltonian(wave: Wave, potential: AbstractPotential) -> RealScalar:
    r"""$H_{Vl} = H_{Ht} = \frac{1}{2i}\int (\tfrac{v^2}{2} + \Gamma*|\alpha|^2)[\bar\alpha, \alpha]
    = \frac12\Big(\int k\cdot v\,|\alpha_k(v)|^2 - \int E\cdot M\Big)$, E = grad Gamma * rho, $M = \int \xi |\hat\alpha|^2 d\xi$
    (NP, section 2).

    The generator of the dynamics of alpha, kept by it; 0 for real alpha. It is not the energy."""
    if not isinstance(wave, Wave):
        raise refuse("wave", "be a Wave", f"is a {type(wave).__name__}", "pass jk.Wave(alpha, grid)")
    d, axes = wave.dim, wave.grid.axes
    alpha, hat = wave.velocity_picture().alpha, wave.fourier_picture().alpha
    over_x = tuple(range(d))
    modes = square_modulus(jnp.fft.fftn(alpha, axes=over_x)) * wave.grid.cell / math.prod(alpha.shape[:d])
    cell = math.prod((2 * math.pi / v.length for v in axes[d + 1 :]), start=2 * math.pi / axes[d].length)
    square = square_modulus(hat) * cell
    field = potential.field(jnp.sum(square, tuple(range(d, 2 * d))), axes[:d])
    out = jnp.zeros((), square.dtype)
    for i, (x, v) in enumerate(zip(axes[:d], axes[d:], strict=True)):
        k, xi = spectral.along(spectral.wavenumbers(x), i, 2 * d), spectral.along(spectral.wavenumbers(v), d + i, 2 * d)
        moment = jnp.sum(square * xi, tuple(range(d, 2 * d)))
        out = out + jnp.sum(modes * k * spectral.along(v.points, d + i, 2 * d))
        out = out - jnp.sum(field[i] * moment) * volume_element(axes[:d])
    return out / 2
