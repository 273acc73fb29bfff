"""The documentation site: its reference of the API, its mathematics, its notebooks, and what a reader's browser gets.

Some tests need the extra `docs`; those of the built site need it in the folder $JAXKINETIC_SITE as well, as CI has it.
"""

import importlib
import inspect
import os
import re
from pathlib import Path

import api_pages
import pytest

ROOT = Path(__file__).parents[2]
SITE = os.environ.get("JAXKINETIC_SITE")
built = pytest.mark.skipif(not SITE, reason="JAXKINETIC_SITE names no built site")


def test_every_public_name_has_an_entry():
    """Every name of `__all__` of the package and of its public rooms has an entry in the reference, under its public path,
    once; and every page of the reference is in the navigation. Catches a room or a name that the reference does not have."""
    entries = [path for paths in api_pages.names().values() for path in paths]
    assert len(set(entries)) == len(entries)
    rooms = ["jaxkinetic", "jaxkinetic.schemes", "jaxkinetic.states", "jaxkinetic.fitting", "jaxkinetic.experiments"]
    for room in rooms:
        module = importlib.import_module(room)
        rooms += [f"{room}.{name}" for name in module.__all__ if inspect.ismodule(getattr(module, name))]
        assert {f"{room}.{name}" for name in module.__all__} <= set(entries), room
    assert {"jaxkinetic.landau.exact", "jaxkinetic.random"} <= set(rooms)
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert all(f"api/{stem}.md" in navigation for stem in api_pages.names())


def test_entries_are_written():
    """A page has one entry for each of its names: its documentation, or a pointer to the page that has it. Catches a name that
    two rooms export and whose documentation is nowhere."""
    homes = api_pages.documented()
    for stem in ("core", "landau", "schemes", "chaos", "fitting"):
        text = api_pages.page(stem)
        for path in api_pages.names()[stem][1:]:
            pointer = f"{{ #{path} }}\n\nThe same as [`{homes[path]}`][{homes[path]}]."
            assert (f"\n::: {path}\n" in text) == (homes[path] == path), path
            assert (pointer in text) == (homes[path] != path), path
    assert homes["jaxkinetic.chaos.chaos_study"] == "jaxkinetic.chaos_study"


def test_mathematics_is_converted():
    """Formulas become MathML, with a sign that belongs to its number, letters that browsers know, and breaks outside of
    brackets; LaTeX that is not known raises. Catches a formula that is shown as LaTeX, and one that is lost."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    mathml = importlib.import_module("mathml")
    assert mathml.spoken(mathml.mathml(r"a = -\tfrac12 \mathbb{R}", block=False)) == "a=−12ℝ"
    assert '<mo form="prefix">' in mathml.mathml("a = -3", block=False)
    assert "<mtable" in mathml.mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", block=True)
    assert mathml.converted(r'<span class="arithmatex">\(f(a, b) = c\)</span>').count("<math") == 2
    for wrong in (r"\undefined x", "a & b"):
        with pytest.raises(ValueError, match=r"undefined|columns"):
            mathml.mathml(wrong, block=False)


def test_notebooks_become_pages():
    """A notebook's page has its text, its code, its printed output and its figures, and links of the site. Catches an output
    that is left out, and a link that leads to the repository's folders."""
    pytest.importorskip("mkdocs")
    notebook_pages = importlib.import_module("notebook_pages")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text, figures = notebook_pages.page(path)
        assert text.startswith("# "), path
        assert "```python\n" in text, path
        assert f"[`{path.name}`]({path.name})" in text, path
        assert all(f"]({name})" in text and content[:4] == b"\x89PNG" for name, content in figures.items()), path
        assert "../docs/" not in text, path


@built
def test_built_site_needs_no_network():
    """No page loads a script, a style, a font or a picture from elsewhere, and no formula is left as LaTeX. Catches a plug-in
    that adds a content delivery network."""
    pages = sorted(Path(SITE or "").rglob("*.html"))
    assert len(pages) > 40
    for path in pages:
        html = path.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)", html)
        loaded += re.findall(r"<link\b(?![^>]*rel=\"(?:canonical|prev|next)\")[^>]*\bhref=\"([^\"]+)", html)
        assert not [url for url in loaded if re.match(r"(?:https?:)?//", url)], path
        assert 'class="arithmatex"' not in html, path
        assert not re.search(r"\\\(.*\\\)", re.sub(r"<(pre|code)\b.*?</\1>", "", html, flags=re.DOTALL)), path


@built
def test_built_reference_has_every_anchor():
    """Catches an entry that mkdocstrings did not find."""
    for stem, paths in api_pages.names().items():
        html = (Path(SITE or "") / "api" / stem / "index.html").read_text()
        assert not [path for path in paths if html.count(f'id="{path}"') != 1], stem
