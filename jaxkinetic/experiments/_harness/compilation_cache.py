"""Where the command line keeps compiled programs on disk, so that the next command does not compile them again."""

import contextlib
import os
import stat
from pathlib import Path

# Largest size of the cache in bytes.
_LIMIT = 1 << 30


def cache_folder() -> str | None:
    """The folder for compiled programs: `$XDG_CACHE_HOME/jaxkinetic/jax`, or `~/.cache/jaxkinetic/jax`. None if
    `JAX_COMPILATION_CACHE_DIR` is set, which JAX reads itself, or if the folder cannot be created (no home, no space, no
    permission, a file of that name).
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return None
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = (Path(home) if home else Path.home() / ".cache") / "jaxkinetic" / "jax"
        folder.mkdir(parents=True, exist_ok=True)
        _shrink(folder)
    except (OSError, RuntimeError):
        return None
    return str(folder)


def _shrink(folder: Path) -> None:
    """Remove empty files, and the least recently used files until at most `_LIMIT` bytes are left. A full disk leaves empty
    files; JAX never overwrites an existing file, so they would stay."""
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another command may have removed it
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                files.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if not size or total > _LIMIT:
            path.unlink(missing_ok=True)
            total -= size
