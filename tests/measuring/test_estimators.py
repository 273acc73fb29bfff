"""Entropies, Fisher's information, distances, correlations: against known values, their own stated bias, finite differences."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import normal_particles, slow_but
from scipy.special import digamma
from scipy.stats import norm

import jaxkinetic as jk
from jaxkinetic_kernels import kth_nearest

D = jk.diagnostics


def ball(num, seed=0):
    """Uniform in the unit ball of R^3: H = -log(4 pi/3)."""
    first, second = jax.random.split(jax.random.key(seed))
    v = jax.random.normal(first, (num, 3))
    radius = jax.random.uniform(second, (num, 1)) ** (1 / 3)
    return jk.Particles(radius * v / jnp.linalg.norm(v, axis=1, keepdims=True))


LAWS = {
    "gaussian": (lambda n, s: normal_particles(n, 3, s), -1.5 * math.log(2 * math.pi * math.e)),
    "bkw": (lambda n, s: jk.initial.bkw(jax.random.key(s), n, 3, beta=0.4), -4.1928856314),
    "ball": (ball, -math.log(4 * math.pi / 3)),
}
# The bias that the docstrings state, at N = 250, 1000, 4000; "knn" is corrected on a Maxwellian of the same N.
STATED = {
    ("knn", "gaussian"): (0, 0, 0),
    ("knn", "bkw"): (0, 0, 0),
    ("knn", "ball"): (-0.29, -0.18, -0.11),
    ("kde", "gaussian"): (-0.10, -0.06, -0.035),
    ("kde", "bkw"): (-0.10, -0.055, -0.03),
    ("kde", "ball"): (-0.35, -0.26, -0.20),
}


@pytest.mark.optimised
@pytest.mark.parametrize(("name", "law"), STATED)
def test_entropies_of_known_laws(name, law):
    """12 samples at three N, within a sixth of the stated bias and .01. Catches a sign and, of the kernel estimates, a
    constant and N for N - 1; those of the nearest neighbours cancel here (`test_entropy_estimate_by_hand`)."""
    sample, exact = LAWS[law]
    for num, stated in zip((250, 1000, 4000), STATED[name, law], strict=True):
        if name == "knn":
            bias, bias_stderr = D.knn_entropy_bias(jax.random.key(1), num, 3, replicas=12)
            found = [float(D.knn_entropy(sample(num, s), bias=bias)) for s in range(12)]
        else:
            bias_stderr = 0.0
            found = [float(D.kde_entropy(sample(num, s))) for s in range(12)]
        error, stderr = np.mean(found) - exact, math.hypot(np.std(found, ddof=1) / 12**0.5, bias_stderr)
        print(law, name, num, error, stderr)
        assert abs(error - stated) < 0.01 + abs(stated) / 6 + 4 * stderr


@pytest.mark.parametrize(("dim", "bins", "num"), [(1, 40, 20_000), (2, 24, 100_000)])
def test_bias_of_grid_entropy(dim, bins, num):
    """+((2/3)^d K - 1)/(2N) - (Delta^2/12) I on N(0, 1), nearly all nodes occupied in the bulk: within a third of it.
    Catches a constant, and a mass assignment of another order."""
    found = [float(D.grid_entropy(normal_particles(num, dim, s), bins=bins)) for s in range(8)]
    error = np.mean(found) + dim / 2 * math.log(2 * math.pi * math.e)
    bias = -((11 / bins) ** 2) / 12 * dim
    print(dim, error, bias)
    assert abs(error - bias) < abs(bias) / 3 + 4 * np.std(found) / 8**0.5


def test_bias_on_a_maxwellian():
    """The tabulated +.0485(5) of k = 5, d = 3, N = 1000 (MATH 8), and that it does not depend on the temperature.
    Catches another k, and a bandwidth that does not scale with the sample."""
    bias, stderr = D.entropy_bias(jax.random.key(0), 1000, 3, replicas=64)
    assert abs(bias - 0.0485) < 4 * math.hypot(stderr, 0.0005)
    hot = jk.Particles(3.0 * normal_particles(1000, 3).velocity)
    np.testing.assert_allclose(
        D.knn_entropy(hot), D.knn_entropy(normal_particles(1000, 3)) - 3 * math.log(3), rtol=1e-6
    )
    np.testing.assert_allclose(
        D.kde_entropy(hot), D.kde_entropy(normal_particles(1000, 3)) - 3 * math.log(3), rtol=1e-9
    )


@pytest.mark.parametrize(("num", "stated"), slow_but([(700, -0.10)], [(700, -0.10), (2800, -0.025)]))
def test_fisher_information(num, stated):
    """For a Maxwellian d/T/(1 + h^2), less what the tail lacks; a quarter of it for twice the velocities; for the shell
    half as much again or more. Catches |score|^2 for minus the Laplacian, which is smaller for the shell, and a factor
    h."""
    h = (4 / (7 * num)) ** (1 / 9)
    found = [float(D.fisher_information(normal_particles(num, 3, s))) for s in range(8)]
    stderr = np.std(found, ddof=1) / 8**0.5
    print(num, np.mean(found), 3 / (1 + h * h), stderr)
    assert abs(np.mean(found) - 3 / (1 + h * h) - stated) < 0.02 + 4 * stderr
    scaled = D.fisher_information(jk.Particles(2.0 * normal_particles(num, 3).velocity))
    np.testing.assert_allclose(scaled, D.fisher_information(normal_particles(num, 3)) / 4, rtol=1e-9)
    bias, bias_stderr = D.fisher_information_bias(jax.random.key(3), num, 3, replicas=8)
    assert abs(bias - (3 / (1 + h * h) - 3) - stated) < 0.02 + 4 * bias_stderr
    corrected = D.fisher_information(jk.Particles(2.0 * normal_particles(num, 3).velocity), bias=bias)
    np.testing.assert_allclose(
        corrected, scaled - bias / float(D.temperature(jk.Particles(2.0 * normal_particles(num, 3).velocity)))
    )
    shell = jk.initial.rosenbluth(jax.random.key(0), num, 3, sharpness=10.0)
    assert (
        1.4
        < float(D.fisher_information(shell, bandwidth=0.35)) / float(D.fisher_information(normal_particles(num, 3)))
        < 2.0
    )


def dense_log_density(v, h):
    """The leave-one-out estimate by N^2 numbers."""
    r2 = np.sum((v[:, None] - v[None, :]) ** 2, axis=-1)
    kernel = np.exp(-r2 / (2 * h * h)) / (2 * math.pi * h * h) ** (v.shape[1] / 2)
    np.fill_diagonal(kernel, 0)
    return np.log(kernel.sum(1) / (len(v) - 1))


def test_kernel_estimates_equal_dense_sums():
    """With dead slots, and an outlier whose density underflows in float32 but not its logarithm. Catches the particle
    itself counted, N for N - 1, and log 0."""
    v = np.asarray(normal_particles(61, 3).velocity)
    alive = np.ones(61, bool)
    alive[[4, 40]] = False
    wild = jk.Particles(jnp.asarray(np.where(alive[:, None], v, 1e200)), alive=jnp.asarray(alive))
    np.testing.assert_allclose(D.kde_entropy(wild, bandwidth=0.7), dense_log_density(v[alive], 0.7).mean(), rtol=1e-12)
    shift = 1e-4
    curvature = 0.0
    for i in range(61):
        if alive[i]:
            others = np.delete(v, [i, *[k for k in (4, 40) if k != i]], axis=0)

            def log_f(x, others=others):
                return np.log(np.exp(-np.sum((x - others) ** 2, -1) / (2 * 0.7**2)).sum())

            if log_f(v[i]) > math.log(3):
                steps = shift * np.eye(3)
                curvature -= sum(log_f(v[i] + e) + log_f(v[i] - e) - 2 * log_f(v[i]) for e in steps) / shift**2
    np.testing.assert_allclose(D.fisher_information(wild, bandwidth=0.7), curvature / 59, rtol=1e-5)
    far = jk.Particles(jnp.asarray(np.vstack([v[:20], [[40.0, 0, 0]]]), jnp.float32))
    assert np.isfinite(D.kde_entropy(far, bandwidth=0.5))


SCALARS = {
    "knn": lambda s: D.knn_entropy(s, k=3),
    "kde": D.kde_entropy,
    "grid": lambda s: D.grid_entropy(s, bins=8),
    "fisher": lambda s: D.fisher_information(s, bandwidth=1.0),
    "relative": lambda s: D.relative_entropy(s, lambda v: -jnp.sum(v**4, 1)),
    "relative to the own Maxwellian": D.relative_entropy,
    "wasserstein": lambda s: D.wasserstein(s, normal_particles(20, 3, 5)),
    "wasserstein of order 1": lambda s: D.wasserstein(s, normal_particles(20, 3, 5), order=1),
    "sliced": lambda s: D.sliced_wasserstein(s, normal_particles(33, 3, 5), num_directions=8),
    "correlation": lambda s: D.pair_correlation(s)[0, 1] + D.pair_correlation(s)[2, 2],
}


OTHER, OTHER64 = normal_particles(20, 3, 5, jnp.float32), normal_particles(20, 3, 5)
SINGLE = {
    "wasserstein": lambda s: D.wasserstein(s, OTHER),
    "wasserstein of order 1": lambda s: D.wasserstein(s, OTHER, order=1),
    "sliced": lambda s: D.sliced_wasserstein(s, OTHER, num_directions=8),
}


@pytest.mark.parametrize("name", SCALARS)
def test_gradients(name):
    """Gradients in the velocities, against finite differences. Catches neighbours, assignments or bandwidths that are
    differentiated wrongly, and a gradient of 0."""
    f = jax.jit(SCALARS[name])
    v = normal_particles(20, 3, 2).velocity
    gradient = jax.grad(lambda v: f(jk.Particles(v)))(v)
    direction = jax.random.normal(jax.random.key(3), v.shape)
    ends = [f(jk.Particles(v + sign * 1e-6 * direction)) for sign in (1, -1)]
    np.testing.assert_allclose(jnp.vdot(gradient, direction), (ends[0] - ends[1]) / 2e-6, rtol=2e-5, atol=1e-9)
    assert jnp.linalg.norm(gradient) > 1e-3


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_coincident_points(name, dtype):
    """Five points in one place: finite values and gradients, in both dtypes. Catches log 0 and 0/0."""
    v = normal_particles(20, 3, 2, dtype).velocity
    v = v.at[:5].set(v[0])
    scalar = SINGLE.get(name, SCALARS[name]) if dtype == jnp.float32 else SCALARS[name]
    value, gradient = jax.value_and_grad(lambda v: scalar(jk.Particles(v)))(v)
    assert value.dtype == dtype
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def _with_three_dead(state, holds):
    alive = jnp.ones(23, bool).at[jnp.asarray([0, 7, 22])].set(False)
    return jk.Particles(jnp.full((23, 3), holds).at[jnp.flatnonzero(alive)].set(state.velocity), alive=alive)


def _as_many_slots(state):
    return OTHER64 if state.num_slots == 20 else _with_three_dead(OTHER64, jnp.nan)


MASKED = {
    **SCALARS,
    "wasserstein": lambda s: D.wasserstein(s, _as_many_slots(s)),
    "wasserstein of order 1": lambda s: D.wasserstein(s, _as_many_slots(s), order=1),
    "energy": D.energy,
    "momentum": lambda s: D.momentum(s)[1],
    "temperature": D.temperature,
    "odd centred moment": lambda s: D.moment(s, order=3, centred=True),
    "stress": lambda s: D.stress(s)[0, 1],
    "mode": lambda s: D.mode(s, wavevector=(1.0, 2.0, 0.0)).imag,
    "speed": lambda s: s.mean(D.speed(s)),
}
BROKEN = {
    **SCALARS,
    "moment": D.moment,
    "odd moment": lambda s: D.moment(s, order=3),
    "odd centred moment": lambda s: D.moment(s, order=3, centred=True),
    "kde of given bandwidth": lambda s: D.kde_entropy(s, bandwidth=0.5),
    "wasserstein on the other side": lambda s: D.wasserstein(OTHER64, s),
    "wasserstein in d = 1": lambda s: D.wasserstein(_first(s), _first(OTHER64)),
    "wasserstein in d = 1, unequal": lambda s: D.wasserstein(_first(s), _first(normal_particles(31, 3, 5))),
    "wasserstein to a law": lambda s: D.wasserstein(_first(s), _logistic),
    "speed": lambda s: s.mean(D.speed(s)),
}


def _first(state):
    return jk.Particles(state.velocity[:, :1], alive=state.alive)


def _logistic(u):
    return jnp.log(u / (1 - u))


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
@pytest.mark.parametrize("name", BROKEN)
def test_non_finite_states(name, value):
    """No estimate of a state with a NaN or infinity is finite. Catches `x > 0`, which is False for a NaN: the distance would be
    0, as if the states agreed."""
    state = jk.Particles(normal_particles(20, 3, 2).velocity.at[4].set(value))
    assert not np.isfinite(BROKEN[name](state))


def test_distances_of_mismatched_states():
    """NaN for unequal numbers of live particles in d = 3, for none alive, and for a NaN that the other side's mask hides
    from the pairing. Catches a distance that looks like a result."""
    v = normal_particles(6, 3).velocity
    five, nobody = jk.Particles(v, alive=jnp.arange(6) < 5), jk.Particles(v, alive=jnp.zeros(6, bool))
    assert np.isnan(D.wasserstein(five, jk.Particles(v)))
    for distance in (D.wasserstein, D.sliced_wasserstein):
        assert np.isnan(distance(nobody, nobody))
        assert np.isnan(distance(nobody, jk.Particles(v)))
    x = jk.Particles(jnp.asarray([[0.0, 0], [1, 1], [5, 5]]), alive=jnp.asarray([True, True, False]))
    y = jk.Particles(jnp.asarray([[0.0, 0], [1, 1], [jnp.nan, 2]]), alive=jnp.asarray([False, True, True]))
    assert np.isnan(D.wasserstein(x, y))


def test_wasserstein_to_a_law_in_single_precision():
    """Catches an infinite distance: the last nodes of N = 1e6 round to 1 in float32, where the quantile is infinite."""
    x = jax.random.normal(jax.random.key(1), (1_000_000, 1), jnp.float32)
    assert 0.0005 < D.wasserstein(jk.Particles(x), jax.scipy.special.ndtri) < 0.005


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_entropy_estimate_by_hand(dim):
    """Catches a mistake in any constant: psi(N), psi(k), the ball, N for N - 1. A bias that is measured by the same
    estimator hides them."""
    v, k = np.asarray(normal_particles(12, dim, 7).velocity), 3
    r = np.sort(np.linalg.norm(v[:, None] - v[None], axis=-1), axis=1)[:, k]
    ball = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    expected = -(digamma(12) - digamma(k) + math.log(ball) + dim * np.log(r).mean())
    np.testing.assert_allclose(D.knn_entropy(jk.Particles(jnp.asarray(v)), k=k), expected, rtol=1e-10)


@pytest.mark.parametrize("holds", [1e200, jnp.nan])
@pytest.mark.parametrize("name", MASKED)
def test_mask_invariance(name, holds):
    """Values and gradients do not depend on what a dead slot holds. Catches a mask that is put on after the arithmetic:
    0 times NaN in the gradient of the live particles."""
    state, f = normal_particles(20, 3, 2), MASKED[name]
    padded = _with_three_dead(state, holds)
    alive = padded.alive
    np.testing.assert_allclose(f(padded), f(state), rtol=1e-12)
    gradient = jax.grad(lambda v: f(jk.Particles(v, alive=alive)))(padded.velocity)
    np.testing.assert_allclose(gradient[alive], jax.grad(lambda v: f(jk.Particles(v)))(state.velocity), rtol=1e-9)
    assert not gradient[~alive].any()
    assert jnp.linalg.norm(gradient) > 1e-4


def test_tiled_neighbours_equal_tree_neighbours():
    """The search that runs where there is no tree: several blocks and tiles, padding, dead points. Catches the point
    itself counted."""
    from jaxkinetic.diagnostics.entropy import _kth_neighbour

    v = normal_particles(1003, 3).velocity
    alive = jnp.ones(1003, bool).at[::7].set(False)
    for k in (1, 5):
        got = jax.jit(lambda v, a, k=k: kth_nearest(v, a, k, lanes=64, area=64 * 100, depth=3))(v, alive)
        expected = _kth_neighbour(v, alive, k=k)
        np.testing.assert_array_equal(np.asarray(got)[np.asarray(alive)], expected[np.asarray(alive)])


def test_relative_entropy():
    """Of N(m, 1) relative to N(0, 1): |m|^2/2; relative to the own Maxwellian 0. Within the bias of the estimator.
    Catches a sign of either part."""
    state = jk.Particles(normal_particles(20_000, 2).velocity + jnp.asarray([[1.0, 0.5]]))

    def log_density(v):
        return -jnp.sum(v**2, 1) / 2 - math.log(2 * math.pi)

    assert abs(float(D.relative_entropy(state, log_density)) - 0.625) < 0.04
    assert abs(float(D.relative_entropy(state))) < 0.04
    with pytest.raises(ValueError, match=r"`log_density` must return shape \(N,\), but returns \(20000, 2\)"):
        D.relative_entropy(state, lambda v: v)


def test_wasserstein_of_shifted_and_scaled_gaussians():
    """The same draws shifted and scaled: W_p of the empirical measures is exact in d = 1 (monotone map), W_2 of a shift
    in every d; equal to the assignment in d = 1; and unequal numbers of particles against quantiles on a common
    refinement. Catches a p-th root forgotten, and particles paired by their place in the array."""
    x = normal_particles(400, 1)
    for order in (1, 2, 3.5):
        moved = jk.Particles(x.velocity[::-1] + 0.7)
        np.testing.assert_allclose(D.wasserstein(x, moved, order=order), 0.7, rtol=1e-12)
    scaled = jk.Particles(1.5 * x.velocity[::-1])
    np.testing.assert_allclose(
        D.wasserstein(x, scaled), 0.5 * math.sqrt(np.mean(np.asarray(x.velocity) ** 2)), rtol=1e-12
    )
    v = normal_particles(300, 3)
    shift = jnp.asarray([[0.3, -0.4, 1.2]])
    np.testing.assert_allclose(D.wasserstein(v, jk.Particles(v.velocity + shift)), 1.3, rtol=1e-12)
    np.testing.assert_allclose(
        D.wasserstein(v, jk.Particles(1.5 * v.velocity)), 0.5 * math.sqrt(np.mean(np.sum(v.velocity**2, 1))), rtol=1e-12
    )
    # The order of the particles, and a dead one, change nothing.
    shuffled = jax.random.permutation(jax.random.key(1), v.velocity + shift)
    np.testing.assert_allclose(D.wasserstein(v, jk.Particles(shuffled)), 1.3, rtol=1e-12)
    u = np.sort(np.random.default_rng(0).uniform(size=(2, 15)))
    a, b = jk.Particles(jnp.asarray(u[0])[:, None]), jk.Particles(jnp.asarray(u[1][:10])[:, None])
    fine = np.mean(np.abs(np.repeat(u[0], 2) - np.repeat(np.sort(u[1][:10]), 3)) ** 2) ** 0.5
    np.testing.assert_allclose(D.wasserstein(a, b), fine, rtol=1e-12)
    np.testing.assert_allclose(D.wasserstein(b, a), fine, rtol=1e-12)
    masked = jk.Particles(jnp.asarray(u[1])[:, None], alive=jnp.arange(15) < 10)
    np.testing.assert_allclose(D.wasserstein(a, masked), fine, rtol=1e-12)


def test_wasserstein_to_a_law():
    """Against the law of the square of a uniform number the cost is a polynomial of u in every 1/N: Gauss's nodes are exact.
    Order 4, too; the order of the particles, and a dead one, change nothing. Catches quantiles at midpoints."""
    x, ends = np.random.default_rng(0).normal(size=5), np.arange(6) / 5
    state = jk.Particles(jnp.asarray([*x[:2], 9.0, *x[2:]])[:, None], alive=jnp.arange(6) != 2)
    for order in (2, 4):
        # (x - u^2)^p between the ends of each piece.
        pieces = [np.polynomial.Polynomial([y, 0, -1]) ** order for y in np.sort(x)]
        cost = sum(np.diff(p.integ()(ends[i : i + 2]))[0] for i, p in enumerate(pieces))
        np.testing.assert_allclose(D.wasserstein(state, jnp.square, order=order), cost ** (1 / order), rtol=1e-12)


def test_sampling_floor_of_wasserstein():
    """N E[W_2^2] of N(0,1) draws against the law: 3.34(1) at N = 1000 (MATH 8), 400 runs, |z| < 4: catches a square
    forgotten. Not quantiles at midpoints, which are .17 lower, 2 standard errors."""

    @jax.jit
    def one(key):
        x = jk.Particles(jax.random.normal(key, (1000, 1)))
        return 1000 * D.wasserstein(x, jax.scipy.stats.norm.ppf) ** 2

    found = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(0), 400)))
    z = (found.mean() - 3.34) / math.hypot(found.std(ddof=1) / 20, 0.01)
    print(found.mean(), z)
    assert abs(z) < 4


def test_sliced_wasserstein():
    """A shift by m: the mean of (theta.m)^2 is |m|^2/d. In d = 1 it is W_p. Catches directions that are not uniform."""
    v = normal_particles(500, 3)
    shift = jnp.asarray([[0.9, 1.2, 0.0]])
    found = D.sliced_wasserstein(v, jk.Particles(v.velocity + shift), num_directions=4000)
    assert abs(float(found) ** 2 - 0.75) < 4 * 0.75 * math.sqrt(0.8 / 4000)
    x, y = normal_particles(50, 1), normal_particles(40, 1, 3)
    np.testing.assert_allclose(D.sliced_wasserstein(x, y), D.wasserstein(x, y))
    assert float(D.sliced_wasserstein(v, v)) == 0


def test_histogram_and_l1():
    """Shares over widths; the L1 distance of draws of the law is its floor, 64 samples, |z| < 4; of a shifted law it is
    larger than that and at most the exact 2 (2 Phi(m/2) - 1). Catches counts for shares, half the distance, and a
    gradient of 0: a count has none."""
    state = jk.Particles(jnp.asarray([[0.5, 0.0], [1.5, 0.0], [0.0, 1.7], [9.0, 0.0]]), alive=jnp.asarray([True] * 4))
    np.testing.assert_allclose(D.histogram(state, edges=[0.0, 1.0, 3.0]), [0.25, 0.25])
    edges, component = np.linspace(-4, 4, 33), lambda s: s.velocity[:, 0]
    found = [
        float(D.marginal_l1(normal_particles(500, 2, s), jax.scipy.stats.norm.cdf, edges=edges, of=component))
        for s in range(64)
    ]
    floor = float(D.marginal_l1_floor(jax.scipy.stats.norm.cdf, 500, edges=edges))
    z = (np.mean(found) - floor) / (np.std(found) / 8)
    print(np.mean(found), floor, z)
    assert abs(np.mean(found) - floor) < 0.03 * floor + 4 * np.std(found) / 8
    shifted = jk.Particles(normal_particles(50_000, 2).velocity + 1.0)
    far = float(D.marginal_l1(shifted, jax.scipy.stats.norm.cdf, edges=edges, of=component))
    assert abs(far - 2 * (2 * norm.cdf(0.5) - 1)) < 0.03
    for name, call in (
        ("histogram", lambda v: D.histogram(jk.Particles(v), edges=[0.0, 1.0]).sum()),
        ("marginal_l1", lambda v: D.marginal_l1(jk.Particles(v), jax.scipy.stats.norm.cdf, edges=edges)),
    ):
        with pytest.raises(ValueError, match=f"`{name}` counts particles in bins, and a count has no derivative"):
            jax.grad(call)(state.velocity)
    assert np.isfinite(jax.jit(lambda v: D.histogram(jk.Particles(v), edges=[0.0, 1.0]))(state.velocity)).all()


def test_pair_correlation():
    """All ordered pairs by hand; and its mean over Maxwell molecules is the exact C, by the control variate with less
    noise (2 to 3 times less at N = 8). Catches the diagonal included, N for N - 1, and a control variate with a mean."""
    v = np.asarray(normal_particles(6, 3).velocity)
    by_hand = sum(np.outer(v[i], v[j]) for i in range(6) for j in range(6) if i != j) / 30
    np.testing.assert_allclose(D.pair_correlation(jk.Particles(jnp.asarray(v))), by_hand, rtol=1e-12, atol=1e-14)
    dead = jk.Particles(jnp.asarray(np.vstack([v, [[1e9] * 3]])), alive=jnp.arange(7) < 6)
    np.testing.assert_allclose(D.pair_correlation(dead), by_hand, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(D.pair_correlation(dead, of=lambda s: s.velocity[:, 0])[0, 0], by_hand[0, 0], rtol=1e-9)
    start, num, t = np.diag([2.0, 0.5, 0.5]), 8, 0.05

    def initial(key):
        return jk.Particles(jax.random.normal(key, (num, 3)) * jnp.sqrt(jnp.asarray([2.0, 0.5, 0.5]))[None, :])

    def controlled(state):
        return D.pair_correlation(state, second_moment=start)

    save = jk.Save(observe={"plain": D.pair_correlation, "controlled": controlled}, steps=(10,))
    runs = jk.ensemble(
        jk.landau.Kac(jk.landau.Maxwell()), initial, key=jax.random.key(2), replicas=4000, dt=t / 10, num_steps=10,
        scheme=jk.pairs.Sweep(), save=save, reduce=jk.MeanVar(),
    ).observed  # fmt: skip
    exact = (start - np.eye(3)) / num * (1 - math.exp(-12 * t))
    for name in ("plain", "controlled"):
        z = (np.asarray(runs[name].mean[0]) - exact) / np.asarray(runs[name].stderr[0])
        print(name, np.abs(z).max())
        assert np.abs(z).max() < 4.5
    assert (np.asarray(runs["controlled"].stderr) < np.asarray(runs["plain"].stderr)).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: D.kde_entropy(s, bandwidth=-1.0), "`bandwidth` must be positive, but is -1"),
        (lambda s: D.grid_entropy(s, bins=1), "`bins` must be at least 2, but is 1"),
        (lambda s: D.grid_entropy(s, bins=1000), r"`bins` must give at most 2\^26 nodes in d = 3, but gives"),
        (lambda s: D.histogram(s, edges=[1.0, 0.0]), "`edges` must increase, but do not"),
        (lambda s: D.histogram(s, edges=3.0), r"`edges` must have shape \(bins \+ 1,\), but is 3.0"),
        (lambda s: D.histogram(s, edges=[0.0, 1.0], of=D.energy), "`of` must return one number a particle"),
        (
            lambda s: D.wasserstein(s, normal_particles(9, 3)),
            "`other` must hold as many particles as `state`, 10, but holds 9",
        ),
        (
            lambda s: D.wasserstein(normal_particles(2001, 2), normal_particles(2001, 2)),
            "`state` must hold at most 2000 particles for d > 1",
        ),
        (lambda s: D.wasserstein(s, normal_particles(10, 2)), "`other` must be Particles with d = 3, but has d = 2"),
        (lambda s: D.wasserstein(s, s, order=0.5), "`order` must be at least 1, but is 0.5"),
        (lambda s: D.wasserstein(s, jnp.exp), "`other` must be Particles, or for d = 1 a quantile function"),
        (lambda s: D.sliced_wasserstein(s, s, num_directions=0), "`num_directions` must be at least 1, but is 0"),
        (lambda s: D.pair_correlation(s, of=D.energy), r"`of` must return \(N, m\) or \(N,\), but returns shape \(\)"),
        (lambda s: D.pair_correlation(s, second_moment=np.eye(2)), r"`second_moment` must have shape \(3, 3\)"),
    ],
)
def test_argument_errors(call, sentence):
    """Bad arguments raise a `ValueError` that names the argument. Catches an estimate from arguments that mean nothing."""
    with pytest.raises(ValueError, match=sentence):
        call(normal_particles(10, 3))
