"""Generic schemes, which use the protocol of a system but none of its physics."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._core.system import AbstractDiffusion, AbstractScheme, AbstractSplit, SplitPlan
from ._core.totals import Max
from ._util.checks import argument_error, describe
from ._util.types import Array, PyTree, RealScalar, State, Words
from .states import Particles

__all__ = ["EulerMaruyama", "Leapfrog", "Strang", "Yoshida"]


def __dir__() -> list[str]:
    return __all__


class EulerMaruyama(AbstractScheme):
    r"""The explicit Euler-Maruyama scheme $X_{n+1} = X_n + \mathrm{drift}(t_n, X_n)\,\Delta t + \mathrm{noise}_n$.

    Weak order 1. A step preserves linear invariants (momentum) exactly, but not quadratic ones (energy). For Kac's system at
    gamma = 0 the mean of the centred energy grows by the factor 1 + 4 (d-1)^2 dt^2 per step. For a singular interaction
    (gamma <= -(d+2)/2, unsoftened) its mean is infinite after one step.

    `stats` for particles: `largest_drift`, the maximum over particles and steps of |drift| dt divided by the particle's speed
    about the mean velocity, or by the root mean square of that speed if it is larger. It is 2 (d-1) dt for Maxwell molecules.
    It must be well below 1; the run warns if it exceeds 1, where a step overshoots.

    Gradients are pathwise: the noise depends on the key only, so the path is differentiated at fixed noise. Cost of a step: one
    evaluation of the drift and the noise of the system.
    """

    requires: ClassVar[type] = AbstractDiffusion
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = 1
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "largest_drift": (
            1.0,
            "The step is too long for EulerMaruyama: the drift of a particle in a step is {0:.3g} of its speed "
            "(`stats['largest_drift']`), but must be well below 1; lower `dt`, or soften the interaction.",
        )
    }

    def init(self, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return state, None

    def step(
        self, key: Words, system: AbstractDiffusion, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        drift, noise = system.drift_and_noise(key, t, dt, carry)
        info = {}
        if isinstance(carry, Particles) and drift.velocity is not None:
            info["largest_drift"] = Max(_relative(drift.velocity, dt, carry))
        drift = jax.tree.map(lambda rate: rate * dt, drift)
        return system.retract(eqx.apply_updates(eqx.apply_updates(carry, drift), noise)), aux, info


def _relative(drift: Array, dt: RealScalar, state: Particles) -> RealScalar:
    """The largest |drift| dt over max(speed of the particle about the mean velocity, root mean square of that speed)."""
    drift, v = jax.lax.stop_gradient((drift, state.live_velocity))
    own = jnp.sum((v - state.mean(v)[None, :]) ** 2, 1)
    size = jnp.maximum(own, state.mean(own))
    share = jnp.sum(drift * drift, 1) / jnp.where(size > 0, size, jnp.ones_like(size))
    return jnp.abs(dt) * jnp.sqrt(jnp.max(jnp.where(state.alive & (size > 0), share, jnp.zeros_like(share))))


class _Composition(AbstractScheme):
    """Symmetric compositions of the exact flows of a split system. For each weight w: every flow but the last over w dt/2, the
    last over w dt, and the others over w dt/2 again in reverse order. Adjacent moves of the first flow are merged, so the carry
    is half a move of the first flow ahead of the state; `view` undoes it.

    Preserves what every flow preserves; time-reversible to round-off. Needs no key. Gradients: forward and reverse mode, and
    `Reversible`."""

    requires: ClassVar[type] = AbstractSplit
    needs_key: ClassVar[bool] = False
    preserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward", "reversible"})

    _last_first: ClassVar[bool]

    @property
    @abc.abstractmethod
    def _weights(self) -> tuple[float, ...]:
        """The fractions of dt of the symmetric steps, which sum to 1."""

    def init(self, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
        part, share = self._sequence(len(system.flows))[0], self._weights[0] / 2
        plan = system.make_plan(state, dt, frozenset({(part, share)}))
        return plan.move(part, share, jnp.zeros_like(dt), plan.enter(state))[0], (system, dt)

    def view(self, carry: PyTree, aux: PyTree) -> State:
        system, dt = aux
        part, share = self._sequence(len(system.flows))[0], self._weights[0] / 2
        plan = system.make_plan(carry, dt, frozenset({(part, share)}))
        return plan.leave(plan.move(part, -share, jnp.zeros_like(dt), carry)[0])

    def make_plan(self, system: AbstractSplit, carry: PyTree, dt: RealScalar) -> SplitPlan:
        return system.make_plan(carry, dt, frozenset(self._moves(len(system.flows))))

    def step(
        self,
        key: Words,
        system: AbstractSplit,
        t: RealScalar,
        dt: RealScalar,
        carry: PyTree,
        aux: PyTree,
        *,
        plan: SplitPlan | None = None,
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        plan = self.make_plan(system, carry, dt) if plan is None else plan
        info: dict[str, Any] = {}
        for part, share in self._moves(len(system.flows)):
            carry, found = plan.move(part, share, t, carry)
            info |= {name: info[name].merge(entry) if name in info else entry for name, entry in found.items()}
        return carry, aux, plan.finished(info)

    def reverse(
        self,
        key: Words,
        system: AbstractSplit,
        t: RealScalar,
        dt: RealScalar,
        carry: PyTree,
        aux: PyTree,
        *,
        plan: SplitPlan | None = None,
    ) -> tuple[PyTree, PyTree]:
        """The inverse of the step at time t."""
        plan = self.make_plan(system, carry, dt) if plan is None else plan
        for part, share in reversed(self._moves(len(system.flows))):
            carry = plan.move(part, -share, t, carry)[0]
        return carry, aux

    def _sequence(self, num: int) -> list[int]:
        return list(range(num))[::-1] if self._last_first else list(range(num))

    def _moves(self, num: int) -> list[tuple[int, float]]:
        """(flow, share of dt) of one step, which starts and ends after the first half move of the first flow."""
        moves: list[tuple[int, float]] = []
        weights = self._weights
        first, *between, last = self._sequence(num)
        for w, following in zip(weights, (*weights[1:], weights[0]), strict=True):
            inner = [(part, w / 2) for part in between]
            moves += [*inner, (last, w), *reversed(inner), (first, (w + following) / 2)]
        return moves


class Strang(_Composition):
    r"""Strang splitting: the symmetric composition $\varphi_1^{\tau/2} \cdots \varphi_m^{\tau} \cdots \varphi_1^{\tau/2}$ of
    exact flows, of order 2 [Strang1968]. Order 4 composes three of them with the steps w_1, 1 - 2 w_1, w_1 times dt,
    $w_1 = 1/(2 - 2^{1/3})$ [Yoshida1990].

    Preserves what every flow preserves; time-reversible to round-off. Adjacent half steps of the first flow are merged: with
    two flows, a step costs one application of each (order 4: three of each). Needs no key. Gradients: forward and reverse
    mode, and `Reversible`.

    **Arguments:** `order`: 2 or 4. **Raises:** `ValueError` for any other order.
    """

    order: int = eqx.field(static=True, default=2)
    _last_first: ClassVar[bool] = False

    def __check_init__(self) -> None:
        _check_order(self.order, (2, 4))

    @property
    def weak_order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.order

    @property
    def _weights(self) -> tuple[float, ...]:
        return _WEIGHTS[self.order]


class Leapfrog(_Composition):
    r"""The composition $\varphi_m^{\tau/2} \cdots \varphi_1^{\tau} \cdots \varphi_m^{\tau/2}$ of order 2: `Strang` with its
    flows reversed. For `vlasov.NBody` it is kick-drift-kick leapfrog, known in the literature as the velocity Verlet or
    Stoermer-Verlet scheme. Adjacent half kicks are merged, so that a step evaluates the forces once; the carry is half a kick
    ahead of the state, and each save undoes it.

    Symplectic if the flows are; time-reversible to round-off; preserves what every flow preserves. Needs no key. Gradients:
    forward and reverse mode, and `Reversible`.
    """

    weak_order: ClassVar[int | None] = 2
    _last_first: ClassVar[bool] = True

    @property
    def _weights(self) -> tuple[float, ...]:
        return _WEIGHTS[2]


class Yoshida(_Composition):
    r"""Yoshida's composition of leapfrog steps w_1 dt, ..., w_n dt, of order 4 (n = 3, $w_1 = w_3 = 1/(2 - 2^{1/3})$) or 6
    (n = 7, solution A) [Yoshida1990]. A step applies every flow n times.

    Symplectic if the flows are; time-reversible to round-off; preserves what every flow preserves. Needs no key. Gradients:
    forward and reverse mode, and `Reversible`.

    **Arguments:** `order`: 4 or 6. **Raises:** `ValueError` for any other order.
    """

    order: int = eqx.field(static=True, default=4)
    _last_first: ClassVar[bool] = True

    def __check_init__(self) -> None:
        _check_order(self.order, (4, 6))

    @property
    def weak_order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.order

    @property
    def _weights(self) -> tuple[float, ...]:
        return _WEIGHTS[self.order]


def _symmetric(*outer: float) -> tuple[float, ...]:
    """The symmetric sequence of weights that starts with `outer` and sums to 1."""
    return (*outer, 1 - 2 * sum(outer), *reversed(outer))


_WEIGHTS = {
    2: (1.0,),
    4: _symmetric(1 / (2 - 2 ** (1 / 3))),
    6: _symmetric(0.784513610477560, 0.235573213359357, -1.17767998417887),
}


def _check_order(order: Any, known: tuple[int, ...]) -> None:
    if not isinstance(order, int) or order not in known:
        choices = " or ".join(map(str, known))
        raise argument_error("order", f"be {choices}", f"is {describe(order)}", "choose one")
