"""`jk.chaos_study`: the rate of chaos, and its absence, from runs whose laws are known."""

import dataclasses
import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic.chaos.measured import Measured

KEY = jax.random.key(22)
NS = (8, 16, 32, 64)
WALL = jk.vlasov.NBody(jk.vlasov.Cosine())


def square(state):
    return jnp.sum(state.velocity**2, 1)


def first(state):
    return state.velocity[:, 0]


def free(num):
    """A system that does nothing to velocities that matters here: tests that look at time 0 run one step of it."""
    return WALL


# ---- it can say no: the three starts of MATH section 10 --------------------------------------------------------------------


def shared_temperature(key, num):
    one, other = jax.random.split(key)
    temperature = jnp.where(jax.random.bernoulli(one), 1.5, 0.5)
    return jk.Particles(jnp.sqrt(temperature) * jax.random.normal(other, (num, 3)), jnp.zeros((num, 3)))


def pairs(key, num):
    one, other = jax.random.split(key)
    half = jax.random.normal(one, (num // 2, 3))
    return jk.Particles(jax.random.permutation(other, jnp.concatenate([half, half])), jnp.zeros((num, 3)))


@functools.cache
def start_study(start):
    covariance = {"covariance": jk.chaos.PairCovariance(square)}
    return jk.chaos_study(free, start, covariance, NS, key=KEY, times=[0.0], dt=0.1, replicas=4000)


def test_a_shared_temperature_is_not_chaotic():
    """Cov(|v_1|^2, |v_2|^2) = d^2 Var T = 2.25 at every N: exponent 0 within .05, and the sentence says that it does not decay.
    Catches a covariance that subtracts the mean of each run (0 at every N), and a fit that always finds a decay."""
    study = start_study(shared_temperature)
    series, exponent = study.series["covariance"], study.exponents["covariance"]
    z = (series.value - 2.25) / series.stderr
    assert np.abs(z).max() < 4, z
    assert abs(exponent.value) < 0.05
    assert "not decrease" in exponent.statement


def test_symmetrised_pairs_are_chaotic():
    """Cov(|v_1|^2, |v_2|^2) = 2d/(N - 1) for equal velocities in pairs: chaotic with exponent 1. Catches a verdict "not
    chaotic" for correlations that vanish, and a sum over ordered pairs divided by N^2 (1/8 too small at N = 8)."""
    study = start_study(pairs)
    series, exponent = study.series["covariance"], study.exponents["covariance"]
    z = (series.value - 6 / (np.array(NS) - 1)) / series.stderr
    assert np.abs(z).max() < 4, z
    assert exponent.interval[0] < 1.1
    assert exponent.interval[1] > 0.9
    assert "not decrease" not in exponent.statement


GRID = jk.Grid(jk.Axis(0.0, 2 * np.pi, 64))


def oscillating(key, num):
    return jk.product(jk.Density((1 + 0.8 * jnp.cos(num * GRID.mesh[0])) / (2 * np.pi), GRID), num)


def uniform(time):
    """the uniform law on the torus"""
    return jk.Density(jnp.full(64, 1 / (2 * np.pi)), GRID)


def liouville(num):
    return jk.landau.Liouville(jk.landau.Trigonometric([[0], [1]], [1.0, 0.5]), num)


def test_oscillating_data_are_not_entropically_chaotic():
    """Independent particles with density (1 + .8 cos(N v))/2pi: H_N(0) = .176856 relative to the uniform law at every N, of
    deterministic states. Catches an entropy that is not per particle (it would grow as N), and a bootstrap of one run."""
    distances = {"H_N": jk.chaos.MarginalEntropy(None)}
    study = jk.chaos_study(liouville, oscillating, distances, [2, 3, 4], key=KEY, times=[0.0], dt=1e-3, limit=uniform)
    np.testing.assert_allclose(study.series["H_N"].value, 0.176856, atol=1e-6)
    assert abs(study.exponents["H_N"].value) < 1e-5
    assert "not decrease" in study.exponents["H_N"].statement
    assert study.limit == "the uniform law on the torus"
    assert set(study.replicas) == {1}


# ---- exponents, control variates, coupling ---------------------------------------------------------------------------------

KAC = jk.landau.Kac(jk.landau.Maxwell())
A0 = 1.4 - 1.0


def bimaxwellian(key, num):
    return jk.initial.bimaxwellian(key, num, 3, perpendicular=1.4, parallel=0.2)


@functools.cache
def kac_study(coupled):
    covariance = {"covariance": jk.chaos.PairCovariance(first)}
    return jk.chaos_study(
        lambda num: KAC, bimaxwellian, covariance, (8, 16, 32), key=KEY, times=[0.05, 0.1], dt=0.025,
        scheme=jk.pairs.Sweep(), replicas=1000, independent_start=True, coupled=coupled,
    )  # fmt: skip


def plain_of(study):
    """The study of the same runs without control variates."""
    measured = {name: dataclasses.replace(one, independent_start=False) for name, one in study.measured.items()}
    return dataclasses.replace(study, measured=measured)


def exact(num, time=0.1):
    """E[v_1x v_2x] for Kac's noise, gamma = 0, d = 3."""
    return A0 * -np.expm1(-12 * time) / num


def test_control_variate_of_time_zero():
    """Kac, gamma = 0: (1/N) dev A0 (1 - e^{-12 t}) within 4 standard errors with and without the control variate, whose gain in
    variance is at least 10 and grows with N; exponent 1 within .1 with it. Catches a control variate that is not centred (the
    estimate would lose what it subtracts), and a coefficient from the same half."""
    controlled = kac_study(False)
    plain = plain_of(controlled)
    for study in (plain, controlled, controlled.at(0.05)):
        series = study.series["covariance"]
        z = (series.value - exact(series.N, study.time)) / series.stderr
        assert np.abs(z).max() < 4, z
    assert plain.series["covariance"].stderr.min() > 3 * controlled.series["covariance"].stderr.max() / 4
    gain = controlled.gain["covariance"]
    assert gain.min() > 10, gain
    assert gain[-1] > gain[0], gain
    assert np.all(plain.gain["covariance"] == 1)
    assert abs(controlled.exponents["covariance"].value - 1) < 0.1


def test_control_variate_is_unbiased():
    """Over 400 groups of 8 runs, values with a control variate that is correlated with the estimate (and skewed) have the mean
    of the plain values within 4 standard errors. Catches a coefficient fitted to the runs that it corrects: it has a bias of
    order 1/R, here 30 standard errors."""
    from jaxkinetic.chaos.estimates import controlled

    rng = np.random.default_rng(5)
    control = rng.exponential(size=(4000, 8)) - 1
    values = control + 0.5 * control**2 + 0.1 * rng.standard_normal((4000, 8))
    found = []
    for x, c in zip(values, control, strict=True):
        estimate = controlled(lambda rows, x=x: x[rows].mean(), lambda rows, c=c: c[rows].mean(), 8, rng)
        found.append(estimate(np.arange(8)))
    z = (np.mean(found) - 0.5) / (np.std(found) / np.sqrt(len(found)))
    assert abs(z) < 4, z


def test_halves_with_the_same_noise():
    """N particles minus the mean of their two halves, which keep their initial values and noise: the difference of the exact
    values at N and N/2 within 4 standard errors, with a variance below that of independent runs. Catches halves with their own
    noise (no gain), idents that begin at 0 in the second half, and a factor of 2."""
    study = plain_of(kac_study(True))
    series = study.series["covariance"]
    z = (series.value - exact(series.N) + exact(series.N / 2)) / series.stderr
    assert np.abs(z).max() < 4, z
    assert study.gain["covariance"].min() > 1.5, study.gain


def test_richardson():
    """2 value(N) - value(N/2) of c + b/N is c. Catches a missing factor, and a pairing of N with the wrong half."""

    class Known(jk.chaos.PairCovariance):
        def estimate(self, statistics, num, table):
            return 3 + 5 / num

    statistics = tuple((np.zeros((4, 1, 1)),) for _ in (4, 8, 16))
    measured = Measured(Known(square), (4, 8, 16), statistics, tuple(((),) for _ in range(3)), False, False, 10)
    study = jk.chaos.ChaosStudy({"c": measured}, (0.0,), 0.0, "", "", {})
    series = study.richardson("c")
    assert list(series.N) == [8, 16]
    np.testing.assert_allclose(series.value, 3)


def test_resume_gives_the_same_table(tmp_path):
    """A study whose last rounds were lost gives the same numbers bit for bit, and computes only what is missing. Catches rounds
    that are keyed by their order in time, and a folder that belongs to another round."""
    given = {"key": KEY, "times": [0.0, 0.2], "dt": 0.1, "replicas": 60, "path": tmp_path}
    distances = {"covariance": jk.chaos.PairCovariance(square)}
    whole = jk.chaos_study(free, pairs, distances, (4, 8, 16), **given)
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npz")}
    lost = [folder for folder in tmp_path.iterdir() if folder.name in ("N-8-round-1", "N-16-round-3")]
    assert len(lost) == 2
    for folder in lost:
        shutil.rmtree(folder)
    again = jk.chaos_study(free, pairs, distances, (4, 8, 16), **given)
    for ours, theirs in zip(
        again.measured["covariance"].statistics, whole.measured["covariance"].statistics, strict=True
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert again.table() == whole.table()
    kept = [file for file in stamps if not any(folder in file.parents for folder in lost)]
    assert all(file.stat().st_mtime_ns == stamps[file] for file in kept)


def test_target():
    """`target` runs until the exponent has this standard error, or says how many runs that takes. Catches a target that is
    ignored, and a number that is not of the order of what is needed (error^2 runs is constant)."""
    distances = {"covariance": jk.chaos.PairCovariance(square)}
    given = {"key": KEY, "times": [0.0], "dt": 0.1}
    study = jk.chaos_study(free, shared_temperature, distances, NS, target=0.05, **given)
    exponent = study.exponents["covariance"]
    assert exponent.stderr < 0.05
    assert 128 <= study.replicas[0] < 2**13
    with pytest.raises(ValueError, match=r"takes about ([0-9]+); raise `replicas` to"):
        jk.chaos_study(free, shared_temperature, distances, NS, target=0.005, replicas=600, **given)


# ---- distances to a limit, the other systems --------------------------------------------------------------------------------


def maxwellian(key, num):
    state = jk.initial.maxwellian(key, num, 1)
    return jk.Particles(state.velocity, jnp.zeros((num, 1)))


def growing(time):
    """a Maxwellian with temperature 1 + time"""
    variance = 1 + time
    grid = jk.Grid(jk.Axis(-9.0, 18.0, 90, periodic=False))
    return jk.Density(jnp.exp(-(grid.mesh[0] ** 2) / (2 * variance)) / jnp.sqrt(2 * np.pi * variance), grid)


@functools.cache
def line_study():
    """Particles that keep their law N(0, 1), against a limit that does not."""
    distances = {"bias": jk.chaos.MomentBias(square), "W2": jk.chaos.Wasserstein(0)}
    free = jk.vlasov.NBody(jk.vlasov.Harmonic(1e-9))
    return jk.chaos_study(
        lambda num: free, maxwellian, distances, (16, 32, 64), key=KEY, times=[0.0, 0.25, 0.5], dt=0.25, replicas=600,
        limit=growing,
    )  # fmt: skip


def test_bias_at_each_time():
    """Particles N(0, 1) against a limit N(0, 1 + t): the bias of v^2 is -t at t = 0, .25, .5 within 4 standard errors. Catches
    tables of another time, and a sign."""
    for time in (0.0, 0.25, 0.5):
        series = line_study().at(time).series["bias"]
        z = (series.value + time) / series.stderr
        assert np.abs(z).max() < 4, (time, z)


def test_floor_is_removed_from_independent_particles():
    """N independent particles of the limit have W2 > 0, their floor; without it 0 within 4 standard errors of the square. For
    particles N(0, s^2) against N(0, S^2), E W2^2 = s^2 + S^2 - 2 s S A_N and floor^2 = 2 S^2 (1 - A_N), so their difference is
    (S - s)^2 - floor^2 (S - s)/S. Catches a floor that is added, or that of another time."""
    study = line_study()
    for time in (0.0, 0.5):
        series, wide = study.at(time).series["W2"], np.sqrt(1 + time)
        expected = (wide - 1) ** 2 - series.floor**2 * (wide - 1) / wide
        z = (series.amount - expected) / series.draws.std(0)
        assert np.abs(z).max() < 4, (time, z)
        assert np.all(series.floor > 0.15)


def test_counting_functional():
    """1 - <p_1> in a harmonic potential, t = 1, is .372639672 (N = 2), .260421930 (3), and falls to .83136/N: within 4 standard
    errors at N = 2, 3, 32, and 0 at time 0. Catches <p_1> itself, and a time that is not the study's."""
    sigma = np.diag([1.0, 0.5])
    amplitude = jk.vlasov.GaussianAmplitude(sigma)
    grid = jk.Grid(jk.Axis(-9.0, 18.0, 64, periodic=False), jk.Axis(-7.0, 14.0, 64, periodic=False))
    functional = jk.chaos.CountingFunctional(jk.vlasov.Harmonic(1.0), amplitude, grid, dt=0.05)
    study = jk.chaos_study(
        free, maxwellian, {"n2": functional}, (2, 3, 32), key=KEY, times=[0.0, 1.0], dt=0.05, replicas=3000
    )
    exact = [1 - jk.vlasov.exact.harmonic_overlap(num, 1.0, sigma) for num in (2, 3, 32)]
    series = study.series["n2"]
    z = (series.value - exact) / series.stderr
    assert np.abs(z).max() < 4, z
    np.testing.assert_array_equal(study.at(0.0).series["n2"].value, 0)


def test_exponent_of_the_counting_functional():
    """The exact 1 - <p_1> of the harmonic potential at N = 8 to 64 has the exponent 1 within .05 (the best that Theorem 4.8 of
    Neiss and Pickl gives is 1/5). Catches a fit that keeps the local exponent of small N."""
    n = np.array([8, 16, 32, 64])
    values = np.array([1 - jk.vlasov.exact.harmonic_overlap(num, 1.0, np.diag([1.0, 0.5])) for num in n])
    zero = np.zeros(4)
    one = jk.chaos.Series(n, values, zero, values, zero, np.ones(4, int), values, np.stack([values, values]))
    assert abs(jk.chaos.fit_exponent(one).value - 1) < 0.05


@pytest.mark.slow
def test_exponents_of_the_laws_on_the_torus():
    """Laws of N = 2 to 6 particles, t = .5, extrapolated to large N: 2 for H_1 and H_2, 1 for H_N and for L1 of f_1 and f_2,
    all within .1, as formal fluctuation theory predicts; Carrillo, Guo and Jabin prove 1/2 for L1. Catches an entropy that is
    not per particle, and a distance that is not that of the marginals."""
    from jaxkinetic.experiments.catalogue import _chaos_systems as plans

    study = jk.chaos_study(**plans.liouville().given(), key=KEY, times=[0.5])
    for name, exponent in study.exponents.items():
        assert abs(exponent.value - (2 if name in ("H_1", "H_2") else 1)) < 0.1, name
        assert study.theory[name].theorem.startswith("bound")


def test_plans_say_what_they_measure():
    """At fixed h microcanonical collisions are measured against their own limit, whose rate is not Landau's; with h ~ 1/N, and
    if asked, against Landau's. Catches a study that does not say which."""
    from jaxkinetic.experiments.catalogue import _chaos_systems as plans

    h, first = 0.05, 4
    own, landau, coupled = (
        plans.microcanonical(h=h, largest=64, **how) for how in ({}, {"against": "landau"}, {"couple": "N"})
    )
    defect = jk.landau.exact.microcanonical_defect("heat_kernel", 2, h, 3, exact=True)
    assert f"rate times {1 + defect:.6g}" in own.notes[0]
    assert all("rate times 1." in plan.notes[0] for plan in (landau, coupled))
    assert float(own.system_of_N(64).epsilon) == float(landau.system_of_N(64).epsilon) == pytest.approx(h)
    assert float(coupled.system_of_N(64).epsilon) == pytest.approx(h * first / 64)
    assert coupled.notes[1] == "h = 0.05 4/N."


# ---- bad input -----------------------------------------------------------------------------------------------------------

PAIR = {"c": jk.chaos.PairCovariance(square)}
BAD = {
    "two N": ({"Ns": [8, 16, 16]}, "`Ns` must have at least three different N"),
    "N below 2": ({"Ns": [1, 2, 4]}, "`Ns` must be at least 2, but is 1"),
    "no sequence": ({"Ns": 8}, "`Ns` must be a sequence of integers"),
    "odd halves": ({"Ns": [3, 4, 8], "coupled": True}, "`Ns` must be even"),
    "times": ({"times": [0.15]}, "`times` must be multiples of dt = 0.1"),
    "decreasing": ({"times": [0.2, 0.1]}, "`times` must increase"),
    "no dt": ({"dt": None}, "`dt` must be given for Leapfrog"),
    "no limit": ({"distances": {"b": jk.chaos.MomentBias(square)}}, "`limit` must be given for 'b'"),
    "not a distance": ({"distances": {"b": square}}, "`distances\\['b'\\]` must be a distance"),
    "no distances": ({"distances": {}}, "`distances` must map names to distances"),
    "another limit": ({"limit": (jk.landau.LandauPDE(jk.landau.Maxwell()), None)}, "`limit` must"),
    "floor": ({"floor": "yes"}, "`floor` must be True, False or \"fit\""),
    "start": ({"start": 3}, "`start` must be a function"),
    "target": ({"target": -1.0}, "`target` must be positive"),
    "for another state": ({"distances": {"h": jk.chaos.MarginalEntropy(1)}, "limit": uniform}, "must"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_one_clear_sentence(case):
    """Each mistake raises one sentence that names the argument. Catches a mistake that runs, or that fails inside JAX."""
    changed, sentence = BAD[case]
    given = {"start": pairs, "distances": PAIR, "Ns": [4, 8, 16], "times": [0.1], "dt": 0.1, "replicas": 4} | changed
    start, distances, Ns = (given.pop(name) for name in ("start", "distances", "Ns"))
    with pytest.raises(ValueError, match=sentence):
        jk.chaos_study(free, start, distances, Ns, key=KEY, **given)
