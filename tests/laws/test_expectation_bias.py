"""Whether the derivatives of expectations are unbiased where an estimator is easily biased: few replicas, random starts,
functions of sums; means over many keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from expectation_references import deviator, maxwell_walk, slopes
from helpers import assert_argument_error, slow_but, z_scores
from scipy.stats import binom

import jaxkinetic as jk

B, P = jk.boltzmann, jk.pairs
KEY = jax.random.key(21)


def number(state):
    return jnp.ones_like(state.velocity[:, 0])


@pytest.mark.optimised
@pytest.mark.parametrize("replicas", slow_but([2], [1, 2]))
def test_few_replicas(replicas):
    """Two particles, one or two replicas, mean over 6000 keys: d/d(alpha) of E N = 2 exp(-alpha t/2). Catches a baseline, or a
    factor of one that is fitted, which depends on the replica's own outcome: a bias of order 1/replicas (40 % at two)."""
    alpha, start = 0.15, jk.Particles(np.random.default_rng(0).normal(size=(2, 3)))

    def one(key):
        mean = jk.expectation(
            B.KacWalk(B.Maxwell(), 2.0, alpha), start, number, key=key, replicas=replicas, dt=1.0, num_steps=1,
            gradient=lambda walk: walk.annihilation, max_candidates=16,
        )  # fmt: skip
        return mean.gradient

    many = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=1000))(jax.random.split(KEY, 6000))
    z = z_scores(many, -np.exp(-alpha / 2))
    assert abs(z) < 3


def test_number_variance():
    """d/d(alpha, volume) of E N^2 of the annihilating walk by `function=jnp.square`, and so of the variance, against the exact
    chain. Catches a score that multiplies the derivative 2 N of the square instead of the square itself (a factor 2)."""
    num, at = 8, (0.3, 1.0, 8.0)
    exact = maxwell_walk(np.random.default_rng(0).normal(size=(num, 3)), 1.0)

    def square(*at):
        mean, _, _, variance = exact(*at)
        return np.array([variance + mean**2])

    walk = B.KacWalk(B.Maxwell(at[1]), at[2], at[0])
    start = jk.Particles(np.random.default_rng(0).normal(size=(num, 3)))
    options = dict(key=KEY, replicas=3000, dt=1.0, num_steps=1, function=jnp.square)
    mean = jk.expectation(walk, start, number, gradient=lambda s: (s.annihilation, s.volume), **options)
    known = [slopes(square, at)[i][0] for i in (0, 2)]
    z = [(a - b) / s for a, b, s in zip(mean.gradient, known, mean.gradient_stderr, strict=True)]
    assert np.max(np.abs(z)) < 3
    assert abs((mean.value - square(*at)[0]) / mean.stderr) < 3


def thinned(key, v, chance):
    words = jax.random.bits(key, (v.shape[0],), jnp.uint32)
    return jk.Particles(v, alive=jk.random.bernoulli(words, jnp.broadcast_to(chance, words.shape)))


def by_chance(chance, v, alpha, replicas=4000, **options):
    start = jax.tree_util.Partial(lambda chance, v, key: thinned(key, v, chance), chance, v)
    return jk.expectation(
        B.KacWalk(B.Maxwell(), float(len(v)), alpha), start, number, key=KEY, replicas=replicas, dt=1.0, num_steps=1,
        **options,
    )  # fmt: skip


def test_binomial_number_at_the_start():
    """d/d(chance) where each slot is alive at the start with this probability: the chain averaged over the binomial law.
    Catches a missing score of the start, or its cone without the pairs of later candidates."""
    num, chance, alpha = 8, 0.6, 0.4
    v = jnp.asarray(np.random.default_rng(0).normal(size=(num, 3)))
    chains = [maxwell_walk(np.ones((n, 3)), 1.0)(alpha, 1.0, float(num))[0] if n > 1 else n for n in range(num + 1)]

    def mean(chance):
        return binom.pmf(np.arange(num + 1), num, chance) @ chains

    runs, slope = jax.jvp(lambda chance: by_chance(chance, v, alpha).runs, (jnp.asarray(chance),), (jnp.ones(()),))
    assert abs(z_scores(runs, mean(chance))) < 3
    z = z_scores(slope, slopes(mean, (chance,))[0])
    assert abs(z) < 3


def hot_or_cold(key, v, chance):
    """Each slot decides between a fast and a slow velocity, which changes the majorant of hard spheres."""
    words = jax.random.bits(key, (v.shape[0],), jnp.uint32)
    hot = jk.random.bernoulli(words, jnp.broadcast_to(chance, words.shape))
    return jk.Particles(jnp.where(hot[:, None], 10 * v, 0.1 * v))


def energy(state):
    return jnp.sum(state.velocity**2, 1)


def test_start_that_changes_the_majorant():
    """d/d(chance) of the energy of hard spheres, linear in it, where the start decides which particles are fast. Catches cones
    on candidates whose number depends on the decision: 15 % too low."""
    v = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))

    def runs(chance):
        start = jax.tree_util.Partial(lambda chance, v, key: hot_or_cold(key, v, chance), chance, v)
        return jk.expectation(
            B.KacWalk(B.HardSphere(0.3), 4.0), start, energy, key=KEY, replicas=4000, dt=0.3, num_steps=1
        ).runs

    slope = jax.jvp(runs, (jnp.asarray(0.3),), (jnp.ones(()),))[1]
    z = z_scores(slope, 99.99 * jnp.sum(v**2))
    assert abs(z) < 3


def test_start_temperature():
    """d/dT of the energy of annihilating Maxwell molecules from a Maxwellian of temperature T: 3 E N(t), in forward
    and reverse mode over a start that is a function of a key. Catches a start whose velocities are held fixed."""
    num, alpha = 8, 0.4
    expected = 3 * maxwell_walk(np.ones((num, 3)), 1.0)(alpha, 1.0, float(num))[0]

    def runs(temperature):
        start = jax.tree_util.Partial(lambda t, key: jk.initial.maxwellian(key, num, 3, temperature=t), temperature)
        walk = B.KacWalk(B.Maxwell(), float(num), alpha)
        return jk.expectation(walk, start, energy, key=KEY, replicas=2000, dt=1.0, num_steps=1)

    temperature = jnp.asarray(1.3)
    slope = jax.jvp(lambda t: runs(t).runs, (temperature,), (jnp.ones(()),))[1]
    np.testing.assert_allclose(jax.grad(lambda t: runs(t).value)(temperature), jnp.mean(slope), rtol=1e-10)
    assert abs(z_scores(slope, expected)) < 3
    assert np.std(slope) < 0.02 * expected * 2000**0.5


def test_starts_that_cannot_be_differentiated():
    """A decision that changes another slot, or the number alive of a system whose rates contain it, raises. Catches a
    derivative that is silently 0, and a fault that asks for more candidates."""
    v = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))

    def moved(key):
        return jk.Particles(v, alive=jnp.roll(thinned(key, v, 0.7).alive, 1))

    options = dict(key=KEY, replicas=4, dt=0.3, num_steps=1)
    assert_argument_error(
        lambda: jk.expectation(B.KacWalk(B.Maxwell(), 4.0), moved, number, **options), "`start` must "
    )
    collisions = jk.landau.Microcanonical(jk.landau.Maxwell(), "heat_kernel", 0.1)
    assert_argument_error(
        lambda: jk.expectation(collisions, lambda key: thinned(key, v, 0.7), number, **options), "`start` must "
    )


@pytest.mark.slow
def test_gamma_by_common_random_numbers():
    """d/d(gamma) of the stress and number of eight variable hard spheres that annihilate, against central differences of other
    runs, with common random numbers. Catches a power of the relative speed that is not differentiated."""
    v = np.array([1.5, 0.5, 1.0]) * np.random.default_rng(5).normal(size=(8, 3))

    def both(state):
        return jnp.stack([jnp.ones_like(state.velocity[:, 0]), deviator(state.velocity)], 1)

    def model(gamma):
        return B.KacWalk(B.VariableHardSphere(gamma), 8.0, 0.3)

    options = dict(replicas=8000, dt=0.5, num_steps=1)
    ours = jk.expectation(
        model(0.6), jk.Particles(v), both, key=KEY, gradient=lambda s: s.cross_section.gamma, **options
    )
    other = jk.finite_difference(
        model, 0.6, jk.Particles(v), both, key=jax.random.key(99), step=0.1, **(options | {"replicas": 60000})
    )
    error = np.hypot(ours.gradient_stderr, other.stderr)
    assert np.abs((ours.gradient - other.value) / error).max() < 3
