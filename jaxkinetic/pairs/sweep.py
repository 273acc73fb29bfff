"""Splitting over all pairs: each pair flow once or twice in a step, in rounds of disjoint pairs."""

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
from .._util.types import PyTree, RealScalar, Words
from ..states import Particles
from ._apply_pair_flow import move_pairs, sin2_half_angle

__all__ = ["Sweep"]

Columns = tuple[Array, ...]


class Sweep(AbstractScheme):
    r"""Strang splitting [Strang1968] over the round-robin 1-factorisation of the N(N-1)/2 pairs: one pair flow after the other,
    in rounds of disjoint pairs (the circle method; for odd N one particle has no partner in each round).

    `symmetric` (default): a pass through the rounds forward and one backward with fresh noise, each pair for half of its time
    in each pass; weak order 2. Otherwise one pass; order 1. What every pair flow conserves (momentum, energy) is conserved to
    round-off at every dt.

    `stats`: `turn`, a rotation: the largest value over the steps of the root mean square over particles of 2 sin(theta/2),
    where the squares are summed over the pair flows of a particle in a step, theta the angle by which the relative velocity
    rotates. It must be well below 1; above 1 the run warns.

    Cost of a step: N^2 pair flows, half of that if not symmetric. Memory O(N), for reverse mode O(N^{3/2}). Gradients are
    pathwise. The order of the pairs follows their slots: a permuted state gives the same law up to the order of the scheme,
    but not the same path.
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
            "The step is too long for Sweep: the pairs of a particle rotate by {0:.3g} in a step, in the root "
            "mean square (`stats['turn']`), which must be well below 1; lower `dt`.",
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
        rounds_in_pass = num + num % 2 - 1
        num_rounds = (2 if self.symmetric else 1) * rounds_in_pass
        s = system.clock(carry.num_alive) * dt / (num_rounds // rounds_in_pass)
        dim, dtype = carry.dim, dt.dtype
        # Columns, and not one table: on a CPU one pass, d = 2, takes 68 ms instead of 79 for N = 4096, .12 instead of .19 for
        # N = 100, since XLA runs a loop over arrays of at most 512 bytes without its scheduler.
        columns = (*carry.velocity.T, carry.alive, carry.ident)

        def one_round(loop: tuple[Columns, Columns, Array], index: Array) -> tuple[Columns, Columns, Array]:
            top, bottom, share = loop
            (*v_i, alive_i, ident_i), (*v_j, alive_j, ident_j) = top, bottom
            back = index >= rounds_in_pass
            in_order, stream = ident_i < ident_j, back.astype(jnp.uint32)
            idents = jnp.minimum(ident_i, ident_j), jnp.maximum(ident_i, ident_j)
            # The rounds beyond the last, which fill a block, move nobody.
            active = alive_i & alive_j & (index < num_rounds)
            # Mask dead slots before the flow, so that they contribute no gradient.
            before = tuple(v_i), tuple(v_j)
            masked = _swap(in_order, *jax.tree.map(lambda v: jnp.where(active, v, 0), before))
            moved = move_pairs(key, system, s, masked, idents, active, stream)
            share = share + sin2_half_angle(masked, moved[0], active)
            v_i, v_j = jax.tree.map(partial(jnp.where, active), _swap(in_order, *moved), before)
            # Shift forward; in the second pass backward, starting from the last round of the first.
            stay = (index == rounds_in_pass - 1) & self.symmetric | (index >= num_rounds - 1)
            shift = jnp.where(stay, 0, jnp.where(back, -1, 1))
            return *_shift_circle((*v_i, alive_i, ident_i), (*v_j, alive_j, ident_j), shift), share

        share = jnp.zeros(rounds_in_pass // 2 + 1, dtype)
        top, bottom, share = unconditional_loop(one_round, (*_first(columns), share), num_rounds)
        if not self.symmetric:
            top, bottom = _next(top, bottom)
        line = [jnp.concatenate([a, b[1:][::-1], b[:1]])[:num] for a, b in zip(top[:dim], bottom[:dim], strict=True)]
        angle = 2 * jnp.sqrt(2 * jnp.sum(share) / jnp.maximum(carry.num_alive, 1))
        return eqx.tree_at(lambda p: p.velocity, carry, jnp.stack(line, -1)), aux, {"turn": Max(angle)}


def _swap(keep: Array, a: PyTree, b: PyTree) -> tuple[PyTree, PyTree]:
    """(a, b) where `keep`, else (b, a): its own inverse."""
    return jax.tree.map(partial(jnp.where, keep), a, b), jax.tree.map(partial(jnp.where, keep), b, a)


def _first(line: Columns) -> tuple[Columns, Columns]:
    """Round 0 of the circle method: of the n - 1 places of the circle place k faces place -k modulo n - 1, except place 0,
    which faces the last place of the line. A dead slot pads odd n."""
    line = tuple(jnp.pad(x, (0, x.shape[0] % 2)) for x in line)
    half = line[0].shape[0] // 2
    return tuple(x[:half] for x in line), tuple(jnp.concatenate([x[-1:], x[half:-1][::-1]]) for x in line)


def _next(top: Columns, bottom: Columns) -> tuple[Columns, Columns]:
    """One round on: every particle moves one place around the circle, except the first of `bottom`."""
    if top[0].shape[0] == 1:
        return top, bottom
    pairs = tuple(zip(top, bottom, strict=True))
    return tuple(jnp.concatenate([a[1:], b[-1:]]) for a, b in pairs), tuple(
        jnp.concatenate([b[:1], a[:1], b[1:-1]]) for a, b in pairs
    )


def _previous(top: Columns, bottom: Columns) -> tuple[Columns, Columns]:
    """`_next` undone."""
    if top[0].shape[0] == 1:
        return top, bottom
    pairs = tuple(zip(top, bottom, strict=True))
    return tuple(jnp.concatenate([b[1:2], a[:-1]]) for a, b in pairs), tuple(
        jnp.concatenate([b[:1], b[2:], a[-1:]]) for a, b in pairs
    )


def _shift_circle(top: Columns, bottom: Columns, shift: Array) -> tuple[Columns, Columns]:
    """`_previous`, nothing, or `_next` for `shift` -1, 0, 1."""
    if top[0].shape[0] == 1:
        return top, bottom
    # On the CPU a branch, which copies memory; on an accelerator it would wait for the host.
    return jax.lax.platform_dependent(top, bottom, shift, cpu=_chosen, default=_sliced)


def _chosen(top: Columns, bottom: Columns, shift: Array) -> tuple[Columns, Columns]:
    return jax.lax.switch(shift + 1, [_previous, lambda a, b: (a, b), _next], top, bottom)


def _sliced(top: Columns, bottom: Columns, shift: Array) -> tuple[Columns, Columns]:
    """Two kernels: everything is copied to one table, from which one fusion reads all columns."""
    half, dtype = top[0].shape[0], top[0].dtype

    def table(columns: Columns) -> Array:
        *v, alive, ident = columns
        return jnp.stack([*v, alive.astype(dtype), _as_float(ident, dtype)])

    def columns(table: Array) -> Columns:
        *v, alive, ident = table
        return *v, alive > 0, _as_word(ident)

    a, b = table(top), table(bottom)
    # The source of `top`, with one more place at both ends, then that of `bottom`, whose first place is fixed. The barrier
    # keeps XLA from reading the loop's columns while it writes them, which costs a copy of every column.
    both = jnp.concatenate([b[:, 1:2], a, b[:, -1:], b[:, :1], a[:, :1], b[:, 1:], a[:, -1:]], 1)
    both = jax.lax.optimization_barrier(both)
    stays = columns(both[:, half + 2 : half + 3])
    moved = columns(jax.lax.dynamic_slice_in_dim(both, half + 3 - shift, half, 1))
    bottom = jax.tree.map(partial(jnp.where, jnp.arange(half) == 0), stays, moved)
    return columns(jax.lax.dynamic_slice_in_dim(both, 1 + shift, half, 1)), bottom


def _as_float(words: Array, dtype: Any) -> Array:
    """uint32 words as numbers that are moved, never computed with."""
    return jax.lax.bitcast_convert_type(words, dtype) if dtype == jnp.float32 else words.astype(dtype)


def _as_word(numbers: Array) -> Array:
    return (
        jax.lax.bitcast_convert_type(numbers, jnp.uint32)
        if numbers.dtype == jnp.float32
        else numbers.astype(jnp.uint32)
    )
