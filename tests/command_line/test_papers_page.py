"""The paper-to-code table (docs/papers.toml, docs/papers.md), and the figures of the documentation."""

import ast
import functools
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from tools.site import papers

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "figures"
ITEMS = [(paper["key"], item) for paper in papers.read() for item in paper["item"]]


def span(kinds, chapter):
    """The statements of a chapter in their order: Lemma 2.1, Remark 2.2, Lemma 2.3."""
    return [f"{kind} {chapter}.{i}" for i, kind in enumerate(kinds, 1)]


def equations(**last):
    """(1.1) to (1.n) for each chapter c1 = n."""
    return [f"({chapter[1:]}.{i})" for chapter, num in last.items() for i in range(1, num + 1)]


D, T, P, L, C, R, A = "Definition", "Theorem", "Proposition", "Lemma", "Corollary", "Remark", "Assumption"
# What the papers number, written down from their texts and not from the table.
NUMBERS = {
    "CarrilloGuoJabin2024": [*equations(c1=1, c2=2, c3=1), *span([D, T, C], 2), *span([L, L], 3)],
    "FengWang2025": [
        *equations(c1=9, c2=1, c3=2, c4=1, c5=3, cB=3), *span([T, R, C, T, R], 1), *span([L, R, L, L, L], 2),
        *span([R, R, P, L, L, L, L, C, L, L], 3), *span([L, P, L, L], 4),
        *span([L, L], 5), "Proposition B.1",
    ],
    "Du2025": [],
    "LodsNotaPezzotti2020": [
        *equations(c1=12, c2=18, c3=13, c4=11, c5=11, c6=7), *span([R, A, R, R, A, A, T, T], 1), *span([P, P, T], 2),
        *span([P], 3), *span([P, R, R, P, C, P, R, R, C], 4), *span([D, R, P, T, T, L], 5), *span(["Conjecture"] * 2, 6),
        "Lemma A.1",
    ],
    "NeissPickl2018": [
        "(Lv^N)", "(Ham^N)", "(Vl)", "(HVl)", "(HLv^N)", "(FT)", "(HHt)", "(PsQM^N)", "(Pot)", "(MFC)",
        *[f"({i})" for i in range(1, 17)], *span([T, D, L, L, T, C, C, C, D, T], 3), *span([D, R, L, L, L, L, L, T, R], 4),
    ],
}  # fmt: skip


@functools.cache
def functions(file):
    """The names of the test functions of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_page_is_made_from_the_table():
    """Catches a page that was edited, and a table that was changed without `python tools/site/papers.py`."""
    assert papers.PAGE.read_text(encoding="utf-8") == papers.page()


@pytest.mark.parametrize("key", NUMBERS)
def test_every_number_occurs_once(key):
    """Catches an equation or theorem that is left out, listed twice, or does not exist in the paper."""
    listed = Counter(number for paper, item in ITEMS if paper == key for number in item["numbers"])
    assert listed == Counter(NUMBERS[key])


def test_names_import_and_tests_exist():
    """Catches a public name or a test that was renamed, a row with neither a name nor a reason, and a name without a test."""
    for key, item in ITEMS:
        assert ("names" in item) == ("tests" in item) != ("reason" in item), (key, item)
        for name in item.get("names", ()):
            module, rest = importlib.import_module("jaxkinetic"), name.split(".")[1:]
            functools.reduce(getattr, rest, module)
            assert not any(part.startswith("_") for part in rest), name
        for test in item.get("tests", ()):
            file, _, function = test.partition("::")
            assert function in functions(file), test


def test_ranges_of_numbers():
    """Catches a range over a gap, and one over two kinds of statement."""
    assert papers.shown(["(1.1)", "(1.2)", "(1.3)", "(1.5)"]) == "(1.1) to (1.3), (1.5)"
    assert papers.shown(["Lemma 2.1", "Remark 2.2", "Lemma 2.3"]) == "Lemma 2.1, Remark 2.2, Lemma 2.3"
    assert papers.shown(["(9)", "(10)", "(11)"]) == "(9) to (11)"


def pages():
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def test_figures_are_there_and_shown():
    """Every figure that a page names exists, and every file of docs/figures is on a page. Catches a figure that was renamed,
    and one that nobody sees."""
    named = set()
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+\.png)\)", page.read_text(encoding="utf-8")):
            file = (page.parent / target).resolve()
            assert file.is_file(), (page.name, target)
            named.add(file)
    assert set(FIGURES.glob("*.png")) <= named


def test_figures_have_a_text_and_are_small():
    """Each figure of a page has an alternative text; files are below 150 kB. Catches an image of a megabyte."""
    for page in pages():
        for text, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+\.png)\)", page.read_text(encoding="utf-8")):
            assert len(text.split()) >= 5, (page.name, target)
    assert all(file.stat().st_size < 150_000 for file in FIGURES.glob("*.png"))


def test_the_script_makes_the_figures():
    """docs/figures/make.py draws every figure of the folder but the two of the benchmarks. Catches a figure without a command,
    and a function whose figure was not made."""
    drawn = set(re.findall(r"^@figure\ndef (\w+)", (FIGURES / "make.py").read_text(encoding="utf-8"), re.MULTILINE))
    assert drawn == {file.stem for file in FIGURES.glob("*.png")} - {"gradient_growth", "gradient_spread"}
