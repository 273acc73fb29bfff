"""Exact laws, diagnostics, noise and initial laws: bad input ends in one sentence that names the argument."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rows_exact
import rows_measuring
from helpers import assert_argument_error

import jaxkinetic as jk


def S(num=8, dim=3):
    return jk.Particles(np.random.default_rng(0).standard_normal((num, dim)).astype(np.float32))


NAMES = {
    "jk": jk, "jax": jax, "jnp": jnp, "np": np, "nan": math.nan, "inf": math.inf, "key": jax.random.key, "S": S,
    "L": jk.landau, "B": jk.boltzmann, "V": jk.vlasov, "P": jk.pairs, "D": jk.diagnostics,
    "F": jk.Density(np.ones((8, 32), np.float32), jk.Grid(jk.Axis(0.0, 4 * math.pi, 8), jk.Axis(-6.0, 12.0, 32))),
    "T1": jk.landau.Trigonometric([[0], [1]], [1.0, 0.5]), "WORDS": np.zeros(2, np.uint32),
}  # fmt: skip
ROWS = [row.split(" | ", 1) for row in (rows_exact.ROWS + rows_measuring.ROWS).splitlines() if row]


@pytest.mark.parametrize(("argument", "given"), [pytest.param(*row, id=row[1]) for row in ROWS])
def test_bad_input_is_named(argument, given):
    """One `ValueError` of one sentence in the form of all others. Catches a raw error of NumPy or JAX, and a plausible number
    made from nonsense: a negative time, volume or covariance, an order below 0, words that are not uint32."""
    assert_argument_error(lambda: eval(given, NAMES), f"`{argument}` must ")


def test_what_is_meant_passes():
    """A NaN gives NaN, infinity the limit, lists and NumPy numbers do as arrays. Catches checks that are too strict."""
    landau, boltzmann, measure = jk.landau.exact, jk.boltzmann.exact, jk.diagnostics
    assert np.isnan(landau.bkw_density(1.0, math.nan, 3, 0.4))
    assert np.isnan(boltzmann.death_moments(math.nan, 8, 8.0, 0.5)).all()
    np.testing.assert_allclose(landau.bkw_moment(math.inf, 4, np.int64(3), np.float32(0.4)), 15)
    np.testing.assert_allclose(landau.bkw_moment([0, 1], 2, 3, 0), [3, 3])
    assert landau.isotropic_entropy([0, 1, 2], [1, 1, 1]) < 0
    # A Gaussian of one direction, and round-off: the smallest eigenvalue of this one is -1e-17.
    line = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) / 3
    assert np.isfinite(landau.quartic_start(line, 8)).all()
    np.testing.assert_allclose(landau.second_moments(0.0, line, np.zeros((3, 3)), 8)[0], line, atol=1e-15)
    assert jk.random.fold_in(jnp.zeros(2, jnp.uint32), np.int64(3), 4).dtype == jnp.uint32
    assert measure.pair_correlation(S(), of=lambda s: [1.0] * 8) == 1
    assert measure.histogram(S(), edges=[0, 100])[0] == np.float32(0.01)
