"""The tabulated numbers of MATH section 6, and identities between the exact laws."""

import jax
import numpy as np
import pytest

import jaxkinetic as jk

pytestmark = pytest.mark.newest

exact = jk.landau.exact


@pytest.mark.shapes
def test_bkw_entropy_table():
    """H of MATH 6 at t = 0, .1 and .5 for d = 3, beta = .4. Catches a quadrature that is cut off, and time in other
    units."""
    h = exact.bkw_entropy(np.array([0.0, 0.1, 0.5]), 3, 0.4)
    np.testing.assert_allclose(h, [-4.1928856314, -4.2495153177, -4.2568073768], atol=1e-10)


@pytest.mark.shapes
@pytest.mark.parametrize("dim", [2, 3, 4])
def test_bkw_moments_and_entropy_decay(dim):
    """Mass 1, T = 1; M4 = d(d+2) K(2-K), M6 = d(d+2)(d+4) K^2 (3-2K); entropy falls to the Maxwellian's at e^{-8(d-1)t}.
    Catches a time off by a factor 2, and d for d - 1."""
    beta, times = 2 / (dim + 2), np.array([0.0, 0.3, 1.5, 1.6]) / (dim - 1)
    k = 1 - beta * np.exp(-2 * (dim - 1) * times)
    np.testing.assert_allclose(exact.bkw_moment(times, 0, dim, beta), 1)
    np.testing.assert_allclose(exact.bkw_moment(times, 2, dim, beta), dim, rtol=1e-14)
    np.testing.assert_allclose(exact.bkw_moment(times, 4, dim, beta), dim * (dim + 2) * k * (2 - k), rtol=1e-13)
    sixth = dim * (dim + 2) * (dim + 4) * k**2 * (3 - 2 * k)
    np.testing.assert_allclose(exact.bkw_moment(times, 6, dim, beta), sixth, rtol=1e-13)
    r = np.linspace(0, 14, 20001)
    sphere = 2 * np.pi ** (dim / 2) / float(np.exp(jax.scipy.special.gammaln(dim / 2)))
    for t, m4 in zip(times, exact.bkw_moment(times, 4, dim, beta), strict=True):
        f = sphere * r ** (dim - 1) * exact.bkw_density(r, t, dim, beta)
        np.testing.assert_allclose([np.trapezoid(f, r), np.trapezoid(f * r**4, r)], [1, m4], rtol=1e-6)
    excess = exact.bkw_entropy(times, dim, beta) - exact.maxwellian_entropy(dim)
    assert (np.diff(excess) < 0).all()
    rate = np.log(excess[2] / excess[3]) / (times[3] - times[2])
    np.testing.assert_allclose(rate, 8 * (dim - 1), rtol=0.05)


def test_bkw_argument_errors():
    """Catches a density that is negative, for beta above 2/(d+2), and a moment of odd order."""
    with pytest.raises(ValueError, match=r"`beta` must lie in \[0, 2/\(d\+2\)\] = \[0, 0.4\], but is 0.5"):
        exact.bkw_moment(0.0, 4, 3, 0.5)
    with pytest.raises(ValueError, match="`order` must be even"):
        exact.bkw_moment(0.0, 3, 3, 0.4)


def test_ornstein_uhlenbeck_maps_bkw_to_bkw():
    """M4, M6 at t = .1 of the mapped sample, within 4 standard errors. Catches the time doubled, which is more than 8
    away."""
    state = jk.initial.bkw(jax.random.key(0), 1_000_000, 3)
    moved = exact.ornstein_uhlenbeck(jax.random.key(1), state, 0.1)
    speed2 = np.sum(np.asarray(moved.velocity) ** 2, axis=1)
    for order in (4, 6):
        sample = speed2 ** (order // 2)
        stderr = sample.std() / 1000
        assert abs(sample.mean() - exact.bkw_moment(0.1, order, 3, 0.4)) < 4 * stderr
        assert abs(sample.mean() - exact.bkw_moment(0.2, order, 3, 0.4)) > 8 * stderr


@pytest.mark.shapes
@pytest.mark.parametrize("noise", ["kac", "independent"])
def test_second_moments_solve_their_equations(noise):
    """Derivatives by differences against the right-hand sides of MATH section 6. Catches N for N - 1, and one noise's
    equation for the other's."""
    p0, c0 = np.diag([2.0, 1.0, 0.3]) + 0.2, 0.1 * np.ones((3, 3))
    n, d, t, h = 7, 3, 0.05, 1e-5
    (p, c), (p1, c1), (p2, c2) = (exact.second_moments(s, p0, c0, n, noise) for s in (t, t - h, t + h))
    x = p - c
    deviator = x - np.trace(x) / d * np.eye(d)
    p_rate = -4 * d * (n - 1) / n * deviator
    c_rate = 4 * d / n * deviator if noise == "kac" else 4 * (d - 1) / n * x
    np.testing.assert_allclose((p2 - p1) / (2 * h), p_rate, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose((c2 - c1) / (2 * h), c_rate, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(exact.second_moments(0.0, p0, c0, n, noise), (p0, c0), atol=1e-15)


@pytest.mark.shapes
def test_isotropic_moments_of_euler_steps():
    """As dt -> 0 the recursion tends to the exact M4 and M6 of BKW at order 1; its energy grows by 1 + 4 (d-1)^2 dt^2 a
    step. Catches a missing dt^2 of the heating."""
    for dim, beta in ((3, 0.4), (2, 0.5)):
        start = [float(exact.bkw_moment(0.0, order, dim, beta)) for order in (2, 4, 6)]
        errors = []
        for steps in (500, 1000):
            moments = exact.isotropic_moments_euler(steps, 0.1 / steps, start, dim)[-1]
            np.testing.assert_allclose(moments[0], dim * exact.euler_heating(0.1 / steps, dim, 10) ** steps, rtol=1e-12)
            errors.append(np.abs(moments[1:] / [exact.bkw_moment(0.1, order, dim, beta) for order in (4, 6)] - 1).max())
        assert errors[1] < 1e-2
        np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.02)


def test_quartic_start():
    """i.i.d. BKW and Gaussian data of N = 5, centred, within 4 standard errors; N - 1 for N is more than 8 away."""
    num, count = 5, 600_000
    gaussian = np.sqrt([1.6, 1.0, 0.4]) * np.random.default_rng(0).normal(size=(count, num, 3))
    bkw = np.asarray(jk.initial.bkw(jax.random.key(2), count * num, 3).velocity).reshape(count, num, 3)
    for v, covariance, fourth in ((gaussian, np.diag([1.6, 1.0, 0.4]), None), (bkw, np.eye(3), 12.6)):
        v = v - v.mean(axis=1, keepdims=True)
        s = np.einsum("rni,rnj->rij", v, v) / num
        e = np.trace(s, axis1=1, axis2=2)
        samples = np.stack([np.mean(np.sum(v**2, -1) ** 2, 1), e**2, np.sum(s**2, (1, 2))], 1)
        stderr = samples.std(0) / count**0.5
        z = (samples.mean(0) - exact.quartic_start(covariance, num, fourth)) / stderr
        assert np.abs(z).max() < 4, z
        wrong = (samples.mean(0) - exact.quartic_start(covariance, num - 1, fourth)) / stderr
        assert np.abs(wrong).min() > 8
