"""Where velocities may be while the bound on a rate holds: a ball that holds everybody, or everywhere."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from .._util.types import Components, RealScalar
from ..states import Particles
from .components import minus, square

__all__ = ["Ball", "Everywhere", "ball", "everywhere", "inside", "largest_speed"]

# Above what velocities are, so that the ball outlives a few events.
_SLACK = 1.05
# Above what rounding can do to a bound.
_ROUNDING = 1.0001


class Ball(NamedTuple):
    """Everybody alive is within `radius` of the mean velocity `centre`, and no pair is ever faster than `fastest` = sqrt(2 W),
    W the energy about the centre, which collisions keep and annihilation lowers."""

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
    # What rounding makes of differences of large velocities.
    blur = 16 * jnp.finfo(whole.dtype).eps * sum((jnp.abs(c) for c in centre[1:]), jnp.abs(centre[0]))
    radius = jnp.minimum(_SLACK * jnp.sqrt(jnp.max(squares)), jnp.sqrt(whole))
    return Ball(centre, radius + blur, jnp.sqrt(2 * whole) + blur)


def everywhere(state: Particles) -> Everywhere:
    return Everywhere(state.dim, state.velocity.dtype)


def largest_speed(env: Ball | Everywhere) -> RealScalar:
    """A number that no relative speed exceeds while everybody is inside."""
    if isinstance(env, Everywhere):
        return jnp.asarray(np.asarray(np.inf, env.dtype))
    return _ROUNDING * jnp.minimum(2 * env.radius, env.fastest)


def inside(env: Ball | Everywhere, v: Components) -> Bool[Array, "*pairs"]:
    if isinstance(env, Everywhere):
        return jnp.ones(v[0].shape, bool)
    return square(minus(v, env.centre)) <= env.radius**2
