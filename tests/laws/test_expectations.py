"""Derivatives of expectations of jump processes against exact means at finite N, within 3 standard errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import user_jumps
from expectation_references import deviator, maxwell_walk, slopes
from helpers import slow_but
from one_by_one import walk

import jaxkinetic as jk

B, P = jk.boltzmann, jk.pairs
KEY = jax.random.key(20)
SPREAD = np.array([1.5, 0.5, 1.0])


def anisotropic(num, seed=0):
    """Velocities with a mean and an anisotropic pressure tensor."""
    return SPREAD * np.random.default_rng(seed).normal(size=(num, 3)) + 0.2


def moments(state):
    """Columns of number, energy and an entry of the deviator."""
    v = state.velocity
    return jnp.stack([jnp.ones_like(v[:, 0]), jnp.sum(v**2, 1), deviator(v)], 1)


def leaves_of_walk(walk):
    return walk.annihilation, walk.cross_section.strength, walk.volume


def assert_slopes(mean, exact_value, exact_slopes, spread):
    """Value and derivatives within 3 standard errors, which are at most `spread` of the derivatives (one for each column)."""
    np.testing.assert_array_less(np.abs((mean.value - exact_value) / mean.stderr), 3)
    for value, stderr, exact in zip(mean.gradient, mean.gradient_stderr, exact_slopes, strict=True):
        np.testing.assert_array_less(np.asarray(stderr), spread * np.abs(exact))
        np.testing.assert_array_less(np.abs((value - exact) / stderr), 3)


@pytest.mark.optimised
@pytest.mark.parametrize(("num", "replicas"), slow_but([(8, 12000)], [(4, 20000), (8, 12000), (20, 5000), (100, 2000)]))
def test_annihilating_maxwell_walk(num, replicas):
    """d/d(alpha, strength, volume) of number, energy and stress against the exact chain. Standard errors: .9 %, 1.2 %, 5 % of
    the derivative (stress in the rates; in alpha it is small). Catches a missing score of the rate (virtual candidates), a
    score of alpha on rejected candidates, and a cone that omits the partner."""
    v, volume = anisotropic(num), float(num)
    at = 0.5, 1.0, volume
    exact = maxwell_walk(v, 1.0)
    walk = B.KacWalk(B.Maxwell(at[1]), at[2], at[0])
    mean = jk.expectation(
        walk, jk.Particles(v), moments, key=KEY, replicas=replicas, dt=1.0, num_steps=1, gradient=leaves_of_walk
    )
    assert_slopes(mean, exact(*at)[:3], [s[:3] for s in slopes(exact, at)], np.array([0.015, 0.02, 0.12]))


def alone_with_one(v, t):
    """(gamma, strength, volume, alpha, scale) -> (E N, E energy, E stress) of two particles with velocities scale v: r is kept,
    so that they collide or vanish at the constant rate strength r^gamma/volume."""

    def mean(gamma, strength, volume, alpha, scale):
        w = scale * v
        rate = strength * np.linalg.norm(w[0] - w[1]) ** gamma / volume * t
        still, alive = np.exp(-rate), np.exp(-alpha * rate)
        centre = deviator(w.sum(0)) / 2
        return np.array([2 * alive, (w**2).sum() * alive, still * (deviator(w).sum() - centre) + alive * centre])

    return mean


def scaled_start(scale, v):
    return jk.Particles(scale * v)


@pytest.mark.optimised
def test_two_particles():
    """d/d(gamma, alpha) and d/d(scale of the start) for rates that depend on velocities, in closed form. Standard errors: 3-5 %
    of the derivative of the number. Catches a score of rejected candidates with the wrong factor, a majorant that is
    differentiated, and rates whose velocities are held fixed."""
    v, at = anisotropic(2, 3), (0.7, 1.3, 1.5, 0.4, 1.2)
    exact = alone_with_one(v, 1.0)

    def run(gamma, alpha, scale):
        walk = B.KacWalk(B.VariableHardSphere(gamma, at[1]), at[2], alpha)
        start = scaled_start(scale, jnp.asarray(v))
        return jk.expectation(walk, start, moments, key=KEY, replicas=6000, dt=1.0, num_steps=1).runs

    parameters = tuple(jnp.asarray(at[i]) for i in (0, 3, 4))
    found = jax.jacfwd(lambda p: run(*p))(parameters)
    for x, known in zip(found, [slopes(exact, at)[i] for i in (0, 3, 4)], strict=True):
        x = np.asarray(x)
        stderr = x.std(0, ddof=1) / len(x) ** 0.5
        np.testing.assert_array_less(np.abs(x.mean(0) - known), 3 * stderr)
        assert (stderr / np.abs(known))[0] < 0.05


def hard_sphere_generator(v, alive, volume, alpha):
    """L (N, energy, stress) of annihilating hard spheres, for runs of `one_by_one.walk`."""
    z = v[:, :, None] - v[:, None]
    rate = np.linalg.norm(z, axis=-1) * alive[:, :, None] * alive[:, None] / 2 / volume
    both = deviator(v)[:, :, None] + deviator(v)[:, None]
    energies = (v**2).sum(-1)[:, :, None] + (v**2).sum(-1)[:, None]
    changes = -2 * alpha, -alpha * energies, -alpha * both - (1 - alpha) * deviator(z) / 2
    return np.stack([(rate * c).sum((1, 2)) for c in changes], -1)


@pytest.mark.optimised
@pytest.mark.parametrize("num", [8])
def test_hard_spheres_by_time_scaling(num):
    """d/d(strength, volume) of annihilating hard spheres by Dynkin's formula: strength d/dstrength = -volume d/dvolume = t d/dt
    = t E[L phi(X_t)], from a sequential event loop in numpy. At t -> 0 this is the exact rate of MATH section 3. Standard
    errors 2 %. Catches an error of the accept/reject score, as in `test_two_particles`, and of cones among many particles."""
    v, alpha, t, runs = anisotropic(num, 5), 0.3, 0.3, 40000
    volume = float(num)
    rng = np.random.default_rng(1)
    start = np.broadcast_to(v, (runs, num, 3)).copy()
    ((w, alive),) = walk(rng, start, np.ones((runs, num), bool), lambda r: r, volume, alpha, [t])
    truth = t * hard_sphere_generator(w, alive.astype(float), volume, alpha)
    error = truth.std(0, ddof=1) / runs**0.5
    mean = jk.expectation(
        B.KacWalk(B.HardSphere(), volume, alpha), jk.Particles(v), moments, key=KEY, replicas=10000, dt=t, num_steps=1,
        gradient=lambda s: (s.cross_section.strength, s.volume),
    )  # fmt: skip
    for factor, slope, stderr in zip((1.0, -volume), mean.gradient, mean.gradient_stderr, strict=True):
        z = (factor * slope - truth.mean(0)) / np.hypot(factor * stderr, error)
        np.testing.assert_array_less(np.abs(z), 3)
        np.testing.assert_array_less(np.abs(factor * stderr), 0.05 * np.abs(truth.mean(0)))


def masses(state):
    m = state.velocity[:, 0]
    return jnp.stack([jnp.ones_like(m), m, m**2], 1)


def first_component(state):
    return state.velocity


@pytest.mark.parametrize("scheme", [None, P.TauLeap()])
def test_users_two_state_chain(scheme):
    """d/d(strength, chance) of a user's jump whose rate is 0 or its bound, against the chain of the number of ones (`TauLeap`:
    one matching, where a pair of unlike particles is matched with probability 1/(N-1)). Catches a score that is infinite
    where the rate reaches the majorant, and a decision of `jk.random.bernoulli` that is scored where no jump happens."""
    num, ones, at = 6, 2, (1.3, 0.7)
    start = jk.Particles(np.repeat([1.0, 0.0], [ones, num - ones])[:, None])
    exact = user_jumps.opinions(num, ones, 1.0)
    if scheme is not None:

        def exact(strength, chance):
            fires = 1 - np.exp(-(num - 1) * strength / num)
            return np.array([ones + ones * (num - ones) / (num - 1) * fires * (2 * chance - 1)])

    mean = jk.expectation(
        user_jumps.Opinions(*map(jnp.asarray, at), float(num)), start, first_component, key=KEY, replicas=4000, dt=1.0,
        num_steps=1, scheme=scheme, gradient=lambda s: (s.strength, s.chance),
    )  # fmt: skip
    assert_slopes(mean, exact(*at), slopes(exact, at), np.array([0.1]))


@pytest.mark.slow
def test_users_dimerisation():
    """d/d(strength, chance) of number and squared mass where a pair becomes one particle, against the chain and the constant
    kernel's closed second moment; the sum of masses is constant, with mean derivative 0. Catches a cone that ends with
    a vanished particle, and a vanished particle that is counted."""
    num, at = 12, (1.3, 0.7)
    exact = user_jumps.dimers(num, 1.0)
    mean = jk.expectation(
        user_jumps.Dimerisation(*map(jnp.asarray, at), float(num)), jk.Particles(np.ones((num, 1))), masses, key=KEY,
        replicas=4000, dt=1.0, num_steps=1, gradient=lambda s: (s.strength, s.chance),
    )  # fmt: skip
    np.testing.assert_allclose(mean.runs[:, 1], num, rtol=1e-12)
    for value, stderr, known in zip(mean.gradient, mean.gradient_stderr, slopes(exact, at), strict=True):
        z = (value - known) / stderr
        np.testing.assert_array_less(np.abs(z), 3)
        np.testing.assert_array_less(stderr[::2], 0.04 * np.abs(known[::2]))


def warm(scale, key):
    """Maxwellian velocities of temperature `scale`."""
    return jk.Particles(jnp.sqrt(scale) * jk.initial.maxwellian(key, 4, 3).velocity)


def test_other_numbers_use_the_same_program(caplog):
    """A second gradient at another Python float, here an argument of the start, compiles nothing large. Catches a number
    that becomes a part of the program, which then compiles for seconds at every call."""

    def second_moment(scale):
        start = jax.tree_util.Partial(warm, scale)
        system = B.KacWalk(B.Maxwell(), volume=4.0, annihilation=0.5)
        return jk.expectation(system, start, first_component, key=KEY, replicas=2, dt=0.5, num_steps=1).value[0]

    seen = []
    for scale in (1.0, 1.1):
        caplog.clear()
        with jax.log_compiles():
            jax.grad(second_moment)(scale)
        seen.append("_with_tangent" in caplog.text)
    assert seen == [True, False]
