"""Code in tables may break after a dot, an underscore, a bracket or a comma: a dotted path is wider than many a column."""

import re

__all__ = ["breakable", "on_page_content"]


def breakable(html: str) -> str:
    """`html` with places where the code in the cells of its tables may break."""

    def one(match: re.Match) -> str:
        # A sign of HTML, such as &lt;, stays together.
        return f"<code>{re.sub(r'(?<=[.,_(=])(?=[^ .,)])', '<wbr>', match[1])}</code>"

    return re.sub(
        r"<td\b.*?</td>", lambda cell: re.sub(r"<code>([^<]{12,})</code>", one, cell[0]), html, flags=re.DOTALL
    )


def on_page_content(html, page, config, files):
    return breakable(html)
