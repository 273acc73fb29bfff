"""docs/verification.md: what is tested against what, read from the docstrings of the tests and from tests/MUTATIONS.md.

    python tools/site/verification.py            # write the page
    python tools/site/verification.py --check    # exit status 1 if the page is stale

Reads source text only: neither the tests nor the library are imported.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "verification.md"
# (title, what the tests compare with, files: the first group whose pattern matches has the file).
GROUPS = (
    ("Landau", "Exact moments at every N, Bobylev-Krook-Wu solutions, modes on the torus, the law of N particles.",
     r"laws/test_(landau|coulomb|isotropic_landau|torus|liouville|cumulants)"),
    ("Microcanonical collisions", "Landau's generator, Kac's diffusion, exact laws of the angle.", r"laws/test_microcanonical"),
    ("Boltzmann and annihilation", "Exact death chains, an event-by-event simulation, exact solutions of the limit.",
     r"laws/test_(boltzmann|walk|exact_clock|clock)"),
    ("Vlasov and N bodies", "Exact solutions, the dispersion relation, each form against the others, reversal in time.",
     r"laws/test_(vlasov|nbody|sheets|pseudo|counting)"),
    ("Gradients of expectations", "Derivatives of exact means at finite N, brute force.",
     r"laws/test_(expectation|jump_gradients)"),
    ("Systems and schemes together", "Dynkin's formula, exact laws of one step, orders of convergence.", r"laws/"),
    ("Propagation of chaos", "Exact values at finite N, series whose exponent is known.", r"chaos/"),
    ("Contract: every system with every scheme", "What must hold whatever the physics.", r"contract/"),
    ("Measuring and fitting", "Known values, stated bias, coverage of error bars.", r"measuring/"),
)  # fmt: skip
_MISTAKE = re.compile(r"\b([Cc]atch(es)?|[Nn]earest (classic )?mistakes?|standard errors (away|from))\b")
_ROW = re.compile(r"^\| (?P<mistake>.*?) \| `(?P<file>[^`]+)` \| (?P<tests>.*) \|$", re.MULTILINE)

_HEAD = """# Verification

Written by `python tools/site/verification.py` from the docstrings of the tests and from `tests/MUTATIONS.md`: do not edit.

Results are compared with what is known: an exact law, with a fixed key and a stated number of standard errors; an order of
convergence; an invariant, to round-off. A statistical test passes within 4 standard errors, and the nearest plausible mistake
is at least 8 standard errors
away. The docstring of each test says which mistake it catches; the tables below are made of these sentences.

How to run them:

```sh
pytest                               # all except the slow ones
pytest -m slow                       # the slow ones: up to five minutes each
pytest tests/laws/test_vlasov.py     # one file
python tests/tools/mutate.py         # puts in the mistakes of tests/MUTATIONS.md, one at a time
```

"""
_MUTATIONS = """## Mistakes that are put in on purpose

`python tests/tools/mutate.py` changes one place of a copy of the code and runs the test that must then fail. There are
{number} such mistakes; `tests/MUTATIONS.md` lists all with their tests. By part of the code, each with one example:

| part | mistakes | for example |
|---|---|---|
"""


def page(root: Path = ROOT) -> str:
    groups: dict[str, list[Path]] = {title: [] for title, _, _ in GROUPS}
    for folder in ("laws", "chaos", "contract", "measuring"):
        for file in sorted((root / "tests" / folder).glob("test_*.py")):
            name = file.relative_to(root / "tests").as_posix()
            groups[next(title for title, _, pattern in GROUPS if re.match(pattern, name))].append(file)
    tests = {file: list(tests_of(file)) for files in groups.values() for file in files}
    lines = [_HEAD + "| compared | with what | tests |", "|---|---|---|"]
    for title, truth, _ in GROUPS:
        number = sum(len(tests[file]) for file in groups[title])
        lines.append(f"| {title} | {truth} | {number} |")
    lines += ["", "A test counts once here, whatever the number of its parameters.", "", mutations(root)]
    for title, truth, _ in GROUPS:
        lines += [f"## {title}", "", f"Compared with: {truth[0].lower()}{truth[1:]}", ""] if groups[title] else []
        for file in groups[title]:
            about = sentences(ast.get_docstring(ast.parse(file.read_text())) or "")
            lines += [f"### `{file.relative_to(root / 'tests').as_posix()}`", "", plain(" ".join(about)), ""]
            lines += ["| test | what it shows | mistakes that it finds |", "|---|---|---|"]
            lines += [
                f"| `{name.removeprefix('test_')}` | {cell(shows)} | {cell(catches)} |"
                for name, shows, catches in tests[file]
            ]
            lines.append("")
    return "\n".join(lines)


def tests_of(file: Path) -> Iterator[tuple[str, str, str]]:
    """(name, what it shows, which mistake it catches) of every test, from its docstring."""
    for item in ast.parse(file.read_text()).body:
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
            first, *others = sentences(ast.get_docstring(item) or "") or [""]
            shows, others = ("", [first, *others]) if _MISTAKE.search(first) else (first, others)
            yield item.name, shows, " ".join(x for x in others if _MISTAKE.search(x)).removeprefix("Catches ")


def sentences(text: str) -> list[str]:
    """A full stop ends a sentence where a blank and a capital letter follow; a paragraph ends one, too."""
    paragraphs = [" ".join(x.split()) for x in text.split("\n\n")]
    return [x for paragraph in paragraphs for x in re.split(r"(?<=\.) (?=[A-Z`])", paragraph) if x]


def mutations(root: Path) -> str:
    """The mistakes by part of the code, from the table in tests/MUTATIONS.md."""
    parts: dict[str, list[str]] = {}
    for row in _ROW.finditer((root / "tests" / "MUTATIONS.md").read_text()):
        parts.setdefault(str(Path(row["file"]).parent), []).append(row["mistake"])
    rows = [f"| `{part}` | {len(found)} | {found[0]} |" for part, found in sorted(parts.items())]
    return _MUTATIONS.format(number=sum(map(len, parts.values()))) + "\n".join(rows) + "\n"


def plain(text: str) -> str:
    """Text of a docstring in Markdown: what looks like a tag or like emphasis stays as it is, code in backticks too."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(x if x.startswith("`") else re.sub(r"([*_$])", r"\\\1", x.replace("<", "&lt;")) for x in pieces)


def cell(text: str) -> str:
    return plain(text).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if the page is stale")
    given = parser.parse_args(arguments)
    text = page()
    if given.check:
        stale = not PAGE.exists() or PAGE.read_text() != text
        print("docs/verification.md is out of date: run python tools/site/verification.py" * stale, end="\n" * stale)
        return int(stale)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
