"""What readers copy to cite the library: `CITATION.cff`, docs/citing.md and the package's references agree."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIB, CFF, PAGE = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("jaxkinetic/references.bib", "CITATION.cff", "docs/citing.md")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAPERS = {"FengWang2025", "CarrilloGuoJabin2024", "Du2025", "LodsNotaPezzotti2020", "NeissPickl2018"}


def entries(text):
    """key -> complete BibTeX entry."""
    return {key: entry for entry, key in re.findall(r"^(@\w+\{(\w+),\n.*?^\})$", text, re.MULTILINE | re.DOTALL)}


def field(entry, name):
    """A field of a BibTeX entry, without braces and with the accents of the five papers."""
    value = re.search(rf"^  {name} = \{{(.*)\}},$", entry, re.MULTILINE)[1]
    return re.sub("[{}]", "", value.replace(r"{\'e}", "é"))


def test_page_shows_the_entries_of_the_package():
    """docs/citing.md has the entries of the five papers as references.bib has them, and names each in its table. Catches an
    entry that is corrected in one of the two files only."""
    shown, kept = entries(PAGE), entries(BIB)
    assert set(shown) == PAPERS | {"jaxkinetic"}
    assert {key: shown[key] for key in PAPERS} == {key: kept[key] for key in PAPERS}
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`([A-Z]\w+\d{4})`", table)) == PAPERS


def test_citation_file_lists_the_five_papers():
    """Title, year, family names, arXiv number and DOI of each paper are those of references.bib, in the same order of authors.
    Catches a slip in CITATION.cff, and a paper that is missing there."""
    _, references = CFF.split("references:\n")
    found = {}
    for block in re.split(r"^  - type: article\n", references, flags=re.MULTILINE)[1:]:
        number = re.search(r"https://arxiv\.org/abs/([\d.]+)", block)[1]
        doi = re.search(r'doi: "(.*)"', block)
        found[number] = (
            re.search(r'^    title: "(.*)"$', block, re.MULTILINE)[1],
            re.search(r"^    year: (\d+)$", block, re.MULTILINE)[1],
            re.findall(r"family-names: (.*)", block),
            doi and doi[1],
        )
    kept = entries(BIB)
    expected = {}
    for key in PAPERS:
        entry = kept[key]
        names = [name.split(",")[0] for name in field(entry, "author").split(" and ")]
        doi = field(entry, "doi") if "  doi = " in entry else None
        expected[field(entry, "eprint")] = (field(entry, "title"), field(entry, "year"), names, doi)
    assert found == expected
    addresses = PROJECT["urls"].values()
    assert {f"https://arxiv.org/abs/{number}" for number in found} <= set(addresses)


def test_software_entry():
    """Version, title, year and licence agree between pyproject.toml, CITATION.cff and the page. Catches a release that changes
    the version in one of them only."""
    top = dict(re.findall(r"^([a-z-]+): \"?(.*?)\"?$", CFF.split("references:\n")[0], re.MULTILINE))
    entry = entries(PAGE)["jaxkinetic"]
    assert top["version"] == field(entry, "version") == PROJECT["version"]
    assert top["license"] == field(entry, "license") == PROJECT["license"]
    assert top["title"] == field(entry, "title")
    assert top["date-released"][:4] == field(entry, "year")
    # An address of the repository, once there is one, is the same in both.
    assert top.get("repository-code") == PROJECT["urls"].get("Source")
