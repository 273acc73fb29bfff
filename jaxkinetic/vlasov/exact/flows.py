r"""Two cases in which the characteristics Z are known in closed form: f(t, z) = f_0(Z(0, t, z)), and the same for a real
amplitude."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..._util.checks import argument_error, describe
from ..._util.types import RealScalarLike

__all__ = ["Coordinates", "Function", "free_streaming", "harmonic"]

Coordinates = tuple[Inexact[Array, "*shape"], ...]
Function = Callable[[Coordinates, Coordinates], Inexact[Array, "*shape"]]


def free_streaming(initial: Function, t: RealScalarLike) -> Function:
    """f(t, x, v) = f_0(x - t v, v): no potential. `initial` and the function returned map (x components, v components) to
    values."""
    _check_initial(initial)

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
    r"""Gamma = stiffness |x|^2/2 at mass 1: phase space rotates with the frequency sqrt(stiffness) about the mean, which is
    (`position`, `velocity`) at time 0 and moves freely. The stiffness may have either sign; at 0 it is free streaming, and the
    function is smooth there."""
    _check_initial(initial)
    stiffness = jnp.asarray(stiffness)
    cosine, sine = _oscillator(stiffness, t)

    def at(x: Coordinates, v: Coordinates) -> Inexact[Array, "*shape"]:
        before_x, before_v = [], []
        for p, q, x0, v0 in zip(x, v, position, velocity, strict=True):
            dx, dv = p - (x0 + t * v0), q - v0
            before_x.append(x0 + dx * cosine - dv * sine)
            before_v.append(v0 + dx * stiffness * sine + dv * cosine)
        return initial(tuple(before_x), tuple(before_v))

    return at


def _check_initial(initial: Any) -> None:
    if not callable(initial):
        must, do = "be a function of the components of x and of v", "pass lambda x, v: jnp.exp(-x[0]**2 - v[0]**2), say"
        raise argument_error("initial", must, f"is {describe(initial)}", do)


def _oscillator(stiffness: Array, t: RealScalarLike) -> tuple[Array, Array]:
    """cos(omega t) and sin(omega t)/omega, omega^2 = stiffness: entire functions of the stiffness, near 0 by their series."""
    square = stiffness * t * t
    small = jnp.abs(square) < 0.5
    series = [
        sum((-square) ** n / float(math.factorial(2 * n + odd)) for n in range(1, 9)) + jnp.ones_like(square)
        for odd in (0, 1)
    ]
    omega = jnp.sqrt(jnp.abs(jnp.where(small, jnp.ones_like(stiffness), stiffness)))
    attracts = stiffness > 0
    angle = jnp.where(small, jnp.zeros_like(square), omega * t)
    cosine = jnp.where(attracts, jnp.cos(angle), jnp.cosh(angle))
    sine = jnp.where(attracts, jnp.sin(angle), jnp.sinh(angle)) / omega
    return jnp.where(small, series[0], cosine), jnp.where(small, t * series[1], sine)
