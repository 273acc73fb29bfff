"""Explicit Runge-Kutta schemes: orders, stability of RKC, its choice of stages, gradients, restarts."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

POINTS = 32
X = jnp.asarray(np.sin(2 * np.pi * np.arange(POINTS) / POINTS) + 0.3)


class Reaction(jk.AbstractField):
    """A heat equation with a reaction that depends on time: stiff, and not autonomous."""

    conserves: ClassVar[dict] = {}
    rate: jax.Array

    def check(self, state): ...

    def default_scheme(self):
        return jk.RKC()

    def vector_field(self, t, state):
        return self.rate * (jnp.roll(state, 1) - 2 * state + jnp.roll(state, -1)) - state**3 * jnp.cos(t)

    def stiffness(self, t, state):
        return 4 * self.rate + 3 * jnp.max(state * state)


class Unknown(Reaction):
    """Without `stiffness`."""

    def stiffness(self, t, state):
        return None


def final(num_steps, scheme, system=None, **options):
    system = Reaction(jnp.asarray(5.0)) if system is None else system
    return jk.simulate(system, X, dt=1 / num_steps, num_steps=num_steps, scheme=scheme, **options)


@pytest.fixture(scope="module")
def truth():
    return np.asarray(final(3200, jk.RungeKutta(4)).final)


@pytest.mark.parametrize(
    ("scheme", "order", "steps"),
    [(jk.RungeKutta(1), 1, (200, 400)), (jk.RungeKutta(2), 2, (100, 200)), (jk.RungeKutta(3), 3, (50, 100)),
     (jk.RungeKutta(4), 4, (50, 100)), (jk.RKC(16), 2, (20, 40)), (jk.RKC(25), 2, (40, 80))],
)  # fmt: skip
def test_order(scheme, order, steps, truth):
    """The error of halved steps falls by 2^order within 15 %, for a field that depends on time. Catches a wrong coefficient,
    and a stage at the wrong time: with t for t + c dt the order is 1."""
    errors = [np.abs(np.asarray(final(n, scheme).final) - truth).max() for n in steps]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.2, errors
    assert scheme.weak_order == order


def test_stages_are_enough_and_few():
    """Decay rates up to dt lambda = 2000 with the stages that RKC chooses: every mode decays, with at most 1.3 times the fewest
    stages that would do; with fewer the run warns, and with half of them it explodes. Catches a stability interval that is
    too long."""
    stiff = Reaction(jnp.asarray(20_000.0))
    chosen = final(40, jk.RKC(), stiff)
    needed = np.sqrt(1 + 1.5 * 80_000 / 40)
    stages = int(chosen.stats["stages"])
    assert needed <= stages <= 1.3 * needed
    assert float(chosen.stats["stages_missing"]) == 0
    assert np.ptp(np.asarray(chosen.final)) < 1e-3
    with pytest.warns(UserWarning, match=r"a step of RKC needs \d+ more stages than it has"):
        jk.simulate(stiff, X, dt=1 / 40, num_steps=1, scheme=jk.RKC(int(needed * 0.9)))
    assert not np.ptp(np.asarray(final(40, jk.RKC(stages // 2), stiff, throw=False).final)) < 1


def test_restart_and_gradients():
    """A continued run has the bits of one in one piece; reverse and forward mode agree with differences to 1e-7, through stages
    whose number is chosen in the run. Catches a number of stages that depends on where the run began."""
    whole, half = final(8, jk.RKC()), jk.simulate(Reaction(jnp.asarray(5.0)), X, dt=1 / 8, num_steps=3)
    rest = jk.simulate(Reaction(jnp.asarray(5.0)), half.checkpoint, num_steps=5)
    np.testing.assert_array_equal(rest.final, whole.final)

    def total(rate):
        return jnp.sum(final(8, jk.RKC(), Reaction(rate)).final ** 2)

    forward = lambda rate: jnp.sum(final(8, jk.RKC(), Reaction(rate), adjoint=jk.Direct()).final ** 2)  # noqa: E731
    rate, small = jnp.asarray(5.0), 1e-5
    difference = (total(rate + small) - total(rate - small)) / (2 * small)
    np.testing.assert_allclose(jax.grad(total)(rate), difference, rtol=1e-7)
    np.testing.assert_allclose(jax.jvp(forward, (rate,), (jnp.ones(()),))[1], difference, rtol=1e-7)


def test_generator_of_a_field():
    """(L phi)(state) is the derivative of phi along the field. Catches a sign."""
    system = Reaction(jnp.asarray(5.0))
    applied = system.generator(lambda u: jnp.sum(u**2))(X)
    np.testing.assert_allclose(applied, 2 * jnp.sum(X * system.vector_field(0.0, X)), rtol=1e-12)


def test_rounding_of_many_stages():
    """In float32, a heat equation by 100 stages keeps its mass to round-off and differs from the float64 run by 3e-6. Catches a
    recursion over states, whose sums cancel: round-off times the square of the stages."""

    class Heat(Reaction):
        def vector_field(self, t, state):
            return self.rate * (jnp.roll(state, 1) - 2 * state + jnp.roll(state, -1))

    def done(dtype):
        start = (2 + X).astype(dtype)
        run = jk.simulate(Heat(jnp.asarray(900.0)), start, dt=1.0, num_steps=5, scheme=jk.RKC(100))
        return np.asarray(run.final, float)

    single, double = done(jnp.float32), done(jnp.float64)
    np.testing.assert_allclose(single.mean(), double.mean(), rtol=3e-7)
    np.testing.assert_allclose(single, double, rtol=3e-6)


def test_errors():
    """Catches raw errors for an order or a number of stages that does not exist."""
    with pytest.raises(ValueError, match="`stages` must be at most 1000, but is 1000000"):
        jk.RKC(10**6)
    with pytest.raises(ValueError, match="`order` must be 1, 2, 3 or 4, but is 5; choose one"):
        jk.RungeKutta(5)
    with pytest.raises(ValueError, match="`stages` must be at least 2, but is 1"):
        jk.RKC(1)
    with pytest.raises(ValueError, match="`stages` must be given for Unknown, which has no `stiffness`, but is None"):
        final(4, jk.RKC(), Unknown(jnp.asarray(5.0)))
    assert np.isfinite(np.asarray(final(8, jk.RKC(10), Unknown(jnp.asarray(5.0))).final)).all()
