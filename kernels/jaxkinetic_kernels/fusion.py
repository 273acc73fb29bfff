"""What XLA's fusion on the CPU must be told: compute a value once, and keep it in memory."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["SMALL", "materialise", "materialise_both", "materialise_words", "once", "once_on_cpu", "row_sums"]

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

    # Where it is a constant, XLA calls `fn` without a conditional.
    true = jnp.ones((), bool)
    hidden = jax.lax.platform_dependent(true, cpu=jax.lax.optimization_barrier, default=lambda true: true)
    return _conditional(hidden, program, *args)


def once_on_cpu(fn: Callable[..., Any], *args: Any) -> Any:
    """`once` of any size, for a program that is known to be compiled for the CPU (a branch of `platform_dependent`)."""
    return _conditional(jax.lax.optimization_barrier(jnp.ones((), bool)), fn, *args)


def _conditional(hidden: jax.Array, fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)` if `hidden`, which is true: what enters and leaves a conditional is in memory."""
    shapes = jax.eval_shape(fn, *args)

    def nothing(*_: Any) -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return jax.lax.cond(hidden, fn, nothing, *args)


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


@jax.custom_jvp
def materialise(x: jax.Array) -> jax.Array:
    """x itself, computed once and kept in memory. Pass two real arrays that come from one hash as one complex array: two arrays
    would be two loops.

    The derivative is the identity, without a second conditional."""
    return materialise_both(x)


@materialise.defjvp
def _materialise_jvp(primals, tangents):
    return materialise(*primals), tangents[0]


def materialise_both(x: jax.Array) -> jax.Array:
    """`materialise`, of which the derivative is kept in memory too: for an array whose cotangent costs much and is read by
    more than one kernel (what is gathered, or added to both partners of a pair)."""

    return jax.lax.platform_dependent(x, cpu=lambda x: once_on_cpu(lambda x: x, x), default=lambda x: x)


def materialise_words(words: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """uint32 words of one shape, two by two in one array in memory: one hash for two words, whoever reads them."""
    count = len(words)
    words = words + words[-1:] * (count % 2)
    out: tuple[jax.Array, ...] = ()
    for a, b in zip(words[::2], words[1::2], strict=True):
        # Moved, never computed with, so the bits are safe.
        pair = materialise(jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in (a, b))))
        out += tuple(jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (pair.real, pair.imag))
    return out[:count]
