"""`fit_oscillation` against series whose frequency and growth are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_programs

import jaxkinetic as jk


def series(t, frequency, growth, phase=0.7, amplitude=2.0):
    return amplitude * jnp.exp(growth * t) * jnp.cos(frequency * t + phase)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(("frequency", "growth"), [(1.4, -0.15), (25.0, 0.05), (0.3, -0.01), (2.0, 0.0)])
def test_pure_oscillation(frequency, growth, dtype):
    """1.4 to 120 periods in the series, which begins at t = 3. Catches a search that finds a neighbouring frequency."""
    t = 3 + 0.1 * jnp.arange(300.0)
    fit = jk.fit_oscillation(t.astype(dtype), series(t, frequency, growth).astype(dtype))
    tolerance = 2e-6 if dtype == jnp.float32 else 1e-11
    np.testing.assert_allclose([fit.frequency, fit.growth], [frequency, growth], atol=tolerance * max(1, frequency))
    np.testing.assert_allclose(
        fit(t.astype(dtype)), series(t, frequency, growth), atol=1e-3 if dtype == jnp.float32 else 1e-9
    )
    assert fit.frequency.dtype == dtype
    assert complex(fit.omega) == complex(fit.frequency, fit.growth)


def test_error_bars():
    """400 series with independent noise: the errors divided by their bars have mean 0 and variance 1, within 4 standard
    errors (a factor 2 in the bars is 20 away)."""
    t = 0.1 * jnp.arange(200.0)
    noise = 0.1 * jax.random.normal(jax.random.key(0), (400, 200))
    fits = jax.vmap(lambda n: jk.fit_oscillation(t, series(t, 1.3, -0.1) + n))(noise)
    for found, bar, known in ((fits.frequency, fits.frequency_stderr, 1.3), (fits.growth, fits.growth_stderr, -0.1)):
        z = np.asarray((found - known) / bar)
        print(z.mean() * math.sqrt(400), (z.var() - 1) * math.sqrt(200))
        assert abs(z.mean()) * math.sqrt(400) < 4
        assert abs(z.var() - 1) * math.sqrt(200) < 4


def test_gradients():
    """Gradients for a series that the model does not fit exactly; forward, reverse and second order against differences.
    Catches a derivative by Gauss and Newton alone, which would be wrong there."""
    t = 0.1 * jnp.arange(120.0)

    def growth(p):
        return jk.fit_oscillation(t, series(t, p[0], p[1]) + 0.3 * jnp.sin(3.1 * t)).growth

    at, step = jnp.array([1.4, -0.15]), 1e-5
    known = [(growth(at.at[i].add(step)) - growth(at.at[i].add(-step))) / (2 * step) for i in range(2)]
    np.testing.assert_allclose(jax.jacrev(growth)(at), known, rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(growth)(at), known, rtol=1e-6)
    assert abs(known[0]) > 1e-3

    def slope(x):
        return jax.grad(growth)(x)[1]

    second = [(slope(at.at[i].add(step)) - slope(at.at[i].add(-step))) / (2 * step) for i in range(2)]
    np.testing.assert_allclose(jax.hessian(growth)(at)[1], second, rtol=1e-4)


def test_no_oscillation_and_argument_errors():
    """A plain decay gives NaN; bad input raises. Catches a frequency that is fitted to a series without one."""
    t = jnp.arange(20.0)
    assert jnp.isnan(jk.fit_oscillation(t, jnp.exp(-t)).frequency)
    y = jnp.cos(t)
    for arguments, sentence in (
        ((t, y[:-1]), "`values` must have 20 entries, one per time, but has shape"),
        ((t**2, y), "`times` must be equidistant and increase"),
        ((t[:8], y[:8]), "`values` must hold at least 12 points, but holds 8"),
        ((t, y.at[3].set(jnp.nan)), "`values` must hold finite numbers"),
        ((t, jnp.stack([y, y])[None]), "`values` must have shape"),
        ((t, y[None]), "`values` must hold at least 2 runs if it has two axes, but holds 1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            jk.fit_oscillation(*arguments)


def test_intervals_of_few_runs():
    """400 sets of 3 runs, whose noise is correlated in time: the 95 % intervals cover in 92-98 %. Catches the residuals of the
    mean taken for independent (45 %), and 1.96 standard errors (80 %)."""
    t, rng = 0.1 * jnp.arange(200.0), np.random.default_rng(6)
    noise = np.cumsum(0.02 * rng.normal(size=(400, 3, 200)), axis=-1)

    def ends(y):
        fit = jk.fit_oscillation(t, y)
        return fit.interval(0.95), fit.interval(0.95, "growth")

    found = jax.jit(lambda y: jax.lax.map(ends, y, batch_size=50))(series(t, 1.3, -0.02)[None, None] + noise)
    for (low, high), known in zip(found, (1.3, -0.02), strict=True):
        covered = np.mean((np.asarray(low) < known) & (known < np.asarray(high)))
        print(covered)
        assert 0.92 <= covered <= 0.98


def test_window_and_programs():
    """A window inside `jit`; lengths of 97 to 128 points share a program. Catches a window that raises although the times are
    known, a program for every length, and a padded time that counts."""
    t = 3 + 0.1 * np.arange(128)
    y = np.asarray(series(t, 2.0, -0.1))
    with count_programs() as programs:
        for num in (128, 97, 110):
            fit = jk.fit_oscillation(t, y, window=(0.0, t[num - 1]))
            np.testing.assert_allclose([fit.frequency, fit.growth], [2.0, -0.1], rtol=1e-9)
            assert fit.degrees_of_freedom == num - 4
    assert programs.count("jit(_fitted)") <= 1
    traced = jax.jit(lambda y: jk.fit_oscillation(t, y, window=(4.0, 12.0)).growth)(jnp.asarray(y))
    np.testing.assert_allclose(traced, -0.1, rtol=1e-9)
