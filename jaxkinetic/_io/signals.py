"""How Ctrl-C and SIGTERM end a command. Imports nothing large: it is wanted before JAX is."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

STOPPED = (
    "jaxkinetic: stopped; earlier results were left as they are. `run ... --resume`, or the same `sweep`, goes on."
)
_SIGNALS = signal.SIGINT, signal.SIGTERM


class _Held:
    """How many blocks hold signals back, and the one that came meanwhile."""

    blocks = 0
    signal: int | None = None


def leave_on_signals() -> None:
    """From now on Ctrl-C and SIGTERM end this process at once, with the status 130 and 143.

    Not by `KeyboardInterrupt`: Python's way out frees what compiled programs still use in other threads (a segmentation fault),
    and an exception that is raised inside of a callback is lost. Files appear under their names when they are complete, so
    leaving at once cuts none."""
    for number in _SIGNALS:
        # A command in the background of a script ignores Ctrl-C; it still does.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """A signal that comes in this block takes effect after it: for files that belong together."""
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
        # RuntimeError: the signal came while this stream was being written to. AttributeError: it was closed from the start.
        with contextlib.suppress(RuntimeError, OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        # On a line of its own, below a progress bar.
        os.write(2, f"\n{STOPPED}\n".encode())
    os._exit(128 + number)
