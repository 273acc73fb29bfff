"""N^2 is never in memory: peaks of two processes, a small system and a large one."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import jax, jax.numpy as jnp
import jaxkinetic as jk

num, mode = int(sys.argv[1]), sys.argv[2]
system = {system}
state = jk.initial.maxwellian(jax.random.key(0), num, 3)

def value(strength):
    s = system(jk.landau.PowerLaw(-3.0, strength, softening=0.1))
    return jk.diagnostics.energy(jk.simulate(s, state, key=jax.random.key(1), dt=1e-3, num_steps=2, throw=False).final)

jax.block_until_ready((jax.grad(value) if mode == "gradient" else value)(1.0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["Kac", "IndependentNoise", "MatrixSqrt"])
@pytest.mark.parametrize("mode", ["value", "gradient"])
def test_a_step_and_its_gradient_hold_no_pairs(system, mode):
    """N = 8192 against 256: one (N, N) float32 array is 256 MiB, and an untiled step needs several. Allowed: 100 MiB."""
    program = PROGRAM.format(system=f"jk.landau.{system}")
    peaks = []
    for num in (256, 8192):
        done = subprocess.run([sys.executable, "-c", program, str(num), mode], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(float(done.stdout))
    print(system, mode, peaks)
    assert peaks[1] - peaks[0] < 100
