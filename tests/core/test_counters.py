"""What is counted or summed one by one in float32: particles, replicas, steps, times."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_programs

import jaxkinetic as jk
from jaxkinetic._util.sums import gram

D = jk.diagnostics
MANY = 2**24 + 2**22
PLAIN = jk.landau.Kac(jk.landau.Maxwell())


@pytest.mark.slow
def test_more_particles_in_a_bin_than_float32_counts():
    """2.1 10^7 particles in one bin: its share is 1, its distance to the law that is all there 0. Catches a counter in float32,
    which stops at 2^24: .8 and .2."""
    state = jk.Particles(np.full((MANY, 1), 0.7, np.float32))
    assert D.histogram(state, edges=[0.0, 1.0, 2.0]).tolist() == [1, 0]
    # As one program the distance has the round-off of a float32 sum, 2^-26.
    assert D.marginal_l1(state, lambda x: (x > 0.9).astype(x.dtype), edges=[0.0, 1.0, 2.0]) < 1e-7
    assert state.num_alive == MANY


@pytest.mark.slow
def test_moments_of_many_particles():
    """2.1 10^7 particles at +-(.7, .7): every sum of squares to 1e-5. Catches a matrix product over all particles, which adds
    one by one: the pressure is then off by percents, and by half at 3 10^7."""
    sign = np.where(np.arange(MANY) % 2 == 0, 0.7, -0.7).astype(np.float32)
    state = jk.Particles(np.stack([sign, sign], axis=1))
    squares = -D.rescaled_f2(state, volume=1.0, of=lambda s: s.velocity) / MANY
    moments = {"stress": D.stress(state), "gram": gram(state.velocity) / MANY, "energy": D.energy(state), "f2": squares}
    for name, value in moments.items():
        np.testing.assert_allclose(value, 0.49, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(-MANY * D.pair_correlation(state), 0.49, rtol=1e-5)


def test_mass_on_a_grid():
    """10^6 particles at two places: four nodes get .42, .28, .18, .12 of the mass. Catches masses added in float32, each off by
    up to a percent."""
    v = np.zeros((10**6, 1), np.float32)
    v[700_000:] = 1
    mass = np.array([0.42, 0.28, 0.18, 0.12])
    exact = np.sum(mass * np.log(mass)) - math.log(0.5)
    np.testing.assert_allclose(D.grid_entropy(jk.Particles(v), bins=4, halfwidth=1.0), exact, rtol=2e-6)


def test_a_million_replicas():
    """Mean and variance of 10^6 numbers 1000 + N(0, 1) in float32, one after the other: the mean to 2e-4, a fifth of its
    standard error, the variance to 1e-4. Catches a mean that stops when a replica changes it by less than half an ulp."""
    values = (1000 + np.random.default_rng(0).standard_normal(10**6)).astype(np.float32)
    reduce = jk.MeanVar()

    @jax.jit
    def reduced(values):
        def one(total, x):
            return reduce.add(total, {"x": x[None]}, jnp.ones(1, bool)), None

        empty = reduce.start({"x": jax.ShapeDtypeStruct((), jnp.float32)})
        return reduce.finish(jax.lax.scan(one, empty, values)[0])["x"]

    moments = reduced(values)
    assert moments.count == 10**6
    assert moments.mean.dtype == jnp.float32
    np.testing.assert_allclose(moments.mean, values.astype(float).mean(), atol=2e-4)
    np.testing.assert_allclose(moments.var, values.astype(float).var(ddof=1), rtol=1e-4)


def test_sum_over_a_million_steps():
    """The total of .1 over 10^6 steps to an ulp. Catches a sum in float32, which is .9 % off; whole numbers stay whole."""

    @jax.jit
    def total(step):
        start = step.start()
        return jax.lax.fori_loop(0, 10**6, lambda _, total: total.merge(step), start).value

    np.testing.assert_allclose(total(jk.Sum(jnp.float32(0.1))), 1e5, rtol=1e-7)
    assert total(jk.Sum(jnp.int32(3))) == 3 * 10**6


def test_times_of_late_saves(tmp_path):
    """t0 = 10^6 + .3, dt = .01 in float32: all times distinct and right, of a run, a continuation from memory and disk, chunks,
    an ensemble. Catches times made in the state's dtype (3 different ones of 11), and a program for every dt."""
    state = jk.Particles(np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32))
    key, t0, dt = jax.random.key(0), 1e6 + 0.3, 0.01
    right = t0 + dt * np.arange(21)
    given = {"key": key, "t0": t0, "dt": dt, "save": jk.Save(every=1)}
    run = jk.simulate(PLAIN, state, num_steps=10, **given)
    assert run.times.dtype == np.float64
    np.testing.assert_allclose(run.times, right[:11], rtol=0, atol=1e-9)
    jk.save_checkpoint(tmp_path / "end.npz", run.checkpoint)
    for end in (run.checkpoint, jk.load_checkpoint(tmp_path / "end.npz")):
        rest = jk.simulate(PLAIN, end, num_steps=10, save=jk.Save(every=1))
        np.testing.assert_array_equal(rest.times, right[11:])
    chunks = list(jk.iterate(PLAIN, state, chunk=10, num_steps=20, path=tmp_path / "run", **given))
    np.testing.assert_array_equal(np.concatenate([chunk.times for chunk in chunks]), right)
    np.testing.assert_array_equal(jk.read_chunks(tmp_path / "run")["times"], right)
    together = jk.ensemble(PLAIN, state, replicas=2, num_steps=10, **given)
    np.testing.assert_array_equal(together.times, right[:11])
    assert together.checkpoint.clock == (t0, dt)
    with count_programs() as programs:
        other = jk.simulate(PLAIN, state, num_steps=10, **(given | {"dt": 0.02}))
    assert "_run" not in programs
    np.testing.assert_allclose(np.diff(other.times), 0.02, atol=1e-9)
    # Inside `jit` they are rounded to the dtype of the state; the checkpoint that it returns has both in full.
    jitted = jax.jit(lambda state: jk.simulate(PLAIN, state, num_steps=10, **given))(state)
    assert jitted.checkpoint.clock == (t0, dt)
    slope = jax.jacfwd(lambda dt: jk.simulate(PLAIN, state, num_steps=10, **(given | {"dt": dt})).times)(0.01)
    np.testing.assert_allclose(slope, np.arange(11))


def test_fit_of_late_times():
    """The same oscillation and decay at t and at t + 10^6, with x64 off: the same fits and fitted values. Catches times that
    are rounded to float32 before the first one is subtracted, when fitting and when evaluating."""
    elapsed = 0.01 * np.arange(400)
    y = np.exp(-0.3 * elapsed) * np.cos(5 * elapsed)
    decay = np.exp(-0.3 * elapsed)
    late = 1e6 + 0.3 + elapsed
    with jax.enable_x64(False):
        wave, fall = jk.fit_oscillation(late, y), jk.fit_decay(late, decay)
        np.testing.assert_allclose([wave.frequency, wave.growth, fall.rate], [5, -0.3, 0.3], rtol=1e-4)
        np.testing.assert_allclose(wave(late), y, atol=1e-3)
        np.testing.assert_allclose(fall(late), decay, atol=1e-3)
        tau = D.self_similar_time(late, np.ones(400), np.full(400, 0.5))
        np.testing.assert_allclose(tau, elapsed, atol=1e-5)


def test_changed_time_step_of_a_checkpoint():
    """`eqx.tree_at` on `dt`: the times of the continuation are those of the new step. Catches a record of the old one."""
    system = jk.vlasov.NBody(jk.vlasov.Cosine())
    bodies = jk.Particles(jnp.asarray([[0.1], [0.2]]), jnp.asarray([[0.0], [1.0]]))
    end = jk.simulate(system, bodies, dt=0.01, num_steps=2).checkpoint
    changed = eqx.tree_at(lambda c: c.dt, end, jnp.asarray(0.1, end.dt.dtype))
    found = jk.simulate(system, changed, num_steps=3, save=jk.Save(every=1)).times
    np.testing.assert_allclose(found, [0.3, 0.4, 0.5], rtol=1e-12)
