"""How Ctrl-C and SIGTERM end a command. This module imports nothing large, because it runs before JAX is imported."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

STOPPED = (
    "jaxkinetic: stopped; earlier results are unchanged. To continue, use `run ... --resume`, or run the same `sweep`."
)
_SIGNALS = signal.SIGINT, signal.SIGTERM


class _Held:
    """The number of active blocks that delay signals, and the signal that arrived meanwhile."""

    blocks = 0
    signal: int | None = None


def leave_on_signals() -> None:
    """Make Ctrl-C and SIGTERM end this process at once, with status 130 or 143.

    `KeyboardInterrupt` is not used: Python's shutdown frees memory that compiled programs still use in other threads (a
    segmentation fault), and an exception raised inside a callback is lost. Files get their names only when they are complete,
    so an immediate exit leaves no partial file."""
    for number in _SIGNALS:
        # A script's background command ignores Ctrl-C; keep it so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Delay signals until the end of this block, in which files that belong together are written."""
    _Held.blocks += 1
    try:
        yield
    finally:
        _Held.blocks -= 1
        if not _Held.blocks and _Held.signal is not None:
            _leave(_Held.signal)


def _on_signal(number: int, _: FrameType | None) -> None:
    if _Held.blocks:
        _Held.signal = number
    else:
        _leave(number)


def _leave(number: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        # RuntimeError: the signal interrupted a write to this stream. AttributeError: the stream was never open.
        with contextlib.suppress(RuntimeError, OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        # On a line of its own, below a progress bar.
        os.write(2, f"\n{STOPPED}\n".encode())
    os._exit(128 + number)
