"""What does not fit is refused before it is allocated."""

import os

import jax

from .._util.checks import argument_error


def check_memory(argument: str, nbytes: int, what: str, do: str) -> None:
    """**Raises:** `ValueError` if the first device (a CPU: this machine) has fewer bytes in all."""
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
