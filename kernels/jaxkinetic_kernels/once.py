"""A value computed once, not once in every consumer: what XLA's fusion on the CPU needs to be told."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["SMALL", "once", "row_sums"]

# Below this many numbers a program is compiled for longer than the work saved takes.
SMALL = 1 << 12


def once(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)`, in memory before anything reads it on the CPU; elsewhere, and for little, simply `fn(*args)`.

    XLA's CPU fusions have one output each, and a cheap producer is recomputed in every one of them: a hash of 60
    integer operations counts as cheap. It drops `optimization_barrier` before it fuses; a conditional, whose predicate
    the barrier hides until then, stays. Pass vectors and build the tile inside `fn`: arguments are in memory too.

    **Returns:** what `fn` returns; derivatives of every kind pass. Cost: a few microseconds besides that of `fn`.
    """
    program = jax.jit(fn)  # Traced once for all that follows.
    shapes = jax.eval_shape(program, *args)
    if sum(math.prod(x.shape) for x in jax.tree.leaves(shapes)) < SMALL:
        return fn(*args)

    def nothing(*_: Any) -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    # Where it is a constant, XLA calls `fn` without a conditional.
    true = jnp.ones((), bool)
    hidden = jax.lax.platform_dependent(true, cpu=jax.lax.optimization_barrier, default=lambda true: true)
    return jax.lax.cond(hidden, program, nothing, *args)


def row_sums(values: jax.Array) -> jax.Array:
    """The sum over the last axis of a (B, N) tile.

    On the CPU a product with ones: the reduction would draw the elementwise work that leads to it into a library call
    that goes through memory at every operation (1.2-1.5x slower, measured on the sums of Landau's matrix).
    """

    if math.prod(values.shape) < SMALL:
        return jnp.sum(values, axis=-1)

    def product(x: jax.Array) -> jax.Array:
        ones = jnp.ones(x.shape[-1], x.dtype)
        return jax.lax.dot_general(x, ones, (((1,), (0,)), ((), ())), precision=jax.lax.Precision.HIGHEST)

    def reduction(x: jax.Array) -> jax.Array:
        return jnp.sum(x, axis=-1)

    return jax.lax.platform_dependent(values, cpu=product, default=reduction)
