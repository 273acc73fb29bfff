"""A bar that advances while a compiled program runs."""

import sys
from types import TracebackType

import jax
import jax.numpy as jnp
from tqdm import tqdm

from .._save import Context
from .._types import Array


class Progress:
    """`with Progress("label", total): ...`; inside of it `tick` moves the bar by one."""

    def __init__(self, label: str, total: int, *, shown: bool = True, unit: str = "save"):
        self._bar = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=not shown, smoothing=0.05)

    def advance(self, count: int = 1) -> None:
        """By what was done, or found on disk."""
        self._bar.update(count)

    def __enter__(self) -> "Progress":
        _OPEN.append(self)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        jax.effects_barrier()
        _OPEN.remove(self)
        self._bar.close()


_OPEN: list[Progress] = []


def tick(ctx: Context) -> Array:
    """A contextual observable that moves the innermost bar by one: the same for every bar, so that a program serves the next
    run too."""
    # The key differs between replicas, so that a batch of them calls back once for each.
    jax.debug.callback(_advance, jax.random.key_data(ctx.key))
    return jnp.zeros((), bool)


def _advance(words: Array) -> None:
    if _OPEN:
        _OPEN[-1].advance()
