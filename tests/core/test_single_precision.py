"""The library as a user without x64 sees it: the other tests run with x64."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np
import jax, jax.numpy as jnp
import jaxkinetic as jk
import pytest
import test_simulate

assert not jax.config.jax_enable_x64
for name, (call, sentence) in test_simulate.BAD.items():
    if name not in ("ident", "integer velocity"):  # their messages name the dtype of NumPy
        with pytest.raises(ValueError, match="^Argument " + sentence):
            call()
with pytest.raises(ValueError, match="`dtype` must be enabled in JAX, but is float64"):
    jk.initial.maxwellian(jax.random.key(0), 10, 3, dtype=jnp.float64)

state = jk.initial.bkw(jax.random.key(0), 200, 3)
for system in (jk.landau.Kac, jk.landau.IndependentNoise, jk.landau.MatrixSqrt):
    def stress(gamma, dt=0.002):
        s = system(jk.landau.PowerLaw(gamma, softening=0.2))
        save = jk.Save(every=5, observe={"h": jk.diagnostics.knn_entropy})
        sol = jk.simulate(s, state, key=jax.random.key(1), dt=dt, num_steps=10, save=save)
        return jk.diagnostics.stress(sol.final)[0, 1]
    value, gradient = jax.value_and_grad(stress)(-1.0)
    difference = (stress(-0.9) - stress(-1.1)) / 0.2
    assert value.dtype == gradient.dtype == jnp.float32
    assert abs(gradient / difference - 1) < 0.02, (gradient, difference)

t = np.linspace(0, 1, 40)
fit = jk.fit_decay(t, np.exp(-5 * t) + 0.1, floor="fit")
assert abs(fit.rate / 5 - 1) < 1e-3 and abs(fit.floor / 0.1 - 1) < 1e-3
"""


@pytest.mark.slow
def test_library_without_x64():
    """Catches a float64 that is only there in tests, and an error message that x64 hides."""
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", PROGRAM], capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
