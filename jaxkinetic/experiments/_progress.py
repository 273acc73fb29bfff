"""A bar on standard error."""

import sys
from types import TracebackType

from tqdm import tqdm


class Progress:
    """`with Progress("label", total) as bar: ... bar.advance()`.

    The host advances it between compiled programs. A callback inside a program would keep the program out of the compilation
    cache, and make a GPU wait for the host."""

    def __init__(self, label: str, total: int, *, shown: bool = True, unit: str = "save"):
        self._bar = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=not shown, smoothing=0.05)

    def advance(self, count: int = 1) -> None:
        """By `count` saves, computed or found on disk."""
        self._bar.update(count)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
