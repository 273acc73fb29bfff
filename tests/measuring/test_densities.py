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
