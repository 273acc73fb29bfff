"""The exact clock where the waves of a window run out: the cut, the law, and the loops of accelerators run on the CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal_particles, z_scores

import jaxkinetic as jk
from jaxkinetic_kernels import assign_waves, schedule, waves_one_by_one

B, ExactClock = jk.boltzmann, jk.pairs.ExactClock
KEY = jax.random.key(3)


def of_waves(count, **fields):
    """`ExactClock` with `count` waves, and one event, in a window."""
    return type(f"Short{count}", (ExactClock,), {"_max_before_last": count})(**fields)


@pytest.mark.parametrize(("num", "events"), [(2, 5), (50, 40), (6, 300), (1000, 4000)])
def test_cut_of_waves(num, events):
    """With few waves, both functions give the waves of a schedule made one event at a time, and `most` for all events that are
    in none of them. The first of these is reached in wave `most`, and whether an event is the first depends on the pairs up to
    its own: new pairs after it change nothing. Catches waves that are counted from 1, and events of one item in one wave."""
    rng = np.random.default_rng(num)
    i, other = rng.integers(0, num, (2, events))
    j = (i + 1 + rng.integers(0, num - 1, events)) % num
    other_j = (other + 1 + rng.integers(0, num - 1, events)) % num
    i, j, other, other_j = (jnp.asarray(x, jnp.int32) for x in (i, j, other, other_j))
    in_place, in_order = (jax.jit(f, static_argnums=(3, 4)) for f in (assign_waves, schedule))
    for count in (events, events // 2, 1, 0):
        definition = np.asarray(waves_one_by_one(i, j, count, num))
        for most in (1, 3, 1000):
            expected = np.minimum(definition, most)
            wave, number = (np.asarray(x) for x in in_place(i, j, count, num, most))
            assert np.array_equal(wave, expected)
            assert number == expected.max() + 1
            order, sorted_wave, number = (np.asarray(x) for x in in_order(i, j, count, num, most))
            assert np.array_equal(expected[order], sorted_wave)
            assert number == expected.max() + 1
            cut = np.flatnonzero(wave == most)
            if cut.size:
                later = np.arange(events) > cut[0]
                assert definition[cut[0]] == most
                changed = in_place(jnp.where(later, other, i), jnp.where(later, other_j, j), count, num, most)[0]
                assert np.flatnonzero(changed == most)[0] == cut[0]


@pytest.mark.parametrize("num", [30, 1100])
def test_path_is_independent_of_waves(num):
    """At constant rates the path is that of one event at a time, whatever the number of waves: bitwise the same velocities
    with windows that are cut after one or two waves, in both orders of storage (up to 256 candidates, and more). Catches events
    that are dropped because the waves did not reach them, events after the cut that happen in it and again in the next window,
    and a clock that continues from the end of the window's candidates."""
    walk, state = B.KacWalk(B.Maxwell(), float(num)), normal_particles(num)
    runs = [
        jk.simulate(walk, state, scheme=scheme, key=KEY, dt=0.5, num_steps=2)
        for scheme in (ExactClock(), of_waves(1), of_waves(2))
    ]
    full, *cut = runs
    for run in cut:
        assert np.array_equal(run.final.velocity, full.final.velocity)
        assert run.stats["windows"] > full.stats["windows"]
        assert run.stats["collisions"] == full.stats["collisions"] > num / 3
    assert full.stats["waves"] > 2 * full.stats["windows"]


class Tally(B.KacWalk):
    """Every pair has rate 1; an event adds 1 to both velocities. The bound is 20 before the first, third, ... event and 1
    before the others, valid at any time."""

    def envelope(self, state):
        events = jnp.sum(state.velocity[:, 0]) / 2
        return jnp.where(events % 2 == 0, 20.0, 1.0).astype(events.dtype)

    def rate_bound(self, env):
        return env

    def inside(self, env, v):
        return jnp.ones(v[0].shape, bool)

    def jump(self, words, vi, vj):
        lives = jnp.ones(vi[0].shape, bool)
        return (vi[0] + 1, vi[1]), (vj[0] + 1, vj[1]), lives, lives


@pytest.mark.parametrize("waves", [1, 2])
def test_law_of_cut_windows(waves):
    """Pairs of 6 particles at rate 1, with a bound that changes between windows and windows that are cut after one or two
    waves. Exact: the number n of events is Poisson of mean 15 T, and given n the pairs are uniform and independent, so that
    Q = sum_i c_i^2 - 2 n - n(n-1) 2/3, c_i the number of events of particle i, has mean 0. To 4 standard errors.

    Catches a window that ends before the first event that was not reached: whether the next pair overlaps then decides which
    bound it is drawn with (off by 12 standard errors in n with one wave, by 8 in Q with two); events that are dropped."""
    num, time, replicas = 6, 0.15, 10_000
    state = jk.Particles(jnp.zeros((num, 2)))
    out = jk.ensemble(
        Tally(B.Maxwell(), 1.0), state, key=KEY, replicas=replicas, dt=time, num_steps=1, scheme=of_waves(waves),
        adjoint=jk.Direct(),
    )  # fmt: skip
    counts = np.asarray(out.final.velocity[..., 0])
    n, mean = counts.sum(1) / 2, num * (num - 1) / 2 * time
    q = (counts**2).sum(1) - 2 * n - n * (n - 1) * 4 / num
    z = z_scores(np.stack([n, (n - mean) ** 2, q], 1), [mean, mean, 0.0])
    print(z, np.mean(out.stats["windows"]), n.mean())
    assert np.abs(z).max() < 4


def velocities(walk, state, scheme, **options):
    run = jk.simulate(walk, state, scheme=scheme, key=KEY, num_steps=2, throw=False, adjoint=jk.Direct(), **options)
    return run.final.velocity, (run.final.alive, run.stats, run.result.code)


@pytest.mark.parametrize(
    ("num", "walk"),
    [(40, B.KacWalk(B.Maxwell(), 8.0, 0.1)), (1100, B.KacWalk(B.HardSphere(), 1000.0, 0.1))],
    ids=["in place, gradient too", "in chunks"],
)
def test_loops_of_accelerators(num, walk, monkeypatch):
    """What is compiled for accelerators, run on the CPU: the same path, totals and derivative as the CPU's loops, also where
    windows are cut. Catches a wave after the last one that is not empty, and a loop of known length that is too short."""
    state = normal_particles(num)
    start, weight = state.velocity, jnp.cos(jnp.arange(state.velocity.size)).reshape(state.velocity.shape)

    def results():
        # New classes, so that no compiled program is taken from the other platform.
        scheme = of_waves(4, max_windows=20, max_waves=40)
        value = velocities(walk, state, of_waves(4), dt=0.2)
        if not walk.constant_rate:
            return value, None
        function = lambda v: jnp.vdot(weight, velocities(walk, jk.Particles(v), scheme, dt=0.1)[0])  # noqa: E731
        return value, jax.jit(jax.grad(function))(start)

    expected = results()
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *operands, cpu, default: default(*operands))
    got = results()
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    (final, (_, stats, code)), _ = got
    assert code == 0
    assert not np.allclose(final, start)
    assert stats["waves"] > 2 * stats["windows"]
