"""The exact clock (null collisions): waves against a sequential event loop, windows, masks, failures, gradients."""

import itertools

import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import difference_z_scores, normal_particles
from hypothesis import given, settings

import jaxkinetic as jk
from jaxkinetic_kernels import candidates, event_words, schedule, uniform, waves_one_by_one
from jaxkinetic_kernels.random_bits import fold_in

B, ExactClock, TauLeap = jk.boltzmann, jk.pairs.ExactClock, jk.pairs.TauLeap
KEY = jax.random.key(3)
KAC = jk.landau.Kac(jk.landau.Maxwell())


@pytest.mark.parametrize(("num", "events"), [(2, 5), (6, 8), (50, 40), (3, 300), (1000, 4000), (20_000, 5000)])
def test_waves_equal_sequential_schedule(num, events):
    """The wave of every event is that of a schedule made one event at a time, in an order sorted by (wave, index);
    several sizes of loops, counts below the buffer. Catches two events of one particle in one wave, and events that
    change places."""
    rng = np.random.default_rng(num)
    i = rng.integers(0, num, events)
    j = (i + 1 + rng.integers(0, num - 1, events)) % num
    i, j = (jnp.asarray(x, jnp.int32) for x in (i, j))
    for count in (events, events // 2, 1, 0):
        order, wave, number = (np.asarray(x) for x in jax.jit(schedule, static_argnums=3)(i, j, count, num))
        expected = np.asarray(waves_one_by_one(i, j, count, num))
        assert np.array_equal(np.sort(order), np.arange(events))
        assert np.array_equal(expected[order], wave)
        assert np.all(np.diff(wave[:count].astype(int) * events + order[:count]) > 0)
        assert number == expected.max() + 1
        assert (wave[count:] == -1).all()


def test_number_of_waves():
    """K = N/4 events make about 8 waves, with three of five events in the first. Catches waves that are cut shorter than
    they could be."""
    _, i, j, _ = candidates(jnp.asarray([1, 2], jnp.uint32), _numbers(25_000), jnp.asarray(100_000), jnp.float32)
    _, wave, number = schedule(i, j, 25_000, 100_000)
    assert 6 <= number <= 10
    assert 0.55 < np.mean(np.asarray(wave) == 0) < 0.68


def _numbers(count, first=0):
    return jnp.arange(first, first + count, dtype=jnp.uint32), jnp.zeros(count, jnp.uint32)


@pytest.mark.parametrize("num", [2, 3, 7, 1000])
def test_candidate_pairs_are_uniform(num):
    """chi-square over all ordered pairs (or over differences, where they are many); never a particle with itself.
    Catches a second partner that is drawn without leaving out the first, and a waiting time or a word that depends on
    the pair."""
    count = 200_000
    wait, i, j, word = candidates(jnp.asarray([5, 6], jnp.uint32), _numbers(count), jnp.asarray(num), jnp.float64)
    i, j = np.asarray(i), np.asarray(j)
    assert (i != j).all()
    assert min(i.min(), j.min()) == 0
    assert max(i.max(), j.max()) == num - 1
    cells = i * num + j if num < 10 else (j - i) % num
    counts = np.bincount(cells)
    counts = counts[counts > 0]
    assert len(counts) == (num * (num - 1) if num < 10 else num - 1)
    z = (np.sum((counts - counts.mean()) ** 2 / counts.mean()) - len(counts) + 1) / np.sqrt(2 * max(len(counts) - 1, 1))
    assert abs(z) < 4.5
    assert abs(np.mean(wait) - 1) < 4 / np.sqrt(count)
    assert abs(np.corrcoef(np.asarray(uniform(word, jnp.float64)), i)[0, 1]) < 4 / np.sqrt(count)


def one_by_one(walk, state, key, dt, steps, capacity):
    """The reference: the scheme's own candidates and the noise keyed by their numbers, one event at a time; constant
    majorant."""
    words = jax.random.bits(key, (2,), jnp.uint32)
    v, alive = [tuple(x) for x in np.asarray(state.velocity)], list(np.asarray(state.alive))
    dtype, num = state.velocity.dtype, state.num_slots
    assert all(alive)
    bound = walk.rate_bound(walk.envelope(state))
    for step in range(steps):
        step_key, left, first = fold_in(words, jnp.uint32(step)), float(dt), 0
        rate = float(bound) * num * (num - 1) / 2 / float(walk.volume)
        while left > 0:
            wait, i, j, word = candidates(step_key, _numbers(capacity, first), jnp.asarray(num), dtype)
            wait = np.asarray(jnp.cumsum(wait))
            most = min(capacity, max(num // 4, 16))
            for k in range(most):
                if wait[k] >= rate * left:
                    left = 0
                    break
                a, b = int(i[k]), int(j[k])
                if not (alive[a] and alive[b]):
                    continue
                vi, vj = (tuple(jnp.asarray([c], dtype) for c in v[x]) for x in (a, b))
                if not bool((uniform(word[k : k + 1], dtype) * bound.astype(dtype) <= walk.rate(vi, vj))[0]):
                    continue
                number = tuple(x[k : k + 1] for x in _numbers(capacity, first))
                vi, vj, li, lj = walk.jump(event_words(step_key, number, walk.num_words(state.dim)), vi, vj)
                v[a], v[b] = tuple(float(c[0]) for c in vi), tuple(float(c[0]) for c in vj)
                alive[a], alive[b] = bool(li[0]), bool(lj[0])
            else:
                left, first = left - wait[most - 1] / rate, first + most
    return np.array(v), np.array(alive)


class Bounded(B.AbstractCrossSection):
    """A user's own: Sigma = 2 r/(1 + r), never above 2, forward scattering in d = 2 by at most a right angle."""

    bounded = True

    def sigma(self, r2):
        r = jnp.sqrt(r2)
        return 2 * r / (1 + r)

    def bound(self, r_max):
        return jnp.asarray(2.0, r_max.dtype)

    def num_words(self, dim):
        return 1

    def scatter(self, words, z):
        angle = (uniform(words[0], z[0].dtype) - 0.5) * jnp.pi
        return (jnp.cos(angle) * z[0] - jnp.sin(angle) * z[1], jnp.sin(angle) * z[0] + jnp.cos(angle) * z[1])


def test_run_equals_sequential_event_loop():
    """Bitwise but for compiled against eager arithmetic (1e-12): thinning, several waves and windows, without
    annihilation. Catches an event that is lost or repeated where a window ends."""
    walk, state = B.KacWalk(Bounded(), 3.0), normal_particles(9, 2)
    run = jk.simulate(walk, state, key=KEY, dt=0.7, num_steps=3)
    v, alive = one_by_one(walk, state, KEY, 0.7, 3, 16)
    assert run.stats["collisions"] > 20
    assert run.stats["windows"] > 3
    assert run.stats["waves"] > 10
    np.testing.assert_allclose(run.final.velocity, v, rtol=1e-11, atol=1e-12)
    assert alive.all()


def test_annihilation_equals_sequential_event_loop():
    """One interval within its first window: the same marks, the same dead particles. Catches a dead particle that still
    collides in a later wave."""
    walk, state = B.KacWalk(Bounded(), 9.0, 0.5), normal_particles(40, 2)
    run = jk.simulate(walk, state, key=KEY, dt=0.07, num_steps=1)
    v, alive = one_by_one(walk, state, KEY, 0.07, 1, 16)
    assert run.stats["windows"] == 1
    assert 30 < alive.sum() < 40
    assert np.array_equal(run.final.alive, alive)
    np.testing.assert_allclose(run.final.velocity, v, rtol=1e-11, atol=1e-12)


def test_path_is_independent_of_capacity():
    """At constant rates the path itself, not only its law, is independent of the capacity of a window. Catches noise
    keyed by the place in the window instead of the event's number."""
    walk, state = B.KacWalk(B.Maxwell(), 30.0), normal_particles(100)
    paths = [
        jk.simulate(walk, state, scheme=ExactClock(capacity=c), key=KEY, dt=0.5, num_steps=4).final.velocity
        for c in (None, 1, 7, 300)
    ]
    for path in paths[1:]:
        np.testing.assert_allclose(path, paths[0], rtol=1e-12, atol=1e-13)
    assert not np.allclose(paths[0], state.velocity)


def test_events_after_an_exit_are_not_lost():
    """All start with one speed, so that about every second collision leaves the ball for which rates are bounded, and the
    window ends there. In windows of one event nothing can be lost: the numbers of collisions have one law, to 4 standard
    errors. Catches events that a window drew after the exit, whose time passes without them."""
    v = normal_particles(40).velocity
    state = jk.Particles(v / jnp.linalg.norm(v, axis=1, keepdims=True))

    def collisions(capacity, key):
        out = jk.ensemble(
            B.KacWalk(B.HardSphere(), 40.0), state, key=key, replicas=150, dt=1.0, num_steps=1,
            scheme=ExactClock(capacity=capacity), adjoint=jk.Direct(),
        )  # fmt: skip
        return np.asarray(out.stats["collisions"], float)[:, None]

    one, many = collisions(1, KEY), collisions(30, jax.random.key(1))
    z = difference_z_scores(one, many)
    print(one.mean(), many.mean(), z)
    assert np.abs(z).max() < 4
    assert one.mean() > 10


@settings(max_examples=20, deadline=None)
@given(
    num=st.sampled_from([1, 9]), dead=st.sets(st.integers(0, 8)), alpha=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99), scheme=st.sampled_from([ExactClock(), ExactClock(capacity=3), TauLeap()]),
)  # fmt: skip
def test_invariants_of_annihilation(num, dead, alpha, seed, scheme):
    """Over random states, saved often: the number of live particles falls, by twos; dead particles do not move; with
    alpha = 0 none dies, and momentum and energy stay. N = 1, and a system in which no pair is left, end without a
    failure. Catches a particle that dies twice, and a dead one that collides."""
    alive = jnp.asarray([k not in dead for k in range(num)])
    if not alive.any():
        alive = alive.at[0].set(True)
    state = jk.Particles(normal_particles(9, seed=seed).velocity[:num], alive=alive)
    walk = B.KacWalk(B.HardSphere(), 1.0, alpha)
    save = jk.Save(every=1, state=True)
    states = jk.simulate(walk, state, scheme=scheme, key=jax.random.key(seed), dt=0.05, num_steps=30, save=save).states
    lives, v = np.asarray(states.alive), np.asarray(states.velocity)
    assert np.array_equal(lives[0], alive)
    assert not np.any(lives[1:] & ~lives[:-1])
    assert (np.diff(lives.sum(1)) % 2 == 0).all()
    gone = ~lives[:-1]
    assert np.array_equal(v[1:][gone], v[:-1][gone])
    assert np.array_equal(
        v[:, ~np.asarray(alive)], np.broadcast_to(v[0, ~np.asarray(alive)], v[:, ~np.asarray(alive)].shape)
    )
    if alpha == 0:
        assert lives.sum() == lives[0].sum() * len(lives)
        np.testing.assert_allclose(v.sum(1), np.broadcast_to(v[0].sum(0), v.sum(1).shape), atol=1e-12)
        np.testing.assert_allclose((v**2).sum((1, 2)), (v[0] ** 2).sum(), rtol=1e-12)
    if alpha == 1:
        moved = np.any(v[-1] != v[0], axis=1)
        assert not moved.any()


@pytest.mark.parametrize(
    ("cross_section", "dtype"),
    [(B.Maxwell(), jnp.float32), (B.HardSphere(), jnp.float64), (B.VariableHardSphere(0.5), jnp.float32)],
)
def test_momentum_and_energy_conservation(cross_section, dtype):
    """1e5 collisions of 1000 particles: round-off that grows like a random walk. Catches a rounding with a sign, which
    drifts."""
    state = normal_particles(1000, dtype=dtype)
    run = jk.simulate(B.KacWalk(cross_section, 100.0), state, key=KEY, dt=1.0, num_steps=10)
    eps, rounds = float(jnp.finfo(dtype).eps), 2 * float(run.stats["collisions"]) / 1000
    assert rounds > 60
    before, after = (float(jk.diagnostics.energy(s)) for s in (state, run.final))
    assert abs(after / before - 1) < eps * np.sqrt(rounds)
    drift = float(jnp.abs(jk.diagnostics.momentum(run.final) - jk.diagnostics.momentum(state)).max())
    assert drift < eps * np.sqrt(rounds)


def test_majorant_follows_live_particles():
    """Without the two fastest particles the majorant is lower and the acceptance higher. Catches an envelope over dead
    slots."""
    v = normal_particles(200).velocity
    state = jk.Particles(v.at[:2].multiply(1e3), alive=jnp.arange(200) > 1)
    slow, all_alive = (
        jk.simulate(B.KacWalk(B.HardSphere(), 200.0), s, key=KEY, dt=0.001 if s.alive.all() else 0.5, num_steps=1)
        for s in (state, jk.Particles(state.velocity))
    )
    assert slow.stats["acceptance"] > 0.15
    assert all_alive.stats["acceptance"] < 0.02


class TooLow(B.AbstractCrossSection):
    """A majorant that is too low."""

    def sigma(self, r2):
        return jnp.sqrt(r2)

    def bound(self, r_max):
        return 0.1 * r_max


class NoBound(TooLow):
    def bound(self, r_max):
        return jnp.nan * r_max


def test_failures_give_their_reason():
    """A rate above its majorant (the error gives the pair's relative speed), a majorant that is NaN, too many windows and too
    many waves raise; under `vmap` they give a code. Catches a run that is silently cut short or thinned by a wrong rate."""
    state = normal_particles(30)

    def fails(walk, sentence, scheme=None, **options):
        with pytest.raises(jk.SimulationError, match=sentence):
            jk.simulate(walk, state, scheme=scheme, key=KEY, **{"dt": 1.0, "num_steps": 2, **options})

    low = r"A pair of relative speed \d+\.?\d* has \d+\.?\d* times the majorant as its rate in step 1; correct the system's"
    fails(B.KacWalk(TooLow(), 10.0), low)
    fails(
        B.KacWalk(NoBound(), 10.0),
        "The total rate of candidate events is nan in step 1, but must be finite and not negative; check",
    )
    maxwell = B.KacWalk(B.Maxwell(), 10.0)
    fails(
        maxwell,
        "More than 2 windows are needed in step 1; raise `max_windows`, or lower `dt`",
        ExactClock(max_windows=2),
    )
    fails(maxwell, "More than 1 batches are needed in a window of step 1; raise `max_waves`", ExactClock(max_waves=1))
    codes = jax.vmap(
        lambda key: jk.simulate(B.KacWalk(TooLow(), 10.0), state, key=key, dt=1.0, num_steps=1, throw=False).result.code
    )(jax.random.split(KEY, 3))
    assert (codes == jk.Result.ABOVE_BOUND).all()
    result = jk.simulate(B.KacWalk(TooLow(), 10.0), state, key=KEY, dt=1.0, num_steps=2, throw=False).result
    speed, excess = (float(x) for x in result.detail)
    # Sigma = r and S = r_max/10.
    assert 1 < excess < 10.1
    assert 0.5 < speed < 8


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: B.KacWalk(B.Maxwell(), 0.0), "`volume` must be positive, but is 0"),
        (lambda: B.KacWalk(B.Maxwell(), 1.0, 1.2), r"`annihilation` must be in \[0, 1\], but is 1.2; it is a probability"),
        (lambda: B.KacWalk(B.Maxwell(), 1.0, -0.1), r"`annihilation` must be in \[0, 1\], but is -0.1"),
        (lambda: B.KacWalk("hard", 1.0), "`cross_section` must be a cross section, but is 'hard'"),
        (lambda: B.Maxwell(0.0), "`strength` must be positive, but is 0"),
        (lambda: B.VariableHardSphere(-1.0), r"`gamma` must be in \[0, 2\], but is -1"),
        (lambda: ExactClock(capacity=0), "`capacity` must be at least 1, but is 0"),
        (lambda: ExactClock(max_waves=0), "`max_waves` must be at least 1, but is 0"),
        (lambda: _run(jk.Particles(jnp.ones((3, 3)), alive=jnp.zeros(3, bool))), "`state` must hold a particle that is alive"),
        (lambda: _run(jk.Particles(jnp.ones((0, 3)))), "`state` must hold at least 1 particle, but holds 0"),
        (lambda: _run(jk.Particles(jnp.ones((3, 1)))), "`state.velocity` must have d >= 2 components, but has 1"),
        (lambda: _run(normal_particles(3), scheme=jk.EulerMaruyama()),
         "`scheme` must be one that KacWalk supports, but is Euler"),
        (lambda: jk.simulate(KAC, normal_particles(3), scheme=ExactClock(), key=KEY, dt=1.0, num_steps=1),
         "`scheme` must be one that Kac supports, but is ExactClock"),
    ],
)  # fmt: skip
def test_argument_errors(make, sentence):
    """Bad arguments raise one sentence that names the argument. Catches a walk without a live pair or a rate, and a
    scheme that does not fit the system."""
    with pytest.raises(ValueError, match=sentence):
        make()


def _run(state, **options):
    return jk.simulate(B.KacWalk(B.Maxwell(), 1.0), state, key=KEY, dt=0.1, num_steps=1, **options)


def test_continuing_an_empty_system():
    """alpha = 1 and an even number: in the end no particle is left. Catches a continued run that fails because of it."""
    walk, state = B.KacWalk(B.Maxwell(), 0.1, 1.0), normal_particles(4)
    first = jk.simulate(walk, state, key=KEY, dt=1.0, num_steps=5)
    assert not first.final.alive.any()
    second = jk.simulate(walk, first.checkpoint, num_steps=3)
    assert np.array_equal(second.final.velocity, first.final.velocity)
    assert second.stats["collisions"] == 0


@pytest.mark.parametrize("volume", [0.0, -1.0, jnp.nan])
def test_invalid_traced_volume_stops_the_run(volume):
    """Catches an endless loop, and an empty run that says it is finished."""
    run = jax.jit(
        lambda x: (
            jk.simulate(
                B.KacWalk(B.Maxwell(), x), normal_particles(6), key=KEY, dt=1.0, num_steps=2, throw=False
            ).result
        )
    )(volume)
    assert run.code == jk.Result.BAD_CLOCK


class Strange(B.AbstractCrossSection):
    value: float = eqx.field(static=True)

    def sigma(self, r2):
        return jnp.full_like(r2, self.value)

    def bound(self, r_max):
        return jnp.ones_like(r_max)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_invalid_rate_stops_the_run(value):
    """A negative or NaN rate stops both schemes, with the reason. Catches a comparison with NaN that lets a pair pass."""
    walk = B.KacWalk(Strange(value), 10.0)
    with pytest.raises(
        jk.SimulationError, match=r"The jump rate of a pair is (-1|-inf|nan) in step 1, but must be finite"
    ):
        jk.simulate(walk, normal_particles(20), scheme=TauLeap(), key=KEY, dt=0.1, num_steps=1)
    with pytest.raises(jk.SimulationError, match=r"A pair of relative speed .* has (-1|nan) times the majorant"):
        jk.simulate(walk, normal_particles(20), key=KEY, dt=1.0, num_steps=1)


def test_extreme_rates():
    """No pair collides at relative speed 0 if Sigma = r^gamma; a common velocity much above the relative one; a large
    integer. Catches 0^gamma taken as 1, a majorant that cancels, and an integer that overflows."""
    still = jk.Particles(jnp.ones((10, 3), jnp.float32))
    run = jk.simulate(B.KacWalk(B.VariableHardSphere(0.01), 1.0, 1.0), still, key=KEY, dt=5.0, num_steps=1)
    assert run.final.alive.all()
    fast = jk.Particles(normal_particles(2, dtype=jnp.float32).velocity + 3000)
    assert jk.simulate(B.KacWalk(B.HardSphere(), 1.0), fast, key=KEY, dt=5.0, num_steps=3).stats["collisions"] > 3
    assert B.KacWalk(B.Maxwell(), 10**10).volume == 1e10


def test_bernoulli():
    """Its frequency, its ends, and its guard against gradients. Catches a hit at p = 0, and a miss at p = 1."""
    words = jax.random.bits(jax.random.key(0), (100_000,), jnp.uint32)
    for p in (0.0, 0.2, 1.0):
        hits = float(jk.random.bernoulli(words, p).mean())
        assert abs(hits - p) <= 4 * np.sqrt(p * (1 - p) / 1e5)
    assert not jk.random.bernoulli(jnp.zeros(1, jnp.uint32), jnp.float32(0.0))[0]
    assert jk.random.bernoulli(jnp.full(1, 2**32 - 1, jnp.uint32), jnp.float32(1.0))[0]
    with pytest.raises(ValueError, match=r"The outcome of `jk\.random\.bernoulli` depends on a parameter"):
        jax.grad(lambda p: jnp.sum(jnp.where(jk.random.bernoulli(words, p), 1.0, 0.0)))(0.3)


def test_counts_beyond_32_bits():
    """Catches a total that wraps at 2^32, or that is rounded."""
    count = jk.Count(jnp.asarray(2**32 - 1, jnp.uint32))
    total = count.start()
    for _ in itertools.repeat(None, 5):
        total = total.merge(count)
    assert int(total.high) * 2**32 + int(total.low) == 5 * (2**32 - 1)
    assert float(total.value) == 5.0 * (2**32 - 1)
