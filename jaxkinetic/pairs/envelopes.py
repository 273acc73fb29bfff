"""Envelopes of velocities: a ball that contains them all, which bounds every relative speed and so gives the majorant of the
rates, or `Everywhere`, for rates with a majorant of their own."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from .._util.types import Components, RealScalar
from ..states import Particles
from .components import minus, square

__all__ = ["Ball", "Everywhere", "ball", "everywhere", "inside", "largest_speed"]

# The ball exceeds the fastest particle, so that outcomes seldom leave it.
_SLACK = 1.05
# A factor above the rounding errors of a bound.
_ROUNDING = 1.0001


class Ball(NamedTuple):
    """The velocities of all particles alive are within `radius` of their mean `centre`. No relative speed ever exceeds
    `fastest` = sqrt(2 W), W = sum |v - centre|^2, because collisions conserve W and annihilation lowers it."""

    centre: tuple[RealScalar, ...]
    radius: RealScalar
    fastest: RealScalar

    @property
    def dim(self) -> int:
        return len(self.centre)


class Everywhere(eqx.Module):
    """No bound on velocities: for a rate that is bounded without one. It holds no array, so that schemes check nothing."""

    dim: int = eqx.field(static=True)
    dtype: jnp.dtype = eqx.field(static=True)


def ball(state: Particles) -> Ball:
    centre = tuple(state.mean(c) for c in state.velocity.T)
    squares = jnp.where(state.alive, square(minus(tuple(state.live_velocity.T), centre)), 0)
    whole = _ROUNDING * jnp.sum(squares)
    # Rounding error of v - centre when the velocities are large compared with their differences.
    blur = 16 * jnp.finfo(whole.dtype).eps * sum((jnp.abs(c) for c in centre[1:]), jnp.abs(centre[0]))
    radius = jnp.minimum(_SLACK * jnp.sqrt(jnp.max(squares)), jnp.sqrt(whole))
    return Ball(centre, radius + blur, jnp.sqrt(2 * whole) + blur)


def everywhere(state: Particles) -> Everywhere:
    return Everywhere(state.dim, state.velocity.dtype)


def largest_speed(env: Ball | Everywhere) -> RealScalar:
    """An upper bound of all relative speeds, valid while all particles are inside the envelope."""
    if isinstance(env, Everywhere):
        return jnp.asarray(np.asarray(np.inf, env.dtype))
    return _ROUNDING * jnp.minimum(2 * env.radius, env.fastest)


def inside(env: Ball | Everywhere, v: Components) -> Bool[Array, "*pairs"]:
    if isinstance(env, Everywhere):
        return jnp.ones(v[0].shape, bool)
    return square(minus(v, env.centre)) <= env.radius**2
