"""Mathematics as MathML, made when the site is built: a reader's browser needs no script and no network.

`pymdownx.arithmatex` marks `$...$` and `$$...$$` in pages and docstrings; `latex2mathml` converts what it marked. LaTeX that it
does not know is an error.
"""

import html as entities
import re
import unicodedata
from xml.etree import ElementTree

from mkdocs.exceptions import PluginError

__all__ = ["converted", "mathml", "on_page_content", "spoken"]

# What latex2mathml does not know, in terms that it knows.
MACROS = {
    r"\\operatorname\*": r"\\operatorname",
    r"\\[td]frac": r"\\frac",
    r"\\[lr]vert": "|",
    r"\\[lr]Vert": r"\\Vert",
    r"\\!": "",
    r"\\sim": "\u223c",
    r"\\(begin|end)\{(?:aligned|split|gathered)\}": r"\\\1{align*}",
}
# Browsers know only mathvariant="normal": other letters are characters of their own. Variant -> its A, a and 0.
_VARIANTS = {
    "bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "bold-italic": (0x1D468, 0x1D482, 0x1D7CE),
    "double-struck": (0x1D538, 0x1D552, 0x1D7D8),
}
_DOUBLE_STRUCK = {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_OPENING, _CLOSING, _BREAKS = (frozenset(characters) for characters in ("([{⟨", ")]}⟩", "=<>≤≥≈∼∈→,≪≫≠≡≔∝"))
_LONG = 25  # characters that fit a phone in any case
_MARKED = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)
# A sign after a relation, an opening bracket or a comma belongs to what follows: no space between them.
_SIGN = re.compile(
    r"(<mo(?: [^>]*)?>(?:=|\(|\[|,|∈|<|>|≤|≥|&#x02264;|&#x02265;|&#x0003D;|&#x02208;|&#x00028;|&#x0002C;)</mo>)<mo>"
)
_BAR = re.compile(r"<mo(?: [^>]*)?>(\||&#x0007C;|‖|&#x02016;)</mo>")


def mathml(latex: str, *, block: bool) -> str:
    """One formula as a `<math>` element. **Raises:** `ValueError` if a command is not known."""
    from latex2mathml.converter import convert

    for known, replacement in MACROS.items():
        latex = re.sub(known if known.endswith(("!", r"\}")) else rf"{known}(?![A-Za-z])", replacement, latex)
    result = convert(latex.strip(), display="block" if block else "inline")
    if unknown := re.findall(r"\\[A-Za-z]+", spoken(result)):
        raise ValueError(f"{unknown} in {latex!r}")
    if "<mi>&</mi>" in result:
        raise ValueError(f"columns (&) outside of cases, matrix or aligned in {latex!r}")
    variant = rf'<m([in]) mathvariant="({"|".join(_VARIANTS)})">(\w)<'
    result = re.sub(variant, lambda m: f"<m{m[1]}>{_letter(m[3], m[2])}<", result)
    result = re.sub(r"<mi>(&#x\w+;|[^<])</mi>", _operator, result)
    result = re.sub(rf"{_SIGN.pattern}(?=(?:−|\+|-|&#x02212;|&#x0002B;)</mo>)", r'\1<mo form="prefix">', result)
    return _BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', result)


def _letter(letter: str, variant: str) -> str:
    if variant == "double-struck" and letter in _DOUBLE_STRUCK:
        return _DOUBLE_STRUCK[letter]
    for first, start in zip("Aa0", _VARIANTS[variant], strict=True):
        if 0 <= ord(letter) - ord(first) < (10 if first == "0" else 26):
            return chr(start + ord(letter) - ord(first))
    return letter


def _operator(match: re.Match) -> str:
    """A symbol such as ± or ∼ is an operator, with its spaces, and no letter."""
    if unicodedata.category(entities.unescape(match[1])) == "Sm":
        return f"<mo>{match[1]}</mo>"
    return match[0]


def spoken(math: str) -> str:
    """The characters of a `<math>` element, for a title."""
    return " ".join(entities.unescape(re.sub(r"<[^>]*>", "", math)).split())


def converted(html: str) -> str:
    """`html` with every marked formula as MathML."""

    def one(match: re.Match) -> str:
        result = mathml(entities.unescape(match[3]), block=match[2] == "[")
        return f'<div class="formula">{result}</div>' if match[2] == "[" else _breakable(result)

    return _MARKED.sub(one, html)


def _breakable(math: str) -> str:
    """An inline formula as several, so that a line may break after a relation or a comma outside of brackets, as TeX breaks it:
    browsers do not break a `<math>` element, and a phone is narrower than many."""
    root = ElementTree.fromstring(math)
    rows = list(root)
    if len(rows) != 1 or rows[0].tag.rpartition("}")[2] != "mrow":
        return math
    pieces, depth = [[]], 0
    for item in rows[0]:
        text = item.text or "" if item.tag.rpartition("}")[2] == "mo" else ""
        pieces[-1].append(item)
        depth += (text in _OPENING) - ("".join(item.itertext())[:1] in _CLOSING)
        if depth == 0 and text in _BREAKS and len(pieces[-1]) > 1:
            pieces.append([])
    ElementTree.register_namespace("", _NAMESPACE)
    parts = []
    for piece in filter(None, pieces):
        row = ElementTree.Element(root.tag, root.attrib)
        ElementTree.SubElement(row, rows[0].tag).extend(piece)
        part = ElementTree.tostring(row, encoding="unicode")
        parts.append(f'<span class="long-formula">{part}</span>' if len(spoken(part)) > _LONG else part)
    return "<wbr>".join(parts)


def _in_titles(items) -> None:
    """Formulas in the table of contents, which shows plain text."""
    for item in items:
        item.title = re.sub(
            r"\\\((.*?)\\\)", lambda m: spoken(mathml(entities.unescape(m[1]), block=False)), item.title
        )
        _in_titles(item.children)


def on_page_content(html, page, config, files):
    try:
        _in_titles(page.toc)
        return converted(html)
    except Exception as error:
        raise PluginError(f"{page.file.src_uri}: LaTeX that latex2mathml cannot convert: {error}") from error
