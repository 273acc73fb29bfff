"""How many particles are outside the mean-field state: exact values, a dense definition, the grid against Monte Carlo."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE, box_grid, torus_grid
from scipy.stats import multivariate_normal

import jaxkinetic as jk

V = jk.vlasov
SIGMA, CHIRP = np.diag([1.0, 0.5]), np.asarray([[0.3, 0.2], [0.2, -0.4]])
SPRING = V.Harmonic()


def box(num=40, reach=9.0) -> jk.Grid:
    return box_grid(num, num, reach, 0.85 * reach)


def exact(num, chirp, swaps=None, time=1.0):
    swaps = num if swaps is None else swaps
    return np.asarray([V.exact.harmonic_overlap(num, time, SIGMA, chirp=chirp, swaps=m) for m in range(swaps + 1)])


def test_exact_overlaps():
    """Three known values to their last digit, and the limit of N (1 - <p_1>); at time 0 all overlaps are 1. Catches the
    frequency of the mean field for that of the N particles."""
    for num, value in ((2, 0.372639672), (3, 0.260421930), (100, 8.30036121e-3)):
        np.testing.assert_allclose(1 - V.exact.harmonic_overlap(num, 1.0, SIGMA), value, rtol=2e-9)
    np.testing.assert_allclose(400 * (1 - V.exact.harmonic_overlap(400, 1.0, SIGMA)), 0.831360, rtol=1e-3)
    np.testing.assert_allclose(exact(3, CHIRP, time=0.0), 1, rtol=1e-13)


def dense(state: np.ndarray, one: np.ndarray) -> np.ndarray:
    """<P_k> by the definition: projections applied to the state of three points in a basis, all subsets."""
    num = state.ndim

    def project(psi, j):
        inner = np.tensordot(one.conj(), psi, (0, j))
        return np.moveaxis(np.multiply.outer(one, inner), 0, j)

    out = np.zeros(num + 1)
    for outside in itertools.product((0, 1), repeat=num):
        psi = state
        for j, q in enumerate(outside):
            psi = psi - project(psi, j) if q else project(psi, j)
        out[sum(outside)] += np.vdot(state, psi).real
    return out


def test_distribution_equals_projections():
    """A random symmetric state of three particles against projections by numpy, in both pictures. Catches a sign or a
    binomial of the formula, a factor `cell` too many, and contractions over the wrong particle."""
    x, v = jk.Axis(0.0, 1.3, 4), jk.Axis(-1.0, 2.2, 4, periodic=False)
    rng = np.random.default_rng(0)

    def random(*shape):
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    one, many = random(4, 4), random(*[16] * 3)
    many = sum(many.transpose(p) for p in itertools.permutations(range(3)))
    cell = float(x.spacing * v.spacing)
    one = one / np.linalg.norm(one)
    product = np.einsum("i,j,k->ijk", *[one.ravel()] * 3)
    many = many / np.linalg.norm(many) + product
    many /= np.linalg.norm(many)
    expected = dense(many, one.ravel())
    wave = jk.Wave(one / math.sqrt(cell), jk.Grid(x, v))
    full = many.reshape([4] * 6).transpose(0, 2, 4, 1, 3, 5) / cell**1.5
    waves = jk.Wave(full, jk.Grid(x, x, x, v, v, v)), wave
    for pair in (waves, tuple(w.fourier_picture() for w in waves)):
        count = V.counting(*pair)
        np.testing.assert_allclose(count.distribution, expected, atol=1e-13)
        np.testing.assert_allclose(count.outside, expected @ np.arange(4) / 3, atol=1e-13)
        weights = np.minimum(np.arange(4) / 3**0.5, 1)
        np.testing.assert_allclose(V.counting_functional(*pair, 0.5), expected @ weights, atol=1e-13)
        assert expected.min() > 0.003


@pytest.mark.slow
@pytest.mark.parametrize("chirp", [0 * CHIRP, CHIRP], ids=["real", "complex"])
def test_two_particles_on_grid(chirp):
    """All overlaps and the functional to 2e-6. Catches a mean field that oscillates at the frequency of the pair, and in
    the complex case a phase that is lost."""
    wave = V.GaussianAmplitude(SIGMA, chirp).wave(box()).fourier_picture()
    options = {"scheme": jk.Yoshida(4), "dt": 0.05, "num_steps": 20}
    many = jk.simulate(V.PseudoSchrodinger(SPRING, 2), V.product_wave(wave, 2), **options).final
    one = jk.simulate(V.HamiltonHartree(SPRING), wave, **options).final
    count, expected = V.counting(many, one), exact(2, chirp)
    np.testing.assert_allclose(count.overlaps, expected, atol=2e-6)
    for exponent in (0.0, 0.3, 1.0):
        lower, upper = count.bounds(exponent)
        assert lower - 1e-9 <= count.functional(exponent) <= upper + 1e-9
    np.testing.assert_allclose(count.functional(1.0), count.outside, rtol=1e-12)
    np.testing.assert_allclose(count.functional(0.0), 1 - count.distribution[0], rtol=1e-12)


@pytest.mark.slow
def test_three_particles_on_grid():
    """A grid of 16^6, to 3e-3: coarse, as three particles must be. Catches the force of a pair applied to another pair,
    and a state that loses its symmetry."""
    wave = V.GaussianAmplitude(SIGMA, CHIRP).wave(box_grid(16, 16, 5.2, 4.4)).fourier_picture()
    options = {"scheme": jk.Strang(4), "dt": 0.25, "num_steps": 4}
    many = jk.simulate(V.PseudoSchrodinger(SPRING, 3), V.product_wave(wave, 3), **options).final
    one = jk.simulate(V.HamiltonHartree(SPRING), wave, **options).final
    np.testing.assert_allclose(V.counting(many, one).overlaps, exact(3, CHIRP), atol=3e-3)
    alpha = many.alpha
    for order in ((1, 0, 2, 4, 3, 5), (2, 1, 0, 5, 4, 3)):
        assert jnp.abs(alpha - alpha.transpose(order)).max() < 1e-12 * jnp.abs(alpha).max()


@pytest.mark.parametrize(
    "chirp", [pytest.param(0 * CHIRP, id="real", marks=pytest.mark.slow), pytest.param(CHIRP, id="complex")]
)
@pytest.mark.parametrize(
    ("num", "swaps", "samples"), [(2, 2, 40000), (3, 3, 40000), pytest.param(100, 1, 10000, marks=pytest.mark.slow)]
)
def test_monte_carlo_overlaps(num, swaps, samples, chirp):
    """|z| < 4 for every overlap, and for <P_k> where all were asked for. Without the bounded form E r^4 is infinite at N
    = 2. With r for its conjugate the complex case fails; with alpha at a time 2 % off, N = 100 fails by 8 standard
    errors."""
    flow = V.mean_field_flow(SPRING, V.GaussianAmplitude(SIGMA, chirp), box(), dt=0.02, num_steps=50)
    count = V.sampled_counting(jax.random.key(5), flow, num, samples=samples, swaps=swaps)
    expected = exact(num, chirp, swaps)
    z = (np.asarray(count.overlaps) - expected)[1:] / np.sqrt(np.diag(count.covariance))[1:]
    print(num, z)
    assert np.abs(z).max() < 4
    np.testing.assert_allclose(count.outside_stderr, jnp.sqrt(count.covariance[1, 1]))
    if swaps == num:
        transform = np.asarray(count._transform())
        z = np.asarray(count.distribution - transform @ expected) / np.asarray(count.distribution_stderr)
        assert np.abs(z).max() < 4
        np.testing.assert_allclose(jnp.sum(count.distribution), 1, rtol=1e-12)
        assert count.functional_stderr(0.5) < 0.01


@pytest.mark.slow
def test_outside_share_scales_as_one_over_n():
    """Slope of 1 - <p_1> over N = 25 to 400 by Monte Carlo: that of the exact values, near -1, within 4 standard errors,
    one of which is below .02. Catches a fluctuation that scales as N^{-1/2}."""
    amplitude, sizes = V.GaussianAmplitude(SIGMA), np.asarray([25, 50, 100, 200, 400])
    flow = V.mean_field_flow(SPRING, amplitude, box(), dt=0.05, num_steps=20)
    counts = [V.sampled_counting(jax.random.key(n), flow, int(n), samples=4000) for n in sizes]
    outside = np.asarray([float(c.outside) for c in counts])
    error = np.asarray([float(c.outside_stderr) for c in counts]) / outside
    line, cov = np.polyfit(np.log(sizes), np.log(outside), 1, w=1 / error, cov="unscaled")
    true = np.polyfit(np.log(sizes), np.log([1 - exact(int(n), 0 * CHIRP, 1)[1] for n in sizes]), 1)[0]
    error = math.sqrt(cov[0, 0])
    print(line[0], true, error)
    assert error < 0.02
    assert abs(line[0] - true) < 4 * error


TWISTED = V.PerturbedAmplitude(V.Maxwellian(0.6, CIRCLE), 0.4, twist=0.7)


def circle() -> jk.Grid:
    return torus_grid(24, 40, 5.2)


@pytest.mark.parametrize(
    "potential", [V.Cosine(1.0), V.Custom(lambda x: -jnp.sum(jnp.exp(jnp.cos(x)), -1))], ids=["series", "fourier"]
)
def test_characteristics_match_grid_wave(potential):
    """Backwards from grid points with the phases of K != 0: alpha to 1e-4 of its largest value, dt = .02. Forwards and
    back to round-off. Catches the sign of kappa, a field taken between the steps, and a phase counted twice."""
    flow = V.mean_field_flow(potential, TWISTED, circle(), dt=0.02, num_steps=40)
    wave = jk.simulate(
        V.HamiltonVlasov(potential), TWISTED.wave(circle()), scheme=jk.Strang(4), dt=0.05, num_steps=16
    ).final
    x, v = (c.ravel() for c in wave.grid.mesh)
    x0, v0, phase = flow.backward(x, v)
    found = TWISTED(x0, v0) * np.exp(1j * np.asarray(phase))
    top = np.abs(wave.alpha).max()
    print(np.abs(found - wave.alpha.ravel()).max() / top, np.abs(phase).max())
    assert np.abs(found - wave.alpha.ravel()).max() < 5e-4 * top
    assert np.abs(phase).max() > 0.1
    again, w, other = flow.forward(x0, v0)
    np.testing.assert_allclose((again, w, other), (x, v, phase), atol=1e-11)


def test_monte_carlo_matches_grid_on_torus():
    """HMF, complex data, K != 0, N = 2: all overlaps, |z| < 4. No closed form exists here: two codes that share only the
    potential. Catches a mistake of either."""
    potential, options = V.Cosine(1.0), {"scheme": jk.Strang(4), "dt": 0.1, "num_steps": 8}
    flow = V.mean_field_flow(potential, TWISTED, circle(), dt=0.02, num_steps=40)
    wave = TWISTED.wave(circle()).fourier_picture()
    many = jk.simulate(V.PseudoSchrodinger(potential, 2), V.product_wave(wave, 2), **options).final
    one = jk.simulate(V.HamiltonHartree(potential), wave, **options).final
    exact, count = (
        V.counting(many, one),
        V.sampled_counting(jax.random.key(2), flow, 2, samples=40000, swaps=2),
    )
    z = (np.asarray(count.overlaps) - np.asarray(exact.overlaps))[1:] / np.sqrt(np.diag(count.covariance))[1:]
    print(exact.overlaps, z)
    assert np.abs(z).max() < 4
    assert exact.outside > 0.02


def test_samples_have_the_law_of_the_amplitude():
    """Second moments of a correlated Gaussian within 4 standard errors, and its density |alpha|^2; on the torus the mean cosine
    A/2 and the temperature. Catches the covariance of alpha for that of |alpha|^2, a factor 2."""
    sigma = np.asarray([[1.0, 0.3], [0.3, 0.5]])
    x, v = (np.asarray(c) for c in V.GaussianAmplitude(sigma).sample(jax.random.key(0), 2**16))
    log_density = multivariate_normal(cov=sigma).logpdf(np.stack([x, v], -1))
    np.testing.assert_allclose(2 * V.GaussianAmplitude(sigma).log(x, v).real, log_density, rtol=1e-10)
    for found, expected in ((x * x, 1.0), (x * v, 0.3), (v * v, 0.5)):
        assert abs(found.mean() - expected) < 4 * found.std() / 2**8
    x, v = (np.asarray(c) for c in TWISTED.sample(jax.random.key(1), 2**16))
    assert abs(np.cos(x).mean() - 0.2) < 4 * np.cos(x).std() / 2**8
    assert abs((v * v).mean() - 0.6) < 4 * (v * v).std() / 2**8


@pytest.mark.slow
def test_gradients_of_sampled_share():
    """In the stiffness and in Sigma_xx, N = 3, through the flow, against differences of the exact value: within 2 %, the
    noise of 20000 samples (.1 %) and of dt. Catches a flow that is frozen, and samples that do not move with their law."""

    def share(stiffness, variance):
        amplitude = V.GaussianAmplitude(jnp.diag(jnp.stack([variance, jnp.full((), 0.5)])))
        flow = V.mean_field_flow(V.Harmonic(stiffness), amplitude, box(), dt=0.05, num_steps=20)
        return V.sampled_counting(jax.random.key(0), flow, 3, samples=20000).outside

    def truth(stiffness, variance):
        return 1 - V.exact.harmonic_overlap(3, 1.0, np.diag([variance, 0.5]), stiffness=stiffness)

    found = [float(x) for x in jax.grad(share, (0, 1))(jnp.asarray(1.0), jnp.asarray(1.0))]
    h = 1e-4
    expected = [(truth(1 + h, 1) - truth(1 - h, 1)) / (2 * h), (truth(1, 1 + h) - truth(1, 1 - h)) / (2 * h)]
    print(found, expected)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_potential_must_be_periodic_on_a_torus():
    """On a torus a potential that is not periodic raises: particles would feel Gamma(x_i - x_j), the grid all images of it.
    Catches this mismatch, which is 27 standard errors for this potential and which no other check shows. A user's own
    periodic function is accepted."""
    options = {"dt": 0.1, "num_steps": 2}
    flow = V.mean_field_flow(V.Gaussian(2.0, 1.0), TWISTED, circle(), **options)
    with pytest.raises(ValueError, match=r"period 6.28319 on a torus, but has Gaussian, which is not periodic"):
        V.sampled_counting(jax.random.key(0), flow, 2, samples=10)
    flow = V.mean_field_flow(V.Custom(lambda x: jnp.sum(jnp.exp(jnp.cos(x)), -1)), TWISTED, circle(), **options)
    assert V.sampled_counting(jax.random.key(0), flow, 2, samples=10).outside > 0


def test_mismatched_waves_raise():
    """Waves of another norm, in another box, or without the symmetry of identical particles raise. Catches a count of waves
    that cannot be compared: each of them would give a number."""
    wave = V.GaussianAmplitude(SIGMA).wave(box(16))
    two = V.product_wave(wave, 2)
    with pytest.raises(ValueError, match="`wave` must have unit norm, but has 4"):
        V.counting(two, jk.Wave(2 * wave.alpha, wave.grid))
    with pytest.raises(ValueError, match="`wave_n` must have unit norm, but has 9"):
        V.counting(jk.Wave(3 * two.alpha, two.grid), wave)
    with pytest.raises(ValueError, match="axes and the picture"):
        V.counting(two, V.GaussianAmplitude(SIGMA).wave(box(16, 8.0)))
    apart = jk.Wave(two.alpha * jk.spectral.phase(jnp.cos(two.grid.mesh[0])), two.grid)
    with pytest.raises(ValueError, match="`wave_n` must be symmetric"):
        V.counting(apart, wave)
    with pytest.raises(ValueError, match="be of one particle"):
        V.counting(wave, two)


def test_argument_errors():
    """Bad arguments raise one sentence each. Catches a count made from arguments that do not fit together."""
    amplitude = V.GaussianAmplitude(SIGMA)
    flow = V.mean_field_flow(SPRING, amplitude, box(), dt=0.1, num_steps=2)
    key = jax.random.key(0)
    for options, words in (
        ({"num_particles": 1}, "at least 2, but is 1"),
        ({"swaps": 4}, "at most N = 3"),
        ({"samples": 1}, "at least 2"),
    ):
        given = {"num_particles": 3, "samples": 10} | options
        with pytest.raises(ValueError, match=words):
            V.sampled_counting(key, flow, **given)
    count = V.sampled_counting(key, flow, 3, samples=10)
    with pytest.raises(ValueError, match="must be N = 3 for the k-distribution, but was 1"):
        _ = count.distribution
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        count.bounds(1.5)
    wave = amplitude.wave(box(16))
    with pytest.raises(ValueError, match="axes and the picture"):
        V.counting(V.product_wave(wave, 2), amplitude.wave(box(16)).fourier_picture())
    with pytest.raises(ValueError, match="must be a Wave"):
        V.counting(wave, flow)
    with pytest.raises(ValueError, match="positive"):
        V.GaussianAmplitude([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="must be real"):
        V.GaussianAmplitude(SIGMA, 1j * np.eye(2))
    with pytest.raises(ValueError, match="one JAX key"):
        V.sampled_counting(3, flow, 3, samples=10)
    with pytest.raises(ValueError, match="must be a MeanFieldFlow"):
        V.sampled_counting(key, None, 3, samples=10)
    with pytest.raises(ValueError, match="must be an amplitude"):
        V.mean_field_flow(SPRING, 3, box(), dt=0.1, num_steps=1)
    with pytest.raises(ValueError, match="at most N = 2"):
        V.exact.harmonic_overlap(2, 1.0, SIGMA, swaps=3)
