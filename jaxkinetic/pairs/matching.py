"""Random matching: in each step every particle interacts with one other."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxkinetic_kernels import materialise, random_matching

from .._core.loops import recomputed
from .._core.system import AbstractPairFlow, AbstractScheme
from .._core.totals import Max
from .._util.sums import count_true
from .._util.types import PyTree, RealScalar, Words
from ..states import Particles
from ._apply_pair_flow import move_pairs, sin2_half_angle
from ._packed_columns import Table, at, matched, pack, pair_columns, spread, unpack
from .spherical_heat import ANGLE

__all__ = ["RandomMatching"]
# Number of pairs per step whose angle is measured.
_SAMPLE = 8192


class RandomMatching(AbstractScheme):
    r"""Each step draws a random perfect matching; the flow of a matched pair acts for q dt times the system's time factor.

    The pairing is that of the binary collision model of [TakizukaAbe1977]; for `landau.Kac` the scattering angle has the exact
    law of Brownian motion on the sphere, where theirs and those of [Nanbu1997] and [BobylevNanbu2000] approximate it.

    q = n - 1 for an even number n of slots, n for an odd one (one slot has no partner). A given pair is matched with
    probability 1/q, so its mean flow time is dt times the factor. Weak order 1, once dt is so small that few pairs rotate by
    more than a radian in a step: see `turn`. (For psi = C r^gamma, gamma < 0, pairs of r < (4 q C dt/N)^{1/|gamma|} have a
    nearly uniform direction after one step.) What a pair flow conserves (momentum, energy) is conserved to round-off at every
    dt.

    `stats`: `turn`, a rotation: the largest value over the steps of the root mean square of 2 sin(theta/2), theta the angle by
    which the relative velocity of a pair rotates (over the first 8192 pairs of the matching). It must be well below 1; above 1
    the run warns.

    Cost of a step: N/2 pair flows, no sort; memory O(N). Dead slots are matched but do not move. Gradients are pathwise: at
    fixed noise, including the matchings. The matching refers to slots, so a permuted state has the same law but
    another path.

    For centred Maxwell molecules (gamma = 0) the error is known: one step multiplies the mean deviator of the pressure tensor
    by $1 - \frac{N}{2(N-1)}(1 - e^{-8 d\,dt (N-1)/N})$, N even, $(1 + e^{-8 d\,dt})/2$, N odd, instead of e^{-4 d dt}
    (derivation: docs/derivations/pair_flow.md).
    """

    requires: ClassVar[type] = AbstractPairFlow
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = 1
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})
    gathers: ClassVar[str] = "collects all pairs on every device"
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "turn": (
            1.0,
            "The step is too long for RandomMatching: the relative velocities of pairs rotate by {0:.3g} in a step (root mean "
            "square, `stats['turn']`), which must be well below 1; lower `dt`.",
        )
    }

    def init(self, key: Words, system: Any, state: Particles, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return (pack(tuple(state.velocity.T)), eqx.tree_at(lambda p: p.velocity, state, None)), None

    def view(self, carry: PyTree, aux: PyTree) -> Particles:
        table, rest = carry
        velocity = jnp.stack(unpack(table), -1)
        return eqx.tree_at(lambda p: p.velocity, rest, velocity, is_leaf=lambda x: x is None)

    def step(
        self, key: Words, system: AbstractPairFlow, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        # The backward pass stores the states and the angles, each of which costs a polynomial, and recomputes the rest.
        keep = jax.checkpoint_policies.save_only_these_names(ANGLE)
        table, angle = recomputed(self._matched, carry, policy=keep)(key, system, dt, *carry)
        return (table, carry[1]), aux, {"turn": Max(angle)}

    def _matched(
        self, key: Words, system: AbstractPairFlow, dt: RealScalar, table: Table, rest: Particles
    ) -> tuple[Table, RealScalar]:
        num = rest.alive.shape[0]
        even = num + num % 2
        s = system.clock(count_true(rest.alive, dt.dtype)) * dt * (even - 1)
        # Materialised: LLVM hangs when it compiles a gather together with a bijection of few bits.
        partners = materialise(random_matching(key, even))
        before = matched(table, partners)
        active = jnp.all((partners < num) & at(rest.alive, partners), axis=0)
        ident = at(rest.ident, partners)
        # Mask dead slots before the flow, so that they contribute no gradient.
        masked = [jnp.where(active[None], c, 0) for c in before]
        v_i, v_j = (tuple(c[k] for c in masked) for k in (0, 1))
        moved = move_pairs(key, system, s, (v_i, v_j), (jnp.min(ident, axis=0), jnp.max(ident, axis=0)), active)
        # Pairs are in random order: the first ones are a sample.
        (*v_i, first), (*v_j, _), (*w_i, _) = ([c[:_SAMPLE] for c in (*v, active)] for v in (v_i, v_j, moved[0]))
        share = sin2_half_angle((tuple(v_i), tuple(v_j)), tuple(w_i), first)
        angle = 2 * jnp.sqrt(jnp.sum(share) / jnp.maximum(jnp.sum(first, dtype=share.dtype), 1))
        after = (jnp.where(active[None], new, old) for new, old in zip(pair_columns(*moved), before, strict=True))
        return spread(tuple(after), partners, num), angle
