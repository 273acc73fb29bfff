"""A bar on standard error."""

import sys
from types import TracebackType

from tqdm import tqdm


class Progress:
    """`with Progress("label", total) as bar: ... bar.advance()`.

    The host moves it between compiled programs: one that calls back cannot be kept in the compilation cache, and waits for the
    host on a GPU."""

    def __init__(self, label: str, total: int, *, shown: bool = True, unit: str = "save"):
        self._bar = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=not shown, smoothing=0.05)

    def advance(self, count: int = 1) -> None:
        """By what was done, or found on disk."""
        self._bar.update(count)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
