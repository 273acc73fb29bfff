"""Files and folders of runs: one writer at a time, parts that know their run, every dtype of JAX, names and sizes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic._core.iterate import saved_arrays
from jaxkinetic._io.atomic_npz import read_arrays, write_arrays
from jaxkinetic._io.lock import LOCK, folder_lock

KAC = jk.landau.Kac(jk.landau.Maxwell())
SAVE = jk.Save(every=1, observe={"M4": jk.diagnostics.moment})
HEADER = {"format": "test", "version": 1}


def run(folder, seed=1, dt=0.01, chunk=2, num_steps=6, state_seed=0):
    state = jk.initial.bkw(jax.random.key(state_seed), 4, 3, beta=0.4)
    return jk.iterate(
        KAC, state, chunk=chunk, num_steps=num_steps, path=folder, save=SAVE, key=jax.random.key(seed), dt=dt
    )


def test_two_runs_do_not_share_a_folder(tmp_path):
    """Two generators made while the folder is empty, of different keys: the second one raises, naming the owner, and raises
    also after the first one has ended. Catches chunks of both in one folder."""
    first, second, third = run(tmp_path, 1), run(tmp_path, 2), run(tmp_path, 3)
    next(first)
    held = rf"`path` must be a folder that no other run writes to, but '.*' is in use by process {os.getpid()} on .* since 20"
    with pytest.raises(ValueError, match=held):
        next(second)
    first.close()
    with pytest.raises(ValueError, match="`path` must name a folder without chunks for a fresh run"):
        next(third)
    assert len(jk.read_chunks(tmp_path)["times"]) == 3
    assert not (tmp_path / LOCK).exists()


HOLDER = """
import sys, time
from pathlib import Path
from jaxkinetic._io.lock import folder_lock
with folder_lock("path", Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_lock_of_another_process(tmp_path):
    """It is refused with the number of the process; after kill -9 it is taken over, and removed in the end. Catches a lock that
    nobody can take after a kill."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline().strip() == "held"
        with (
            pytest.raises(ValueError, match=rf"in use by process {holder.pid} on {socket.gethostname()} since"),
            folder_lock("path", tmp_path),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert (tmp_path / LOCK).exists()
    with folder_lock("path", tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_lock_where_the_system_keeps_none(tmp_path, monkeypatch):
    """The number of the owner decides. Catches a lock of a running process that is taken over, and one of a dead process
    that is not."""
    monkeypatch.setattr("jaxkinetic._io.lock.fcntl", None)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid, host, free in ((gone.pid, socket.gethostname(), True), (os.getpid(), socket.gethostname(), False),
                            (gone.pid, "another-host", False)):  # fmt: skip
        (tmp_path / LOCK).write_text(json.dumps({"pid": pid, "host": host, "since": "today"}))
        if free:
            with folder_lock("path", tmp_path):
                pass
        else:
            with pytest.raises(ValueError, match=f"process {pid} on {host} since today"), folder_lock("path", tmp_path):
                pass


def test_lock_follows_no_link(tmp_path):
    """Catches a lock that overwrites the file that a link of its name points to."""
    target = tmp_path / "mine"
    target.write_text("mine")
    (tmp_path / LOCK).symlink_to(target)
    with pytest.raises(ValueError, match="`path` must be a folder that can be written"), folder_lock("path", tmp_path):
        pass
    assert target.read_text() == "mine"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of six steps in three chunks: a run, and others of another key, step, and start."""
    root = tmp_path_factory.mktemp("folders")
    for name, options in (("a", {}), ("key", {"seed": 2}), ("dt", {"dt": 0.02}), ("state", {"state_seed": 5})):
        for _ in run(root / name, **options):
            pass
    return root


@pytest.mark.parametrize(
    ("other", "what"), [("key", "another key"), ("dt", "another time step"), ("state", "does not begin")]
)
def test_chunks_of_two_runs_are_not_joined(other, what, folders, tmp_path):
    """A chunk of another run in the folder, as two writers left it: reading raises, and so does continuing. Catches two halves
    of different paths in one series."""
    mixed = shutil.copytree(folders / "a", tmp_path / "mixed")
    shutil.copy(folders / other / "chunk-000000000004.npz", mixed)
    with pytest.raises(ValueError, match=rf"`path` must name the folder of one run, but .*{what}"):
        jk.read_chunks(mixed)
    if other != "state":
        with pytest.raises(ValueError, match="`path` must name the folder of this run, but"):
            jk.iterate(KAC, jk.load_checkpoint(mixed / "checkpoint.npz"), chunk=2, path=mixed)
    with pytest.raises(ValueError, match="`path` must name the folder of this run, but"):
        jk.iterate(KAC, jk.load_checkpoint(folders / "a" / "checkpoint.npz"), chunk=2, path=folders / other)


@pytest.mark.parametrize(("lost", "first", "last"), [(2, 0, 2), (4, 2, 4)])
def test_missing_chunk(lost, first, last, folders, tmp_path):
    """The first or one in between is gone: reading raises. Catches the rest returned as if it were the run."""
    part = shutil.copytree(folders / "a", tmp_path / "part")
    (part / f"chunk-{lost:012d}.npz").unlink()
    with pytest.raises(
        ValueError, match=rf"with all chunks of a run, but in .* those from step {first} to {last} are missing"
    ):
        jk.read_chunks(part)


def test_missing_last_chunk(folders, tmp_path):
    """The last one is gone, and the checkpoint beside it says so. Catches the rest returned as if it were the run."""
    part = shutil.copytree(folders / "a", tmp_path / "part")
    end = max(part.glob("chunk-*.npz"))
    end.unlink()
    with pytest.raises(
        ValueError, match=r"holds all chunks of its run, but in .* the chunks end at step \d+ and the checkpoint at"
    ):
        jk.read_chunks(part)
    assert jk.read_chunks(part, last=2)["times"].size


def test_run_that_begins_later(folders, tmp_path):
    """A folder whose run begins at step 2 is complete without the steps before. Catches a reader that asks for step 0."""
    state = jk.initial.bkw(jax.random.key(0), 4, 3, beta=0.4)
    middle = jk.simulate(KAC, state, key=jax.random.key(1), dt=0.01, num_steps=2).checkpoint
    for _ in jk.iterate(KAC, middle, chunk=2, num_steps=4, path=tmp_path, save=SAVE):
        pass
    whole = jk.read_chunks(folders / "a")
    np.testing.assert_array_equal(jk.read_chunks(tmp_path)["observed/M4"], whole["observed/M4"][3:])


def test_checkpoint_of_another_run_is_not_overwritten(folders, tmp_path):
    """A folder that holds a checkpoint alone: a fresh run and another one raise, its own continues. Catches a checkpoint that
    is lost because no chunk lies beside it."""
    shutil.copy(folders / "a" / "checkpoint.npz", tmp_path)
    with pytest.raises(ValueError, match=r"without a checkpoint for a fresh run, but '.*' holds checkpoint.npz"):
        run(tmp_path)
    other, own = (jk.load_checkpoint(folders / name / "checkpoint.npz") for name in ("key", "a"))
    with pytest.raises(ValueError, match="holds a run with another key"):
        jk.iterate(KAC, other, chunk=2, path=tmp_path)
    for _ in jk.iterate(KAC, own, chunk=2, num_steps=2, path=tmp_path, save=SAVE):
        pass
    assert len(jk.read_chunks(tmp_path)["times"]) == 2


DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128", "bfloat16", "int2", "int4", "uint2", "uint4",
    *sorted(name for name in vars(ml_dtypes) if name.startswith(("float8", "float4")) and hasattr(jnp, name)),
]  # fmt: skip


class Carrying(eqx.Module):
    """What a user's scheme may carry."""

    arrays: dict
    keys: list


def test_every_dtype_survives_a_file(tmp_path):
    """In a checkpoint, with scalars, empty and transposed arrays, and keys of two kinds; in a chunk. Catches bfloat16 that
    comes back as bytes, and keys that end in an error of NumPy."""
    state = jk.initial.bkw(jax.random.key(0), 4, 3, beta=0.4)
    made = jk.simulate(KAC, state, key=jax.random.key(1), dt=0.01, num_steps=1).checkpoint
    numbers = np.arange(6).reshape(2, 3) % 2
    arrays = {name: jnp.asarray(numbers.astype(jnp.dtype(name))).T for name in DTYPES}
    arrays |= {f"scalar {name}": jnp.asarray(np.asarray(1).astype(jnp.dtype(name))) for name in DTYPES}
    arrays |= {f"empty {name}": jnp.asarray(np.zeros((0, 2), jnp.dtype(name))) for name in DTYPES}
    keys = [jax.random.split(jax.random.key(3), 2), jax.random.key(4, impl="rbg")]
    path = jk.save_checkpoint(
        tmp_path / "x.npz", eqx.tree_at(lambda c: c.aux, made, Carrying(arrays, keys), is_leaf=lambda x: x is None)
    )
    back = jk.load_checkpoint(path).aux
    for name, array in arrays.items():
        assert (back.arrays[name].dtype, back.arrays[name].shape) == (array.dtype, array.shape), name
        assert np.asarray(back.arrays[name]).tobytes() == np.asarray(array).tobytes(), name
    for key, again in zip(keys, back.keys, strict=True):
        assert again.dtype == key.dtype
        assert np.array_equal(jax.random.key_data(again), jax.random.key_data(key))
    written = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in read_arrays(write_arrays(tmp_path / "y.npz", HEADER, written), "test", 1)[1].items():
        assert array.dtype == written[name].dtype
        assert array.tobytes() == written[name].tobytes()


@pytest.mark.parametrize("array", [np.asarray("text"), np.asarray([None]), np.zeros(2, np.longdouble), np.zeros(1, "M8[s]"),
                                   np.zeros(2, [("a", float)])], ids=lambda a: str(a.dtype))  # fmt: skip
def test_dtypes_that_jax_lacks(array, tmp_path):
    """Raise. Catches objects that are pickled, and numbers that come back rounded."""
    with pytest.raises(ValueError, match=r"`x` must have a dtype that JAX supports, but has"):
        write_arrays(tmp_path / "x.npz", HEADER, {"x": array})
    assert not list(tmp_path.iterdir())


def test_names_of_observables(tmp_path):
    """Names that a zip file or NumPy would confuse come back, or raise. Catches one observable that is read for another."""
    times = np.zeros(2)
    with pytest.raises(ValueError, match=r"two are 'observed/a/b' when joined by '/'; rename one"):
        saved_arrays(times, {"a/b": times, "a": {"b": times}}, None)
    with pytest.raises(
        ValueError, match=r"`observed/k` must be an array of numbers, but is an array of .* observe `jax.random"
    ):
        saved_arrays(times, {"k": jax.random.split(jax.random.key(0), 2)}, None)
    names = ["x", "x.npy", "x.npy.npy", "../x", "/x", "", "header", "file", "dtypes", "a b", "\u00e4\u221e", "X", "x/"]
    arrays = {f"observed/{name}": np.full(2, float(i)) for i, name in enumerate(names)}
    arrays |= {"file": times, "args": times, "kwds": times}
    back = read_arrays(write_arrays(tmp_path / "x.npz", HEADER, arrays), "test", 1)[1]
    assert list(back) == list(arrays)
    assert all(np.array_equal(back[name], arrays[name]) for name in arrays)
    for name in ("a\0b", "\ud800", "header"):
        with pytest.raises(ValueError, match="`name` must be"):
            write_arrays(tmp_path / "y.npz", HEADER, {name: times})


def test_file_in_progress_follows_no_link(tmp_path, monkeypatch):
    """The name of the file in progress is random and new. Catches a link put in its place, through which another file would be
    overwritten."""
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append(Path(a).name), replace(a, b)))
    for _ in range(2):
        write_arrays(tmp_path / "x.npz", HEADER, {})
    assert seen[0] != seen[1]
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr("secrets.token_hex", lambda n: "known")
    beside = tmp_path / f".y.npz.{socket.gethostname()}-{os.getpid()}-known.partial"
    beside.symlink_to(victim)
    with pytest.raises(ValueError, match=r"must name a file that can be written, but .*File exists"):
        write_arrays(tmp_path / "y.npz", HEADER, {})
    assert victim.read_text() == "mine"


def test_permissions_are_the_users(tmp_path):
    """Those of any new file. Catches a file that colleagues cannot read, as temporary files are."""
    (tmp_path / "plain").write_text("")
    path = write_arrays(tmp_path / "x.npz", HEADER, {})
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_long_name(tmp_path):
    """A name of 255 bytes is a name. Catches a file in progress whose name is too long where its own is not."""
    path = tmp_path / ("x" * 251 + ".npz")
    assert read_arrays(write_arrays(path, HEADER, {"a": np.ones(2)}), "test", 1)[1]["a"].sum() == 2


def entry_of(claimed, data=b""):
    """An array's header that claims a shape, before fewer bytes."""
    text = repr({"descr": "<f8", "fortran_order": False, "shape": claimed})
    text = text.ljust(118 - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 30, 1 << 30), (-1,)])
def test_claimed_sizes(shape, tmp_path):
    """A file of a kilobyte that claims terabytes raises before memory is taken. Catches an allocation of what it claims."""
    path = write_arrays(tmp_path / "x.npz", HEADER, {})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("a.npy", entry_of(shape, bytes(16)))
    with pytest.raises(ValueError, match="is damaged \\(an array"):
        read_arrays(path, "test", 1)


def test_compressed_entries(tmp_path):
    """An entry that would unpack to a thousand times the file raises. Catches a small file that fills the memory."""
    path = write_arrays(tmp_path / "x.npz", HEADER, {})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", entry_of((1 << 17,), bytes(8 << 17)))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(ValueError, match=r"is damaged \(an entry is compressed\)"):
        read_arrays(path, "test", 1)
