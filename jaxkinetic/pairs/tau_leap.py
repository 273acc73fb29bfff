"""Tau leaping over a random matching: every particle may jump at most once in a step. First order in dt; `ExactClock` has no
time-step error."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxkinetic_kernels import materialise, materialise_words, pair_words, random_matching, uniform

from .._core.loops import recomputed
from .._core.solution import Result
from .._core.system import AbstractPairJump, AbstractScheme
from .._core.totals import Count, Fault, Max
from .._util.sums import count_true
from .._util.types import PyTree, RealScalar, Words
from ..states import Particles
from ._acceptance import forbid_rate_gradient, guarded_rate, mask_inactive
from ._apply_pair_flow import recomputed_flow
from ._jump_columns import as_table, from_columns, without_table
from ._packed_columns import Table, at, matched, pair_columns, spread, unpack

__all__ = ["TauLeap"]


class TauLeap(AbstractScheme):
    r"""Each step draws a random perfect matching; a matched pair jumps with probability $1 -
    e^{-q\,\mathrm{clock}\,\mathrm{rate}\,dt}$.

    Known in the literature as a Nanbu-Babovsky scheme [Nanbu1980], [Babovsky1986] for the simulation of the Boltzmann equation.

    q = n - 1 for an even number n of slots, n for an odd one (one slot has no partner). A given pair is matched with
    probability 1/q, so its mean rate is correct to first order in dt. **Approximate**: weak order 1. No particle jumps twice in
    a step, so dt must be well below the mean time between the jumps of a particle: see `largest_mean_jumps`. What a jump
    conserves is conserved to round-off.

    Cost of a step: N/2 pairs, no sort, one gather and one scatter; memory O(N). Dead slots are matched but do not jump. No
    majorant of the rate is needed. `stats`: `collisions`; `largest_mean_jumps`, the largest value over matched pairs and steps
    of the mean number of jumps of a particle in a step, q clock rate dt. It must be well below 1; above 1 the run warns.

    Gradients at fixed noise, with respect to quantities on which no rate depends; a gradient through a rate raises `ValueError`
    in `simulate`, and `jk.expectation` gives it without bias, by scores. One through dt raises in both. A permuted state has
    the same law but another path.
    """

    requires: ClassVar[type] = AbstractPairJump
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = 1
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward", "score"})
    gathers: ClassVar[str] = "collects all pairs on every device"
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "largest_mean_jumps": (
            1.0,
            "The step is too long for TauLeap: a particle would jump {0:.3g} times in a step on average "
            "(`stats['largest_mean_jumps']`), but it can jump only once; lower `dt`, or use ExactClock.",
        )
    }

    def init(self, key: Words, system: Any, state: Particles, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return as_table(state.velocity, state.alive), without_table(state)

    def view(self, carry: PyTree, aux: PyTree) -> Particles:
        return from_columns(unpack(carry), aux)

    def step(
        self, key: Words, system: AbstractPairJump, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        # The backward pass stores only the state of every step and recomputes the rest.
        table, collisions, fault, most = recomputed(self._matched, carry)(key, system, dt, carry, aux.ident)
        return table, aux, {"collisions": Count(collisions), "fault": fault, "largest_mean_jumps": Max(most)}

    def _matched(
        self, key: Words, system: AbstractPairJump, dt: RealScalar, table: Table, ident: Any
    ) -> tuple[Table, Any, Fault, RealScalar]:
        num, dtype = ident.shape[0], dt.dtype
        dim = len(unpack(table)) - 1
        even = num + num % 2
        num_alive = count_true(unpack(table)[-1] > 0, dtype)
        # Materialised: LLVM hangs when it compiles a gather together with a bijection of few bits.
        partners = materialise(random_matching(key, even))
        before = matched(table, partners)
        active = jnp.all((partners < num) & (before[-1] > 0), axis=0)
        v_i, v_j = (tuple(c[k] for c in before[:-1]) for k in (0, 1))
        v_i, v_j = mask_inactive(active, v_i, v_j)
        idents = at(ident, partners)
        words = materialise_words(pair_words(key, idents[0], idents[1], 1 + system.num_words(dim)))
        rate = guarded_rate(system, v_i, v_j)
        bad = active & ~((rate >= 0) & (rate < jnp.inf))
        largest = jnp.max(jnp.where(active, jax.lax.stop_gradient(rate), 0))
        factor = forbid_rate_gradient(system.clock(num_alive) * dt) * (even - 1)
        mean = factor * rate
        happens = active & (uniform(words[0], dtype) <= forbid_rate_gradient(-jnp.expm1(-mean)))
        w_i, w_j, lives_i, lives_j = recomputed_flow(system.jump)(words[1:], v_i, v_j)
        moved = ((*w, lives.astype(dtype)) for w, lives in ((w_i, lives_i), (w_j, lives_j)))
        after = (jnp.where(happens[None], new, old) for new, old in zip(pair_columns(*moved), before, strict=True))
        table = spread(tuple(after), partners, num)
        worst = jnp.max(jnp.where(bad, rate, -jnp.inf))
        code = jnp.where(bad.any(), Result.BAD_RATE, 0).astype(jnp.int32)
        fault = Fault(code, jnp.stack([worst, jnp.zeros_like(worst)]))
        return table, jnp.sum(happens, dtype=jnp.int32), fault, jax.lax.stop_gradient(factor) * largest
