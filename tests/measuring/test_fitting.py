"""`fit_decay`: exact series, gradients, and the coverage of its error bars."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import count_programs, slow_but

import jaxkinetic as jk
from jaxkinetic._util.student import student_quantile

T = np.linspace(0, 1, 50)


@pytest.mark.parametrize("rate", [0.01, 3.0, 40.0, -2.0])
@pytest.mark.parametrize("origin", [0.0, 5.0])
def test_exact_series(rate, origin):
    """Rate and floor of exact exponentials, slow and fast, falling and growing, of either sign, from any first time.
    Catches a start of the search that finds another minimum."""
    t = T + origin
    fit = jk.fit_decay(t, 0.7 * np.exp(-rate * T) + 0.2, floor=0.2)
    np.testing.assert_allclose([fit.rate, fit.floor], [rate, 0.2], rtol=1e-6)
    np.testing.assert_allclose(fit(t), 0.7 * np.exp(-rate * T) + 0.2, rtol=1e-7)
    assert fit.r2 > 1 - 1e-9
    if abs(rate) > 1:
        fit = jk.fit_decay(t, -0.7 * np.exp(-rate * T) + 0.2, floor="fit")
        np.testing.assert_allclose([fit.rate, fit.floor], [rate, 0.2], rtol=1e-5)


def test_units_and_single_precision():
    """The same series in other units: the rate scales, and float32 finds it. Catches a tolerance or a step that is
    absolute."""
    values = (1e-12 * (0.7 * np.exp(-3 * T) + 0.2)).astype(np.float32)
    fit = jk.fit_decay((1e-9 * T).astype(np.float32), values, floor="fit")
    assert fit.rate.dtype == jnp.float32
    np.testing.assert_allclose([fit.rate * 1e-9, fit.floor * 1e12], [3, 0.2], rtol=1e-3)


@pytest.mark.parametrize(("start", "rate"), [(6.0, 16.0), (50.0, 16.0), (1e6, 3.0)])
def test_late_series(start, rate):
    """In float32, catches e^{rate t}, which overflows, and times a millisecond apart after 1e6, which are the same
    number."""
    t = start + T
    fit = jk.fit_decay(t, (0.5 * np.exp(-rate * T)).astype(np.float32))
    np.testing.assert_allclose([fit.rate, fit.first_value, fit.first_time], [rate, 0.5, start], rtol=1e-4)
    assert fit.rate.dtype == jnp.float32
    if start < 1e5:
        np.testing.assert_allclose(fit(t.astype(np.float32)), 0.5 * np.exp(-rate * T), rtol=2e-3)


def test_integer_times():
    """Catches times that stay integers in the arithmetic of the fit."""
    np.testing.assert_allclose(jk.fit_decay(np.arange(9), np.exp(-0.5 * np.arange(9))).rate, 0.5, rtol=1e-9)


def test_error_bar_of_replicas_by_hand():
    """The scatter of the linearised rates of three runs over sqrt(3), N - 1 in the variance. Catches R for R - 1."""
    runs = np.exp(-4 * T) * (1 + 1e-6 * np.random.default_rng(0).normal(size=(3, T.size)))
    alone = [float(jk.fit_decay(T, y).rate) for y in runs]
    np.testing.assert_allclose(jk.fit_decay(T, runs).rate_stderr, np.std(alone, ddof=1) / 3**0.5, rtol=1e-4)


def test_one_program_for_similar_lengths():
    """Series of 49 to 64 points, and of 5 or 6 runs, are padded to one size: two programs in all, one for a single run and
    one for several; the error bars are those of the scatter by hand, of the runs that are there. Catches a program for every
    length, and a padded run or a padded time that is counted."""
    times = np.linspace(0, 1, 64)
    runs = np.exp(-4 * times) * (1 + 1e-6 * np.random.default_rng(0).normal(size=(6, 64)))
    with count_programs() as programs:
        for num_runs, num in ((6, 64), (5, 50), (6, 49)):
            some = runs[:num_runs, :num]
            fit, alone = jk.fit_decay(times[:num], some), [jk.fit_decay(times[:num], y) for y in some]
            for name in ("rate", "amplitude"):
                values = [float(getattr(one, name)) for one in alone]
                np.testing.assert_allclose(getattr(fit, name), np.mean(values), rtol=1e-9)
                by_hand = np.std(values, ddof=1) / num_runs**0.5
                np.testing.assert_allclose(getattr(fit, f"{name}_stderr"), by_hand, rtol=1e-4)
    assert programs.count("jit(least_squares)") <= 2


def test_series_with_a_nan():
    """A traced series with a NaN has no rate and no finite error bar. Catches a comparison that is False for a NaN."""
    fit = jax.jit(lambda y: jk.fit_decay(T, y))(jnp.where(T[7] == T, jnp.nan, jnp.exp(-4 * T)))
    assert np.isnan(fit.rate)
    assert not np.isfinite(fit.rate_stderr)


def test_window():
    """A given window leaves out what is outside; its ends may be JAX or NumPy numbers. Catches points beyond it that
    still weigh: the rate would be off by more than 1."""
    values = np.where(T < 0.5, np.exp(-4 * T), 0.3)
    fit = jk.fit_decay(T, values, window=(0.0, 0.49))
    assert jk.fit_decay(T, values, window=(jnp.asarray(0.0), np.asarray(0.49))).rate == fit.rate
    np.testing.assert_allclose(fit.rate, 4, rtol=1e-9)
    assert abs(jk.fit_decay(T, values).rate - 4) > 1


@pytest.mark.parametrize("floor", [None, 0.05, "fit"])
def test_gradients(floor):
    """Gradients in every value, and in a given floor, against finite differences: the implicit function theorem. Catches
    the derivative of a search."""
    rng = np.random.default_rng(0)
    y = jnp.asarray(np.exp(-4 * T) + 0.05 + 0.02 * rng.normal(size=T.size))
    gradient = jax.grad(lambda y: jk.fit_decay(T, y, floor=floor).rate)(y)
    direction, step = jnp.asarray(rng.normal(size=T.size)), 1e-5
    ends = [jk.fit_decay(T, y + s * step * direction, floor=floor).rate for s in (1, -1)]
    np.testing.assert_allclose(jnp.vdot(gradient, direction), (ends[0] - ends[1]) / (2 * step), rtol=1e-5)
    assert jnp.linalg.norm(gradient) > 1
    if floor == 0.05:
        slope = jax.grad(lambda c: jk.fit_decay(T, y, floor=c).rate)(0.05)
        ends = [jk.fit_decay(T, y, floor=0.05 + s * 1e-5).rate for s in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-5)


MODELS = {
    "algebraic": (dict(model="algebraic"), lambda t: 0.7 * (1 + t) ** -4.0, 4.0),
    "power law": (dict(model="algebraic", offset=0.0), lambda t: 0.7 * t**-1.5, 1.5),
    "stretched": (dict(model="stretched"), lambda t: 0.7 * np.exp(-3.0 * t**0.6), 3.0),
    "stretched by 2/3": (dict(model="stretched", stretch=2 / 3), lambda t: 0.7 * np.exp(-3.0 * t ** (2 / 3)), 3.0),
}


@pytest.mark.parametrize(
    ("name", "floor", "unit"),
    [("algebraic", "fit", 1.0), ("power law", 0.2, 1.0), pytest.param("stretched", 0.2, 30.0, marks=pytest.mark.slow),
     pytest.param("stretched", "fit", 1.0, marks=pytest.mark.slow),
     ("stretched by 2/3", "fit", 30.0)],
)  # fmt: skip
def test_other_models(name, floor, unit):
    """Exact series at times that begin at 0 (power law: later) and do not; `rate`, `amplitude` and `shape` in the units
    of the series; the gradient in the values is the finite difference. Catches a rate in units of the last time."""
    options, series, rate = MODELS[name]
    t = T[5:] if name == "power law" else T
    own = series(t) + 0.2
    if options["model"] == "stretched":
        # In other units of time: e^{-rate t^beta}.
        beta = options.get("stretch", 0.6)
        t, rate = unit * t, rate / unit**beta
    fit = jk.fit_decay(t, own, floor=floor, **options)
    np.testing.assert_allclose([fit.rate, fit.amplitude, fit.floor], [rate, 0.7, 0.2], rtol=1e-4)
    np.testing.assert_allclose(fit(t), own, rtol=1e-6)
    if name == "stretched":
        np.testing.assert_allclose(fit.shape, 0.6, rtol=1e-4)
    y = jnp.asarray(own + 0.01 * np.random.default_rng(0).normal(size=t.size))

    def of(y):
        return jk.fit_decay(t, y, floor=floor, **options).rate

    gradient = jax.grad(of)(y)
    direction = jnp.asarray(np.random.default_rng(1).normal(size=t.size))
    difference = (of(y + 1e-5 * direction) - of(y - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.vdot(gradient, direction), difference, rtol=1e-4)


@pytest.mark.optimised
@pytest.mark.parametrize("name", slow_but(("algebraic",), MODELS))
def test_error_bar_coverage_of_other_models(name):
    """500 series of 50 points, noise independent and correlated over 3 points: the 95 % interval covers in 92-98 %.
    Catches a bar that forgets the correlation, or the shape that is fitted too."""
    options, series, rate = MODELS[name]
    t = T + 0.2 if name == "power law" else T

    @jax.jit
    def fits(values):
        def one(y):
            fit = jk.fit_decay(t, y, **options)
            return fit.rate, fit.rate_stderr

        return jax.lax.map(one, values, batch_size=50)

    for correlation in (0.0, 0.7):
        values = series(t) + 0.01 * noise(np.random.default_rng(3), (500, t.size), correlation)
        found, stderr = (np.asarray(x) for x in fits(jnp.asarray(values)))
        covered = np.mean(np.abs(found - rate) < 1.96 * stderr)
        print(name, correlation, covered, np.median(stderr) / found.std())
        assert 0.92 <= covered <= 0.98, correlation


@pytest.mark.slow
def test_fit_stays_with_its_data():
    """A step function, noise, growth and a single spike: no fit is much worse than the mean, the stretch stays in its
    range, and where no minimum lies inside the error is infinite. Catches Newton's steps without a look at the sum of
    squares."""
    rng = np.random.default_rng(5)
    step, noise = 1 / (1 + (T / 0.3) ** 8), rng.normal(size=(40, T.size))
    fits = jax.jit(
        jax.vmap(lambda y: (lambda f: (f.rate, f.rate_stderr, f.r2, f.shape))(jk.fit_decay(T, y, model="stretched")))
    )
    for values in (step + 0.02 * noise, noise):
        rate, stderr, r2, shape = (np.asarray(x) for x in fits(jnp.asarray(values)))
        assert r2.min() > -0.5
        assert ((shape > 0.04) & (shape < 4.01)).all()
        assert (stderr > 0.02 * np.abs(rate)).all()
    for values in (np.exp(60 * T), np.eye(50)[0]):
        assert np.isinf(jk.fit_decay(T, values).rate_stderr)


@pytest.mark.parametrize("start", [1000.0, 25.0])
def test_gradient_of_a_late_series(start):
    """The amplitude at t = 0 overflows. Catches a gradient of the rate that goes through it."""
    dtype = np.float64 if start > 100 else np.float32
    y = jnp.asarray(np.exp(-4 * T) + 0.02 * np.random.default_rng(0).normal(size=T.size), dtype)
    late, early = (jax.grad(lambda y, t=t: jk.fit_decay(t, y).rate)(y) for t in (start + T, T))
    np.testing.assert_allclose(late, early, rtol=2e-2 if dtype == np.float32 else 1e-6, atol=1e-3 * np.abs(early).max())


@pytest.mark.parametrize(
    "name", ["rate_stderr", "amplitude", "amplitude_stderr", "correlation_time", "r2", "floor_stderr"]
)
def test_gradients_of_every_entry(name):
    """The gradient of every entry is the finite difference, and not zero. Catches an entry of the fit that is cut off
    from the data."""
    y = jnp.asarray(np.exp(-4 * T) + 0.02 * np.random.default_rng(0).normal(size=T.size))
    direction = jnp.asarray(np.random.default_rng(1).normal(size=T.size))

    def of(y):
        return getattr(jk.fit_decay(T, y, floor="fit"), name)

    difference = (of(y + 1e-5 * direction) - of(y - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.vdot(jax.grad(of)(y), direction), difference, rtol=1e-4)
    assert abs(difference) > 1e-4


def test_second_derivative_of_the_rate():
    """The second derivative is the difference of the first. Catches an implicit step whose own slope is not
    differentiated."""
    y = jnp.asarray(np.exp(-4 * T) + 0.02 * np.random.default_rng(0).normal(size=T.size))
    direction = jnp.asarray(np.random.default_rng(1).normal(size=T.size))

    def slope(y):
        return jnp.vdot(jax.grad(lambda y: jk.fit_decay(T, y).rate)(y), direction)

    difference = (slope(y + 1e-5 * direction) - slope(y - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.vdot(jax.grad(slope)(y), direction), difference, rtol=1e-3)


def test_signal_window():
    """16 runs of e^{-8 t}, each with noise of standard deviation .01: the window ends where e^{-8 t} is 3 standard errors of
    the mean (.0025; .01 for a single run), the fit over it has the rate, and `below` moves its beginning. Catches the noise
    of one run in place of that of the mean, and a window that ends at a lucky point."""
    t = np.linspace(0, 2, 201)
    runs = np.exp(-8 * t) + 0.01 * np.random.default_rng(4).normal(size=(16, t.size))
    first, last = jk.decay_window(t, runs)
    assert first == 0
    assert abs(last - np.log(1 / (3 * 0.0025)) / 8) < 0.1
    fit = jk.fit_decay(t, runs, window="signal")
    assert abs(fit.rate - 8) < 4 * fit.rate_stderr < 0.5
    assert jk.decay_window(np.linspace(0, 1, 21), np.exp(-8 * np.linspace(0, 1, 21)))[1] > 0.6
    with pytest.raises(ValueError, match="`values` must have one column per time, at least 4, but has shape"):
        jk.decay_window(t, runs[0, :10])
    with pytest.raises(ValueError, match="`below` must be reached by the series, which falls to"):
        jk.decay_window(t, 1 + runs, below=1e-3)
    first, last = jk.decay_window(t, runs[0])
    assert abs(last - np.log(1 / 0.03) / 8) < 0.15
    assert abs(jk.decay_window(t, runs, below=0.25)[0] - np.log(4) / 8) < 0.02
    with pytest.raises(
        ValueError, match=r"`values` must exceed the noise by 3 standard errors, but do not after t = 0"
    ):
        jk.decay_window(t, 0 * t + 0.01 * np.random.default_rng(4).normal(size=t.size))


def noise(rng, shape, correlation):
    """Stationary, unit variance, e^{-gap/tau} = correlation between neighbours."""
    x = rng.normal(size=shape)
    for i in range(1, shape[-1]):
        x[..., i] = correlation * x[..., i - 1] + np.sqrt(1 - correlation**2) * x[..., i]
    return x


def coverage(samples, floor):
    """(share of intervals that cover, standard error over scatter) of every sample."""

    @jax.jit
    def fits(values):
        def one(y):
            fit = jk.fit_decay(T, y, floor=floor)
            return fit.rate, fit.rate_stderr

        return jax.lax.map(one, values, batch_size=50)

    for values in samples:
        rate, stderr = (np.asarray(x) for x in fits(jnp.asarray(values)))
        yield np.mean(np.abs(rate - 4) < 1.96 * stderr), np.median(stderr) / rate.std()


@pytest.mark.parametrize("floor", [None, "fit"])
def test_error_bar_coverage_of_one_run(floor):
    """500 series of 50 points, independent and correlated over 3 points: the 95 % interval covers in 92-98 %. Catches a
    bar that forgets the correlation: it would cover in about 60 %."""
    samples = [0.02 * noise(np.random.default_rng(1), (500, T.size), correlation) for correlation in (0.0, 0.7)]
    for covered, ratio in coverage([np.exp(-4 * T) + x for x in samples], floor):
        print(floor, covered, ratio)
        assert 0.92 <= covered <= 0.98
        assert 0.8 < ratio < 1.5


@pytest.mark.optimised
@pytest.mark.parametrize("traced", slow_but([True], [False, True]))
def test_error_bar_of_a_long_series_in_single_precision(traced):
    """16 series of 5000 points of e^{-t/2} + c on [0, 1] in float32, where rate, amplitude and floor are nearly collinear: the
    standard error is that of the linear theory, and the scatter agrees. Catches a rank cutoff that grows with the length of
    the series: it gave a ninth of it."""
    t, rng = np.linspace(0, 1, 5000), np.random.default_rng(0)
    values = (np.exp(-0.5 * t) + 0.1 + 1e-3 * rng.normal(size=(16, t.size))).astype(np.float32)

    def of(y):
        fit = jk.fit_decay(t, y, floor="fit")
        return fit.rate, fit.rate_stderr

    rate, stderr = jax.jit(lambda y: jax.lax.map(of, y))(values) if traced else zip(*map(of, values[:4]), strict=True)
    columns = np.stack([-t * np.exp(-0.5 * t), np.exp(-0.5 * t), np.ones_like(t)], 1)
    known = 1e-3 * np.sqrt(np.linalg.inv(columns.T @ columns)[0, 0])
    np.testing.assert_allclose(stderr, known, rtol=0.25)
    z = (np.asarray(rate) - 0.5) / known
    print(z, np.asarray(stderr) / known)
    assert np.abs(z).max() < 4
    if traced:
        assert 0.4 < z.std() < 1.7


@pytest.mark.parametrize("num_runs", [2, 3, 5])
def test_intervals_of_few_runs(num_runs):
    """600 sets of few runs: the 95 % interval covers in 92-98 %. Catches 1.96 standard errors: 70, 81 and 88 %."""
    values = np.exp(-4 * T) + 0.02 * noise(np.random.default_rng(2), (600, num_runs, T.size), 0.5)
    low, high = jax.jit(lambda v: jax.lax.map(lambda y: jk.fit_decay(T, y).interval(0.95), v, batch_size=50))(values)
    covered = np.mean((np.asarray(low) < 4) & (np.asarray(high) > 4))
    print(num_runs, covered)
    assert 0.92 <= covered <= 0.98


def test_moments_and_given_standard_errors():
    """300 sets of 8 runs, given as the `Moments` of an ensemble: the 95 % interval covers in at least 92 %, with the noise
    independent and correlated; `stderr=` gives the same standard error. Catches errors of an ensemble taken for independent in
    time (60 %)."""

    def of(series):
        fit = jk.fit_decay(T, series[0], stderr=series[1])
        return fit.rate, fit.rate_stderr

    fits = jax.jit(lambda *series: jax.lax.map(of, series, batch_size=50))
    for correlation in (0.0, 0.9):
        runs = np.exp(-4 * T) + 0.05 * noise(np.random.default_rng(2), (300, 8, T.size), correlation)
        mean, stderr = runs.mean(1), runs.std(1, ddof=1) / 8**0.5
        rate, error = (np.asarray(x) for x in fits(mean, stderr))
        covered = np.mean(np.abs(rate - 4) < 2.36 * error)
        print(correlation, covered, np.median(error) / rate.std())
        assert covered >= 0.92
        moments = jk.Moments(
            jnp.asarray(mean[0]), jnp.asarray(stderr[0] ** 2 * 8), jnp.asarray(stderr[0]), jnp.asarray(8)
        )
        fit = jk.fit_decay(T, moments)
        np.testing.assert_allclose(fit.rate_stderr, error[0], rtol=1e-6)
        assert fit.degrees_of_freedom == 7


def test_student_quantile():
    """SciPy's quantiles of Student's law, in the table and beyond it, traced or not; infinity is the normal law."""
    nu = np.array([1, 2, 7, 30, 31, 63, 400, np.inf])
    for level in (0.5, 0.95, 0.999):
        known = scipy.stats.t.ppf((1 + level) / 2, nu)
        np.testing.assert_allclose(student_quantile(level, nu), known, rtol=1e-6)
        np.testing.assert_allclose(jax.jit(lambda n, level=level: student_quantile(level, n))(nu), known, rtol=1e-6)
    moments = jk.Moments(jnp.ones(2), jnp.ones(2), jnp.asarray([0.5, 0.0]), jnp.asarray(3))
    low, high = moments.interval(0.95)
    np.testing.assert_allclose([low, high], [[1 - 2.151, 1], [1 + 2.151, 1]], atol=1e-3)
    with pytest.raises(ValueError, match="`level` must be a number between 0 and 1, but is 95"):
        moments.interval(95)


def test_healthy_fits_make_no_nan():
    """With `jax_debug_nans`: fits of several runs, of one run, of a constant, of an oscillation. Catches a NaN on purpose."""
    with jax.debug_nans(True):
        runs = np.exp(-4 * T) + 0.01 * np.random.default_rng(2).normal(size=(3, T.size))
        for values in (runs, runs[0], np.ones_like(T)):
            assert np.isfinite(jk.fit_decay(T, values).rate)
        assert np.isfinite(jk.fit_oscillation(T, np.cos(30 * T)).frequency)


def test_window_of_traced_values():
    """A window inside `jit`, where the times are known. Catches a window that is refused there."""
    values = np.where(T < 0.5, np.exp(-4 * T), 0.3)
    rate = jax.jit(lambda y: jk.fit_decay(T, y, window=(0.0, 0.49)).rate)(values)
    np.testing.assert_allclose(rate, 4, rtol=1e-9)


def test_fits_inside_the_program_of_a_run():
    """A window of the run's own times, and the moments of an ensemble, inside `jit`. Catches times that are traced there
    although they are known, and a number of replicas that must be."""
    system = jk.landau.Kac(jk.landau.Maxwell())
    start = jk.Particles(np.random.default_rng(0).normal(size=(6, 2)))
    save = jk.Save(every=1, observe={"e": lambda s: jnp.exp(-s.velocity[0, 0])})
    given = {"key": jax.random.key(0), "dt": 0.01, "num_steps": 12, "save": save}

    @jax.jit
    def rates(v):
        state = jk.Particles(v)
        one = jk.simulate(system, state, **given)
        several = jk.ensemble(system, state, replicas=3, reduce=jk.MeanVar(), **given)
        fit = jk.fit_decay(several.times, several.observed["e"], window=(0.02, 0.1))
        return jk.fit_decay(one.times, one.observed["e"], window=(0.02, 0.1)).rate, fit.rate, *fit.interval(0.95)

    run, several = (
        jk.simulate(system, start, **given),
        jk.ensemble(system, start, replicas=3, reduce=jk.MeanVar(), **given),
    )
    fits = [jk.fit_decay(s.times, s.observed["e"], window=(0.02, 0.1)) for s in (run, several)]
    known = [fits[0].rate, fits[1].rate, *fits[1].interval(0.95)]
    np.testing.assert_allclose(rates(start.velocity), known, rtol=1e-6)


def test_error_bar_coverage_of_replicas():
    """500 times 24 runs: the interval of Student's law with 23 degrees of freedom covers in 92-98 %. Catches residuals
    of the mean taken for independent."""

    @jax.jit
    def fits(values):
        return jax.lax.map(lambda y: (lambda f: (f.rate, f.rate_stderr))(jk.fit_decay(T, y)), values, batch_size=50)

    for correlation in (0.0, 0.9):
        values = np.exp(-4 * T) + 0.05 * noise(np.random.default_rng(2), (500, 24, T.size), correlation)
        rate, stderr = (np.asarray(x) for x in fits(jnp.asarray(values)))
        covered = np.mean(np.abs(rate - 4) < 2.07 * stderr)
        print(correlation, covered)
        assert 0.92 <= covered <= 0.98, correlation


def test_series_without_signal():
    """The error bar of a series of zeros is infinite. Catches a rate with a bar of 0, for residuals of 0."""
    for floor in (None, "fit"):
        assert np.isinf(jk.fit_decay(T, 0 * T, floor=floor).rate_stderr)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (("ab", np.ones(50)), {}, "`times` must be numbers, but is 'ab'"),
        ((T, "ab"), {}, "`values` must be a real array"),
        ((T, np.ones(50)), {"window": 3}, r"`window` must be \(first, last\) or .signal., but is 3"),
        ((T, np.ones(7)), {}, r"`values` must have 50 columns, one per time, but has shape \(1, 7\)"),
        ((T, np.ones((1, 50))), {}, "`values` must hold at least 2 runs if it has two axes, but holds 1"),
        ((T[::-1], np.ones(50)), {}, "`times` must increase, but does not"),
        ((T, np.full(50, np.nan)), {}, "`values` must hold finite numbers, but has a NaN or infinity"),
        ((T[:4], np.ones(4)), {}, "`values` must hold at least 5 points, but holds 4"),
        ((T, np.ones(50)), {"window": (0.0, 0.05)}, "`values` must hold at least 5 points, but holds 3"),
        ((T, np.ones(50)), {"floor": "free"}, "`floor` must be None, a number or \"fit\", but is 'free'"),
        (
            (T, np.ones(50)),
            {"model": "linear"},
            "`model` must be one of exponential, algebraic, stretched, but is 'linear'",
        ),
        ((T, np.ones(50)), {"model": "algebraic", "offset": 0.0}, "`times` must be above -offset = -0, but begin at 0"),
        ((T - 1, np.ones(50)), {"model": "stretched"}, "`times` must not be negative for a stretched exponential"),
        ((T, np.ones(50)), {"model": "stretched", "stretch": "free"}, '`stretch` must be a number or "fit", but is'),
        ((T, np.ones(50)), {"window": "all"}, r'`window` must be \(first, last\) or "signal", but is .all.'),
        ((T, np.ones(50)), {"window": "signal", "floor": "fit"}, "`window` must be given as"),
    ],
)
def test_argument_errors(arguments, options, sentence):
    """Bad arguments raise a `ValueError` that names the argument. Catches a fit to too few points, or to times that do
    not increase."""
    with pytest.raises(ValueError, match=sentence):
        jk.fit_decay(*arguments, **options)
