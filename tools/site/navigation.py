"""The navigation while some of its pages are still being written: an entry of `PENDING` without a file is left out.

Every other entry of mkdocs.yml must have its file, and every page must have an entry (`validation` in mkdocs.yml).
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

import mkdocs.plugins

__all__ = ["PENDING", "on_config", "on_page_markdown"]

PENDING = frozenset({"data.md"})


def _missing(page: str, docs: Path) -> bool:
    return page in PENDING and not (docs / page).exists()


def _kept(entry, docs: Path):
    """The entry of the navigation without missing pages; None if nothing is left."""
    if isinstance(entry, str):
        return None if _missing(entry, docs) else entry
    if isinstance(entry, list):
        return [kept for item in entry if (kept := _kept(item, docs)) is not None] or None
    [(title, content)] = entry.items()
    kept = _kept(content, docs)
    return None if kept is None else {title: kept}


def on_config(config):
    config.nav = _kept(config.nav, Path(config.docs_dir))
    return config


@mkdocs.plugins.event_priority(-50)
def on_page_markdown(markdown, page, config, files):
    """A link to a missing page becomes its text; a link to a notebook's file leads to the notebook's page."""
    docs, folder = Path(config.docs_dir), PurePosixPath(page.file.src_uri).parent

    def checked(match: re.Match) -> str:
        target = normpath(str(folder / match[2]))
        return match[1] if _missing(target, docs) else match[0]

    markdown = re.sub(r"\]\(([^)\s#]*notebooks/\w+)\.ipynb(?=[)#])", r"](\1.md", markdown)
    markdown = re.sub(r"!\[([^\]]*)\]\(([^)\s:]+)\)", lambda m: "" if checked(m) == m[1] else m[0], markdown)
    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+\.md)(?:#[^)]*)?\)", checked, markdown)
