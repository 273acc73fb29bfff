"""The entropy that `maxwell-bkw` prints, on data whose law is known."""

import jax
import numpy as np
import pytest

from jaxkinetic.experiments.catalogue._entropy import _log_temperature_bias, excess_entropy
from jaxkinetic.experiments.catalogue.maxwell_bkw import MaxwellBKW


@pytest.mark.optimised
@pytest.mark.parametrize(("particles", "replicas"), [(4, 16), (30, 240)])
def test_maxwellian_has_no_excess_entropy(particles, replicas):
    """H - H_M of Maxwellian data, 120 times, is 0 within 4 standard errors, for large and small groups. Catches the bias of
    the sample temperature, -(d+1)/(2n) of n particles a group: without it the value is more than 8 standard errors away at
    the small size."""
    options = MaxwellBKW(particles=particles, replicas=replicas)
    v = np.asarray(jax.random.normal(jax.random.key(particles), (replicas, 120, particles, 3)))
    found = excess_entropy(v, options)
    values = found["groups"]
    stderr = np.hypot(values.std() / values.size**0.5, found["bias_stderr"])
    z = values.mean() / stderr
    missing = 1.5 * _log_temperature_bias(particles * replicas // 8, 3) / stderr
    print(particles, z, missing)
    assert abs(z) < 4
    if particles == 4:
        assert abs(z + missing) > 8
