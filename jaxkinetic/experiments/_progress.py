"""A bar that advances while a compiled program runs."""

import sys
from types import TracebackType

import jax
import jax.numpy as jnp
from tqdm import tqdm

from .._save import Context
from .._types import Array


class Progress:
    """`with Progress("label", total): ...`; `tick` is a contextual observable that moves the bar by one."""

    def __init__(self, label: str, total: int, *, shown: bool = True, unit: str = "save"):
        self._bar = tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=not shown, smoothing=0.05)

    def tick(self, ctx: Context) -> Array:
        # The key differs between replicas, so that a batch of them calls back once for each.
        jax.debug.callback(self._advance, jax.random.key_data(ctx.key))
        return jnp.zeros((), bool)

    def _advance(self, words: Array) -> None:
        if not self._bar.disable:
            self._bar.update(1)

    def advance(self, count: int = 1) -> None:
        """By what was done, or found on disk."""
        self._bar.update(count)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        jax.effects_barrier()
        self._bar.close()
