"""`Checkpointed` stores every step of a run whose states are few and small; above that size it recomputes blocks of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import identical, particles

import jaxkinetic as jk
from jaxkinetic._core import adjoint as adjoint_module, loops as loops_module

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
    compare, sizes = loops_module.is_small, []

    def recorded(loop, steps):
        sizes.append(steps * loops_module.floating_bytes(loop))
        return compare(loop, steps)

    def both():
        jax.clear_caches()
        with monkeypatch.context() as patch:
            patch.setattr(adjoint_module, "is_small", recorded)
            loops = [num_loops(case)]
        for threshold in (sizes[0], sizes[0] - 1):
            monkeypatch.setattr(loops_module, "_FEW_BYTES", threshold)
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


def test_even_intervals():
    """Which runs an accelerator makes without conditions. Catches surplus steps above a thirtieth of a run, and many programs
    for runs of almost the same length."""

    def lengths(*counts):
        return loops_module.Lengths.of(np.asarray(counts), max(counts))

    assert [lengths(n).longest for n in (0, 1, 7, 9, 10, 50, 95, 101, 990, 1000)] == [
        2, 2, 9, 9, 10, 50, 100, 110, 992, 1000
    ]  # fmt: skip
    for counts in ((10,), (50, 50), (0, 200, 200), (1000,), (100, 99, 100)):
        assert lengths(*counts).even, counts
    for counts in ((1, 1, 1), (9,), (95,), (1, 999), (100, 50)):
        assert not lengths(*counts).even, counts
    assert [lengths(*counts).exact for counts in ((0, 200), (200,), (1000, 1000), (990,), (100, 99))] == [1, 1, 1, 0, 0]
    assert [lengths(*counts).empty for counts in ((0, 200), (200,), (0, 200, 1))] == [True, False, False]


def only_here(on_cpu, condition, cpu):
    return condition if cpu is on_cpu else jnp.ones_like(condition)


@pytest.mark.optimised
@pytest.mark.parametrize("adjoint", [jk.Checkpointed(), jk.Direct()], ids=["checkpointed", "direct"])
def test_surplus_steps_are_dropped(adjoint, monkeypatch):
    """The loop of accelerators, which computes surplus steps and drops them, and skips empty intervals: same values and
    gradients, to round-off, as the loop of the CPU, which skips every surplus step. Catches a step too many, and a gradient
    through it."""
    few = loops_module._FEW_BYTES if isinstance(adjoint, jk.Direct) else 0
    monkeypatch.setattr(loops_module, "_FEW_BYTES", few)

    def value(strength):
        system = jk.landau.Kac(jk.landau.Maxwell(strength))
        save = jk.Save(every=33, observe={"energy": jk.diagnostics.energy})
        run = jk.simulate(
            system, start(), scheme=jk.EulerMaruyama(), key=jax.random.key(1), dt=0.01, num_steps=66, save=save, adjoint=adjoint
        )  # fmt: skip
        assert run.stats["steps"] == 66
        return jnp.sum(run.observed["energy"] ** 2), run.final.velocity

    jax.clear_caches()
    assert loops_module.Lengths.of(np.asarray([0, 33, 33]), 33) == (36, False, False, False), (
        "surplus steps, so not even by itself"
    )
    monkeypatch.setattr(loops_module.Lengths, "of", lambda counts, longest: loops_module.Lengths(36, True, True))
    found = []
    for on_cpu in (True, False):
        for module in (loops_module, adjoint_module):
            monkeypatch.setattr(
                module, "only_on_cpu", lambda wanted, cpu, on=on_cpu: wanted if cpu is on else jnp.ones_like(wanted)
            )
        jax.clear_caches()
        found.append(jax.value_and_grad(value, has_aux=True)(0.8))
    jax.clear_caches()
    (((one, v), of_one), ((other, w), of_other)) = found
    np.testing.assert_allclose([other, of_other], [one, of_one], rtol=1e-12)
    np.testing.assert_allclose(w, v, rtol=1e-12)
    assert abs(of_one) > 1e-3
