"""Control of XLA's fusion on the CPU: compute a value once and keep it in memory."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["SMALL", "materialise", "materialise_both", "materialise_words", "once", "once_on_cpu", "row_sums"]

# For fewer numbers, the additional compile time exceeds the time that is saved.
SMALL = 1 << 12


def once(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)`, written to memory before anything reads it on the CPU. Elsewhere, and for small results, just `fn(*args)`.

    XLA's CPU fusions have one output each, and a producer that counts as cheap, such as a hash of 60 integer operations, is
    recomputed in each of them. XLA removes `optimization_barrier` before it fuses, but keeps a conditional whose predicate the
    barrier hides until then. The arguments are in memory too, so pass vectors and build the tile inside `fn`.

    **Returns:** the value of `fn`, differentiable in every mode. Cost: a few microseconds besides that of `fn`.
    """
    program = jax.jit(fn)  # traced once for `eval_shape` and for the conditional
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

    On the CPU it is a product with ones: XLA would fuse a reduction with the elementwise work before it into a library call
    that goes through memory at every operation (1.2-1.5x slower, measured on the sums of the Landau matrix).
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
    """Return x, computed once and kept in memory on the CPU. Pass two real arrays that come from one hash as one complex array,
    since two arrays would take two loops.

    The derivative is the identity, without a second conditional."""
    return materialise_both(x)


@materialise.defjvp
def _materialise_jvp(primals, tangents):
    return materialise(*primals), tangents[0]


def materialise_both(x: jax.Array) -> jax.Array:
    """`materialise` whose tangent or cotangent is kept in memory too: for an array whose cotangent is expensive and is read by
    more than one kernel (because the array is gathered, or added to both partners of a pair)."""

    return jax.lax.platform_dependent(x, cpu=lambda x: once_on_cpu(lambda x: x, x), default=lambda x: x)


def materialise_words(words: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """uint32 words of one shape, kept in memory on the CPU. Two words share one array, so that their hash is computed once for
    both, however many kernels read them."""
    count = len(words)
    words = words + words[-1:] * (count % 2)
    out: tuple[jax.Array, ...] = ()
    for a, b in zip(words[::2], words[1::2], strict=True):
        # The floats are only moved, never computed with, so that no bit changes.
        pair = materialise(jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in (a, b))))
        out += tuple(jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (pair.real, pair.imag))
    return out[:count]
