"""How Ctrl-C and SIGTERM end a command. This module imports nothing large, because it runs before JAX is imported."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_SIGNALS = signal.SIGINT, signal.SIGTERM


class _Held:
    """How many blocks delay signals, the signal that arrived meanwhile, and the folder of finished parts."""

    blocks = 0
    signal: int | None = None
    parts: Path | None = None
    results: Path | None = None
    leaving = threading.Lock()


def parts_in(folder: Path) -> None:
    """From now on `stopped` says how many finished parts are in `folder`."""
    _Held.parts, _Held.results = folder, None


def results_in(folder: Path) -> None:
    """From now on `stopped` says that the results are in `folder`."""
    _Held.parts, _Held.results = None, folder


def stopped() -> str:
    """The sentence of a stopped command: what it has saved, and how to continue."""
    folder = _Held.parts
    names = [] if folder is None else [path.name for path in folder.glob("*/*.npz")]
    count = sum(name.startswith(("part-", "replica-")) for name in names)
    if _Held.results is not None:
        return f"jaxkinetic: stopped; the results are in {str(_Held.results)!r}."
    said = "jaxkinetic: stopped; earlier results are unchanged."
    if not count:
        return f"{said} No part was finished."
    parts = "1 finished part is" if count == 1 else f"{count} finished parts are"
    return f"{said} {parts} in {str(folder)!r}: the same `run` with --resume, or the same `sweep`, continues."


def leave_on_signals() -> None:
    """Make Ctrl-C and SIGTERM end this process at once, with status 130 or 143.

    `KeyboardInterrupt` is not used: Python's shutdown frees memory that compiled programs still use in other threads (a
    segmentation fault), and an exception raised inside a callback is lost. Files get their names only when they are complete,
    so an immediate exit leaves no partial file."""
    for number in _SIGNALS:
        # A script's background command ignores Ctrl-C; keep it so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)
    # Python calls `_on_signal` between two of its own instructions: not while the main thread waits for a compiled program,
    # which may take minutes. What the system writes to this pipe at the signal itself wakes another thread.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()


def _watch(pipe: int) -> None:
    while number := os.read(pipe, 1):
        if number[0] in _SIGNALS:
            _on_signal(number[0], None)


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
    # Two threads see a signal; the first one ends the process.
    if not _Held.leaving.acquire(blocking=False):
        return
    for stream in (sys.stdout, sys.stderr):
        # RuntimeError: the signal interrupted a write to this stream. AttributeError: the stream was never open.
        with contextlib.suppress(RuntimeError, OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        # On a line of its own, below a progress bar.
        os.write(2, f"\n{stopped()}\n".encode())
    os._exit(128 + number)
