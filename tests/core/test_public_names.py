"""Which names a user sees, and what an installation without extras says."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jax.numpy as jnp
import pytest

import jaxkinetic as jk
from jaxkinetic.experiments.cli import main

ROOMS = (
    "boltzmann", "boltzmann.exact", "diagnostics", "initial", "landau", "landau.exact", "pairs", "plotting", "random",
    "schemes", "spectral", "states", "units", "vlasov", "vlasov.exact",
)  # fmt: skip


def test_completion_shows_public_names_only():
    """`dir` of the package and of every room is its `__all__`. Catches `jk.version`, `jk.initial.jnp` and submodules among the
    names that an editor completes."""
    assert set(dir(jk)) == {*jk.__all__, "__version__"}
    assert not hasattr(jk, "version")
    for name in ROOMS:
        module = importlib.import_module(f"jaxkinetic.{name}")
        assert sorted(dir(module)) == sorted(module.__all__), name
        assert not {"jnp", "np", "jax", "eqx", "math", "Any", "partial"} & set(dir(module)), name
        assert not any(word.startswith("_") for word in module.__all__), name


def test_authors_need_no_private_module():
    """Every base class of a system, a scheme, its plan, an adjoint and a reduction, and every entry of a step's `info`, is a
    name of the package. Catches a protocol that only the library itself can implement."""
    bases = {"adjoint": "AbstractAdjoint", "reductions": "AbstractReduction", "system": "", "totals": ""}
    for room, wanted in bases.items():
        module = importlib.import_module(f"jaxkinetic._core.{room}")
        own = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        classes = {name for name in own if isinstance(getattr(module, name), type) and not name.startswith("_")}
        needed = {wanted} if wanted else classes
        assert needed <= set(jk.__all__), needed - set(jk.__all__)


def test_every_public_module_has_all():
    """Every module whose path has no underscore defines `__all__`, and every name in it exists. Catches a new module without,
    and a name that was renamed in one place only."""
    found = [m.name for m in pkgutil.walk_packages(jk.__path__, "jaxkinetic.")]
    public = [name for name in found if not any(part.startswith("_") for part in name.split("."))]
    assert len(public) > 60
    for name in public:
        module = importlib.import_module(name)
        assert hasattr(module, "__all__"), name
        missing = [word for word in module.__all__ if not hasattr(module, word)]
        assert not missing, (name, missing)
        assert len(set(module.__all__)) == len(module.__all__), name


def test_plotting_is_public_and_lazy():
    """In a new process `jk.plotting` is an attribute and imports no matplotlib; the old place gives the same functions.
    Catches a plotting module that delays every import."""
    code = "import sys, jaxkinetic as jk; jk.plotting.new_figure; assert 'matplotlib' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    old = importlib.import_module("jaxkinetic.experiments.plotting")
    assert all(getattr(old, name) is getattr(jk.plotting, name) for name in jk.plotting.__all__)


def test_without_matplotlib(monkeypatch, capsys, tmp_path):
    """Where matplotlib is missing, figures and commands name the extra, and a command says so before it runs. Catches a raw
    `ModuleNotFoundError`, and one after an hour of computing."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"run `pip install 'jaxkinetic\[plot\]'`\.$"):
        jk.plotting.new_figure(1, 1, size=(3, 2), title="")
    with pytest.raises(ImportError, match=r"jaxkinetic\[plot\]"):
        jk.plotting.velocity_slice(None, jnp.ones((3, 2)))
    for command in (["run", "hmf"], ["sweep", "hmf", "--over", "dt=0.1"]):
        assert main([*command, "--out", str(tmp_path / "new")]) == 2
        out, err = capsys.readouterr()
        assert (
            err
            == "jaxkinetic: Figures need matplotlib, which is not installed; run `pip install 'jaxkinetic[plot]'`.\n"
        )
        assert not out
    assert not (tmp_path / "new").exists()
    assert main(["list"]) == 0


def test_requirements_are_imported_somewhere():
    """Every requirement of the installed package is imported by it; matplotlib and optax are extras, and the extras for tests
    and notebooks draw figures. Catches a package that everyone installs and nothing uses."""
    project = tomllib.loads((Path(jk.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    text = "\n".join(path.read_text() for path in Path(jk.__file__).parent.rglob("*.py"))
    for requirement in project["dependencies"]:
        name = requirement.partition(">")[0]
        assert f"import {name}" in text or f"from {name}" in text or name == "jaxlib", name
    extras = project["optional-dependencies"]
    assert [r.partition(">")[0] for r in extras["plot"]] == ["matplotlib"]
    assert [r.partition(">")[0] for r in extras["infer"]] == ["optax"]
    assert "jaxkinetic[plot,infer]" in extras["test"]
    assert "jaxkinetic[plot]" in extras["notebook"]
    assert "jaxkinetic[test]" in extras["dev"]
    readme = (Path(jk.__file__).parents[1] / "README.md").read_text()
    assert "pip install -e '.[plot]' && .venv/bin/jaxkinetic run maxwell-bkw" in readme
