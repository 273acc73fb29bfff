"""Several devices: meshes with Explicit and Auto axes, sharded states, callbacks to the host. Each set of cases is one process,
in which the CPU stands for four devices."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.newest


def run(code, *arguments, timeout, **environment):
    """What a process prints that sees four devices. It is killed after `timeout` seconds."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
    given = {**os.environ, "XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=given, timeout=timeout
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


COMMON = """
import tempfile
import jax, jax.numpy as jnp, numpy as np
import jaxkinetic as jk
jax.config.update("jax_enable_x64", True)
from jax.sharding import AxisType, NamedSharding, PartitionSpec

def initial(key):
    return jk.initial.bkw(key, 8, 3, beta=0.4)

def same(x, y):
    np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-11, atol=1e-13)

KEY = jax.random.key(1)
save = jk.Save(every=2, observe={"M4": jk.diagnostics.moment})
of_all = dict(key=KEY, replicas=8, dt=0.01, num_steps=4, batch=2, save=save)
of_one = dict(key=KEY, dt=0.01, num_steps=4, save=save)
kac = jk.landau.Kac(jk.landau.Maxwell())
wanted = jk.ensemble(kac, initial, **of_all).observed["M4"]
start = initial(KEY)
explicit = jax.make_mesh((4,), ("replica",))
assert explicit.axis_types == (AxisType.Explicit,), "the default"
over = NamedSharding(explicit, PartitionSpec("replica"))
state = jax.device_put(start, over)

def check_ensemble(mesh):
    shared = jk.ensemble(kac, initial, mesh=mesh, **of_all)
    same(shared.observed["M4"], wanted)
    same(shared.observed["M4"][3], wanted[3])
    assert len(shared.observed["M4"].sharding.device_set) == mesh.size
"""

QUICK = """
check_ensemble(explicit)
alone, shared = (jk.simulate(kac, s, scheme=jk.pairs.RandomMatching(), **of_one) for s in (start, state))
same(shared.final.velocity, alone.final.velocity)
same(shared.observed["M4"][1], alone.observed["M4"][1])
assert len(shared.final.velocity.sharding.device_set) == 4
same(jk.diagnostics.knn_entropy(state), jk.diagnostics.knn_entropy(start))
same(jk.diagnostics.stress(state), jk.diagnostics.stress(start))
print("fine")
"""

ALL = """
schemes = jk.EulerMaruyama(), jk.pairs.RandomMatching(), jk.pairs.Sweep()
alone = [jk.simulate(kac, start, scheme=scheme, **of_one) for scheme in schemes]
walk = jk.boltzmann.KacWalk(jk.boltzmann.HardSphere(), 8.0, annihilation=0.3)
walked = [jk.simulate(walk, start, scheme=s, **of_one) for s in (jk.pairs.ExactClock(), jk.pairs.TauLeap())]
density = jk.vlasov.perturbed(
    jk.vlasov.Maxwellian(length=2 * np.pi),
    jk.Grid(jk.Axis(0.0, 2 * np.pi, 16), jk.Axis(-6.0, 12.0, 32, periodic=False)), 0.1,
)
vlasov = jk.vlasov.Vlasov(jk.vlasov.Cosine())
flow = jk.simulate(vlasov, density, dt=0.1, num_steps=2).final.f

def energy_after(velocity, at):
    state = jk.Particles(velocity, alive=at.alive, ident=at.ident)
    return jk.diagnostics.moment(jk.simulate(kac, state, key=KEY, dt=0.01, num_steps=2, throw=False).final)

slope = jax.grad(energy_after)(start.velocity, start)
one = jax.make_mesh((1,), ("replica",))
automatic = jax.make_mesh((4,), ("replica",), axis_types=(AxisType.Auto,))
for mesh in (explicit, one, automatic):
    check_ensemble(mesh)
    reduced = jk.ensemble(kac, initial, mesh=mesh, reduce=jk.MeanVar(), **of_all).observed["M4"]
    same(reduced.mean, wanted.mean(0))
    same(reduced.var, np.var(wanted, 0, ddof=1))
print("ensembles")

for mesh in (explicit, automatic):
    parts = NamedSharding(mesh, PartitionSpec("replica"))
    state = jax.device_put(start, parts)
    for scheme, ref in zip(schemes, alone):
        got = jk.simulate(kac, state, scheme=scheme, **of_one)
        same(got.final.velocity, ref.final.velocity)
        same(got.observed["M4"][1], ref.observed["M4"][1])
    for ref in walked:
        got = jk.simulate(walk, state, scheme=ref.checkpoint.scheme, **of_one)
        same(got.final.velocity, ref.final.velocity)
    assert len(got.final.velocity.sharding.device_set) == 4
    for name in ("stress", "knn_entropy", "kde_entropy", "temperature", "fisher_information", "pair_correlation"):
        observe = getattr(jk.diagnostics, name)
        same(observe(state), observe(start))
    for p in (1, 2):
        same(jk.diagnostics.wasserstein(state, state, order=p), 0)
        same(jk.diagnostics.sliced_wasserstein(state, start, order=p), 0)
    f = jax.tree.map(lambda x: jax.device_put(x, parts) if x.ndim == 2 else x, density)
    same(jk.simulate(vlasov, f, dt=0.1, num_steps=2).final.f, flow)
    same(jk.vlasov.momentum(f), jk.vlasov.momentum(density))
print("states")

state = jax.device_put(start, over)
same(jax.grad(energy_after)(state.velocity, state), slope)
same(jax.jit(jax.grad(energy_after))(state.velocity, state), slope)
same(jax.jit(jk.diagnostics.knn_entropy)(state), jk.diagnostics.knn_entropy(start))
print("traced")

with tempfile.TemporaryDirectory() as folder:
    for part in jk.iterate(kac, state, chunk=2, num_steps=2, path=folder, scheme=schemes[0], key=KEY, dt=0.01, save=save):
        pass
    at = jk.load_checkpoint(folder + "/checkpoint.npz")
    same(jk.simulate(kac, at, num_steps=2).final.velocity, alone[0].final.velocity)
    put = jax.tree.map(lambda x: jax.device_put(x, over) if x.ndim and x.shape[0] == 8 else x, at)
    same(jk.simulate(kac, put, num_steps=2).final.velocity, alone[0].final.velocity)
    same(jk.simulate(kac, part.checkpoint, num_steps=2).final.velocity, alone[0].final.velocity)
print("files")

with jax.set_mesh(explicit):
    inside = jk.ensemble(kac, initial, mesh=explicit, **of_all).observed["M4"]
    same(inside[3], wanted[3])
    same(jk.simulate(kac, state, scheme=schemes[1], **of_one).final.velocity, alone[1].final.velocity)
    same(jk.diagnostics.knn_entropy(state), jk.diagnostics.knn_entropy(start))
    try:
        jk.ensemble(kac, initial, mesh=one, **of_all)
    except ValueError as error:
        assert "`mesh` must be the mesh of `jax.set_mesh`" in str(error)
    else:
        raise AssertionError
print("context")
"""


FAILURE = """
import jax, jax.numpy as jnp, numpy as np
import jaxkinetic as jk
mesh, state = jax.make_mesh((4,), ("replica",)), jk.Particles(np.ones((4, 3), np.float32))

@jax.jit
def total(annihilation):
    walk = jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(), 8.0, annihilation)
    options = dict(key=jax.random.key(0), replicas=4, dt=0.1, num_steps=1, mesh=mesh)
    return jk.ensemble(walk, state, **options).final.velocity.sum()

assert np.isfinite(total(0.5))
try:
    jax.block_until_ready(total(2.0))
except Exception as error:
    print(str(error).strip().splitlines()[-1])
"""


def test_failure_on_a_mesh():
    """A failure in a jitted ensemble on four devices is an exception that ends in the sentence. Catches a callback on one
    device: the others wait for it in a collective, and JAX aborts the process after a minute."""
    last = " ".join(run(FAILURE, timeout=50))
    assert last.endswith("Argument `annihilation` must be in [0, 1], but is 2; it is a probability. (4 of 4 runs)")


@pytest.mark.timeout(120)
def test_explicit_mesh():
    """An ensemble on four devices, and a state sharded over them, with the Explicit axes that `jax.make_mesh` gives, are those
    of one device. Catches a gather, sort or product over an Explicit axis, and results that cannot be indexed."""
    assert run(COMMON + QUICK, timeout=100) == ["fine"]


@pytest.mark.slow
def test_explicit_and_automatic_meshes():
    """Ensembles, sharded states, gradients, chunks, checkpoints and diagnostics on meshes of one and four devices, with
    Explicit and Auto axes, inside `jax.set_mesh` and outside, give what one device gives. Catches what the test above does."""
    assert run(COMMON + ALL, timeout=250) == ["ensembles", "states", "traced", "files", "context"]


SCALING = """
import math, re, sys, warnings
import jax, jax.numpy as jnp, numpy as np
import jaxkinetic as jk
from jax.sharding import AxisType, NamedSharding, PartitionSpec

NUM, KEY, CIRCLE = 256, jax.random.key(0), 2 * np.pi
L, V, B, EM = jk.landau, jk.vlasov, jk.boltzmann, jk.EulerMaruyama()
space = jk.initial.maxwellian(KEY, NUM, 3)
plane = jk.Particles(space.velocity[:, :2])
line = jk.Particles(space.velocity[:, :1], jax.random.uniform(KEY, (NUM, 1)) * CIRCLE)
grid = jk.Grid(jk.Axis(0.0, CIRCLE, 16), jk.Axis(-6.0, 12.0, 32, periodic=False))
density = V.perturbed(V.Maxwellian(), grid, 0.1)
wave = jk.Wave(jnp.sqrt(density.f), grid)
walk = B.KacWalk(B.HardSphere(), float(NUM))
modes = np.stack(np.meshgrid(range(5), range(5)), -1).reshape(-1, 2)
torus = {count: L.Trigonometric(modes[:count], np.eye(count)[0] * 30 + 1.0) for count in (3, 24)}
FEW = [
    (True, L.MatrixSqrt(L.Maxwell()), space, EM),
    (True, V.NBody(V.Cosine()), line, jk.Leapfrog()),
    (False, L.Kac(L.Maxwell()), space, jk.pairs.RandomMatching()),
    (False, V.Vlasov(V.Cosine()), density, jk.Strang()),
]
MORE = [
    (True, L.MatrixSqrt(torus[3]), plane, EM),
    (True, L.MatrixSqrt(torus[24]), plane, EM),
    (True, V.NBody(V.Harmonic()), line, jk.Yoshida()),
    (False, L.Kac(L.Maxwell()), space, EM),
    (False, L.IndependentNoise(L.Maxwell()), space, EM),
    (False, L.MatrixSqrt(L.PowerLaw(-1.0)), space, EM),
    (False, L.Kac(L.Maxwell()), space, jk.pairs.Sweep()),
    (False, walk, space, jk.pairs.ExactClock()),
    (False, walk, space, jk.pairs.TauLeap()),
    (False, V.NBody(V.Gaussian()), line, jk.Leapfrog()),
    (False, V.NBody(V.Poisson(CIRCLE)), line, jk.Leapfrog()),
    (False, V.HamiltonVlasov(V.Cosine()), wave, jk.Strang()),
    (False, V.HamiltonHartree(V.Cosine()), wave, jk.Strang()),
]
explicit = jax.make_mesh((4,), ("part",))
automatic = jax.make_mesh((4,), ("part",), axis_types=(AxisType.Auto,))

def put(state, mesh, *names):
    first = jax.tree.leaves(state)[0].shape[0]
    sharding = NamedSharding(mesh, PartitionSpec(*names))
    return jax.tree.map(lambda x: jax.device_put(x, sharding) if x.ndim and x.shape[0] == first else x, state)

def largest(program):
    "Of what devices exchange: the most numbers in one array."
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    types = re.findall(rf"= (.*?) (?:{kinds})(?:-start)?[(]", program)
    shapes = [shape for found in types for shape in re.findall(r"[a-z]+[0-9]*[[]([0-9,]*)[]]", found)]
    return max([math.prod(int(n) for n in shape.split(",") if n) for shape in shapes], default=0)

def told(call):
    "(What it returns, the warnings about devices.)"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = call()
    return out, [str(w.message) for w in caught if "devices" in str(w.message)]

def simulated(system, scheme, num_steps=2):
    key = KEY if scheme.needs_key else None
    return lambda state: jk.simulate(system, state, scheme=scheme, key=key, dt=1e-3, num_steps=num_steps, throw=False).final

for scales, system, state, scheme in FEW + (MORE if "all" in sys.argv else []):
    run = simulated(system, scheme)
    lowered, sentences = told(lambda: jax.jit(run).lower(put(state, explicit, "part")))
    moved, name = largest(lowered.compile().as_text()), (type(system).__name__, type(scheme).__name__)
    assert (moved < NUM // 4) == scales, (name, moved)
    assert (len(sentences) == 0) == scales, (name, sentences)
    assert scales or f"4 devices, but a step of {name[1]} for {name[0]} " in sentences[0], sentences
    if "all" in sys.argv:
        # Without a step: XLA for CPUs may start two collectives of a step, one of them in a `cond`, in another order on every
        # device, and then ends the process after 40 s, because each waits for the others.
        idle = simulated(system, scheme, 0)
        assert told(lambda: idle(put(state, automatic, "part")))[1] == sentences, name
        assert told(lambda: idle(state))[1] == [], name
print("decided")

scales, system, state, scheme = FEW[1]
run = simulated(system, scheme, 0)
assert told(lambda: run(put(state, automatic, "part")))[1] == []
for mesh in (explicit, automatic):
    (copy,) = told(lambda: run(put(state, mesh)))[1]
    assert copy.startswith("Each of 4 devices holds a copy of the state"), copy
start, options = put(space, explicit, "part"), dict(key=KEY, replicas=4, dt=1e-3, num_steps=0, throw=False)
matching = dict(scheme=jk.pairs.RandomMatching())
(one,) = told(lambda: jk.ensemble(L.Kac(L.Maxwell()), start, **options, **matching))[1]
assert "RandomMatching for Kac collects all pairs" in one, one
assert told(lambda: jk.ensemble(L.Kac(L.Maxwell()), start, mesh=explicit, **options, **matching))[1] == []
print("told")
"""


@pytest.mark.timeout(120)
def test_what_does_not_scale_is_told():
    """Of a state divided among four devices the compiled program moves totals alone between them, or a warning names what a
    step collects; a state that is copied to all of them is told, too. Catches a scheme that silently computes everything on
    every device, and a warning about one that scales."""
    assert run(SCALING, timeout=100) == ["decided", "told"]


@pytest.mark.slow
def test_what_every_scheme_exchanges():
    """The same for every scheme, on Auto axes too."""
    assert run(SCALING, "all", timeout=280) == ["decided", "told"]


HOST = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))  # fewer threads than devices, on every machine
import jax, numpy as np
import jaxkinetic as jk

def initial(key):
    return jk.initial.maxwellian(key, 20_000, 3)

def assigned(state):
    wide = state.velocity.reshape(-1, 300)[:128]
    return jk.diagnostics.wasserstein(jk.Particles(wide), jk.Particles(wide[::-1]))

mesh = jax.make_mesh((4,), ("replica",))
save = jk.Save(observe={"H": jk.diagnostics.knn_entropy, "W": assigned}, steps=(0, 1))
options = dict(scheme=jk.pairs.RandomMatching(), key=jax.random.key(0), dt=0.01, num_steps=1, save=save)
runs = jk.ensemble(jk.landau.Kac(jk.landau.Maxwell()), initial, replicas=8, batch=2, mesh=mesh, **options)
for r in (0, 7):
    start = initial(jax.random.split(jax.random.fold_in(jax.random.key(0), r))[0])
    np.testing.assert_allclose(runs.observed["H"][r, 0], jk.diagnostics.knn_entropy(start), rtol=1e-5)
np.testing.assert_allclose(runs.observed["W"], 0, atol=1e-5)
print("fine")
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the number of threads cannot be limited")
def test_host_functions_on_many_devices():
    """Neighbours and assignments of large arrays are found on the host while programs on four devices run in two threads.
    Catches a callback that waits for a thread while every thread waits for a callback: such a run never ends."""
    assert run(HOST, timeout=100) == ["fine"]
