"""A ball that holds everybody: from it a bound on the relative speed of every pair, for rates that depend on it."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool

from .._util.types import Components, RealScalar
from ..states import Particles
from .components import minus, square

__all__ = ["Ball", "ball", "in_ball", "largest_speed"]

# Above what velocities are, so that the ball outlives a few events; and above what rounding can do to a bound.
_SLACK, _ROUNDING = 1.05, 1.0001


class Ball(NamedTuple):
    """Everybody alive is within `radius` of the mean velocity `centre`, and no pair is ever faster than `fastest` = sqrt(2 W),
    W the energy about the centre, which collisions keep and annihilation lowers."""

    centre: tuple[RealScalar, ...]
    radius: RealScalar
    fastest: RealScalar

    @property
    def dim(self) -> int:
        return len(self.centre)


def ball(state: Particles) -> Ball:
    centre = tuple(state.mean(c) for c in state.velocity.T)
    squares = jnp.where(state.alive, square(minus(tuple(state.live_velocity.T), centre)), 0)
    whole = _ROUNDING * jnp.sum(squares)
    # What rounding makes of differences of large velocities.
    blur = 16 * jnp.finfo(whole.dtype).eps * sum((jnp.abs(c) for c in centre[1:]), jnp.abs(centre[0]))
    radius = jnp.minimum(_SLACK * jnp.sqrt(jnp.max(squares)), jnp.sqrt(whole))
    return Ball(centre, radius + blur, jnp.sqrt(2 * whole) + blur)


def largest_speed(env: Ball) -> RealScalar:
    """A number that no relative speed exceeds while everybody is inside."""
    return _ROUNDING * jnp.minimum(2 * env.radius, env.fastest)


def in_ball(env: Ball, v: Components) -> Bool[Array, "*pairs"]:
    return square(minus(v, env.centre)) <= env.radius**2
