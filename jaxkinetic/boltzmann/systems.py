"""Kac's walk: pairs collide or annihilate at rate Sigma(|v_i - v_j|)/Lambda."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .. import random
from .._core.system import AbstractPairJump, AbstractScheme
from .._util.checks import (
    POSITIVE,
    PROBABILITY,
    Range,
    argument_error,
    check_scalar,
    check_shape,
    concrete_array,
    describe,
    is_traced,
)
from .._util.types import Components, PairWords, RealScalar, RealScalarLike
from ..pairs import ExactClock
from ..pairs._jump_generator import Outcomes, jump_generator
from ..pairs._packed_columns import stored
from ..pairs.components import minus, square
from ..pairs.envelopes import Ball, Everywhere, ball, everywhere, inside, largest_speed
from ..states import Particles, check_alive, check_particles
from .cross_sections import AbstractCrossSection
from .isotropic_pde import IsotropicPDE

__all__ = ["KacWalk"]


class KacWalk(AbstractPairJump):
    r"""Kac's walk with annihilation [LodsNotaPezzotti2020, (1.7)]: every unordered pair {i, j} of particles that are alive
    meets at rate Sigma(|v_i - v_j|)/Lambda. With probability alpha both particles vanish; otherwise they collide: v_i, v_j
    become (v_i + v_j)/2 +- z'/2, with z' drawn by the cross section. For alpha = 0 this is known as Kac's master equation
    [Kac1956], or as DSMC in a single cell.

    $L\varphi = \sum_{i<j} \frac{\Sigma(z_{ij})}{\Lambda} \big[(1-\alpha)(\langle\varphi\circ T_{ij}\rangle - \varphi) + \alpha
    (\varphi\circ A_{ij} - \varphi)\big]$.

    As Lambda tends to infinity with N_0/Lambda = 1, N_0 the initial number, the density of a gas of particles that start
    independent is compared with d_t f = (1 - alpha) Q(f, f) - alpha Q_-(f, f). No theorem is relied on: `jk.chaos_study`
    measures the distance.

    **Arguments:** `cross_section`: for example `Maxwell()` or `HardSphere()`. `volume`: Lambda > 0. `annihilation`: alpha in
    [0, 1]. All nondimensional.

    Conserved on every path if alpha = 0: momentum and energy, to round-off. If alpha > 0 neither is conserved; the number of
    particles stays even or odd. Schemes: `pairs.ExactClock` (exact in law for every N; default), `pairs.TauLeap`.

    Gradients: in `simulate` with respect to the initial velocities if Sigma is constant (`Maxwell`). Those with respect to
    strength, volume and alpha, and to the velocities for other cross sections, raise there: at fixed noise they would omit the
    events that are accepted for one value and rejected for another. `jk.expectation` gives all of them without bias, by scores;
    in alpha for 0 < alpha < 1 only.

    **Raises:** `ValueError` for a volume or alpha out of range, d < 2, no slots, and a start at which no particle is alive.
    With one particle, or after the last pair has vanished, nothing happens. If they are traced, values out of range stop the
    run with a message.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"volume": POSITIVE, "annihilation": PROBABILITY}
    cross_section: AbstractCrossSection
    volume: RealScalar
    annihilation: RealScalar

    def __init__(self, cross_section: AbstractCrossSection, volume: RealScalarLike, annihilation: RealScalarLike = 0.0):
        if not isinstance(cross_section, AbstractCrossSection):
            raise argument_error(
                "cross_section",
                "be a cross section",
                f"is {describe(cross_section)}",
                "pass jk.boltzmann.HardSphere(), say",
            )
        check_scalar("volume", volume, positive=True)
        check_scalar("annihilation", annihilation, within=PROBABILITY)
        self.cross_section, self.volume = cross_section, concrete_array(volume)
        self.annihilation = concrete_array(annihilation)

    @property
    def constant_rate(self) -> bool:
        return self.cross_section.constant

    @property
    def conserves(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        if is_traced(self.annihilation) or float(self.annihilation) > 0:
            return {}
        return {"momentum": "exact", "energy": "exact"}

    def check(self, state: Particles) -> None:
        check_particles(state, 1)
        self.cross_section.check(state.dim)
        name, dtype = type(self.cross_section).__name__, state.velocity.dtype
        check_shape(f"{name}.sigma", self.cross_section.sigma, (4,), jax.ShapeDtypeStruct((4,), dtype))
        check_shape(f"{name}.bound", self.cross_section.bound, (), jax.ShapeDtypeStruct((), dtype))

    def check_start(self, state: Particles) -> None:
        check_alive(state, 1)

    def default_scheme(self) -> AbstractScheme:
        return ExactClock()

    def limit(self, dim: int = 3) -> IsotropicPDE:
        """The Boltzmann equation for isotropic densities in R^d with the same cross section and alpha; their mass is N/volume.
        **Raises:** `ValueError` for a cross section with its own `scatter`, and as `IsotropicPDE`."""
        return IsotropicPDE(self.cross_section, self.annihilation, dim)

    def num_words(self, dim: int) -> int:
        return 1 + self.cross_section.num_words(dim)

    def clock(self, num_alive: RealScalar) -> RealScalar:
        return 1 / self.volume.astype(num_alive.dtype)

    def rate(self, vi: Components, vj: Components) -> Float[Array, "*pairs"]:
        return self.cross_section.sigma(square(minus(vi, vj)))

    def envelope(self, state: Particles) -> Ball | Everywhere:
        """A ball that contains the velocities of all particles; everywhere for a bounded cross section."""
        return everywhere(state) if self.cross_section.bounded else ball(state)

    def rate_bound(self, env: Ball | Everywhere) -> RealScalar:
        return self.cross_section.bound(largest_speed(env))

    def inside(self, env: Ball | Everywhere, v: Components) -> Bool[Array, "*pairs"]:
        return inside(env, v)

    def jump(
        self, words: PairWords, vi: Components, vj: Components
    ) -> tuple[Components, Components, Bool[Array, "*pairs"], Bool[Array, "*pairs"]]:
        dies = random.bernoulli(words[0], self.annihilation.astype(vi[0].dtype))
        half = stored(tuple(c / 2 for c in self.cross_section.scatter(words[1:], minus(vi, vj))))
        mean = tuple((p + q) / 2 for p, q in zip(vi, vj, strict=True))
        after = (tuple(m + h for m, h in zip(mean, half, strict=True)), minus(mean, half))
        # What dies keeps its velocity.
        vi, vj = (
            tuple(jnp.where(dies, old, new) for old, new in zip(v, w, strict=True))
            for v, w in zip((vi, vj), after, strict=True)
        )
        return vi, vj, ~dies, ~dies

    def generator(self, phi: Callable[[Particles], RealScalar]) -> Callable[[Particles], RealScalar]:
        """L phi, exact if phi is a polynomial of degree <= 7 in the velocities of each pair. Cost N^2 times the number of nodes
        of `outgoing`. Second derivatives of L phi omit z' of pairs with z = 0."""

        def outcomes(z: Array) -> Outcomes:
            nodes, weights = self.cross_section.outgoing(z)
            return Outcomes(nodes, jnp.asarray(weights, z.dtype), vanish=self.annihilation.astype(z.dtype))

        return jump_generator(self, outcomes, phi)
