"""Isotropic densities: quadrature, diagnostics, Wasserstein distances of densities, laws of jk.initial as densities."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jaxkinetic as jk

D, I = jk.diagnostics, jk.initial


def maxwellian(num=120, dim=3, R=10.0, **parameters):
    return I.radial(I.maxwellian, R, num, dim, **parameters)


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 6, 9])
def test_quadrature(dim):
    """Moments, entropy and Fisher's information of a Maxwellian in R^d to 1e-10; the weights are positive. Catches the area of
    the sphere of another dimension, and, for even d, weights without the end correction (wrong by 1e-3 in d = 2)."""
    law = maxwellian(160, dim, 12.0, temperature=1.3)
    assert np.min(law.grid.weights) > 0
    close = dict(rtol=1e-10)
    np.testing.assert_allclose(law.mass, 1, **close)
    np.testing.assert_allclose(D.temperature(law), 1.3, **close)
    np.testing.assert_allclose(D.energy(law), 1.3 * dim / 2, **close)
    np.testing.assert_allclose(D.moment(law, order=4), dim * (dim + 2) * 1.3**2, **close)
    np.testing.assert_allclose(D.stress(law), 1.3 * np.eye(dim), atol=1e-10)
    np.testing.assert_array_equal(D.momentum(law), np.zeros(dim))
    np.testing.assert_allclose(D.entropy(law), -dim / 2 * np.log(2 * np.pi * np.e * 1.3), **close)
    np.testing.assert_allclose(D.fisher_information(law), dim / 1.3, rtol=1e-7)
    np.testing.assert_allclose(D.relative_entropy(law), 0, atol=1e-10)
    other = maxwellian(160, dim, 12.0)
    np.testing.assert_allclose(D.relative_entropy(law, other), dim / 2 * (0.3 - np.log(1.3)), rtol=1e-9)


def test_a_radial_law_is_the_law_on_the_grid():
    """The shell and the BKW datum: entropy and fourth moment on a grid of R^2 and of speeds, Fisher's information of the BKW
    datum. Catches a density of the speed that is taken for one in R^d, and a shell with another mean square."""
    grid = jk.Grid(*[jk.Axis(-7.0, 14.0, 96, periodic=False)] * 2)
    for law in (I.bkw, functools.partial(I.rosenbluth, sharpness=4.0, temperature=0.9)):
        flat, radial = I.on_grid(law, grid), I.radial(law, 7.0, 200, 2)
        np.testing.assert_allclose([flat.mass, radial.mass], 1, rtol=2e-5)
        for name in ("entropy", "moment", "temperature", *(["fisher_information"] if law is I.bkw else [])):
            np.testing.assert_allclose(getattr(D, name)(flat), getattr(D, name)(radial), rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(D.temperature(radial), 1 if law is I.bkw else 0.9, rtol=1e-6)


def test_fisher_information_at_a_zero():
    """The extreme BKW law vanishes at v = 0, a point of the grid, where |grad f|^2/f is not 0: 35/9 in d = 3, to 1e-6. Catches a
    point that is left out (2e-3)."""
    law = I.on_grid(I.bkw, jk.Grid(*[jk.Axis(-6.5, 13.0, 40, periodic=False)] * 3))
    np.testing.assert_allclose(D.fisher_information(law), 35 / 9, rtol=1e-6)


def test_fisher_information_of_a_shell():
    """f has a kink at v = 0, which is not resolved: int |f'|^2/f all the same, to 1e-5 of adaptive quadrature. Catches spectral
    derivatives, whose error is divided by f = 1e-15 (they gave 845)."""
    law = I.radial(I.rosenbluth, 7.0, 200, 2, sharpness=4.0)

    def integral(g, sigma):
        return scipy.integrate.quad(
            lambda v: v * g(v) * np.exp(-4 * (v / sigma - 1) ** 2), 0, 12 * sigma, points=[sigma]
        )[0]

    sigma = math.sqrt(2 * integral(lambda v: 1, 1) / integral(lambda v: v**2, 1))
    exact = integral(lambda v: (8 / sigma * (v / sigma - 1)) ** 2, sigma) / integral(lambda v: 1, sigma)
    np.testing.assert_allclose(D.fisher_information(law), exact, rtol=2e-5)


def test_laws_on_a_grid():
    """Every law against its own sampler: mean and pressure tensor of 40 000 draws within 4 standard errors; BKW and the torus
    mode against `exact`. Catches temperatures of a bi-Maxwellian on the wrong axes."""
    grid = jk.Grid(*[jk.Axis(-9.0, 18.0, 32, periodic=False)] * 3)
    for law in (
        functools.partial(I.maxwellian, mean=(0.5, 0.0, -1.0), temperature=0.8),
        functools.partial(I.bimaxwellian, perpendicular=1.5, parallel=0.5),
        functools.partial(I.bkw, beta=0.2),
    ):
        state, sample = I.on_grid(law, grid), law(jax.random.key(3), 40_000, 3)
        np.testing.assert_allclose(state.mass, 1, rtol=1e-6)
        spread = np.sqrt(np.diag(D.stress(state)))
        z = (np.asarray(D.momentum(sample)) - D.momentum(state)) * 200 / spread
        assert np.max(abs(z)) < 4, z
        z = (np.diag(D.stress(sample)) - np.diag(D.stress(state))) * 200 / (math.sqrt(2) * spread**2)
        assert np.max(abs(z)) < 4, z
    speeds = I.radial(I.bkw, 8.0, 40, 3, beta=0.3).grid.speeds
    exact = jk.landau.exact.bkw_density(np.asarray(speeds), 0.0, 3, 0.3)
    np.testing.assert_allclose(I.radial(I.bkw, 8.0, 40, 3, beta=0.3).f, exact, rtol=1e-12)
    torus = jk.Grid(*[jk.Axis(0.0, 2 * np.pi, 8)] * 2)
    interaction = jk.landau.Trigonometric([[0, 0], [1, 2]], [1.0, 0.5])
    v = np.stack([np.asarray(x) for x in torus.mesh], -1)
    exact = jk.landau.exact.torus_mode_density(v, 0.0, interaction, (1, 2), 0.6, 0.3)
    np.testing.assert_allclose(
        I.on_grid(I.torus_mode, torus, mode=[1, 2], amplitude=0.6, phase=0.3).f, exact, rtol=1e-12
    )


def test_a_function_as_a_law():
    """A function of the coordinates, of an array (..., d), and of the speed. Catches a density of the speed."""
    grid = jk.Grid(*[jk.Axis(-8.0, 16.0, 32, periodic=False)] * 2)
    by_axes = I.on_grid(lambda x, y: jnp.exp(-(x * x + y * y) / 2) / (2 * np.pi), grid)
    by_vector = I.on_grid(lambda v: jnp.exp(-jnp.sum(v * v, -1) / 2) / (2 * np.pi), grid)
    np.testing.assert_allclose(by_axes.f, by_vector.f, rtol=1e-14)
    np.testing.assert_allclose(by_axes.f, I.on_grid(I.maxwellian, grid).f, rtol=1e-14)
    radial = I.radial(lambda v: jnp.exp(-v * v / 2) / (2 * np.pi) ** 1.5, 10.0, 120, 3)
    np.testing.assert_allclose(radial.f, maxwellian().f, rtol=1e-14)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_wasserstein_of_isotropic_laws(dim):
    """Two Maxwellians on different grids: W_2 = sqrt(d) |s - s'|, W_1 = E|xi| |s - s'|. Catches a distribution function whose
    first cell is missing, and one of an even function where it is odd."""
    one, other = maxwellian(120, dim), maxwellian(124, dim, 9.0, temperature=0.6)
    gap = 1 - math.sqrt(0.6)
    np.testing.assert_allclose(D.wasserstein(one, other), math.sqrt(dim) * gap, rtol=1e-6)
    mean = math.sqrt(2) * math.gamma((dim + 1) / 2) / math.gamma(dim / 2)
    np.testing.assert_allclose(D.wasserstein(other, one, order=1), mean * gap, rtol=5e-4)
    np.testing.assert_allclose(D.wasserstein(one, one), 0, atol=1e-5)


def test_wasserstein_in_one_dimension():
    """Two normal laws: W_2^2 = m^2 + (s - s')^2, as densities, as a density and a distribution of scipy, and with particles;
    the derivative in the temperature. Catches the quantile of the wrong side, and a derivative without the normalisation."""
    axis, other_axis = (jk.Axis(-a, 20.0, n, periodic=False) for a, n in ((10.0, 160), (9.0, 128)))
    here = I.on_grid(I.maxwellian, jk.Grid(axis))

    def there(temperature):
        return I.on_grid(I.maxwellian, jk.Grid(other_axis), mean=1.0, temperature=temperature)

    exact = math.hypot(1, 1 - math.sqrt(0.5))
    np.testing.assert_allclose(D.wasserstein(here, there(0.5)), exact, rtol=1e-8)
    np.testing.assert_allclose(D.wasserstein(there(0.5), scipy.stats.norm), exact, rtol=1e-10)
    slope = -(1 - math.sqrt(0.5)) / math.sqrt(0.5) / 2 / exact
    np.testing.assert_allclose(jax.grad(lambda T: D.wasserstein(here, there(T)))(0.5), slope, rtol=1e-5)
    particles = I.maxwellian(jax.random.key(1), 1000, 1, mean=1.0)
    wanted = D.wasserstein(particles, scipy.stats.norm)
    np.testing.assert_allclose([D.wasserstein(particles, here), D.wasserstein(here, particles)], wanted, rtol=1e-6)


def test_gradients():
    """Derivatives in the parameters of the initial law agree with differences."""
    for name in ("entropy", "fisher_information", "moment"):

        def fn(beta, name=name):
            return getattr(D, name)(I.radial(I.bkw, 8.0, 60, 3, beta=beta))

        difference = (fn(0.3 + 1e-5) - fn(0.3 - 1e-5)) / 2e-5
        np.testing.assert_allclose(jax.jit(jax.grad(fn))(0.3), difference, rtol=1e-6, err_msg=name)


PLANE = jk.Grid(*[jk.Axis(-8.0, 16.0, 16, periodic=False)] * 2)
ERRORS = [
    (lambda: jk.RadialGrid(-1.0, 20), "`radius` must be positive"),
    (lambda: jk.RadialGrid(1.0, 4), "`num` must be at least 8, but is 4"),
    (lambda: jk.RadialGrid(1.0, 20, 10), "`dim` must be at most 9, but is 10"),
    (lambda: jk.RadialDensity(jnp.ones(5), jk.RadialGrid(1.0, 8)), r"`f` must have shape \(8,\), but has shape \(5,\)"),
    (lambda: jk.RadialDensity(jnp.ones(8), PLANE), "`grid` must be a RadialGrid, but is"),
    (lambda: I.on_grid("bkw", PLANE), "`law` must be a law of jk.initial, or a function of the velocities, but is"),
    (lambda: I.on_grid(I.bkw, PLANE, temperature=1.0), r"`temperature` must be a parameter of bkw \(beta\)"),
    (lambda: I.on_grid(I.bkw, PLANE, beta=0.9), r"`beta` must be at most 2/\(d\+2\)"),
    (lambda: I.on_grid(I.bkw, None), "`grid` must be a Grid, but is None"),
    (lambda: I.on_grid(functools.partial(I.bkw, dim=3), PLANE), "`dim` must be 2, as the grid has it, but is 3"),
    (lambda: I.on_grid(I.maxwellian, jk.Grid(jk.Axis(0.0, 1.0, 8))), "`grid` must have axes that are not periodic"),
    (lambda: I.on_grid(I.torus_mode, PLANE, mode=[1], amplitude=0.5), "`grid` must have 1 axes, one for each component"),
    (lambda: I.on_grid(lambda x, y: x[0], PLANE), r"`law` must return real numbers of shape \(16, 16\), but returns"),
    (lambda: I.radial(I.bimaxwellian, 8.0, 20, 3), "`law` must be isotropic, but is bimaxwellian"),
    (lambda: maxwellian(mean=1.0), "`mean` must be 0 for an isotropic density"),
    (lambda: D.wasserstein(maxwellian(), maxwellian(dim=2)), "`other` must be a RadialDensity with dim = 3, but has dim"),
    (lambda: D.wasserstein(I.on_grid(I.maxwellian, PLANE), I.on_grid(I.maxwellian, PLANE)), "`state` must be isotropic, or"),
    (lambda: D.wasserstein(I.maxwellian(jax.random.key(0), 9, 3), maxwellian()), "`other` must be Particles or a law"),
    (lambda: D.relative_entropy(maxwellian(), maxwellian(60)), r"`log_density` must be on the same grid, of shape \(120,\)"),
    (lambda: D.relative_entropy(maxwellian(), maxwellian(R=9.0)), "`log_density` must be on the same grid, RadialGrid"),
    (lambda: D.relative_entropy(maxwellian(), 3), "`log_density` must be a RadialDensity on the same grid"),
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(ERRORS)))
def test_errors(index):
    """One clear sentence each."""
    call, sentence = ERRORS[index]
    with pytest.raises(ValueError, match=sentence):
        call()
