"""Derivative rules: gradients that would be wrong raise, and derivatives of what is defined by an equation."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def forbid_gradient(message: str, x: Array) -> Array:
    """x itself; any derivative that would pass through it raises `ValueError(message)` while tracing.

    What is constant in the variable of differentiation passes: also under `jit`, `vmap`, loops and `jax.checkpoint`.
    """
    return x


@partial(forbid_gradient.defjvp, symbolic_zeros=True)
def _refuse(message, primals, tangents):
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return primals[0], jnp.zeros_like(primals[0])
    raise ValueError(message)


def implicit_root(f: Callable[[Array], Array], root: Array) -> Array:
    """`root` (n,), where f (n,) is 0 to round-off, with the derivatives of every order and mode in what f closes over."""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(target)), target)

    return jax.lax.custom_root(f, jax.lax.stop_gradient(root), lambda _, start: start, tangent_solve)
