"""d/dC and d/d(epsilon) of stress and fourth moment of Landau's systems at gamma = 0, in closed form, within 3 standard
errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from expectation_references import deviator, slopes
from helpers import slow_but
from scipy.linalg import expm

import jaxkinetic as jk

L, P = jk.landau, jk.pairs
KEY = jax.random.key(22)
NUM, DIM, TIME = 8, 3, 0.05
V = np.array([1.5, 0.5, 1.0]) * np.random.default_rng(0).normal(size=(NUM, DIM))
V = V - V.mean(0)


def stress_and_m4(state):
    v = state.velocity
    return jnp.stack([deviator(v), jnp.sum(v**2, 1) ** 2], 1)


def kac(t):
    """(E sum dev v v, E sum |v|^4) of Kac's system with C = 1 at time t from V (MATH section 6), centred."""
    s = V.T @ V / NUM
    e, d = np.trace(s), DIM
    a = np.array(
        [[-4 * (d - 1), -8, 4 * (d + 1) * e**2], [4 * (d - 1) / NUM, -8 * d + 8 * (d - 1) / NUM, 0], [0, 0, 0]]
    )
    a[1, 2] = 8 * e**2 + 4 * (d - 1) / NUM * e**2
    fourth = expm(t * a) @ [np.mean((V**2).sum(1) ** 2), np.trace(s @ s), 1]
    return np.array([deviator(V).sum() * np.exp(-4 * d * t), NUM * fourth[0]])


def rate_and_legendre(law, c, epsilon):
    """(N x the rate of a pair, 1 - E P_2(cos theta)) of the jumps, d = 3."""
    if law == "fixed_angle":
        return 8 * c / (1 - np.cos(epsilon)), 1.5 * np.sin(epsilon) ** 2
    if law == "heat_kernel":
        return 1 / epsilon, 1 - np.exp(-24 * epsilon * c)
    cosine = 1 - 8 * epsilon * c
    return 1 / epsilon, 1.5 * (1 - cosine**2)


def collisions(law, scheme):
    """(C, epsilon) -> (stress, M4). Both see the second harmonic only, so that the process is Kac's with another time: Kac's
    second harmonic decays at the rate 24 C/N in a pair. `TauLeap`, stress: a step's factor, from one matching."""

    def mean(c, epsilon):
        rate, change = rate_and_legendre(law, c, epsilon)
        if scheme is None:
            return kac(TIME * rate * change / 24)
        fires = 1 - np.exp(-(NUM - 1) / NUM * rate * TIME / 2)
        factor = 1 - fires * change / 2 * NUM / (NUM - 1)
        return np.array([deviator(V).sum() * factor**2])

    return mean


ANGLES = {"fixed_angle": 0.8, "constant_rate": 0.05, "heat_kernel": 0.05}


@pytest.mark.optimised
@pytest.mark.parametrize(("law", "scheme"), slow_but([], [(law, s) for law in ANGLES for s in (None, P.TauLeap())]))
def test_microcanonical(law, scheme):
    """d/d(C, epsilon) for all laws of angles. C acts through the rate (first law: score) or the angle (others: path), epsilon
    through both. Catches a score or a path that is left out: then d/d(epsilon), where the two nearly cancel, is far off."""
    at = 1.2, ANGLES[law]
    exact = collisions(law, scheme)
    steps = 1 if scheme is None else 2
    mean = jk.expectation(
        L.Microcanonical(L.Maxwell(at[0]), law, at[1]), jk.Particles(V), stress_and_m4, key=KEY, replicas=6000,
        dt=TIME / steps, num_steps=steps, scheme=scheme, gradient=lambda s: (s.interaction.strength, s.epsilon),
    )  # fmt: skip
    known = slopes(exact, at)
    width = len(known[0])
    np.testing.assert_array_less(np.abs(mean.value[:width] - exact(*at)), 3 * mean.stderr[:width])
    for slope, stderr, truth in zip(mean.gradient, mean.gradient_stderr, known, strict=True):
        np.testing.assert_array_less(np.abs(slope[:width] - truth), 3 * stderr[:width])


def euler_factors(c, dt, independent):
    """The deviator of sum v v after one Euler-Maruyama step is M @ (U, M): U of the velocities minus their mean, M of N times
    the mean's square, which independent noise moves."""
    drift, noise = (1 - 4 * c * dt) ** 2, 4 * c * dt
    share = noise / NUM if independent else 0.0
    return np.array([[drift - noise + share, 0.0], [-share, 1.0]])


def diffusion(name, steps):
    """C -> stress after TIME: each scheme's own discrete law; `Sweep` of second order against the exact law."""
    dt, s0 = TIME / steps, deviator(V).sum()

    def mean(c):
        if name == "sweep":
            return kac(c * TIME)
        if name == "matching":
            decay = 1 - np.exp(-24 * c * dt * (NUM - 1) / NUM)
            return np.array([s0 * (1 - NUM / (2 * (NUM - 1)) * decay) ** steps])
        both = np.linalg.matrix_power(euler_factors(c, dt, name != "kac"), steps)
        return np.array([(both @ [s0, 0.0]).sum()])

    return mean


SYSTEMS = {
    "sweep": (L.Kac, P.Sweep()), "matching": (L.Kac, P.RandomMatching()), "kac": (L.Kac, jk.EulerMaruyama()),
    "independent": (L.IndependentNoise, jk.EulerMaruyama()), "root": (L.MatrixSqrt, jk.EulerMaruyama()),
}  # fmt: skip


@pytest.mark.optimised
@pytest.mark.parametrize("name", slow_but(["matching"], list(SYSTEMS)))
def test_pathwise(name):
    """d/dC of the stress (and of the fourth moment through `Sweep`) along the paths. Catches a clock or a noise amplitude that
    is not differentiated, and the missing 1/2 of the derivative of a root."""
    system, scheme = SYSTEMS[name]
    steps, c = (10 if name == "sweep" else 2), 1.2
    mean = jk.expectation(
        system(L.Maxwell(c)), jk.Particles(V), stress_and_m4, key=KEY, replicas=4000, dt=TIME / steps, num_steps=steps,
        scheme=scheme, gradient=lambda s: s.interaction.strength,
    )  # fmt: skip
    (known,) = slopes(diffusion(name, steps), (c,))
    width = len(known)
    np.testing.assert_array_less(np.abs(mean.gradient[:width] - known), 3 * mean.gradient_stderr[:width])
    np.testing.assert_array_less(mean.gradient_stderr[:width], 0.03 * np.abs(known))
