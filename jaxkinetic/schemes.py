"""Generic schemes: they know a protocol, and no physics."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax

from ._system import AbstractDiffusion, AbstractScheme
from ._types import PyTree, RealScalar, State, Words


class EulerMaruyama(AbstractScheme):
    r"""$X_{n+1} = X_n + \mathrm{drift}(t_n, X_n)\,\Delta t + \mathrm{noise}_n$, explicit.

    Weak order 1. Linear invariants (momentum) survive a step exactly; quadratic ones (energy) do not: for Kac's
    system at gamma = 0 the centred energy grows by the factor 1 + 4 (d-1)^2 dt^2 a step in mean, and for a singular
    interaction (gamma <= -(d+2)/2, unsoftened) its mean after one step is infinite.

    Gradients are pathwise: the noise is a function of the key alone, so a derivative is that of the path at fixed
    noise. Cost of a step: one drift and one noise of the system.
    """

    requires: ClassVar[type] = AbstractDiffusion
    needs_key: ClassVar[bool] = True
    weak_order: ClassVar[int | None] = 1
    preserves: ClassVar[Mapping[str, str]] = {"momentum": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})

    def init(self, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return state, None

    def step(
        self, key: Words, system: AbstractDiffusion, t: RealScalar, dt: RealScalar, carry: PyTree, aux: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        drift, noise = system.drift_and_noise(key, t, dt, carry)
        drift = jax.tree.map(lambda rate: rate * dt, drift)
        return system.retract(eqx.apply_updates(eqx.apply_updates(carry, drift), noise)), aux, {}
