"""`Reversible` compares the start that its backward pass rebuilds with the true one."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

# Six attracting bodies in the plane: chaotic, a Lyapunov time is about 2.
_RNG = np.random.default_rng(1)
START, SPEEDS, MOVED = _RNG.normal(size=(6, 2)), 0.5 * _RNG.normal(size=(6, 2)), _RNG.normal(size=(6, 2))


def gradient(adjoint, num_steps, *, throw=True, speeds=SPEEDS, scheme=None):
    """(error that was measured, derivative of a mean of the last positions along a shift of the first)."""
    x, v, moved = (jnp.asarray(a, jnp.float32) for a in (START, speeds, MOVED))

    def last(s):
        run = jk.simulate(
            jk.vlasov.NBody(jk.vlasov.Gaussian(-4.0, 0.5)), jk.Particles(v, x + s * moved), dt=0.05,
            scheme=scheme, num_steps=num_steps, adjoint=adjoint, throw=throw,
        )  # fmt: skip
        return jnp.sum(run.final.position * moved[:, ::-1]), run.stats.get("rebuilt_error")

    (_, error), derivative = jax.jit(jax.value_and_grad(last, has_aux=True))(jnp.float32(0))
    return error, float(derivative)


def test_chaotic_path_raises():
    """40 time units in float32: what is rebuilt has nothing to do with the start, and the gradient is another number than that
    of stored states, which has none of this error. It raises; is NaN with `throw=False`; passes without a limit. Catches a
    backward pass that never looks where it arrives (-13.5 was returned where 2.484 is right)."""
    error, unlimited = gradient(jk.Reversible(math.inf, measure=True), 800)
    _, right = gradient(jk.Direct(), 800)
    assert error > 0.1
    assert abs(unlimited / right - 1) > 0.05
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"must rebuild the initial state to 0\.001, but"):
        gradient(jk.Reversible(), 800)
    assert math.isnan(gradient(jk.Reversible(), 800, throw=False)[1])


def test_harmless_path_is_as_it_was():
    """5 time units in float32, from rest (velocities 0 are no reason for an infinite relative distance): the gradient is that
    of stored states, and the distance that is reported is far below the tolerance. Catches a limit that strikes by mistake,
    and a distance that counts what the backward pass leaves alone."""
    # A Leapfrog holds velocities half a step ahead, which are not 0.
    case = {"speeds": np.zeros((6, 2)), "scheme": jk.Strang(), "throw": False}
    error, checked = gradient(jk.Reversible(measure=True), 100, **case)
    assert 0 < error < 1e-4
    np.testing.assert_allclose(checked, gradient(jk.Direct(), 100, **case)[1], rtol=1e-3)


def test_tolerance_is_the_limit():
    """A limit below the round-off of a harmless path raises: the distance is compared with the tolerance that was given."""
    with pytest.raises(
        jax.errors.JaxRuntimeError, match="initial state to 1e-09, but what it rebuilt is at the relative distance "
    ):
        gradient(jk.Reversible(1e-9), 100)


@pytest.mark.parametrize(
    ("tolerance", "message"), [(-1.0, "not be negative"), (math.nan, "finite"), ("a", "real number")]
)
def test_bad_tolerances_raise(tolerance, message):
    with pytest.raises(ValueError, match=f"Argument `tolerance` must .*{message}"):
        jk.Reversible(tolerance)
