r"""N classical particles with pair interactions: the particle system behind all equations of [NeissPickl2018, Figure 1]."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx

from .._core.system import AbstractScheme, AbstractSplit
from .._util.checks import argument_error
from .._util.types import RealScalar
from ..pairs.sums import GATHERS_SUMS
from ..schemes import Leapfrog
from ..states import Particles, check_alive, check_particles
from .potentials import AbstractPotential, Poisson, check_potential
from .systems import Vlasov

__all__ = ["NBody"]


class NBody(AbstractSplit):
    r"""$\dot x_i = v_i,\ \dot v_i = -\frac{1}{N-1}\sum_{j\ne i}\nabla\Gamma(x_i - x_j)$ for `Particles` with positions (N, d);
    unit masses, nondimensional. N counts the particles that are alive; dead slots do not move and exert no force.

    Two flows, both exact: a drift at constant velocities and a kick at constant positions. Conserved by every step: the
    momentum, to round-off; the energy $\frac12\sum_i |v_i|^2 + \frac{1}{2(N-1)}\sum_{i\ne j}\Gamma(x_i - x_j)$ to the order of
    the scheme, without drift over long times if Gamma is smooth. Positions are not mapped back onto a torus: `Cosine` and
    `Poisson` are periodic, `Gaussian` and `Harmonic` act on R^d.

    Cost of a kick: N M if the potential is a sum of M cosines (`Cosine`: M = d), N for `Harmonic`, N log N for `Poisson`
    (sheets, d = 1), otherwise N^2 by blocks. Memory O(N), also for gradients. Schemes: `Leapfrog`, `Yoshida`, `Strang`, all
    differentiable with `Reversible`. Gradients are pathwise and require a continuous grad Gamma; for the sheets of `Poisson`
    they raise `ValueError`.

    **Raises:** `ValueError` for a state without positions and for fewer than two particles.
    """

    potential: AbstractPotential

    conserves: ClassVar[Mapping[str, str]] = {"momentum": "exact"}

    def __check_init__(self) -> None:
        check_potential(self.potential)

    def default_scheme(self) -> AbstractScheme:
        return Leapfrog()

    def limit(self) -> Vlasov:
        """Vlasov's equation with the same potential."""
        return Vlasov(self.potential)

    @property
    def gathers(self) -> str:
        if isinstance(self.potential, Poisson):
            return "collects all positions on every device, to sort them"
        return GATHERS_SUMS if self.potential.by_pairs else ""

    def check(self, state: Any) -> None:
        check_potential(self.potential)
        check_particles(state, 2)
        if state.position is None:
            raise argument_error(
                "state", "have positions", "has only velocities", "pass jk.Particles(velocity, position), say"
            )
        self.potential.check_particles(state.dim)

    def check_start(self, state: Particles) -> None:
        check_alive(state, 2)

    @property
    def flows(self) -> tuple[Callable[[RealScalar, RealScalar, Particles], Particles], ...]:
        return self._drift, self._kick

    def _drift(self, tau: RealScalar, t: RealScalar, state: Particles) -> Particles:
        return eqx.apply_updates(state, state.increment(position=tau * state.live_velocity))

    def _kick(self, tau: RealScalar, t: RealScalar, state: Particles) -> Particles:
        assert state.position is not None
        gradient = self.potential.pair_gradient(state.position, state.alive) / (state.num_alive - 1)
        return eqx.apply_updates(state, state.increment(velocity=-tau * gradient))
