"""The import graph: a module imports only from the layers below it, and the families do not import each other."""

import ast
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxkinetic as jk

ROOT = Path(__file__).parents[2]
FAMILIES = ("landau", "boltzmann", "vlasov")
# From the bottom up; modules of one line may import each other.
LAYERS = (
    ("_util",),
    ("states", "radial", "_io"),
    ("_core",),
    ("random", "spectral", "laws", "runge_kutta", "schemes", "pairs", "diagnostics", "initial", "units"),
    FAMILIES,
    ("fitting", "oscillation", "plotting", "chaos", "expectations"),
    ("experiments",),
    ("__init__",),
    ("__main__",),
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "jaxkinetic").with_suffix("").parts
    return parts[0]


def imports(path: Path) -> list[tuple[str, str]]:
    """(top package, module within jaxkinetic or "") of every import in a file, relative ones resolved."""
    package = path.relative_to(
        ROOT / "jaxkinetic" if "jaxkinetic_kernels" not in str(path) else path.parent
    ).parent.parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], [*alias.name.split("."), ""][1]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            parts = node.module.split(".")
            found.append((parts[0], [*parts, ""][1]))
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - (node.level - 1)])
            target = base + (node.module.split(".") if node.module else [])
            if target:
                found.append(("jaxkinetic", target[0]))
            else:
                found += [("jaxkinetic", alias.name) for alias in node.names]
    return found


def test_layers_exist():
    """Catches a layer that names a module which is no longer there."""
    found = {module_of(path) for path in (ROOT / "jaxkinetic").rglob("*.py")}
    assert set(LEVEL) == found


LIBRARY = sorted((ROOT / "jaxkinetic").rglob("*.py"))
KERNELS = sorted((ROOT / "kernels").rglob("*.py"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    """Catches an import from a higher layer, one family that imports another, and a module without a layer."""
    module = module_of(path)
    assert module in LEVEL, f"{module} is in no layer"
    for top, target in imports(path):
        if top != "jaxkinetic" or target == module or module in ("__init__", "__main__"):
            continue
        if target in ("", "__version__"):
            assert module == "experiments", f"{path} imports the package itself"
            continue
        assert LEVEL[target] <= LEVEL[module], f"{module} imports {target}"
        assert not (module in FAMILIES and target in FAMILIES), f"{module} imports {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "jaxkinetic/experiments/_harness").glob("*.py")), ids=lambda p: p.name)
def test_harness_knows_no_experiment(path):
    """Catches a command, a table or a file that depends on one experiment of the catalogue."""
    assert "catalogue" not in {part for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
                               for part in (node.module or "").split(".")}  # fmt: skip


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_kernels_import_jax_only(path):
    """Besides JAX the kernels import the standard library only. Catches a kernel that knows the physics."""
    standard = {"collections", "math", "typing", "functools", "fractions", "os"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
    absolute = [
        n
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Import) or (isinstance(n, ast.ImportFrom) and not n.level)
    ]
    names = {a.name for n in absolute if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in absolute if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - standard <= {"jax"}


@pytest.mark.parametrize("path", LIBRARY + KERNELS, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_apis_only(path):
    """Catches private modules of JAX and Equinox, configuration outside the command line, and files above 500 lines."""
    text = path.read_text()
    for private in ("jax._src", "equinox.internal", "default_backend", "pallas"):
        assert private not in text
    if path.name != "cli.py":
        assert "jax.config" not in text
    assert text.count("\n") <= 500


def test_import_has_no_side_effects():
    """Catches an array or an x64 switch at import: `--precision 64` and a GPU notebook would come too late."""
    code = (
        "import jax; before = dict(jax.config.values); import jaxkinetic, jaxkinetic.experiments.cli\n"
        "assert dict(jax.config.values) == before, 'configuration'\n"
        "assert not jax.live_arrays(), 'arrays'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


LAZY = """
import contextlib, json, sys, time
import jax
loaded, settings = set(sys.modules), dict(jax.config.values)
begin = time.process_time()
import jaxkinetic
seconds = time.process_time() - begin
first = sorted({module.partition(".")[0] for module in set(sys.modules) - loaded})
names = {}
exec("from jaxkinetic import *", names)
with contextlib.suppress(AttributeError):
    jaxkinetic.Partikles
same = dict(jax.config.values) == settings and not jax.live_arrays()
print(json.dumps({"seconds": seconds, "first": first, "names": sorted(names), "modules": sorted(sys.modules), "same": same}))
"""


def test_import_is_lazy():
    """In a new process: `import jaxkinetic` takes less than .2 CPU seconds beyond `import jax` (the best of three) and loads
    nothing else that is slow; `from jaxkinetic import *` finds every public name, without scipy, matplotlib and the
    experiments, and without an array or a setting. Catches an import at the top of a file that belongs where it is used."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        if found["seconds"] < 0.2:
            break
    assert found["seconds"] < 0.2
    assert not {"jax", "scipy", "matplotlib", "equinox", "jaxtyping", "numpy", "jaxkinetic_kernels"} & set(
        found["first"]
    )
    assert set(jk.__all__) <= set(found["names"])
    assert not {"scipy", "matplotlib", "tqdm", "optax", "jaxkinetic.experiments"} & set(found["modules"])
    assert found["same"]


def test_public_names():
    """`dir` and `getattr` agree with what type checkers and editors read under `TYPE_CHECKING`, and an object is the one of its
    module. Catches a name that is added to one of the two lists only, or that is found under another name."""
    tree = ast.parse((ROOT / "jaxkinetic" / "__init__.py").read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING"))
    imports = [(node.module, alias) for node in block.body for alias in node.names]
    assert all(alias.asname == alias.name for _, alias in imports), "`import x as x` makes a name public"
    assert sorted(alias.name for _, alias in imports) == sorted(jk.__all__)
    assert set(jk.__all__) <= set(dir(jk))
    assert "__version__" in dir(jk)
    for module, alias in imports:
        value = getattr(jk, alias.name)
        if module is None:
            assert value is importlib.import_module(f"jaxkinetic.{alias.name}")
        else:
            assert value is getattr(importlib.import_module(f"jaxkinetic.{module}"), alias.name)


def test_unknown_names_raise():
    """Catches a name that is None or a `KeyError`, and `hasattr` and `from jaxkinetic import x` that fail otherwise."""
    with pytest.raises(AttributeError, match=r"^module 'jaxkinetic' has no attribute 'Partikles'$"):
        _ = jk.Partikles
    assert not hasattr(jk, "Partikles")
    with pytest.raises(ImportError, match="cannot import name 'Partikles' from 'jaxkinetic'"):
        exec("from jaxkinetic import Partikles")


def test_public_modules_are_attributes():
    """In a new process, modules whose names are in `jaxkinetic` itself are attributes too, and an unknown name gives a
    suggestion. Catches `jk.schemes`, which is there only after something else has imported it."""
    code = "import jaxkinetic as jk; jk.fitting, jk.oscillation, jk.schemes, jk.states; jk.Partikles"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith("no attribute 'Partikles'. Did you mean: 'Particles'?")


UNSUPPORTED = """
import jax.numpy as jnp, jaxkinetic as jk
class Still(jk.AbstractDiffusion):
    def check(self, state): pass
    def default_scheme(self): pass
    def generator(self, phi): pass
    def drift(self, t, state): pass
    def noise(self, key, t, dt, state): pass
jk.simulate(Still(), jk.Particles(jnp.ones((4, 3))), scheme=jk.pairs.Sweep(), dt=1.0, num_steps=1)
"""


def test_errors_name_every_scheme():
    """In a new process that has used `jk.pairs` only, the error names the scheme that fits. Catches a list of schemes that
    depends on what was imported before."""
    done = subprocess.run([sys.executable, "-c", UNSUPPORTED], capture_output=True, text=True)
    assert "but is Sweep; use one of: EulerMaruyama." in done.stderr


def test_load_checkpoint_in_a_new_process(tmp_path):
    """A file of a Vlasov run loads where nothing but `load_checkpoint` was used. Catches a file whose classes are "not known
    here", because no one has imported their module."""
    state = jk.Particles(np.zeros((2, 1)), np.ones((2, 1)))
    run = jk.simulate(jk.vlasov.NBody(jk.vlasov.Cosine()), state, dt=0.1, num_steps=1)
    jk.save_checkpoint(tmp_path / "run.npz", run.checkpoint)
    code = f"import jaxkinetic as jk; print(jk.load_checkpoint({str(tmp_path / 'run.npz')!r}).step)"
    environment = {**os.environ, "JAX_ENABLE_X64": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "1", done.stderr
