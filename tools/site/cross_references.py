"""Links in the text of pages and docstrings: from a public name in code style to its entry in the reference, and from
`docs/gradients.md` in a docstring to that page.

A name without its module (`Sweep`) is linked on pages of the reference only, and only if no second public object has it.
"""

import re

import api_pages
from mkdocs.utils import get_relative_url

__all__ = ["linked", "on_files", "on_page_content", "on_page_markdown"]

_PAGES: set[str] = set()
_ENTRIES: dict[str, str] = {}  # name as it may be written -> URL of the entry


def on_files(files, config):
    _PAGES.clear()
    _PAGES.update(file.src_uri for file in files.documentation_pages())
    _ENTRIES.clear()
    bare: dict[str, set[str]] = {}
    objects = api_pages.documented()
    for stem, paths in api_pages.names().items():
        for path in paths:
            home = objects.get(path)
            url = f"api/{stem}/#{path}" if home is None else f"api/{api_pages.page_of(home)}/#{home}"
            short = path.removeprefix("jaxkinetic").removeprefix(".")
            _ENTRIES[path] = url
            if short:
                _ENTRIES[f"jk.{short}"] = url
                if "." in short:
                    _ENTRIES[short] = url
                bare.setdefault(short.rpartition(".")[2], set()).add(url)
    for name, urls in bare.items():
        if len(urls) == 1:
            _ENTRIES.setdefault(name, *urls)
    return files


def linked(html: str, source: str, url: str) -> str:
    """`html` of the page `source` at `url`, with the links."""
    reference = source.startswith("api/") and source != "api/index.md"
    module = f"{api_pages.PAGES.get(source[4:-3], '')}." if reference else ""

    def one(match: re.Match) -> str:
        name = match[1].removesuffix("()")
        target = _ENTRIES.get(module + name, "") if reference else ""
        if not target and ("." in name or reference):
            target = _ENTRIES.get(name, "")
        if not target or name in ("jaxkinetic", "jk"):
            return match[0]
        return f'<a href="{get_relative_url(target, url)}"><code>{match[1]}</code></a>'

    def named_page(match: re.Match) -> str:
        if match[1] not in _PAGES:
            return match[0]
        return f'<a href="{get_relative_url(match[1].removesuffix(".md") + "/", url)}">{match[0]}</a>'

    parts = re.split(r"(<(pre|a|h[1-6])\b.*?</\2>)", html, flags=re.DOTALL)
    for i in range(0, len(parts), 3):
        text = re.sub(r"<code>((?:docs/)?[\w/]+\.md)</code>", r"\1", parts[i]) if reference else parts[i]
        text = re.sub(r"<code>([A-Za-z_][\w.]*(?:\(\))?)</code>", one, text)
        parts[i] = re.sub(r"\bdocs/((?:\w+/)*\w+\.md)\b", named_page, text)
    return "".join(part for i, part in enumerate(parts) if i % 3 != 2)


def _member(match: re.Match) -> str:
    """`[text][jaxkinetic.landau.Kac.generator]`: the entry of the class, where the member has none of its own."""
    path, _, member = match[1].rpartition(".")
    value = api_pages.value_of(path) if path in _ENTRIES else None
    if not isinstance(value, type) or not hasattr(value, member):
        return match[0]
    own = vars(value).get(member)
    return match[0] if getattr(own, "__doc__", None) else f"][{path}]"


def on_page_markdown(markdown, page, config, files):
    return re.sub(r"\]\[(jaxkinetic(?:\.\w+)+)\]", _member, markdown)


def on_page_content(html, page, config, files):
    if page.file.src_uri in ("changelog.md", "references.md"):
        return html
    return linked(html, page.file.src_uri, page.url)
