"""The results of bench_device.py: written after every item, ended by a watchdog at the deadline. Imports no JAX."""

import json
import math
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

# Sections of the JSON, in the order in which they are filled.
SECTIONS = ("verify", "bitwise", "compile", "time", "profile")


class Report:
    """What was measured so far. Any thread may `record`; the file is always complete JSON.

    `head`: what the JSON begins with. `deadline`: seconds after `start` (of `time.perf_counter`) at which `watch` ends the
    process.
    """

    def __init__(self, file: Path, head: dict[str, Any], deadline: float, start: float):
        self.file, self.deadline, self.start = file, deadline, start
        self.content: dict[str, Any] = {**head, **{name: {} for name in SECTIONS}, "notes": [], "done": False}
        self._lock = threading.RLock()

    def elapsed(self) -> float:
        return time.perf_counter() - self.start

    def left(self) -> float:
        return self.deadline - self.elapsed()

    def record(self, section: str, name: str, value: dict[str, Any]) -> None:
        with self._lock:
            self.content[section][name] = value
            self.save()
        short = {key: _short(part) for key, part in value.items() if not isinstance(part, (list, dict))}
        print(f"[{self.elapsed():6.1f}] {section} {name}: {short}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        with self._lock:
            self.content["notes"].append(text)
            self.save()
        print(f"[{self.elapsed():6.1f}] {text}", file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write beside the file, then put it in its place: a process that is killed leaves the last complete one."""
        with self._lock:
            self.content["seconds"] = round(self.elapsed(), 1)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            part = self.file.with_suffix(".part")
            part.write_text(json.dumps(strict(self.content), indent=1, allow_nan=False) + "\n")
            part.replace(self.file)

    def finish(self) -> None:
        with self._lock:
            self.content["done"] = True
            self.save()

    def watch(self) -> None:
        """Start a thread that ends the process at the deadline, whatever the others do: a program that hangs on the device
        cannot be interrupted."""

        def end() -> None:
            time.sleep(max(self.left(), 0))
            self.note(f"stopped at the deadline of {self.deadline:g} s")
            os._exit(3)

        threading.Thread(target=end, daemon=True).start()


def failure(error: BaseException) -> dict[str, Any]:
    """What the JSON says of an item that raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return {
        "error": f"{type(error).__name__}: {str(error)[:400]}",
        "where": f"{Path(last.filename).name}:{last.lineno}",
    }


def strict(value: Any) -> Any:
    """As JSON has it: numbers of NumPy become Python's, and those that are not finite become text."""
    if isinstance(value, dict):
        return {str(key): strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(part) for part in value]
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
