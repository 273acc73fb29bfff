"""Dynkin's test of the three Landau systems; it catches a wrong factor 2, N/(N-1) or drift where no closed formula exists."""

import zlib

import jax
import numpy as np
import pytest
from dynkin import COARSE_STEPS, z_scores
from helpers import LANDAU_SYSTEMS as SYSTEMS
from registry import Anisotropic

import jaxkinetic as jk

pytestmark = pytest.mark.optimised
# The strength makes the change over the horizon alike: about a fifth of phi.
INTERACTIONS = {-3: (12.0, 0.5), -2: (5.0, 0.5), 0: (1.0, 0.0), 1: (0.4, 0.0)}
REPLICAS = {3: 40_000, 8: 30_000}


def interaction(gamma):
    strength, softening = INTERACTIONS[gamma]
    return jk.landau.PowerLaw(float(gamma), strength, softening)


@pytest.mark.parametrize(
    ("name", "dim", "num", "gamma"),
    [
        pytest.param(s, d, n, g, marks=[pytest.mark.slow] * (n == 8 and (g > -3 or s != "kac")))
        for s in SYSTEMS
        # Every N with every g, both dimensions with both N.
        for d, n, gammas in ((2, 3, (-2, 0, 1)), (3, 3, (-3,)), (2, 8, (-2,)), (3, 8, INTERACTIONS))
        for g in gammas
    ],
)
def test_dynkin(name, dim, num, gamma):
    """|mean| <= 4 standard errors for phi of degree 2, 3, 4, 6. Classic mistakes are more than 8 away at N = 8,
    most of which is slow (`test_dynkin_detects_classic_mistakes`)."""
    seed = zlib.crc32(f"{name} {dim} {num} {gamma}".encode())
    z = z_scores(SYSTEMS[name](interaction(gamma)), jk.EulerMaruyama(), num, dim, REPLICAS[num], seed)
    print(name, dim, num, gamma, z)
    assert np.abs(z).max() < 4, z


PAIR_SCHEMES = {"matching": jk.pairs.RandomMatching, "sweep": jk.pairs.Sweep}
# Coulomb, unsoftened: the pair flow needs no softening. As strong as the interactions above.
STRENGTHS = {-3: 3.0, -2: 2.0, 0: 1.0, 1: 0.4}


@pytest.mark.parametrize(
    ("name", "dim", "num", "gamma"),
    [
        pytest.param(s, d, n, g, marks=[pytest.mark.slow] * (n == 8 or g == -2 or (s, g) == ("sweep", -3)))
        for s in PAIR_SCHEMES
        for d, n, gammas in ((2, 3, (-2, 1)), (3, 3, (-3, -2, 0, 1)), (3, 8, (-3, 0)))
        for g in gammas
    ],
)
def test_dynkin_of_pair_schemes(name, dim, num, gamma):
    """The pair flow and its time factor against the generator, which is made from `a` alone, g = -3 without softening.
    Mistakes are more than 8 standard errors away (`test_dynkin_detects_wrong_pair_time`).

    N = 3 is odd: one particle is idle in every round. Under Coulomb's law a pair of the datum is so close that its
    rotation in a matching is uniform; random matchings need smaller steps there for Richardson's extrapolation: dt is
    halved, and the strength.
    """
    seed = zlib.crc32(f"{name} {dim} {num} {gamma}".encode())
    strength, steps = STRENGTHS[gamma], COARSE_STEPS
    if name == "matching" and gamma == -3:
        strength, steps = strength / 2, 2 * steps
    system = jk.landau.Kac(jk.landau.PowerLaw(float(gamma), strength))
    z = z_scores(system, PAIR_SCHEMES[name](), num, dim, 48_000 // steps, seed, steps, whole=gamma == -3)
    print(name, dim, num, gamma, z)
    assert np.abs(z).max() < 4, z


class WrongClock(jk.landau.Kac):
    """1/(N-1) for 1/N."""

    def clock(self, num_alive):
        return 1 / (num_alive - 1)


class DoubleClock(jk.landau.Kac):
    """tau = 8 psi s for 4 psi s: Laplace for Laplace/2, or each pair counted twice."""

    def clock(self, num_alive):
        return 2 / num_alive


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [WrongClock, DoubleClock])
@pytest.mark.parametrize("gamma", [-3, 0])
def test_dynkin_detects_wrong_pair_time(mistake, gamma):
    """The test can fail: 1/(N-1) for 1/N, and twice the time, are more than 8 standard errors away."""
    z = z_scores(mistake(jk.landau.PowerLaw(float(gamma), STRENGTHS[gamma])), jk.pairs.Sweep(), 8, 3, REPLICAS[8])
    print(mistake.__name__, gamma, z)
    assert np.abs(z).max() > 8, z


class HalfOfB(jk.landau.Kac):
    def drift(self, t, state):
        return jax.tree.map(lambda x: x / 2, super().drift(t, state))


class NoDrift(jk.landau.IndependentNoise):
    def drift(self, t, state):
        return jax.tree.map(lambda x: 0 * x, super().drift(t, state))


class NMinusOne(jk.landau.Kac):
    def drift(self, t, state):
        return jax.tree.map(lambda x: x * state.num_slots / (state.num_slots - 1), super().drift(t, state))

    def noise(self, key, t, dt, state):
        return super().noise(key, t, dt * state.num_slots / (state.num_slots - 1), state)


class SymmetricNoise(jk.landau.Kac):
    """The generator of independent noise for paths of Kac's: the correlation of partners is forgotten."""

    def generator(self, phi):
        return jk.landau.IndependentNoise(self.interaction).generator(phi)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [HalfOfB, NoDrift, NMinusOne, SymmetricNoise])
@pytest.mark.parametrize("gamma", [-3, 1])
def test_dynkin_detects_classic_mistakes(mistake, gamma):
    """The test can fail: each mistake is more than 8 standard errors away, at the larger N."""
    z = z_scores(mistake(interaction(gamma)), jk.EulerMaruyama(), 8, 3, REPLICAS[8])
    print(mistake.__name__, gamma, z)
    assert np.abs(z).max() > 8, z


def test_dynkin_of_user_interaction():
    """An interaction that is not radial, through system, scheme and generator. Catches a b that is not div a, and a
    sigma sigma^T that is not a."""
    for system in (jk.landau.Kac, jk.landau.MatrixSqrt):
        z = z_scores(system(Anisotropic(0.3)), jk.EulerMaruyama(), 3, 2, REPLICAS[3])
        assert np.abs(z).max() < 4, z
