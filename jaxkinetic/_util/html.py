"""Tables for notebooks: plain HTML whose colours are those of the page, without scripts, classes or external files."""

import html
from collections.abc import Sequence

__all__ = ["preformatted", "table"]

# The shade is made from the colour of the text, so that it fits a light and a dark page. Notebooks align cells to the right.
_HEADING = 'style="text-align: left; background: color-mix(in srgb, currentColor 8%, transparent)"'
_CELL = 'style="text-align: left"'


def table(title: str, sections: Sequence[tuple[str, Sequence[Sequence[str]]]], notes: Sequence[str] = ()) -> str:
    """A title, then `notes`, then rows of cells under the heading of each section; sections without rows are left out. The last
    cell of a row extends to the end of the table."""
    width = max([2, *(len(row) for _, rows in sections for row in rows)])
    lines = [f'<div style="overflow-x: auto"><div><b>{html.escape(title)}</b></div>']
    lines += [f"<div>{html.escape(note)}</div>" for note in notes]
    lines.append('<table cellpadding="3" style="border-collapse: collapse; font-family: monospace; font-size: 90%">')
    for heading, rows in sections:
        if rows:
            lines.append(f'<tr><th colspan="{width}" {_HEADING}>{html.escape(heading)}</th></tr>')
        for row in rows:
            *first, last = (html.escape(text) for text in row)
            cells = [f"<td {_CELL}>{text}</td>" for text in first]
            lines.append(f'<tr>{"".join(cells)}<td colspan="{width - len(first)}" {_CELL}>{last}</td></tr>')
    return "\n".join([*lines, "</table></div>"])


def preformatted(text: str) -> str:
    """A text as it is, in the font of code."""
    return f'<pre style="margin: 0; white-space: pre-wrap">{html.escape(text)}</pre>'
