"""Distances between pairs of particles, biases and fluctuations of numbers against exact laws at finite N."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_argument_error, torus_cosine

import jaxkinetic as jk
from jaxkinetic.chaos.pair_distances import ModeVariance, Moment, MomentBias, PairCovariance, StructureFactor
from jaxkinetic.chaos.population import NumberBias, NumberVariance, PairMass
from jaxkinetic.chaos.torus_pairs import PairEntropy, PairL1

exact = jk.landau.exact
TEMPERATURES = np.array([1.6, 1.0, 0.4])
DEVIATOR = 0.6


def first(state):
    return state.velocity[:, 0]


def second(state):
    return state.velocity[:, 1]


def square(state):
    return jnp.sum(state.velocity**2, axis=1)


def bi_maxwellian(key, num):
    spread = jnp.sqrt(jnp.asarray(TEMPERATURES, jnp.float32))[None, :]
    return jk.Particles(spread * jax.random.normal(key, (num, 3), jnp.float32))


def uniform(key, num):
    return jk.Particles(jax.random.uniform(key, (num, 1), jnp.float32, 0, 2 * math.pi))


def runs(system, start, num, distances, *, replicas, seed, **options):
    """Statistics (R, T, S) of every distance at the steps saved."""
    observe = {name: jax.tree_util.Partial(type(one).statistics, one, table=()) for name, one in distances.items()}
    steps = options.pop("steps", (0, options["num_steps"]))
    solution = jk.ensemble(
        system, jax.tree_util.Partial(start, num=num), key=jax.random.key(seed), replicas=replicas, adjoint=jk.Direct(),
        save=jk.Save(steps=steps, observe=observe), **options,
    )  # fmt: skip
    return {name: np.asarray(x, float) for name, x in solution.observed.items()}


def measured(estimate, statistics, draws=80):
    """(estimate, its standard error by bootstrap over the runs)."""
    rng, count = np.random.default_rng(0), len(statistics)
    found = [estimate(statistics[rng.integers(0, count, count)]) for _ in range(draws)]
    return estimate(statistics), np.std(found, ddof=1)


def controlled(distance, num):
    """The estimate at the end minus that at the start, whose expectation is 0."""
    return lambda x: distance.estimate(x[:, -1], num, ()) - distance.estimate(x[:, 0], num, ())


# ---- exactly, from a law with few states ---------------------------------------------------------------------------------

# Three particles, of a law that is far from a product; the fourth slot is dead.
VALUES = np.array([[0.1, 0.7, 2.0], [1.5, 1.5, -0.4], [2.2, 0.3, 0.3], [-1.0, 0.9, 0.4]])
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def few_states():
    dead = np.full((len(VALUES), 1), 1e6)
    v = jnp.asarray(np.concatenate([VALUES, dead], 1))[..., None]
    alive = jnp.asarray([[True, True, True, False]] * len(VALUES))
    return jax.vmap(lambda v, alive: jk.Particles(v, alive=alive))(v, alive)


def over_pairs_of_runs(distance, states):
    """The expectation of `estimate` from two runs: every pair of states, with its probability."""
    x = np.asarray(jax.vmap(lambda s: distance.statistics(s, ()))(states))
    return sum(
        WEIGHTS[r] * WEIGHTS[s] * distance.estimate(x[[r, s]], 3, ())
        for r, s in itertools.product(range(len(x)), repeat=2)
    )


def expected_pairs(phi, psi):
    """E phi(1) psi(2) of the law made exchangeable, and E phi E psi."""
    pairs = [np.mean([phi(v[i]) * psi(v[j]) for i, j in itertools.permutations(range(3), 2)]) for v in VALUES]
    return WEIGHTS @ pairs, (WEIGHTS @ phi(VALUES).mean(1)) * (WEIGHTS @ psi(VALUES).mean(1))


def cube(state):
    return state.velocity[:, 0] ** 3


def first_square(state):
    return state.velocity[:, 0] ** 2


def fourth(state):
    return square(state) ** 2


def test_pair_covariance_is_unbiased():
    """From two runs, over all outcomes: E phi psi - E phi E psi of a law with four states, to round-off. Catches the square of
    the mean of all runs, particles that meet themselves, dead slots that count."""
    both, means = expected_pairs(lambda v: v, lambda v: v)
    np.testing.assert_allclose(over_pairs_of_runs(PairCovariance(first), few_states()), both - means, rtol=1e-12)
    both, means = expected_pairs(lambda v: v, lambda v: v**3)
    value = over_pairs_of_runs(PairCovariance(first, cube), few_states())
    np.testing.assert_allclose(value, both - means, rtol=1e-12)
    mean = WEIGHTS @ VALUES.mean(1)
    for distance, limit in ((Moment(first), 0.0), (MomentBias(first), 0.25)):
        x = np.asarray(jax.vmap(lambda s, one=distance: one.statistics(s, ()))(few_states()))
        value = sum(w * distance.estimate(row[None], 3, np.asarray(limit)) for w, row in zip(WEIGHTS, x, strict=True))
        np.testing.assert_allclose(value, mean - limit, rtol=1e-12)


def test_mode_variance_is_unbiased():
    """As above for rho_k: the definition of its pair part, and N E|rho_k|^2. Catches N - 1 for N."""
    rho = np.exp(-2j * VALUES).mean(1)
    power, mean = WEIGHTS @ np.abs(rho) ** 2, abs(WEIGHTS @ rho) ** 2
    value = over_pairs_of_runs(ModeVariance(2), few_states())
    np.testing.assert_allclose(value, power - mean - (1 - mean) / 3, rtol=1e-12)
    both, means = expected_pairs(lambda v: np.exp(-2j * v), lambda v: np.exp(2j * v))
    np.testing.assert_allclose(value, 2 / 3 * (both - means).real, rtol=1e-12)
    np.testing.assert_allclose(over_pairs_of_runs(StructureFactor((2,)), few_states()), 3 * power, rtol=1e-12)


def test_numbers_are_unbiased():
    """As above for the number alive: 0, 2, 4, 3 of four slots. Catches the square of the mean of all runs, and a volume that is
    not squared."""
    n = np.array([0, 2, 4, 3])
    alive = jnp.asarray(np.arange(4)[None] < n[:, None])
    states = jax.vmap(lambda alive: jk.Particles(jnp.zeros((4, 1)), alive=alive))(alive)
    mean, factorial = WEIGHTS @ n, WEIGHTS @ (n * (n - 1))
    for volume, size in ((None, 3), (2.5, 2.5), (lambda num: num / 2, 1.5)):
        value = over_pairs_of_runs(NumberVariance(volume), states)
        np.testing.assert_allclose(value, (factorial + mean - mean**2) / size**2, rtol=1e-12)
        value = over_pairs_of_runs(PairMass(volume), states)
        np.testing.assert_allclose(value, (factorial - mean**2) / size**2, rtol=1e-12)
        x = np.array([[mean]])
        np.testing.assert_allclose(NumberBias(volume).estimate(x, 3, np.asarray(0.1)), mean / size - 0.1, rtol=1e-12)


# ---- the three starts that tell chaos from its absence -------------------------------------------------------------------


def shared_temperature(key, num):
    """One temperature, .5 or 1.5, for all particles."""
    draw, key = jax.random.split(key)
    t = jnp.where(jax.random.bernoulli(draw), 0.5, 1.5)
    return jk.Particles(jnp.sqrt(t) * jax.random.normal(key, (num, 3)))


def equal_pairs(key, num):
    """Pairs of equal standard normal velocities."""
    return jk.Particles(jnp.repeat(jax.random.normal(key, (num // 2, 3)), 2, axis=0))


def independent(key, num):
    return jk.Particles(jax.random.normal(key, (num, 3)))


@pytest.mark.parametrize("num", [8, 64])
def test_starts(num):
    """Cov(|v_1|^2, |v_2|^2) within 4 standard errors: d^2 Var T = 2.25 at every N for a shared random temperature (correlation
    2.25/9.75), 2d/(N-1) for equal pairs, 0 for independent particles. A distance that cannot say no fails the first; the
    last is more than 8 standard errors from the second."""
    for start, law, variance in (
        (shared_temperature, 2.25, 9.75),
        (equal_pairs, 6 / (num - 1), 6.0),
        (independent, 0, 6.0),
    ):
        for distance, truth in (
            (PairCovariance(square), law),
            (PairCovariance(square, normalised=True), law / variance),
        ):

            @jax.jit
            def sample(keys, one=distance, start=start):
                return jax.vmap(lambda key: one.statistics(start(key, num), ()))(keys)

            x = np.asarray(sample(jax.random.split(jax.random.key(num), 4000)))
            value, stderr = measured(lambda x, one=distance: one.estimate(x, num, ()), x)
            print(start.__name__, num, value, truth, (value - truth) / stderr, 6 / (num - 1) / stderr)
            assert abs(value - truth) < 4 * stderr
            if not distance.normalised:
                assert 6 / (num - 1) > 8 * stderr or start is shared_temperature


# ---- Landau systems at gamma = 0 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num", "replicas"), [(16, 2000), (64, 1000), (256, 400)])
def test_kac_covariance(num, replicas):
    """E[v_1 v_2^T] of Kac's system, gamma = 0, by random matchings, within 4 standard errors of dev A0 (1 - q^steps)/N with the
    law q of a matching (e^{-4 d dt} as dt tends to 0): the first component, and 0 off the diagonal. The value at time 0 is the
    control variate. 0, and twice the value, are more than 8 standard errors away."""
    dt, steps = 0.02, 5
    distances = {"xx": PairCovariance(first), "xy": PairCovariance(first, second)}
    x = runs(
        jk.landau.Kac(jk.landau.Maxwell()), bi_maxwellian, num, distances, replicas=replicas, seed=num, dt=dt,
        num_steps=steps, scheme=jk.pairs.RandomMatching(),
    )  # fmt: skip
    q = 1 - num / (2 * (num - 1)) * (1 - np.exp(-24 * dt * (num - 1) / num))
    law = {"xx": DEVIATOR * (1 - q**steps) / num, "xy": 0.0}
    for name, one in distances.items():
        value, stderr = measured(controlled(one, num), x[name])
        print(num, name, (value - law[name]) / stderr, law[name] / stderr)
        assert abs(value - law[name]) < 4 * stderr
        assert law["xx"] > 8 * stderr


def test_independent_noise_covariance():
    """The same for independent noise, whose covariance is that of the closure X', tr X' with the steps of Euler-Maruyama. Kac's
    law is more than 8 standard errors away."""
    num, dt, steps = 16, 0.02, 5
    distance = PairCovariance(first)
    x = runs(
        jk.landau.IndependentNoise(jk.landau.Maxwell()), bi_maxwellian, num, {"xx": distance}, replicas=2000, seed=3, dt=dt,
        num_steps=steps,
    )["xx"]  # fmt: skip
    p0, c0 = np.diag(TEMPERATURES), np.zeros((3, 3))
    laws = {k: exact.second_moments_euler(steps, dt, p0, c0, num, k)[1][0, 0] for k in ("independent", "kac")}
    value, stderr = measured(controlled(distance, num), x)
    print((value - laws["independent"]) / stderr, (value - laws["kac"]) / stderr)
    assert abs(value - laws["independent"]) < 4 * stderr
    assert abs(value - laws["kac"]) > 8 * stderr


def test_moment_bias():
    """E v_x^2 of four particles minus the limit's, independent noise, within 4 standard errors of the laws of the steps. The
    law of infinitely many particles is more than 8 away."""
    num, dt, steps = 4, 0.02, 5
    distances = {"bias": MomentBias(first_square), "moment": Moment(first_square)}
    x = runs(
        jk.landau.IndependentNoise(jk.landau.Maxwell()), bi_maxwellian, num, distances, replicas=20_000, seed=4, dt=dt,
        num_steps=steps,
    )  # fmt: skip
    p0, c0 = np.diag(TEMPERATURES), np.zeros((3, 3))
    law, limit = (exact.second_moments_euler(steps, dt, p0, c0, n, "independent")[0][0, 0] for n in (num, 10**9))
    for name, table, value in (("bias", np.asarray(limit), law - limit), ("moment", (), law)):
        found, stderr = measured(lambda x, one=distances[name], t=table: one.estimate(x, num, t), x[name][:, 1])
        print(name, found, value, (found - value) / stderr, (law - limit) / stderr)
        assert abs(found - value) < 4 * stderr
        assert law - limit > 8 * stderr


# ---- the torus -----------------------------------------------------------------------------------------------------------


def pair_law(num, dt, steps, noise="independent", points=None, c=0.5):
    """c_m = E cos m(v_1 - v_2), m = 1, ..., 4, after Euler-Maruyama steps from uniform data, a = 1 + c cos z: quadrature over
    the differences to the last particle, and the characteristic function of a step's Gaussian noise."""
    points = points or {2: 33, 3: 15, 4: 7}[num]
    shape = [points] * (num - 1)
    v = 2 * np.pi / points * np.indices(shape).reshape(num - 1, -1).T
    k = np.fft.fftfreq(points, 1 / points)[np.indices(shape).reshape(num - 1, -1).T]
    v, k = np.pad(v, ((0, 0), (0, 1))), np.concatenate([k, -k.sum(1, keepdims=True)], 1)
    z, other = v[:, :, None] - v[:, None, :], 1 - np.eye(num)
    drift = 2 * dt / num * (-c * np.sin(z) * other).sum(2)
    a = 2 * dt / num * (1 + c * np.cos(z)) * other
    spread = k**2 @ a.sum(2).T
    if noise == "kac":
        spread = np.einsum("kij,vij->kv", (k[:, :, None] - k[:, None, :]) ** 2, a) / 2
    step = np.exp(-1j * k @ (v + drift).T - spread / 2)
    step = np.fft.ifftn(step.reshape(*shape, -1), axes=range(num - 1)).real.reshape(len(v), -1)
    weight = np.linalg.matrix_power(step, steps).mean(1)
    return np.cos(np.outer(np.arange(1, 5), v[:, 0])) @ weight


def entropy_and_l1(c, points=4096):
    """int g log g / 2 and int |g - 1| of g = 1 + 2 sum c_m cos m z."""
    z = 2 * np.pi * np.arange(points) / points
    g = 1 + 2 * c @ np.cos(np.outer(np.arange(1, 1 + len(c)), z))
    return np.mean(g * np.log(g)) / 2, np.mean(np.abs(g - 1))


def test_law_of_euler_maruyama_steps():
    """The numpy law above: its equilibria as dt tends to 0, by Richardson, are 1.25, 1.28061, 1.29489 for N = 2, 3, 4 (MATH
    section 5), Kac's noise keeps the uniform law. So the law that the runs are compared with is not one that only they have."""
    for num, value in ((2, 1.25), (3, 1.28061), (4, 1.29489)):
        factors = [1 + (num - 1) * pair_law(num, dt, round(8 / dt))[0] for dt in (0.1, 0.05)]
        np.testing.assert_allclose(2 * factors[1] - factors[0], value, atol=6e-4)
    kac = [abs(pair_law(3, dt, round(2 / dt), "kac")[0]) for dt in (0.1, 0.05, 0.025)]
    print(kac)
    assert max(kac) < 6e-4
    assert kac[2] < 0.6 * kac[1]


@pytest.mark.parametrize(("num", "noise"), [(2, "independent"), (3, "independent"), (4, "independent"), (3, "kac")])
def test_torus_pairs(num, noise):
    """From uniform data, t = 2, N = 2, 3, 4, within 4 standard errors of the law of the steps: N E|rho_1|^2, the pair part of
    its variance, H_2, and the L1 distance. One noise for the other, or H_2 without its factor 1/2, is more than 8 away."""
    system = (jk.landau.Kac if noise == "kac" else jk.landau.IndependentNoise)(torus_cosine())
    distances = {"factor": StructureFactor(1), "variance": ModeVariance(1), "H": PairEntropy(), "L1": PairL1()}
    dt, steps = 0.1, 20
    x = runs(system, uniform, num, distances, replicas=20_000, seed=num, dt=dt, num_steps=steps, steps=(steps,))
    c = pair_law(num, dt, steps, noise)
    entropy, l1 = entropy_and_l1(c)
    law = {"factor": 1 + (num - 1) * c[0], "variance": (num - 1) / num * c[0], "H": entropy, "L1": l1}
    for name, one in distances.items():
        value, stderr = measured(lambda x, one=one: one.estimate(x, num, ()), x[name][:, 0])
        print(num, noise, name, value, law[name], (value - law[name]) / stderr, law[name] / stderr)
        assert abs(value - law[name]) < 4 * stderr
        if noise == "independent":
            assert law[name] / 2 > 8 * stderr


@pytest.mark.slow
def test_torus_exponents():
    """N = 16, 64, 256 from uniform data, t = 2: H_2 decays with exponent 2 and L1 with 1, within .1; N E|rho_1|^2 is within 4
    standard errors + 1/N of its value at leading order, by the recursion of the steps. An L1 distance with a floor of noise has
    the exponent of its number of runs."""
    dt, steps, Ns = 0.1, 20, np.array([16, 64, 256])
    distances = {"H": PairEntropy(), "L1": PairL1(), "factor": StructureFactor(1)}
    leading = 1.0
    for _ in range(steps):
        leading = 1 + (np.exp(-dt) * (1 + dt / 4)) ** 2 * leading - np.exp(-2 * dt)
    found = {name: [] for name in distances}
    for num in Ns:
        x = runs(
            jk.landau.MatrixSqrt(torus_cosine()), uniform, int(num), distances, replicas=16_000, seed=int(num), dt=dt,
            num_steps=steps, steps=(steps,),
        )  # fmt: skip
        for name, one in distances.items():
            found[name].append(measured(lambda x, one=one: one.estimate(x, 0, ()), x[name][:, 0], 50))
    for name, exponent in (("H", 2), ("L1", 1)):
        value, stderr = np.array(found[name]).T
        slope, error = np.polyfit(np.log(Ns), np.log(value), 1, w=value / stderr, cov="unscaled")
        print(name, -slope[0], np.sqrt(error[0, 0]))
        assert abs(slope[0] + exponent) < 0.1
    value, stderr = np.array(found["factor"]).T
    print((value - leading) / stderr)
    assert (abs(value - leading) < 4 * stderr + 1 / Ns).all()


@pytest.mark.parametrize("num", [2, 3])
def test_pair_distances_equal_those_of_the_density(num):
    """H_2 per particle and the L1 distance from the exact c_m of `Liouville` at t = 1, as if every run had them, equal those of
    its marginal of two particles, by quadrature on the grid. Catches every factor of g, H_2 and the L1 norm."""
    start = jk.Density(jnp.full(32, 1 / (2 * math.pi)), jk.Grid(jk.Axis(0.0, 2 * math.pi, 32)))
    system = jk.landau.Liouville(torus_cosine(), num)
    final = jk.simulate(system, jk.product(start, num), dt=0.1, num_steps=10).final
    two = jk.marginal(final, 2)
    z = np.asarray(2 * np.pi / 32 * (np.arange(32)[:, None] - np.arange(32)[None]))
    weight = np.asarray(two.f) * float(two.grid.cell)
    c = np.array([np.sum(weight * np.cos(m * z)) for m in range(1, 7)])
    entropy = float(jk.diagnostics.entropy_per_particle(two, start))
    l1 = np.sum(np.abs(weight - 1 / 32**2))
    rows = np.tile(c, (4, 1))
    np.testing.assert_allclose(PairEntropy(6).estimate(rows, num, ()), entropy, rtol=1e-7)
    # |g - 1| has kinks: 32 points are enough for a hundredth.
    np.testing.assert_allclose(PairL1(6).estimate(rows, num, ()), l1, rtol=0.01)
    np.testing.assert_allclose(PairL1(6).estimate(rows, num, ()), entropy_and_l1(c)[1], rtol=1e-4)


def test_noise_leaves_no_floor():
    """Independent uniform particles, N = 16, 20 runs, many times: the means of H_2 and L1 are 0 within 4 standard errors, where
    plug-in values would be more than 8 away. With c_1 = .15 and the same noise, H_2 is right within 4 standard errors, and L1
    is not above the truth."""
    num, count, replicas = 16, 20, 1000
    distances = PairEntropy(), PairL1()

    @jax.jit
    def sample(keys):
        return jax.vmap(lambda key: distances[0].statistics(uniform(key, num), ()))(keys)

    x = np.asarray(sample(jax.random.split(jax.random.key(5), count * replicas)), float).reshape(replicas, count, -1)
    for shift in (0.0, 0.15):
        y = x + np.array([shift, 0, 0, 0])
        truth = entropy_and_l1(np.array([shift, 0, 0, 0]))
        for i, one in enumerate(distances):
            values = np.array([one.estimate(row, num, ()) for row in y])
            stderr = values.std(ddof=1) / math.sqrt(replicas)
            plug_in = np.mean([entropy_and_l1(row.mean(0), 256)[i] for row in y])
            print(shift, one, (values.mean() - truth[i]) / stderr, (plug_in - truth[i]) / stderr)
            assert values.mean() - truth[i] < 4 * stderr
            if shift == 0:
                assert abs(plug_in - truth[i]) > 8 * stderr
            if shift == 0 or i == 0:
                assert values.mean() - truth[i] > -4 * stderr
                assert abs(plug_in - truth[i]) > 6 * stderr


# ---- annihilation --------------------------------------------------------------------------------------------------------


def test_annihilation():
    """Sigma = 1, alpha = .5, N_0 = Lambda = 32, t = 1, by the exact clock: variance, mass of f_2 - f_1 x f_1 and bias of the
    density within 4 standard errors of the death chain; and for N_0 = 4000 the chain gives the limits of MATH section 10. The
    mass without the particles that meet themselves, and the variance alone, are more than 8 standard errors away."""
    num, alpha = 32, 0.5
    distances = {"variance": NumberVariance(), "mass": PairMass(), "bias": NumberBias()}
    walk = jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(), num, alpha)
    x = runs(walk, bi_maxwellian, num, distances, replicas=4000, seed=7, dt=1.0, num_steps=1)
    mean, variance = jk.boltzmann.exact.death_moments(1.0, num, num, alpha)
    law = {"variance": variance / num**2, "mass": (variance - mean) / num**2, "bias": mean / num - 1 / 1.5}
    for name, one in distances.items():
        table = np.asarray(1 / 1.5)
        value, stderr = measured(lambda x, one=one, table=table: one.estimate(x, num, table), x[name][:, 1])
        print(name, value, law[name], (value - law[name]) / stderr)
        assert abs(value - law[name]) < 4 * stderr
        assert name == "bias" or abs(law["mass"]) / 8 > stderr
    u, big = 1.5, 4000
    mean, variance = jk.boltzmann.exact.death_moments(1.0, big, big, alpha)
    np.testing.assert_allclose(variance / big, 2 / 3 * (1 / u - 1 / u**4), rtol=2e-3)
    np.testing.assert_allclose((variance - mean) / big, -(1 / 3) / u - (2 / 3) / u**4, rtol=2e-3)


# ---- against a limit, and what is refused --------------------------------------------------------------------------------


def test_tables_of_the_limit():
    """Moments and the mass of a law of mass 1/2 with K = .8, d = 3 (Bobylev, Krook and Wu): <|v|^2> = 3, <|v|^4> = 15 K(2-K),
    <v_x^2> = 1, in float64 whatever JAX's default; 2^18 draws of a sampler for a moment, but no mass of it. Catches weights
    that are not divided by the mass, and a mass that is."""
    grid = jk.RadialGrid(12.0, 96, 3)
    law = jk.RadialDensity(jnp.asarray(exact.bkw_density(np.asarray(grid.speeds), 0.0, 3, 0.2) / 2), grid)
    for phi, value in ((square, 3.0), (fourth, 15 * 0.8 * 1.2), (first_square, 1.0)):
        for x64 in (True, False):
            with jax.enable_x64(x64):
                table = MomentBias(phi).tables([law, law], 8)
            np.testing.assert_allclose(table, [value] * 2, rtol=1e-9)
    np.testing.assert_allclose(NumberBias().tables([law], 8), [0.5], rtol=1e-12)
    np.testing.assert_allclose(MomentBias(square).tables([independent], 8), [3.0], atol=4 * math.sqrt(6) / 512)
    assert_argument_error(lambda: NumberBias().tables([independent], 8), "`limit` must give a density")


def matrix(state):
    return state.velocity


def phase(state):
    return jax.lax.complex(state.velocity[:, 0], state.velocity[:, 0])


def test_errors():
    """One sentence for each wrong argument, before a run. Catches a broadcast (N, d) and a variance of one run that is NaN."""
    state = jax.eval_shape(lambda key: independent(key, 4), jax.random.key(0))
    density = jk.Density(jnp.ones(8) / 8, jk.Grid(jk.Axis(0.0, 1.0, 8)))
    system, one_run = jk.landau.Kac(jk.landau.Maxwell()), np.ones((1, 6))
    for good in (
        PairCovariance(first, square),
        Moment(first),
        MomentBias(first),
        ModeVariance((1, 0, 0)),
        NumberVariance(),
    ):
        good.check(system, state)
    for call, message in (
        (lambda: PairCovariance(3), "`phi` must be a function of the state"),
        (lambda: PairCovariance(first, 3), "`psi` must be a function of the state"),
        (lambda: PairCovariance(first, normalised=1), "`normalised` must be True or False"),
        (lambda: PairCovariance(matrix).check(system, state), r"`phi` must return an array of shape \(4,\)"),
        (lambda: PairCovariance(first, phase).check(system, state), "`psi` must return real numbers"),
        (lambda: Moment(square).check(system, density), "`start` must return Particles"),
        (lambda: NumberVariance().check(system, density), "`start` must return Particles"),
        (lambda: PairEntropy().check(system, density), "`start` must return Particles"),
        (lambda: PairL1().check(system, state), "`start` must return particles on the torus in d = 1"),
        (lambda: ModeVariance(1).check(system, state), "`mode` must have 3 integers"),
        (lambda: ModeVariance((0, 0)), "`mode` must be integers, not all 0"),
        (lambda: StructureFactor(0.5), "`mode` must be integers, not all 0"),
        (lambda: PairEntropy(0), "`modes` must be at least 1"),
        (lambda: PairMass(-1.0), "`volume` must be a positive number"),
        (lambda: PairMass(lambda num: 0).volume_of(4), "`volume` must be a positive number"),
        (lambda: PairCovariance(first).estimate(one_run, 4, ()), "`replicas` must be at least 2"),
        (lambda: ModeVariance(1).estimate(one_run[:, :3], 4, ()), "`replicas` must be at least 2"),
        (lambda: PairMass().estimate(one_run[:, :1], 4, ()), "`replicas` must be at least 2"),
        (lambda: PairEntropy().estimate(one_run[:, :4], 4, ()), "`replicas` must be at least 2"),
    ):
        assert_argument_error(call, message)
