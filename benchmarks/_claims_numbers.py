"""The numbers in the prose and the tables of a Markdown page.

Not counted: numbers in code, in formulas between dollar signs, in addresses and targets of links, in HTML comments and tags, in
headings, in the numbers of a list, in names such as float32 or v_1, integer exponents (v^2), and numbers written as words
("half a minute", "twice").
"""

import math
import re
from dataclasses import dataclass

__all__ = ["Number", "masked", "numbers", "sentence_at"]

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = r"(?:\^\{?[-−]?\d+\}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
_NUMBER = re.compile(
    r"(?<![\w.\\/])(?P<sign>(?<![\w.)\]\\/}|])[-−])?"
    r"(?P<base>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|\d+(?:\.\d+)?|\.\d+)"
    rf"(?P<exponent>e[-+]?\d+)?(?P<power>{_POWER})?(?P<ten>\s?(?:x|×|\\times)\s?10(?P<tenth>{_POWER}))?"
)
_HIDDEN = [
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),
    re.compile(r"^[ >]*(`{3,}|~{3,})[^\n]*\n.*?^[ >]*\1`*[ ]*$", re.DOTALL | re.MULTILINE),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"\{\{.*?\}\}", re.DOTALL),  # what a template's script fills in
    re.compile(r"(`+)(?:(?!\n\s*\n).)+?(?<!`)\1(?!`)", re.DOTALL),
    re.compile(r"\$\$.*?\$\$", re.DOTALL),
    re.compile(r"(?<![\\$\w])\$(?![\s$])(?:(?!\n\s*\n)[^$])+?\$"),
    re.compile(r"\]\([^)\s]*(?:\s+\"[^\"]*\")?\)"),
    re.compile(r"\]\[[^\]\n]*\]"),
    re.compile(r"^\[[^\]]+\]:.*$", re.MULTILINE),
    re.compile(r"https?://[^\s)>]+"),
    re.compile(r"</?[a-zA-Z][^<>]*>"),
    re.compile(r"\{:?\s?[.#a-z][^{}\n]*\}(?=\s|$)", re.MULTILINE),
    re.compile(r"^#+ .*$", re.MULTILINE),
    re.compile(r"^\s*\d+[.)](?=\s)", re.MULTILINE),
]


@dataclass(frozen=True)
class Number:
    """`value` and half a unit of its last printed digit, where it stands in the page."""

    value: float
    half_unit: float
    text: str
    start: int
    end: int


# Stands for every character that is not prose.
_NO_PROSE = "\N{OBJECT REPLACEMENT CHARACTER}"


def masked(page: str) -> str:
    """The page with one character in place of each that is not prose: of the same length, with the same white space."""
    for pattern in _HIDDEN:
        page = pattern.sub(_blank, page)
    return _without_indented_code(page)


def _blank(match: re.Match) -> str:
    return re.sub(r"\S", _NO_PROSE, match.group())


def _without_indented_code(page: str) -> str:
    """Lines indented by four blanks after an empty line are code, unless they continue a list or a note."""
    out, inside, follows, open_item = [], False, True, False
    for line in page.split("\n"):
        empty, indented = not line.strip(), line.startswith("    ")
        if not empty and not line.startswith(" "):
            open_item = bool(re.match(r"([-*+]|\d+[.)])\s|!!!|\?\?\?|===|\[\^", line))
        inside = not open_item and indented and (inside or follows) if not empty else inside
        out.append(re.sub(r"\S", _NO_PROSE, line) if inside else line)
        follows = empty
    return "\n".join(out)


def numbers(text: str) -> list[Number]:
    """Of masked text, or of a short piece of it."""
    found = []
    for match in _NUMBER.finditer(text):
        exponent = (
            text[max(0, match.start() - 2) : match.start()].rstrip("-−").endswith("^") and "." not in match["base"]
        )
        if exponent or re.match(r"(st|nd|rd|th)\b", text[match.end() :]):
            continue
        found.append(_number(match))
    return found


def _number(match: re.Match) -> Number:
    digits = match["base"].replace(",", "")
    base = float(digits)
    half = 0.5 * 10.0 ** -len(digits.partition(".")[2])
    factor = -1.0 if match["sign"] else 1.0
    if match["exponent"]:
        factor *= 10.0 ** int(match["exponent"][1:])
    if match["tenth"]:
        factor *= 10.0 ** _power(match["tenth"])
    if match["power"]:
        # A power has no digits that could be rounded.
        base, half = base ** _power(match["power"]), 0.0
    return Number(factor * base, abs(factor) * half, match.group(), match.start(), match.end())


def _power(text: str) -> int:
    return int(text.translate(_SUPERSCRIPTS).strip("^{}").replace("−", "-"))


def printed(old: str, value: float) -> str:
    """`value` in the way in which the number `old` is written: its digits, its zero before the point, its power of ten."""
    match = _NUMBER.fullmatch(old)
    if match is None or (match["power"] and match["base"] != "10"):
        raise ValueError(f"{old} has a form that is not rewritten; edit the page by hand")
    if match["power"]:
        power = math.log10(abs(value))
        if abs(power - round(power)) > 1e-9:
            raise ValueError(f"{value:g} is not a power of ten as {old} is; edit the page by hand")
        return old.replace(match["power"], match["power"].replace(str(_power(match["power"])), str(round(power))))
    if match["exponent"]:
        places = len(match["base"].partition(".")[2])
        mantissa, _, power = f"{value:.{places}e}".partition("e")
        text = f"{mantissa}e{int(power)}"
    elif match["tenth"]:
        raise ValueError(f"{old} has a form that is not rewritten; edit the page by hand")
    else:
        digits = len(match["base"].replace(".", "").replace(",", "").lstrip("0")) or 1
        text = rounded(value, digits)
        if "," in match["base"]:
            text = f"{float(text):,.0f}"
    return (
        text
        if match["base"].startswith("0") or "." not in old
        else without_zero(text)
        if old.lstrip("-−")[0] == "."
        else text
    )


def rounded(value: float, digits: int) -> str:
    """`digits` significant digits without a power of ten: 1234.5 to two digits is 1200."""
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return f"{round(value, places):.{max(places, 0)}f}"


def without_zero(text: str) -> str:
    """0.39 as .39."""
    return re.sub(r"^(-?)0\.", r"\1.", text)


def sentence_at(page: str, start: int, end: int) -> str:
    """The words around a number, on one line."""
    return " ".join(page[max(0, start - 60) : end + 50].split())
