"""tools/site/verification.py: docs/verification.md is made from the tests' docstrings."""

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("verification", ROOT / "tools" / "site" / "verification.py")
verification = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(verification)


def test_page_is_made_from_the_tests():
    """docs/verification.md is what the script writes from tests/ and tests/MUTATIONS.md. Catches a page that was edited or is
    stale: run `python tools/site/verification.py` after tests or mutations have changed."""
    assert verification.PAGE.read_text() == verification.page()


def test_every_test_has_a_row():
    """Every test of laws, chaos, contract and measuring is on the page once. Catches a file that no group has."""
    page = verification.page()
    rows = {line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")}
    for folder in ("laws", "chaos", "contract", "measuring"):
        for file in (ROOT / "tests" / folder).glob("test_*.py"):
            assert f"### `{folder}/{file.name}`" in page
            for item in ast.parse(file.read_text()).body:
                if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
                    assert f"| `{item.name.removeprefix('test_')}`" in rows


def test_docstrings_are_split(tmp_path):
    """Catches a sentence that ends at d = 3., a mistake that is told as the purpose, a paragraph that runs on, and text that
    Markdown takes for a tag or for emphasis."""
    file = tmp_path / "test_one.py"
    file.write_text(
        'def test_a():\n    """M4 at t = .05, d = 3. It is that of BKW.\n\n    Nearest mistake: N for N - 1. More."""\n\n\n'
        'def test_b():\n    """Catches a|b of <v_1>."""\n\n\ndef helper():\n    """No test. Catches nothing."""\n'
    )
    assert list(verification.tests_of(file)) == [
        ("test_a", "M4 at t = .05, d = 3.", "Nearest mistake: N for N - 1."),
        ("test_b", "", "a|b of <v_1>."),
    ]
    assert verification.cell("a|b of <v_1> in `x_1`") == r"a\|b of &lt;v\_1> in `x_1`"
