"""The times of steps and saves, in double precision if t0 and dt are concrete."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import is_traced
from .._util.types import Array, PyTree
from .checkpoint import Checkpoint


def clock_of(t0: Any, dt: Any) -> tuple[float, float] | None:
    """(t0, dt) in double precision; None if one of them is traced."""
    return None if is_traced(t0, dt) else (float(t0), float(dt))


def times_of(start: Checkpoint, steps: np.ndarray, carry: PyTree = None) -> Array | np.ndarray:
    """t0 + step dt, for concrete t0 and dt by NumPy in float64: in float32, times with dt = .01 after t0 = 1e6 coincide.
    If `carry` is traced, the times are rounded to the state's dtype but stay concrete, so that windows and fits can use
    them."""
    clock = _own_clock(start)
    if clock is None:
        return start.t0 + jnp.asarray(steps, start.dt.dtype) * start.dt
    t0, dt = clock
    times = np.asarray(t0 + steps * dt)
    return known_in_a_trace(times, start.dt.dtype) if is_traced(carry) else times


def known_in_a_trace(times: np.ndarray, dtype: Any) -> Array:
    """The times as a JAX array that is concrete even inside a trace."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(times.astype(dtype))


def _own_clock(start: Checkpoint) -> tuple[float, float] | None:
    """The `clock` of a checkpoint; if t0 or dt were changed since (`eqx.tree_at`), computed from these instead."""
    rounded = start.clock is not None and not is_traced(start.t0, start.dt)
    if rounded:
        known = np.asarray(start.clock).astype(start.dt.dtype)
        if not all(np.all(np.asarray(x) == y) for x, y in zip((start.t0, start.dt), known, strict=True)):
            return clock_of(start.t0, start.dt)
    return clock_of(start.t0, start.dt) if start.clock is None else start.clock
