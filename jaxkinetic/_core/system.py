"""The interface between physics and time stepping: systems, five protocols that they may offer, and schemes.

A protocol is a mixin: a system inherits every protocol that it offers. A scheme names the one that it needs in `requires`.
Nothing else connects the two.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._util.checks import argument_error, describe, nan_out_of_range, real_dtype
from .._util.printing import Printed
from .._util.types import Components, PairWords, PyTree, RealScalar, RealScalarLike, State, Words


class AbstractScheme(Printed):
    """A time-stepping scheme. It chooses the layout of the data that it carries from step to step; `view` restores the state.

    - `requires`: the protocol that a system must offer.
    - `needs_key`: whether steps are random.
    - `weak_order`: the weak order in dt; None if there is no time-step error.
    - `preserves`: which conserved quantities of the system a step preserves, and how: "momentum": "exact" | "mean".
    - `gradients`: the valid kinds. "pathwise": the derivative of a path at fixed noise, by `simulate`; "forward": also in
      forward mode; "reversible": with the adjoint `Reversible`; "score": for derivatives through random decisions, by
      `jk.expectation` only (in `simulate` these raise). Which leaf needs which: `jk.gradient_kinds`.
    - `limits`: name -> (limit, sentence) for entries of `Solution.stats`. If an entry exceeds the limit, `simulate` and
      `ensemble` issue the sentence as a warning, with the value in place of {0}.
    - `gathers`: for a state divided among devices, what a step does that moves more than a few totals between them, as a phrase
      that follows "a step of ..." in a warning. "": the step scales, unless the system's `gathers` says otherwise.
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
        """(carry, aux) from a state; `key` is that of the run."""

    @abc.abstractmethod
    def step(
        self, key: Words, system: Any, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        """(carry, aux, info) after one step. `key` is that of this step; `info` is a dict of `Sum`, `Max`, `Fault`, ..."""

    def make_plan(self, system: Any, carry: PyTree, dt: RealScalar) -> Any:
        """Data that depend only on the system and dt and are computed once per run. Unless None, they are passed to `step` and
        `reverse` as the keyword argument `plan`."""
        return None

    def reverse(
        self, key: Words, system: Any, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree]:
        """The inverse of the step at time t: (carry, aux) before it. For schemes that declare "reversible"."""
        raise NotImplementedError

    def view(self, carry: PyTree, aux: PyTree) -> State:
        """The state, in its original structure and order. Called only at saves and at the end."""
        return carry


class AbstractSystem(Printed):
    """The physics of a model. Its floating leaves are the parameters; each is differentiable. Methods get dt and key.

    `conserves`: what the exact dynamics conserves, and how: "momentum": "exact" (on every path) | "mean". `limits`: as for a
    scheme, for the `stats` that the system adds. `coordinates`: for states on a grid, what its axes are: "phase space" (first
    all positions, then all velocities), "velocity", or "" if neither; `Solution.to_xarray` names dimensions by it.
    """

    conserves: ClassVar[Mapping[str, str]]
    coordinates: ClassVar[str] = ""
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {}

    @abc.abstractmethod
    def check(self, state: State) -> None:
        """Raise `ValueError` if the state has the wrong shape or domain. Called while tracing."""

    def check_start(self, state: State) -> None:
        """Raise `ValueError` if a run cannot begin in this state. Continued runs are not checked, as they may reach it."""

    def check_step(self, state: State, dt: RealScalarLike) -> None:
        """Raise `ValueError` if the time step makes no sense for this system. Called before a run; dt may be traced."""

    def end_stats(self, state: State, elapsed: RealScalarLike) -> dict[str, Any]:
        """Further entries of `Solution.stats`, computed from the last state and the time since t0."""
        return {}

    @property
    def gathers(self) -> str:
        """As for a scheme, for the parts of a step that this system computes: drift and noise, or flows."""
        return ""

    def supports(self, scheme: AbstractScheme, state: State) -> bool:
        """Whether `scheme` can advance this system from this state. Override it if the protocol alone does not decide."""
        return isinstance(self, scheme.requires)

    @abc.abstractmethod
    def default_scheme(self) -> AbstractScheme:
        """The scheme that `simulate` uses if none is given."""

    def limit(self) -> "AbstractSystem":
        """The equation to which the law of one particle tends as their number tends to infinity.

        **Raises:** `ValueError` for a system that has none: a limit equation, or a system of which none is known."""
        raise argument_error(
            "system", "be a particle system whose limit equation is known", f"is {type(self).__name__}",
            "pass jk.landau.Kac(jk.landau.Maxwell()), say",
        )  # fmt: skip

    @abc.abstractmethod
    def generator(self, phi: Callable[[State], RealScalar]) -> Callable[[State], RealScalar]:
        """The generator L: maps phi (state -> scalar) to the function state -> (L phi)(state). Dense and slow, for tests."""


def check_test_function(phi: Any) -> None:
    """**Raises:** `ValueError` unless `phi` is a function, on which a generator can act."""
    if not callable(phi):
        raise argument_error(
            "phi", "be a function of a state", f"is {describe(phi)}", "pass jk.diagnostics.energy, say"
        )


class AbstractDiffusion(AbstractSystem):
    """dX = drift dt + noise. For `EulerMaruyama`."""

    @abc.abstractmethod
    def drift(self, t: RealScalar, state: State) -> PyTree:
        """The drift as a state-shaped pytree, None for leaves that do not move."""

    @abc.abstractmethod
    def noise(self, key: Words, t: RealScalar, dt: RealScalar, state: State) -> PyTree:
        """The martingale increment over dt, with covariance proportional to dt; state-shaped, None for leaves that do not
        move."""

    def drift_and_noise(self, key: Words, t: RealScalar, dt: RealScalar, state: State) -> tuple[PyTree, PyTree]:
        """Drift and noise of a step. Override it if one pass over the pairs gives both."""
        return self.drift(t, state), self.noise(key, t, dt, state)

    def retract(self, state: State) -> State:
        """Map the state back into the system's domain after a step: the identity, unless the domain is a torus."""
        return state


class AbstractPairFlow(AbstractSystem):
    """A sum of pair flows, each of which can be sampled separately. For `pairs.Sweep` and `pairs.RandomMatching`."""

    @abc.abstractmethod
    def num_words(self, dim: int) -> int:
        """The number of uint32 random words that one pair flow needs."""

    @abc.abstractmethod
    def clock(self, num_alive: RealScalar) -> RealScalar:
        """The factor that multiplies dt for each pair, 1/N for Landau systems: s = clock(num_alive) dt times the scheme's
        factor."""

    @abc.abstractmethod
    def pair_flow(
        self, words: PairWords, s: Float[Array, "*#pairs"], vi: Components, vj: Components
    ) -> tuple[Components, Components]:
        """(vi, vj) after the pair's time s; the flow itself applies the physics, such as tau = 4 psi(r) s. Velocities are
        tuples of d component arrays. The scheme chooses which particle comes first, independently of the noise (`Sweep`: the
        lower ident)."""


class AbstractPairJump(AbstractSystem):
    """Pairs that jump at a state-dependent rate with a known upper bound, the majorant. For `pairs.ExactClock` and
    `pairs.TauLeap`."""

    @property
    def constant_rate(self) -> bool:
        """True only if `rate` does not depend on the velocities. If False, gradients with respect to the velocities raise in
        `simulate`."""
        return False

    @abc.abstractmethod
    def num_words(self, dim: int) -> int:
        """The number of uint32 random words that one jump needs."""

    @abc.abstractmethod
    def clock(self, num_alive: RealScalar) -> RealScalar:
        """The factor that multiplies `rate`, the same for every pair: 1/volume for Kac's walk, 1/N for `Microcanonical`. If
        particles can die it must not depend on their number, because it is held fixed over a window of events."""

    @abc.abstractmethod
    def rate(self, vi: Components, vj: Components) -> Float[Array, "*#pairs"]:
        """The rate of a pair: its events occur at the rate clock x rate. Parameters must enter it differentiably, not only by a
        comparison or a lookup: only then can a gradient with respect to them be detected, to raise an error in `simulate` and
        to add a score in `jk.expectation`."""

    @abc.abstractmethod
    def envelope(self, state: State) -> PyTree:
        """The data from which the majorant is computed, any pytree; not differentiated."""

    @abc.abstractmethod
    def rate_bound(self, env: PyTree) -> RealScalar:
        """The majorant: no pair's rate exceeds it while both its particles are `inside` the envelope."""

    @abc.abstractmethod
    def inside(self, env: PyTree, v: Components) -> Bool[Array, "*pairs"]:
        """Whether particles are inside the envelope."""

    @abc.abstractmethod
    def jump(
        self, words: PairWords, vi: Components, vj: Components
    ) -> tuple[Components, Components, Bool[Array, "*pairs"], Bool[Array, "*pairs"]]:
        """(vi, vj, alive_i, alive_j) after the event. Make a choice whose probability depends on a parameter or a velocity by
        `jk.random.bernoulli`, which raises where a gradient would be biased, and gives `jk.expectation` its score."""


class AbstractField(AbstractSystem):
    """dX/dt = vector_field. For `RungeKutta` and `RKC`."""

    @abc.abstractmethod
    def vector_field(self, t: RealScalar, state: State) -> PyTree:
        """The time derivative as a state-shaped pytree, None for leaves that do not move."""

    def make_plan(self, like: State) -> Any:
        """An object with the methods `vector_field` and `stiffness` of this system that holds tables computed once per run, for
        states on the grid of `like`. None: there are no tables."""
        return None

    def stiffness(self, t: RealScalar, state: State) -> RealScalar | None:
        """An upper bound of the moduli of the eigenvalues of the vector field's derivative at this state, from which `RKC`
        chooses its stages; None if none is known."""
        return None

    def generator(self, phi: Callable[[State], RealScalar]) -> Callable[[State], RealScalar]:
        """(L phi)(state), the derivative of phi along the vector field at t = 0."""
        check_test_function(phi)

        def applied(state: State) -> RealScalar:
            slope = self.vector_field(jnp.zeros((), real_dtype(state)), state)
            moving, rest = eqx.partition(
                state, jax.tree.map(lambda k: k is not None, slope, is_leaf=lambda k: k is None)
            )
            return jax.jvp(lambda x: phi(eqx.combine(x, rest)), (moving,), (eqx.filter(slope, eqx.is_array),))[1]

        return applied


class SplitPlan(Printed):
    """The flows of a split system over given shares of dt, as composition schemes use them, in a suitable data layout.

    This class applies `system.flows` directly; a system may offer a subclass with precomputed tables and its own layout."""

    system: Any
    dt: RealScalar

    def enter(self, state: State) -> PyTree:
        """Convert the state to this plan's layout."""
        return state

    def leave(self, carry: PyTree) -> State:
        """Convert back to a state."""
        return carry

    def move(self, part: int, share: float, t: RealScalar, carry: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """(carry after the flow `system.flows[part]` over the time share * dt, info)."""
        return self.system.flows[part](share * self.dt, t, carry), {}

    def finished(self, info: dict[str, Any]) -> dict[str, Any]:
        """The `info` of a step, from the merged `info` of its moves."""
        return info


class AbstractSplit(AbstractSystem):
    """A sum of flows, each exact. For `Strang`, `Yoshida`, `Leapfrog`."""

    @property
    @abc.abstractmethod
    def flows(self) -> tuple[Callable[[RealScalar, RealScalar, State], State], ...]:
        """The flows (tau, t, state) -> state, one for each part."""

    def generator(self, phi: Callable[[State], Float[Array, "..."]]) -> Callable[[State], Float[Array, "..."]]:
        """d/dt phi along the equation at time 0, for every entry of phi: the sum of the derivatives along the flows."""

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

    def make_plan(self, like: PyTree, dt: RealScalar, moves: frozenset[tuple[int, float]]) -> SplitPlan:
        """A plan that can move by +-share dt for every (part, share) in `moves`. `like`: a state, or a carry of such a plan."""
        return SplitPlan(self, dt)
