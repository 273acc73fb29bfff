"""The command line keeps compiled programs on disk; a cache that fails costs time, never a run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxkinetic.experiments import cli
from jaxkinetic.experiments._harness import compilation_cache as _compilation_cache
from jaxkinetic.experiments._harness.compilation_cache import cache_folder


@pytest.fixture
def user(monkeypatch, tmp_path):
    """A user with an empty home and none of the variables set."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def settings(compilation_cache, monkeypatch):
    """What `_set_up` writes to `jax.config`, which keeps its values here."""
    written = {}
    monkeypatch.setattr(cli, "jax", SimpleNamespace(config=SimpleNamespace(update=written.__setitem__)))
    cli._set_up(32, compilation_cache)
    return written


def test_folder(user, tmp_path):
    """`$XDG_CACHE_HOME` comes before `~/.cache`, an empty one counts as unset, and `JAX_COMPILATION_CACHE_DIR` before both.
    Catches a folder of the user's choice that is ignored or overwritten."""
    assert cache_folder() == str(tmp_path / ".cache" / "jaxkinetic" / "jax")
    user.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == str(tmp_path / ".cache" / "jaxkinetic" / "jax")
    user.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_folder() == str(tmp_path / "other" / "jaxkinetic" / "jax")
    assert Path(cache_folder()).is_dir()
    assert settings(True, user)["jax_compilation_cache_dir"] == cache_folder()
    user.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache_folder() is None
    assert "jax_compilation_cache_dir" not in settings(True, user)


def test_option_turns_the_cache_off(user, tmp_path):
    """`--no-compilation-cache` reaches `_set_up`, which turns JAX's cache off and makes no folder. Catches an option that is
    parsed and ignored: with `JAX_COMPILATION_CACHE_DIR` set, JAX would use its cache all the same."""
    parse = cli._parser().parse_args
    for command in (["run", "hmf"], ["sweep", "hmf", "--over", "nx=16,32"]):
        assert parse(command).compilation_cache
        assert not parse([*command, "--no-compilation-cache"]).compilation_cache
    user.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "chosen"))
    assert settings(False, user) == {"jax_enable_x64": False, "jax_enable_compilation_cache": False}
    assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_made(user, tmp_path):
    """A file in place of the folder or of one above it, no permission and no home: there is no cache, and no error. Catches an
    exception of the file system that ends a run before it begins."""
    blocked = tmp_path / "file"
    blocked.write_text("mine")
    for home in (blocked, blocked / "below"):
        user.setenv("XDG_CACHE_HOME", str(home))
        assert cache_folder() is None
        assert "jax_compilation_cache_dir" not in settings(True, user)
    (tmp_path / "jaxkinetic").mkdir()
    (tmp_path / "jaxkinetic" / "jax").write_text("mine")
    user.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() is None
    assert blocked.read_text() == (tmp_path / "jaxkinetic" / "jax").read_text() == "mine"

    for error in (PermissionError, RuntimeError("Could not determine home directory.")):
        with user.context() as patch:

            def fails(*_, error=error, **__):
                raise error

            patch.delenv("XDG_CACHE_HOME")
            patch.setattr(Path, "home" if isinstance(error, RuntimeError) else "mkdir", fails)
            assert cache_folder() is None


def test_size_is_limited(user, tmp_path):
    """Above the limit, the files that were read longest ago are removed, and empty ones always; a folder among them is left
    alone. Catches a cache that grows without end, and one that removes its newest programs first."""
    user.setattr(_compilation_cache, "_LIMIT", 250)
    folder = Path(cache_folder())
    (folder / "folder").mkdir()
    for age, name in enumerate("abcd"):
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    (folder / "empty").touch()
    os.utime(folder / "d", (1e9 + 1, 1e9 - 9))  # read last, although written first
    assert cache_folder() == str(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["a", "d", "folder"]


# One start after another, each with the caches in memory emptied. A warning is an error, as in a strict user's process.
STARTS = """
import json, os, resource, shutil, sys, warnings
from pathlib import Path
import jax
from jaxkinetic.experiments import cli
warnings.simplefilter("error")
cli._set_up(32, True)
folder, found = Path(jax.config.jax_compilation_cache_dir), []
def listen(name, **_):
    if name.startswith("/jax/compilation_cache/cache_"):
        found[-1][name.rpartition("_")[2]] += 1
jax.monitoring.register_event_listener(listen)
def start(what, shift):
    jax.clear_caches()
    found.append({"what": what, "hits": 0, "misses": 0})
    found[-1]["value"] = float(jax.jit(lambda x: x * x + shift)(3.0))
    found[-1]["files"] = sum(path.is_file() for path in folder.iterdir()) if folder.is_dir() else 0
start("first", 1)
start("second", 1)
whole = {path: path.read_bytes() for path in folder.iterdir()}
for what, change in (("junk", lambda b: b"junk"), ("half", lambda b: b[:len(b) // 2]), ("empty", lambda b: b"")):
    for path, content in whole.items():
        path.write_bytes(change(content))
    start(what, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
start("full", 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
start("after full", 2)
shutil.rmtree(folder)
start("gone", 3)
shutil.rmtree(folder, ignore_errors=True)
folder.write_text("mine")
start("file in its place", 4)
print(json.dumps(found))
"""


def test_bad_cache_costs_a_compilation(tmp_path):
    """A second start reads what the first one wrote, small programs too. Entries that are damaged, cut or empty, a full disk,
    and a folder that is gone or replaced by a file while the command runs: the program is compiled, the value is right, and
    no warning is shown. Catches a cache that is never hit, and one whose failure ends a run."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_")) or k == "JAX_PLATFORMS"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "compilation cache" not in done.stderr
    found = {start["what"]: start for start in json.loads(done.stdout)}
    assert [start["value"] for start in found.values()] == [10, 10, 10, 10, 10, 11, 11, 12, 13]
    assert found["first"]["misses"] > 0 == found["first"]["hits"]
    assert found["first"]["files"] > 0
    assert found["second"]["hits"] > 0 == found["second"]["misses"]
    assert not any(start["hits"] for what, start in found.items() if what != "second")
