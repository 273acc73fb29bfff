"""Microcanonical binary collisions: gradients, bad input, and failures in a run."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynkin import datum
from helpers import slow_but
from registry import Yukawa

import jaxkinetic as jk

L, exact = jk.landau, jk.landau.exact
MBC, POWER, CLOCK, LEAP = L.Microcanonical, L.PowerLaw, jk.pairs.ExactClock, jk.pairs.TauLeap
LAWS = ("fixed_angle", "constant_rate", "heat_kernel")


# ---- gradients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "dim", "scheme"),
    [
        pytest.param("constant_rate", 2, CLOCK(max_windows=6, max_waves=24), marks=pytest.mark.slow),
        pytest.param("heat_kernel", 3, CLOCK(max_windows=6, max_waves=24), marks=pytest.mark.slow),
        ("constant_rate", 3, LEAP()), ("heat_kernel", 2, LEAP()),
    ],
)  # fmt: skip
def test_parameter_gradients(law, dim, scheme):
    """gamma, strength, floor, softening and the initial velocities along a direction, forward and reverse, under common
    random numbers, each above 1e-3 in size; strong enough for some pairs of "constant_rate" to be capped. Catches a
    gradient that misses a dependence of the angle."""
    state, c = datum(8, dim)
    way = jax.random.normal(jax.random.key(4), state.velocity.shape)

    def observable(parameters):
        gamma, strength, floor, softening, shift = parameters
        system = MBC(POWER(gamma, strength, softening), law, 0.08, floor)
        final = jk.simulate(
            system, jk.Particles(state.velocity + shift * way), scheme=scheme, key=jax.random.key(3), dt=0.2, num_steps=3,
            adjoint=jk.Direct(), throw=False,
        ).final  # fmt: skip
        return jnp.sum(jnp.sin(final.velocity) * c)

    at = jnp.asarray([-1.5, 1.2, 1.3, 0.6, 0.1])
    both, step = jax.jit(jax.value_and_grad(observable)), 1e-6
    reverse, forward = both(at)[1], jax.jit(jax.jacfwd(observable))(at)
    difference = [(both(at + step * e)[0] - both(at - step * e)[0]) / (2 * step) for e in jnp.eye(5)]
    print(law, dim, reverse)
    np.testing.assert_allclose(reverse, difference, rtol=2e-6, atol=1e-8)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-12)
    assert (np.abs(reverse) > 1e-3).all()


@pytest.mark.parametrize("scheme", [CLOCK(), LEAP()])
def test_biased_gradients_raise(scheme):
    """Gradients that would miss a change of the events raise: in epsilon for every law; with "fixed_angle" in everything but
    the velocities of Maxwell molecules. Catches a gradient of the path alone."""
    state, _ = datum(6, 3)

    def run(system, velocity=state.velocity):
        return jk.simulate(system, jk.Particles(velocity), scheme=scheme, key=jax.random.key(0), dt=0.05, num_steps=1)

    def value(system, velocity=state.velocity):
        return run(system, velocity).final.velocity[0, 0]

    for law in LAWS:
        with pytest.raises(ValueError, match="A gradient reaches the rate"):
            jax.jvp(lambda e, law=law: value(MBC(L.Maxwell(), law, e)), (0.1,), (1.0,))
    for strength in (lambda c: L.Maxwell(c), lambda c: POWER(1.0, c)):
        with pytest.raises(ValueError, match="A gradient reaches the rate"):
            jax.jvp(lambda c, make=strength: value(MBC(make(c), "fixed_angle", 0.5)), (1.0,), (1.0,))
    tangent = jnp.ones_like(state.velocity)
    with pytest.raises(ValueError, match="A gradient reaches the rate"):
        jax.jvp(lambda v: value(MBC(POWER(1.0), "fixed_angle", 0.5), v), (state.velocity,), (tangent,))


@pytest.mark.parametrize("scheme", [CLOCK(), LEAP()])
def test_velocity_gradients_at_a_fixed_angle(scheme):
    """Maxwell molecules: the rate is a constant, so these gradients are right; they are finite differences. Catches a
    guard that raises too often."""
    state, c = datum(6, 3)
    way = jax.random.normal(jax.random.key(4), state.velocity.shape)

    def observable(shift):
        final = jk.simulate(
            MBC(L.Maxwell(), "fixed_angle", 0.5), jk.Particles(state.velocity + shift * way), scheme=scheme,
            key=jax.random.key(0), dt=0.05, num_steps=2, throw=False,
        ).final  # fmt: skip
        return jnp.sum(jnp.sin(final.velocity) * c)

    _, forward = jax.jvp(observable, (0.0,), (1.0,))
    np.testing.assert_allclose(forward, (observable(1e-6) - observable(-1e-6)) / 2e-6, rtol=1e-6)
    assert abs(forward) > 1e-2


# ---- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MBC(POWER(-3.0), "rutherford", 0.1),
            "`law` must be one of 'fixed_angle', 'constant_rate', 'heat_kernel'",
        ),
        (lambda: MBC(L.Maxwell(), "fixed_angle", 3.2), r"`epsilon` must be an angle in \(0, pi\], but is 3.2"),
        (lambda: MBC(L.Maxwell(), "fixed_angle", 0.0), "`epsilon` must be positive, but is 0"),
        (lambda: MBC(L.Maxwell(), "heat_kernel", -0.1), "`epsilon` must be positive, but is -0.1"),
        (lambda: MBC(L.Maxwell(), "heat_kernel", math.nan), "`epsilon` must be finite"),
        (lambda: MBC(L.Maxwell(), "heat_kernel", 0.1, floor=0.0), "`floor` must be positive, but is 0"),
        (lambda: MBC(L.Trigonometric([[0]], [1.0]), "heat_kernel", 0.1), "`interaction` must be radial"),
        (lambda: MBC(3.0, "heat_kernel", 0.1), "`interaction` must be radial"),
        (lambda: exact.microcanonical_defect("rutherford", 1, 0.1, 3), "`law` must be one of"),
        (lambda: exact.microcanonical_defect("fixed_angle", 1, 4.0, 3), "`epsilon` must be an angle"),
        (lambda: exact.microcanonical_defect("heat_kernel", 0, 0.1, 3), "`l` must be at least 1"),
    ],
)
def test_argument_errors(make, message):
    """Bad arguments raise a `ValueError` that names the argument. Catches an angle above pi, a size that is not
    positive, and an interaction without psi(r)."""
    with pytest.raises(ValueError, match=message):
        make()


def test_incompatible_law_and_interaction_raise():
    """Collisions at a fixed angle need a majorant. Catches a psi(r) without a bound, a `floor` too small to bound it,
    and a user's interaction without `largest_psi`."""
    state = jk.initial.maxwellian(jax.random.key(0), 8, 3)

    def run(system, state=state):
        return jk.simulate(system, state, key=jax.random.key(1), dt=0.02, num_steps=1)

    with pytest.raises(ValueError, match=r'`floor` must be given with law="fixed_angle" where psi\(r\) is unbounded'):
        run(MBC(POWER(-3.0), "fixed_angle", 0.5))
    run(MBC(POWER(-3.0, softening=0.3), "fixed_angle", 0.5))
    run(MBC(POWER(-3.0), "fixed_angle", 0.5, floor=0.3))
    with pytest.raises(ValueError, match="but is 1e-200, too small to bound it"):
        run(MBC(POWER(-3.0), "fixed_angle", 0.5, floor=1e-200))
    with pytest.raises(ValueError, match=r"have a method `largest_psi\(least, most\)`.*Yukawa has none"):
        run(MBC(Yukawa(1.0, 1.0), "fixed_angle", 0.5))
    with pytest.raises(ValueError, match="`gamma` must be at least -d = -3"):
        run(MBC(POWER(-4.0), "heat_kernel", 0.1))
    with pytest.raises(ValueError, match="at least 2 particles"):
        run(MBC(L.Maxwell(), "heat_kernel", 0.1), jk.Particles(jnp.ones((1, 3))))


@pytest.mark.parametrize(("law", "epsilon"), [("fixed_angle", 4.0), ("heat_kernel", -0.1), ("constant_rate", jnp.nan)])
def test_invalid_traced_epsilon_stops_the_run(law, epsilon):
    """Catches an angle above pi, or a negative or NaN size, whose value is known only during the run."""
    state = jk.initial.maxwellian(jax.random.key(0), 8, 3)

    @jax.jit
    def code(epsilon):
        system = MBC(L.Maxwell(), law, epsilon)
        return jk.simulate(system, state, key=jax.random.key(1), dt=0.1, num_steps=1, throw=False).result.code

    assert code(0.5) == jk.Result.FINISHED
    assert code(epsilon) == jk.Result.BAD_CLOCK


@pytest.mark.parametrize("law", LAWS)
def test_invalid_traced_floor_stops_the_run(law):
    """A floor that is NaN or negative, known only during the run, ends it. Catches pairs that collide as at r = 1 or with
    |floor|, which would look like a result."""
    state = jk.initial.maxwellian(jax.random.key(0), 8, 3)

    @jax.jit
    def code(floor):
        system = MBC(POWER(-1.0), law, 0.3, floor)
        return jk.simulate(system, state, key=jax.random.key(1), dt=0.3, num_steps=1, throw=False).result.code

    assert code(0.3) == jk.Result.FINISHED
    assert code(jnp.nan) != jk.Result.FINISHED
    assert code(-0.3) != jk.Result.FINISHED


def test_unbounded_traced_rate_stops_the_run():
    """Coulomb's law at a fixed angle, the exponent traced: nothing can be checked beforehand. Catches a run without a
    majorant that reports success."""
    state = jk.initial.maxwellian(jax.random.key(0), 8, 3)

    @jax.jit
    def code(gamma):
        system = MBC(POWER(gamma), "fixed_angle", 0.5)
        return jk.simulate(system, state, key=jax.random.key(1), dt=0.1, num_steps=1, throw=False).result.code

    assert code(0.0) == jk.Result.FINISHED
    assert code(-3.0) == jk.Result.BAD_CLOCK


@pytest.mark.parametrize("law", slow_but(("constant_rate", "fixed_angle"), LAWS))
def test_coincident_particles(law):
    """r = 0: there is no direction, nothing is rotated, and gradients are finite. Catches 0/0."""
    v = jnp.zeros((6, 3)).at[0].set(1.0)
    system = MBC(POWER(0.5, softening=0.1) if law == "fixed_angle" else POWER(-3.0), law, 0.1)
    run = jk.simulate(system, jk.Particles(v), key=jax.random.key(0), dt=1.0, num_steps=2)
    assert run.stats["collisions"] > 0
    np.testing.assert_allclose(run.final.velocity.sum(axis=0), 1.0, rtol=1e-12)
    if law != "fixed_angle":
        scheme = CLOCK(max_windows=20, max_waves=30)

        def energy_of_first(strength):
            system = MBC(POWER(-3.0, strength), law, 0.1)
            final = jk.simulate(
                system, jk.Particles(v), scheme=scheme, key=jax.random.key(0), dt=0.2, num_steps=1, throw=False
            ).final
            return jnp.sum(final.velocity[0] ** 2)

        assert jnp.isfinite(jax.grad(energy_of_first)(0.01))


# Compiled as a user compiles: without optimisations the two programs differ in a last bit.
@pytest.mark.optimised
def test_path_is_independent_of_capacity():
    """At constant rates the path itself, not only its law, is independent of the capacity of the windows. Catches noise
    keyed by the place in a window."""
    state, _ = datum(16, 3)
    system = MBC(POWER(-3.0), "heat_kernel", 0.05)
    finals = [
        jk.simulate(system, state, scheme=CLOCK(capacity=k), key=jax.random.key(2), dt=0.3, num_steps=2).final.velocity
        for k in (4, 16)
    ]
    assert np.array_equal(*finals)
    assert not np.allclose(finals[0], state.velocity, atol=1e-3)
