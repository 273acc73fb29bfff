"""Kac's walk with annihilation against exact laws and a sequential event loop: at every N, without a time-step error."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynkin import z_scores as martingale_z_scores
from helpers import difference_z_scores, slow_but, z_scores
from one_by_one import walk
from scipy.stats import chi2, ks_2samp

import jaxkinetic as jk

B, D, exact = jk.boltzmann, jk.diagnostics, jk.boltzmann.exact
SPREAD = (0.6, 1.0, 1.4)
RUNS, TIMES, ALPHA = 100_000, (0.5, 1.5, 3.0), 0.3


def anisotropic(key, num=6):
    return jk.Particles(jax.random.normal(key, (num, 3), jnp.float32) * jnp.asarray(SPREAD, jnp.float32)[None])


def joint(state):
    """Number alive, energy, a moment of third degree."""
    v = state.live_velocity
    return jnp.stack([state.num_alive, jnp.sum(v**2), jnp.sum(v[:, 0] ** 2 * v[:, 2])])


def ours(system, num, runs=RUNS, scheme=None, seed=0, batch=2000):
    save = jk.Save(steps=tuple(round(t / 0.5) for t in TIMES), observe={"x": joint})
    init = jax.tree_util.Partial(anisotropic, num=num)
    solution = jk.ensemble(
        system, init, key=jax.random.key(seed), replicas=runs, batch=batch, dt=0.5, num_steps=6, save=save,
        adjoint=jk.Direct(), scheme=scheme,
    )  # fmt: skip
    return np.asarray(solution.observed["x"], float)


def reference(num, volume, alpha, runs=RUNS, seed=1):
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(runs, num, 3)) * np.array(SPREAD)
    out = []
    for v, alive in walk(rng, start, np.ones((runs, num), bool), lambda r: r, volume, alpha, TIMES):
        v = v * alive[..., None]
        out.append(np.stack([alive.sum(1), (v**2).sum((1, 2)), (v[..., 0] ** 2 * v[..., 2]).sum(1)], -1))
    return np.stack(out, 1)


def homogeneity(a, b):
    """p of the chi-square test that two lists of cell numbers have one law; rare cells together."""
    cells = np.unique(np.concatenate([a, b]))
    counts = np.array([[np.sum(x == c) for c in cells] for x in (a, b)], float)
    common = counts.sum(0) >= 50
    counts = np.concatenate([counts[:, common], counts[:, ~common].sum(1, keepdims=True)], 1)
    counts = counts[:, counts.sum(0) > 0]
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    return chi2.sf(np.sum((counts - expected) ** 2 / expected), counts.shape[1] - 1)


def p_values(x, y):
    """p-values that x and y have the same law: the number alive, the two other numbers given that a particle is alive, and all
    three together in cells."""
    out = [homogeneity(x[:, 0], y[:, 0])]
    some_x, some_y = x[x[:, 0] > 0], y[y[:, 0] > 0]
    out += [ks_2samp(some_x[:, k], some_y[:, k]).pvalue for k in (1, 2)]
    edges = [np.quantile(some_y[:, k], (0.2, 0.4, 0.6, 0.8)) for k in (1, 2)]
    cells = [
        z[:, 0] * 100 + 10 * np.searchsorted(edges[0], z[:, 1]) + np.searchsorted(edges[1], z[:, 2]) for z in (x, y)
    ]
    return np.array([*out, homogeneity(*cells)])


@pytest.mark.slow
@pytest.mark.parametrize(("num", "runs"), [(6, 30_000), (6, RUNS), (20, RUNS)])
def test_law_equals_sequential_event_loop(num, runs):
    """Hard spheres that annihilate, three times: number alive, energy, third moment, and all three together; p > 8e-7 in
    each of 12 tests: a false alarm below 1e-5. `test_comparison_detects_mistakes` shows which mistakes 1e5 runs detect."""
    x, y = ours(B.KacWalk(B.HardSphere(), num, ALPHA), num, runs), reference(num, num, ALPHA, runs)
    for k, t in enumerate(TIMES):
        p = p_values(x[:, k], y[:, k])
        print(num, t, p, difference_z_scores(x[:, k], y[:, k]))
        assert p.min() > 8e-7


@pytest.mark.slow
@pytest.mark.optimised
def test_law_is_independent_of_capacity():
    """Hard spheres, whose majorant is made anew in every window: three candidates a window against sixteen. p > 1e-6, 12
    tests. Catches a waiting time that is cut or restarted wrongly at a window's end."""
    system = B.KacWalk(B.HardSphere(), 6, ALPHA)
    x, y = ours(system, 6, 10_000, jk.pairs.ExactClock(capacity=3), seed=5), ours(system, 6, 20_000, seed=6)
    p = np.array([p_values(x[:, k], y[:, k]) for k in range(3)])
    print(p)
    assert p.min() > 1e-6


class CountsPairsTwice(B.KacWalk):
    def clock(self, num_alive):
        return 2 / self.volume.astype(num_alive.dtype)


class OneDies(B.KacWalk):
    """Only one of the two partners is removed."""

    def jump(self, words, vi, vj):
        vi, vj, lives, _ = super().jump(words, vi, vj)
        return vi, vj, lives, jnp.ones_like(lives)


class BoundThatClips(B.KacWalk):
    """A rate cut off at a majorant that is too low: what an error must prevent."""

    def rate(self, vi, vj):
        return jnp.minimum(super().rate(vi, vj), 4.0)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [CountsPairsTwice, OneDies, BoundThatClips, "N - 1 for N", "alpha + .01"])
def test_comparison_detects_mistakes(mistake):
    """The test can fail: pairs counted twice, one death for two, a rate cut off at its majorant, N - 1 for N, and alpha
    + .01 have p < 1e-8."""
    num, alpha, volume = 6, ALPHA + 0.01 * (mistake == "alpha + .01"), 5.0 if mistake == "N - 1 for N" else 6.0
    kind = B.KacWalk if isinstance(mistake, str) else mistake
    x, y = ours(kind(B.HardSphere(), volume, alpha), num), reference(num, 6.0, ALPHA)
    p = np.array([p_values(x[:, k], y[:, k]) for k in range(3)])
    print(mistake, p)
    assert p.min() < 1e-8


@pytest.mark.optimised
@pytest.mark.parametrize("num", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_death_chain(num):
    """E N(1) and Var N(1) of Maxwell molecules, alpha = .5, Lambda = N0, within 4 standard errors. Resolves the O(1) offset of
    the mean over N0/(1 + alpha t), 8 standard errors and more away, and so alpha N^2 for alpha N(N-1)."""
    runs, system = 40_000 if num == 10 else 64_000, B.KacWalk(B.Maxwell(), num, 0.5)
    n = np.asarray(
        jk.ensemble(
            system, jax.tree_util.Partial(anisotropic, num=num), key=jax.random.key(2), replicas=runs, batch=1000, dt=1.0,
            num_steps=1, save=jk.Save(observe={"n": joint}), adjoint=jk.Direct(),
        ).observed["n"][:, 1, 0], float,
    )  # fmt: skip
    mean, variance = exact.death_moments(1.0, num, num, 0.5)
    z = (n.mean() - mean) / math.sqrt(variance / runs)
    numbers, law = exact.death_law(1.0, num, num, 0.5)
    fourth = law @ (numbers - mean) ** 4
    z_variance = (n.var() - variance) / math.sqrt((fourth - variance**2) / runs)
    offset = (mean - num / 1.5) / math.sqrt(variance / runs)
    print(num, z, z_variance, "offset", offset)
    assert max(abs(z), abs(z_variance)) < 4
    assert abs(offset) > 8
    counts = np.array([np.sum(n == k) for k in numbers])
    often = law * runs > 5
    assert chi2.sf(np.sum((counts - law * runs)[often] ** 2 / (law * runs)[often]), often.sum() - 1) > 1e-5


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_bkw(alpha):
    """<|v|^4> and <|v|^6> of Maxwell molecules from the BKW datum at t = 2, 200 runs of N = 4096, each relative to its
    own temperature (bias 1/N, a twentieth of a standard error or so). Catches the time doubled or halved, 8 standard
    errors away and more; with annihilation so is the law without (1 - alpha)."""
    t, volume = 2.0, 4096
    x = np.asarray(
        jk.ensemble(
            B.KacWalk(B.Maxwell(), volume, alpha), _bkw, key=jax.random.key(3), replicas=200, batch=4, dt=t, num_steps=1,
            save=jk.Save(observe={"x": moments_of_bkw}), adjoint=jk.Direct(),
        ).observed["x"][:, 1], float,
    )  # fmt: skip
    for k, order in ((1, 4), (2, 6)):
        values = x[:, k] / (x[:, 0] / 3) ** (order / 2)
        stderr = values.std() / math.sqrt(len(values))
        law = exact.bkw_moment(np.array([t, 2 * t, t / 2]), order, 3, 0.4, alpha)
        away = (law - law[0]) / stderr
        print(alpha, order, "z", (values.mean() - law[0]) / stderr, "away", away)
        assert abs(values.mean() - law[0]) < 4 * stderr
        assert np.abs(away[1:]).min() > 8
        if alpha:
            meetings = math.log1p(alpha * t) / alpha
            assert abs(exact.bkw_moment(meetings, order, 3, 0.4) - law[0]) > 8 * stderr


def moments_of_bkw(state):
    square = jnp.sum(state.live_velocity**2, axis=1)
    return jnp.stack([state.mean(square), state.mean(square**2), state.mean(square**3)])


def _bkw(key):
    return jk.initial.bkw(key, 4096, 3, beta=0.4, dtype=jnp.float32)


@pytest.mark.slow
@pytest.mark.optimised
def test_law_for_small_alpha():
    """Hard spheres, alpha = .1, 8 runs of N = 2e5 to alpha t = 2: n and T within half a per cent of the limit (noise .1
    %). Catches a gas that does not cool, whose n is 4 % away."""
    alpha, num = 0.1, 200_000
    x = np.asarray(
        jk.ensemble(
            B.KacWalk(B.HardSphere(), num, alpha), _maxwellian, key=jax.random.key(4), replicas=8, dt=10.0, num_steps=2,
            save=jk.Save(observe={"x": _gas}), adjoint=jk.Direct(),
        ).observed["x"], float,
    ).mean(0)  # fmt: skip
    times = np.array([0.0, 10.0, 20.0])
    n, warmth = exact.hard_sphere_density(times, 3, alpha), exact.hard_sphere_temperature(times, 3, alpha)
    constant = 1 / (1 + alpha * exact.mean_relative_speed(3) * times)
    print(x[:, 0] / n - 1, x[:, 1] / warmth - 1, constant / n - 1)
    np.testing.assert_allclose(x[:, 0], n, rtol=5e-3)
    np.testing.assert_allclose(x[:, 1], warmth, rtol=5e-3)
    assert abs(constant[2] / n[2] - 1) > 0.04


def _maxwellian(key):
    return jk.initial.maxwellian(key, 200_000, 3, dtype=jnp.float32)


def _gas(state):
    gas = D.self_similar(state, volume=200_000)
    return jnp.stack([gas.density, gas.temperature])


@pytest.mark.parametrize("num", slow_but((2,), (2, 7, 40)))
def test_initial_pressure_rate_of_hard_spheres(num):
    """d/dt E dev sum v v^T at t = 0 by runs of a short time, alpha = 0: (1/t) of the change, the curvature in t removed
    by Richardson's extrapolation of t and t/2. Every N: the sum is over pairs with 1/Lambda, no N/(N-1). Catches twice
    the rate, which is far."""
    system, v = B.KacWalk(B.HardSphere(), 5.0), anisotropic(jax.random.key(9), num).velocity.astype(jnp.float64)
    rate, runs, t = exact.pressure_rate(B.HardSphere(), 5.0, jk.Particles(v)), 40_000, 0.4 / num
    before = np.asarray(v.T @ v)
    found = []
    for time, seed in ((t, 1), (t / 2, 2)):
        after = jk.ensemble(
            system, jk.Particles(v), key=jax.random.key(seed), replicas=runs, batch=2000, dt=time, num_steps=1,
            save=jk.Save(observe={"p": _second}), adjoint=jk.Direct(),
        ).observed["p"][:, 1]  # fmt: skip
        found.append((np.asarray(after) - before) / time)
    change = 2 * found[1] - found[0]
    z = z_scores(change[:, [0, 0, 1], [0, 1, 2]], rate[[0, 0, 1], [0, 1, 2]])
    size = np.abs(rate[0, 0]) / (change[:, 0, 0].std() / math.sqrt(runs))
    print(num, z, size)
    assert np.abs(z).max() < 4
    assert size > 8


def _second(state):
    return jnp.einsum("ni,nj->ij", state.velocity, state.velocity)


WALKS = {
    "maxwell": (lambda: B.KacWalk(B.Maxwell(0.8), 2.0, 0.0), 3),
    "spheres": (lambda: B.KacWalk(B.HardSphere(0.5), 2.0, 0.0), 3),
    "spheres that annihilate": (lambda: B.KacWalk(B.HardSphere(0.5), 2.0, 0.3), 2),
    "variable": (lambda: B.KacWalk(B.VariableHardSphere(0.5), 4.0, 0.2), 3),
    "four dimensions": (lambda: B.KacWalk(B.HardSphere(0.5), 4.0, 0.0), 4),
}


@pytest.mark.parametrize("num", slow_but((3,), (3, 8)))
@pytest.mark.parametrize("name", slow_but(("maxwell", "spheres", "spheres that annihilate"), WALKS))
def test_dynkin_of_the_exact_clock(name, num):
    """E[phi(X_T) - phi(X_0) - int L phi dt] = 0 for phi of degree 2, 3, 4, 6; of the integral the trapezoidal rule's
    error is extrapolated away. Twice the rate is more than 8 standard errors away (`test_dynkin_detects_doubled_rate`)."""
    make, dim = WALKS[name]
    # The generator averages over 8^{d-1} directions for each of the pairs.
    dim, replicas = (2, 12_000) if num == 8 else (dim, 12_000 if dim < 4 else 2000)
    z = martingale_z_scores(make(), jk.pairs.ExactClock(), num, dim, replicas, seed=num)
    print(name, num, z)
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("num", [3, 8])
def test_dynkin_of_tau_leaping(num):
    """As `test_dynkin_of_the_exact_clock`, the scheme's first order extrapolated away; N = 3 is odd, q = N there. Twice
    the rate is more than 8 standard errors away."""
    dim, walk = {3: 3, 8: 2}[num], B.KacWalk(B.HardSphere(0.5), 2.0, 0.3)
    z = martingale_z_scores(walk, jk.pairs.TauLeap(), num, dim, 12_000, seed=num, steps=8)
    print(num, z)
    assert np.abs(z).max() < 4


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [jk.pairs.ExactClock(), jk.pairs.TauLeap()])
def test_dynkin_detects_doubled_rate(scheme):
    """The test can fail: against the generator of twice the rate it is more than 8 standard errors off."""
    z = martingale_z_scores(WrongGenerator(B.HardSphere(0.5), 2.0, 0.3), scheme, 8, 2, 12_000)
    print(z)
    assert np.abs(z).max() > 8


class WrongGenerator(B.KacWalk):
    """The generator of twice the rate for the right paths."""

    def generator(self, phi):
        return CountsPairsTwice(self.cross_section, self.volume, self.annihilation).generator(phi)
