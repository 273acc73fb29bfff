"""Mathematics as MathML, made when the site is built: a reader's browser needs no script and no network.

`pymdownx.arithmatex` marks `$...$` and `$$...$$` in pages and docstrings; `latex2mathml` converts what it marked. LaTeX that it does
not know is an error.
"""

import html as entities
import re

from mkdocs.exceptions import PluginError

__all__ = ["converted", "mathml", "on_page_content"]

# What latex2mathml does not know, in terms that it knows.
MACROS = {
    r"\\operatorname\*": r"\\operatorname",
    r"\\(?:tfrac|dfrac)": r"\\frac",
    r"\\(?:lvert|rvert)": "|",
    r"\\(?:lVert|rVert)": r"\\Vert",
    r"\\!": "",
}
_MARKED = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def mathml(latex: str, *, block: bool) -> str:
    """One formula as a `<math>` element. **Raises:** `ValueError` if a command is not known."""
    from latex2mathml.converter import convert

    for known, replacement in MACROS.items():
        latex = re.sub(rf"{known}(?![A-Za-z])", replacement, latex)
    result = convert(latex.strip(), display="block" if block else "inline")
    unknown = re.findall(r"\\[A-Za-z]+", entities.unescape(re.sub(r"<[^>]*>", " ", result)))
    if unknown:
        raise ValueError(f"{unknown} in {latex!r}")
    return result


def converted(html: str) -> str:
    """`html` with every marked formula as MathML."""

    def one(match: re.Match) -> str:
        result = mathml(entities.unescape(match[3]), block=match[2] == "[")
        return f'<div class="formula">{result}</div>' if match[2] == "[" else result

    return _MARKED.sub(one, html)


def on_page_content(html, page, config, files):
    try:
        return converted(html)
    except Exception as error:
        raise PluginError(f"{page.file.src_uri}: LaTeX that latex2mathml cannot convert: {error}") from error
