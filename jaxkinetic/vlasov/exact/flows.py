r"""Two cases in which the characteristics are known: alpha(t, z) = alpha_0(Z(0, t, z)) for f, and for a real amplitude
alike."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..._types import RealScalarLike

__all__ = ["Coordinates", "Function", "free_streaming", "harmonic"]

Coordinates = tuple[Inexact[Array, "*shape"], ...]
Function = Callable[[Coordinates, Coordinates], Inexact[Array, "*shape"]]


def free_streaming(initial: Function, t: RealScalarLike) -> Function:
    """f(t, x, v) = f_0(x - t v, v): no potential. `initial`: (x components, v components) -> values; so is what is returned."""

    def at(x: Coordinates, v: Coordinates) -> Inexact[Array, "*shape"]:
        return initial(tuple(p - t * q for p, q in zip(x, v, strict=True)), v)

    return at


def harmonic(
    initial: Function,
    t: RealScalarLike,
    stiffness: RealScalarLike,
    position: tuple[float, ...],
    velocity: tuple[float, ...],
) -> Function:
    r"""Gamma = stiffness |x|^2/2 at mass 1: phase space turns at the frequency sqrt(stiffness) about its mean, (`position`,
    `velocity`) at time 0, which moves freely."""
    omega = jnp.sqrt(jnp.asarray(stiffness))
    cosine, sine = jnp.cos(omega * t), jnp.sin(omega * t)

    def at(x: Coordinates, v: Coordinates) -> Inexact[Array, "*shape"]:
        before_x, before_v = [], []
        for p, q, x0, v0 in zip(x, v, position, velocity, strict=True):
            dx, dv = p - (x0 + t * v0), q - v0
            before_x.append(x0 + dx * cosine - dv * sine / omega)
            before_v.append(v0 + dx * omega * sine + dv * cosine)
        return initial(tuple(before_x), tuple(before_v))

    return at
