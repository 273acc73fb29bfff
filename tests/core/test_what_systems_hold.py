"""A run continues with the system that began it: functions and classes count by what they hold, and files of version 0.1.0
still load."""

import dataclasses
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from split_cases import Bell

import jaxkinetic as jk
from jaxkinetic._core.totals import Fault
from jaxkinetic._io.atomic_npz import read_arrays
from jaxkinetic._io.fingerprint import SystemRecord, difference, fingerprint

WRITTEN = Path(__file__).parent / "written_by_0.1.0"
BEFORE_MOVES = Path(__file__).parent / "written_by_format_1"
STRENGTH = 1.0


def gaussian(r2):
    return jnp.exp(-r2)


class FromFunction(jk.landau.AbstractRadial):
    """An interaction that holds a function, as a leaf; in the file of version 0.1.0 too."""

    function: object

    def psi(self, r2):
        return self.function(r2)


class OfAGlobal(jk.landau.AbstractRadial):
    def psi(self, r2):
        return STRENGTH / (1 + r2)


def as_gaussian(r2):
    return gaussian(r2)


def closure(a):
    def gamma(x):
        return -a * jnp.cos(x[..., 0])

    return gamma


def holding(value):
    """Closes over anything, and computes the same."""

    def gamma(x):
        return -jnp.cos(x[..., 0]) if value is not None else x

    return gamma


def radial(value):
    """`holding` for an interaction."""

    def psi(r2):
        return jnp.exp(-r2) if value is not None else r2

    return psi


def remembering(a):
    @functools.lru_cache
    def strength():
        return a

    return lambda x: -strength() * jnp.cos(x[..., 0])


def default(a):
    def gamma(x, strength=a, *, phase=0.0):
        return -strength * jnp.cos(x[..., 0] + phase)

    return gamma


def keyword(a):
    def gamma(x, *, strength=a):
        return -strength * jnp.cos(x[..., 0])

    return gamma


def nested(a):
    inner = closure(a)

    def gamma(x):
        def twice(y):
            return 2 * inner(y)

        return twice(x)

    return gamma


def attribute(a):
    def gamma(x):
        return -gamma.strength * jnp.cos(x[..., 0])

    gamma.strength = a
    return gamma


def own_rule(a):
    @jax.custom_jvp
    def gamma(x):
        return -jnp.cos(x[..., 0])

    @gamma.defjvp
    def rule(primals, tangents):
        return gamma(*primals), a * jnp.sin(primals[0][..., 0]) * tangents[0][..., 0]

    return gamma


def local_class(a):
    class Potential:
        def __call__(self, x):
            return -a * jnp.cos(x[..., 0])

    return Potential()


class Callable:
    def __init__(self, a):
        self.tables = {"strengths": [np.asarray([a, 2.0])]}

    def __call__(self, x):
        return -self.tables["strengths"][0][0] * jnp.cos(x[..., 0])

    def method(self, x):
        return self(x)


class WithSlots:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return -self.a * jnp.cos(x[..., 0])


def of_three(a, x):
    return -a * jnp.cos(x[..., 0])


WAYS = {
    "closure": closure,
    "default": default,
    "keyword": keyword,
    "nested": nested,
    "attribute": attribute,
    "derivative rule": own_rule,
    "local class": local_class,
    "callable": Callable,
    "slots": WithSlots,
    "bound method": lambda a: Callable(a).method,
    "partial": lambda a: functools.partial(of_three, a),
    "partial in a closure": lambda a: holding(functools.partial(of_three, a)),
    "tree partial": lambda a: jax.tree_util.Partial(of_three, a),
    "array": lambda a: holding(np.full(3, a)),
    "large array": lambda a: holding(jnp.arange(5000.0).at[2500].set(a)),
    "set in a dict": lambda a: holding({"a": frozenset({a, *"bcdefgh"})}),
    "jit": lambda a: jax.jit(closure(a)),
    "filter_jit": lambda a: eqx.filter_jit(closure(a)),
    "vectorize": lambda a: jnp.vectorize(closure(a), signature="(d)->()"),
    "lru_cache": remembering,
    "lambda": lambda a: lambda x: -a * jnp.cos(x[..., 0]),
    "constant": lambda a: eval(f"lambda x: {-a!r} * jnp.cos(x[..., 0])", globals()),
}
BODIES = jk.Particles(jnp.asarray([[0.1], [-0.3]]), jnp.asarray([[0.0], [2.0]]))


def system_of(way, a):
    return jk.vlasov.NBody(jk.vlasov.Custom(WAYS[way](a)))


@pytest.fixture(scope="module")
def bodies():
    return jk.simulate(jk.vlasov.NBody(jk.vlasov.Cosine()), BODIES, dt=0.01, num_steps=1).checkpoint


@pytest.mark.parametrize("way", WAYS)
def test_functions_by_what_they_hold(way, bodies):
    """a = 1 and then a = 5 in a function of the same name: continuing raises; with a = 1 made anew nothing differs. Catches
    functions that are compared by their names."""
    checkpoint = dataclasses.replace(bodies, origin=SystemRecord(system_of(way, 1.0)))
    assert difference(checkpoint.origin, system_of(way, 1.0)) is None
    with pytest.raises(ValueError, match="`system` must be the one of the checkpoint, but"):
        jk.simulate(system_of(way, 5.0), checkpoint, num_steps=1)


def test_sentence_names_the_variable(bodies):
    """The sentence says which variable of which function differs."""
    checkpoint = dataclasses.replace(bodies, origin=SystemRecord(system_of("closure", 1.0)))
    with pytest.raises(ValueError, match=r"but its potential.fn.func \(a\) is 5.0 instead of 1.0"):
        jk.simulate(system_of("closure", 5.0), checkpoint, num_steps=1)


def test_globals_that_the_code_reads(monkeypatch):
    """Functions and methods that read a global: what it was when the run ended counts. A global that is not read does not.
    Catches a fingerprint taken when the file is written, after the global has changed."""

    def reads(x):
        return -STRENGTH * jnp.cos(x[..., 0])

    for system in (jk.vlasov.NBody(jk.vlasov.Custom(reads)), jk.landau.Kac(OfAGlobal())):
        then = SystemRecord(system)
        monkeypatch.setattr(sys.modules[__name__], "STRENGTH", 5.0)
        assert "instead of" in difference(then, system)
        monkeypatch.setattr(sys.modules[__name__], "STRENGTH", 1.0)
        monkeypatch.setattr(sys.modules[__name__], "CIRCLE", 5.0, raising=False)
        assert difference(then, system) is None


def test_classes_of_one_name():
    """Local classes of one name that close over different numbers, and one whose method was edited. Catches classes that are
    compared by their names."""

    def of(a):
        class Local(jk.landau.AbstractRadial):
            def psi(self, r2):
                return a / (1 + r2)

        return jk.landau.Kac(Local())

    def edited():
        class Local(jk.landau.AbstractRadial):
            def psi(self, r2):
                return 2.0 / (1 + r2)

        return jk.landau.Kac(Local())

    assert difference(SystemRecord(of(1.0)), of(1.0)) is None
    assert "the class" in difference(SystemRecord(of(1.0)), of(5.0))
    edited.__globals__.setdefault("of", of)
    assert difference(of(1.0), edited()) is not None


def all_fingerprints():
    found = {way: fingerprint(system_of(way, 1.0)).entries for way in WAYS}
    found["class"] = fingerprint(jk.landau.Kac(FromFunction(gaussian))).entries
    return json.loads(json.dumps(found))


def test_fingerprints_in_another_process():
    """Another process with another seed of hashes finds the same, after it has used the functions too. Catches an address, the
    order of a set and a cache in a fingerprint: files would be refused for no reason."""
    code = (
        "import json, jax; jax.config.update('jax_enable_x64', True); import test_what_systems_hold as t\n"
        "t.all_fingerprints(); [f(1.0)(t.BODIES.position) for f in t.WAYS.values()]\n"
        "print(json.dumps(t.all_fingerprints()))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there, here = json.loads(done.stdout), all_fingerprints()
    for way in here:
        assert there[way] == here[way], way


def test_objects_of_no_content(tmp_path, bodies):
    """A lock in a closure: continues in memory with the same object, raises with another one, and in a file. Catches two
    objects that are taken for the same because nothing is known about either."""
    lock = threading.Lock()
    one, other = (jk.vlasov.NBody(jk.vlasov.Custom(holding(x))) for x in (lock, threading.Lock()))
    checkpoint = dataclasses.replace(bodies, origin=SystemRecord(one))
    assert difference(checkpoint.origin, one) is None
    assert difference(checkpoint.origin, other) is not None
    with pytest.raises(
        ValueError, match=r"`checkpoint` must be of a system that another process can compare, but in it .* lock"
    ):
        jk.save_checkpoint(tmp_path / "x.npz", checkpoint)


def start(num_steps):
    state = jk.initial.bkw(jax.random.key(0), 4, 3, beta=0.4)
    kac = jk.landau.Kac(jk.landau.PowerLaw(-2.0, softening=0.3))
    save = jk.Save(every=1, observe={"M4": jk.diagnostics.moment})
    return kac, jk.simulate(kac, state, key=jax.random.key(1), dt=0.01, num_steps=num_steps, save=save)


def test_files_of_version_0_1_0(tmp_path):
    """A checkpoint and chunks that commit f035f02 wrote load and continue, in their folder too. Catches a field that older
    files lack, and a fingerprint that changed."""
    run = shutil.copytree(WRITTEN / "run", tmp_path / "run")
    kac, whole = start(6)
    for _ in jk.iterate(
        kac, jk.load_checkpoint(run / "checkpoint.npz"), chunk=2, num_steps=2, path=run,
        save=jk.Save(every=1, observe={"M4": jk.diagnostics.moment}),
    ):  # fmt: skip
        pass
    read = jk.read_chunks(run)
    np.testing.assert_allclose(read["observed/M4"], whole.observed["M4"], rtol=1e-12)
    np.testing.assert_allclose(read["times"], whole.times, rtol=1e-12)
    loaded = jk.load_checkpoint(WRITTEN / "bodies.npz")
    system = jk.vlasov.NBody(jk.vlasov.Cosine())
    state = jk.Particles(jnp.asarray([[0.1], [0.2], [-0.3]]), jnp.asarray([[0.0], [1.0], [2.0]]))
    expected = jk.simulate(system, state, dt=0.01, num_steps=3).final
    np.testing.assert_allclose(jk.simulate(system, loaded, num_steps=1).final.velocity, expected.velocity, rtol=1e-12)
    with pytest.raises(ValueError, match=r"its potential.strength is 2.0 \(float64\) instead of 1.0"):
        jk.simulate(jk.vlasov.NBody(jk.vlasov.Cosine(2.0)), loaded, num_steps=1)


def test_function_in_a_file_of_version_0_1_0():
    """It says the name alone: the run continues with a warning, and not with a function of another name."""
    loaded = jk.load_checkpoint(WRITTEN / "function.npz")
    with pytest.warns(
        UserWarning, match="does not record what the class FromFunction was; make sure that it is the same"
    ):
        assert jk.simulate(jk.landau.Kac(FromFunction(gaussian)), loaded, num_steps=1).checkpoint.step == 3
    with pytest.raises(ValueError, match=r"its interaction.function is \S*as_gaussian instead of"):
        jk.simulate(jk.landau.Kac(FromFunction(as_gaussian)), loaded, num_steps=1)


class Failing(jk.EulerMaruyama):
    """Its state stays finite, but every step is a fault."""

    def step(self, key, system, t, dt, carry, aux):
        return (
            carry,
            aux,
            {"fault": Fault(jnp.asarray(jk.Result.BAD_RATE, jnp.int32), jnp.asarray([-1.0, 0.0], dt.dtype))},
        )


def test_failed_run_does_not_continue(tmp_path):
    """In memory, from a file, and inside `jit`, where the failure stays in the result. Catches "finished" as the result of a
    run that had failed."""
    kac = jk.landau.Kac(jk.landau.Maxwell())
    state = jk.initial.maxwellian(jax.random.key(0), 4, 3)
    given = {"key": jax.random.key(1), "dt": 0.01, "num_steps": 2, "throw": False, "scheme": Failing()}
    failed = jk.simulate(kac, state, **given)
    assert int(failed.result.code) == jk.Result.BAD_RATE
    again = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "x.npz", failed.checkpoint))
    for checkpoint in (failed.checkpoint, again):
        with pytest.raises(
            ValueError,
            match=r"`checkpoint` must be of a run that did not fail, but that run failed: The jump rate of a pair is -1",
        ):
            jk.simulate(kac, checkpoint, num_steps=1)
        with pytest.raises(ValueError, match="must be of a run that did not fail"):
            next(jk.iterate(kac, checkpoint, chunk=1))

    def both(state):
        # With a scheme that does not fail: the failure is the earlier one's.
        checkpoint = eqx.tree_at(lambda c: c.scheme, jk.simulate(kac, state, **given).checkpoint, jk.EulerMaruyama())
        return jk.simulate(kac, checkpoint, num_steps=2, throw=False).result

    result = jax.jit(both)(state)
    assert (int(result.code), int(result.step)) == (jk.Result.BAD_RATE, 1)


class Mine(jk.EulerMaruyama):
    def noise_scale(self):
        return 1.0


def test_scheme_whose_class_changed(tmp_path, monkeypatch):
    """A user's scheme in a file, whose class was edited since: loading raises. Catches a scheme that is known by name."""
    kac = jk.landau.Kac(jk.landau.Maxwell())
    state = jk.initial.maxwellian(jax.random.key(0), 4, 3)
    run = jk.simulate(kac, state, key=jax.random.key(1), dt=0.01, num_steps=2, scheme=Mine())
    path = jk.save_checkpoint(tmp_path / "x.npz", run.checkpoint)
    assert jk.load_checkpoint(path).scheme == Mine()
    monkeypatch.setattr(Mine, "noise_scale", lambda self: 2.0)
    with pytest.raises(
        ValueError, match=r"must name a checkpoint whose scheme has the same code here, but in .* the class Mine"
    ):
        jk.load_checkpoint(path)


COULOMB = jk.landau.PowerLaw(-3.0, 0.7)
LIBRARY = [
    jk.vlasov.Maxwellian, jk.pairs.spherical_heat_kernel, jk.vlasov.quiet_start, jk.fit_oscillation,
    jk.boltzmann.exact.death_law, jk.simulate, jk.Save,
]  # fmt: skip
WRITERS = {
    "kac-power": lambda: jk.landau.Kac(jk.landau.PowerLaw(-2.0, strength=0.7, softening=0.5)),
    "sweep-coulomb": lambda: jk.landau.Kac(COULOMB),
    "clock-heat-kernel": lambda: jk.landau.Microcanonical(COULOMB, "heat_kernel", 0.02),
    "clock-annihilation": lambda: jk.boltzmann.KacWalk(jk.boltzmann.HardSphere(0.8), 0.2, 0.2),
    "fourier-custom-d1-order2-float64": lambda: jk.vlasov.HamiltonHartree(jk.vlasov.Custom(Bell(-0.6, 0.7))),
    "functions": lambda: jk.landau.Kac(FromFunction(radial(LIBRARY))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_files_from_before_modules_moved(name, tmp_path):
    """Checkpoints that were written when the classes stood in other modules load, continue with their system, and are written
    again with the same names. Catches a module that moves without a line in `_io/names.py`: its files say that the class is
    not known, or that a function of the library is another one."""
    path = BEFORE_MOVES / f"{name}.npz"
    loaded = jk.load_checkpoint(path)
    assert loaded.step == 3
    with warnings.catch_warnings():
        # Another version of Python has other code for the functions of the test.
        warnings.filterwarnings("ignore", message="The checkpoint was written by another version")
        run = jk.simulate(WRITERS[name](), loaded, num_steps=2)
    assert run.checkpoint.step == 5
    again = jk.save_checkpoint(tmp_path / "again.npz", run.checkpoint)
    old, new = (read_arrays(file, "jaxkinetic checkpoint", 1)[0] for file in (path, again))
    assert json.dumps(new["tree"]["fields"]["carry"]) == json.dumps(old["tree"]["fields"]["carry"])
    assert new["tree"]["class"] == old["tree"]["class"]
    assert [e for e in new["system"] if not e[0].startswith("code")] == [
        e for e in old["system"] if not e[0].startswith("code")
    ]


def test_former_module_names():
    """Public modules import under the names that they had. Catches a move without an alias."""
    for former, now in {
        "oscillation": "fitting.oscillation", "pairs.sphere": "pairs.spherical_heat", "vlasov.homogeneous": "vlasov.equilibria",
        "boltzmann.exact.death_chain": "boltzmann.exact.population", "experiments.hmf": "experiments.catalogue.hmf",
    }.items():  # fmt: skip
        former, now = (importlib.import_module(f"jaxkinetic.{name}") for name in (former, now))
        assert all(getattr(former, name) is getattr(now, name) for name in now.__all__)
