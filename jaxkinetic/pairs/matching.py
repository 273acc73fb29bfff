"""Random matching: every particle meets one other in a step."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxkinetic_kernels import materialise, random_matching

from .._system import AbstractPairFlow, AbstractScheme
from .._types import PyTree, RealScalar, Words
from ..states import Particles
from ._move import move_pairs


class RandomMatching(AbstractScheme):
    r"""One random perfect matching a step; a pair that meets flows for q dt times its share of time.

    q = N - 1 for an even number of slots, N for an odd one (one sits out): a pair meets with probability 1/q, so that its mean
    time is right. Weak order 1; for psi = r^gamma with gamma <= -(d+2)/2 it is (d+2)/|gamma| - 1 (Coulomb: 2/3), because pairs
    so close that they turn by more than a radian in a step have turned as far as they can. What a pair flow keeps (momentum,
    energy) is kept to round-off at every dt.

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
        s = system.clock(carry.num_alive) * dt * (even - 1)
        # Stored: LLVM does not come to an end with a gather whose index is a bijection of few bits.
        i, j = materialise(random_matching(key, even))
        # The partner of nobody is the last particle, masked.
        at_i, at_j = jnp.minimum(i, num - 1), jnp.minimum(j, num - 1)
        active = (i < num) & (j < num) & carry.alive[at_i] & carry.alive[at_j]
        table = _pack(tuple(carry.velocity.T))
        (v_i, v_j), (ident_i, ident_j) = (
            [_unpack([materialise(entry[at]) for entry in table], carry.dim) for at in (at_i, at_j)],
            [carry.ident[at] for at in (at_i, at_j)],
        )
        after = move_pairs(key, system, s, (v_i, v_j), (ident_i, ident_j), active)
        for at, moved in zip((i, j), after, strict=True):
            new = _pack(moved)
            table = [x.at[at].set(y, mode="drop", unique_indices=True) for x, y in zip(table, new, strict=True)]
        velocity = jnp.stack(_unpack(table, carry.dim), -1)
        return eqx.tree_at(lambda p: p.velocity, carry, velocity), aux, {}


def _pack(columns: tuple[Array, ...]) -> list[Array]:
    """Two real columns as one complex one: half the gathers and scatters, and pairs of results that are computed together."""
    pairs = [jax.lax.complex(a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
    return pairs + [columns[-1]] * (len(columns) % 2)


def _unpack(table: list[Array], dim: int) -> tuple[Array, ...]:
    columns = [part for entry in table[: dim // 2] for part in (entry.real, entry.imag)]
    return (*columns, *table[dim // 2 :])
