"""Gradients of a fitted decay rate in the parameters of a system: what the library was written for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import KEY
from derivative_cases import BODIES, DIFFUSIONS, EQUATIONS, JUMPS, PAIRS, WAVES
from helpers import particles

import jaxkinetic as jk

NUM_STEPS = 8


def curve(case, system):
    """(times, values) of the signal of one run, or the noise held fixed."""
    save = jk.Save(every=1, observe={"signal": case.signal})
    solution = case.run(system, NUM_STEPS, save=save, adjoint=jk.Direct())
    return solution.times, solution.observed["signal"]


FAST = ("kac-power", "leap-constant-rate", "bodies-leapfrog")
CASES = [
    pytest.param(case, marks=[pytest.mark.slow] * (case.name not in FAST), id=str(case))
    for case in (*DIFFUSIONS, *PAIRS, *JUMPS, *EQUATIONS, *WAVES, *BODIES)
]


@pytest.mark.parametrize("case", CASES)
def test_gradient_of_a_fitted_rate(case):
    """`jax.grad` of the rate of `fit_decay` is the central difference with the same key, in every parameter, and not zero.
    Catches a scheme, an observable or the fit that drops a dependence, in any of the systems with a pathwise derivative.

    Not jitted as a whole: the programs of the fit are then those of all cases."""
    parameters, system = case.split()

    def rate(given):
        return jk.fit_decay(*curve(case, system(given))).rate

    gradient = jax.grad(rate)(parameters)
    for name, x in parameters.items():
        step = 1e-5 * np.maximum(np.abs(x), 0.1)
        ends = [rate(parameters | {name: x + sign * step}) for sign in (1, -1)]
        # Of an array: along the direction of the steps.
        slope = jnp.vdot(gradient[name], step / np.max(step))
        difference = (ends[0] - ends[1]) / (2 * np.max(step))
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-7, err_msg=name)
        assert abs(slope) > 1e-5, name


def test_gradient_of_a_rate_through_jumps():
    """The rate at which the anisotropy of Kac's walk (Maxwell molecules, N = volume) decays is strength/2, so its derivative in
    the strength is 1/2; from the means of `jk.expectation` within 3 standard errors of at most .05. Catches a curve whose
    gradient omits the events that appear and disappear (0), or counts only those that happen (1), and a wrong time scale (a
    factor of 2). The mean of sum v_x^2 - v_z^2 is T_x - T_z times 1 + (N - 1) e^{-strength t/2}: hence the floor."""

    def start(key):
        return jk.initial.bimaxwellian(key, 50, 3, perpendicular=1.4, parallel=0.2)

    def anisotropy(state):
        return state.velocity[:, 0] ** 2 - state.velocity[:, 2] ** 2

    walk = jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(0.8), 50.0)
    mean = jk.expectation(
        walk, start, anisotropy, key=jax.random.key(3), replicas=400, dt=0.5, num_steps=4, every=1,
        gradient=lambda walk: walk.cross_section.strength,
    )  # fmt: skip
    rate = mean.apply(lambda values: jk.fit_decay(mean.times, values, floor=1.2).rate)
    assert abs(rate.value - 0.4) < 3 * rate.stderr < 0.04
    assert abs(rate.gradient - 0.5) < 3 * rate.gradient_stderr < 0.15


# For a single run the gradient raises.
RATES = {
    "walk": lambda x: jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(x), 3.0),
    "annihilation": lambda x: jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(1.0), 3.0, 0.5 * x),
    "fixed angle": lambda x: jk.landau.Microcanonical(jk.landau.PowerLaw(-1.0, x), "fixed_angle", 0.7, 0.5),
}


@pytest.mark.parametrize("name", RATES)
def test_rates_of_jumps_raise(name):
    """The gradient of a rate fitted to one path raises where it would miss the events that change. Catches a silent 0."""

    def rate(x):
        save = jk.Save(every=1, observe={"energy": jk.diagnostics.stress})
        solution = jk.simulate(
            RATES[name](x), particles(jax.random.key(1), 7, 3), scheme=jk.pairs.TauLeap(), key=KEY, dt=0.1, num_steps=6,
            save=save, throw=False, adjoint=jk.Direct(),
        )  # fmt: skip
        return jk.fit_decay(solution.times, solution.observed["energy"][:, 2, 2]).rate

    with pytest.raises(
        ValueError, match=r"A gradient reaches the rate of the jumps|depends on a parameter through its"
    ):
        jax.grad(rate)(1.0)
