"""`jk.chaos_study` refuses what would give a silent wrong answer, in one sentence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic.chaos.study import _step

KEY = jax.random.key(7)
WALL = jk.vlasov.NBody(jk.vlasov.Cosine())


def square(state):
    return jnp.sum(state.velocity**2, 1)


COVARIANCE = {"covariance": jk.chaos.PairCovariance(square)}


def free(num):
    return WALL


def independent(key, num, dim=1):
    one, other = jax.random.split(key)
    return jk.Particles(jax.random.normal(one, (num, dim)), jax.random.uniform(other, (num, dim)))


def pairs(key, num):
    one, other = jax.random.split(key)
    half = jax.random.normal(one, (num // 2, 1))
    return jk.Particles(jnp.concatenate([half, half]), jax.random.uniform(other, (num, 1)))


def same(key, num):
    return independent(jax.random.key(0), num)


def of_five(key, num):
    return independent(key, 5)


def planar(time):
    return functools.partial(independent, dim=2)


def study(start=independent, distances=COVARIANCE, system=free, Ns=(4, 6, 8), **given):
    given = {"times": [0.0], "dt": 0.1, "replicas": 64, **given}
    return jk.chaos_study(system, start, distances, Ns, key=KEY, **given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"replicas": 1}, "`replicas` must be at least 4"),
        ({"replicas": 3, "distances": {"m": jk.chaos.Moment(square)}}, "`replicas` must be at least 4"),
        ({"floor": 1}, "`floor` must be True, False"),
        ({"floor": np.array([True, False])}, "`floor` must be True, False"),
        ({"theory": [1]}, "`theory` must map"),
        ({"theory": {"covariance": "bound 1/2"}}, "must be a Theory"),
        ({"theory": {"other": jk.chaos.Theory("bound 1/2")}}, "`theory` must have names"),
        ({"distances": {1: COVARIANCE["covariance"]}}, "names that are strings"),
        ({"distances": {"": COVARIANCE["covariance"]}}, "names that are strings"),
        ({"start": lambda key: independent(key, 4)}, r"`start` must be a function of \(key, N\)"),
        ({"start": of_five}, "`start` must return N = 4 particles"),
        ({"system": lambda num: 3}, "`system_of_N` must return a system"),
        ({"system": lambda one, other: WALL}, "`system_of_N` must be a function of N"),
        ({"draws": 1}, "`draws` must be at least 2"),
        ({"draws": 2.5}, "`draws` must be an integer"),
        ({"times": []}, "`times` must have at least one"),
        ({"path": 3}, "`path` must be a path"),
        ({"Ns": (4, 6, 10**13)}, "`Ns` must be at most"),
        ({"distances": {"b": jk.chaos.MomentBias(square)}, "limit": planar}, "`limit` must be a law of particles in d = 1"),
        ({"distances": {"w": jk.chaos.Wasserstein()}, "limit": planar}, "`limit` must be a law of particles in d = 1"),
    ],
)  # fmt: skip
def test_refused_before_anything_runs(given, sentence):
    """One sentence each. Catches runs with errors of 0 (fewer than 4 of them), a floor that is silently not removed (1 is not
    True), five particles that are called N, and a limit in another dimension, which looked like absence of chaos."""
    with pytest.raises(ValueError, match=sentence) as error:
        study(**given)
    assert "\n" not in str(error.value)


def test_one_start_for_all_keys_is_refused():
    """Equal runs have no spread. Catches errors of 0 and an exponent that is one draw of noise."""
    with pytest.raises(ValueError, match="`start` must depend on its key"):
        study(same)


def test_a_start_that_is_not_independent_is_no_control_variate():
    """Equal pairs have the covariance 2/(N - 1) at time 0. Subtracting it as noise gives about 0 at later times."""
    with pytest.raises(ValueError, match="`independent_start` must be False where 'covariance' does not vanish"):
        study(pairs, independent_start=True, times=[0.1], replicas=2048)


def test_runs_for_a_target_without_an_exponent():
    """The noise of independent particles is far above any target with 64 runs: the number is that of three N that stand out,
    and is called a lower bound. Catches 4 times the allowed number, whatever the target."""
    with pytest.raises(ValueError, match=r"takes at least (?!256)[0-9]+; raise"):
        study(target=1e-3)


def test_default_step_of_exact_clock():
    """The largest common step. Catches a division by zero for times = [0], and 10^9 steps for (.5, .75): 2/3 of the last time
    is no multiple of its billionth."""
    clock = jk.pairs.ExactClock()
    assert _step((0.0,), None, clock) == 1.0
    for times, step in (
        ((0.5, 0.75), 0.25),
        ((0.0, 0.1, 0.3, 0.7), 0.1),
        ((1.0,), 1.0),
        ((1 / 3, 1.0), 1 / 3),
        ((4.0, 6.0), 2.0),
    ):
        assert _step(times, None, clock) == pytest.approx(step)
    with pytest.raises(ValueError, match="`dt` must be given for times without a common step"):
        _step((1.0, 2**0.5), None, clock)
