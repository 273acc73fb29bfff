"""Every (system, scheme) that the contract tests run on. A new one is one more line."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import Case
from helpers import particles

import jaxkinetic as jk


class Yukawa(jk.landau.AbstractRadial):
    """A user's own interaction, which the library has never seen: screened, psi = strength e^{-r/screening}."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)
    screening: jax.Array = eqx.field(converter=jnp.asarray)

    def psi(self, r2):
        return self.strength.astype(r2.dtype) * jnp.exp(-jnp.sqrt(r2) / self.screening.astype(r2.dtype))


class Anisotropic(jk.landau.AbstractInteraction):
    """A user's interaction that is not radial: a = |z|^2 M with a constant matrix M, b = 2 M z, sigma = |z| M^{1/2}."""

    stretch: jax.Array = eqx.field(converter=jnp.asarray)

    def _scale(self, z):
        return jnp.linspace(1.0, 2.0, z.shape[-1], dtype=z.dtype) * self.stretch.astype(z.dtype)

    def _matrix(self, z):
        return jnp.diag(self._scale(z))

    def a(self, z):
        return jnp.sum(z * z, -1)[..., None, None] * jnp.broadcast_to(self._matrix(z), (*z.shape, z.shape[-1]))

    def b(self, z):
        # Without it a GPU rounds float32 to 10 bits before it multiplies (TF32).
        return 2 * jnp.einsum("ij,...j->...i", self._matrix(z), z, precision="highest")

    def sigma(self, z):
        r2 = jnp.sum(z * z, -1)
        r = jnp.where(r2 > 0, jnp.sqrt(jnp.where(r2 > 0, r2, 1)), 0)
        # The root before `diag`: a root of zeros has no second derivative.
        return r[..., None, None] * jnp.broadcast_to(jnp.diag(jnp.sqrt(self._scale(z))), (*z.shape, z.shape[-1]))


@dataclass(frozen=True)
class ParticleCase(Case):
    """`parameters`: dotted paths of the leaves whose gradient is checked against finite differences."""

    name: str
    system: Callable[[], jk.AbstractSystem]
    scheme: Callable[[], jk.AbstractScheme]
    parameters: tuple[str, ...] = ()
    dim: int = 3
    pathwise_permutation: bool = True  # False where pairs are drawn by the place in the array
    differentiable: bool = True
    thorough: bool = True
    dt: float = 0.01

    @property
    def precisions(self) -> tuple[str, ...]:
        """Both for the cases that are tested thoroughly: what a dtype changes, it changes for all."""
        return ("float64", "float32") if self.thorough else ("float64",)

    def start(self, dtype=jnp.float64, seed: int = 1, num: int = 7) -> jk.Particles:
        return particles(jax.random.key(seed), num, self.dim, dtype)

    @staticmethod
    def values(state):
        return state.velocity

    def variations(self):
        # All at once: jumps are rare, and a rate alone may change none of them.
        system = jax.tree.map(lambda x: x * 0.9, self.system())
        return [{"system": system, "state": self.start(seed=9), "key": jax.random.key(8), "dt": 0.02}]

    def __str__(self) -> str:
        return self.name


POWER = ("interaction.gamma", "interaction.strength", "interaction.softening")


def _power() -> jk.landau.PowerLaw:
    return jk.landau.PowerLaw(-2.0, strength=0.7, softening=0.5)


def _torus() -> jk.landau.Trigonometric:
    modes, cross = [[0, 0], [2, 0], [1, 1], [1, -1]], np.array([[0.0, 0.4], [0.4, 0.0]])
    return jk.landau.Trigonometric(modes, np.stack([np.eye(2), np.diag([0.0, -0.4]), cross, -cross]))


def _landau() -> list[ParticleCase]:
    L, em = jk.landau, jk.EulerMaruyama
    return [
        ParticleCase("kac-power", lambda: L.Kac(_power()), em, POWER),
        ParticleCase(
            "kac-maxwell", lambda: L.Kac(L.Maxwell(0.8)), em, ("interaction.strength",), dim=2, thorough=False
        ),
        ParticleCase(
            "kac-user",
            lambda: L.Kac(Yukawa(0.9, 1.3)),
            em,
            ("interaction.strength", "interaction.screening"),
            thorough=False,
        ),
        ParticleCase("independent-power", lambda: L.IndependentNoise(_power()), em, POWER, thorough=False),
        ParticleCase("independent-user", lambda: L.IndependentNoise(Anisotropic(0.2)), em, ("interaction.stretch",)),
        ParticleCase("root-power", lambda: L.MatrixSqrt(_power()), em, POWER, thorough=False),
        ParticleCase("root-torus", lambda: L.MatrixSqrt(_torus()), em, ("interaction.coefficients",), dim=2),
        ParticleCase(
            "root-user", lambda: L.MatrixSqrt(Anisotropic(0.2)), em, ("interaction.stretch",), dim=2, thorough=False
        ),
    ]


def _pairs() -> list[ParticleCase]:
    L = jk.landau
    coulomb = L.PowerLaw(-3.0, strength=0.7)
    matching, sweep = jk.pairs.RandomMatching, jk.pairs.Sweep
    both = ("interaction.gamma", "interaction.strength")
    return [
        ParticleCase("matching-coulomb", lambda: L.Kac(coulomb), matching, both, pathwise_permutation=False, thorough=False),
        ParticleCase("matching-user", lambda: L.Kac(Yukawa(0.9, 1.3)), matching, ("interaction.screening",), dim=2,
             pathwise_permutation=False),
        ParticleCase("sweep-coulomb", lambda: L.Kac(coulomb), sweep, both, pathwise_permutation=False, thorough=False),
        ParticleCase("sweep-power", lambda: L.Kac(L.PowerLaw(-2.0, 0.7)), lambda: sweep(symmetric=False), both, dim=2,
             pathwise_permutation=False),
    ]  # fmt: skip


def _jumps() -> list[ParticleCase]:
    B = jk.boltzmann
    clock, leap = jk.pairs.ExactClock, jk.pairs.TauLeap
    return [
        ParticleCase("clock-maxwell", lambda: B.KacWalk(B.Maxwell(0.8), 0.2), lambda: clock(max_windows=3, max_waves=16),
             pathwise_permutation=False),
        ParticleCase("clock-annihilation", lambda: B.KacWalk(B.HardSphere(0.8), 0.2, 0.2), clock, dim=2,
             pathwise_permutation=False, differentiable=False),
        ParticleCase("leap-maxwell", lambda: B.KacWalk(B.Maxwell(0.8), 0.2), leap, pathwise_permutation=False),
        ParticleCase("leap-annihilation", lambda: B.KacWalk(B.HardSphere(0.8), 0.2, 0.2), leap, dim=2,
             pathwise_permutation=False, differentiable=False, thorough=False),
    ]  # fmt: skip


def _microcanonical() -> list[ParticleCase]:
    L = jk.landau
    clock, leap = jk.pairs.ExactClock, jk.pairs.TauLeap
    both = ("interaction.gamma", "interaction.strength")
    return [
        # Its gradients in the parameters: test_microcanonical_limits.py.
        ParticleCase("clock-heat-kernel", lambda: L.Microcanonical(L.PowerLaw(-3.0, 0.7), "heat_kernel", 0.02),
             lambda: clock(max_windows=3, max_waves=24), pathwise_permutation=False, thorough=False),
        ParticleCase("clock-fixed-angle", lambda: L.Microcanonical(L.PowerLaw(-1.0, 0.7), "fixed_angle", 0.7, 0.5), clock,
             dim=2, pathwise_permutation=False, differentiable=False),
        ParticleCase("leap-constant-rate", lambda: L.Microcanonical(L.PowerLaw(-2.0, 0.7), "constant_rate", 0.02), leap, both,
             dim=2, pathwise_permutation=False, thorough=False),
    ]  # fmt: skip


CASES = _landau() + _pairs() + _jumps() + _microcanonical()
