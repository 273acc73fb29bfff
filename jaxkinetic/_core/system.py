"""Where physics and time stepping meet: a system, five protocols it may offer, and the scheme that asks for one.

A protocol is a mixin: a system inherits `AbstractSystem` and every protocol it can serve. A scheme names the one it
needs in `requires`. Nothing else connects the two.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._util.checks import argument_error, describe, nan_out_of_range, real_dtype
from .._util.printing import Printed
from .._util.types import Components, PairWords, PyTree, RealScalar, RealScalarLike, State, Words


class AbstractScheme(Printed):
    """How one step in time is made. It owns the layout of what it carries; `view` gives the state back.

    - `requires`: the protocol a system must offer.
    - `needs_key`: whether steps are random.
    - `weak_order`: order of the law in dt; None if there is no time-step error.
    - `preserves`: what survives a step if the system conserves it: "momentum": "exact" | "mean".
    - `gradients`: the valid ones among "pathwise", "forward", "reversible", "score".
    - `limits`: of entries of `Solution.stats`: above the number `simulate` and `ensemble` warn with the sentence, in which {0}
      is the value.
    - `gathers`: if the state is divided among devices and a step moves more than a few totals between them: what it does, to
      follow "a step ..." in a warning. "": the step scales, or the system says more.
    """

    requires: ClassVar[type]
    needs_key: ClassVar[bool]
    weak_order: ClassVar[int | None]
    preserves: ClassVar[Mapping[str, str]]
    gradients: ClassVar[frozenset[str]]
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {}
    gathers: ClassVar[str] = ""

    @abc.abstractmethod
    def init(self, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
        """(carry, aux) from a state; `key` is the run's."""

    @abc.abstractmethod
    def step(
        self, key: Words, system: Any, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        """(carry, aux, info) one step later; `key` is this step's; `info` is a dict of `Sum` and `Max`."""

    def plan(self, system: Any, carry: PyTree, dt: RealScalar) -> Any:
        """What is computed from the system once for a run. If it is not None, `step` and `reverse` get it as the keyword
        argument `plan`."""
        return None

    def reverse(
        self, key: Words, system: Any, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree]:
        """(carry, aux) before the step at time t that led to these; of schemes that declare "reversible"."""
        raise NotImplementedError

    def view(self, carry: PyTree, aux: PyTree) -> State:
        """The state, in the structure and the order that came in. Called at saves and at the end only."""
        return carry


class AbstractSystem(Printed):
    """Physics alone: no dt, no key, no N. Floating leaves are the parameters, and every one is differentiable.

    `conserves` says what the exact dynamics keeps: "momentum": "exact" (on every path) | "mean". `limits`: as of a
    scheme, for `stats` that the system adds.
    """

    conserves: ClassVar[Mapping[str, str]]
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {}

    @abc.abstractmethod
    def check(self, state: State) -> None:
        """Raise `ValueError` if the state's shape or domain does not fit. Called while tracing."""

    def check_start(self, state: State) -> None:
        """Raise `ValueError` if a run cannot begin here; one that is continued may have come to such a state."""

    def check_step(self, state: State, dt: RealScalarLike) -> None:
        """Raise `ValueError` if the time step makes no sense for this system. Called before a run; dt may be traced."""

    def end_stats(self, state: State, elapsed: RealScalarLike) -> dict[str, Any]:
        """More entries of `Solution.stats`: numbers that follow from the last state and the time since t0."""
        return {}

    @property
    def gathers(self) -> str:
        """As of a scheme, for what a step asks of this system: drift and noise, or flows."""
        return ""

    def supports(self, scheme: AbstractScheme, state: State) -> bool:
        """Whether `scheme` can drive this system from this state; finer than the protocol where a system says so."""
        return isinstance(self, scheme.requires)

    @abc.abstractmethod
    def default_scheme(self) -> AbstractScheme:
        """What `simulate` uses when no scheme is given."""

    @abc.abstractmethod
    def generator(self, phi: Callable[[State], RealScalar]) -> Callable[[State], RealScalar]:
        """phi: state -> scalar, to the function state -> (L phi)(state). Dense and slow: the reference for tests."""


def check_test_function(phi: Any) -> None:
    """**Raises:** `ValueError` for what a generator cannot act on."""
    if not callable(phi):
        raise argument_error(
            "phi", "be a function of a state", f"is {describe(phi)}", "pass jk.diagnostics.energy, say"
        )


class AbstractDiffusion(AbstractSystem):
    """dX = drift dt + noise. For `EulerMaruyama`."""

    @abc.abstractmethod
    def drift(self, t: RealScalar, state: State) -> PyTree:
        """State-shaped pytree, None where nothing moves."""

    @abc.abstractmethod
    def noise(self, key: Words, t: RealScalar, dt: RealScalar, state: State) -> PyTree:
        """The martingale increment over dt, of covariance proportional to dt; state-shaped, None where nothing moves."""

    def drift_and_noise(self, key: Words, t: RealScalar, dt: RealScalar, state: State) -> tuple[PyTree, PyTree]:
        """Both, for a step: override it where one pass over the pairs gives both."""
        return self.drift(t, state), self.noise(key, t, dt, state)

    def retract(self, state: State) -> State:
        """The state put back into the system's domain after a step: the identity, unless the domain is a torus."""
        return state


class AbstractPairFlow(AbstractSystem):
    """A sum over pairs of flows, each of which can be sampled alone. For `pairs.Sweep`, `pairs.RandomMatching`."""

    @abc.abstractmethod
    def num_words(self, dim: int) -> int:
        """How many uint32 words one pair needs in one flow."""

    @abc.abstractmethod
    def clock(self, num_alive: RealScalar) -> RealScalar:
        """The share of time of one pair, 1/N for the Landau systems: s = clock(num_alive) dt times the scheme's factor."""

    @abc.abstractmethod
    def pair_flow(
        self, words: PairWords, s: Float[Array, "*#pairs"], vi: Components, vj: Components
    ) -> tuple[Components, Components]:
        """(vi, vj) after the pair's time s, physics such as tau = 4 psi(r) s inside; velocities as tuples of d component
        arrays. Which of the two comes first is the scheme's choice and free of the noise (`Sweep`: the lower ident)."""


class AbstractPairJump(AbstractSystem):
    """Pairs that jump at a state-dependent rate below a known bound. For `pairs.ExactClock`, `pairs.TauLeap`."""

    @property
    def constant_rate(self) -> bool:
        """True only if `rate` does not depend on the velocities: then a derivative in them passes, else schemes refuse it."""
        return False

    @abc.abstractmethod
    def num_words(self, dim: int) -> int:
        """How many uint32 words one jump needs."""

    @abc.abstractmethod
    def clock(self, num_alive: RealScalar) -> RealScalar:
        """What multiplies the rate of every pair: 1/volume for a walk, 1/N for grazing collisions. Where particles die it must
        not depend on their number: it is held over a window."""

    @abc.abstractmethod
    def rate(self, vi: Components, vj: Components) -> Float[Array, "*#pairs"]:
        """The rate of the pair: events occur at clock x rate. A parameter enters it differentiably, not by a comparison or a
        lookup alone: a derivative in it can then be seen, and refused."""

    @abc.abstractmethod
    def envelope(self, state: State) -> PyTree:
        """What the bound on the rate is made from, any pytree; not differentiated."""

    @abc.abstractmethod
    def rate_bound(self, env: PyTree) -> RealScalar:
        """A number no pair's rate exceeds while all its particles are `inside` the envelope."""

    @abc.abstractmethod
    def inside(self, env: PyTree, v: Components) -> Bool[Array, "*pairs"]:
        """Whether a particle is inside the envelope."""

    @abc.abstractmethod
    def jump(
        self, words: PairWords, vi: Components, vj: Components
    ) -> tuple[Components, Components, Bool[Array, "*pairs"], Bool[Array, "*pairs"]]:
        """(vi, vj, alive_i, alive_j) after the event. A choice whose probability depends on a parameter or a velocity goes
        through `jk.random.bernoulli`, which refuses the derivative that would be missed."""


class AbstractField(AbstractSystem):
    """dX/dt = vector_field. For `RungeKutta`, `RKC`."""

    @abc.abstractmethod
    def vector_field(self, t: RealScalar, state: State) -> PyTree:
        """State-shaped pytree, None where nothing moves."""


class SplitPlan(Printed):
    """The flows of a split system over known shares of one dt: what schemes of composition call, in the layout that suits them.

    This one is the definition, `system.flows`; a system may offer one with constant tables and a layout of its own."""

    system: Any
    dt: RealScalar

    def enter(self, state: State) -> PyTree:
        """The state in this layout."""
        return state

    def leave(self, carry: PyTree) -> State:
        """And back."""
        return carry

    def move(self, part: int, share: float, t: RealScalar, carry: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """(carry after share dt of `system.flows[part]`, info)."""
        return self.system.flows[part](share * self.dt, t, carry), {}

    def finished(self, info: dict[str, Any]) -> dict[str, Any]:
        """The `info` of a step, from that of its moves."""
        return info


class AbstractSplit(AbstractSystem):
    """A sum of flows, each exact. For `Strang`, `Yoshida`, `Leapfrog`."""

    @property
    @abc.abstractmethod
    def flows(self) -> tuple[Callable[[RealScalar, RealScalar, State], State], ...]:
        """(tau, t, state) -> state, one for each part."""

    def generator(self, phi: Callable[[State], Float[Array, "..."]]) -> Callable[[State], Float[Array, "..."]]:
        """d/dt phi along the equation: the sum of its derivatives along the flows, at time 0; of every entry of phi."""

        check_test_function(phi)

        def generated(state: State) -> Float[Array, "..."]:
            self.check(state)
            zero = jnp.zeros((), real_dtype(state))

            def rate(flow: Callable[..., State]) -> Float[Array, "..."]:
                def along_flow(tau: RealScalar) -> Float[Array, "..."]:
                    return phi(flow(tau, zero, state))

                return jax.jvp(along_flow, (zero,), (jnp.ones_like(zero),))[1]

            rates = [rate(flow) for flow in self.flows]
            return nan_out_of_range(self, sum(rates[1:], start=rates[0]))

        return generated

    def plan(self, like: PyTree, dt: RealScalar, moves: frozenset[tuple[int, float]]) -> SplitPlan:
        """The flows over |share| dt for every (part, share) of `moves`. `like`: a state, or a carry of such flows."""
        return SplitPlan(self, dt)
