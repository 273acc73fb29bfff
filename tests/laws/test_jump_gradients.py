"""Gradients of jump processes: the pathwise ones that are right, and the sentence where they would be biased."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal_particles

import jaxkinetic as jk

B, ExactClock, TauLeap = jk.boltzmann, jk.pairs.ExactClock, jk.pairs.TauLeap
KEY = jax.random.key(3)


def observable(walk, v, scheme, dt=0.5, alive=None):
    final = jk.simulate(
        walk, jk.Particles(v, alive=alive), scheme=scheme, key=KEY, dt=dt, num_steps=4, throw=False, adjoint=jk.Direct()
    ).final
    return jnp.sum(jnp.where(final.alive[:, None], jnp.sin(final.velocity) * jnp.arange(1.0, 4.0)[None], 0))


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("scheme", [ExactClock(max_windows=8, max_waves=20), TauLeap()])
def test_velocity_gradients(scheme, alpha):
    """Maxwell molecules, annihilation included: reverse and forward mode, and forward mode also without `max_windows`
    and `max_waves`, against finite differences. Catches inactive events that contribute."""
    walk, v = B.KacWalk(B.Maxwell(), 10.0, alpha), normal_particles(12).velocity
    direction = jax.random.normal(jax.random.key(5), v.shape)
    both = jax.jit(jax.value_and_grad(lambda v: observable(walk, v, scheme)))
    gradient = both(v)[1]
    ends = [both(v + s * 1e-6 * direction)[0] for s in (1, -1)]
    expected = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(jnp.vdot(gradient, direction), expected, rtol=1e-6)
    assert jnp.linalg.norm(gradient) > 0.1
    free = ExactClock() if isinstance(scheme, ExactClock) else scheme
    forward = jax.jvp(lambda v: observable(walk, v, free), (v,), (direction,))[1]
    np.testing.assert_allclose(forward, expected, rtol=1e-6)


RATE = "A gradient reaches the rate of the jumps"
CHANCE = "The outcome of `jk.random.bernoulli` depends on a parameter through its probability"


@pytest.mark.parametrize("scheme", [ExactClock(max_windows=8, max_waves=20), TauLeap()])
@pytest.mark.parametrize(
    ("function", "at", "sentence"),
    [
        (lambda x, s: observable(B.KacWalk(B.HardSphere(x), 10.0), V, s), 1.0, RATE),
        (lambda x, s: observable(B.KacWalk(B.Maxwell(x), 10.0), V, s), 1.0, RATE),
        (lambda x, s: observable(B.KacWalk(B.VariableHardSphere(x), 10.0), V, s), 1.0, RATE),
        (lambda x, s: observable(B.KacWalk(B.Maxwell(), x), V, s), 10.0, RATE),
        (lambda x, s: observable(B.KacWalk(B.Maxwell(), 10.0, x), V, s), 0.3, CHANCE),
        (lambda x, s: observable(B.KacWalk(B.Maxwell(), 10.0), V, s, dt=x), 0.5, RATE),
        (lambda x, s: observable(B.KacWalk(B.HardSphere(), 10.0), x * V, s), 1.0, RATE),
    ],
    ids=["hard spheres", "strength", "gamma", "volume", "alpha", "dt", "velocity"],
)
@pytest.mark.parametrize("mode", ["grad", "jvp", "jit", "vmap", "checkpoint"])
def test_biased_gradients_raise(function, at, sentence, scheme, mode):
    """The error gives the reason, in every mode. Catches a guard that an inner transformation makes silent: a gradient
    of 0."""
    f = {
        "grad": lambda: jax.grad(lambda x: function(x, scheme))(at),
        "jvp": lambda: jax.jvp(lambda x: function(x, scheme), (at,), (1.0,)),
        "jit": lambda: jax.jit(jax.grad(lambda x: function(x, scheme)))(at),
        "vmap": lambda: jax.vmap(jax.grad(lambda x: function(x, scheme)))(jnp.full(2, at)),
        "checkpoint": lambda: jax.grad(jax.checkpoint(lambda x: function(x, scheme)))(at),
    }[mode]
    with pytest.raises(ValueError, match=sentence):
        f()


V = normal_particles(6).velocity


def test_biased_gradients_of_systems_raise():
    """`eqx.filter_grad` with respect to a complete system raises. Catches a guard that holds for single parameters only."""
    with pytest.raises(ValueError, match=f"{RATE}|{CHANCE}"):
        eqx.filter_grad(lambda walk: observable(walk, V, ExactClock(8, 20)))(B.KacWalk(B.Maxwell(), 10.0, 0.2))


class Steps(B.AbstractCrossSection):
    """Sigma made by a comparison: its tangent is zero, the law's dependence on the velocities is not."""

    bounded = True

    def sigma(self, r2):
        return jnp.where(r2 < 4, 1.0, 0.0).astype(r2.dtype)

    def bound(self, r_max):
        return jnp.ones_like(r_max)


@pytest.mark.parametrize("scheme", [ExactClock(8, 20), TauLeap()])
def test_biased_gradients_through_comparisons_raise(scheme):
    """The tangent of such a rate is zero, the dependence of the law on the velocities is not. Catches a guard that looks
    at tangents alone."""
    with pytest.raises(ValueError, match=RATE):
        jax.grad(lambda v: observable(B.KacWalk(Steps(), 10.0), v, scheme))(V)


class Deflection(B.AbstractCrossSection):
    """Sigma = 1, z rotated by a fixed angle in the plane of its first two components: a parameter of the jump map only."""

    angle: jax.Array = eqx.field(converter=jnp.asarray)
    bounded = True
    constant = True

    def sigma(self, r2):
        return jnp.ones_like(r2)

    def bound(self, r_max):
        return jnp.ones_like(r_max)

    def num_words(self, dim):
        return 0

    def scatter(self, words, z):
        r = jnp.sqrt(z[0] ** 2 + z[1] ** 2)
        w = z[0] / r, z[1] / r
        c, s = jnp.cos(self.angle), jnp.sin(self.angle)
        return r * (c * w[0] - s * w[1]), r * (s * w[0] + c * w[1]), z[2]


@pytest.mark.parametrize("num", [12, 13])
@pytest.mark.parametrize("scheme", [ExactClock(8, 20), TauLeap()])
def test_gradient_in_jump_map_parameter(scheme, num):
    """Reverse mode, against the finite difference. Catches NaN from idle lanes, where z/|z| is 0/0."""
    v = normal_particles(num).velocity

    @jax.jit
    @jax.value_and_grad
    def f(angle):
        return observable(B.KacWalk(Deflection(angle), 10.0), v, scheme)

    np.testing.assert_allclose(f(0.7)[1], (f(0.7 + 1e-6)[0] - f(0.7 - 1e-6)[0]) / 2e-6, rtol=1e-6)
