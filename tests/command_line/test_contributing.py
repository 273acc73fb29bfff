"""The system that CONTRIBUTING.md adds, as it stands there. (Its experiment: `test_declared.py`.)"""

import ast
import gc
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from registry import ParticleCase

import jaxkinetic as jk

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MODULE, TESTS = (block for block in BLOCKS if block.startswith('"""'))


@pytest.fixture
def dougherty(monkeypatch):
    """`jk.landau.Dougherty` for one test."""
    # Not a name below `jaxkinetic`, so that no other test finds the class among those of the library.
    given = {"__name__": "example.dougherty", "__package__": "jaxkinetic.landau"}
    exec(MODULE, given)
    monkeypatch.setattr(jk.landau, "Dougherty", given["Dougherty"], raising=False)
    yield given["Dougherty"]
    given.clear()
    gc.collect()


def test_the_system_of_contributing(dougherty):
    """Its class and its tests run, and these pass. Catches a text that an author copies and that does not work."""
    given = {"__name__": "example.test_dougherty"}
    exec(TESTS, given)
    found = [name for name in given if name.startswith("test_")]
    assert len(found) == 2
    for name in found:
        given[name]()


def test_the_case_and_the_mutation_of_contributing(dougherty):
    """The line of the registry is a case that runs, with dead particles that do not move and a gradient that is not 0; the
    snippet of the mutation occurs once, and its test is there. Catches a line that no longer fits the registry."""
    (line,) = (block for block in BLOCKS if block.startswith("ParticleCase"))
    scope = {"ParticleCase": ParticleCase, "L": jk.landau, "em": jk.EulerMaruyama}
    case = eval(line.strip(), scope)
    assert isinstance(case.system(), dougherty)
    masked = jk.Particles(case.start().velocity, alive=np.arange(7) != 3)
    final = case.run(masked, num_steps=3).final
    np.testing.assert_array_equal(final.velocity[3], masked.velocity[3])
    np.testing.assert_allclose(jk.diagnostics.momentum(final), jk.diagnostics.momentum(masked), rtol=1e-13)

    def moved(nu):
        return jk.diagnostics.moment(case.run(masked, 3, dougherty(nu), throw=False).final, order=4)

    slope = float(jax.grad(moved)(0.8))
    difference = float((moved(0.8 + 1e-5) - moved(0.8 - 1e-5)) / 2e-5)
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
    assert abs(slope) > 0.01

    (row,) = (block for block in BLOCKS if block.startswith("Mutation"))
    call = ast.parse(row.strip()).body[0].value
    _, _, _, old, new, tests = call.args
    assert MODULE.count(old.value) == 1
    compile(MODULE.replace(old.value, new.value), "dougherty.py", "exec")
    assert f"def {tests.args[1].value}(" in TESTS


def test_what_contributing_names_exists():
    """Files and folders of code that the text names are there, except those that a reader makes; every layer is named in the
    order of the import graph. Catches a text that was not moved with the code."""
    made = {"tests/laws/test_dougherty.py", "jaxkinetic/landau/dougherty.py"}
    named = set(re.findall(r"(?:tests|jaxkinetic|kernels|notebooks|\.ci)/[\w./]+\w", TEXT)) - made
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    code = (
        "from test_import_graph import LAYERS; print([m for layer in LAYERS for m in layer if not m.startswith('__')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests/core", capture_output=True, text=True)
    layers = ast.literal_eval(done.stdout)
    table = TEXT.split("| layer of ")[1].split("\n\n")[0]
    rows = [
        name
        for line in table.splitlines()
        for name in re.findall(r"`(\w+)`", line.partition("| ")[2].partition(" |")[0])
    ]
    assert [name for name in rows if name in layers] == layers
