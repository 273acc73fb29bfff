"""`Checkpointed` stores every step of a run whose states are few and small; above that size it recomputes blocks of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import identical, particles

import jaxkinetic as jk
from jaxkinetic import _adjoint

STEPS = 12
KAC = jk.landau.Kac(jk.landau.Maxwell(0.8))
DIFFUSION, PAIRS = (KAC, jk.EulerMaruyama()), (KAC, jk.pairs.RandomMatching())


def start():
    return particles(jax.random.key(0), 7, 2)


def run(case, state, num_steps=STEPS):
    system, scheme = case
    given = {} if isinstance(state, jk.Checkpoint) else {"scheme": scheme, "key": jax.random.key(1), "dt": 0.01}
    return jk.simulate(system, state, num_steps=num_steps, throw=False, **given)


def num_loops(case):
    traced = jax.make_jaxpr(lambda v: run(case, jk.Particles(v)).final.velocity)(start().velocity)
    return str(traced).count("scan[")


@pytest.fixture
def layouts(case, monkeypatch):
    """A generator that sets the threshold to the bytes of the run, then to one byte less. The threshold is not part of what a
    program is found by, so the caches are emptied in between."""
    compare, sizes = _adjoint._few_bytes, []

    def recorded(loop, steps):
        sizes.append(steps * _adjoint._bytes(loop))
        return compare(loop, steps)

    def both():
        jax.clear_caches()
        with monkeypatch.context() as patch:
            patch.setattr(_adjoint, "_few_bytes", recorded)
            loops = [num_loops(case)]
        for threshold in (sizes[0], sizes[0] - 1):
            monkeypatch.setattr(_adjoint, "_FEW_BYTES", threshold)
            jax.clear_caches()
            yield threshold
            loops.append(num_loops(case))
        assert loops[0] == loops[1] < loops[2], "only the last one has blocks"

    yield both()
    jax.clear_caches()


@pytest.mark.bitwise
@pytest.mark.optimised
@pytest.mark.parametrize("case", [DIFFUSION, PAIRS], ids=["diffusion", "pairs"])
def test_restart_across_layouts(case, layouts):
    """A run at the threshold, where every step is stored, and one a byte above it, where there are blocks, end in the same
    state to the last bit; so does the second one in two halves, which are below the threshold. Catches a step that is compiled
    differently inside a block."""
    finals = []
    for _ in layouts:
        finals.append(run(case, start()).final)
        half = run(case, start(), STEPS // 2).checkpoint
        finals.append(run(case, half, STEPS // 2).final)
    for final in finals[1:]:
        assert identical(final, finals[0])


@pytest.mark.parametrize("case", [PAIRS], ids=["pairs"])
def test_gradients_across_layouts(case, layouts):
    """At the threshold and a byte above it, the gradients agree to round-off. Catches a block that is recomputed with other
    noise than it ran with."""

    def value(velocity):
        return jnp.sum(jnp.sin(run(case, jk.Particles(velocity)).final.velocity))

    stored, blocks = (jax.jit(jax.grad(value))(start().velocity) for _ in layouts)
    assert jnp.linalg.norm(stored) > 1e-2
    np.testing.assert_allclose(blocks, stored, rtol=1e-10, atol=1e-12)
