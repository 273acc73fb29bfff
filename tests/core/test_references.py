"""The literature: what docstrings cite by key is in `jaxkinetic/references.bib`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# [FengWang2025], [FengWang2025, (1.6)].
CITATION = re.compile(r"\[((?:[A-Z][a-zA-Z]*[a-z])(?:19|20)\d\d)(?=[\],])")


def _cited(*patterns: str) -> dict[str, str]:
    """Every key that is cited, with one file that cites it."""
    files = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return {key: path.name for path in files for key in CITATION.findall(path.read_text(encoding="utf-8"))}


def test_citations_and_entries_match():
    """Every key that the package cites has an entry, every entry is cited in the package, its documents or notebooks, and no
    entry is there twice. Catches a key with a slip of the pen, and an entry whose last citation was removed."""
    entries = re.findall(
        r"^@\w+\{(\w+),$", (ROOT / "jaxkinetic/references.bib").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(entries) > 20
    assert len(set(entries)) == len(entries)
    cited = _cited("jaxkinetic/**/*.py", "kernels/**/*.py", "*.md", "docs/**/*.md", "notebooks/*.ipynb")
    assert {key: place for key, place in cited.items() if key not in entries} == {}
    assert [key for key in entries if key not in cited] == []
