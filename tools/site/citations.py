"""The page of references, from jaxkinetic/references.bib, and links to it from citations such as [FengWang2025, (1.6)]."""

import re
from pathlib import Path

from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

__all__ = ["entries", "linked", "on_files", "on_page_content", "page"]

_BIB = Path(__file__).parents[2] / "jaxkinetic" / "references.bib"
_ACCENTS = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c"}


def entries() -> dict[str, dict[str, str]]:
    """Key -> the fields of the entry, as plain text."""
    found = {}
    for match in re.finditer(r"^@\w+\{(\w+),\n(.*?)^\}", _BIB.read_text(), re.DOTALL | re.MULTILINE):
        fields = re.findall(r"^ *(\w+) = \{(.*?)\},\n", match[2], re.DOTALL | re.MULTILINE)
        found[match[1]] = {name: _plain(value) for name, value in fields}
    return found


def _plain(text: str) -> str:
    import unicodedata

    text = re.sub(r"\{?\\([`'\"^~cv])\s*\{?\\?(\w)\}?\}?", lambda m: m[2] + _ACCENTS[m[1]], text)
    text = re.sub(r"[{}]|\\(?=[&%])", "", text).replace("--", "\u2013").replace("~", " ")
    return unicodedata.normalize("NFC", " ".join(text.split()))


def page() -> str:
    """The Markdown of the page."""
    lines = [
        "# References",
        "",
        "The literature that pages and docstrings cite, as `jaxkinetic/references.bib` has it.",
        "",
    ]
    for key, fields in sorted(entries().items()):
        people = [" ".join(reversed(name.split(", "))) for name in fields.get("author", "").split(" and ")]
        where = [fields.get(name, "") for name in ("journal", "booktitle", "publisher", "school", "howpublished")]
        where = [word for word in where if word]
        if "volume" in fields and where:
            where[0] += f" {fields['volume']}"
        links = []
        if "doi" in fields:
            links.append(f"[doi:{fields['doi']}](https://doi.org/{fields['doi']})")
        if "eprint" in fields:
            links.append(f"[arXiv:{fields['eprint']}](https://arxiv.org/abs/{fields['eprint']})")
        rest = [*where, fields.get("pages", ""), fields.get("year", ""), *links, fields.get("note", "")]
        text = ", ".join(word for word in rest if word)
        lines += [f"### {key} {{ #{key} }}", "", f"{', '.join(people)}: *{fields['title']}*. {text}.", ""]
    return "\n".join(lines)


def linked(html: str, url: str) -> str:
    """`html` with a link to `url#key` in every citation outside of code."""
    keys = "|".join(sorted(entries(), key=len, reverse=True))
    citation = re.compile(rf"\[((?:{keys})\b[^\]<]*)\]")

    def one(match: re.Match) -> str:
        inside = re.sub(rf"\b({keys})\b", rf'<a href="{url}#\1">\1</a>', match[1])
        return f"[{inside}]"

    parts = re.split(r"(<(pre|code|a|math)\b.*?</\2>)", html, flags=re.DOTALL)
    # `split` gives the text, the element, and the element's name, in turn.
    return "".join(citation.sub(one, part) if i % 3 == 0 else part for i, part in enumerate(parts) if i % 3 != 2)


def on_files(files, config):
    files.append(File.generated(config, "references.md", content=page()))
    return files


def on_page_content(html, page, config, files):
    if page.file.src_uri == "references.md":
        return html
    return linked(html, get_relative_url("references/", page.url))
