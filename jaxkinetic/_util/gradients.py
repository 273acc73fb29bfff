"""Derivative rules: raise where a gradient would be biased, and differentiate a root through its equation."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def forbid_gradient(message: str, x: Array) -> Array:
    """Return x; differentiating through it raises `ValueError(message)` while tracing.

    If x does not depend on the variable of differentiation, nothing is raised, also under `jit`, `vmap`, loops and
    `jax.checkpoint`.
    """
    return x


@partial(forbid_gradient.defjvp, symbolic_zeros=True)
def _refuse(message, primals, tangents):
    # JAX passes a symbolic zero, and not an array of zeros, where x is constant in the variable of differentiation.
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return primals[0], jnp.zeros_like(primals[0])
    raise ValueError(message)


def _solution(_: Callable[[Array], Array], start: Array) -> Array:
    # A new array: if the solution is `start` itself, the backward pass of a scan keeps `start`, which has no derivative, in the
    # place of the root, and second derivatives are wrong without an error (JAX 0.7 to 0.10).
    return start * jnp.ones((), start.dtype)


def implicit_root(f: Callable[[Array], Array], root: Array) -> Array:
    """Return `root` (n,), where f (n,) vanishes to round-off, with derivatives of every order and mode with respect to the
    values that f closes over, by the implicit function theorem."""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(target)), target)

    return jax.lax.custom_root(f, jax.lax.stop_gradient(root), _solution, tangent_solve)


def elementwise_root(f: Callable[[Array], Array], root: Array, *, least: float) -> Array:
    """Return `root` (n,), where f, a function of each entry alone, vanishes, with derivatives of every order and mode with
    respect to the values that f closes over. They are 0 where the slope of f is at most `least`."""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        slope = linear(jnp.ones_like(target))
        usable = slope > least
        return jnp.where(usable, target / jnp.where(usable, slope, jnp.ones_like(slope)), jnp.zeros_like(target))

    return jax.lax.custom_root(f, jax.lax.stop_gradient(root), _solution, tangent_solve)
