"""Sweep: every pair once (or twice) in a step, as rounds of disjoint pairs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._core.loops import unconditional_loop
from .._core.system import AbstractPairFlow, AbstractScheme
from .._core.totals import Max
from .._util.checks import check_bool
from .._util.types import Components, PyTree, RealScalar, Words
from ..states import Particles
from ._apply_pair_flow import move_pairs, turned_share

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
    gathers: ClassVar[str] = "collects all velocities on every device in every round"
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
        turns = (2 if self.symmetric else 1) * rounds
        s = system.clock(carry.num_alive) * dt / (turns // rounds)
        dim, dtype = carry.dim, dt.dtype
        # Velocity, whether alive, and identity as one table: one copy moves them.
        table = jnp.stack([*carry.velocity.T, carry.alive.astype(dtype), _as_float(carry.ident, dtype)])

        def one_round(loop: tuple[Array, Array, Array], index: Array) -> tuple[Array, Array, Array]:
            top, bottom, share = loop
            (*v_i, alive_i, ident_i), (*v_j, alive_j, ident_j) = top, bottom
            ident_i, ident_j = _as_word(ident_i), _as_word(ident_j)
            back = index >= rounds
            in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)
            idents = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
            # The rounds beyond the last, which fill a block, move nobody.
            active = (alive_i > 0) & (alive_j > 0) & (index < turns)
            before = _swap(in_order, tuple(v_i), tuple(v_j))
            # Mask dead slots before the flow, so that they contribute no gradient.
            masked = jax.tree.map(lambda c: jnp.where(active, c, 0), before)
            moved = move_pairs(key, system, s, masked, idents, active, stream)
            share = share + turned_share(masked, moved[0], active)
            v_i, v_j = _swap(in_order, *jax.tree.map(partial(jnp.where, active), moved, before))
            # One place on, and back in the second pass, which begins with the last round of the first.
            stay = (index == rounds - 1) & self.symmetric | (index >= turns - 1)
            shift = jnp.where(stay, 0, jnp.where(back, -1, 1))
            return *_turned(_with_rows(top, v_i), _with_rows(bottom, v_j), shift), share

        share = jnp.zeros(rounds // 2 + 1, dtype)
        top, bottom, share = unconditional_loop(one_round, (*_first(table), share), turns)
        if not self.symmetric:
            top, bottom = _next(top, bottom)
        line = jnp.concatenate([top, bottom[:, 1:][:, ::-1], bottom[:, :1]], 1)
        turn = 2 * jnp.sqrt(2 * jnp.sum(share) / jnp.maximum(carry.num_alive, 1))
        return eqx.tree_at(lambda p: p.velocity, carry, line[:dim, :num].T), aux, {"turn": Max(turn)}


def _swap(keep: Array, a: PyTree, b: PyTree) -> tuple[PyTree, PyTree]:
    """(a, b) where `keep`, else (b, a): its own inverse."""
    return jax.tree.map(partial(jnp.where, keep), a, b), jax.tree.map(partial(jnp.where, keep), b, a)


def _as_float(words: Array, dtype: Any) -> Array:
    """uint32 words as numbers that are moved, never computed with."""
    return jax.lax.bitcast_convert_type(words, dtype) if dtype == jnp.float32 else words.astype(dtype)


def _as_word(numbers: Array) -> Array:
    return (
        jax.lax.bitcast_convert_type(numbers, jnp.uint32)
        if numbers.dtype == jnp.float32
        else numbers.astype(jnp.uint32)
    )


def _with_rows(table: Array, rows: Components) -> Array:
    """The table with other first rows; nothing else of it carries a derivative."""
    table = jax.lax.stop_gradient(table)

    def in_place(table: Array, rows: Components) -> Array:
        for k, row in enumerate(rows):
            table = table.at[k].set(row)
        return table

    def stacked(table: Array, rows: Components) -> Array:
        return jnp.concatenate([jnp.stack(rows), table[len(rows) :]])

    return jax.lax.platform_dependent(table, tuple(rows), cpu=in_place, default=stacked)


def _first(line: Array) -> tuple[Array, Array]:
    """Round 0 of the circle method: of the n - 1 places of the circle place k faces place -k modulo n - 1, but for place 0,
    which faces the last place of the line. A dead slot pads odd n."""
    line = jnp.pad(line, ((0, 0), (0, line.shape[1] % 2)))
    half = line.shape[1] // 2
    return line[:, :half], jnp.concatenate([line[:, -1:], line[:, half:-1][:, ::-1]], 1)


def _next(top: Array, bottom: Array) -> tuple[Array, Array]:
    """One round on: everyone moves one place around the circle, but for the first of `bottom`."""
    if top.shape[1] == 1:
        return top, bottom
    return jnp.concatenate([top[:, 1:], bottom[:, -1:]], 1), jnp.concatenate(
        [bottom[:, :1], top[:, :1], bottom[:, 1:-1]], 1
    )


def _previous(top: Array, bottom: Array) -> tuple[Array, Array]:
    """`_next` undone."""
    if top.shape[1] == 1:
        return top, bottom
    return jnp.concatenate([bottom[:, 1:2], top[:, :-1]], 1), jnp.concatenate(
        [bottom[:, :1], bottom[:, 2:], top[:, -1:]], 1
    )


def _turned(top: Array, bottom: Array, shift: Array) -> tuple[Array, Array]:
    """`_previous`, nothing, or `_next` for `shift` -1, 0, 1."""
    if top.shape[1] == 1:
        return top, bottom
    # On the CPU a branch, which copies memory; it does not wait for anybody there.
    return jax.lax.platform_dependent(top, bottom, shift, cpu=_chosen, default=_sliced)


def _chosen(top: Array, bottom: Array, shift: Array) -> tuple[Array, Array]:
    return jax.lax.switch(shift + 1, [_previous, lambda a, b: (a, b), _next], top, bottom)


def _sliced(top: Array, bottom: Array, shift: Array) -> tuple[Array, Array]:
    half = top.shape[1]
    rest = jnp.concatenate([top[:, :1], bottom[:, 1:], top[:, -1:]], 1)
    line = jnp.concatenate([bottom[:, 1:2], top, bottom[:, -1:]], 1)
    rest = jax.lax.dynamic_slice_in_dim(rest, 1 - shift, half - 1, 1)
    return jax.lax.dynamic_slice_in_dim(line, 1 + shift, half, 1), jnp.concatenate([bottom[:, :1], rest], 1)
