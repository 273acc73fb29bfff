"""The process of a command: readers that close the pipe, and devices that do not exist."""

import os
import sys
from collections.abc import Callable
from typing import Any

import jax

from ..._util.checks import argument_error


class _Stream:
    """A standard stream whose reader may close the pipe (`... | head -1`): later output is dropped without an error."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._unless_closed(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._unless_closed(self._stream.flush)

    def _unless_closed(self, action: Callable[..., Any], *arguments: str) -> None:
        try:
            action(*arguments)
        except BrokenPipeError:
            # Send later output to the null device. Python writes the stream's buffer at exit, which would raise again.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def outlive_readers() -> None:
    """Let the process continue after the reader of its output closes the pipe, or without an output stream (`>&-`)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, open(os.devnull, "w") if stream is None else _Stream(stream))  # noqa: SIM115


def check_devices() -> None:
    """**Raises:** `ValueError` if JAX finds no device of the platforms that `JAX_PLATFORMS` names."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # without CUDA an assertion of JAX fails
        asked = os.environ.get("JAX_PLATFORMS")
        if not asked:
            raise
        raise argument_error(
            "JAX_PLATFORMS", "name a platform that JAX finds here", f"is {asked!r}",
            "unset it, set it to cpu, or install JAX and the driver for that platform",
        ) from None  # fmt: skip
