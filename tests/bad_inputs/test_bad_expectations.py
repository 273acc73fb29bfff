"""`jk.expectation`: bad input ends in one sentence that names the argument, and what cannot be differentiated raises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_argument_error

import jaxkinetic as jk

B = jk.boltzmann
V = np.random.default_rng(0).normal(size=(6, 3))


def S(num=6):
    return jk.Particles(V if num == 6 else np.ones((num, 3), np.float32))


def energy(state):
    return jnp.sum(state.velocity**2, 1)


def E(alpha=0.4, sphere=False, start=None, observe=energy, strength=1.0, **options):
    """An expectation of the walk with some arguments changed."""
    cross_section = (B.HardSphere if sphere else B.Maxwell)(strength)
    given = {"key": jax.random.key(0), "replicas": 4, "dt": 0.3, "num_steps": 2} | options
    return jk.expectation(B.KacWalk(cross_section, 6.0, alpha), S() if start is None else start, observe, **given)


def grad(name, value, **options):
    return jax.grad(lambda x: E(**{name: x}, **options).value)(value)


def chosen_by_jax(p, key):
    """The number alive, by a decision whose probability JAX does not differentiate."""
    velocity, alive = jax.random.split(key)
    velocity = jk.initial.maxwellian(velocity, 6, 3).velocity
    return jk.Particles(velocity, alive=jax.random.bernoulli(alive, p, (6,)))


def mixed(p, scale, key):
    """As `chosen_by_jax`, and with velocities that have a derivative."""
    state = chosen_by_jax(p, key)
    return jk.Particles(scale * state.velocity, alive=state.alive)


class Comparing(B.KacWalk):
    """A user's jump that decides by a comparison."""

    def jump(self, words, vi, vj):
        lives = jk.random.uniform(words[0], vi[0].dtype) > self.annihilation
        return vi, vj, lives, jnp.ones_like(lives)


def fast(state):
    """How many are fast: a threshold."""
    return jnp.where(energy(state) > 2.0, 1.0, 0.0)


def of_paths(observe, system=None):
    kac = jk.landau.Kac(jk.landau.Maxwell()) if system is None else system
    return jk.expectation(kac, S(), observe, key=jax.random.key(0), replicas=2, dt=0.05, num_steps=2, gradient=True)


def shared(chance, key):
    """One decision for two slots."""
    words = jax.random.bits(key, (3,), jnp.uint32)
    return jk.Particles(V, alive=jnp.repeat(jk.random.bernoulli(words, jnp.full(3, chance)), 2))


ROWS = """
observe | E(observe=lambda s: energy(s) - jnp.mean(energy(s)))
observe | E(observe=lambda s: jnp.roll(energy(s), 1))
observe | E(observe=lambda s: jnp.sum(energy(s)))
observe | E(observe=lambda s: jax.lax.complex(energy(s), energy(s)))
observe | E(observe=lambda s: "x")
observe | E(observe=3)
block | E(start=S(20_000), replicas=1, block=10**7)
replicas | E(start=S(20_000), replicas=10**6, gradient=True)
replicas | E(replicas=0)
replicas | E(replicas=2.5)
num_steps | E(num_steps=0)
every | E(every=3)
batch | E(batch=0)
dt | E(dt=0.0)
key | E(key=None)
headroom | E(headroom=0.5)
headroom | E(headroom="x")
estimator | E(estimator="x")
num_blocks | E(num_blocks=0)
max_candidates | E(max_candidates=0)
max_candidates | jax.vmap(lambda s: E(strength=s).value)(jnp.ones(2))
function | E(function=3)
function | E(function=lambda sums: jnp.ones((2, 2)))
gradient | E(gradient="x")
gradient | E(gradient=lambda walk: walk.nothing)
gradient | E(gradient=lambda walk: 3)
strength | E(strength=0.0)
system | grad("alpha", 0.0)
system | grad("alpha", 1.0)
system | E(alpha=0.0, gradient=True)
start | jax.grad(lambda p: E(start=jax.tree_util.Partial(shared, p)).value)(0.5)
start | jax.grad(lambda p: E(start=jax.tree_util.Partial(chosen_by_jax, p)).value)(0.5)
start | jax.grad(lambda p: E(start=jax.tree_util.Partial(mixed, p, p)).value)(0.5)
system | of_paths(energy, Comparing(B.Maxwell(), 6.0, 0.3))
gradient | E(gradient=lambda walk: 2 * walk.volume)
observe | E(observe=lambda s: jnp.arange(6.0) * (energy(s) - jnp.mean(energy(s))))
"""


@pytest.mark.parametrize("row", [row for row in ROWS.splitlines() if row])
def test_bad_input_is_named(row):
    """One `ValueError` of one sentence. Catches a raw error of JAX, an array that does not fit, and a derivative that is NaN
    where a probability is 0 or 1."""
    argument, given = row.split(" | ", 1)
    assert_argument_error(lambda: eval(given), f"`{argument}` must ")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: grad("dt", 0.3), "with respect to dt"),
        (lambda: jax.grad(lambda x: grad("alpha", x))(0.4), "second derivative"),
        (lambda: of_paths(fast), "by a comparison, or is a whole number"),
        (lambda: jax.grad(lambda x: jnp.var(E(x).samples))(0.4), "pass the function of a run's sums as `function=`"),
    ],
)
def test_what_cannot_be_differentiated(call, sentence):
    """It raises with the reason. Catches a wrong derivative: of a nonlinear function of single runs, twice the right one."""
    with pytest.raises(ValueError, match=sentence):
        call()


def test_failed_runs():
    """A rate above the majorant and too few candidates end in an error, and in NaN with `throw=False`. Catches events that are
    dropped silently."""
    with pytest.raises(jk.SimulationError, match="raise `headroom`"):
        E(0.0, sphere=True, dt=3.0, num_steps=3, replicas=200, headroom=1.0)
    with pytest.raises(jk.SimulationError, match="raise `max_candidates`"):
        E(max_candidates=1, replicas=64)
    assert np.isnan(E(max_candidates=1, replicas=64, throw=False).value)


def test_leaves_chosen_twice_and_nested():
    """Every place of a chosen leaf gets its derivative. Catches a leaf that is chosen twice and gets 0 in one of the places."""
    wanted = E(gradient=lambda walk: walk.volume).gradient
    found = E(gradient=lambda walk: {"a": walk.volume, "b": (walk.annihilation, walk.volume)}).gradient
    np.testing.assert_allclose([found["a"], found["b"][1]], wanted, rtol=1e-12)
    assert wanted != 0 != found["b"][0]


def test_no_probability_of_zero_passes():
    """Inside `jit`, where annihilation = 0 is not known, its derivative is infinite. Catches a 0, which a score times a weight
    of 0 would give: nobody has died."""
    number = jax.jit(jax.grad(lambda x: E(x, observe=lambda s: jnp.ones(s.num_slots)).value))
    assert not np.isfinite(number(0.0))
    assert np.isfinite(number(0.3))
