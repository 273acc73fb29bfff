"""Compiled programs kept on disk from one command to the next."""

import os
from pathlib import Path

# Bytes that are kept; what was read longest ago goes first.
_LIMIT = 1 << 30


def cache_folder() -> str | None:
    """Where compiled programs are kept: `$XDG_CACHE_HOME/jaxkinetic/jax`, or `~/.cache/jaxkinetic/jax`. None where
    `JAX_COMPILATION_CACHE_DIR` says it, and where no folder can be made: no home, no space, no permission, a file in the way.
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return None
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(home) if home else Path.home() / ".cache") / "jaxkinetic" / "jax"
        folder.mkdir(parents=True, exist_ok=True)
        _shrink(folder, _LIMIT)
    except (OSError, RuntimeError):
        return None
    return str(folder)


def _shrink(folder: Path, limit: int) -> None:
    """Remove the files that were read longest ago until `limit` bytes are left."""
    files = []
    for path in folder.iterdir():
        if path.is_file():
            status = path.stat()
            files.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size
