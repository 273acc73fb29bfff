"""The part of a time derivative of a density that changes its mass, momentum or energy."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..states import Density

__all__ = ["without_moments"]


def without_moments(slope: Float[Array, "*grid"], state: Density) -> Float[Array, "*grid"]:
    """f times the polynomial alpha + beta.v + gamma |v|^2 that has the mass, momentum and energy of `slope`: subtract it, and
    the equation conserves all three to round-off. The change is largest where f is, and vanishes with it at the ends of the
    box."""
    f, grid = state.f, state.grid
    # From the middle of the box, in half lengths: all moments are then at most 1.
    half = [(axis.start + axis.length / 2, axis.length / 2) for axis in grid.axes]
    v = [(x - middle) / reach for x, (middle, reach) in zip(grid.mesh, half, strict=True)]
    functions = [jnp.ones_like(f), *v, sum((x * x for x in v[1:]), v[0] ** 2)]
    # Gram-Schmidt in the inner product with weight f.
    part = jnp.zeros_like(f)
    basis: list[Array] = []
    for function in functions:
        for other in basis:
            function = function - jnp.sum(function * other * f) * other
        function = function / jnp.sqrt(jnp.sum(function * function * f))
        basis.append(function)
        part = part + jnp.sum((slope - f * part) * function) * function
    return f * part
