"""Paths, files and folders that cannot be used: each ends in one sentence that names the argument. One row an input; nothing is
compiled but one run."""

import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic.experiments import cli


def kac():
    return jk.landau.Kac(jk.landau.Maxwell())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with `run` (two chunks and a checkpoint), `file` (of text) and `folder` (empty)."""
    root = tmp_path_factory.mktemp("bad")
    state = jk.initial.bkw(jax.random.key(0), 4, 3, beta=0.4)
    for _ in jk.iterate(
        kac(),
        state,
        chunk=2,
        num_steps=4,
        path=root / "run",
        key=jax.random.key(1),
        dt=0.01,
        save=jk.Save(every=1, state=True),
    ):
        pass
    (root / "file").write_text("text")
    (root / "folder").mkdir()
    return root


class Case:
    """What a row may use."""

    def __init__(self, root: Path, own: Path):
        self.root, self.own = root, own
        self.good = root / "run" / "checkpoint.npz"

    @property
    def checkpoint(self):
        return jk.load_checkpoint(self.good)

    def run(self):
        """A copy of the folder of chunks."""
        return shutil.copytree(self.root / "run", self.own / "run")

    def edited(self, change, source=None):
        """A checkpoint, or another file, with another header."""
        path = self.own / "edited.npz"
        with np.load(source or self.good) as content:
            arrays = dict(content)
        header = json.loads(bytes(arrays.pop("header")))
        change(header)
        np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
        return path

    def iterate(self, path, **options):
        state = jk.Particles(jnp.ones((4, 3)))
        given = {"chunk": 2, "num_steps": 2, "key": jax.random.key(1), "dt": 0.01, **options}
        return next(jk.iterate(kac(), state, path=path, **given))


class NoPath:
    """Its `__fspath__` gives bytes."""

    def __fspath__(self):
        return b"abc"


NOT_PATHS = [None, b"abc", [1], 3, 3.0, True, {}, ("a", "b"), object, NoPath(), "", "a\0b", "\ud800", np.arange(2)]
NAMES = [f"{type(x).__name__} {ascii(x)[:12]}" for x in NOT_PATHS]


@pytest.mark.parametrize("path", NOT_PATHS, ids=NAMES)
@pytest.mark.parametrize("function", ["load", "save", "read", "iterate"])
def test_what_is_no_path(function, path, root, tmp_path, monkeypatch):
    """Catches errors of pathlib, and a number that is taken for an open file."""
    monkeypatch.chdir(tmp_path)
    case = Case(root, tmp_path)
    call = {
        "load": lambda: jk.load_checkpoint(path),
        "save": lambda: jk.save_checkpoint(path, case.checkpoint),
        "read": lambda: jk.read_chunks(path),
        "iterate": lambda: case.iterate(path if path is not None else 0),
    }[function]
    with pytest.raises(ValueError, match="Argument `path` must be a path, but is "):
        call()
    assert not list(tmp_path.iterdir())


LONG = "x" * 300
WRITE = "Argument `path` must name a file that can be written, but "
FOLDER = "Argument `path` must name a folder that can be written, but "
CHECKPOINT = "Argument `path` must name a jaxkinetic checkpoint file, but "


def field(name, node):
    return lambda header: header["tree"]["fields"].__setitem__(name, node)


def entry(name, value):
    return lambda header: header.__setitem__(name, value)


ROWS = {
    "save to a folder": (lambda c: jk.save_checkpoint(c.root / "folder", c.checkpoint), WRITE),
    "save to .": (lambda c: jk.save_checkpoint(".", c.checkpoint), WRITE),
    "save to no such folder": (lambda c: jk.save_checkpoint(c.own / "no" / "such" / "c.npz", c.checkpoint), WRITE),
    "save below a file": (lambda c: jk.save_checkpoint(c.root / "file" / "c.npz", c.checkpoint), WRITE),
    "save to a name too long": (lambda c: jk.save_checkpoint(c.own / LONG, c.checkpoint), WRITE),
    "save to /proc": (lambda c: jk.save_checkpoint("/proc/c.npz", c.checkpoint), WRITE),
    "save to a device": (lambda c: jk.save_checkpoint("/dev/null/c.npz", c.checkpoint), WRITE),
    "save None": (lambda c: jk.save_checkpoint(c.own / "c.npz", None), "Argument `checkpoint` must be a Checkpoint"),
    "save a path": (lambda c: jk.save_checkpoint(c.own / "c.npz", c.good), "Argument `checkpoint` must be a Checkpoint"),
    "load a folder": (lambda c: jk.load_checkpoint(c.root / "folder"), CHECKPOINT),
    "load no file": (lambda c: jk.load_checkpoint(c.root / "nothing"), CHECKPOINT),
    "load text": (lambda c: jk.load_checkpoint(c.root / "file"), CHECKPOINT),
    "load below a file": (lambda c: jk.load_checkpoint(c.root / "file" / "c.npz"), CHECKPOINT),
    "load a name too long": (lambda c: jk.load_checkpoint(c.root / LONG), CHECKPOINT),
    "load a device": (lambda c: jk.load_checkpoint("/dev/null"), CHECKPOINT),
    "load a chunk": (lambda c: jk.load_checkpoint(c.root / "run" / "chunk-000000000002.npz"), CHECKPOINT),
    "load a node of two kinds": (
        lambda c: jk.load_checkpoint(c.edited(entry("tree", {"array": 0, "value": 3}))),
        CHECKPOINT,
    ),
    "load no tree": (lambda c: jk.load_checkpoint(c.edited(entry("tree", {"value": 3}))), CHECKPOINT),
    "load an empty node": (lambda c: jk.load_checkpoint(c.edited(entry("tree", {}))), CHECKPOINT),
    "load another class": (
        lambda c: jk.load_checkpoint(c.edited(lambda h: h["tree"].__setitem__("class", "jaxkinetic.states:Particles"))),
        CHECKPOINT,
    ),
    "load system [['a']]": (lambda c: jk.load_checkpoint(c.edited(entry("system", [["a"]]))), CHECKPOINT),
    "load system 3": (lambda c: jk.load_checkpoint(c.edited(entry("system", 3))), CHECKPOINT),
    "load system [[1, 2]]": (lambda c: jk.load_checkpoint(c.edited(entry("system", [[1, 2]]))), CHECKPOINT),
    "load scheme of no pairs": (lambda c: jk.load_checkpoint(c.edited(entry("scheme", "abc"))), CHECKPOINT),
    "load result 3": (lambda c: jk.load_checkpoint(c.edited(entry("result", {"value": 3}))), CHECKPOINT),
    "load dtypes 3": (lambda c: jk.load_checkpoint(c.edited(entry("dtypes", 3))), CHECKPOINT),
    "load a dtype of objects": (lambda c: jk.load_checkpoint(c.edited(entry("dtypes", {"array_0": "O"}))), CHECKPOINT),
    "load a dtype of no array": (lambda c: jk.load_checkpoint(c.edited(entry("dtypes", {"x": "int4"}))), CHECKPOINT),
    "load version None": (lambda c: jk.load_checkpoint(c.edited(entry("version", None))), CHECKPOINT),
    "load version '1'": (lambda c: jk.load_checkpoint(c.edited(entry("version", "1"))), CHECKPOINT),
    "load a header that is a list": (lambda c: jk.load_checkpoint(c.edited(lambda h: h.clear())), CHECKPOINT),
    **{
        f"load {name} {node}": (lambda c, name=name, node=node: jk.load_checkpoint(c.edited(field(name, node))), CHECKPOINT)
        for name, node in [
            ("step", {"value": "five"}),
            ("step", {"value": -5}),
            ("step", {"value": True}),
            ("step", {"value": 2**40}),
            ("step", {"value": None}),
            ("step", {"array": 0}),
            ("scheme", {"value": 3}),
            ("scheme", {"value": None}),
            ("scheme", {"array": 99}),
            ("scheme", {"array": "0"}),
            ("scheme", {"list": 3}),
            ("scheme", {"set": []}),
            ("scheme", []),
            ("scheme", None),
            ("scheme", {"class": "jaxkinetic.schemes:EulerMaruyama"}),
            ("scheme", {"class": 3, "fields": {}}),
            ("carry", {"array": 0, "key": "no such generator"}),
            ("key", {"value": 3}),
            ("key", {"array": 0}),
            ("dt", {"value": "x"}),
            ("t0", {"value": None}),
            ("extra", {"value": None}),
        ]
    },
    "load an unknown class": (
        lambda c: jk.load_checkpoint(c.edited(field("scheme", {"class": "os:system", "fields": {}}))),
        "The file holds a system of `os`, which is not known here; import it first.",
    ),
    "read no folder": (lambda c: jk.read_chunks(c.root / "nothing"), "Argument `path` must name a folder of chunks"),
    "read a file": (lambda c: jk.read_chunks(c.root / "file"), "Argument `path` must name a folder of chunks"),
    "read an empty folder": (lambda c: jk.read_chunks(c.root / "folder"), "Argument `path` must name a folder of chunks"),
    "read a name too long": (lambda c: jk.read_chunks(c.root / LONG), "Argument `path` must name a folder of chunks"),
    "read last '5'": (lambda c: jk.read_chunks(c.root / "run", last="5"), "Argument `last` must be an integer"),
    "read last 2.5": (lambda c: jk.read_chunks(c.root / "run", last=2.5), "Argument `last` must be an integer"),
    "read last -1": (lambda c: jk.read_chunks(c.root / "run", last=-1), "Argument `last` must be at least 0"),
    "read last 1": (lambda c: jk.read_chunks(c.root / "run", last=1), "Argument `path` must name a folder of chunks"),
    "read without the first": (
        lambda c: [run := c.run(), os.remove(run / "chunk-000000000002.npz"), jk.read_chunks(run)],
        "Argument `path` must name a folder with all chunks of a run",
    ),
    "read a strange name": (
        lambda c: [run := c.run(), (run / "chunk-abc.npz").write_text(""), jk.read_chunks(run)],
        "Argument `path` must name a folder of chunks, but",
    ),
    "read a truncated chunk": (
        lambda c: [run := c.run(), (run / "chunk-000000000004.npz").write_bytes(b"PK"), jk.read_chunks(run)],
        "Argument `path` must name a jaxkinetic chunk file, but",
    ),
    "iterate beside a strange name": (
        lambda c: [run := c.run(), (run / "chunk-abc.npz").write_text(""),
                   list(jk.iterate(kac(), c.checkpoint, chunk=2, num_steps=2, path=run))],
        "Argument `path` must name a folder of chunks, but",
    ),
    "iterate to a file": (lambda c: c.iterate(c.root / "file"), "Argument `path` must name a folder, but"),
    "iterate to c.npz": (lambda c: c.iterate(c.own / "c.npz"), "Argument `path` must name a folder, but is"),
    "iterate to /proc": (lambda c: c.iterate("/proc/xyz"), FOLDER),
    "iterate below a device": (lambda c: c.iterate("/dev/null/x"), FOLDER),
    "iterate to a name too long": (lambda c: c.iterate(c.own / LONG), FOLDER),
    "iterate save 3": (lambda c: c.iterate(None, save=3), "Argument `save` must be a Save, but is 3"),
    "iterate save None": (lambda c: c.iterate(None, save=None), "Argument `save` must be a Save, but is None"),
    "iterate into a run": (lambda c: c.iterate(c.run()), "Argument `path` must name a folder without chunks for a fresh run"),
    "iterate chunk '2'": (lambda c: c.iterate(None, chunk="2"), "Argument `chunk` must be an integer"),
    "iterate num_steps -1": (lambda c: c.iterate(None, num_steps=-1), "Argument `num_steps` must be at least 0"),
    "observe a key": (
        lambda c: c.iterate(c.own / "o", save=jk.Save(observe={"a": jk.Contextual(lambda x: x.key)})),
        "Argument `observed/a` must be an array of numbers",
    ),
    "observe two of one name": (
        lambda c: c.iterate(c.own / "o", save=jk.Save(observe={"a/b": total, "a": lambda s: {"b": total(s)}})),
        "Argument `observe` must give every array a name of its own, but two are 'observed/a/b'",
    ),
    "observe a name with NUL": (
        lambda c: c.iterate(c.own / "o", save=jk.Save(observe={"a\0b": total})), "Argument `name` must be Unicode",
    ),
}  # fmt: skip


def total(state):
    return jnp.sum(state.velocity)


@pytest.mark.parametrize("row", ROWS)
def test_bad_files(row, root, tmp_path):
    """Catches errors of the system, of zip, of JSON and of JAX, and plausible results of a damaged file."""
    call, sentence = ROWS[row]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(Case(root, tmp_path))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]


OUT = "Argument `--out` must be a folder that can be written, but is "


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("file", OUT),
        ("file/below", OUT),
        (LONG, OUT),
        ("/proc/xyz", OUT),
        ("/dev/null", OUT),
        ("a\0b", "Argument `--out` must be a path, but is "),
        ("\ud800", "Argument `--out` must be a path, but is "),
        ("", "Argument `--out` must be a path, but is empty"),
    ],
)
@pytest.mark.parametrize("command", [["run", "conservation"], ["sweep", "conservation", "--over", "seed=1,2"]])
def test_bad_folders_of_results(command, out, sentence, tmp_path, monkeypatch, capsys):
    """Catches a traceback on the command line, and `--out ""` that writes to the default folder."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    monkeypatch.setattr("jaxkinetic.experiments.cli.run_to_files", None)
    monkeypatch.setattr("jaxkinetic.experiments._harness.sweep.run_to_files", None)
    assert cli.main([*command, "--out", out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxkinetic: " + sentence)
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
