"""A count has no derivative: one that is asked for is refused, not returned as 0."""

from functools import partial

import jax
from jaxtyping import Array


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def counted(name: str, x: Array) -> Array:
    """x itself; differentiating through it raises `ValueError`, which names the diagnostic `name`."""
    return x


@partial(counted.defjvp, symbolic_zeros=True)
def _refuse(name, primals, tangents):
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return primals[0], jax.numpy.zeros_like(primals[0])
    raise ValueError(
        f"`{name}` counts particles in bins, and a count has no derivative; differentiate a moment, `grid_entropy`, "
        "`kde_entropy` or a distance, or wrap the velocities in `jax.lax.stop_gradient`."
    )
