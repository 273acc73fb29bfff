"""The README's Python blocks run as printed, and its commands are the ones CI runs."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_examples_are_as_short_as_promised():
    gradient, interaction = (next(b for b in BLOCKS if word in b) for word in ("value_and_grad", "class Yukawa"))
    assert len([line for line in gradient.splitlines() if line]) <= 15
    definition = interaction[: interaction.index("state =")]
    assert len([line for line in definition.splitlines() if line]) <= 10


def test_ci_takes_the_test_command_from_here():
    command = next(line for line in README.splitlines() if line.endswith("bin/pytest"))
    assert command == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
