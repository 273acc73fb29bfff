r"""Three particle systems that approximate the Landau equation: $dV_i = \frac2N \sum_j b(V_i - V_j)\,dt + dM_i$.

They have the same drift and differ in the martingales M_i. `Kac` is (1.6) of [FengWang2025], who prove propagation of chaos for
this system only, with Coulomb interactions in d = 3. `IndependentNoise`, (1.7) there, is the system of
[FontbonaGuerinMeleard2009]. `MatrixSqrt`, (1.8) there, is the system of [Fournier2009], and on the torus that of
[CarrilloGuoJabin2024].

N counts the particles that are alive. Time is that of the Landau equation $\partial_t f = \nabla \cdot [(a * f) \nabla f - (b *
f) f]$ for a density f of mass 1. Nondimensional.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxkinetic_kernels import particle_normals

from .._core.system import AbstractDiffusion, AbstractField, AbstractPairFlow, AbstractScheme
from .._util.checks import argument_error, describe
from .._util.types import Components, PairWords, RealScalar, RealScalarLike, Words
from ..pairs import rotations
from ..pairs.components import minus
from ..pairs.sums import GATHERS_SUMS
from ..schemes import EulerMaruyama
from ..states import Particles, check_alive, check_particles
from .generators import particle_generator
from .interactions import AbstractInteraction, AbstractRadial, Noise, PairNormals, check_callables
from .limits import landau_limit
from .roots import symmetric_root

__all__ = ["AbstractLandau", "AbstractPairNoise", "IndependentNoise", "Kac", "MatrixSqrt"]


class AbstractLandau(AbstractDiffusion):
    """Base class of the three systems: their drift, their checks and their default scheme.

    **Arguments:** `interaction`: for example `Maxwell()` or `PowerLaw(-3)`. `sums`: how a and b are summed over pairs, one of
    `interaction.sum_forms`: "direct", or "product" for a radial interaction, which is faster and less accurate.
    """

    interaction: AbstractInteraction
    sums: str = eqx.field(default="direct", static=True)
    # How the invariants of a pair are kept: "exact" on every path, or in "mean".
    _keeps: ClassVar[str]

    @property
    def conserves(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return dict.fromkeys(self.interaction.invariants, self._keeps)

    def __check_init__(self) -> None:
        self._check_interaction()

    def _check_interaction(self) -> None:
        if not isinstance(self.interaction, AbstractInteraction):
            was = f"is {describe(self.interaction)}"
            raise argument_error("interaction", "be an interaction", was, "pass jk.landau.Maxwell(), say")

    def check(self, state: Particles) -> None:
        self._check_interaction()
        check_particles(state, 2)
        check_alive(state, 2)
        self.interaction.check_form(self.sums)
        self.interaction.check(state.dim)
        check_callables(self.interaction, state.dim, state.velocity.dtype)

    def check_step(self, state: Particles, dt: RealScalarLike) -> None:
        self.interaction.check_step(dt)

    def retract(self, state: Particles) -> Particles:
        return self.interaction.retract(state)

    def default_scheme(self) -> AbstractScheme:
        return EulerMaruyama()

    @property
    def gathers(self) -> str:
        return GATHERS_SUMS if self.interaction.by_pairs else ""

    def drift(self, t: RealScalarLike, state: Particles) -> Particles:
        """(2/N) sum_j b(v_i - v_j). Memory O(N). Cost N^2, or that of `interaction.sum_b` if the interaction overrides it."""
        return self._drift(state, self.interaction.sum_b(state, **self._form))

    def _is_made_of(self, drift: Callable, noise: Callable) -> bool:
        """Whether no subclass overrides `drift` or `noise`. Then one pass over the pairs may compute both."""
        return type(self).drift is drift and type(self).noise is noise

    @staticmethod
    def _drift(state: Particles, sum_b: Float[Array, "N d"]) -> Particles:
        return state.increment(velocity=2 / state.num_alive * sum_b)

    @property
    def _form(self) -> dict[str, str]:
        # Passed only if it is not the default: a user's interaction with one form needs no argument `form`.
        return {} if self.sums == "direct" else {"form": self.sums}

    def limit(self, *, isotropic: bool = False, dim: int | None = None) -> AbstractField:
        """The Landau equation: `TorusPDE` for a `Trigonometric` interaction, `LandauPDE` for a radial one, or `IsotropicPDE`
        for isotropic densities in R^dim."""
        return landau_limit(self.interaction, isotropic, dim)

    def generator(self, phi: Callable[[Particles], RealScalar]) -> Callable[[Particles], RealScalar]:
        return particle_generator(self.interaction, phi, shared_noise=False)


class AbstractPairNoise(AbstractLandau):
    r"""Systems with $dM_i = \sqrt{2/N} \sum_j \sigma(V_i - V_j)\,x_{ij}$. A subclass defines the normals x_ij of the pairs."""

    @property
    def gathers(self) -> str:
        return GATHERS_SUMS  # the noise is a sum over pairs for every interaction

    @abc.abstractmethod
    def normals(self, key: Words, state: Particles) -> Noise:
        """The components of x_ij as a function of (ident_i, ident_j): vectors (B,) and (N,) to d arrays (B, N)."""

    def noise(self, key: Words, t: RealScalarLike, dt: RealScalarLike, state: Particles) -> Particles:
        return self._kicks(dt, state, self.interaction.sum_noise(state, self.normals(key, state)))

    def drift_and_noise(
        self, key: Words, t: RealScalar, dt: RealScalar, state: Particles
    ) -> tuple[Particles, Particles]:
        if not self._is_made_of(AbstractLandau.drift, AbstractPairNoise.noise):
            return super().drift_and_noise(key, t, dt, state)
        sum_b, kicks = self.interaction.noisy_sums(state, self.normals(key, state), **self._form)
        return self._drift(state, sum_b), self._kicks(dt, state, kicks)

    @staticmethod
    def _kicks(dt: RealScalarLike, state: Particles, sums: Float[Array, "N d"]) -> Particles:
        return state.increment(velocity=jnp.sqrt(2 * dt / state.num_alive) * sums)


class Kac(AbstractPairNoise, AbstractPairFlow):  # pyright: ignore[reportIncompatibleVariableOverride]
    r"""Kac's conservative system [FengWang2025, (1.6)]: $dM_i = \sqrt{2/N} \sum_j \sigma(V_i - V_j)\,dZ_{ij}$, $Z_{ji} =
    -Z_{ij}$.

    Generator: the sum over pairs of (2/N) b.(D_i - D_j) + (1/N) a:(D_i - D_j)^2. For a radial interaction in d >= 2 each term
    is $\frac4N\psi(r)\,\Delta_{S^{d-1}}$, acting on the direction of v_i - v_j. **The pair flow over s = dt/N is therefore
    exp(tau Laplace) on the unit sphere of directions, with tau = 4 psi(r) s.** It needs no softening: where psi is
    singular, the law of the direction becomes uniform as r -> 0. Derivation: docs/derivations/pair_flow.md.

    Conserved on every path of the equation, for radial interactions: momentum and energy (on the torus: momentum modulo its
    period, energy not). `pairs.Sweep` and `pairs.RandomMatching` conserve both to round-off at every dt. `EulerMaruyama` (the
    default, for every interaction) conserves momentum to round-off; its energy error is of order dt in mean (infinite
    for unsoftened gamma <= -(d+2)/2), sqrt(dt) on a path. Cost of a step: N/2 pairs with `RandomMatching`, otherwise N^2.

    **Arguments:** `interaction`: for example `Maxwell()` or `PowerLaw(-3)`. `sums`: as in `AbstractLandau`, for the drift.
    **Raises:** `ValueError` in a run for N < 2, d < 2, gamma < -d, and for a form of sums that the interaction does not have.
    """

    _keeps: ClassVar[str] = "exact"

    def normals(self, key: Words, state: Particles) -> Noise:
        return PairNormals(key, state.dim, state.velocity.dtype, ordered=False)

    def supports(self, scheme: AbstractScheme, state: Particles) -> bool:
        pairs = scheme.requires is AbstractPairFlow
        return super().supports(scheme, state) and not (pairs and not isinstance(self.interaction, AbstractRadial))

    def num_words(self, dim: int) -> int:
        return rotations.num_words(dim)

    def clock(self, num_alive: RealScalar) -> RealScalar:
        return 1 / num_alive

    def pair_flow(
        self, words: PairWords, s: Float[Array, "*#pairs"], vi: Components, vj: Components
    ) -> tuple[Components, Components]:
        """Keeps (v_i + v_j)/2 and |v_i - v_j|; the direction of v_i - v_j moves by Brownian motion for tau = 4 psi(r) s."""
        interaction: Any = self.interaction
        z = minus(vi, vj)
        return rotations.rotated_pair(rotations.heat_rotation(words, 4 * interaction.psi_of(z) * s, z), vi, vj)

    def generator(self, phi: Callable[[Particles], RealScalar]) -> Callable[[Particles], RealScalar]:
        return particle_generator(self.interaction, phi, shared_noise=True)


class IndependentNoise(AbstractPairNoise):
    r"""Independent increments [FontbonaGuerinMeleard2009]: $dM_i = \sqrt{2/N} \sum_j \sigma(V_i - V_j)\,dB_{ij}$, all B_ij
    independent; (1.7) of [FengWang2025].

    Conserved in mean only: momentum, and energy for radial interactions (on the torus neither). Same law as `MatrixSqrt` for
    every N, also after one Euler-Maruyama step.
    Cost of a step N^2, with N^2 d normals.
    """

    _keeps: ClassVar[str] = "mean"

    def normals(self, key: Words, state: Particles) -> Noise:
        return PairNormals(key, state.dim, state.velocity.dtype, ordered=True)


class MatrixSqrt(AbstractLandau):
    r"""Matrix square root [Fournier2009], [CarrilloGuoJabin2024]: $dM_i = \big(\frac2N \sum_j a(V_i - V_j)\big)^{1/2} dB_i$,
    the symmetric root; (1.8) of [FengWang2025].

    Conserved in mean only: momentum, and energy for radial interactions (on the torus neither). Same law as
    `IndependentNoise`. Cost of a step N^2, or that of the interaction's own sums (N M for `Trigonometric`), with N d normals
    and N roots of d x d matrices. Differentiable, also where eigenvalues coincide (`roots.symmetric_root`).
    """

    _keeps: ClassVar[str] = "mean"

    def noise(self, key: Words, t: RealScalarLike, dt: RealScalarLike, state: Particles) -> Particles:
        return self._noise(key, dt, state, self.interaction.sum_a(state, **self._form))

    def drift_and_noise(
        self, key: Words, t: RealScalar, dt: RealScalar, state: Particles
    ) -> tuple[Particles, Particles]:
        if not self._is_made_of(AbstractLandau.drift, MatrixSqrt.noise):
            return super().drift_and_noise(key, t, dt, state)
        sum_b, sum_a = self.interaction.sums(state, **self._form)
        return self._drift(state, sum_b), self._noise(key, dt, state, sum_a)

    @staticmethod
    def _noise(key: Words, dt: RealScalarLike, state: Particles, sum_a: Float[Array, "N d d"]) -> Particles:
        root = symmetric_root(2 / state.num_alive * sum_a)
        normals = jnp.stack(particle_normals(key, state.ident, state.dim, state.velocity.dtype), -1)

        def library(root: Array, normals: Array) -> Array:
            return jnp.einsum("nij,nj->ni", root, normals, precision=jax.lax.Precision.HIGHEST)

        def elementwise(root: Array, normals: Array) -> Array:
            return (
                sum(root[..., k] * normals[:, None, k] for k in range(1, normals.shape[1]))
                + root[..., 0] * normals[:, :1]
            )

        kicks = jax.lax.platform_dependent(root, normals, cpu=library, default=elementwise)
        return state.increment(velocity=jnp.sqrt(dt) * kicks)
