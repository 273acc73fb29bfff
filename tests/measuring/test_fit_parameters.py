"""`fit_parameters`: linear models against NumPy, coverage of the error bars, noisy simulators, bounds, files."""

import itertools
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_argument_error, count_programs, identical

import jaxkinetic as jk
from jaxkinetic.fitting import _fit_runs
from jaxkinetic.fitting._bounds import Bounds, read_bounds
from jaxkinetic.fitting._gauss_newton import Batch, equations, jackknife
from jaxkinetic.fitting._objective import LeastSquares

T = np.linspace(0, 1, 30)
X = np.stack([np.ones(30), T, T**2], axis=1)
SIZES = np.random.default_rng(5).uniform(0.1, 0.5, 30)
LINE = X @ [1.0, 2.0, -3.0] + SIZES * np.random.default_rng(6).standard_normal(30)
START = {"a": 0.0, "b": np.zeros(2)}
TRUTH = {"A": 1.5, "c": 0.2, "k": 3.0}
BEGIN = {"A": 1.0, "c": 0.0, "k": 1.0}
CURVE = 1.5 * np.exp(-3 * T) + 0.2


def line(p):
    return jnp.asarray(X) @ jnp.stack([p["a"], *p["b"]])


def decay(p):
    return p["A"] * jnp.exp(-p["k"] * T) + p["c"]


def noisy_decay(p, key):
    """With noise of size .03, and of 10 % of its own amplitude."""
    one, other = jax.random.split(key)
    amplitude = p["A"] * (1 + 0.1 * jax.random.normal(other))
    return amplitude * jnp.exp(-p["k"] * T) + p["c"] + 0.03 * jax.random.normal(one, (30,))


def multiplied(p, key):
    """theta (1 + e/2) with standard normal e: expectation theta, and a variance that grows with theta."""
    return p * (1 + 0.5 * jax.random.normal(key, (4,)))


def exact(weights):
    """(values, covariance) of weighted least squares, by NumPy."""
    covariance = np.linalg.inv(X.T @ weights @ X)
    return covariance @ X.T @ weights @ LINE, covariance


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


CORRELATED = np.outer(SIZES, SIZES) * 0.5 ** np.abs(np.subtract.outer(np.arange(30), np.arange(30)))


@pytest.mark.parametrize("noise", [SIZES, CORRELATED, 0.2], ids=["errors", "covariance", "number"])
def test_linear_model(noise):
    """Values and covariance are those of weighted least squares, to 1e-9. Catches weights 1/error for 1/error^2, a covariance
    where its inverse belongs, and a search that ends too early."""
    matrix = noise if np.ndim(noise) == 2 else np.diag(np.broadcast_to(noise, 30) ** 2)
    values, covariance = exact(np.linalg.inv(matrix))
    fit = jk.fit_parameters(line, LINE, START, stderr=noise)
    np.testing.assert_allclose(flat(fit.parameters), values, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-9)
    np.testing.assert_allclose(flat(fit.stderr), np.sqrt(np.diag(covariance)), rtol=1e-9)
    rest = LINE - X @ values
    np.testing.assert_allclose(fit.chi2, rest @ np.linalg.inv(matrix) @ rest / 27, rtol=1e-9)
    assert fit.result.ok
    assert fit.names == ("a", "b[0]", "b[1]")
    assert not np.any(flat(fit.simulation_stderr))


def test_estimated_noise():
    """Without errors of the data: s^2 = squares/(n - p), and intervals by Student's law with n - p degrees of freedom. Catches
    n for n - p. A custom loss that is the same sum gives the same values and errors."""
    values, covariance = exact(np.eye(30))
    variance = np.sum((LINE - X @ values) ** 2) / 27
    fit = jk.fit_parameters(line, LINE, START)
    np.testing.assert_allclose(flat(fit.parameters), values, rtol=1e-9)
    np.testing.assert_allclose(fit.covariance, variance * covariance, rtol=1e-9)
    np.testing.assert_allclose(fit.noise, variance**0.5, rtol=1e-9)
    low, high = fit.interval(0.95)
    np.testing.assert_allclose(high["a"] - low["a"], 2 * 2.0518305 * fit.stderr["a"], rtol=1e-6)
    same = jk.fit_parameters(line, LINE, START, loss=lambda m, d: 3 * jnp.sum((m - d) ** 2))
    np.testing.assert_allclose(flat(same.parameters), values, rtol=1e-9)
    np.testing.assert_allclose(same.covariance, fit.covariance, rtol=1e-9)
    # A loss of other weights than those of the data has the sandwich of both.
    unequal = jk.fit_parameters(line, LINE, START, stderr=SIZES, loss=lambda m, d: jnp.sum((m - d) ** 2))
    np.testing.assert_allclose(unequal.covariance, covariance @ X.T @ np.diag(SIZES**2) @ X @ covariance, rtol=1e-9)


def test_pytrees_in_single_precision():
    """Data as a dictionary, parameters in a module with fixed leaves, in float32. Catches a leaf that is lost, and float64 that
    enters the model."""
    times = jnp.asarray(T, jnp.float32)

    class Law(eqx.Module):
        rate: jax.Array
        power: int
        name: str = "law"

        def __call__(self):
            assert self.rate.dtype == jnp.float32
            return {"x": jnp.exp(-self.rate * times) ** self.power, "y": jnp.stack([self.rate, self.rate])}

    truth = Law(jnp.asarray(2.0, jnp.float32), 2)
    fit = jk.fit_parameters(
        lambda law: law(), truth(), Law(jnp.asarray(1.0, jnp.float32), 2), stderr={"x": 0.1, "y": 0.1}
    )
    np.testing.assert_allclose(fit.parameters.rate, 2, rtol=1e-6)
    assert fit.parameters.rate.dtype == fit.covariance.dtype == jnp.float32
    assert (fit.parameters.power, fit.parameters.name, fit.stderr.power) == (2, "law", None)
    slope = np.concatenate([-2 * T * np.exp(-4 * T), [1, 1]])
    np.testing.assert_allclose(fit.stderr.rate, 0.1 / np.linalg.norm(slope), rtol=1e-5)
    assert fit.history.parameters.rate.shape == fit.history.loss.shape


def test_coverage():
    """20 noisy decays: the truth lies within the 95 % interval in at least 17, and the mean z^2 is near 1; one program for all.
    Catches errors off by a factor 1.6, and a program that is compiled for every fit."""
    rng, inside, squares = np.random.default_rng(0), 0, []
    with count_programs() as programs:
        for _ in range(20):
            fit = jk.fit_parameters(decay, CURVE + 0.03 * rng.standard_normal(30), BEGIN)
            low, high = fit.interval(0.95)
            inside += int(low["k"] < 3 < high["k"])
            squares.append([(fit.parameters[n] - TRUTH[n]) / fit.stderr[n] for n in TRUTH])
            assert fit.result.ok
    assert inside >= 17
    assert np.all(np.mean(np.square(squares), axis=0) > 0.4)
    assert np.all(np.mean(np.square(squares), axis=0) < 2)
    assert programs.count("jit(evaluate)") <= 1


def test_simulator_noise_is_in_the_errors():
    """20 fits of exact data whose errors are tiny, so that all errors are the simulator's: mean z^2 is near 1, and four times
    as many evaluations halve the errors. Catches errors that leave the simulator out (z^2 of 1e4), or that forget the mean
    over the evaluations (z^2 of 1/16)."""
    fits = [
        jk.fit_parameters(noisy_decay, CURVE, BEGIN, key=jax.random.key(i), stderr=1e-4, final=16) for i in range(20)
    ]
    z = np.array([[(f.parameters[n] - TRUTH[n]) / f.stderr[n] for n in TRUTH] for f in fits])
    assert np.all(np.mean(z**2, axis=0) > 0.4)
    assert np.all(np.mean(z**2, axis=0) < 2)
    assert 0.5 < np.mean([f.chi2 for f in fits]) < 1.5
    low_high = [f.interval(0.95) for f in fits]
    assert sum(int(low["k"] < 3 < high["k"]) for low, high in low_high) >= 17
    more = [
        jk.fit_parameters(noisy_decay, CURVE, BEGIN, key=jax.random.key(i), stderr=1e-4, final=64) for i in range(2)
    ]
    ratio = np.mean([f.stderr["k"] for f in more]) / np.mean([f.stderr["k"] for f in fits])
    assert 0.4 < ratio < 0.6
    assert "simulator 100% of the error" in str(fits[0])


def test_both_noises():
    """Data with noise .05 and a simulator with noise of a similar size: mean z^2 of 20 fits is near 1, without given errors
    too, where the noise of the data is estimated without the simulator's part."""
    rng, z, noises = np.random.default_rng(3), [], []
    for i in range(20):
        data = CURVE + 0.05 * rng.standard_normal(30)
        given = {"stderr": 0.05} if i % 2 else {}
        fit = jk.fit_parameters(noisy_decay, data, BEGIN, key=jax.random.key(i), final=4, **given)
        z.append([(fit.parameters[n] - TRUTH[n]) / fit.stderr[n] for n in TRUTH])
        noises.append(fit.noise)
    assert np.all(np.mean(np.square(z), axis=0) > 0.4)
    assert np.all(np.mean(np.square(z), axis=0) < 2)
    np.testing.assert_allclose(np.mean(noises[::2]), 0.05, rtol=0.15)


def survivors(p, key):
    """The fraction of 200 that survive until each time, with the derivative by the score: the value jumps with p."""
    times = jnp.asarray(T[3::3])
    chance = p["A"] * jnp.exp(-p["k"] * times)[None, :]
    lives = jax.lax.stop_gradient((jax.random.uniform(key, (200, 9)) < chance).astype(chance.dtype))
    logarithm = lives * jnp.log(chance) + (1 - lives) * jnp.log1p(-chance)
    score = logarithm - jax.lax.stop_gradient(logarithm)
    return jnp.mean(lives + (lives - jax.lax.stop_gradient(chance)) * score, axis=0)


def test_decisions_that_jump():
    """A simulator whose samples are constant between jumps in the parameters, with score derivatives: 8 fits converge, and
    their mean z^2 is near 1. Catches a search that needs the samples themselves to be smooth."""
    rng, z = np.random.default_rng(0), []
    truth = {"A": 0.9, "k": 2.0}
    for i in range(8):
        data = 0.9 * np.exp(-2 * T[3::3]) + 0.02 * rng.standard_normal(9)
        fit = jk.fit_parameters(
            survivors,
            data,
            {"A": 0.5, "k": 1.0},
            key=jax.random.key(i),
            stderr=0.02,
            bounds={"A": (0, 1), "k": (0, None)},
        )
        assert fit.result.ok
        z.append([(fit.parameters[n] - truth[n]) / fit.stderr[n] for n in truth])
    assert 0.3 < np.mean(np.square(z)) < 2.3


def test_equations_by_hand():
    """The gradient is the mean over all ordered pairs of different evaluations, and the jackknife that of the roots without
    one of them. Catches an evaluation that meets itself, and a sum that forgets one."""
    rng = np.random.default_rng(0)
    batch = Batch(rng.standard_normal((5, 30)), X + 0.03 * rng.standard_normal((5, 30, 3)))
    weights = np.diag(SIZES**-2)
    pairs = list(itertools.permutations(range(5), 2))
    gradient = sum(batch.jacobian[k].T @ weights @ (batch.m[i] - LINE) for k, i in pairs) / len(pairs)
    curvature = sum(batch.jacobian[k].T @ weights @ batch.jacobian[i] for k, i in pairs) / len(pairs)
    objective = LeastSquares(LINE, SIZES)
    gauss = equations(objective, batch)
    np.testing.assert_allclose(gauss.gradient, gradient, rtol=1e-10)
    np.testing.assert_allclose(gauss.unbiased, curvature, rtol=1e-10)
    roots = []
    for k in range(5):
        rest = equations(objective, Batch(*(np.delete(x, k, axis=0) for x in batch)))
        roots.append(-np.linalg.solve(rest.unbiased, rest.gradient))
    full = -np.linalg.solve(curvature, gradient)
    shift, covariance = jackknife(objective, batch, gauss)
    np.testing.assert_allclose(shift, 5 * full - 4 * np.mean(roots, axis=0), rtol=1e-8)
    np.testing.assert_allclose(covariance, 0.8 * 4 * np.cov(np.transpose(roots)), rtol=1e-8)


@pytest.mark.parametrize("optimiser", [None, optax.sgd(optax.cosine_decay_schedule(5e-8, 100))], ids=["lm", "sgd"])
def test_no_bias_from_the_noise(optimiser):
    """A prediction theta (1 + e/2), data 1: theta = 1. The gradient of the squared deviation at one key has its root at
    1/(1 + 1/4) = .8. Catches that bias in the search (its last places) and in the result."""
    fits = [
        jk.fit_parameters(multiplied, np.ones(4), 1.5, key=jax.random.key(i), stderr=1e-3, optimiser=optimiser, final=32,
                          steps=100)
        for i in range(8)
    ]  # fmt: skip
    values = np.array([float(f.parameters) for f in fits])
    errors = np.array([float(f.stderr) for f in fits])
    assert abs(np.mean(values) - 1) < 4 * np.sqrt(np.mean(errors**2) / 8)
    assert np.mean(errors) < 0.06
    assert 0.3 < np.mean(((values - 1) / errors) ** 2) < 2.5
    if optimiser is not None:
        places = np.stack([f.history.parameters[-30:] for f in fits])
        spread = places.mean(1).std(ddof=1) / np.sqrt(8)
        assert spread < 0.03
        assert abs(places.mean() - 1) < 4 * spread


def test_bounds():
    """Bounds do not change a minimum inside of them, nor its errors; every place of the search is inside, in float32 too; a
    truth outside ends at the bound, and the message says so. Catches errors in the coordinates of the search."""
    data = CURVE + 0.03 * np.random.default_rng(1).standard_normal(30)
    free = jk.fit_parameters(decay, data, BEGIN, stderr=0.03)
    bounds = {"A": (0.5, 4.0), "c": (None, 0.3), "k": (0, np.inf)}
    bounded = jk.fit_parameters(decay, data, BEGIN, stderr=0.03, bounds=bounds)
    np.testing.assert_allclose(flat(bounded.parameters), flat(free.parameters), rtol=1e-4)
    np.testing.assert_allclose(bounded.covariance, free.covariance, rtol=1e-3)
    outside = jk.fit_parameters(decay, data, BEGIN, stderr=0.03, bounds={"A": None, "c": None, "k": (0.5, 2.0)})
    assert np.all((outside.history.parameters["k"] > 0.5) & (outside.history.parameters["k"] < 2))
    assert 1.99 < outside.parameters["k"] < 2
    assert "Near its bound" in str(outside)
    leaf = ("k", np.asarray([0.2, 0.2, 0.2, 7.0], np.float32))
    limits = read_bounds([leaf], [([0.1, 0.1, -np.inf, -np.inf], [0.3, np.inf, 0.3, np.inf])])
    for far in (-1e4, -30.0, 30.0, 1e4):
        for z in (np.full(4, far), jnp.full(4, far, jnp.float32)):
            x = np.asarray(limits.inside(z), np.float32)[:3].astype(float)
            assert np.all((x > [0.1, 0.1, -np.inf]) & (x < [0.3, np.inf, 0.3]))
    z = limits.outside(np.array([0.12, 0.5, -4.0, 6.0]))
    np.testing.assert_allclose(limits.inside(z), [0.12, 0.5, -4.0, 6.0], rtol=1e-12)
    numeric = (limits.inside(z + 1e-6) - limits.inside(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(limits.slope(z), numeric, rtol=1e-7)
    assert np.all(Bounds.free(np.zeros(2)).distance(np.zeros(2)) == np.inf)


def one_sided(p, key):
    """exp(-p t) with noise for p > 0; beyond, where no search has been, 1 - `beyond` (1 + p^2)."""
    curve = jnp.where(p["p"] > 0, jnp.exp(-p["p"] * T), 1 - p["beyond"] * (1 + p["p"] ** 2))
    return curve + 0.03 * jax.random.normal(key, (30,))


def loss_at_final_keys(p, key, data):
    """The squares of the mean prediction at the keys of the final evaluations."""
    keys = jax.random.split(jax.random.fold_in(key, 1), 16)
    return np.sum((np.mean([one_sided(p, k) for k in keys], axis=0) - data) ** 2)


@pytest.mark.parametrize("beyond", [1e4, np.nan], ids=["steep", "nan"])
def test_last_steps_stay(beyond):
    """Data 1.2 that no p > 0 reaches: the Gauss-Newton step from near 0 leads to p = -.3, where the prediction is -1e4 or
    NaN. The result stays at p > 0, and its loss at the final keys is not above that of the best place of the search. Catches a
    last step that is taken without a look at the loss there."""
    with count_programs() as programs:
        for i in range(3):
            start = {"p": 0.3, "beyond": beyond}
            key, data = jax.random.key(i), np.full(30, 1.2)
            fit = jk.fit_parameters(
                one_sided, data, start, stderr=1.5, key=key, steps=10, mask={"p": True, "beyond": False}
            )
            best = fit.history.parameters["p"][np.argmin(fit.history.loss)]
            reached = loss_at_final_keys(fit.parameters, key, data)
            assert reached <= loss_at_final_keys({"p": best, "beyond": beyond}, key, data) + 1e-9
            assert 0 <= fit.parameters["p"] < 0.1
            assert np.isfinite(fit.stderr["p"])
    assert programs.count("jit(evaluate)") <= 1


def test_a_search_that_ends_far_away():
    """An optimiser whose last step leads to where no parameter has an influence: the result starts from the best place of the
    search. Catches final steps that start from the last place whatever its loss."""
    rate = optax.piecewise_constant_schedule(2e-5, {9: 1e9})
    fit = jk.fit_parameters(
        one_sided, np.exp(-T), {"p": 0.5, "beyond": 1.0}, mask={"p": True, "beyond": False}, key=jax.random.key(0),
        stderr=0.03, optimiser=optax.sgd(rate), steps=10,
    )  # fmt: skip
    assert fit.result.ok
    assert abs(fit.parameters["p"] - 1) < 5 * fit.stderr["p"]
    assert fit.stderr["p"] < 0.1


@pytest.mark.parametrize("optimiser", [None, "adam"])
def test_mask(optimiser):
    """A leaf that is held fixed is bitwise what it was, and the others fit around it. Catches a mask of the wrong sign."""
    values = np.linalg.lstsq(X[:, 1:], LINE - 0.7, rcond=None)[0]
    fit = jk.fit_parameters(
        line, LINE, {"a": 0.7, "b": np.ones(2)}, mask={"a": False, "b": True}, optimiser=optimiser, steps=300
    )
    assert fit.parameters["a"] == 0.7
    assert fit.stderr["a"] is None
    np.testing.assert_allclose(fit.parameters["b"], values, rtol=1e-7)
    assert fit.covariance.shape == (2, 2)


def test_a_parameter_without_influence():
    """Its error is infinite, those of the others are what they are without it, and the result names it. Catches a silent 0."""
    fit = jk.fit_parameters(lambda p: decay(p) + 0 * p["q"], CURVE, {**BEGIN, "q": 1.0}, stderr=0.1)
    alone = jk.fit_parameters(decay, CURVE, BEGIN, stderr=0.1)
    assert fit.stderr["q"] == np.inf
    assert "do not determine q" in fit.result.message
    for name in BEGIN:
        np.testing.assert_allclose(fit.stderr[name], alone.stderr[name], rtol=1e-6)


def test_not_finite():
    """A model that is NaN beyond a wall: Levenberg-Marquardt turns back and converges; an optimiser that runs into it stops,
    says so, and gives the last good place. Catches NaN parameters."""

    def walled(p):
        return jnp.where(p < 2.5, jnp.exp(-p * T), jnp.nan)

    fit = jk.fit_parameters(walled, np.exp(-2.4 * T), 0.1, stderr=0.1)
    np.testing.assert_allclose(fit.parameters, 2.4, rtol=1e-7)
    stopped = jk.fit_parameters(walled, np.exp(-6 * T), 2.0, stderr=0.1, optimiser=optax.sgd(0.01), steps=40)
    assert stopped.result.status == "not_finite"
    assert "the last good ones" in str(stopped)
    assert 2 <= stopped.parameters < 2.5
    assert np.isfinite(stopped.stderr)
    assert np.isfinite(stopped.history.loss).all()
    assert 0 < len(stopped.history.loss) < 40
    assert_argument_error(lambda: jk.fit_parameters(walled, np.exp(-T), 3.0), "`start` must give a finite prediction")


def test_reverse_mode_only():
    """A model with a derivative in reverse mode only (a `custom_vjp`) has the same fit. Catches forward mode for all."""

    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    for optimiser in (None, "adam"):
        fit = jk.fit_parameters(lambda p: square(p) * jnp.asarray(T), 4 * T, 1.0, stderr=0.1, optimiser=optimiser)
        np.testing.assert_allclose(fit.parameters, 2, rtol=1e-6)
        np.testing.assert_allclose(fit.stderr, 0.1 / np.linalg.norm(4 * T), rtol=1e-6)


@pytest.mark.parametrize("optimiser", [None, "adam"])
def test_resume_is_bitwise(optimiser, tmp_path, monkeypatch):
    """A fit that is killed in its search and continued from its folder is bitwise the one without interruption, and computes
    less; a folder of another fit raises. Catches a state that lacks a number."""
    monkeypatch.setattr(_fit_runs, "_SECONDS", -1.0)
    name = "evaluate" if optimiser is None else "optax_step"
    plain, calls, limit = getattr(_fit_runs, name), [], [30]

    def counted(*args):
        calls.append(1)
        if len(calls) > limit[0]:
            raise KeyboardInterrupt
        return plain(*args)

    monkeypatch.setattr(_fit_runs, name, counted)
    given = {
        "key": jax.random.key(2),
        "stderr": 0.03,
        "optimiser": optimiser,
        "bounds": {"A": (0, None), "c": None, "k": None},
    }
    given |= {"steps": 60}
    with pytest.raises(KeyboardInterrupt):
        jk.fit_parameters(noisy_decay, CURVE, BEGIN, path=tmp_path / "fit", **given)
    calls.clear()
    limit[0] = 10**6
    resumed = jk.fit_parameters(noisy_decay, CURVE, BEGIN, path=tmp_path / "fit", **given)
    rest = len(calls)
    calls.clear()
    whole = jk.fit_parameters(noisy_decay, CURVE, BEGIN, **given)
    assert rest < len(calls)
    assert identical(resumed.parameters, whole.parameters)
    assert identical(resumed.covariance, whole.covariance)
    assert identical(resumed.history, whole.history)
    assert_argument_error(
        lambda: jk.fit_parameters(noisy_decay, CURVE + 1e-9, BEGIN, path=tmp_path / "fit", **given),
        "`path` must be a folder",
    )


def test_print_and_progress(capsys):
    """One line a parameter, then steps, chi^2 and how it ended; a bar on request. Catches digits that mean nothing."""
    fit = jk.fit_parameters(line, LINE, START, stderr=SIZES, progress=True)
    text = str(fit).splitlines()
    assert [row.partition(" ")[0] for row in text[:3]] == ["a", "b[0]", "b[1]"]
    assert " +- 0." in text[0]
    assert text[3].startswith(f"{len(fit.history.loss)} steps, reduced chi^2 ")
    assert "converged: " in text[3]
    assert "fit:" in capsys.readouterr().err


def test_without_optax(monkeypatch):
    """An optimiser names the extra; the default needs no optax. Catches a raw `ModuleNotFoundError`."""
    monkeypatch.setitem(sys.modules, "optax", None)
    assert_argument_error(
        lambda: jk.fit_parameters(line, LINE, START, optimiser="adam"),
        r"`optimiser` must be None where optax is not installed, .*pip install 'jaxkinetic\[infer\]'",
    )
    assert jk.fit_parameters(line, LINE, START).result.ok
