"""Call NumPy functions from inside a compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from .types import Array


def on_host(
    fn: Callable[..., np.ndarray], out: jax.ShapeDtypeStruct, *args: Array, vmap_method: str = "sequential"
) -> Array:
    """Evaluate `fn(*args)` on the host while the program runs; `fn` takes NumPy arrays and returns one array like `out`. It
    has no derivative. `vmap_method`: as in `jax.pure_callback`.

    On a CPU `fn` reads the program's own memory. `jax.pure_callback` would first copy large arguments to a JAX array in a
    thread of the same pool that runs the program; with as many devices as threads this deadlocks.
    """

    def in_place(_: Any, out: Any, *args: Any) -> None:
        np.asarray(out)[...] = fn(*map(np.asarray, args))

    def on_cpu(*args: Array) -> Array:
        return buffer_callback(in_place, out, vmap_method=vmap_method)(*args)

    def elsewhere(*args: Array) -> Array:
        return jax.pure_callback(fn, out, *args, vmap_method=vmap_method)

    return jax.lax.platform_dependent(*args, cpu=on_cpu, default=elsewhere)
