"""`jaxkinetic run infer`: hidden parameters recovered through the simulators, and whether the error bars are right."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_programs

import jaxkinetic as jk
from jaxkinetic.experiments import cli
from jaxkinetic.experiments.catalogue._inference import band, infer
from jaxkinetic.experiments.catalogue._inference_cases import _REACH, Annihilating, Damped, Diffusing

# The defaults of the command.
WAVE = Damped(steps=120, dt=0.2, nx=8, nv=64)
FIELD = jax.jit(WAVE.__call__)
GAS = Annihilating(steps=3, dt=0.5, num=32, replicas=16)
PLASMA = Diffusing(steps=8, dt=0.25, num=32, replicas=32)


def covered(case, seeds, **given):
    """z (seeds, p) and how many intervals hold the truth; the seeds share one program."""
    with count_programs() as programs:
        found = [infer(case, seed, **given) for seed in range(seeds)]
    assert programs.count("jit(evaluate)") <= 1
    assert all(one.fit.result.ok for one in found)
    assert np.ptp([one.truth for one in found], axis=0).min() > 0
    return np.array([one.z for one in found]), np.sum([one.inside for one in found], axis=0)


def test_coverage_of_damping():
    """20 waves: the truth lies within the 95 % interval in at least 17, the mean z^2 is near 1, one program for all. Catches
    data whose noise is not what the fit is told, and a program that is compiled for every seed. (100 seeds:
    benchmarks/results/infer_vlasov.json.)"""
    z, inside = covered(WAVE, 20)
    assert np.all(inside >= 17)
    assert np.all((np.mean(z**2, axis=0) > 0.4) & (np.mean(z**2, axis=0) < 2))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_coverage_of_annihilation():
    """As `test_coverage_of_damping` for alpha and the strength of the annihilating walk, with derivatives by scores and the
    simulator's own noise. Catches a biased derivative, and errors without the simulator's part."""
    z, inside = covered(GAS, 20)
    assert np.all(inside >= 17)
    assert np.all((np.mean(z**2, axis=0) > 0.4) & (np.mean(z**2, axis=0) < 2))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_coverage_of_landau():
    """Three seeds of gamma and strength: no z beyond 4. Catches a model with another law than the data, such as another dt."""
    z, _ = covered(PLASMA, 3, final=8)
    assert np.abs(z).max() < 4


def test_field_is_a_function_of_the_scaled_wavenumber():
    """k times the field depends on k sqrt(T) only, and is 1 at t = 0: the reason why both are identified. Its frequency and
    damping are those of the root of the dispersion relation. Catches a factor of 2 or k in the field."""
    one, other = (
        np.asarray(FIELD({"temperature": jnp.asarray(t), "wavenumber": jnp.asarray(k)}))[:, 0] * k
        for t, k in ((1.5625, 0.4), (1.0, 0.5))
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    # The field drives the density, and it streams: 1 - (1 + k^2 T) t^2/2 + O(t^4).
    np.testing.assert_allclose(other[0], 1 - (1 + 0.5**2) * WAVE.times[0] ** 2 / 2, atol=0.03)
    # The root of the dispersion relation at k = 1/2; Strang splitting changes it by O(dt^2), here .4 %.
    fit = jk.fit_oscillation(WAVE.times, other, window=(8.0, 24.0))
    np.testing.assert_allclose([fit.frequency, fit.growth], [1.415662, -0.153359], rtol=6e-3)
    assert np.exp(-(_REACH**2) / (2 * Damped.parameters["temperature"].bounds[1])) < 1e-7


@pytest.mark.slow
def test_density_and_pressures_of_the_gas():
    """Means of 1024 runs of 400 particles against n = 1/(1 + alpha S t), and p_perp - p_par that at the start times
    n^{(1 + alpha)/(2 alpha)}, within 4 errors; finite N changes them by 1/(2 N). Catches a factor 2 in the rate,
    and the difference of the pressures per particle."""
    case = Annihilating(steps=2, dt=0.5, num=400, replicas=1)
    alpha, strength = 0.3, 1.2
    curves, covariance, first = case.exact({"alpha": alpha, "strength": strength}, jax.random.key(1))
    errors = np.sqrt(np.diag(covariance)).reshape(curves.shape)
    grown = 1 + alpha * strength * case.times
    law = np.stack([1 / grown, first[1] * grown ** (-(1 + alpha) / (2 * alpha))], axis=1)
    np.testing.assert_array_less(np.abs(curves - law), 4 * errors + law / 400)
    assert first[0] == 1
    np.testing.assert_allclose(first[1], 3 / 2.1 * 0.9, rtol=0.02)


def test_band():
    """Half the width of the band is 1.96 sqrt(diag(J C J^T)) with J by central differences. Catches variances for standard
    deviations, and a covariance without its correlation (-.97)."""
    found = infer(WAVE, 1)
    curve, reach = band(WAVE, found, 1)

    def at(place):
        return np.asarray(FIELD(dict(zip(found.names, map(jnp.asarray, place), strict=True))))[:, 0]

    steps = 1e-4 * np.eye(2)
    jacobian = np.stack([(at(found.estimate + h) - at(found.estimate - h)) / 2e-4 for h in steps], axis=1)
    expected = 1.959964 * np.sqrt(np.diag(jacobian @ np.asarray(found.fit.covariance) @ jacobian.T))
    np.testing.assert_allclose(reach[:, 0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(curve[:, 0], at(found.estimate), atol=1e-10)


def test_without_optax(monkeypatch, capsys, tmp_path):
    """adam needs optax, and only adam. Catches a raw `ModuleNotFoundError`, and one after the run has begun."""
    monkeypatch.setitem(sys.modules, "optax", None)
    wave = ["run", "infer", "--system", "vlasov", "--out", str(tmp_path / "out")]
    assert cli.main([*wave, "--optimiser", "adam"]) == 2
    assert (
        "`--optimiser` must be levenberg-marquardt where optax is not installed, but is adam" in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    assert cli.main(wave) == 0
    assert "truth" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figure.png", "result.json", "result.npz"]
    found = json.loads((tmp_path / "out" / "result.json").read_text())["results"]
    assert found["converged"]
    assert np.abs(found["z"]).max() < 4
    assert found["first_parameter"] == found["temperature"]


@pytest.mark.slow
def test_adam():
    """adam ends where Levenberg-Marquardt does. Catches an optimiser that is not passed on, by its number of steps."""
    found, searched = infer(WAVE, 2), infer(WAVE, 2, "adam")
    np.testing.assert_allclose(searched.estimate, found.estimate, atol=0.02 * found.stderr.min())
    assert len(searched.fit.history.loss) == 100
