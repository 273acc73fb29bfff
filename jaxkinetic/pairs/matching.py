"""Random matching: every particle meets one other in a step."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from jaxkinetic_kernels import random_matching

from .._system import AbstractPairFlow, AbstractScheme
from .._types import PyTree, RealScalar, Words
from ..states import Particles
from ._move import move_pairs


class RandomMatching(AbstractScheme):
    r"""One random perfect matching a step; a pair that meets flows for q dt times its share of time.

    q = N - 1 for an even number of slots, N for an odd one (one sits out): a pair meets with probability 1/q, so that its mean
    time is right. Weak order 1. What a pair flow keeps (momentum, energy) is kept to round-off at every dt.

    Cost of a step: N/2 pair flows, no sort; memory O(N). A dead slot takes part in the matching and does nothing.
    Gradients are pathwise: at fixed noise, matchings included. Which pairs meet depends on the place in the array, so a
    permuted state has the same law, not the same path.

    Exact for centred Maxwell molecules (gamma = 0): one step multiplies the mean deviator of the pressure tensor by
    $1 - \frac{N}{2(N-1)}(1 - e^{-8 d\,dt (N-1)/N})$, N even, $(1 + e^{-8 d\,dt})/2$, N odd, instead of e^{-4 d dt}.
    """

    requires: ClassVar[type] = AbstractPairFlow
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = 1
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})

    def init(self, key: Words, system: Any, state: Particles, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return state, None

    def step(
        self, key: Words, system: AbstractPairFlow, t: RealScalar, dt: RealScalar, carry: Particles, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        num = carry.num_slots
        even = num + num % 2
        i, j = random_matching(key, even)
        s = system.clock(carry.num_alive) * dt * (even - 1)
        # The partner of nobody is the last particle, masked.
        present = (i < num) & (j < num)
        at_i, at_j = jnp.minimum(i, num - 1), jnp.minimum(j, num - 1)
        active = present & carry.alive[at_i] & carry.alive[at_j]
        columns = carry.velocity.T
        before = tuple(c[at_i] for c in columns), tuple(c[at_j] for c in columns)
        after = move_pairs(key, system, s, before, (carry.ident[at_i], carry.ident[at_j]), active)
        velocity = carry.velocity
        for at, moved in zip((i, j), after, strict=True):
            velocity = velocity.at[at].set(jnp.stack(moved, -1), mode="drop", unique_indices=True)
        return eqx.tree_at(lambda p: p.velocity, carry, velocity), aux, {}
