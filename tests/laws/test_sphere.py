"""The law of Brownian motion on S^{d-1} against what defines it: its moments, its quantile, its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import harmonic
from scipy.stats import kstest
from sphere_table import table

import jaxkinetic as jk
from jaxkinetic.pairs import spherical_heat_cdf, spherical_heat_kernel, spherical_heat_quantile
from jaxkinetic.pairs.spherical_heat import general as _heat_law, two_sphere as _heat_sphere

DIMS = (2, 3, 4, 5)
TAUS = 10.0 ** np.linspace(-8, np.log10(50), 40)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


@pytest.mark.parametrize("dim", DIMS)
def test_harmonics_decay(dim):
    """E R_l(cos theta) = e^{-l(l+d-2) tau}, l <= 8, to 1e-10: catches 2 tau for tau, another sphere's law, and every
    approximation (Nanbu's is 6e-5 off for l = 2 at tau = .02, Takizuka and Abe's 6e-3). Integrated by parts, so that F
    is tested."""
    for tau in (1e-8, 1e-4, 0.01, 0.049, 0.051, 0.1, 0.3, 1.0, 4.0):
        reach = min(np.pi, np.sqrt(4 * tau * 60))
        theta = reach * NODES
        survival = 1 - np.asarray(spherical_heat_cdf(np.sin(theta / 2) ** 2, np.full_like(theta, tau), dim))
        for degree in range(1, 9):
            step = 1e-6
            # d R_l / d theta by the harmonic of degree l - 1 in d + 2.
            slope = (
                -np.sin(theta) * degree * (degree + dim - 2) / (dim - 1) * harmonic(degree - 1, np.cos(theta), dim + 2)
            )
            near = (harmonic(degree, np.cos(1.0 + step), dim) - harmonic(degree, np.cos(1.0 - step), dim)) / (2 * step)
            by_formula = (
                -np.sin(1.0) * degree * (degree + dim - 2) / (dim - 1) * harmonic(degree - 1, np.cos(1.0), dim + 2)
            )
            assert abs(near - by_formula) < 1e-7
            mean = 1 + reach * np.sum(WEIGHTS * slope * survival)
            assert abs(mean - np.exp(-degree * (degree + dim - 2) * tau)) < 1e-10, (tau, degree)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(("dtype", "allowed"), [(jnp.float64, 1e-9), (jnp.float32, 1e-5)])
def test_quantile_inverts_cdf(dim, dtype, allowed):
    """|F(quantile(u)) - u| over u and tau, and relative to u at small u; F in float64 whatever the quantile's dtype.
    Catches an iteration that stops too early, and angles that lose their digits at small u."""
    u = np.concatenate(
        [10.0 ** np.linspace(-9, -1, 17), np.linspace(0.15, 0.95, 9), 1 - 10.0 ** np.linspace(-7, -1.5, 12)]
    )
    u, tau = (x.astype(dtype) for x in np.meshgrid(u, TAUS))
    x = spherical_heat_quantile(u, tau, dim)
    assert x.dtype == dtype
    assert ((x >= 0) & (x <= 1)).all()
    reached = np.asarray(spherical_heat_cdf(np.asarray(x, float), np.asarray(tau, float), dim))
    # What the rounding of x itself does to F, near 1.
    up, down = (np.minimum(np.nextafter(x, dtype(end)), 1).astype(float) for end in (2, 0))
    rounding = np.asarray(spherical_heat_cdf(up, np.asarray(tau, float), dim)) - np.asarray(
        spherical_heat_cdf(down, np.asarray(tau, float), dim)
    )
    error = np.maximum(np.abs(reached - u) - rounding, 0)
    print(dim, error.max(), (error / u).max())
    assert error.max() < allowed
    # Relative precision of small angles: F ~ x^{(d-1)/2} there.
    assert (error / u)[u < 0.1].max() < 10 * allowed


def test_expansions_and_closed_forms_agree():
    """The general law in d = 2, 3 against the closed forms, and at the time where one expansion hands over to the other.
    Catches a jump there, and a missing factor of one expansion."""
    theta = np.linspace(0.02, 2.2, 12)
    for dim in (*DIMS, 8):
        tau = np.full_like(theta, _heat_law.crossover(jnp.float64))
        late, slope = _heat_law.series(jnp.cos(theta), tau, dim)
        log_early, log_slope = _heat_law.expansion(jnp.asarray(theta), tau, dim)
        np.testing.assert_allclose(jnp.exp(log_early), late, rtol=1e-5, atol=1e-12 * late[0])
        np.testing.assert_allclose(-jnp.sin(theta) * slope / late, log_slope, rtol=1e-4)
    for dim in (2, 3):
        for tau in (1e-8, 1e-3, 0.04, 0.06, 0.3, 2.0):
            angle = jnp.minimum(jnp.sqrt(4 * tau * jnp.linspace(0.01, 20, 15)), np.pi)
            general = _heat_law.cumulative(angle, jnp.full_like(angle, tau), dim)
            closed = spherical_heat_cdf(jnp.sin(angle / 2) ** 2, tau, dim)
            np.testing.assert_allclose(general, closed, rtol=1e-11, atol=1e-12)


def test_table_is_reproducible():
    """The stored coefficients are those that tests/tools/sphere_table.py computes. Catches a digit that was changed by
    hand."""
    np.testing.assert_allclose(np.asarray(_heat_sphere.CHEBYSHEV), table(), atol=1e-7)


@pytest.mark.parametrize("dim", [pytest.param(d, marks=[pytest.mark.slow] * (d == 5)) for d in DIMS])
def test_draws_have_the_law(dim):
    """Kolmogorov and Smirnov at 20 000 draws (5000 in d > 3), false alarm below 1e-4. Catches 2 tau for tau, which is
    far away."""
    num = 20_000 if dim < 4 else 5_000
    for seed, tau in enumerate((1e-6, 0.02, 0.2, 1.5)):
        draws = np.asarray(spherical_heat_kernel(jax.random.key(seed), jnp.full(num, tau), dim))
        p = kstest(draws, lambda x, t=tau: np.asarray(spherical_heat_cdf(x, np.full_like(x, t), dim))).pvalue
        assert p > 1e-4, (tau, p)
    assert kstest(draws, lambda x: np.asarray(spherical_heat_cdf(x, np.full_like(x, 0.75), dim))).pvalue < 1e-8


@pytest.mark.parametrize("dim", DIMS)
def test_quantile_derivatives(dim):
    """dx/dtau = -(d_tau F)/p with F and p by finite differences of the distribution function; dx/du = 1/p. Catches a
    derivative of the iteration instead of the implicit function's."""
    u, tau = np.meshgrid(np.asarray([1e-3, 0.1, 0.5, 0.9, 0.99]), np.asarray([1e-6, 1e-3, 0.03, 0.06, 0.2, 0.7, 3.0]))
    u, tau = jnp.asarray(u.ravel()), jnp.asarray(tau.ravel())

    @jax.jit
    def derivatives(u, tau):
        x, by_tau = jax.jvp(lambda t: spherical_heat_quantile(u, t, dim), (tau,), (jnp.ones_like(tau),))
        return x, by_tau, jax.jvp(lambda u: spherical_heat_quantile(u, tau, dim), (u,), (jnp.ones_like(u),))[1]

    x, by_tau, by_u = derivatives(u, tau)
    step = 1e-4
    # Near x = 1 the step is small against 1 - x.
    up, down = (x + sign * step * jnp.minimum(x, 1 - x) for sign in (1, -1))
    density = (spherical_heat_cdf(up, tau, dim) - spherical_heat_cdf(down, tau, dim)) / (up - down)
    drift = (spherical_heat_cdf(x, tau * (1 + step), dim) - spherical_heat_cdf(x, tau * (1 - step), dim)) / (
        2 * step * tau
    )
    np.testing.assert_allclose(by_tau, -drift / density, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(by_u, 1 / density, rtol=1e-5)
    single = derivatives(u.astype(jnp.float32), tau.astype(jnp.float32))[1]
    np.testing.assert_allclose(single, by_tau, rtol=2e-3, atol=1e-6)


def test_second_derivative():
    """Catches a derivative rule that cannot itself be differentiated: Hessians of a fit."""
    u, tau, step = jnp.linspace(0.05, 0.95, 8), jnp.asarray([1e-3, 0.02, 0.04, 0.06, 0.1, 0.4, 1.0, 2.0]), 1e-5

    def first(tau):
        return jax.jvp(lambda t: spherical_heat_quantile(u, t, 3), (tau,), (jnp.ones_like(tau),))[1]

    second = jax.jit(lambda tau: jax.jvp(first, (tau,), (jnp.ones_like(tau),))[1])(tau)
    difference = (jax.jit(first)(tau * (1 + step)) - jax.jit(first)(tau * (1 - step))) / (2 * step * tau)
    np.testing.assert_allclose(second, difference, rtol=1e-5, atol=1e-6)


def test_limits_in_time():
    """tau = 1e3 and infinity give the uniform law, tau = 0 no rotation. Catches NaN at either end."""
    u = jnp.linspace(0.01, 0.99, 7)
    for dtype in (jnp.float32, jnp.float64):
        for tau in (1e3, jnp.inf):
            np.testing.assert_allclose(spherical_heat_quantile(u.astype(dtype), tau, 3), u, rtol=1e-5)
        assert (spherical_heat_quantile(u.astype(dtype), 0.0, 3) < 1e-20).all()


@pytest.mark.parametrize("tau", [-1e-9, float("nan")])
def test_negative_or_nan_time_raises(tau):
    """Catches a mistaken time that gives a rotation by NaN, or no rotation."""
    for call in (lambda: spherical_heat_quantile(0.5, tau, 3), lambda: spherical_heat_kernel(jax.random.key(0), tau, 2),
                 lambda: spherical_heat_kernel(jax.random.key(0), jnp.asarray([0.1, tau]), 3)):  # fmt: skip
        with pytest.raises(
            ValueError, match=r"Argument `tau` must not be negative or NaN, but holds (-1e-09|nan); correct it\."
        ):
            call()


def test_argument_errors_inside_jit():
    """A number written in the program is known while tracing, so it raises at once. Catches a check of time, probability or
    position that `jit` turns off."""
    for call, sentence in (
        (lambda: spherical_heat_quantile(0.5, -1.0, 3), "`tau` must not be negative or NaN, but holds -1"),
        (lambda: spherical_heat_cdf(0.5, -1.0, 3), "`tau` must not be negative or NaN, but holds -1"),
        (lambda: spherical_heat_cdf(2.0, 0.1, 3), r"`x` must lie in \[0, 1\], but holds 2"),
        (lambda: spherical_heat_quantile(1.5, 0.1, 2), r"`u` must lie in \[0, 1\], but holds 1.5"),
        (lambda: spherical_heat_quantile("a", 0.1, 2), "`u` must be a real array, float32 or float64, but is 'a'"),
    ):
        for run in (call, jax.jit(call)):
            with pytest.raises(ValueError, match=sentence):
                run()


@pytest.mark.parametrize("dim", [2, 4])
def test_quantile_of_tiny_probability(dim):
    """Relative, where F falls as theta^(d-1): catches a bracket that ends too early."""
    for u in (1e-60, 1e-20):
        x = spherical_heat_quantile(u, 1.0, dim)
        np.testing.assert_allclose(spherical_heat_cdf(x, 1.0, dim) / u, 1, rtol=1e-6)


def test_gradient_near_a_half_turn():
    """float32: x rounds to 1 there. Catches the root of 1 - x, which has no derivative."""
    tau = jnp.linspace(0.8, 2, 4001, dtype=jnp.float32)
    words = tuple(jnp.full(tau.shape, w, jnp.uint32) for w in (2**32 - 1, 12345))

    def along(tau):
        z = tuple(jnp.full(tau.shape, c, jnp.float32) for c in (0.3, -0.7, 1.1))
        return sum(jnp.sum(c) for c in jk.pairs.heat_rotation(words, tau, z))

    assert np.isfinite(jax.jit(jax.grad(along))(tau)).all()


@pytest.mark.optimised
@pytest.mark.parametrize("dim", [2, 3, 4])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_rotation_length_and_isotropy(dim, dtype):
    """|z + dz| = |z| to round-off and, in mean, to a hundredth of it. Catches the rounding of -1/6 in a sine, or sqrt(x
    (1 - x)) for the product of two roots: they change r^2 by .004 to .02 eps a rotation, and a sweep makes N rotations
    (4 standard errors: .004 eps). Along z the increment is -2 x z; the part across z has no preferred direction."""
    num, tau = 300_000 if dim < 4 else 20_000, 0.15
    words = tuple(jax.random.bits(jax.random.key(3), (jk.pairs.rotations.num_words(dim), num), jnp.uint32))
    rotate = jax.jit(jk.pairs.heat_rotation)
    z = tuple(jax.random.normal(jax.random.key(4), (dim, num), dtype))
    dz = rotate(words, jnp.full(num, 3.0, dtype), z)
    before = np.stack(z, -1).astype(np.longdouble)
    relative = ((before + np.stack(dz, -1)) ** 2).sum(-1) / (before**2).sum(-1) - 1
    eps = float(jnp.finfo(dtype).eps)
    assert np.abs(relative).max() < (8 if dim < 4 else 80) * eps
    assert abs(relative.mean()) < 4 * relative.std() / np.sqrt(num)
    z = tuple(jnp.full(num, c, dtype) for c in (0.3, -0.7, -1.1, 0.4)[:dim])
    before = np.stack(z, -1).astype(float)
    after = before + np.stack(rotate(words, jnp.full(num, tau, dtype), z), -1)
    cosine = (before * after).sum(-1) / (before**2).sum(-1)
    for degree in (1, 2, 3):
        values = harmonic(degree, cosine, dim)
        z_score = (values.mean() - np.exp(-degree * (degree + dim - 2) * tau)) / (values.std() / np.sqrt(num))
        assert abs(z_score) < 4
    across = after - cosine[:, None] * before
    assert np.abs(across.mean(0) / (across.std(0) / np.sqrt(num))).max() < 4
    second = np.einsum("ni,nj->ij", across, across) / (across**2).sum()
    w = before[0] / np.linalg.norm(before[0])
    np.testing.assert_allclose(second, (np.eye(dim) - np.outer(w, w)) / (dim - 1), atol=0.015)


@pytest.mark.parametrize(("dtype", "width"), [(jnp.float32, 0.1), (jnp.float64, 1e-4)])
def test_rotation_near_a_right_angle_keeps_the_length(dtype, width):
    """z = (1, 0) and x within `width` of 1/2: |z + dz|^2 - 1 is the rounding of sin(theta) alone, its mean 0 within 4 standard
    errors (.003 eps). Catches 2 sqrt(x (1 - x)) for the product of two roots: the mean is .02 eps away in float32, .1 in
    float64, and a sweep makes N rotations. (All d use this line.)"""
    num = 1_000_000
    # Drawn in float64 and rounded: uniform float32 numbers lie on a grid that is coarser than their rounding below 1/2.
    x = jax.random.uniform(jax.random.key(8), (num,), jnp.float64, 0.5 - width, 0.5 + width).astype(dtype)
    words = (jax.random.bits(jax.random.key(9), (num,), jnp.uint32),)
    dz = jax.jit(jk.pairs.rotations.rotation)(words, x, (jnp.ones(num, dtype), jnp.zeros(num, dtype)))
    along, across = (np.asarray(c, np.longdouble) for c in dz)
    # (1 + along)^2 + across^2 - 1, without the 1 that would round it.
    change = (2 + along) * along + across**2
    assert np.abs(change).max() < 4 * jnp.finfo(dtype).eps
    assert abs(change.mean()) < 4 * change.std() / np.sqrt(num)


@pytest.mark.parametrize("dim", [4, 8])
def test_quantile_at_tiny_times_in_single_precision(dim):
    """x/tau is constant in the limit of small tau, down to 1e-30. Catches a density that overflows in float32: x was 0 there in
    d = 4, and twice too large at 1e-25."""
    tau = jnp.asarray([1e-30, 1e-25, 1e-18, 1e-8], jnp.float32)
    scaled = spherical_heat_quantile(jnp.full(4, 0.6, jnp.float32), tau, dim) / tau
    exact = spherical_heat_quantile(jnp.asarray(0.6), jnp.asarray(1e-10), dim) * 1e10
    np.testing.assert_allclose(scaled, exact, rtol=1e-4)
