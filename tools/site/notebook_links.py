"""Links to notebooks: a link to a notebook's file leads to the page that shows it."""

import re

import mkdocs.plugins

__all__ = ["on_page_markdown"]


@mkdocs.plugins.event_priority(-50)
def on_page_markdown(markdown, page, config, files):
    return re.sub(r"\]\(([^)\s#]*notebooks/\w+)\.ipynb(?=[)#])", r"](\1.md", markdown)
