"""Initial laws: their moments and densities, dtype, gradients and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxkinetic as jk

pytestmark = pytest.mark.newest

NUM = 200_000


def speeds(state):
    return np.linalg.norm(np.asarray(state.velocity, float), axis=1)


def radial_test(speed, density, dim, top):
    """Kolmogorov-Smirnov of the speeds against a radial density."""
    r = np.linspace(0, top, 40_001)
    cdf = integrate.cumulative_trapezoid(r ** (dim - 1) * density(r), r, initial=0)
    return stats.kstest(speed, lambda x: np.interp(x, r, cdf / cdf[-1])).pvalue


def is_isotropic(velocity):
    unit = velocity / np.linalg.norm(velocity, axis=1, keepdims=True)
    dim = unit.shape[1]
    covariance = unit.T @ unit / len(unit)
    return np.abs(unit.mean(0)).max() < 4.5 / np.sqrt(dim * len(unit)) and np.abs(
        covariance - np.eye(dim) / dim
    ).max() < (4.5 / np.sqrt(len(unit)))


@pytest.mark.parametrize(("dim", "beta"), [(2, 0.5), (3, 0.4), (3, 0.15), (4, 1 / 3)])
def test_bkw(dim, beta):
    """Kolmogorov-Smirnov of the speeds, and isotropy. Catches a Maxwellian of the same temperature, which is far from
    passing."""
    state = jk.initial.bkw(jax.random.key(3), NUM, dim, beta=beta)
    density = lambda r: jk.landau.exact.bkw_density(r, 0.0, dim, beta)  # noqa: E731
    assert radial_test(speeds(state), density, dim, 9.0) > 1e-4
    # The nearest mistake, a Maxwellian of the same temperature, is far from passing.
    assert radial_test(speeds(state), lambda r: np.exp(-r * r / 2), dim, 9.0) < 1e-12
    assert is_isotropic(np.asarray(state.velocity))


@pytest.mark.parametrize("dim", [2, 3])
def test_rosenbluth(dim):
    """The temperature within 4 standard errors, Kolmogorov-Smirnov of the speeds, and isotropy. Catches a shell whose
    scale is not that of its temperature."""
    state = jk.initial.rosenbluth(jax.random.key(4), NUM, dim, temperature=1.7)
    s = speeds(state)
    assert abs(np.mean(s**2) / (dim * 1.7) - 1) < 4 * np.std(s**2) / (dim * 1.7) / NUM**0.5
    r = np.linspace(0, 3, 100_001)
    weight = r ** (dim - 1) * np.exp(-10 * (r - 1) ** 2)
    sigma = np.sqrt(dim * 1.7 * weight.sum() / (weight * r**2).sum())
    assert radial_test(s, lambda x: np.exp(-10 * (x / sigma - 1) ** 2), dim, 3 * sigma) > 1e-4
    assert is_isotropic(np.asarray(state.velocity))


def test_maxwellian_and_bimaxwellian():
    """Means and temperatures within 4 standard errors. Catches T for sqrt(T), and the parallel axis exchanged."""
    state = jk.initial.maxwellian(jax.random.key(5), NUM, 3, temperature=0.5, mean=jnp.asarray([1.0, 0.0, -2.0]))
    np.testing.assert_allclose(state.velocity.mean(0), [1, 0, -2], atol=4 * (0.5 / NUM) ** 0.5)
    np.testing.assert_allclose(jk.diagnostics.temperature(state), 0.5, rtol=4 * (2 / 3 / NUM) ** 0.5)
    state = jk.initial.bimaxwellian(jax.random.key(6), NUM, 3, perpendicular=2.0, parallel=0.25)
    np.testing.assert_allclose(jnp.diagonal(jk.diagnostics.stress(state)), [2, 2, 0.25], rtol=4 * (2 / NUM) ** 0.5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_and_gradient(dtype):
    """Each law is differentiable in its parameter, with the derivative of its moment. Catches a gradient of zero, and an
    array of another dtype."""
    laws = {
        "maxwellian": (
            lambda p: jk.initial.maxwellian(jax.random.key(0), 400_000, 3, temperature=p, dtype=dtype),
            0.8,
            2,
            3.0,
        ),
        "rosenbluth": (
            lambda p: jk.initial.rosenbluth(jax.random.key(0), 400_000, 3, temperature=p, dtype=dtype),
            0.8,
            2,
            3.0,
        ),
        "bkw": (
            lambda p: jk.initial.bkw(jax.random.key(0), 400_000, 3, beta=p, dtype=dtype),
            0.2,
            4,
            -2 * 15 * 0.2,
        ),
    }
    for name, (law, value, order, exact) in laws.items():
        assert law(value).velocity.dtype == dtype
        derivative = jax.grad(lambda p, law=law, order=order: jk.diagnostics.moment(law(p), order=order))(
            jnp.asarray(value, dtype)
        )
        np.testing.assert_allclose(derivative, exact, rtol=0.06, err_msg=name)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda k: jk.initial.bkw(k, 10, 3, beta=0.41),
            r"`beta` must be at most 2/\(d\+2\) = 0.4, but is 0.41",
        ),
        (lambda k: jk.initial.bkw(k, 10, 3, beta=-0.1), "`beta` must not be negative, but is -0.1"),
        (
            lambda k: jk.initial.maxwellian(k, 10, 3, temperature=-1.0),
            "`temperature` must not be negative, but is -1",
        ),
        (
            lambda k: jk.initial.maxwellian(k, 10.5, 3),
            "`num_particles` must be an integer known while tracing, but is 10.5",
        ),
        (lambda k: jk.initial.maxwellian(0, 10, 3), "`key` must be one JAX key, but is 0"),
        (
            lambda k: jk.initial.maxwellian(k, 10, 3, mean=jnp.ones(2)),
            r"`mean` must be a scalar or of shape \(3,\), but is an array",
        ),
        (lambda k: jk.initial.maxwellian(k, 10, 3, mean=jnp.nan), "`mean` must hold finite numbers"),
        (lambda k: jk.landau.exact.ornstein_uhlenbeck(k, None, -0.1), "`t` must not be negative, but is -0.1"),
        (lambda k: jk.initial.maxwellian(k, 10, 0), "`dim` must be at least 1, but is 0"),
        (lambda k: jk.initial.rosenbluth(k, 10, 3, sharpness=0.0), "`sharpness` must be positive, but is 0"),
        (
            lambda k: jk.initial.maxwellian(k, 10, 3, dtype=jnp.int32),
            "`dtype` must be a real floating dtype, but is int32",
        ),
    ],
)
def test_argument_errors(call, sentence):
    """Bad arguments raise a `ValueError` that names the argument. Catches a density that would be negative, and a key
    that is a number."""
    with pytest.raises(ValueError, match=sentence):
        call(jax.random.key(0))
