"""The continuous-time jump process of N particles, exact in law: one dominating Poisson clock, thinning, events in waves."""

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
from ._event_window import (
    NO_EVENT,
    Outcome,
    as_table,
    carry_out,
    compact,
    draw,
    forbid_rate_gradient,
    from_columns,
    repeat_while,
    without_table,
)
from ._packed_columns import Table, unpack

__all__ = ["ExactClock"]

# A window has a candidate for every four slots: half a one for each particle, so that chains of candidates are short.
_FRACTION = 4
# And at least so many: four particles would have a window for each.
_LEAST = 16


class ExactClock(AbstractScheme):
    r"""Pairs jump at their own rates, exactly: no time-step error, for every N. **dt is the interval between saves**, not a
    step.

    Candidates come by a Poisson clock of rate (n(n-1)/2) clock S, uniform pairs of n places, S a bound on every rate; one
    happens if both are alive and U S <= rate. The candidates of a window (a quarter of n of them, at most `capacity`, or
    what is left of dt) are carried out in waves: all those at once that are the earliest open ones of both their particles.
    Everything random about a candidate (time, pair, acceptance, jump) is a function of its number and the step, so what
    comes out is bitwise what one event at a time gives. The bound comes from the system's envelope at the start of the
    window; the first event whose outcome leaves the envelope ends the window (its number is a stopping time) and a new bound
    is made. Dead places are thinned too, and left out once they are a fifth.

    A window has at most 14 waves, and a last one of a single event: it ends **with** the first candidate k that is in none of
    the 14, which is then carried out. The law stays exact: (time, pair, acceptance, jump) of the candidates are independent
    and identically distributed, and the wave of a candidate is a function of the pairs up to its own. So {k = m} depends on the
    pairs 0 ... m alone, k is a stopping time, and by the strong Markov property the candidates from k + 1 on are independent of
    all that was used; the next window draws them (the same numbers) with a new bound. Pairs beyond k were looked at, but
    decided nothing. Their waiting times decide as little: where the waves run out the interval does not end, even if
    candidate k + 1 comes too late at the old bound. Other cuts are biased. *Before k*: the next pair is known to overlap with
    the window's, so that overlapping pairs get the new bound and others the old one (harmless only where the bound never
    changes); with a new pair for k, overlapping pairs are too rare. *Without the events that were not reached*: events
    are lost. *At the time of the window's last candidate, or of one that depends on waits*: the next wait is not exponential.

    The cut is the same on all platforms. Windows of up to 14 candidates have none, and a window of n/4 candidates is cut with
    probability below n/10^12, so that the cut costs nothing; it makes the waves of an accelerator a loop of known length, which
    does not wait for the host. There all candidates are masked at every wave; on the CPU a window of more than 256 is sorted.

    **Arguments:** `capacity`: the most candidates a window holds, an integer; None is a quarter of the slots, at least 16.
    The law does not depend on it, and where rates are constant and nobody dies neither does the path. `max_windows` (of an
    interval), `max_waves` (of a window): None, or integers, which reverse mode needs; running out ends the run with a sentence.

    `stats`: `windows`, `waves`, `candidates`, `collisions` (all events that happened), `acceptance` (collisions/candidates,
    0 without candidates).

    Cost of a window: a few passes over its capacity, one a wave of a memory fill over N, and, unless rates are bounded, one
    over the particles; an interval has at least one window. Memory O(N + capacity). Derivatives in what rates do not depend
    on, at fixed noise: forward mode always, reverse mode with `max_windows` and `max_waves`; one that reaches a rate, or dt,
    is refused with `ValueError`. A window that needs `max_waves` waves or fewer never runs out of them; how many more are
    tolerated depends on the platform. A permuted state has the same law, not the same path.

    A rate above its bound is a failed run (`Result.ABOVE_BOUND`, raised at its end), with relative speed and excess; it is
    never clipped. Reverse mode without both bounds ends in JAX's sentence about `while_loop`.
    **Raises:** `ValueError` unless the three numbers are positive integers or None.
    """

    max_windows: int | None = eqx.field(default=None, static=True)
    max_waves: int | None = eqx.field(default=None, static=True)
    capacity: int | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        for name in ("max_windows", "max_waves", "capacity"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)

    # The waves of a window before the last one. The mean number of chains of 15 events is (n/4)/15!, 2e-7 for n = 10^6.
    _longest: ClassVar[int] = 14

    requires: ClassVar[type] = AbstractPairJump
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = None
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})
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
            # A backward pass keeps the particles at the start of every window, not what moved them.
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
        *velocity, life = unpack(jax.lax.stop_gradient(table))
        alive = life > 0
        state = Particles(jnp.stack(velocity, -1), alive=alive)
        env = jax.lax.stop_gradient(system.envelope(state))
        bound = jax.lax.stop_gradient(system.rate_bound(env)).astype(dtype)
        places = used.astype(dtype)
        pairs = places * (places - 1) / 2
        total = jax.lax.stop_gradient(forbid_rate_gradient(system.clock(state.num_alive))) * bound * pairs
        # Fewer than two: an empty run, whatever the envelope of nobody is.
        total = jnp.where(state.num_alive > 1, total, jnp.zeros_like(total))
        most = jnp.minimum(capacity, jnp.maximum(used // _FRACTION, _LEAST))
        drawn, ended = draw(key, at.number, used, capacity, most, total * at.left, num, self._longest)

        never, zero = jnp.asarray(NO_EVENT, jnp.int32), jnp.zeros((), dtype)
        nothing = Outcome(table, jnp.ones((), bool), never, never, zero, zero, jnp.zeros((), jnp.int32))

        def attempt(done: tuple[Array, Outcome, Array]) -> tuple[Array, Outcome, Array]:
            outcome = carry_out(key, system, env, bound, drawn, table, done[0], self.max_waves)
            # Again, up to the event that left the envelope: those after it had no bound.
            return outcome.exit, outcome, outcome.exit < done[0]

        start = drawn.num_events - 1, nothing, jnp.ones((), bool)
        if not jax.tree.leaves(env):
            outcome = attempt(start)[1]
        else:
            outcome = repeat_while(None if self.max_waves is None else 2)(lambda done: done[2], attempt, start)[1]
        left_envelope = outcome.exit < NO_EVENT
        consumed = jnp.where(left_envelope, outcome.exit + 1, drawn.num_events)
        elapsed = drawn.wait[jnp.maximum(consumed - 1, 0)] / jnp.where(total > 0, total, jnp.ones_like(total))
        # Kahan's sum: many short windows do not lose their times. Rounding does not end an interval.
        step = at.lost - elapsed
        lost = step - ((at.left + step) - at.left)
        left = jnp.maximum(at.left + step, jnp.finfo(dtype).tiny)
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
    """What goes from window to window: the particles, the time that is left, the number of the next candidate, totals."""

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
