"""The rule for derivatives of sums of a radial law, against the derivatives of the sums themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic.landau import AbstractRadial, PowerLaw
from jaxkinetic.landau.interactions import PairNormals
from jaxkinetic.pairs import radial_sums
from jaxkinetic.pairs.radial_sums import radial_sum
from jaxkinetic.pairs.sums import weighted_sum

KEY = jnp.asarray([3, 4], jnp.uint32)
LAW = PowerLaw(-1.7, 0.7, 0.2)


class Mixture(AbstractRadial):
    """Its parameter is a vector: no rule of its own."""

    weights: jax.Array

    def psi(self, r2):
        return self.weights[0] * jnp.exp(-r2) + self.weights[1]


def terms(z, weights, x):
    """An odd output, an even one, and one that is odd with noise x_ji = -x_ij."""
    w = weights[0]
    square = sum(c * c for c in z)
    return w * z[0], w * square * z[1] * z[1], w * w * square * x[0] + w * z[0] * z[1] * x[1]


def weight(law, r2):
    return law._weight(r2)


@pytest.mark.parametrize(
    ("num", "ordered", "side"),
    [
        (38, False, "cpu"),
        (38, False, "default"),
        (37, True, "cpu"),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((37, False, "cpu"), (37, False, "default"), (38, True, "cpu"), (38, True, "default"))
        ],
        (37, True, "default"),
    ],
)
def test_rule_equals_derivative_of_the_sum(monkeypatch, num, ordered, side):
    """Gradient in velocities and parameters, forward mode, and a product with the second derivative; several blocks with
    padding, odd and even numbers of slots, two dead ones, and two particles at one place. Both programs of the rule: that
    of a CPU, where a pair is visited once, and that of accelerators. Catches a pair that is visited twice or not at all
    (N even, |i - j| = N/2), a wrong parity, x_ij for x_ji, a parameter's derivative counted twice."""
    monkeypatch.setattr(radial_sums, "_by_platform", lambda *args, **programs: programs[side](*args))
    velocity = jax.random.normal(jax.random.key(1), (num, 2)).at[3].set(1e200)
    velocity = velocity.at[7].set(velocity[5])
    alive = jnp.ones(num, bool).at[jnp.asarray([3, num - 1])].set(False)
    ident = jnp.arange(num, dtype=jnp.uint32)[::-1]
    noise = PairNormals(KEY, 2, jnp.float64, ordered=ordered)
    cotangent, direction = jax.random.normal(jax.random.key(2), (2, num, 3))
    changes = direction[:, :2], jax.tree.map(lambda x: x + 1, LAW)

    def ruled(velocity, law):
        state = jk.Particles(velocity, alive=alive, ident=ident)
        parity = None if ordered else (-1, 1, -1)
        return radial_sum(terms, weight, law, state, parity=parity, noise=noise, area=5 * num)

    def plain(velocity, law):
        state = jk.Particles(velocity, alive=alive, ident=ident)
        weights = lambda z: (weight(law, z[0] * z[0] + z[1] * z[1]),)  # noqa: E731
        return weighted_sum(terms, state, weights=weights, noise=noise)

    @jax.jit
    def derivatives(velocity, law):
        def of(f):
            gradient = jax.grad(lambda *at: jnp.vdot(cotangent, f(*at)), (0, 1))
            return jax.jvp(f, (velocity, law), changes), jax.jvp(gradient, (velocity, law), changes)

        return of(ruled), of(plain)

    got, expected = (jax.tree.leaves(part) for part in derivatives(velocity, LAW))
    for x, y in zip(got, expected, strict=True):
        assert np.abs(y).max() > 1
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10 * np.abs(y).max())


def test_parameters_that_the_rule_does_not_know():
    """A law whose parameter is a vector, and one that uses a traced value from outside: their gradients against differences.
    Catches a rule that returns 0 for them."""
    velocity = jax.random.normal(jax.random.key(1), (6, 3))

    def of_vector(at):
        sum_b = Mixture(jnp.stack([at, 2 * at])).sum_b(jk.Particles(velocity))
        return jnp.sum(sum_b**2)

    def of_outside(at):
        class Outside(AbstractRadial):
            def psi(self, r2):
                return jnp.exp(-at * r2)

        return jnp.sum(Outside().sum_b(jk.Particles(velocity)) ** 2)

    for f in (of_vector, of_outside):
        at, step = jnp.asarray(0.7), 1e-5
        difference = (f(at + step) - f(at - step)) / (2 * step)
        np.testing.assert_allclose(jax.jit(jax.grad(f))(at), difference, rtol=1e-7)
        np.testing.assert_allclose(jax.grad(f)(at), difference, rtol=1e-7)
