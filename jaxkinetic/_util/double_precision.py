"""Run small jitted programs on concrete data in float64 on the host's CPU."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def in_double_precision(program: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the jitted function `program` so that it works on float64 copies of its concrete arrays. Floating results are cast
    back to the dtype of the first floating argument and put on the default device. Without a CPU backend the program itself
    runs on the default device."""

    def run(*args: Any) -> Any:
        leaves = [leaf for leaf in jax.tree.leaves(args) if isinstance(leaf, (np.ndarray, jax.Array))]
        dtype = next(leaf.dtype for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating))
        with jax.enable_x64(True), jax.default_device(_host()):
            results = jax.tree.map(np.asarray, program(*jax.tree.map(_wide, args)))
        with np.errstate(over="ignore"):
            return jax.tree.map(lambda x: jnp.asarray(x.astype(dtype) if x.dtype.kind == "f" else x), results)

    return run


def _wide(x: Any) -> Any:
    if isinstance(x, (np.ndarray, jax.Array, np.generic)) and jnp.issubdtype(x.dtype, jnp.floating):
        return np.asarray(x, np.float64)
    return x


def _host() -> Any:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None
