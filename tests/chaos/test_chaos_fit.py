"""Exponents of distances: synthetic series whose law and noise are known."""

import dataclasses
import functools
import re

import numpy as np
import pytest

from jaxkinetic.chaos.fit import fit_exponent, runs_needed
from jaxkinetic.chaos.series import Series

N = np.array([16, 32, 64, 128, 256])
WIDE = np.array([16, 64, 256, 1024, 4096])


def series(n, amount, noise=0.0, *, power=1, rng=None, draws=200, runs=1000, floor=0.0):
    """A series with these amounts, disturbed by Gaussian noise if `rng` is given, and bootstrap draws with this noise."""
    noise = np.broadcast_to(noise, np.shape(amount))
    own = np.random.default_rng(7)
    y = amount if rng is None else amount + noise * rng.standard_normal(len(n))
    spread = own.standard_normal((draws, len(n)))
    # Draws whose mean and standard deviation are exact.
    spread = (spread - spread.mean(0)) / spread.std(0, ddof=1)
    value = y if power == 1 else np.sign(y) * np.sqrt(np.abs(y))
    stderr = noise if power == 1 else np.minimum(noise / (2 * np.abs(value) + 1e-300), np.sqrt(noise))
    return Series(n, value, stderr, value, np.full(len(n), floor), np.full(len(n), runs), y, y + noise * spread, power)


def log_fit(one):
    """What `fit_exponent` must not be: weighted least squares of log(amount) over the points above 2 standard errors."""
    noise = one.draws.std(0, ddof=1)
    kept = one.amount > 2 * noise
    if kept.sum() < 3:
        return np.nan
    return -np.polyfit(np.log(one.N[kept]), np.log(one.amount[kept]), 1, w=(one.amount / noise)[kept])[0] / one.power


CASES = {
    "2 to 5 standard errors": (WIDE, 1 / WIDE, 1 / WIDE / np.array([5, 4, 3, 2.5, 2]), 1, 1.0),
    "falls into the noise": (N, 1 / N, np.full(5, 1 / N[2] / 8), 1, 1.0),
    "squared": (WIDE, 1.0 / WIDE, 0.1 / WIDE, 2, 0.5),
    "three": (N[:3], 1 / N[:3], 0.03 / N[:3], 1, 1.0),
}


@functools.cache
def studies(case):
    """200 series of one case, and their exponents."""
    n, amount, noise, power, _ = CASES[case]
    rng = np.random.default_rng(5)
    made = [series(n, amount, noise, power=power, rng=rng) for _ in range(200)]
    return made, [fit_exponent(one) for one in made]


@pytest.mark.parametrize("case", CASES)
def test_interval_covers(case):
    """In 200 studies of a known law the interval contains its exponent in at least 90 %, the mean is right within 4 standard
    errors, and at most 6 % are said to bend. Catches errors of the exponent that lack a part, weights that are not those of the
    noise, and a test for curvature that noise passes."""
    *_, p = CASES[case]
    _, found = studies(case)
    found = [one for one in found if np.isfinite(one.value)]
    assert len(found) > 185
    values = np.array([one.value for one in found])
    covered = np.mean([one.interval[0] <= p <= one.interval[1] for one in found])
    assert covered >= 0.9
    assert abs(values.mean() - p) < 4 * values.std() / np.sqrt(len(values))
    # Nor is the error needlessly large: the window costs less than a factor of 2, even with three N.
    assert np.median([one.stderr for one in found]) < 2 * values.std()
    assert sum(one.statement.startswith("Bends") for one in found) <= 12


def test_no_selection_by_significance():
    """At 2 to 5 standard errors a logarithmic fit of the points above 2 standard errors is biased by more than 5 of its
    standard errors; the same data show that `fit_exponent` is not. Catches a fit that chooses points by their significance."""
    made, found = studies("2 to 5 standard errors")
    naive = np.array([log_fit(one) for one in made])
    naive = naive[np.isfinite(naive)]
    ours = np.array([one.value for one in found])
    ours = ours[np.isfinite(ours)]
    assert 1 - naive.mean() > 5 * naive.std() / np.sqrt(len(naive))
    assert abs(ours.mean() - 1) < 3 * ours.std() / np.sqrt(len(ours))


def test_few_runs():
    """Eight runs of each N with Gaussian noise, bootstrapped: the interval contains the exponent in at least 90 % of 200 cases.
    Catches a bootstrap without its factor sqrt(R/(R - 1)), and 1.96 standard errors where Student's law has more."""
    rng, runs, covered = np.random.default_rng(1), 8, []
    for _ in range(200):
        data = (1 + 0.3 * rng.standard_normal((runs, 3))) / N[:3]
        weights = rng.multinomial(runs, np.full(runs, 1 / runs), size=(200, 3)) / runs
        draws = np.einsum("bnr,rn->bn", weights, data)
        one = dataclasses.replace(series(N[:3], data.mean(0), runs=runs), draws=draws)
        found = fit_exponent(one)
        covered.append(found.interval[0] <= 1 <= found.interval[1])
    assert np.mean(covered) >= 0.9
    # The two ends decide: six degrees of freedom at four runs, whose quantile is 2.45.
    few, many = (fit_exponent(series(N[:3], 1 / N[:3], 0.01 / N[:3], draws=5000, runs=runs)) for runs in (4, 10**6))
    np.testing.assert_allclose(few.stderr / many.stderr, np.sqrt(4 / 3), rtol=0.02)
    np.testing.assert_allclose(np.ptp(many.interval) / (2 * many.stderr), 1.96, rtol=0.05)
    np.testing.assert_allclose(np.ptp(few.interval) / (2 * few.stderr), 2.45, rtol=0.02)


def test_no_decay():
    """A covariance of 2.25 at every N does not decay, and the sentence says so. Catches a report that calls it chaotic."""
    found = fit_exponent(series(N, np.full(5, 2.25), 0.08, rng=np.random.default_rng(0)))
    assert re.fullmatch(r"Does not decrease with N: exponent 0 within 0\.0\d\.", found.statement), found.statement
    assert abs(found.value) < 3 * found.stderr < 0.05


@pytest.mark.parametrize("power", [1, 2])
def test_floor_is_fitted(power):
    """The exponent 1 and the floor .004 from amounts with a floor. Catches F where F^2 is meant, an error of the floor that is
    no standard error, and a fit that ignores the floor."""
    n, rng = 2 ** np.arange(3, 11), np.random.default_rng(2)
    amount = n ** (-1.0 * power) + 0.004**power
    found = [fit_exponent(series(n, amount, 0.02 * amount, power=power, rng=rng), floor="fit") for _ in range(30)]
    scores = np.array(
        [((one.value - 1) / one.stderr, (one.fitted_floor - 0.004) / one.fitted_floor_stderr) for one in found]
    )
    np.testing.assert_array_less(np.abs(scores.mean(0)) * np.sqrt(30), 4)
    np.testing.assert_array_less(np.abs(np.log(scores.std(0))), np.log(1.8))
    without = fit_exponent(series(n, amount, 0.02 * amount, power=power))
    assert without.fitted_floor is None
    assert without.statement.startswith("Bends")


def test_bend():
    """N^-1 (1 + 3/N) has the local exponent 1 + 3/(N + 3) and the curvature 3N/(N + 3)^2: with errors of .1 % the fit says that
    it bends, with the exponents of both ends. Without the bend it says nothing of the kind. Catches the sign of the curvature,
    its factor 2, ends that are exchanged, and a straight law that is called bent."""
    amount = (1 + 3 / N) / N
    for noise in (0.0, 1e-3 * amount):
        found = fit_exponent(series(N, amount, noise))
        assert 3 * 256 / 259**2 < found.curvature < 3 * 16 / 19**2
        assert abs(found.curvature) > 3 * found.curvature_stderr > 0
        says = re.fullmatch(
            r"Bends: the largest N \(64 to 256\) give p = (\S+).*, the smallest \(16 to 64\) p = (\d\.\d+).*\.",
            found.statement,
        )
        assert says, found.statement
        assert 1 + 3 / 259 < float(says[1]) < 1 + 3 / 67 < float(says[2]) < 1 + 3 / 19
        # The interval reaches from one end to the other, so it does not exclude what the largest N show.
        assert found.interval[0] < 1 + 3 / 131
        assert found.stderr_window > 0.01
    straight = fit_exponent(series(N, 1 / N, 1e-3 / N, rng=np.random.default_rng(0)))
    assert not straight.statement.startswith("Bends")
    assert straight.stderr_window < 1e-3


def test_deterministic():
    """Without noise: N^-2 exactly, for either sign; three N have half the difference of their local slopes as the error; four
    have an error, too. Catches an error of 0 where the local slopes differ, and weights made of round-off."""
    for sign in (1, -1):
        found = fit_exponent(series(N, sign / N**2))
        assert abs(found.value - 2) < 1e-12
        assert found.stderr < 1e-9
        assert found.statement == "Decays as N^-p, p = 2: consistent with 2, excludes 1."
    amount = (1 + 3 / N) / N
    local = -np.diff(np.log(amount)) / np.log(2)
    three = fit_exponent(series(N[:3], amount[:3], power=2))
    np.testing.assert_allclose(three.value, local[:2].mean() / 2)
    np.testing.assert_allclose([three.stderr, three.stderr_window], abs(local[1] - local[0]) / 4)
    zigzag = fit_exponent(series(N[:4], np.array([1.1, 0.9, 1.1, 0.9]) / N[:4]))
    assert zigzag.stderr > 0.05


def test_too_few_points():
    """Two N above the noise give no exponent, and the number of runs that it takes: with as many there is one. Catches an
    exponent from two points, and a number that is not in proportion to the square of the noise."""
    amount, noise = 1 / N, np.full(5, 0.0125)
    found = fit_exponent(one := series(N, amount, noise, runs=100))
    assert np.isnan([found.value, found.stderr, *found.interval]).all()
    assert found.used == ()
    assert set(found.left_out) == {64, 128, 256}
    assert re.fullmatch(
        r"Only 2 of 5 N lie above the noise: about 1700 runs of each N are needed for three\.", found.statement
    ), found.statement
    needed = runs_needed(found, one, 0.1)
    assert 1600 < needed <= 1700
    more = fit_exponent(series(N, amount, noise * np.sqrt(100 / needed), runs=needed))
    assert np.isfinite(more.value)
    assert "No N lies above the noise: at least" in fit_exponent(series(N, 1e-9 * amount, noise)).statement
    assert fit_exponent(series(N[:2], amount[:2])).statement == "2 N are too few: at least 3 are needed."
    assert "at least 4 are needed" in fit_exponent(series(N[:3], amount[:3], 1e-3), floor="fit").statement


def test_points_that_are_left_out():
    """NaN and a square 5 standard errors below its floor are left out, with the reason in the sentence; one within the noise is
    not. An amount with both signs has no exponent. Catches a NaN that spreads, and a floor that is too high."""
    amount, noise = 1.0 / N**2, np.full(5, 1e-5)
    amount[1], amount[3], amount[4] = np.nan, -5e-5, 1e-5
    n = np.array([*N, 20])
    found = fit_exponent(series(n, np.append(amount, 1 / 400), np.append(noise, 1e-5), power=2))
    assert found.used == (16, 20, 64, 256)
    assert found.left_out == {32: "not finite", 128: "below its floor by 5.0 standard errors"}
    assert found.within_noise == {256: "within 2 standard errors of 0"}
    assert "left out: N = 32 (not finite), N = 128 (below" in found.statement
    changes = fit_exponent(series(N, 1 / N - 0.02, 1e-4))
    assert np.isnan(changes.value)
    assert changes.statement.endswith("negative at N = 64, 128, 256 and positive at N = 16, 32.")


def test_cannot_tell():
    """N^-.75 with errors of 30 % cannot tell 1/2 from 1; with as many times the runs as the sentence says, it does. Catches a
    sentence that names what the interval excludes, and a number of runs that is not the square of the ratio of errors."""
    amount = N**-0.75
    found = fit_exponent(series(N, amount, 0.3 * amount))
    says = re.fullmatch(
        r"Cannot tell 1/2 from 1 \(p = 0\.75 \+- 0\.1\d\): needs about (\d+) times as many runs\.", found.statement
    )
    assert says, found.statement
    assert "Cannot" not in fit_exponent(series(N, amount, 0.3 * amount / np.sqrt(int(says[1])))).statement
    # The largest N show 1/2, the smallest 1: no number of runs decides, and the fit bends or says that it depends on the range.
    both = fit_exponent(series(N[:3], np.array([1, 0.5, 0.5 / np.sqrt(2)])))
    assert both.statement.endswith("the exponent depends on the range of N, so larger N are needed, not more runs.")


def test_runs_needed():
    """The number of runs gives the standard error that was asked; none does below the dependence on the range of N. Catches a
    statistical error that falls as 1/R, and runs that are to remove a bend."""
    amount = 1.0 / N
    found = fit_exponent(one := series(N, amount, 0.1 * amount, runs=50))
    needed = runs_needed(found, one, found.stderr / 3)
    assert abs(needed / 450 - 1) < 0.01
    again = fit_exponent(series(N, amount, 0.1 * amount * np.sqrt(50 / needed), runs=needed))
    assert abs(again.stderr * 3 / found.stderr - 1) < 0.05
    bent = (1 + 3 / N) / N
    with pytest.raises(ValueError, match="must exceed the dependence of the exponent on the range of N"):
        runs_needed(fit_exponent(one := series(N, bent, 1e-3 * bent)), one, 0.01)
    with pytest.raises(ValueError, match="more runs do not help: Changes sign"):
        runs_needed(fit_exponent(one := series(N, 1 / N - 0.02, 1e-4)), one, 0.01)
    with pytest.raises(ValueError, match="`target` must be positive"):
        runs_needed(found, one, 0.0)


def test_order_and_seed():
    """The order of N does not matter, and the same seed gives the same numbers. Catches N that are sorted without their
    draws."""
    one = series(N, 1 / N, 0.05 / N, rng=np.random.default_rng(3))
    mixed = [3, 0, 4, 1, 2]
    fields = {name: np.asarray(getattr(one, name))[..., mixed] for name in ("N", "amount", "draws", "replicas")}
    assert fit_exponent(dataclasses.replace(one, **fields)) == fit_exponent(one) == fit_exponent(one, seed=0)


def test_bad_input():
    """Catches arrays that do not fit together and an N given twice."""
    one = series(N, 1 / N, 0.05 / N)
    with pytest.raises(ValueError, match=r"must have arrays \(n,\), \(n,\) and \(B, n\)"):
        fit_exponent(dataclasses.replace(one, draws=one.draws[:, :3]))
    with pytest.raises(ValueError, match="distinct N"):
        fit_exponent(dataclasses.replace(one, N=np.array([16, 16, 32, 64, 128])))
    with pytest.raises(ValueError, match='`floor` must be None or "fit"'):
        fit_exponent(one, floor=0.1)
