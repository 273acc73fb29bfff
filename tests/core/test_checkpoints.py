"""Checkpoints on disk and runs in chunks: bitwise restarts, atomic files, and clear errors for damaged ones."""

import contextlib
import fnmatch
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_programs, count_traces

import jaxkinetic as jk
from jaxkinetic._io.atomic_npz import read_arrays, write_arrays

pytestmark = pytest.mark.newest

KAC = jk.landau.Kac(jk.landau.PowerLaw(-2.0, softening=0.3))
SCHEMES = [jk.EulerMaruyama(), jk.pairs.RandomMatching(), jk.pairs.Sweep(), jk.pairs.Sweep(symmetric=False)]
SAVE = jk.Save(every=3, observe={"M4": jk.diagnostics.moment}, state=True)


def start(scheme=None, num_steps=5, dtype=jnp.float64, **options):
    state = jk.initial.bkw(jax.random.key(0), 7, 3, beta=0.4, dtype=dtype)
    state = eqx.tree_at(lambda s: s.alive, state, state.alive.at[2].set(False))
    return jk.simulate(KAC, state, scheme=scheme, key=jax.random.key(1), dt=0.01, num_steps=num_steps, **options)


@pytest.mark.bitwise
@pytest.mark.parametrize(
    ("scheme", "dtype"), [(SCHEMES[0], jnp.float32), *((s, jnp.float64) for s in SCHEMES)], ids=str
)
def test_restart_from_file_is_bitwise(scheme, dtype, tmp_path):
    """Catches a leaf that is not stored, a dtype that changes, an option of the scheme that is lost."""
    whole = start(scheme, 10, dtype).final
    path = jk.save_checkpoint(tmp_path / "run.npz", start(scheme, 5, dtype).checkpoint)
    loaded = jk.load_checkpoint(path)
    assert loaded.scheme == scheme
    assert loaded.step == 5
    rest = jk.simulate(KAC, loaded, num_steps=5).final
    for got, expected in zip(jax.tree.leaves(rest), jax.tree.leaves(whole), strict=True):
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected)


def test_file_records_its_system(tmp_path):
    """Continuing with another system raises, with the difference. Catches a path whose two halves obey different
    equations."""
    path = jk.save_checkpoint(tmp_path / "run.npz", start().checkpoint)
    for system, what in (
        (jk.landau.Kac(jk.landau.PowerLaw(-1.0, softening=0.3)), r"its interaction.gamma is -1.0 .* instead of -2.0"),
        (jk.landau.MatrixSqrt(jk.landau.PowerLaw(-2.0, softening=0.3)), "it is MatrixSqrt instead of Kac"),
    ):
        with pytest.raises(ValueError, match=f"`system` must be the one of the checkpoint, but {what}"):
            jk.simulate(system, jk.load_checkpoint(path), num_steps=1)


def test_file_records_its_scheme(tmp_path):
    """Another scheme raises, the same one may be given again. Catches a static option that is not compared."""
    path = jk.save_checkpoint(tmp_path / "run.npz", start(jk.pairs.Sweep()).checkpoint)
    with pytest.raises(
        ValueError, match="`scheme` must be the checkpoint's, but its components or static options differ"
    ):
        jk.simulate(KAC, jk.load_checkpoint(path), num_steps=1, scheme=jk.pairs.Sweep(symmetric=False))
    assert jk.simulate(KAC, jk.load_checkpoint(path), num_steps=1, scheme=jk.pairs.Sweep()).checkpoint.step == 6


class Mine(jk.EulerMaruyama):
    """A user's own scheme, with options of every kind."""

    name: str = "mine"
    weights: tuple = (1.0, None, {"a": 2})
    table: jax.Array = eqx.field(default_factory=lambda: jnp.arange(3.0))


def test_user_scheme(tmp_path):
    """A user's scheme with options of every kind passes through the file. Catches a string, a None or an array that is
    lost in nested options."""
    loaded = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "run.npz", start(Mine()).checkpoint)).scheme
    assert type(loaded) is Mine
    assert (loaded.name, loaded.weights) == ("mine", (1.0, None, {"a": 2}))
    assert np.array_equal(loaded.table, Mine().table)


def rewritten(path: Path, change) -> Path:
    """The file with another header."""
    with np.load(path) as content:
        arrays = dict(content)
    header = json.loads(bytes(arrays.pop("header")))
    change(header)
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
    return path


def newer(header):
    header["version"] = 99


def foreign(header):
    header["format"] = "something"


def unknown(header):
    header["tree"]["fields"]["scheme"]["class"] = "os:system"


def other_fields(header):
    header["tree"]["fields"]["scheme"]["fields"]["order"] = {"value": 2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (newer, r"must name a jaxkinetic checkpoint file of version 1 at most, but '.*' has version 99; update"),
        (foreign, "must name a jaxkinetic checkpoint file, but '.*' is something else; use another"),
        (unknown, "The file holds a system of `os`, which is not known here; import it first"),
        (other_fields, "The file holds a EulerMaruyama with the fields order, but here it has none|fields order"),
    ],
)
def test_bad_headers_raise(change, sentence, tmp_path):
    """A newer version, another format, a foreign class and other fields raise. Catches a header that makes the loader
    import and call what a file names."""
    path = jk.save_checkpoint(tmp_path / "run.npz", start().checkpoint)
    with pytest.raises(ValueError, match=sentence):
        jk.load_checkpoint(rewritten(path, change))


def test_invalid_files_raise(tmp_path):
    """Files truncated anywhere, changed in the middle, of another kind or not there raise. Catches a traceback of the
    zip reader, and a damaged file that loads."""
    path = jk.save_checkpoint(tmp_path / "run.npz", start().checkpoint)
    whole = path.read_bytes()
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"name a jaxkinetic checkpoint file, but '.*' is (truncated|damaged|something)"
        ):
            jk.load_checkpoint(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="is damaged"):
        jk.load_checkpoint(path)
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        path.write_bytes(damaged)
        # Some bytes have no effect; for every other one the error is a `ValueError`.
        with contextlib.suppress(ValueError):
            jk.load_checkpoint(path)
    with pytest.raises(ValueError, match="is a folder"):
        jk.load_checkpoint(tmp_path)
    np.savez(path, velocity=np.ones(3))
    with pytest.raises(ValueError, match="is something else"):
        jk.load_checkpoint(path)
    with pytest.raises(ValueError, match="does not exist"):
        jk.load_checkpoint(tmp_path / "nothing.npz")


def test_unsavable_checkpoints_raise(tmp_path):
    """A local class, something that is no checkpoint, and a traced one raise. Catches a file that cannot be loaded
    again, and one left half written."""

    class Local(jk.EulerMaruyama):
        pass

    with pytest.raises(
        ValueError, match=r"`checkpoint` must hold only classes that a file can refer to, but holds .*Local"
    ):
        jk.save_checkpoint(tmp_path / "x.npz", start(Local()).checkpoint)
    with pytest.raises(ValueError, match="`checkpoint` must be a Checkpoint, but is Particles"):
        jk.save_checkpoint(tmp_path / "x.npz", start().final)
    with pytest.raises(ValueError, match="`checkpoint` must be concrete"):
        jax.jit(lambda: jk.save_checkpoint(tmp_path / "x.npz", start(throw=False).checkpoint) and 0)()
    assert not list(tmp_path.iterdir())


WRITER = """
import sys
import jax, jax.numpy as jnp
import jaxkinetic as jk
state = jk.initial.maxwellian(jax.random.key(0), 200_000, 3)
kac = jk.landau.Kac(jk.landau.Maxwell())
checkpoint = jk.simulate(kac, state, scheme=jk.pairs.RandomMatching(), key=jax.random.key(1), dt=0.01, num_steps=1).checkpoint
jk.save_checkpoint(sys.argv[1], checkpoint)
print("ready", flush=True)
while True:
    jk.save_checkpoint(sys.argv[1], checkpoint)
"""


@pytest.mark.slow
def test_kill_during_write(tmp_path):
    """Killed five times, at five moments: the file is always complete. Catches a file that is written in place."""
    path = tmp_path / "run.npz"
    for delay in (0.0, 0.003, 0.01, 0.021, 0.05):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline().strip() == "ready"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert jk.load_checkpoint(path).step == 1
    left = {p.name for p in tmp_path.iterdir()} - {"run.npz"}
    assert all(fnmatch.fnmatch(name, ".run.npz.*.partial") for name in left)


def test_two_writers_of_one_path(tmp_path):
    """Two writers leave one of their two files. Catches one name for the file in progress: halves of both under one
    name, or a writer that finds it gone."""
    arrays = [{"x": np.full(300_000, float(i))} for i in range(2)]

    def write(i):
        for _ in range(20):
            write_arrays(tmp_path / "x.npz", {"format": "test", "version": 1}, arrays[i])
            found = read_arrays(tmp_path / "x.npz", "test", 1)[1]["x"]
            assert np.ptp(found) == 0

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))


def test_stale_partial_files_are_removed(tmp_path):
    """What a killed writer left is removed, what a running one writes is not. Catches a folder that fills up, and a
    cleanup that breaks another run."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f".x.npz.{socket.gethostname()}-{pid}-7.partial" for pid in (gone.pid, os.getpid())]
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    write_arrays(tmp_path / "x.npz", {"format": "test", "version": 1}, {})
    assert {p.name for p in tmp_path.iterdir()} == {"x.npz", names[1]}


def test_write_is_atomic(tmp_path, monkeypatch):
    """The control of `test_kill_during_write`: until the new file is renamed into its place, the old one is there."""
    path = jk.save_checkpoint(tmp_path / "run.npz", start(num_steps=2).checkpoint)

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        jk.save_checkpoint(path, start(num_steps=4).checkpoint)
    assert jk.load_checkpoint(path).step == 2


SPARSE = jk.Save(steps=(0, 4, 7, 15), state=True)


@pytest.mark.parametrize(("save", "chunk"), [(SAVE, 1), (SAVE, 4), (SAVE, 30), (jk.Save(), 4), (SPARSE, 4)])
def test_chunks_equal_one_run(save, chunk, tmp_path):
    """In memory and on disk, bitwise, whatever the chunk. Catches a save at a border that is lost or doubled."""
    state = jk.initial.bkw(jax.random.key(0), 7, 3, beta=0.4)
    given = {"key": jax.random.key(1), "dt": 0.01, "num_steps": 15}
    whole = jk.simulate(KAC, state, save=save, **given)
    chunks = list(jk.iterate(KAC, state, chunk=chunk, save=save, path=tmp_path / "run", **given))
    assert len(chunks) == -(-15 // chunk)
    assert np.array_equal(chunks[-1].final.velocity, whole.final.velocity)
    assert jk.load_checkpoint(tmp_path / "run" / "checkpoint.npz").step == 15
    times = np.concatenate([c.times for c in chunks])
    if save.every or save.steps:
        read = jk.read_chunks(tmp_path / "run")
        np.testing.assert_array_equal(read["times"], whole.times)
        np.testing.assert_array_equal(times, whole.times)
        np.testing.assert_array_equal(read["states/velocity"], whole.states.velocity)
        if save.observe:
            np.testing.assert_array_equal(read["observed/M4"], whole.observed["M4"])
    else:
        np.testing.assert_allclose(times, 0.01 * np.minimum(chunk * np.arange(1, len(chunks) + 1), 15), rtol=1e-12)


def test_chunked_run_continues(tmp_path, capfd):
    """The run is left after two chunks, without a given end, with a bar; then continued from the file: the saves join
    without a gap. Catches a folder that takes chunks of another run or after a gap, and a run that raises but changes
    what is there."""
    state = jk.initial.bkw(jax.random.key(0), 7, 3, beta=0.4)
    endless = jk.iterate(KAC, state, chunk=5, save=SAVE, path=tmp_path, key=jax.random.key(1), dt=0.01, progress=True)
    for _, solution in zip(range(2), endless, strict=False):
        last = solution.checkpoint.step
    endless.close()
    assert last == 10
    assert "10step" in capfd.readouterr().err.replace(" ", "")
    for _ in jk.iterate(
        KAC, jk.load_checkpoint(tmp_path / "checkpoint.npz"), chunk=5, num_steps=5, save=SAVE, path=tmp_path
    ):
        pass
    whole = jk.simulate(KAC, state, save=SAVE, key=jax.random.key(1), dt=0.01, num_steps=15)
    np.testing.assert_array_equal(jk.read_chunks(tmp_path)["states/velocity"], whole.states.velocity)
    with pytest.raises(
        ValueError, match=r"`path` must name a folder without chunks for a fresh run, but '.*' holds some"
    ):
        jk.iterate(KAC, state, chunk=5, num_steps=5, path=tmp_path, key=jax.random.key(1), dt=0.01)
    # A run that raises, or is never started, leaves the folder as it is.
    end, names = jk.load_checkpoint(tmp_path / "checkpoint.npz"), sorted(p.name for p in tmp_path.iterdir())
    middle = jk.simulate(KAC, state, key=jax.random.key(1), dt=0.01, num_steps=5).checkpoint
    other = jk.landau.Kac(jk.landau.Maxwell())
    with pytest.raises(ValueError, match="`system` must be the one of the checkpoint"):
        next(jk.iterate(other, middle, chunk=5, path=tmp_path))
    jk.iterate(KAC, middle, chunk=5, path=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    stranger = jk.simulate(KAC, state, key=jax.random.key(2), dt=0.01, num_steps=15).checkpoint
    with pytest.raises(ValueError, match=r"`path` must name the folder of this run, but '.*' holds a run with another"):
        jk.iterate(KAC, stranger, chunk=5, path=tmp_path)
    gap = jk.simulate(KAC, end, num_steps=2).checkpoint
    with pytest.raises(ValueError, match="`path` must name a folder whose chunks end at the checkpoint's step, 17"):
        jk.iterate(KAC, gap, chunk=5, path=tmp_path)
    with pytest.raises(ValueError, match=r"`path` must name a folder, but '.*' is a file"):
        jk.iterate(KAC, end, chunk=5, path=tmp_path / "checkpoint.npz")
    with pytest.raises(ValueError, match=r"`path` must name a folder of chunks, but '.*' holds none"):
        jk.read_chunks(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`chunk` must be at least 1, but is 0"):
        jk.iterate(KAC, state, chunk=0, key=jax.random.key(1), dt=0.01)
    with pytest.raises(ValueError, match=r"`steps` must be absolute steps of this run, from 0 to 5, but holds \[9\]"):
        next(jk.iterate(KAC, state, chunk=2, num_steps=5, key=jax.random.key(1), dt=0.01, save=jk.Save(steps=(1, 9))))


def test_chunks_do_not_recompile():
    """Catches a step number in the program, and a list of the steps to be saved: every chunk would compile anew."""
    traces, counted = count_traces(jk.diagnostics.energy)
    state = jk.initial.bkw(jax.random.key(0), 7, 3, beta=0.4)
    for when in ({"every": 2}, {"steps": range(0, 25, 2)}):
        save = jk.Save(**when, observe={"e": counted})
        seen = []
        for _ in jk.iterate(KAC, state, chunk=4, num_steps=24, save=save, key=jax.random.key(1), dt=0.01):
            seen.append(len(traces))
        assert seen[-1] == seen[1]


def test_continuations_share_one_program(tmp_path):
    """A run and its first continuation are one program. After that nothing is compiled, for a continuation of the same length,
    for one loaded from a file, and for one that is two steps shorter. Catches a small program beside the run that depends on
    the step, and a number of steps that is not rounded up."""
    jax.clear_caches()
    with count_programs() as programs:
        checkpoint = jk.simulate(KAC, start(num_steps=9).checkpoint, num_steps=9).checkpoint
        compiled = list(programs)
        checkpoint = jk.simulate(KAC, checkpoint, num_steps=9).checkpoint
        loaded = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "run.npz", checkpoint))
        checkpoint = jk.simulate(KAC, loaded, num_steps=9).checkpoint
        assert jk.simulate(KAC, checkpoint, num_steps=7).checkpoint.step == 43
    assert compiled.count("jit(run_loop)") == 1
    # "stage" is JAX's own copy of an array from the host.
    assert set(programs[len(compiled) :]) <= {"jit(stage)"}


def gaussian(r2):
    return jnp.exp(-r2)


class FromFunction(jk.landau.AbstractRadial):
    """An interaction that holds a function, as a leaf."""

    function: object

    def psi(self, r2):
        return self.function(r2)


def test_system_with_a_function(tmp_path):
    """Its runs leave `jit` and `vmap` complete, and its files know the function by name. Catches another function that
    takes its place."""
    system = jk.landau.Kac(FromFunction(gaussian))
    state = jk.initial.maxwellian(jax.random.key(0), 5, 3)

    def run(state):
        return jk.simulate(system, state, key=jax.random.key(1), dt=0.1, num_steps=2, throw=False).checkpoint

    alone = run(state)
    for checkpoint in (
        jax.jit(run)(state),
        jax.tree.map(lambda x: x[0], jax.vmap(run)(jax.tree.map(lambda x: x[None], state))),
    ):
        np.testing.assert_allclose(checkpoint.carry.velocity, alone.carry.velocity, rtol=1e-12)
        assert jk.simulate(system, checkpoint, num_steps=1).checkpoint.step == 3
    loaded = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "run.npz", alone))
    assert jk.simulate(system, loaded, num_steps=1).checkpoint.step == 3
    with pytest.raises(
        ValueError, match=r"its interaction.function is jax.numpy\S*cos\S* instead of test_checkpoints.gaussian|is"
    ):
        jk.simulate(jk.landau.Kac(FromFunction(jnp.cos)), loaded, num_steps=1)


def test_continuing_with_another_chunk(tmp_path):
    """From a checkpoint with a chunk beyond it, as a kill between the two leaves it. Catches a save that is doubled, and
    names of observables that are changed on disk."""
    state = jk.initial.bkw(jax.random.key(0), 7, 3, beta=0.4)
    save = jk.Save(every=1, observe={"H-H_M": jk.diagnostics.moment, "|v|^4 of H H_M": jk.diagnostics.energy})
    given = {"key": jax.random.key(1), "dt": 0.01, "save": save}
    old = None
    for chunk in jk.iterate(KAC, state, chunk=5, num_steps=15, path=tmp_path, **given):
        old = chunk.checkpoint if chunk.checkpoint.step == 10 else old
    for _ in jk.iterate(KAC, old, chunk=3, num_steps=6, path=tmp_path, save=save):
        pass
    read = jk.read_chunks(tmp_path)
    whole = jk.simulate(KAC, state, num_steps=16, **given)
    np.testing.assert_array_equal(read["times"], whole.times)
    for name in save.observe:
        np.testing.assert_array_equal(read[f"observed/{name}"], whole.observed[name])
    for _ in jk.iterate(KAC, jk.load_checkpoint(tmp_path / "checkpoint.npz"), chunk=3, num_steps=3, path=tmp_path):
        pass
    with pytest.raises(
        ValueError, match=r"`path` must name chunks that hold the same names, but .* differs by observed/H-H_M"
    ):
        jk.read_chunks(tmp_path)


def test_failed_run_keeps_its_last_good_checkpoint(tmp_path):
    """Catches a checkpoint of the broken state written over the last good one."""
    state = jk.Particles(1e60 * jax.random.normal(jax.random.key(0), (4, 3)))
    system = jk.landau.Kac(jk.landau.PowerLaw(1.0))
    run = jk.iterate(system, state, chunk=1, num_steps=20, path=tmp_path, key=jax.random.key(1), dt=0.01, throw=False)
    codes = [int(chunk.result.code) for chunk in run]
    assert codes[-1] == jk.Result.NOT_FINITE
    assert len(codes) > 1
    assert jk.load_checkpoint(tmp_path / "checkpoint.npz").step == len(codes) - 1
