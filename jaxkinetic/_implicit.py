"""Derivatives of what is defined by an equation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ._types import Array


def implicit(f: Callable[[Array], Array], root: Array) -> Array:
    """`root` (n,), where f (n,) is 0 to round-off, with the derivatives of every order and mode in what f closes over."""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(target)), target)

    return jax.lax.custom_root(f, jax.lax.stop_gradient(root), lambda _, start: start, tangent_solve)
