"""`JAX_DEBUG_NANS`: no healthy call makes a NaN on purpose, which JAX would report in the place of the user's own."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import particles

import jaxkinetic as jk
from jaxkinetic.pairs import rotations
from jaxkinetic_kernels import positive_power

KEY = jax.random.key(2)
ONE = jnp.ones(3)
WORDS = tuple(jnp.arange(3 * k, 3 * k + 3, dtype=jnp.uint32) for k in range(4))
COULOMB = jk.landau.PowerLaw(-3.0, softening=0.1)


def some_dead():
    return jk.Particles(particles(KEY, 8, 3).velocity, alive=jnp.arange(8) < 6)


def no_candidates():
    walk = jk.boltzmann.KacWalk(jk.boltzmann.HardSphere(), 1e9)
    return jk.simulate(walk, some_dead(), key=KEY, dt=1e-9, num_steps=1).stats


def fixed_angle(law, epsilon):
    system = jk.landau.Microcanonical(COULOMB, law, epsilon, floor=0.1)
    envelope = system.envelope(some_dead())
    return system.rate_bound(envelope), system.jump(WORDS, (ONE, ONE, ONE), (0 * ONE, ONE, ONE))


@pytest.mark.parametrize(
    "call",
    [
        lambda: positive_power(ONE, jnp.asarray(-1.5)),
        lambda: positive_power(ONE.astype(jnp.float32), jnp.float32(-1.5)),
        lambda: rotations.heat_rotation(WORDS, 0.3 * ONE, (ONE, ONE, 0 * ONE)),
        lambda: fixed_angle("fixed_angle", 0.3),
        lambda: fixed_angle("constant_rate", 0.3),
        no_candidates,
        lambda: jk.diagnostics.kde_entropy(some_dead()),
        lambda: jk.diagnostics.knn_entropy(some_dead()),
        lambda: jk.diagnostics.wasserstein(some_dead(), some_dead()),
        lambda: jk.vlasov.Poisson(1.0).bound(1),
    ],
)
def test_healthy_call(call):
    """Calls that are evaluated operation by operation, and a run in which nothing happens. Catches a NaN that is made for the
    bad case before it is known whether there is one, and 0/0."""
    with jax.debug_nans(True):
        leaves = jax.tree.leaves(call())
    assert leaves
    assert not any(np.isnan(leaf).any() for leaf in leaves)


def test_no_nan_in_an_operation_of_its_own():
    """No file makes an array of NaN by an operation of JAX, which raises under `JAX_DEBUG_NANS` when it is not compiled: a
    NumPy constant does not. Catches `jnp.full((), jnp.nan)`, wherever it is written."""
    root = Path(jk.__file__).parent
    files = [*root.rglob("*.py"), *(root.parent / "kernels").rglob("*.py")]
    made = re.compile(r"jnp\.(full|full_like|asarray|array)\((?!np\.)[^\n]*\b(jnp|np|math)\.nan\b")
    found = [file.name for file in files if made.search(file.read_text())]
    assert len(files) > 50
    assert found == []
