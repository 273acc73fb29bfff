"""The times of steps and saves, in double precision where t0 and dt are known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import is_traced
from .._util.types import Array, PyTree
from .checkpoint import Checkpoint


def clock_of(t0: Any, dt: Any) -> tuple[float, float] | None:
    """t0 and dt in double precision, None if one of them is traced."""
    return None if is_traced(t0, dt) else (float(t0), float(dt))


def times_of(start: Checkpoint, steps: np.ndarray, carry: PyTree = None) -> Array | np.ndarray:
    """t0 + step dt: of known t0 and dt by NumPy in float64. In float32 the times of dt = .01 after t0 = 1e6 coincide.
    Rounded to the state's dtype where `carry` is traced, and known there too: windows and fits may look at them."""
    clock = _own_clock(start)
    if clock is None:
        return start.t0 + jnp.asarray(steps, start.dt.dtype) * start.dt
    t0, dt = clock
    times = np.asarray(t0 + steps * dt)
    return known_in_a_trace(times, start.dt.dtype) if is_traced(carry) else times


def known_in_a_trace(times: np.ndarray, dtype: Any) -> Array:
    """The times as an array of JAX that is not traced, inside of a trace too."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(times.astype(dtype))


def _own_clock(start: Checkpoint) -> tuple[float, float] | None:
    """Its `clock`, unless t0 or dt were changed since (`eqx.tree_at`): then theirs."""
    rounded = start.clock is not None and not is_traced(start.t0, start.dt)
    if rounded:
        known = np.asarray(start.clock).astype(start.dt.dtype)
        if not all(np.all(np.asarray(x) == y) for x, y in zip((start.t0, start.dt), known, strict=True)):
            return clock_of(start.t0, start.dt)
    return clock_of(start.t0, start.dt) if start.clock is None else start.clock
