"""Ensembles: replicas equal single runs, reductions equal those of the stacked result, random streams are never shared."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_traces

import jaxkinetic as jk
from jaxkinetic._core.run_key import run_words
from jaxkinetic_kernels import fold_in

pytestmark = pytest.mark.newest

KEY = jax.random.key(11)
KAC = jk.landau.Kac(jk.landau.PowerLaw(-2.0, softening=0.3))
SAVE = jk.Save(every=3, observe={"M4": jk.diagnostics.moment, "stress": jk.diagnostics.stress})


def initial(key):
    return jk.initial.bkw(key, 8, 3, beta=0.4)


def ensemble(**options):
    given = {"key": KEY, "replicas": 10, "dt": 0.01, "num_steps": 7, "save": SAVE, **options}
    return jk.ensemble(given.pop("system", KAC), given.pop("init", initial), **given)


@pytest.mark.parametrize("batch", [None, 1, 3, 64])
def test_replica_equals_single_run(batch):
    """A replica is the single run whatever the batch, also one that does not divide: catches a key that depends on it,
    and padding that is kept."""
    together = ensemble(batch=batch)
    assert together.times.shape == (3,)
    assert together.observed["stress"].shape == (10, 3, 3, 3)
    for r in (0, 4, 9):
        start, noise = jax.random.split(jax.random.fold_in(KEY, r))
        alone = jk.simulate(KAC, initial(start), key=noise, dt=0.01, num_steps=7, save=SAVE)
        np.testing.assert_allclose(together.observed["M4"][r], alone.observed["M4"], rtol=1e-12)
        np.testing.assert_allclose(together.final.velocity[r], alone.final.velocity, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(together.times, alone.times)


@pytest.mark.parametrize("scheme", [jk.EulerMaruyama(), jk.pairs.RandomMatching()])
def test_mean_and_variance(scheme):
    """Mean and variance are those of the stacked result, in batches of 4 of 10 replicas, two places idle. Catches a
    batch's variance merged without the gap of the means, padding that counts, and N for N - 1."""
    stacked, reduced = ensemble(scheme=scheme), ensemble(scheme=scheme, batch=4, reduce=jk.MeanVar())
    assert reduced.final is None
    assert reduced.checkpoint is None
    for name, values in stacked.observed.items():
        got = reduced.observed[name]
        assert got.count == 10
        np.testing.assert_allclose(got.mean, np.mean(values, 0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(got.var, np.var(values, 0, ddof=1), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(got.stderr, np.std(values, 0, ddof=1) / 10**0.5, rtol=1e-10, atol=1e-14)
    assert reduced.stats["steps"].shape == (10,)


def test_variance_does_not_cancel():
    """float32, mean 1e4, variance 1. Catches E x^2 - (E x)^2, which would have no digit."""
    values = 1e4 + np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    reduction, total = jk.MeanVar(), jk.MeanVar().start({"x": jax.ShapeDtypeStruct((5,), jnp.float32)})
    for part in np.split(values, 40):
        total = reduction.add(total, {"x": jnp.asarray(part)}, jnp.ones(10, bool))
    got = reduction.finish(total)["x"]
    np.testing.assert_allclose(got.var, values.astype(float).var(0, ddof=1), rtol=2e-3)
    np.testing.assert_allclose(got.mean, values.astype(float).mean(0), rtol=1e-7)


def test_complex_integer_and_boolean_observables():
    """Complex: E|x - mean|^2. Integers and booleans count as floats. One replica has no variance. Catches a complex
    variance, integer division, and an error bar of 0."""
    x = {"z": jnp.asarray([1 + 1j, 3 - 1j, 2j]), "n": jnp.asarray([1, 2, 6]), "b": jnp.asarray([True, False, True])}
    reduction = jk.MeanVar()
    total = reduction.start(jax.tree.map(lambda v: jax.ShapeDtypeStruct((), v.dtype), x))
    got = reduction.finish(reduction.add(total, x, jnp.ones(3, bool)))
    for name, values in x.items():
        v = np.asarray(values).astype(complex)
        np.testing.assert_allclose(got[name].mean, v.mean(), rtol=1e-12)
        np.testing.assert_allclose(got[name].var, (abs(v - v.mean()) ** 2).sum() / 2, rtol=1e-12)
    alone = reduction.finish(reduction.add(total, x, jnp.asarray([True, False, False])))
    assert np.isinf(alone["n"].var)


class Largest(jk.AbstractReduction):
    """A user's own."""

    def start(self, example):
        return jax.tree.map(lambda x: jnp.full(x.shape, -jnp.inf, x.dtype), example)

    def add(self, total, values, counts):
        def one(t, x):
            kept = counts.reshape(-1, *[1] * (x.ndim - 1))
            return jnp.maximum(t, jnp.where(kept, x, -jnp.inf).max(axis=0))

        return jax.tree.map(one, total, values)

    def finish(self, total):
        return total


def test_user_reduction():
    """A user's reduction, the maximum over replicas, works in batches. Catches idle places of the last batch that count."""
    stacked, reduced = ensemble(), ensemble(batch=4, reduce=Largest())
    np.testing.assert_allclose(reduced.observed["M4"], stacked.observed["M4"].max(0), rtol=1e-12)


class Range(jk.AbstractReduction):
    """One that knows an observable by its name, and gives a dict of its own."""

    def start(self, example):
        shape = example["M4"].shape
        return {"low": jnp.full(shape, jnp.inf), "high": jnp.full(shape, -jnp.inf)}

    def add(self, total, values, counts):
        x, kept = values["M4"], counts[:, None]
        low, high = jnp.where(kept, x, jnp.inf).min(0), jnp.where(kept, x, -jnp.inf).max(0)
        return {"low": jnp.minimum(total["low"], low), "high": jnp.maximum(total["high"], high)}

    def finish(self, total):
        return {**total, "width": total["high"] - total["low"]}


def test_reduction_of_a_named_observable():
    """Catches a reduction that is handed something else than what its docstring says."""
    stacked, reduced = ensemble(), ensemble(batch=4, reduce=Range())
    assert set(reduced.observed) == {"low", "high", "width"}
    np.testing.assert_allclose(reduced.observed["width"], np.ptp(stacked.observed["M4"], axis=0), rtol=1e-10)
    assert reduced.states is None


def test_error_bar_of_a_nan():
    """Mean and error bar of a sample with a NaN are NaN. Catches a NaN that is left out, or hidden by a finite error
    bar."""
    total = jk.MeanVar().start(jax.ShapeDtypeStruct((), jnp.float64))
    moments = jk.MeanVar().finish(jk.MeanVar().add(total, jnp.asarray([1.0, jnp.nan, 2.0]), jnp.ones(3, bool)))
    assert np.isnan(moments.mean)
    assert np.isnan(moments.stderr)


def test_states_are_reduced():
    """Saved states have the mean of the stacked ones. Catches states that are left stacked or reduced over another axis."""
    stacked = ensemble(save=jk.Save(every=7, state=True))
    reduced = ensemble(save=jk.Save(every=7, state=True), reduce=jk.MeanVar(), batch=3)
    np.testing.assert_allclose(reduced.states.velocity.mean, stacked.states.velocity.mean(0), rtol=1e-11, atol=1e-13)


def test_one_initial_state_for_all():
    """Only the noise differs between the replicas of one initial state. Catches replicas that share their noise."""
    state = initial(jax.random.key(0))
    runs = ensemble(init=state, save=jk.Save(every=7, state=True))
    assert np.array_equal(runs.states.velocity[3, 0], state.velocity)
    assert not np.allclose(runs.final.velocity[3], runs.final.velocity[4])


def test_gradients_through_reduction_and_batches():
    """Equal to that of the stacked mean, and to the finite difference. Catches a batch whose gradient is lost."""

    def last(strength, **options):
        system = jk.landau.Kac(jk.landau.PowerLaw(-2.0, strength, 0.3))
        return ensemble(system=system, throw=False, **options).observed["M4"]

    reduced = jax.grad(lambda s: last(s, batch=4, reduce=jk.MeanVar()).mean[-1])(1.0)
    stacked = jax.grad(lambda s: last(s)[:, -1].mean())(1.0)
    ends = [last(1 + s * 1e-5)[:, -1].mean() for s in (1, -1)]
    np.testing.assert_allclose(reduced, stacked, rtol=1e-10)
    np.testing.assert_allclose(reduced, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)
    assert abs(reduced) > 0.1


def test_no_recompilation():
    """Catches a program for every dt, parameter or key, of one run or of the loop over the replicas."""
    traces, counted = count_traces(jk.diagnostics.energy)
    starts, init = count_traces(initial)
    save = jk.Save(every=3, observe={"e": counted})
    ensemble(save=save, init=init)
    seen, seen_starts = len(traces), len(starts)
    system = jk.landau.Kac(jk.landau.PowerLaw(-1.5, softening=0.2))
    ensemble(save=save, init=init, system=system, key=jax.random.key(0), dt=0.02)
    assert len(traces) == seen
    # Once outside of the program, for the checks.
    assert len(starts) == seen_starts + 1


def blow_up(key):
    """One of the replicas in four starts where Euler-Maruyama overflows."""
    large = jnp.where(jax.random.uniform(key) < 0.25, 1e200, 1.0)
    return jk.Particles(large * jax.random.normal(key, (4, 3)))


def test_failed_replicas_are_reported():
    """The error names the step and the number of failed runs; `throw=False` keeps the others. Catches a failure that the
    other replicas hide."""
    options = {"init": blow_up, "system": jk.landau.Kac(jk.landau.PowerLaw(1.0)), "save": jk.Save()}
    runs = ensemble(throw=False, **options)
    failed = int((~runs.result.ok).sum())
    assert 0 < failed < 10
    with pytest.raises(jk.SimulationError, match=rf"became NaN or infinite in step \d+ \({failed} of 10 runs\)"):
        ensemble(**options)


ONE = jax.make_mesh((1,), ("replica",), axis_types=(jax.sharding.AxisType.Auto,))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"replicas": 0}, "`replicas` must be at least 1, but is 0"),
        ({"batch": 0}, "`batch` must be at least 1, but is 0"),
        ({"dt": -0.1}, "`dt` must be positive, but is -0.1"),
        ({"dt": None}, "`dt` must be given"),
        ({"reduce": "mean"}, "`reduce` must be a reduction, but is 'mean'; pass jk.MeanVar"),
        (
            {"reduce": jk.MeanVar(), "save": jk.Save()},
            "`reduce` must have something to reduce, but `save` observes nothing",
        ),
        ({"system": jk.landau.Kac(jk.landau.PowerLaw(-4.0))}, "`gamma` must be at least -d = -3, but is -4"),
        ({"init": 3.0}, "`state` must be Particles"),
        ({"key": None}, "`key` must be given, but is missing"),
        ({"key": 0}, "`key` must be one JAX key, but is 0"),
        (
            {"mesh": ONE, "reduce": Largest()},
            "`reduce` must define `merge` on a mesh, but is Largest, which does not; define it",
        ),
        ({"mesh": "all"}, "`mesh` must be a Mesh with one axis"),
    ],
)
def test_argument_errors(options, sentence):
    """Bad arguments raise a `ValueError` that names the argument. Catches an ensemble that runs without what it was
    asked for."""
    with pytest.raises(ValueError, match=sentence):
        ensemble(**options)


def draw(ctx):
    return jax.random.bits(ctx.key, (2,), jnp.uint32)


def test_random_streams_are_distinct():
    """Keys of replicas, of their initial states, of the noise of every step, of observables by name and step: all different,
    at two seeds. Catches a fold that forgets the replica, the step or the name."""
    save = jk.Save(every=1, observe={"a": jk.Contextual(draw), "b": jk.Contextual(draw)})
    seen = []
    for seed in (0, 1):
        runs = ensemble(key=jax.random.key(seed), save=save, replicas=20, num_steps=30)
        seen += [np.asarray(runs.observed[name]).reshape(-1, 2) for name in ("a", "b")]
        seen.append(np.asarray(runs.checkpoint.key).reshape(-1, 2))
        keys = [jax.random.split(jax.random.fold_in(jax.random.key(seed), r)) for r in range(20)]
        seen.append(np.concatenate([np.asarray(jax.random.key_data(k)) for k in keys]))
        steps = jax.vmap(lambda run: jax.vmap(lambda n: fold_in(run, n))(jnp.arange(30, dtype=jnp.uint32)))
        seen.append(np.asarray(steps(runs.checkpoint.key)).reshape(-1, 2))
    words = np.concatenate(seen)
    assert len(words) == 2 * (2 * 20 * 31 + 20 + 40 + 20 * 30)
    assert len(np.unique(words, axis=0)) == len(words)


def test_noise_of_replicas_is_independent():
    """Correlation of the increments of the same particles in 4000 replicas, one step: |z| < 4. Catches a shared key,
    which gives 60."""
    state = jk.initial.maxwellian(jax.random.key(5), 4, 3)
    runs = ensemble(init=state, replicas=4000, num_steps=1, save=jk.Save())
    moved = (np.asarray(runs.final.velocity) - np.asarray(state.velocity)).reshape(4000, -1)
    moved = (moved - moved.mean(0)) / moved.std(0)
    for shift in (1, 2, 128):
        products = (moved[shift:] * moved[:-shift]).mean(axis=1)
        assert abs(products.mean()) < 4 * products.std() / len(products) ** 0.5


MESH = """
import jax, numpy as np
import jaxkinetic as jk
jax.config.update("jax_enable_x64", True)
assert jax.device_count() == 2

def initial(key):
    return jk.initial.bkw(key, 8, 3, beta=0.4)

mesh = jax.make_mesh((2,), ("replica",), axis_types=(jax.sharding.AxisType.Auto,))
save = jk.Save(every=3, observe={"M4": jk.diagnostics.moment})
given = dict(key=jax.random.key(1), replicas=10, dt=0.01, num_steps=6, save=save)
kac = jk.landau.Kac(jk.landau.Maxwell())
alone, shared = (jk.ensemble(kac, initial, mesh=m, batch=2, **given) for m in (None, mesh))
np.testing.assert_allclose(shared.observed["M4"], alone.observed["M4"], rtol=1e-12)
assert len(shared.observed["M4"].sharding.device_set) == 2
reduced = jk.ensemble(kac, initial, mesh=mesh, reduce=jk.MeanVar(), **given).observed["M4"]
np.testing.assert_allclose(reduced.mean, alone.observed["M4"].mean(0), rtol=1e-12)
np.testing.assert_allclose(reduced.var, np.var(alone.observed["M4"], 0, ddof=1), rtol=1e-10)
try:
    jk.ensemble(kac, initial, mesh=mesh, **{**given, "replicas": 9})
except ValueError as error:
    assert "`replicas` must be a multiple of the 2 devices of the mesh, but is 9" in str(error)
else:
    raise AssertionError
print("fine")
"""


@pytest.mark.slow
def test_replicas_on_two_devices():
    """Two devices of the host give the same replicas, and totals that are merged. Catches devices that repeat each
    other's replicas."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run = subprocess.run([sys.executable, "-c", MESH], capture_output=True, text=True, env={**os.environ, **flags})
    assert run.stdout.strip() == "fine", run.stderr[-2000:]


def test_moments_are_a_pytree():
    """`Moments` can be handed to jax.tree.map and eqx.filter. Catches a class that JAX takes for a leaf."""
    moments = ensemble(reduce=jk.MeanVar()).observed["M4"]
    assert isinstance(moments, jk.Moments)
    assert len(jax.tree.leaves(eqx.filter(moments, eqx.is_array))) == 4


def test_replica_continues_from_the_ensemble(tmp_path):
    """A replica continues in memory and from a file; the checkpoint of all replicas holds their system once. Catches a
    replica that continues with another one's key."""
    short, whole = ensemble(num_steps=4), ensemble(num_steps=7)
    path = jk.save_checkpoint(tmp_path / "all.npz", short.checkpoint)
    for checkpoint in (short.checkpoint, jk.load_checkpoint(path)):
        one = eqx.tree_at(
            lambda c: (c.carry, c.key, c.t0, c.dt),
            checkpoint,
            jax.tree.map(lambda x: x[3], (checkpoint.carry, checkpoint.key, checkpoint.t0, checkpoint.dt)),
        )
        rest = jk.simulate(KAC, one, num_steps=3).final.velocity
        np.testing.assert_allclose(rest, whole.final.velocity[3], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_replicas_of_another_kind_of_key(impl):
    """A replica is the single run in a batch of 4, for the kinds of keys whose draws for many keys at once depend on how many
    there are. Catches initial states and noise drawn in a batch."""
    key = jax.random.key(3, impl=impl)
    together = ensemble(key=key, batch=4)
    for r in (0, 5, 6):
        start, noise = jax.random.split(jax.random.fold_in(key, r))
        alone = jk.simulate(KAC, initial(start), key=noise, dt=0.01, num_steps=7, save=SAVE)
        np.testing.assert_allclose(together.observed["M4"][r], alone.observed["M4"], rtol=1e-12)


def test_words_of_a_key_in_a_batch():
    """The words of a run under `jax.vmap` are those of the run alone for every kind of key, raw ones included. Catches words
    that are drawn for the batch."""
    many = [jax.random.split(jax.random.key(0, impl=impl), 3) for impl in ("threefry2x32", "rbg", "unsafe_rbg")]
    many.append(jax.random.split(jax.random.PRNGKey(0), 3))
    for keys in many:
        np.testing.assert_array_equal(jax.vmap(run_words)(keys)[2], run_words(keys[2]))
    with jax.default_prng_impl("rbg"):
        keys = jax.random.split(jax.random.PRNGKey(0), 3)
        assert keys.shape == (3, 4)
        np.testing.assert_array_equal(jax.vmap(run_words)(keys)[2], run_words(keys[2]))
        with pytest.raises(ValueError, match="`key` must be one JAX key"):
            run_words(jnp.zeros(2, jnp.uint32))
