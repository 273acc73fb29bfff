"""The process of a command: pipes whose reader leaves, devices that are not there."""

import os
import sys
from typing import Any

import jax

from ..._util.checks import argument_error


class _Stream:
    """A standard stream whose reader may leave (`... | head -1`): what is written then is lost, without an error."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        """What is in the stream's buffer is written at the end of the process: to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def outlive_readers() -> None:
    """Let the process outlive the readers of its output, also one that was not there from the start (`>&-`)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        setattr(sys, name, open(os.devnull, "w") if stream is None else _Stream(stream))  # noqa: SIM115


def check_devices() -> None:
    """**Raises:** `ValueError` if JAX finds no device of the platforms that the environment asks for."""
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
