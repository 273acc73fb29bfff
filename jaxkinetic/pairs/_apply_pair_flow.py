"""Applies a pair flow to arrays of disjoint pairs, given as component arrays, identities and a mask."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, UInt32

from jaxkinetic_kernels import materialise_words, pair_words

from .._core.system import AbstractPairFlow
from .._util.types import Components, RealScalar, Words
from .spherical_heat import ANGLE


def move_pairs(
    key: Words,
    system: AbstractPairFlow,
    s: RealScalar,
    velocities: tuple[Components, Components],
    idents: tuple[UInt32[Array, "*pairs"], UInt32[Array, "*pairs"]],
    active: Bool[Array, "*pairs"],
    stream: int | UInt32[Array, ""] = 0,
) -> tuple[Components, Components]:
    """The velocities of both partners after the flow over s. Pairs that are not `active` must have velocities 0, so that they
    contribute no gradient; discard the values returned for them."""
    words = materialise_words(pair_words(key, *idents, system.num_words(len(velocities[0])), stream=stream))
    return recomputed_flow(system.pair_flow)(words, jnp.broadcast_to(s, active.shape), *velocities)


def sin2_half_angle(before: tuple[Components, Components], after: Components, active: Bool[Array, "*pairs"]) -> Array:
    """sin^2(theta/2), theta the angle by which the relative velocity of a pair has rotated; 0 for pairs that are not active.
    `before`: the velocities of both partners; `after`: those of the first partner. Not differentiated."""
    (v_i, v_j), after = jax.lax.stop_gradient((before, after))
    r2 = sum((p - q) ** 2 for p, q in zip(v_i, v_j, strict=True))
    moved = sum((p - q) ** 2 for p, q in zip(after, v_i, strict=True))
    return jnp.where(active & (r2 > 0), moved / jnp.where(r2 > 0, r2, jnp.ones_like(r2)), jnp.zeros_like(r2))


def recomputed_flow(flow: Callable[..., Any]) -> Callable[..., Any]:
    """`flow`, whose backward pass stores only the arguments and the angles and recomputes a few dozen other arrays."""
    # The angles are stored because each costs a polynomial of 196 terms (`spherical_heat`).
    policy = jax.checkpoint_policies.save_only_these_names(ANGLE)
    return eqx.filter_checkpoint(flow, prevent_cse=False, policy=policy)
