"""benchmarks/claims.py: the ledger covers every number of the pages, and the checker finds what is wrong with a small one."""

import json

import _claims_runs
import claims
import pytest
from _claims_ledger import ROOT, Ledger, check, command_problem, pages_of
from _claims_numbers import masked, numbers, printed
from _claims_runs import compute, difference, recompute, rewrite, stale

LEDGER = Ledger.read(claims.LEDGER)
LAST_CHANGE = _claims_runs.last_change
PAGE = """# The rate at 7.5 steps

The rate is right
to 2e-4 in 12 ms (`N = 99`), beside $x = 3.25$ and [a link](http://x.org/4.5). <!-- 5.5 -->

```python
rate = 6.25
```
"""
ENTRY = """[[claim]]
pages = ["docs/page.md"]
text = "to 2e-4 in 12 ms"
value = [2e-4, 12]
command = "pytest tests/test_x.py::test_rate"
source = ["benchmarks/results/x.json:results[name=a b].error", "benchmarks/results/x.json:results[name=a b].ms[-1]"]
date = "2026-11-28"
"""


@pytest.fixture
def small(tmp_path):
    """A repository of one page, one claim, one test and one result."""
    for name in ("docs", "tests", "benchmarks/results"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    (tmp_path / "tests" / "test_x.py").write_text("def test_rate():\n    pass\n")
    store(tmp_path, 2.04e-4, 11.9)
    return tmp_path


def store(root, error, ms):
    content = {"results": [{"name": "a b", "error": error, "ms": [1, ms]}, {"name": "c", "error": 1.0, "ms": [1]}]}
    (root / "benchmarks" / "results" / "x.json").write_text(json.dumps(content))


def problems(root, text):
    (root / "benchmarks" / "claims.toml").write_text(text)
    return [str(problem) for problem in check(Ledger.read(root / "benchmarks" / "claims.toml"), root)]


@pytest.mark.parametrize("page", pages_of(ROOT))
def test_every_number_has_an_entry(page):
    """Catches a measured number on a page that the ledger does not name, and an entry of this page that does not hold."""
    assert [str(problem) for problem in check(LEDGER, ROOT, [page])] == []


def test_every_entry_has_its_page():
    """Catches an entry of a page that was renamed, and one that has no page."""
    assert {page for claim in LEDGER.claims for page in claim.pages} <= set(pages_of(ROOT))
    assert {entry["page"] for entry in LEDGER.generated} <= set(pages_of(ROOT))


def test_cheap_claims_hold():
    """The expressions of the cheap claims give their values again. Catches a value that the code no longer has."""
    for claim in LEDGER.claims:
        if claim.cheap and claim.check:
            assert difference(claim, compute(claim.check, ROOT)) == "", claim.name


@pytest.mark.slow
def test_cheap_claims_of_tests_hold():
    """So do those whose command is a test."""
    assert recompute(LEDGER, ROOT, [], print) == []


def test_small_ledger_holds(small):
    """Rounded values are found in a JSON; numbers of code, formulas, links, comments and headings are not asked for. Catches
    a checker that finds what is right."""
    assert problems(small, ENTRY) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", "docs/page.md:4: 2e-4"),
        ("to 2e-4 in 12 ms", "to 2e-4", "docs/page.md:4: 12: "),
        ("12 ms", "13 ms", "does not occur on docs/page.md"),
        ("12]", "14]", "its value 14 is not in its text"),
        ("test_rate", "test_rat", "the test tests/test_x.py::test_rat does not exist"),
        ("pytest tests/test_x.py::test_rate", "python benchmarks/x.py", "the script benchmarks/x.py does not exist"),
        ("pytest tests/test_x.py::test_rate", "jaxkinetic run nothing", "the experiment nothing does not exist"),
        ("2026-11-28", "", "its date is missing"),
        ("ms[-1]", "ms[-2]", "its source holds 1, but `value` is 12"),
        ("name=a b", "name=d", "its source cannot be read"),
        ("docs/page.md", "docs/none.md", "the page docs/none.md does not exist"),
    ],
)
def test_mistakes_are_found(small, old, new, words):
    """Catches an uncovered number (the first case: no entry), an entry whose text, value, test, script, experiment, date,
    source or page is wrong, and a checker that passes over one of them."""
    found = problems(small, ENTRY.replace(old, new) if old else "")
    assert any(words in problem for problem in found), found


def test_stale_source(small):
    """A JSON that was measured again has another number: the entry no longer holds, and `--write` brings ledger and page in
    line, in the form and with the digits that they had. Catches a tolerance that hides it, and a page that is left behind."""
    store(small, 3.14e-4, 11.9)
    found = problems(small, ENTRY)
    assert len(found) == 1
    assert "its source holds 0.000314, but `value` is 0.0002" in found[0]
    file = small / "benchmarks" / "claims.toml"
    assert rewrite(Ledger.read(file), file, small) == []
    assert "to 3e-4 in 12 ms" in (small / "docs" / "page.md").read_text()
    assert (small / "docs" / "page.md").read_text() == PAGE.replace("2e-4", "3e-4")
    assert problems(small, file.read_text()) == []


def test_edited_value(small):
    """Without a source, an edited `value` moves into text and page. Catches a number that is put in another's place."""
    source = next(line for line in ENTRY.splitlines(keepends=True) if line.startswith("source"))
    file = small / "benchmarks" / "claims.toml"
    file.write_text(ENTRY.replace(source, "").replace("[2e-4, 12]", "[2e-4, 15]"))
    assert rewrite(Ledger.read(file), file, small) == []
    assert (small / "docs" / "page.md").read_text() == PAGE.replace("12 ms", "15 ms")
    assert problems(small, file.read_text()) == []


def test_generated_blocks(small):
    """The numbers of a block need no claim if the ledger has its command, and the number after it does. Catches a block whose
    command or test does not exist, and a mark that covers the whole page."""
    mark = "<!-- generated by python benchmarks/make.py -->"
    (small / "docs" / "page.md").write_text(f"{mark}\n\n| 8.5 |\n\n<!-- end of generated -->\n\nIt takes 9.5 s.\n")
    (small / "benchmarks" / "make.py").write_text("")
    entry = '[[generated]]\npage = "docs/page.md"\ncommand = "python benchmarks/make.py"\ntest = "tests/test_x.py::test_rate"\n'
    (found,) = problems(small, entry)
    assert "docs/page.md:7: 9.5" in found
    assert len(problems(small, "")) == 2
    assert any("has no mark" in x for x in problems(small, entry.replace("make.py", "../benchmarks/make.py")))
    assert any("test_y does not exist" in x for x in problems(small, entry.replace("test_rate", "test_y")))


def test_patterns_are_limited_to_their_pages(small):
    """Catches a pattern of one page that covers the numbers of all, and a line's end that hides a number from it."""
    pattern = "[[not_a_claim]]\npattern = 'right to 2e-4|12 ms'\nreason = \"a test\"\n"
    assert problems(small, pattern) == []
    assert len(problems(small, pattern + 'pages = ["docs/other.md"]\n')) == 2


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("rates .39, 2.7 and 1,024 at N = 10^5, 32³", [0.39, 2.7, 1024, 1e5, 32768]),
        ("-.434 +- .006, -3 to 4, a - 5, a-6", [-0.434, 0.006, -3, 4, 5, 6]),
        ("v_1, float32, H_2, N^-1, N^-0.5, x^2, 2e-4 and 3 × 10⁻⁴", [-0.5, 2e-4, 3e-4]),
        ("the 4th of 2026-11-28", [2026, 11, 28]),
    ],
)
def test_numbers_of_a_sentence(text, values):
    """Catches names that count as numbers, signs, powers and separators that are lost."""
    assert [number.value for number in numbers(masked(text))] == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        (".39", 0.4444, ".44"),
        ("0.39", 1.234, "1.2"),
        ("47", 123.4, "120"),
        ("2e-4", 3.6e-5, "4e-5"),
        ("10^-4", 1e-6, "10^-6"),
    ],
)
def test_form_of_a_number_is_kept(old, value, new):
    """Catches digits, the zero before the point or the power of ten that change when a number is written again."""
    assert printed(old, value) == new


def test_recompute_tells_what_differs(small):
    """Catches a cheap claim that no longer holds and passes."""
    (small / "benchmarks" / "claims.toml").write_text(ENTRY + 'cheap = true\ncheck = "[2.3e-4, 12.6]"\n')
    lines = []
    found = recompute(Ledger.read(small / "benchmarks" / "claims.toml"), small, [], lines.append)
    assert found == ['"to 2e-4 in 12 ms": now 0.00023, 12.6']
    assert lines[0].startswith("DIFFERS")


def test_stale_claims_are_listed(small, monkeypatch):
    """A claim and a result of the day before the last commit of their files are listed, and those of the day itself are not.
    Catches a comparison that is upside down, and the script of a result that is not looked at."""
    changed = {"tests/test_x.py": "2026-11-28", "benchmarks/x.py": "2026-11-29", "kac.py": "2026-11-29"}
    monkeypatch.setattr(_claims_runs, "last_change", lambda name, root: changed[name])
    (small / "benchmarks" / "x.py").write_text("")
    (small / "benchmarks" / "results" / "x.json").write_text('{"benchmark": "x.py", "date": "2026-11-28T23:00:00"}')
    (small / "benchmarks" / "claims.toml").write_text(ENTRY)
    ledger = Ledger.read(small / "benchmarks" / "claims.toml")
    assert stale(ledger, small) == ["x.json of 2026-11-28: benchmarks/x.py was changed on 2026-11-29"]
    (small / "benchmarks" / "claims.toml").write_text(ENTRY + 'code = ["kac.py"]\n')
    ledger = Ledger.read(small / "benchmarks" / "claims.toml")
    assert '"to 2e-4 in 12 ms" (docs/page.md) of 2026-11-28: kac.py was changed on 2026-11-29' in stale(ledger, small)
    assert bool(LAST_CHANGE("benchmarks/claims.py", ROOT)) == (ROOT / ".git").exists()


def test_commands_of_every_kind_are_known():
    """Catches a command that is called missing although it can be run."""
    for command in ("XLA_FLAGS= python benchmarks/claims.py --check", "python tools/aot", "jaxkinetic run maxwell-bkw --dim 2",
                    "jupyter execute notebooks/04_annihilation.ipynb"):  # fmt: skip
        assert command_problem(command, ROOT) == ""
    assert "not one of" in command_problem("make all", ROOT)
