"""A ball that contains all velocities. It bounds the relative speed of every pair, which gives the majorant of the rates."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._util.types import Components, RealScalar
from ..states import Particles

__all__ = ["Ball", "ball", "in_ball", "largest_speed"]

# Factors above 1: the ball exceeds the fastest particle, so that it stays valid for a few events; bounds exceed rounding
# errors.
_SLACK, _ROUNDING = 1.05, 1.0001


class Ball(NamedTuple):
    """The velocities of all particles alive are within `radius` of their mean `centre`. No relative speed ever exceeds
    `fastest` = sqrt(2 W), W = sum |v - centre|^2, because collisions conserve W and annihilation lowers it."""

    centre: tuple[RealScalar, ...]
    radius: RealScalar
    fastest: RealScalar

    @property
    def dim(self) -> int:
        return len(self.centre)


def ball(state: Particles) -> Ball:
    centre = tuple(state.mean(c) for c in state.velocity.T)
    square = jnp.where(state.alive, _square_distance(tuple(state.live_velocity.T), centre), 0)
    whole = _ROUNDING * jnp.sum(square)
    # Rounding error of v - centre when the velocities are large compared with their differences.
    blur = 16 * jnp.finfo(whole.dtype).eps * sum((jnp.abs(c) for c in centre[1:]), jnp.abs(centre[0]))
    radius = jnp.minimum(_SLACK * jnp.sqrt(jnp.max(square)), jnp.sqrt(whole))
    return Ball(centre, radius + blur, jnp.sqrt(2 * whole) + blur)


def largest_speed(env: Ball) -> RealScalar:
    """An upper bound of all relative speeds, valid while all particles are inside the ball."""
    return _ROUNDING * jnp.minimum(2 * env.radius, env.fastest)


def in_ball(env: Ball, v: Components) -> Bool[Array, "*pairs"]:
    return _square_distance(v, env.centre) <= env.radius**2


def _square_distance(v: Components, w: tuple[RealScalar, ...]) -> Float[Array, "*pairs"]:
    return sum(((p - q) ** 2 for p, q in zip(v[1:], w[1:], strict=True)), (v[0] - w[0]) ** 2)
