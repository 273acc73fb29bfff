"""Diagnostics of densities on velocity axes, by quadrature, against exact values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

D = jk.diagnostics
GRID = jk.Grid(*[jk.Axis(-9.0, 18.0, 48, periodic=False)] * 2)
MEAN, COVARIANCE = np.array([0.3, -0.2]), np.array([[1.5, 0.4], [0.4, 0.8]])


def normal(mean, covariance, mass=1.0):
    z = np.stack([np.asarray(v) for v in GRID.mesh], -1) - mean
    inverse = np.linalg.inv(covariance)
    f = np.exp(-np.einsum("xyi,ij,xyj->xy", z, inverse, z) / 2) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    return jk.Density(jnp.asarray(mass * f), GRID)


def test_normal_law():
    """Moments, entropy, relative entropy and Fisher's information of a normal law with correlations, of mass 2 where the mass
    does not matter, to 1e-8. Catches a moment that is not divided by the mass, and an entropy whose sum lacks the cell."""
    f, heavy = normal(MEAN, COVARIANCE), normal(MEAN, COVARIANCE, 2.0)
    close = dict(atol=1e-8)
    np.testing.assert_allclose(D.momentum(heavy), MEAN, **close)
    np.testing.assert_allclose(D.energy(heavy), (np.trace(COVARIANCE) + MEAN @ MEAN) / 2, **close)
    np.testing.assert_allclose(D.stress(heavy), COVARIANCE, **close)
    np.testing.assert_allclose(D.temperature(heavy), np.trace(COVARIANCE) / 2, **close)
    fourth = np.trace(COVARIANCE) ** 2 + 2 * np.trace(COVARIANCE @ COVARIANCE)
    np.testing.assert_allclose(D.moment(heavy, centred=True), fourth, **close)
    np.testing.assert_allclose(D.moment(normal(0 * MEAN, np.eye(2)), order=3), 3 * np.sqrt(np.pi / 2), rtol=1e-4)
    h = -1 - np.log(2 * np.pi * np.sqrt(np.linalg.det(COVARIANCE)))
    np.testing.assert_allclose(D.entropy(f), h, **close)
    np.testing.assert_allclose(D.fisher_information(f), np.trace(np.linalg.inv(COVARIANCE)), **close)
    g = normal(0 * MEAN, np.eye(2))
    wanted = (np.trace(COVARIANCE) + MEAN @ MEAN - 2 - np.log(np.linalg.det(COVARIANCE))) / 2
    np.testing.assert_allclose(D.relative_entropy(f, g), wanted, **close)
    np.testing.assert_allclose(D.relative_entropy(f), h + np.log(2 * np.pi * np.e * np.trace(COVARIANCE) / 2), **close)


def test_gradients_and_zeros():
    """Derivatives in a parameter of f, where f has zeros too, are finite and agree with differences. Catches NaN from
    0 log 0."""

    def functional(name):
        def of(t):
            x, y = GRID.mesh
            f = jnp.where(x > 0, jnp.exp(-(x**2 + y**2) / (2 * t)), 0.0)
            return getattr(D, name)(jk.Density(f, GRID))

        return of

    for name in ("entropy", "energy"):
        fn, t, small = functional(name), 1.3, 1e-5
        np.testing.assert_allclose(jax.grad(fn)(t), (fn(t + small) - fn(t - small)) / (2 * small), rtol=1e-6)


def test_nan_and_zeros_are_seen():
    """NaN in f gives NaN; an empty cell of both laws has no effect, also on derivatives; the Maxwellian of f has the mass of f.
    Catches a mask f > 0, which drops NaN, a product 0 log 0 that is masked after it, and a formula for mass 1."""
    broken = jk.Density(GRID.mesh[0] * jnp.nan, GRID)
    full = normal(MEAN, COVARIANCE)
    assert np.isnan([D.entropy(broken), D.fisher_information(broken), D.relative_entropy(broken, full)]).all()
    assert np.isnan(D.relative_entropy(full, broken))
    np.testing.assert_allclose(
        D.relative_entropy(normal(MEAN, COVARIANCE, 3.0)), 3 * D.relative_entropy(full), rtol=1e-9, atol=1e-12
    )
    circle = jk.Grid(jk.Axis(0.0, 2 * np.pi, 8))
    f = jnp.asarray([0.0, 1, 2, 3, 2, 1, 0, 0]) * 4 / (9 * np.pi)

    def per_particle(f):
        return D.entropy_per_particle(
            jk.product(jk.Density(f, circle), 2), jk.Density(jax.lax.stop_gradient(f), circle)
        )

    value, slope = jax.value_and_grad(per_particle)(f)
    np.testing.assert_allclose(value, 0, atol=1e-14)
    assert np.isfinite(slope).all()
    assert np.isnan(
        D.entropy_per_particle(jk.Density(jnp.full((8, 8), jnp.nan), jk.Grid(*circle.axes * 2)), full_line(circle))
    )


def full_line(grid):
    return jk.Density(jnp.ones(grid.shape) / (2 * np.pi), grid)


def test_options_and_grids_that_do_not_fit():
    """Options of the estimates from particles, other axes of the same shape, other masses, states that are none. Catches a
    bandwidth that has no effect, and f of one point beside g of another."""
    f, circle = normal(MEAN, COVARIANCE), jk.Grid(jk.Axis(0.0, 2 * np.pi, 8))
    line, square = full_line(circle), jk.Density(jnp.ones((8, 8)) / (4 * np.pi**2), jk.Grid(*circle.axes * 2))
    moved = jk.Density(f.f, jk.Grid(*[jk.Axis(-8.0, 18.0, 48, periodic=False)] * 2))
    unequal = jk.Density(jnp.ones((8, 10)), jk.Grid(circle.axes[0], jk.Axis(0.0, 2 * np.pi, 10)))
    for call, sentence in (
        (lambda: D.fisher_information(f, bandwidth=0.3), "`bandwidth` must be left out for a density, but is 0.3"),
        (lambda: D.fisher_information(f, bias=jnp.ones(())), "`bias` must be left out for a density"),
        (lambda: D.relative_entropy(f, f, entropy=D.kde_entropy), "`entropy` must be left out for a density"),
        (lambda: D.relative_entropy(f, moved), r"`log_density` must be on the same grid, but axis 0 is Axis\(start=-8.0"),
        (lambda: D.entropy_per_particle(None, line), "`state` must be a Density, but is None"),
        (lambda: D.entropy_per_particle(square, "x"), "`density` must be a Density, but is 'x'"),
        (lambda: D.entropy_per_particle(unequal, line), "`density` must be on the same grid, of shape \\(10,\\)"),
        (lambda: D.entropy_per_particle(square, jk.Density(2 * line.f, circle)), "`density` must have the mass of the law"),
        (lambda: D.energy(None), "`state` must be Particles or a density, but is None"),
        (lambda: jk.product(jk.Density(-line.f, circle), 2), "`density.f` must not be negative, but at one point is -0.159"),
        (lambda: jk.product(jk.Density(0 * line.f, circle), 2), "`density.f` must have a positive mass"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
    assert float(D.fisher_information(f, bandwidth=None, bias=0.0)) > 0


def test_entropy_of_particles_and_errors():
    """`entropy` of particles is the nearest-neighbour estimate; densities on other grids and functions raise, and so do moments
    on a periodic axis. Catches a position that is silently taken for a velocity."""
    particles = jk.initial.maxwellian(jax.random.key(0), 500, 2)
    assert float(D.entropy(particles)) == float(D.knn_entropy(particles))
    f = normal(MEAN, COVARIANCE)
    other = jk.Density(jnp.ones((8, 8)), jk.Grid(*[jk.Axis(-9.0, 18.0, 8, periodic=False)] * 2))
    with pytest.raises(ValueError, match=r"must be on the same grid, of shape \(48, 48\), but has shape \(8, 8\)"):
        D.relative_entropy(f, other)
    torus = jk.Density(jnp.ones((8, 8)), jk.Grid(*[jk.Axis(0.0, 1.0, 8)] * 2))
    for name in ("momentum", "energy", "stress", "temperature", "moment"):
        with pytest.raises(ValueError, match="`state` must be on velocity axes, which are not periodic, but axis 0 is"):
            getattr(D, name)(torus)
    with pytest.raises(ValueError, match="`log_density` must be a Density on the same grid, or None, for a Density"):
        D.relative_entropy(f, lambda v: v)
