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
    time is right. Weak order 1, once dt is so small that few pairs turn by more than a radian in a step (singular laws: those
    closer than (4 q C dt/N)^{1/|gamma|} have turned as far as they can). What a pair flow keeps (momentum, energy) is kept to
    round-off at every dt.

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
        # A backward pass keeps the state alone of every step, not what moved it.
        return eqx.filter_checkpoint(self._matched)(key, system, dt, carry), aux, {}

    def _matched(self, key: Words, system: AbstractPairFlow, dt: RealScalar, carry: Particles) -> Particles:
        num = carry.num_slots
        even = num + num % 2
        s = system.clock(carry.num_alive) * dt * (even - 1)
        # Stored: LLVM does not come to an end with a gather whose index is a bijection of few bits.
        pairs = materialise(random_matching(key, even))
        # The partner of nobody is the last particle, masked.
        at = jnp.minimum(pairs, num - 1)
        present, idents = jnp.all(pairs < num, axis=0), carry.ident[at]
        in_order = idents[0] < idents[1]
        lower, upper = (materialise(jnp.where(in_order, at[k], at[1 - k])) for k in (0, 1))
        active = present & carry.alive[lower] & carry.alive[upper]
        table = _pack(tuple(carry.velocity.T))
        v_lower, v_upper = (_unpack([materialise(entry[k]) for entry in table], carry.dim) for k in (lower, upper))
        moved = move_pairs(key, system, s, (v_lower, v_upper), (jnp.min(idents, 0), jnp.max(idents, 0)), active)
        for k, new in zip((lower, upper), moved, strict=True):
            # Nobody's partner stays as it is; nobody, who has its place, is not written.
            k = jnp.where(present, k, num)
            table = [x.at[k].set(y, mode="drop", unique_indices=True) for x, y in zip(table, _pack(new), strict=True)]
        velocity = jnp.stack(_unpack(table, carry.dim), -1)
        return eqx.tree_at(lambda p: p.velocity, carry, velocity)


def _pack(columns: tuple[Array, ...]) -> list[Array]:
    """Two real columns as one complex one: half the gathers and scatters, and pairs of results that are computed together."""
    pairs = [jax.lax.complex(a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
    return pairs + [columns[-1]] * (len(columns) % 2)


def _unpack(table: list[Array], dim: int) -> tuple[Array, ...]:
    columns = [part for entry in table[: dim // 2] for part in (entry.real, entry.imag)]
    return (*columns, *table[dim // 2 :])
