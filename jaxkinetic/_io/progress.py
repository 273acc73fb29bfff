"""A progress bar on standard error; in a notebook, a widget."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .._util.checks import argument_error, describe


class Progress:
    """`with Progress(total, "step", shown=True) as bar: ... bar.advance()`. If not shown, it does and imports nothing."""

    def __init__(self, total: int | None, unit: str, *, shown: bool, label: str | None = None):
        self._bar: Any = None
        if shown:
            self._bar = _tqdm()(total=total, desc=label, unit=unit, file=sys.stderr, smoothing=0.05)

    def advance(self, count: int = 1) -> None:
        if self._bar is not None:
            self._bar.update(count)

    def note(self, text: str) -> None:
        """Show a text after the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()


def check_progress(progress: Any) -> bool:
    """**Raises:** `ValueError` unless `progress` is a bool, and if tqdm is needed but missing."""
    if not isinstance(progress, bool):
        raise argument_error("progress", "be True or False", f"is {describe(progress)}", "pass a bool")
    if progress:
        _tqdm()
    return progress


def _tqdm() -> Callable[..., Any]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise argument_error("progress", "be False without tqdm", "is True", "run `pip install tqdm`") from None
    return tqdm
