"""The README is short, its Python blocks run and print what it says, and its commands are the ones CI runs."""

import re
from pathlib import Path

import jax
import numpy as np

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def test_python_blocks_print_what_the_readme_says(capsys, tmp_path, monkeypatch):
    """The Python blocks run in order, and the numbers that they print are those below them, to 1 % (energies to all
    digits). Catches an example that a changed name has broken, and an output that belongs to an older version."""
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "readme"}
    for code, printed in BLOCKS:
        with (
            jax.enable_x64(False),
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
        ):  # as a user's
            exec(compile(code, "README", "exec"), space)
        out = capsys.readouterr().out
        assert printed
        assert NUMBER.sub("", out) == NUMBER.sub("", printed)
        np.testing.assert_allclose(*([float(x) for x in NUMBER.findall(s)] for s in (out, printed)), rtol=0.01, atol=0)
        energies = re.findall(r"E = (\S+)", out)
        assert energies == re.findall(r"E = (\S+)", printed)


def test_readme_is_short():
    """The README has at most 150 lines, 12 lines of simulation and 8 of a gradient. Catches a README that grows into a
    manual again."""
    assert len(README.splitlines()) <= 150
    simulate, gradient = ([line for line in code.splitlines() if line] for code, _ in BLOCKS)
    assert len(simulate) <= 12
    assert len(gradient) <= 8


def test_ci_uses_the_readme_test_command():
    """CI takes the test command from the README. Catches a change that CI would no longer find."""
    command = next(line for line in README.splitlines() if line.endswith("bin/pytest"))
    assert command == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
