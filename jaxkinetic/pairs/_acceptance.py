"""What decides whether a pair jumps: its rate, through which no gradient may pass, and stand-ins for pairs that do not jump."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._core.system import AbstractPairJump
from .._util.gradients import forbid_gradient
from .._util.types import Components

_RATE = (
    "A gradient reaches the rate of the jumps (through a velocity on which it depends, a strength, a volume, an exponent, dt). "
    "At fixed noise it would omit the events that appear or disappear, and be biased; use `jk.expectation`, whose gradients "
    "are unbiased, or differentiate with respect to a quantity on which the rate does not depend, for example the initial "
    "velocities of `boltzmann.KacWalk(Maxwell(), ...)` or gamma of `landau.Microcanonical(..., 'heat_kernel', h)`; in dt use "
    "finite differences of averages over many runs."
)


def forbid_rate_gradient(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x itself, for quantities that decide which events happen: a gradient through it raises `ValueError`."""
    return forbid_gradient(_RATE, x)


def guarded_rate(system: AbstractPairJump, v_i: Components, v_j: Components) -> Float[Array, "*pairs"]:
    """The rate. A gradient through it raises `ValueError`: in the parameters, and in the velocities, also if they enter only by
    comparisons."""
    if not system.constant_rate:
        v_i, v_j = (tuple(forbid_rate_gradient(c) for c in v) for v in (v_i, v_j))
    return forbid_rate_gradient(jnp.broadcast_to(system.rate(v_i, v_j), v_i[0].shape))


def mask_inactive(active: Bool[Array, "*pairs"], v_i: Components, v_j: Components) -> tuple[Components, Components]:
    """The velocities where `active`; otherwise e_1 and 0, a relative speed of 1, at which all values and derivatives are
    finite."""

    def masked(v: Sequence[Array], first: int) -> tuple[Array, ...]:
        return tuple(jnp.where(active, c, jnp.asarray(first * (k == 0), c.dtype)) for k, c in enumerate(v))

    return masked(v_i, 1), masked(v_j, 0)
