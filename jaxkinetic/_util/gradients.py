"""Derivative rules: raise where a gradient would be biased, and differentiate a root through its equation.

The reverse mode of `jax.lax.scan` drops the rule of a `jax.custom_jvp` function in the loop body once it has been used
(JaxprTrace.process_custom_jvp_call, JAX 0.10): a second derivative by forward over reverse or reverse over reverse then goes
through the function's own operations. So these must have the right derivative too, or raise.
"""

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
    return _guarded(message, x)


@partial(forbid_gradient.defjvp, symbolic_zeros=True)
def _refuse(message, primals, tangents):
    # JAX passes a symbolic zero, and not an array of zeros, where x is constant in the variable of differentiation.
    if isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        return forbid_gradient(message, primals[0]), jnp.zeros_like(primals[0])
    raise ValueError(message)


# The guard that remains where the rule above is dropped. It is not the only one, because vmap may instantiate its zeros.
@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _guarded(message: str, x: Array) -> Array:
    return x


def _forward(message, x):
    raise ValueError(message)


def _backward(message, _, cotangent):
    raise ValueError(message)


_guarded.defvjp(_forward, _backward)


def implicit_root(f: Callable[[Array], Array], root: Array) -> Array:
    """Return `root` (n,), where f (n,) vanishes to round-off, with derivatives of every order and mode with respect to the
    values that f closes over, by the implicit function theorem. (Inside a `jax.lax.scan` or `jax.lax.map`, to second order.)"""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(target)), target)

    return _differentiable_root(f, root, tangent_solve)


def elementwise_root(f: Callable[[Array], Array], root: Array, *, least: float) -> Array:
    """`implicit_root` of a function of each entry alone. The derivatives are 0 where the slope of f is at most `least`."""

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        slope = linear(jnp.ones_like(target))
        usable = slope > least
        return jnp.where(usable, target / jnp.where(usable, slope, jnp.ones_like(slope)), jnp.zeros_like(target))

    return _differentiable_root(f, root, tangent_solve)


def _differentiable_root(
    f: Callable[[Array], Array], root: Array, tangent_solve: Callable[[Callable[[Array], Array], Array], Array]
) -> Array:
    def solve(f: Callable[[Array], Array], start: Array) -> Array:
        # A step of Newton's method, only for its derivative, which JAX takes where it has dropped the rule of `custom_root`.
        value, linear = jax.linearize(f, start)
        return zero_with_derivative(-tangent_solve(linear, value)) + start

    return jax.lax.custom_root(f, jax.lax.stop_gradient(root), solve, tangent_solve)


def zero_with_derivative(x: Array) -> Array:
    """0, with the derivative of x where x is finite. A program that is not differentiated does not compute x for it.

    The solution y = 1 of y/(1 + x - x) = 1, less 1: the derivative of a linear equation is a rule of JAX that loops keep, and
    its solver reads the right-hand side only. (XLA computes both terms of a difference x - x.)
    """
    finite = jnp.where(jnp.isfinite(x), x, jnp.zeros_like(x))
    change, one = finite - jax.lax.stop_gradient(finite), jnp.ones_like(x)
    return jax.lax.custom_linear_solve(lambda y: y / (one + change), one, lambda _, right: right, symmetric=True) - one
