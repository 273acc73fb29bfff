"""The time loop: saves, times, observables, restarts, failures, and its error messages."""

import subprocess
import sys
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_argument_error, count_traces, particles

import jaxkinetic as jk

pytestmark = pytest.mark.newest

KEY = jax.random.key(0)
KAC = jk.landau.Kac(jk.landau.Maxwell())


@pytest.fixture(scope="module")
def state():
    return particles(jax.random.key(1), 6, 3)


def go(state, num_steps=10, **options):
    options = {"key": KEY, "dt": 0.01, **options}
    return jk.simulate(KAC, state, num_steps=num_steps, **options)


@pytest.mark.shapes
def test_saved_steps(state):
    """Step 0 on a fresh start only; absolute steps after a restart; the last step by default. Catches a save that a
    restart doubles or shifts."""
    dt, t0 = 0.01, 2.0
    energy = {"e": jk.diagnostics.energy}

    def steps(solution):
        return np.rint((np.asarray(solution.times) - t0) / dt).astype(int).tolist()

    assert steps(go(state, t0=t0)) == [10]
    assert steps(go(state, t0=t0, save=jk.Save(observe=energy))) == list(range(11))
    assert steps(go(state, t0=t0, save=jk.Save(every=4))) == [0, 4, 8]
    assert steps(go(state, t0=t0, save=jk.Save(steps=(0, 3, 10)))) == [0, 3, 10]
    first = go(state, 6, t0=t0)
    for save, expected in (
        (jk.Save(every=4), [8, 12]),
        (jk.Save(observe=energy), list(range(7, 13))),
        (jk.Save(steps=[9]), [9]),
    ):
        solution = jk.simulate(KAC, first.checkpoint, num_steps=6, save=save)
        assert steps(solution) == expected
        assert len(solution.observed.get("e", expected)) == len(expected)
    assert steps(jk.simulate(KAC, first.checkpoint, num_steps=1, save=jk.Save(every=10))) == []


def test_saves_belong_to_their_step(state):
    """A saved state and its observables are those of a run that ends at that step. Catches saves that are a step off."""
    save = jk.Save(every=3, state=True, observe={"s": jk.diagnostics.stress})
    solution = go(state, save=save)
    assert solution.states.velocity.shape == (4, 6, 3)
    assert np.array_equal(solution.states.velocity[0], state.velocity)
    for i in range(4):
        there = go(state, 3 * i).final
        assert np.array_equal(solution.states.velocity[i], there.velocity)
        np.testing.assert_allclose(solution.observed["s"][i], jk.diagnostics.stress(there), rtol=1e-12)


def test_zero_steps(state):
    """A run of no steps returns the initial state, saved once. Catches a loop that takes a first step all the same."""
    solution = go(state, 0, save=jk.Save(observe={"e": jk.diagnostics.energy}))
    assert np.array_equal(solution.final.velocity, state.velocity)
    assert solution.times.shape == (1,)


def context_of(ctx):
    return {
        "t": ctx.t, "step": ctx.step, "dt": ctx.dt, "strength": ctx.system.interaction.strength,
        "energy": jk.diagnostics.energy(ctx.state), "draw": jax.random.normal(ctx.key),
    }  # fmt: skip


@pytest.mark.shapes
def test_contextual_observables(state):
    """Contextual observables see time, step, dt and system of their step, and draw from a key of their own. Catches
    draws that two observables, steps or runs share, and draws that a restart changes."""
    observe = {"a": jk.Contextual(context_of), "b": jk.Contextual(context_of)}
    save = jk.Save(every=2, observe=observe)
    a, b = (go(state, t0=1.0, save=save).observed[name] for name in "ab")
    np.testing.assert_array_equal(a["step"], [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose(a["t"], 1 + 0.01 * np.arange(0, 11, 2))
    np.testing.assert_allclose(a["strength"], 1)
    other = go(state, key=jax.random.key(5), save=save).observed["a"]
    draws = np.concatenate([a["draw"], b["draw"], other["draw"]])
    assert np.unique(draws).size == draws.size
    half = go(state, 4, t0=1.0, save=save)
    rest = jk.simulate(KAC, half.checkpoint, num_steps=6, save=save)
    assert np.array_equal(np.concatenate([half.observed["a"]["draw"], rest.observed["a"]["draw"]]), a["draw"])


class Blowup(jk.AbstractDiffusion):
    """dx = x^2 dt + 0 dB, which is infinite in finite time."""

    conserves: ClassVar[dict] = {}
    power: jax.Array = eqx.field(converter=jnp.asarray, default=2.0)

    def check(self, state): ...

    def default_scheme(self):
        return jk.EulerMaruyama()

    def generator(self, phi):
        raise AssertionError

    def drift(self, t, state):
        return state ** self.power.astype(state.dtype)

    def noise(self, key, t, dt, state):
        return jnp.zeros_like(state)


def test_blow_up_reports_its_first_bad_step():
    """The first bad step is that of the same recursion in NumPy. Catches a report of the last step, of the step before or after,
    or of all runs of a batch."""
    x0, step = 4.0, 0
    x = x0
    while np.isfinite(x):
        with np.errstate(over="ignore"):
            x, step = x + np.float64(x) ** 2 * 0.1, step + 1
    run = partial(jk.simulate, Blowup(), key=KEY, dt=0.1, num_steps=60)
    with pytest.raises(jk.SimulationError, match=rf"became NaN or infinite in step {step};"):
        run(jnp.asarray([x0]))
    solution = run(jnp.asarray([x0]), throw=False)
    assert (int(solution.result.code), int(solution.result.step), bool(solution.result.ok)) == (
        1,
        step,
        False,
    )
    assert f"in step {step}" in str(solution)
    assert bool(run(jnp.asarray([-1.0])).result.ok)
    batched = jax.vmap(lambda x: run(x, throw=False))(jnp.asarray([[-1.0], [x0]]))
    assert batched.result.ok.tolist() == [True, False]
    assert "(1 of 2 runs)" in batched.result.message


def test_failure_inside_jit_raises():
    """The error is raised after the loop. Catches a failure that a jitted function returns as numbers."""
    jitted = jax.jit(lambda x: jk.simulate(Blowup(), x, key=KEY, dt=0.1, num_steps=60).final)
    with pytest.raises(Exception, match="became NaN or infinite during `simulate`"):
        jax.block_until_ready(jitted(jnp.asarray([4.0])))
    assert np.isfinite(jitted(jnp.asarray([-1.0]))).all()


class Counting(jk.EulerMaruyama):
    """Reports what it did."""

    def step(self, key, system, t, dt, carry, aux):
        carry, aux, _ = super().step(key, system, t, dt, carry, aux)
        return carry, aux, {"seconds": jk.Sum(dt), "latest": jk.Max(t), "low": jk.Max(-1 - t)}


def test_stats_are_totals(state):
    """Stats are sums, and maxima of either sign, over all steps. Catches a maximum that starts at 0."""
    stats = go(state, scheme=Counting()).stats
    np.testing.assert_allclose(stats["seconds"], 0.1)
    np.testing.assert_allclose(stats["latest"], 0.09)
    np.testing.assert_allclose(stats["low"], -1.0)
    assert int(stats["steps"]) == 10


def test_solution_prints_shapes_and_sizes(state):
    """Printing a solution shows shapes, dtypes and bytes. Catches an output that is left out."""
    text = str(go(state, save=jk.Save(every=5, state=True, observe={"e": jk.diagnostics.energy})))
    for part in (
        "finished",
        "observed['e']",
        "float64[3]",
        "states.velocity",
        "float64[3, 6, 3]  432 B",
        "stats['steps']",
    ):
        assert part in text


def test_gradient_in_dt(state):
    """The gradient in dt is the finite difference. Catches a check that needs a concrete dt, and a dt that is not
    differentiated."""
    final = lambda dt: jnp.sum(go(state, dt=dt, throw=False).final.velocity ** 2)  # noqa: E731
    difference = (final(0.01 + 1e-6) - final(0.01 - 1e-6)) / 2e-6
    np.testing.assert_allclose(jax.grad(final)(0.01), difference, rtol=1e-5)


@pytest.mark.shapes
def test_checkpoint_carries_scheme_key_and_time(state):
    """A continued run takes scheme, key and time from its checkpoint; giving key, dt or t0 again raises. Catches a time
    that restarts at 0, and a default scheme for the one that ran."""
    half = go(state, 4, scheme=Counting())
    rest = jk.simulate(KAC, half.checkpoint, num_steps=2)
    np.testing.assert_allclose(rest.stats["latest"], 0.05)
    for name, value in (("key", KEY), ("dt", 0.1), ("t0", 1.0)):
        with pytest.raises(ValueError, match=f"Argument `{name}` must be left out when a Checkpoint is continued"):
            jk.simulate(KAC, half.checkpoint, num_steps=2, **{name: value})


def test_continuing_does_not_recompile(state):
    """Catches a step number in the program: every chunk of a long run would compile anew. System and scheme are checked
    again."""
    traces, counted = count_traces(jk.diagnostics.energy)
    save = jk.Save(every=2, observe={"e": counted})
    chunk = go(state, 4, save=save)
    for _ in range(2):
        chunk = jk.simulate(KAC, chunk.checkpoint, num_steps=4, save=save)
    seen = len(traces)
    for _ in range(3):
        chunk = jk.simulate(KAC, chunk.checkpoint, num_steps=4, save=save)
    assert len(traces) == seen
    assert chunk.checkpoint.step == 24
    with pytest.raises(ValueError, match="`gamma` must be at least -d = -3"):
        jk.simulate(jk.landau.Kac(PL(-4.0)), chunk.checkpoint, num_steps=4)
    with pytest.raises(ValueError, match="`scheme` must be the checkpoint's, EulerMaruyama, but is Counting"):
        jk.simulate(KAC, chunk.checkpoint, num_steps=4, scheme=Counting())


class FieldOnly(jk.AbstractField):
    conserves: ClassVar[dict] = {}

    def check(self, state): ...

    def default_scheme(self):
        return jk.EulerMaruyama()

    def generator(self, phi):
        raise AssertionError

    def vector_field(self, t, state):
        return -state


V = np.ones((4, 3)) * np.arange(4)[:, None]
P = jk.Particles
PL = jk.landau.PowerLaw
BAD = {
    "nan velocity": (lambda: go(P(jnp.asarray(V).at[2, 1].set(jnp.nan))), r"`state.velocity` must hold finite numbers, but has a NaN or infinity at \(2, 1\)"),
    "infinite velocity": (lambda: go(P(jnp.asarray(V).at[0, 0].set(jnp.inf))), r"`state.velocity` must hold finite numbers"),
    "one particle": (lambda: go(P(V[:1])), "`state` must hold at least 2 particles, but holds 1"),
    "one dimension": (lambda: go(P(V[:, :1])), "`velocity` must have at least 2 components, but has 1"),
    "dt zero": (lambda: go(P(V), dt=0.0), "`dt` must be positive, but is 0"),
    "dt negative": (lambda: go(P(V), dt=-0.1), "`dt` must be positive, but is -0.1"),
    "dt nan": (lambda: go(P(V), dt=float("nan")), "`dt` must be finite, but is nan"),
    "dt array": (lambda: go(P(V), dt=jnp.ones(3)), r"`dt` must be one real number, but is an array of shape \(3,\)"),
    "dt text": (lambda: go(P(V), dt="small"), "`dt` must be one real number, but is 'small'"),
    "dt missing": (lambda: go(P(V), dt=None), "`dt` must be given, but is missing; pass the time step"),
    "steps float": (lambda: go(P(V), num_steps=10.0), "`num_steps` must be an integer known while tracing, but is 10.0"),
    "steps bool": (lambda: go(P(V), num_steps=True), "`num_steps` must be an integer known while tracing, but is True"),
    "steps traced": (lambda: jax.jit(lambda n: go(P(V), num_steps=n).times)(3), "`num_steps` must be an integer known while tracing, but is a traced value"),
    "steps negative": (lambda: go(P(V), num_steps=-1), "`num_steps` must be at least 0, but is -1"),
    "too many steps": (lambda: go(P(V), num_steps=2**31), "`num_steps` must end at most at step 2147483647"),
    "gamma": (lambda: jk.simulate(jk.landau.Kac(PL(-3.5)), P(V), key=KEY, dt=0.1, num_steps=1), "`gamma` must be at least -d = -3, but is -3.5"),
    "gamma in d = 2": (lambda: jk.simulate(jk.landau.Kac(PL(-3.0)), P(V[:, :2]), key=KEY, dt=0.1, num_steps=1), "`gamma` must be at least -d = -2, but is -3"),
    "softening": (lambda: PL(-3.0, softening=-0.1), "`softening` must not be negative, but is -0.1"),
    "strength": (lambda: PL(-3.0, strength=-1), "`strength` must not be negative, but is -1"),
    "maxwell strength": (lambda: jk.landau.Maxwell(-2.0), "`strength` must not be negative, but is -2"),
    "gamma vector": (lambda: PL(jnp.zeros(2)), r"`gamma` must be one real number, but is an array of shape \(2,\)"),
    "key missing": (lambda: go(P(V), key=None), r"`key` must be given for EulerMaruyama, but is missing; pass key=jax.random.key\(seed\)"),
    "key integer": (lambda: go(P(V), key=0), "`key` must be one JAX key, but is 0"),
    "many keys": (lambda: go(P(V), key=jax.random.split(KEY)), "`key` must be one JAX key, but is an array of shape"),
    "integer velocity": (lambda: P(np.ones((4, 3), int)), "`velocity` must have a real floating dtype, but is int"),
    "complex velocity": (lambda: P(V * 1j), "`velocity` must have a real floating dtype, but is complex"),
    "flat velocity": (lambda: P(np.ones(4)), r"`velocity` must have shape \(N, d\), but has shape \(4,\)"),
    "text velocity": (lambda: P("fast"), r"`velocity` must be a real array of shape \(N d\), but is 'fast'"),
    "position shape": (lambda: P(V, V[:, :2]), r"`position` must have the shape of `velocity`, \(4, 3\), but has shape \(4, 2\)"),
    "alive": (lambda: P(V, alive=np.ones(3, bool)), r"`alive` must be an array of shape \(4,\) and dtype bool, but has shape \(3,\)"),
    "ident": (lambda: P(V, ident=np.arange(4)), r"`ident` must be an array of shape \(4,\) and dtype uint32, but has shape \(4,\) and dtype int64"),
    "half": (lambda: P(V.astype(np.float16)), "`velocity` must be float32 or float64, but is float16"),
    "twins": (lambda: P(V, ident=np.zeros(4, np.uint32)), "`ident` must name every particle once, but holds duplicates"),
    "one alive": (lambda: go(P(V, alive=np.arange(4) < 1)), "`state` must hold at least 2 particles that are alive, but holds 1"),
    "dt underflows": (lambda: go(P(V.astype(np.float32)), dt=1e-60), "`dt` must be positive, but is 0"),
    "gamma none": (lambda: PL(None), "`gamma` must be one real number, but is None"),
    "t0 none": (lambda: go(P(V), t0=None), "`t0` must be one real number, but is None"),
    "save": (lambda: go(P(V), save={}), "`save` must be a Save, but is {}"),
    "adjoint": (lambda: go(P(V), adjoint=jk.Direct), "`adjoint` must be an adjoint, but is the class"),
    "save steps": (lambda: jk.Save(steps=5), "`steps` must be a sequence of integers, but is 5"),
    "observe list": (lambda: jk.Save(observe=[jnp.sum]), "`observe` must map names to functions"),
    "observe name": (lambda: jk.Save(observe={1: jnp.sum}), "`observe` must have strings as names, but has 1"),
    "state list": (lambda: go(V.tolist()), "`state` must be Particles, but is a list"),
    "state none": (lambda: go(None), "`state` must be Particles, but is a NoneType"),
    "state": (lambda: go(jnp.asarray(V)), "`state` must be Particles, but is a "),
    "batched state": (lambda: go(jax.tree.map(lambda x: jnp.stack([x, x]), P(V))), r"`state.velocity` must have shape \(N, d\), but has shape \(2, 4, 3\)"),
    "system": (lambda: jk.simulate(PL(0.0), P(V), key=KEY, dt=0.1, num_steps=1), "`system` must be a system, but is PowerLaw"),
    "interaction": (lambda: jk.simulate(jk.landau.Kac(0.0), P(V), key=KEY, dt=0.1, num_steps=1), "`interaction` must be an interaction, but is 0.0"),
    "scheme": (lambda: go(P(V), scheme="euler"), "`scheme` must be a scheme, but is 'euler'"),
    "foreign scheme": (lambda: jk.simulate(FieldOnly(), jnp.ones(2), key=KEY, dt=0.1, num_steps=1), "`scheme` must be one that FieldOnly supports, but is EulerMaruyama; use one of: RKC, RungeKutta"),
    "every and steps": (lambda: jk.Save(every=2, steps=(1,)), "`steps` must be None when `every` is given"),
    "every": (lambda: jk.Save(every=0), "`every` must be at least 1, but is 0"),
    "steps order": (lambda: jk.Save(steps=(3, 1)), r"`steps` must increase, but is \(3, 1\)"),
    "steps range": (lambda: go(P(V), save=jk.Save(steps=(4, 11))), r"`steps` must lie in 0..10, the absolute steps of this run, but holds \[11\]"),
    "observe": (lambda: jk.Save(observe={"e": 3}), r"`observe\['e'\]` must be a function of the state, but is 3"),
    "contextual": (lambda: jk.Contextual(3), "`fn` must be a function of a Context, but is 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_argument_errors(name):
    """The error names the argument, what it must be, what it was, and what to do. Catches bad input that runs, or fails
    inside JAX."""
    assert_argument_error(*BAD[name])


def test_unusual_input_that_is_fine(state):
    """NumPy and Python numbers, a legacy key from JAX or NumPy, a parameter set to a Python float, a constant
    observable. Catches a check that raises too often."""
    expected = go(state, key=jax.random.PRNGKey(0), dt=0.01).final.velocity
    for key in (np.asarray(jax.random.PRNGKey(0)), jax.random.key(0)):
        assert np.array_equal(
            go(state, np.int64(10), key=key, dt=np.float32(0.01).astype(float)).final.velocity.shape, (6, 3)
        )
        np.testing.assert_array_equal(go(state, key=key).final.velocity, expected)
    assert go(jk.Particles(state.velocity.tolist()), dt=1).final.velocity.shape == (6, 3)
    system = eqx.tree_at(lambda s: s.interaction.strength, KAC, 1.0)
    np.testing.assert_array_equal(
        jk.simulate(system, state, key=KEY, dt=0.01, num_steps=10).final.velocity, go(state).final.velocity
    )
    assert go(state, save=jk.Save(observe={"one": lambda s: 1.0})).observed["one"].tolist() == [1.0] * 11


def test_failure_inside_jit_reaches_every_output():
    """A jitted function that returns only a part of the solution raises too. Catches an error that is tied to one output: the
    compiler drops it if that output is not used."""
    jitted = jax.jit(lambda x: jk.simulate(Blowup(), x, key=KEY, dt=0.1, num_steps=60).checkpoint.carry)
    with pytest.raises(Exception, match="became NaN or infinite during `simulate`"):
        jax.block_until_ready(jitted(jnp.asarray([4.0])))


def test_checks_inside_jit():
    """Concrete bad data captured by a traced function still raise; traced data are not touched. Catches a check that
    `jit` turns off."""
    bad = jnp.asarray(V).at[0, 0].set(jnp.nan)
    with pytest.raises(ValueError, match=r"`state\.velocity` must hold finite numbers"):
        jax.jit(lambda dt: go(P(bad), dt=dt, throw=False).final.velocity)(0.1)
    assert jax.jit(lambda v: go(P(v), throw=False).result.ok)(jnp.asarray(V))


def test_continuing_with_another_system_raises(state):
    """Catches a path whose two halves obey different equations: a parameter, a static option, an interaction."""
    checkpoint = go(state, 4).checkpoint
    for system, what in (
        (
            jk.landau.Kac(jk.landau.Maxwell(0.5)),
            r"its interaction\.strength is 0\.5 \(float64\) instead of 1\.0 \(float64\)",
        ),
        (jk.landau.MatrixSqrt(jk.landau.Maxwell()), "it is MatrixSqrt instead of Kac"),
        (jk.landau.Kac(jk.landau.Maxwell(), sums="product"), "its components or static options differ"),
    ):
        with pytest.raises(ValueError, match=f"`system` must be the one of the checkpoint, but {what}"):
            jk.simulate(system, checkpoint, num_steps=1)


BEFORE_PLANS = """
import jax, jax.numpy as jnp, jaxkinetic as jk
class WithoutPlan(jk.Strang):
    def step(self, key, system, t, dt, carry, aux):
        return super().step(key, system, t, dt, carry, aux)
class FormerHook(jk.EulerMaruyama):
    def prepare(self, system, carry, dt):
        return system
state, system = jk.Particles(jnp.ones((2, 1)), jnp.asarray([[0.1], [0.5]])), jk.vlasov.NBody(jk.vlasov.Cosine())
ours, theirs = (jk.simulate(system, state, scheme=s, dt=0.1, num_steps=3).final for s in (jk.Strang(), WithoutPlan()))
print(bool(jnp.all(ours.velocity == theirs.velocity)))
kac, state = jk.landau.Kac(jk.landau.Maxwell()), jk.Particles(jnp.eye(3))
jk.simulate(kac, state, scheme=FormerHook(), key=jax.random.key(0), dt=0.1, num_steps=1)
"""


def test_schemes_written_before_plans():
    """In a new process, whose schemes no other test sees: a subclass of a split scheme with the documented `step(key, system, t,
    dt, carry, aux)` gives the same path; one with the former hook raises. Catches an argument that such a scheme does not have,
    and a hook that is ignored."""
    done = subprocess.run([sys.executable, "-c", BEFORE_PLANS], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    assert "`scheme` must define `make_plan`, from which" in done.stderr
    assert done.stderr.endswith("but FormerHook defines `prepare`; rename it.\n")
