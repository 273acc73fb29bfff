"""The import graph: a module imports only from the layers below it, and the families do not import each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = ("landau", "boltzmann", "vlasov")
# From the bottom up; what stands on one line may import each other.
LAYERS = (
    ("_types", "_checks", "_batches", "_implicit", "_files", "_guard", "_bkw", "_fingerprint", "_trees", "_memory"),
    ("states", "_system"),
    ("_save", "_adjoint", "_checkpoint", "_solution", "_progress", "_simulate", "_ensemble", "_iterate", "_reductions",
     "random", "spectral", "schemes",
     "pairs", "diagnostics", "initial"),
    FAMILIES,
    ("fitting", "oscillation", "chaos", "_decay_fit"),
    ("experiments",),
    ("__init__",),
    ("__main__",),
)  # fmt: skip
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


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.name)
def test_kernels_import_jax_only(path):
    """Besides JAX the kernels import the standard library only. Catches a kernel that knows the physics."""
    standard = {"collections", "math", "typing", "functools", "fractions"}
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
