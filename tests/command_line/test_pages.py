"""The pages of the site: their Python blocks run as a reader runs them, and their commands are commands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import run_page

from jaxkinetic.experiments import CATALOGUE, cli

ROOT = Path(__file__).parents[2]

PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
WITH_PYTHON = [name for name, text in PAGES.items() if any(b.language == "python" for b in run_page.blocks(text))]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_PYTHON)
def test_python_blocks_run(name, tmp_path):
    """The blocks of a page run in order in one namespace, in an empty folder, by a new process with JAX's defaults (so a page
    that sets float64 changes nothing else), without a warning, and print what the page shows. Catches an example that a changed
    name has broken, and an output that is no longer true."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith("JAX_ENABLE_X64")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, ROOT / "tools/site/run_page.py", ROOT / name],
        cwd=tmp_path, env={**settings, "PYTHONPATH": path}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_outputs_are_compared():
    """Two per cent of a number and any blanks are allowed; another word, another number and a missing line are not. Catches a
    comparison that accepts everything."""
    assert not run_page.difference("rate [1.00 -2.]\n", "rate [ 1.001 -2. ]\n")
    assert not run_page.difference("drift 3e-07", "drift -1e-7")
    assert "1.1" in run_page.difference("rate 1.00", "rate 1.1")
    assert run_page.difference("rate 1.00", "slope 1.00")
    assert run_page.difference("1.00", "1.00\n2.00")
    page = "```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nprint(2)\n```\n\nIt prints\n\n```text\n3\n```\n"
    found = list(run_page.blocks(page))
    assert [b.printed for b in found] == ["1\n", None, None, None]
    assert [b.line for b in found] == [2, 6, 10, 16]


def commands():
    """(page, words) of every `jaxkinetic ...` in a shell block of a page."""
    for name, text in PAGES.items():
        for block in run_page.blocks(text):
            if block.language not in ("sh", "bash", "console"):
                continue
            for line in block.text.replace("\\\n", " ").splitlines():
                for command in re.split(r"&&|;|\|", line):
                    words = shlex.split(command, comments=True)
                    place = next((i for i, word in enumerate(words) if Path(word).name == "jaxkinetic"), None)
                    if place is not None and words[:1] != ["cd"]:
                        yield name, words[place + 1 :]


@pytest.mark.parametrize(("name", "words"), [pytest.param(*c, id=" ".join(c[1])) for c in commands()])
def test_commands_parse(name, words):
    """Every command of a page names an experiment and options that exist, with values that are allowed: the parser and the
    checks of `jaxkinetic` accept it. Catches an option that was renamed, and a value that raises."""
    if {"--help", "-h", "--version"} & set(words):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        assert end.value.code == 0
        return
    options, unknown = cli._parser(cli._named(words)).parse_known_args(words)
    assert not unknown, (name, unknown)
    if options.command == "list":
        return
    experiment = CATALOGUE[options.name]
    known = cli.all_options(CATALOGUE.values())
    given = {key: getattr(options, key) for key in known if getattr(options, key) is not None}
    if options.command == "sweep":
        option, values = cli.parse_over(options.over, given, known | cli.options_of(experiment))
        for value in values:
            experiment.of({**given, option: value})
    else:
        experiment.of({**(experiment.quick(given) or {}), **given} if options.quick else given)
