"""Sweep: every pair once (or twice) in a step, as rounds of disjoint pairs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._adjoint import Checkpointed
from .._checks import check_bool
from .._system import AbstractPairFlow, AbstractScheme, Max
from .._types import PyTree, RealScalar, Words
from ..states import Particles
from ._move import move_pairs, turned_share

__all__ = ["Sweep"]


class Sweep(AbstractScheme):
    r"""All N(N-1)/2 pair flows one after the other, in the rounds of the circle method (odd N: one particle rests a round).

    `symmetric` (default): forward, then backward through the rounds with fresh noise, each pair for half its time in each:
    weak order 2. Otherwise one pass: order 1. What a pair flow keeps (momentum, energy) is kept to round-off at every dt.

    `stats`: `turn`, the largest over the steps of the root mean square over particles of 2 sin(theta/2), its squares summed
    over the pair flows of a particle in a step. It must be well below 1; above, the run warns.

    Cost of a step: N^2 pair flows, half of it if not symmetric; memory O(N), O(N^{3/2}) backwards. Gradients are pathwise. The
    order of the pairs follows the place in the array: a permuted state has the same law to the scheme's order, not the same
    path.
    """

    symmetric: bool = eqx.field(default=True, static=True)

    def __check_init__(self) -> None:
        check_bool("symmetric", self.symmetric)

    requires: ClassVar[type] = AbstractPairFlow
    needs_key: ClassVar[bool] = True
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "turn": (
            1.0,
            "The step is too long for Sweep: the pairs of a particle turn by {0:.3g} in a step, in the root mean "
            "square (`stats['turn']`), and must turn by well below 1; lower `dt`.",
        )
    }

    @property
    def weak_order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 2 if self.symmetric else 1

    def init(self, key: Words, system: Any, state: Particles, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return state, None

    def step(
        self, key: Words, system: AbstractPairFlow, t: RealScalar, dt: RealScalar, carry: Particles, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        num = carry.num_slots
        rounds = num + num % 2 - 1
        passes = 2 if self.symmetric else 1
        s = system.clock(carry.num_alive) * dt / passes
        columns = tuple(carry.velocity.T)

        def one_round(loop: tuple[Array, PyTree, PyTree, Array]) -> tuple[Array, PyTree, PyTree, Array]:
            index, top, bottom, share = loop
            back = index >= rounds
            top, bottom = jax.lax.cond(back, _previous, lambda a, b: (a, b), top, bottom)
            (v_i, ident_i, alive_i), (v_j, ident_j, alive_j) = top, bottom
            in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)
            idents = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
            before, active = _swap(in_order, v_i, v_j), alive_i & alive_j
            # Mask dead slots before the flow, so that they contribute no gradient.
            masked = jax.tree.map(lambda c: jnp.where(active, c, 0), before)
            moved = move_pairs(key, system, s, masked, idents, active, stream)
            share = share + jnp.sum(turned_share(masked, moved[0], active))
            v_i, v_j = _swap(in_order, *jax.tree.map(partial(jnp.where, active), moved, before))
            top, bottom = (v_i, ident_i, alive_i), (v_j, ident_j, alive_j)
            top, bottom = jax.lax.cond(back, lambda a, b: (a, b), _next, top, bottom)
            return index + 1, top, bottom, share

        loop = (jnp.zeros((), jnp.int32), *_first((columns, carry.ident, carry.alive)), jnp.zeros_like(dt))
        turns = passes * rounds
        _, top, bottom, share = Checkpointed().repeat(one_round, loop, jnp.asarray(turns, jnp.int32), turns)
        columns = [_in_line(a, b)[:num] for a, b in zip(top[0], bottom[0], strict=True)]
        turn = 2 * jnp.sqrt(2 * share / jnp.maximum(carry.num_alive, 1))
        return eqx.tree_at(lambda p: p.velocity, carry, jnp.stack(columns, -1)), aux, {"turn": Max(turn)}


def _swap(keep: Array, a: PyTree, b: PyTree) -> tuple[PyTree, PyTree]:
    """(a, b) where `keep`, else (b, a): its own inverse."""
    return jax.tree.map(partial(jnp.where, keep), a, b), jax.tree.map(partial(jnp.where, keep), b, a)


def _first(line: PyTree) -> tuple[PyTree, PyTree]:
    """Round 0 of the circle method: place k faces place -k modulo n - 1, place 0 faces place n - 1. A dead slot pads odd n."""

    def top(x: Array) -> Array:
        return x[: (x.shape[0] + 1) // 2]

    def bottom(x: Array) -> Array:
        x = jnp.concatenate([x, jnp.zeros(x.shape[0] % 2, x.dtype)])
        half = x.shape[0] // 2
        return jnp.concatenate([x[-1:], x[half:-1][::-1]])

    return jax.tree.map(top, line), jax.tree.map(bottom, line)


def _in_line(top: Array, bottom: Array) -> Array:
    return jnp.concatenate([top, bottom[1:][::-1], bottom[:1]])


def _next(top: PyTree, bottom: PyTree) -> tuple[PyTree, PyTree]:
    """One round on: everyone moves one place around the circle, but for the first of `bottom`."""

    def of_top(a: Array, b: Array) -> Array:
        return jnp.concatenate([a[1:], b[-1:]]) if a.shape[0] > 1 else a

    def of_bottom(a: Array, b: Array) -> Array:
        return jnp.concatenate([b[:1], a[:1], b[1:-1]]) if a.shape[0] > 1 else b

    return jax.tree.map(of_top, top, bottom), jax.tree.map(of_bottom, top, bottom)


def _previous(top: PyTree, bottom: PyTree) -> tuple[PyTree, PyTree]:
    """`_next` undone."""

    def of_top(a: Array, b: Array) -> Array:
        return jnp.concatenate([b[1:2], a[:-1]]) if a.shape[0] > 1 else a

    def of_bottom(a: Array, b: Array) -> Array:
        return jnp.concatenate([b[:1], b[2:], a[-1:]]) if a.shape[0] > 1 else b

    return jax.tree.map(of_top, top, bottom), jax.tree.map(of_bottom, top, bottom)
