"""CONTRIBUTING.md and CHANGELOG.md of the repository as pages, and their links as links of the site."""

import re
from pathlib import Path
from posixpath import normpath, relpath

from mkdocs.structure.files import File

__all__ = ["PAGES", "on_files", "with_links_of_the_site"]

PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:#]+)(#[^)]*)?\)")


def with_links_of_the_site(text: str, folder: str, page: str) -> str:
    """Markdown of a file in `folder` of the repository, for the page `page` of the site: links to pages lead to pages; a link
    to another file becomes its text."""

    def converted(match: re.Match) -> str:
        target = normpath(f"{folder}/{match[2]}")
        if target in PAGES:
            target = PAGES[target]
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        elif re.fullmatch(r"notebooks/\w+\.ipynb", target):
            target = target.replace(".ipynb", ".md")
        else:
            return match[1]
        return f"[{match[1]}]({relpath(target, page.rpartition('/')[0] or '.')}{match[3] or ''})"

    return _LINK.sub(converted, text)


def on_files(files, config):
    root = Path(config.docs_dir).parent
    for source, page in PAGES.items():
        text = with_links_of_the_site((root / source).read_text(), ".", page)
        # A search shows the library before its history.
        files.append(File.generated(config, page, content=f"---\nsearch:\n  boost: 0.3\n---\n\n{text}"))
    return files
