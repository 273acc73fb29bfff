"""The outcome of a step: finite, or a fault."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._util.types import Array, PyTree
from .solution import Result
from .totals import Fault, Finite


def no_failure(dtype: jnp.dtype) -> Result:
    """The `Result` of a run that has not failed so far."""
    return Result(jnp.asarray(Result.FINISHED, jnp.int32), jnp.asarray(-1, jnp.int32), jnp.zeros(2, dtype))


def first_failure(result: Result, step: Array, carry: PyTree, info: dict[str, Any]) -> Result:
    """The result after a step. The first failure is kept; faults of the scheme take precedence over a non-finite state."""
    told = [entry.ok for entry in info.values() if isinstance(entry, Finite)]
    finite = jnp.stack(told).all() if told else _all_finite(carry)
    found = Result(jnp.where(finite, Result.FINISHED, Result.NOT_FINITE), step, jnp.zeros_like(result.detail))
    for fault in (entry for entry in info.values() if isinstance(entry, Fault)):
        told = Result(fault.code, step, fault.detail.astype(result.detail.dtype))
        found = jax.tree.map(partial(jnp.where, fault.code != 0), told, found)
    return jax.tree.map(partial(jnp.where, result.ok & ~found.ok), found, result)


def _all_finite(tree: PyTree) -> Array:
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]).all()
