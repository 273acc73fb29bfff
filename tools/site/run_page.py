"""Run the Python blocks of a page of the site, in order and in one namespace: `python tools/site/run_page.py docs/units.md`.

JAX has its defaults (float32) unless the page sets another precision, and warnings are errors.
Where a ```` ```text ```` block follows a Python block directly, it must show what the block prints: the same words, and the
same numbers to two per cent (round-off differs from machine to machine).
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent

__all__ = ["Block", "blocks", "difference", "main"]

_FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```\s*?$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"(?<![A-Za-z_\d])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
RELATIVE, ABSOLUTE = 0.02, 2e-6


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the number of its first line, and the text block directly after it, if any."""

    language: str
    text: str
    line: int
    printed: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    found = list(_FENCE.finditer(page))
    for match, after in zip_longest(found, found[1:]):
        line = page.count("\n", 0, match.start(3)) + 1
        follows = after is not None and after[2] == "text" and not page[match.end() : after.start()].strip()
        printed = dedent(after[3]) if after is not None and follows else None
        yield Block(match[2], dedent(match[3]), line, printed)


def difference(shown: str, printed: str) -> str:
    """What differs between the output that a page shows and the output of the block: "" if nothing does."""
    words = [" ".join(_NUMBER.sub("#", text).split()) for text in (shown, printed)]
    # numpy and JAX align columns by blanks, which a sign moves.
    if words[0].replace(" ", "") != words[1].replace(" ", ""):
        return f"the page shows\n{shown}\nand the block prints\n{printed}"
    for one, other in zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True):
        a, b = float(one), float(other)
        if abs(a - b) > ABSOLUTE + RELATIVE * max(abs(a), abs(b)):
            return f"the page shows {one}, and the block prints {other}, in\n{printed}"
    return ""


def main(path: str) -> None:
    """Run one page in an empty folder. **Raises:** what a block raises, or `SystemExit` with the difference of an output."""
    page = Path(path).resolve()
    os.environ.setdefault("MPLBACKEND", "agg")
    warnings.simplefilter("error")
    # As for the tests: warnings of other packages about their own future.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    namespace = {"__name__": "page"}
    for block in blocks(page.read_text()):
        if block.language != "python":
            continue
        out = io.StringIO()
        # Line numbers of a traceback are those of the page.
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        with contextlib.redirect_stdout(out):
            exec(code, namespace)
        if block.printed is not None and (wrong := difference(block.printed, out.getvalue())):
            raise SystemExit(f"{page}, line {block.line}: {wrong}")


if __name__ == "__main__":
    main(sys.argv[1])
