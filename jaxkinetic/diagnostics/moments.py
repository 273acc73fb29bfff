"""Moments: averages over the alive particles, at a cost of O(N), or over a `Density` on velocity axes or a `RadialDensity`;
nondimensional, of unit mass. All are differentiable."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Real

from .._util.checks import argument_error, check_bool, check_scalar, describe, is_traced
from .._util.sharding import on_any_mesh
from .._util.sums import gram
from .._util.types import RealScalar
from ..radial import RadialDensity
from ..states import Density, Particles
from . import densities
from ._checked import check_finite_array, check_state, one_program

__all__ = ["energy", "mode", "moment", "momentum", "stress", "temperature"]


@on_any_mesh
def momentum(state: Particles | Density | RadialDensity) -> Float[Array, " d"]:
    """The momentum per particle, (1/N) sum_i v_i or int v f over the mass."""
    if isinstance(state, densities.DENSITIES):
        return densities.momentum(state)
    check_state(state, also=" or a density")
    return _momentum(state)


@on_any_mesh
def energy(state: Particles | Density | RadialDensity) -> RealScalar:
    """The kinetic energy per particle, (1/2N) sum_i |v_i|^2 or (1/2) int |v|^2 f over the mass."""
    if isinstance(state, densities.DENSITIES):
        return densities.centred_moment(state, 2, centred=False) / 2
    check_state(state, also=" or a density")
    return _energy(state)


@on_any_mesh
def moment(state: Particles | Density | RadialDensity, *, order: float = 4, centred: bool = False) -> RealScalar:
    """(1/N) sum_i |v_i|^order, or with `centred` (1/N) sum_i |v_i - u|^order, u the mean velocity.

    A Maxwellian of temperature 1 in d = 3 has 3, 15, 105 at orders 2, 4, 6. Even orders are polynomials of v.

    **Raises:** `ValueError` for an order that is negative, not a number, or traced.
    """
    order, centred = _order(order), check_bool("centred", centred)
    if isinstance(state, densities.DENSITIES):
        return densities.centred_moment(state, order, centred=centred)
    check_state(state, also=" or a density")
    return _moment(state, order=order, centred=centred)


@on_any_mesh
def mode(state: Particles, *, wavevector: Real[ArrayLike, " d"] | Sequence[float] | None = None) -> Complex[Array, ""]:
    r"""$\rho_k = \frac1N \sum_i e^{-i k \cdot v_i}$, the Fourier mode of the empirical measure; k = `wavevector`, (d,).

    The value is complex; `.real`, `.imag` and `jnp.abs(...)**2` are real and differentiable. On a torus of period 2 pi the
    components of k are integers. For i.i.d. particles $N\,\mathbb E|\rho_k|^2 = 1 + (N-1)\,|\mathbb E e^{-i k \cdot v}|^2$.

    **Raises:** `ValueError` for a wavevector that is missing, has not d components, or is not finite.
    """
    check_state(state)
    if wavevector is None or np.shape(cast("ArrayLike", wavevector)) != (state.dim,):
        raise argument_error(
            "wavevector", f"have shape ({state.dim},)", f"is {describe(wavevector)}", "pass one number per component"
        )
    check_finite_array("wavevector", wavevector)
    return _mode(state, wavevector=jnp.asarray(wavevector, state.velocity.dtype))


@on_any_mesh
def stress(state: Particles | Density | RadialDensity) -> Float[Array, "d d"]:
    """The pressure tensor per unit density, (1/N) sum_i (v_i - u)(v_i - u)^T, u the mean velocity. Its trace is d T. (The
    stress tensor of fluid mechanics is its negative.)"""
    if isinstance(state, densities.DENSITIES):
        return densities.stress(state)
    check_state(state, also=" or a density")
    return _stress(state)


@on_any_mesh
def temperature(state: Particles | Density | RadialDensity) -> RealScalar:
    """The temperature T = (1/(d N)) sum_i |v_i - u|^2, u the mean velocity: the trace of the pressure tensor over d."""
    if isinstance(state, densities.DENSITIES):
        return densities.centred_moment(state, 2, centred=True) / densities.dim(state)
    check_state(state, also=" or a density")
    return _temperature(state)


@one_program()
def _momentum(state: Particles) -> Array:
    return state.mean(state.velocity)


@one_program()
def _energy(state: Particles) -> Array:
    return state.mean(jnp.sum(state.live_velocity**2, axis=1)) / 2


@one_program("order", "centred")
def _moment(state: Particles, *, order: float, centred: bool) -> Array:
    v = _centred(state) if centred else state.live_velocity
    square = jnp.sum(v**2, axis=1)
    if order % 2 == 0:
        return state.mean(square ** int(order // 2))
    # |v| has no derivative at 0; take it as 0.
    still = square == 0
    return state.mean(jnp.where(still, 0, jnp.where(still, 1, square) ** (order / 2)))


@one_program()
def _mode(state: Particles, *, wavevector: Array) -> Array:
    phase = jnp.matmul(state.live_velocity, wavevector, precision=jax.lax.Precision.HIGHEST)
    return jax.lax.complex(state.mean(jnp.cos(phase)), -state.mean(jnp.sin(phase)))


@one_program()
def _stress(state: Particles) -> Array:
    v = _centred(state)
    v = jnp.where(state.alive[:, None], v, jnp.zeros((), v.dtype))
    return gram(v) / state.num_alive


@one_program()
def _temperature(state: Particles) -> Array:
    return _moment(state, order=2.0, centred=True) / state.dim


def _order(order: float) -> float:
    if isinstance(order, bool) or is_traced(order):
        raise argument_error("order", "be a number known while tracing", f"is {describe(order)}", "pass 2, 4 or 6, say")
    check_scalar("order", order, nonnegative=True)
    return float(order)


def _centred(state: Particles) -> Float[Array, "N d"]:
    return state.live_velocity - _momentum(state)[None, :]
