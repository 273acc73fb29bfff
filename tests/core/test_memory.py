"""N^2 is never in memory: peaks of two processes, a small system and a large one."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import jax, jax.numpy as jnp
import jaxkinetic as jk

num, mode = int(sys.argv[1]), sys.argv[2]
system = {system}
state = jk.initial.maxwellian(jax.random.key(0), num, 3)

def value(strength):
    s = system(jk.landau.PowerLaw(-3.0, strength, softening=0.1))
    return jk.diagnostics.energy(jk.simulate(s, state, key=jax.random.key(1), dt=1e-3, num_steps=2, throw=False).final)

jax.block_until_ready((jax.grad(value) if mode == "gradient" else value)(1.0))
print(peak())
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["Kac", "IndependentNoise", "MatrixSqrt"])
@pytest.mark.parametrize("mode", ["value", "gradient"])
def test_memory_of_a_step(system, mode):
    """Value and gradient, N = 8192 against 512, one tile. Catches an array of all pairs: (N, N) in float32 is 256 MiB,
    and an untiled step needs several. Allowed: 100 MiB; measured: 25 from N = 512 on, and 50 to 100 more than at 256,
    half a tile."""
    program = PROGRAM.format(system=f"jk.landau.{system}")
    small, large = (peak(program, num, mode) for num in (512, 8192))
    print(system, mode, small, large)
    assert large - small < 100


TORUS = """
import sys
import numpy as np
import jax, jax.numpy as jnp
import jaxkinetic as jk

num, count = int(sys.argv[1]), int(sys.argv[2])
modes = [[i, j] for i in range(16) for j in range(16)][:count]
state = jk.initial.torus_mode(jax.random.key(0), num, [1, 0], 0.5)

def value(scale):
    interaction = jk.landau.Trigonometric(modes, scale * jnp.asarray([2.0] + [1 / 256] * (count - 1)))
    system = jk.landau.MatrixSqrt(interaction)
    final = jk.simulate(system, state, key=jax.random.key(1), dt=1e-3, num_steps=2, throw=False).final
    return jnp.sum(jnp.cos(final.velocity))

jax.block_until_ready(jax.grad(value)(1.0))
print(peak())
"""


@pytest.mark.slow
def test_memory_of_structure_factors():
    """N = 100 000, the gradient with 256 modes against 2. Catches an array of points times modes: (N, M) in float32 is
    98 MiB, and there would be several. Allowed: 60 MiB; the same process varies by 30, so the smaller of two peaks
    counts."""
    few, many = (min(peak(TORUS, 100_000, count) for _ in range(2)) for count in (2, 256))
    print(few, many)
    assert many - few < 60


STEPS = """
import sys
from typing import ClassVar
import jax, jax.numpy as jnp
import jaxkinetic as jk

class Friction(jk.AbstractDiffusion):
    conserves: ClassVar[dict] = {}
    rate: jax.Array
    def check(self, state): ...
    def default_scheme(self): return jk.EulerMaruyama()
    def generator(self, phi): raise AssertionError
    def drift(self, t, state): return -self.rate * jnp.sin(state)
    def noise(self, key, t, dt, state): return jnp.zeros_like(state)

num_steps, adjoint = int(sys.argv[1]), getattr(jk, sys.argv[2])()
save = jk.Save(observe={"mean": jnp.mean}) if sys.argv[3] == "observed" else jk.Save()

def value(rate):
    sol = jk.simulate(Friction(rate), jnp.ones(200_000), key=jax.random.key(0), dt=1e-3, num_steps=num_steps, save=save,
                      adjoint=adjoint, throw=False)
    return sol.observed["mean"].sum() if save.observe else sol.final.sum()

assert abs(float(jax.grad(value)(jnp.asarray(1.0)))) > 0.1
print(peak())
"""


@pytest.mark.slow
@pytest.mark.parametrize("save", ["last", "observed"])
def test_memory_of_checkpointed(save):
    """1024 steps of an 0.8 MB state: `Direct` stores them all, some 800 MB; `Checkpointed` about 64, also when every
    step is observed. Allowed: 120 MB more than for 32 steps. Catches states that are kept for observables."""
    few, many = (peak(STEPS, n, "Checkpointed", save) for n in (32, 1024))
    direct = peak(STEPS, 1024, "Direct", save)
    print(save, few, many, direct)
    assert many - few < 120
    assert direct - few > 500


MATCHING = """
import sys
import jax, jax.numpy as jnp
import jaxkinetic as jk

state = jk.initial.rosenbluth(jax.random.key(0), 4096, 3)

def value(gamma):
    sol = jk.simulate(jk.landau.Kac(jk.landau.PowerLaw(gamma)), state, scheme=jk.pairs.RandomMatching(), key=jax.random.key(1),
                      dt=1e-4, num_steps=int(sys.argv[1]), throw=False)
    return jk.diagnostics.moment(sol.final)

assert abs(float(jax.grad(value)(-3.0))) > 1e-6
print(peak())
"""


@pytest.mark.slow
def test_memory_of_matching_gradients():
    """1024 steps against 32 at N = 4096. Catches stored states: 1024 of them alone would be 48 MB. Allowed: 20 MB."""
    # The smallest of three: compiling scatters the peak by 40 MB.
    few, many = (min(peak(MATCHING, n) for _ in range(3)) for n in (32, 1024))
    print(few, many)
    assert many - few < 20


# Not `ru_maxrss`, which in a child begins at the size of its parent: under a large worker a difference would vanish.
PEAK = """
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
"""


def peak(program, *arguments) -> float:
    """The largest resident size of a process, MiB. One arena and one thread of the compiler: two runs differ by 10, not 40."""
    call = [sys.executable, "-c", PEAK + program, *map(str, arguments)]
    steady = {"MALLOC_ARENA_MAX": "1", "XLA_FLAGS": "--xla_cpu_parallel_codegen_split_count=1"}
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | steady)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


SUMS = """
import sys
import jax, jax.numpy as jnp
import jaxkinetic as jk

num, what, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
key, words = jax.random.key(0), jnp.asarray([1, 2], jnp.uint32)
velocity, weight = jax.random.normal(key, (num, 3)), jnp.ones(())

def value(velocity, strength):
    law, state = jk.landau.PowerLaw(-3.0, strength), jk.Particles(velocity)
    form = what.split("-")[-1]
    if what.startswith("b"): out = law.sum_b(state, form)
    elif what.startswith("a"): out = jnp.concatenate([x.reshape(num, -1) for x in law.sums(state, form)], 1)
    else: out = jk.landau.Kac(law).noise(words, 0.0, jnp.float32(0.01), state).velocity
    return jnp.sum(jnp.sin(out))

jax.block_until_ready(jax.jit(jax.grad(value, argnums=(0, 1)) if mode == "gradient" else value)(velocity, weight))
print(peak())
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["b-direct", "ab-direct", "ab-product", "kac"])
@pytest.mark.parametrize("mode", ["value", "gradient"])
def test_memory_of_pair_sums(what, mode):
    """Value and gradient, N = 16384 against 512, which fills a tile as well. Catches an array of all pairs: (N, N) in
    float32 is 1 GiB. Allowed: 100 MiB; Kac's gradient, which holds most, takes 453 MiB at 512, 466 at 2048, 467 at 16384
    (362 at 256: half a tile)."""
    small, large = (peak(SUMS, num, what, mode) for num in (512, 16384))
    print(what, mode, small, large)
    assert large - small < 100


ENSEMBLE = """
import sys
import jax, jax.numpy as jnp
import jaxkinetic as jk

def initial(key):
    return jk.initial.maxwellian(key, 20_000, 3)

save = jk.Save(every=1, observe={"M4": jk.diagnostics.moment}, state=True)
many = jk.Save(every=1, observe={"M4": jk.diagnostics.moment})
jk.ensemble(
    jk.landau.Kac(jk.landau.Maxwell()), lambda key: jk.initial.maxwellian(key, 2, 3), key=jax.random.key(0),
    reduce=jk.MeanVar(), replicas=100 * int(sys.argv[1]), scheme=jk.pairs.RandomMatching(), dt=1e-3, num_steps=1000,
    save=many, batch=100,
)
runs = jk.ensemble(
    jk.landau.Kac(jk.landau.Maxwell()), initial, key=jax.random.key(0), replicas=int(sys.argv[1]), reduce=jk.MeanVar(),
    scheme=jk.pairs.RandomMatching(), dt=1e-3, num_steps=4, save=save,
)
assert runs.observed["M4"].count == int(sys.argv[1])
print(peak())
"""


@pytest.mark.slow
def test_memory_of_a_reduced_ensemble():
    """2 against 200 replicas, each with 1.2 MB of saved states: catches replicas that are kept, which would be 240 MB;
    200 against 20 000 with a thousand saves: their times alone would be 80 MB. Allowed: 40."""
    few, many = (min(peak(ENSEMBLE, count) for _ in range(2)) for count in (2, 200))
    print(few, many)
    assert many - few < 40


VLASOV = """
import sys
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
import jaxkinetic as jk

num_steps, adjoint = int(sys.argv[1]), {"reversible": jk.Reversible(), "direct": jk.Direct()}[sys.argv[2]]
V = jk.vlasov
grid = jk.Grid(jk.Axis(0.0, 6.283185307179586, 512), jk.Axis(-6.0, 12.0, 1024, periodic=False))
state = V.perturbed(V.Maxwellian(1.0, 6.283185307179586), grid, 0.1)

def value(strength):
    run = dict(dt=1e-3, num_steps=num_steps, scheme=jk.Strang(), adjoint=adjoint, throw=False)
    return jnp.sum(jk.simulate(V.Vlasov(V.Cosine(strength)), state, **run).final.f ** 2)

jax.block_until_ready(jax.grad(value)(1.0))
print(peak())
"""


@pytest.mark.slow
def test_memory_of_reversible_gradients():
    """A gradient over 1000 steps takes at most 80 MiB more than one over 100; the state has 4 MiB, and two runs of one program
    differ by 40 MiB, which the allocator keeps. Catches a square-root schedule, which would take 176 MiB more, and a run that
    stores every state, 3600. The test can fail: `Direct` takes 400 MiB more for 200 steps than for 100."""
    pairs = {"reversible": (100, 1000), "direct": (100, 200)}
    grown = {name: peak(VLASOV, many, name) - peak(VLASOV, few, name) for name, (few, many) in pairs.items()}
    print(grown)
    assert grown["reversible"] < 80
    assert grown["direct"] > 300
