"""The rule for derivatives of sums of a radial law, against the derivatives of the sums themselves."""

import logging
from collections.abc import Callable

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


class Shifted(AbstractRadial):
    """A law with a function, which is no array."""

    shape: Callable
    shift: jax.Array

    def psi(self, r2):
        return self.shape(r2 + self.shift)


class Weighted(AbstractRadial):
    """A law of which no rule is known: it has a weight of its own."""

    law: PowerLaw

    def psi(self, r2):
        return self.law.psi(r2)

    def psi_of(self, z):
        return 2 * super().psi_of(z)

    weight = psi_of


class General(jk.landau.AbstractInteraction):
    """A law that is not known to be radial."""

    law: PowerLaw

    def a(self, z):
        return self.law.a(z)

    def b(self, z):
        return self.law.b(z)

    def sigma(self, z):
        return self.law.sigma(z)


def _gradient(law, state):
    return jax.grad(lambda law: jnp.sum(law.sum_b(state) ** 2))(law)


@pytest.mark.parametrize(
    "call",
    [
        lambda law, state: jk.landau.Kac(law).drift(0.0, state).velocity,
        lambda law, state: law.sum_a(state),
        lambda law, state: jk.landau.IndependentNoise(law).noise(KEY, 0.0, 0.1, state).velocity,
        lambda law, state: jk.landau.MatrixSqrt(law).noise(KEY, 0.0, 0.1, state).velocity,
        _gradient,
        lambda law, state: jk.landau.MatrixSqrt(law, sums="product").drift(0.0, state).velocity,
        lambda law, state: Weighted(law).sums(state),
        lambda law, state: jk.landau.Kac(General(law)).drift(0.0, state).velocity,
        lambda law, state: jk.landau.Kac(General(law)).noise(KEY, 0.0, 0.1, state).velocity,
        lambda law, state: General(law).sum_a(state),
    ],
    ids=[
        "drift",
        "sum_a",
        "pair_noise",
        "matrix_root",
        "gradient",
        "product",
        "weighted",
        "general_b",
        "general_noise",
        "general_a",
    ],
)
def test_a_second_call_compiles_nothing(caplog, call):
    """Outside of `jit`, other arrays of the same shapes are summed by the program of the first call, with their own values.
    Catches a program that is made at every call, and one that keeps the parameters, the key or the velocities of its first
    call."""
    laws = PowerLaw(-1.7, 0.7, 0.2), PowerLaw(-2.5, 1.3, 0.1)
    states = [jk.Particles(jax.random.normal(jax.random.key(n), (66, 3))) for n in range(2)]
    jax.block_until_ready(call(laws[0], states[0]))
    with caplog.at_level(logging.DEBUG, "jax"), jax.log_compiles():
        got = call(laws[1], states[1])
        assert not [record for record in caplog.records if "ompil" in record.getMessage()]
        # The logger is heard.
        expected = jax.jit(lambda law, state: call(law, state))(laws[1], states[1])
        assert [record for record in caplog.records if "ompil" in record.getMessage()]
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12)


def test_what_is_remembered_is_the_right_sum():
    """Laws that differ in a function have different sums, and no traced value stays behind in what is remembered: the same law
    outside of `jit`, inside, and outside again, also with a parameter that is traced from outside. Catches a sum that is kept
    under too short a name, and a leaked tracer."""
    state = jk.Particles(jax.random.normal(jax.random.key(1), (6, 3)))

    def total(shift, shape=jnp.exp):
        return jnp.sum(Shifted(lambda r2: shape(-r2), shift).sum_b(state) ** 2)

    def known(shift, shape):
        return jnp.sum(Shifted(shape, shift).sum_b(state) ** 2)

    assert not np.allclose(known(0.5, jnp.exp), known(0.5, jnp.cosh))
    first = known(jnp.asarray(0.5), jnp.cosh)
    with jax.checking_leaks():
        value, slope = jax.jit(jax.value_and_grad(lambda shift: known(shift, jnp.cosh) + total(shift)))(0.5)
    np.testing.assert_allclose(value, first + total(0.5), rtol=1e-12)
    np.testing.assert_allclose(known(jnp.asarray(0.5), jnp.cosh), first, rtol=1e-12)
    near = [known(0.5 + step, jnp.cosh) + total(0.5 + step) for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (near[0] - near[1]) / 2e-5, rtol=1e-7)
