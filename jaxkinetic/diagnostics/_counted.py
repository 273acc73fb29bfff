"""Counts are piecewise constant: differentiating them raises an error instead of returning the useless value 0."""

from jaxtyping import Array, Float

from .._util.gradients import forbid_gradient


def counted(name: str, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x itself; differentiating through it raises `ValueError`, which names the diagnostic `name`."""
    return forbid_gradient(
        f"`{name}` counts particles in bins, and a count has no derivative; differentiate a moment, `grid_entropy`, "
        "`kde_entropy` or a distance, or wrap the velocities in `jax.lax.stop_gradient`.",
        x,
    )
