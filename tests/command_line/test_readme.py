"""The README's Python blocks run as printed, and its commands are the ones CI runs."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, capsys, tmp_path, monkeypatch):
    """Every Python block of the README runs as printed, and prints something. Catches an example that a changed name has
    broken."""
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_examples_are_short():
    """The examples take at most 15 lines for a gradient and 10 for a user's interaction. Catches an example that grows
    longer than promised."""
    gradient, interaction = (next(b for b in BLOCKS if word in b) for word in ("value_and_grad", "class Yukawa"))
    assert len([line for line in gradient.splitlines() if line]) <= 15
    definition = interaction[: interaction.index("state =")]
    assert len([line for line in definition.splitlines() if line]) <= 10


def test_ci_uses_the_readme_test_command():
    """CI takes the test command from the README. Catches a change that CI would no longer find."""
    command = next(line for line in README.splitlines() if line.endswith("bin/pytest"))
    assert command == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
