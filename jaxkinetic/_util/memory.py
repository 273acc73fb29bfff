"""Raises an error for arrays that do not fit into memory, before they are allocated."""

import os

import jax

from .checks import argument_error


def check_memory(argument: str, nbytes: int, what: str, do: str) -> None:
    """**Raises:** `ValueError` if the total memory of the first device (for a CPU: of this machine) is below `nbytes`."""
    have = _device_bytes()
    if have is not None and nbytes > have:
        gib = 2**30
        raise argument_error(
            argument, "fit into memory", f"{what} takes {nbytes / gib:.3g} GiB of {have / gib:.3g}", do
        )


def _device_bytes() -> int | None:
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
