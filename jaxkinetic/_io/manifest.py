"""What made a result: version and commit of this library, versions of its dependencies, and the device."""

import functools
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

__all__ = ["code", "commit", "device", "machine", "version"]


def code() -> dict[str, Any]:
    """The version and the commit of this library, and the version of JAX."""
    return {"version": version(), "commit": commit(), "jax": jax.__version__}


def machine() -> dict[str, str]:
    """The default device, and the versions of NumPy and Python."""
    return {"device": device(), "numpy": np.__version__, "python": sys.version.split()[0]}


def version() -> str:
    try:
        return metadata.version("jaxkinetic")
    except metadata.PackageNotFoundError:  # a bare checkout on the path
        return "0+unknown"


def device(*arrays: Any) -> str:
    """The device that holds the first JAX array of `arrays`, the default device if there is none: "cpu: cpu"."""
    held = next((x.devices() for x in arrays if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)), None)
    devices = sorted(held, key=lambda d: d.id) if held else jax.devices()[:1]
    several = f" x {len(devices)}" if len(devices) > 1 else ""
    return f"{devices[0].platform}: {devices[0].device_kind}{several}"


@functools.cache
def commit() -> str | None:
    """The commit of the git checkout with this package, with "-dirty" if files were changed; None outside a checkout. It is
    looked up once in a process, because the code that runs is that of the first import."""
    here = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        ours = (top / "jaxkinetic").samefile(here)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") if ours else None
    except (OSError, subprocess.CalledProcessError):
        return None
