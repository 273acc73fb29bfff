"""The jump process of N particles in continuous time, exact in law: a null-collision method, in batches of disjoint pairs."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt32

from jaxkinetic_kernels import advance

from .._core.loops import recomputed
from .._core.solution import Result
from .._core.system import AbstractPairJump, AbstractScheme
from .._core.totals import Count, Fault, Share
from .._util.checks import check_integer
from .._util.types import PyTree, RealScalar, Words
from ..states import Particles
from ._acceptance import forbid_rate_gradient
from ._event_window import NO_EVENT, Outcome, carry_out, compact, draw, repeat_while
from ._jump_columns import as_table, from_columns, without_table
from ._packed_columns import Table, unpack

__all__ = ["ExactClock"]

# A window has a candidate for every four slots: half a one for each particle, so that chains of candidates are short.
_FRACTION = 4
# And at least so many: four particles would have a window for each.
_LEAST = 16


class ExactClock(AbstractScheme):
    r"""Pairs jump at their own rates: exact in law for every N, without time-step error. **dt is the interval between saves**,
    not a time step.

    Known in the literature as a null-collision method [Koura1986], majorant-frequency method, or thinning [LewisShedler1979].

    Candidates arrive at the total rate (n(n-1)/2) c S, with c the system's factor `clock` (1/volume or 1/N); each is a uniform
    pair of the n slots in use. S, the majorant, is an upper bound of all rates. A candidate happens if both slots are alive
    and U S <= rate, U uniform. The candidates of a window (n/4 of them, at least 16, at most `capacity`, or those in the rest
    of dt) are carried out in batches of disjoint pairs, each at once: all candidates that come next for both their particles.
    Everything random about a candidate (time, pair, acceptance, jump) is a function of its number and of the step, so the
    result is bitwise that of one event at a time. The majorant is computed from the system's envelope at the start of the
    window. The first event whose outcome leaves the envelope ends the window (its number is a stopping time), and the next
    window computes a new majorant. Candidates on dead slots are thinned too; dead slots are removed once they are a fifth of
    all.

    A window has at most 14 batches, and a last one with a single event: it ends **with** the first candidate k that is in none
    of the 14; k is still carried out. The law stays exact: (time, pair, acceptance, jump) of the candidates are independent and
    identically distributed, and the batch of a candidate is a function of the pairs up to its own. So the event {k = m} depends
    only on the pairs 0, ..., m, and k is a stopping time. By the strong Markov property the candidates from k + 1 on are
    independent of everything used before; the next window draws them (with the same random words) under a new majorant. Neither
    the pairs nor the waiting times beyond k are used: after such a cut the interval continues, even if candidate k + 1 would
    fall after its end under the old majorant. Other cuts are biased. *Before k*: the next pair is known to
    overlap with the window, so overlapping pairs get the new majorant and others the old one (harmless only if the majorant
    never changes); if k gets a new pair, overlapping pairs are too rare. *Without the candidates that were not reached*: events
    are lost. *At the time of the window's last candidate, or of one that depends on waiting times*: the next waiting time is
    not exponential.

    The cut is the same on all platforms. A window of up to 14 candidates is never cut, and one of n/4 candidates with
    probability below n/10^12, so the cut costs nothing. It gives the loop over batches a known length, so that an accelerator
    need not wait for the host. There every batch processes all candidates under a mask; on the CPU a window of more than 256
    candidates is sorted.

    **Arguments:** `capacity`: the largest number of candidates in a window, an integer; None means a quarter of the slots, at
    least 16. The law does not depend on it; if rates are constant and no particle dies, neither does the path. `max_windows`
    (per interval) and `max_waves` (batches per window): None, or integers, which reverse mode requires. If one of them is too
    small, the run stops with a message.

    `stats`: `windows`, `waves` (batches), `candidates`, `collisions` (all events that happened), `acceptance`
    (collisions/candidates, 0 without candidates).

    Cost of a window: a few passes over its capacity, a memory fill over N per batch, and one pass over the particles if there
    is an envelope. An interval has at least one window. Memory O(N + capacity). Gradients at fixed noise, with respect to
    quantities on which no rate depends: forward mode always, reverse mode with `max_windows` and `max_waves`. A gradient
    through a rate raises `ValueError` in `simulate`; `jk.expectation` gives it without bias, by scores. One through dt raises
    in both. A window that needs at most `max_waves` batches is completed; whether a longer one is depends on the platform. A
    permuted state has the same law but another path.

    If a rate exceeds the majorant, the run fails (`Result.ABOVE_BOUND`, raised at its end) and reports the pair's relative
    speed and the excess; rates are never clipped. Reverse mode without both limits fails with JAX's error about `while_loop`.
    **Raises:** `ValueError` unless the three numbers are positive integers or None.
    """

    max_windows: int | None = eqx.field(default=None, static=True)
    max_waves: int | None = eqx.field(default=None, static=True)
    capacity: int | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        for name in ("max_windows", "max_waves", "capacity"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)

    # Largest number of batches before the last one. The mean number of chains of 15 events is (n/4)/15!, 2e-7 for n = 10^6.
    _max_before_last: ClassVar[int] = 14

    requires: ClassVar[type] = AbstractPairJump
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = None
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward", "score"})
    gathers: ClassVar[str] = "collects all particles on every device"

    def init(self, key: Words, system: Any, state: Particles, dt: RealScalar) -> tuple[PyTree, PyTree]:
        rest = without_table(state)
        num = state.num_slots
        place = jnp.arange(num, dtype=jnp.int32)
        return {
            "table": as_table(state.velocity, state.alive),
            "place": place,
            "used": jnp.asarray(num, jnp.int32),
        }, rest

    def view(self, carry: PyTree, aux: PyTree) -> Particles:
        return from_columns([jnp.zeros_like(c).at[carry["place"]].set(c) for c in unpack(carry["table"])], aux)

    def step(
        self, key: Words, system: AbstractPairJump, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        num = carry["place"].shape[0]
        capacity = max(num // _FRACTION, _LEAST) if self.capacity is None else self.capacity
        # dt decides which events happen before the end of the interval.
        dt = forbid_rate_gradient(dt)
        zero = Count(jnp.zeros((), jnp.uint32))
        no_fault = Fault(jnp.zeros((), jnp.int32), jnp.zeros(2, dt.dtype))
        number = jnp.zeros((), jnp.uint32), jnp.zeros((), jnp.uint32)
        particles = carry["table"], carry["place"], carry["used"]
        start = _Interval(
            *particles,
            dt,
            jnp.zeros_like(dt),
            number,
            no_fault,
            windows=zero,
            waves=zero,
            candidates=zero,
            collisions=zero,
        )

        def goes_on(at: _Interval) -> Array:
            return (at.left > 0) & (at.fault.code == 0)

        def window(at: _Interval) -> _Interval:
            return self._window(key, system, capacity, at)

        if self.max_windows is not None:
            # The backward pass stores the particles at the start of every window and recomputes the rest.
            window = recomputed(window, carry)
        end = repeat_while(self.max_windows)(goes_on, window, start)
        fault = end.fault
        if self.max_windows is not None:
            fault = fault.merge(_fault(goes_on(end), Result.MANY_WINDOWS, jnp.zeros_like(dt) + self.max_windows))
        info = {
            "windows": end.windows,
            "waves": end.waves,
            "candidates": end.candidates,
            "collisions": end.collisions,
            "acceptance": Share(end.collisions, end.candidates),
            "fault": fault,
        }
        return {"table": end.table, "place": end.place, "used": end.used}, aux, info

    def _window(self, key: Words, system: AbstractPairJump, capacity: int, at: "_Interval") -> "_Interval":
        table, place, used = compact(at.table, at.place, at.used)
        num, dtype = place.shape[0], at.left.dtype
        # The envelope is not differentiated: it only provides an upper bound.
        *velocity, life = unpack(jax.lax.stop_gradient(table))
        alive = life > 0
        state = Particles(jnp.stack(velocity, -1), alive=alive)
        env = jax.lax.stop_gradient(system.envelope(state))
        bound = jax.lax.stop_gradient(system.rate_bound(env)).astype(dtype)
        # Candidates are pairs of slots in use, some of which may be dead; those candidates are thinned.
        num_used = used.astype(dtype)
        pairs = num_used * (num_used - 1) / 2
        total = jax.lax.stop_gradient(forbid_rate_gradient(system.clock(state.num_alive))) * bound * pairs
        # With fewer than two particles nothing happens; the envelope, and so the majorant, may then be NaN.
        total = jnp.where(state.num_alive > 1, total, jnp.zeros_like(total))
        # n/4 candidates need about 8 batches.
        most = jnp.minimum(capacity, jnp.maximum(used // _FRACTION, _LEAST))
        drawn, ended = draw(key, at.number, used, capacity, most, total * at.left, num, self._max_before_last)

        never, zero = jnp.asarray(NO_EVENT, jnp.int32), jnp.zeros((), dtype)
        nothing = Outcome(table, jnp.ones((), bool), never, never, zero, zero, jnp.zeros((), jnp.int32))

        def attempt(done: tuple[Array, Outcome, Array]) -> tuple[Array, Outcome, Array]:
            outcome = carry_out(key, system, env, bound, drawn, table, done[0], self.max_waves)
            # Repeated up to the event that left the envelope: the majorant does not hold for those after it.
            return outcome.exit, outcome, outcome.exit < done[0]

        start = drawn.num_events - 1, nothing, jnp.ones((), bool)
        # Without an envelope no event can leave it. With one, two attempts suffice: the second repeats the first up to its
        # exit.
        if not jax.tree.leaves(env):
            outcome = attempt(start)[1]
        else:
            outcome = repeat_while(None if self.max_waves is None else 2)(lambda done: done[2], attempt, start)[1]
        left_envelope = outcome.exit < NO_EVENT
        consumed = jnp.where(left_envelope, outcome.exit + 1, drawn.num_events)
        # Waiting times are drawn at rate 1 and scaled by the total rate.
        elapsed = drawn.wait[jnp.maximum(consumed - 1, 0)] / jnp.where(total > 0, total, jnp.ones_like(total))
        # Kahan summation, so that many short windows lose no time. Rounding alone must not end an interval: hence `tiny`.
        step = at.lost - elapsed
        lost = step - ((at.left + step) - at.left)
        left = jnp.maximum(at.left + step, jnp.finfo(dtype).tiny)
        # The interval ends only if its last candidates were carried out under a valid majorant.
        left = jnp.where(ended & ~left_envelope, zero, left)
        fault = at.fault.merge(_fault(outcome.above < NO_EVENT, Result.ABOVE_BOUND, outcome.speed, outcome.excess))
        fault = fault.merge(_fault(~((total >= 0) & (total < jnp.inf)), Result.BAD_CLOCK, total))
        if self.max_waves is not None:
            fault = fault.merge(_fault(~outcome.complete, Result.MANY_WAVES, zero + self.max_waves))
        return _Interval(
            outcome.table, place, used, left, lost, advance(at.number, consumed), fault,
            at.windows.merge(Count(jnp.ones((), jnp.uint32))), at.waves.merge(Count(drawn.num_waves)),
            at.candidates.merge(Count(consumed)), at.collisions.merge(Count(outcome.accepted)),
        )  # fmt: skip


class _Interval(NamedTuple):
    """The state of the loop over windows: the particles, the time that is left, the number of the next candidate, totals."""

    table: Table
    place: Int32[Array, " N"]
    used: Int32[Array, ""]
    left: RealScalar
    lost: RealScalar
    number: tuple[UInt32[Array, ""], UInt32[Array, ""]]
    fault: Fault
    windows: Count
    waves: Count
    candidates: Count
    collisions: Count


def _fault(occurs: Array, code: int, *detail: Array) -> Fault:
    first, second = (*detail, jnp.zeros_like(detail[0]))[:2]
    return Fault(jnp.where(occurs, code, 0).astype(jnp.int32), jnp.stack([first, second]))
