"""How the time loop is laid out, and so what its backward pass stores.

Both loops are nested scans of static length whose surplus turns are skipped by `lax.cond` on a traced count: the
program holds one copy of the step, whatever the numbers of steps and saves, and a run cut in two is bitwise the whole.
"""

import abc
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ._types import Array, PyTree


class AbstractAdjoint(eqx.Module):
    """How a run is differentiated."""

    @abc.abstractmethod
    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, bound: int) -> PyTree:
        """`body` applied `count` times, count <= bound."""

    @abc.abstractmethod
    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        """`jax.lax.scan(body, loop, xs)`."""


def _skippable(body: Callable[[PyTree], PyTree], count: Array) -> Callable[[PyTree, Array], tuple[PyTree, None]]:
    def turn(loop: PyTree, index: Array) -> tuple[PyTree, None]:
        return jax.lax.cond(index < count, body, lambda same: same, loop), None

    return turn


class Direct(AbstractAdjoint):
    """Stores every step: the cheapest gradient, memory O(num_steps). Forward and reverse mode."""

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, bound: int) -> PyTree:
        # Never a scan of length 1: it would be compiled without its loop, and differ in the last bit.
        return jax.lax.scan(_skippable(body, count), loop, jnp.arange(max(bound, 2), dtype=jnp.int32))[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        return jax.lax.scan(body, loop, xs)


class Checkpointed(AbstractAdjoint):
    """Stores about 2 sqrt(n) of n states, between saves and over saves, and recomputes the steps between them.

    Memory O(sqrt(num_steps)) states; one gradient costs each step one more forward pass for each of the two levels that
    has more than one block.
    Forward and reverse mode.
    """

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, bound: int) -> PyTree:
        size = max(2, math.isqrt(max(bound, 1) - 1) + 1)
        num_blocks = -(-bound // size)
        turn = _skippable(body, count)

        def block(loop: PyTree, start: Array) -> tuple[PyTree, None]:
            return jax.lax.scan(turn, loop, start + jnp.arange(size, dtype=jnp.int32))

        starts = size * jnp.arange(num_blocks, dtype=jnp.int32)
        return jax.lax.scan(_checkpoint(block, num_blocks), loop, starts)[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        num = jax.tree.leaves(xs)[0].shape[0]
        size = max(1, math.isqrt(max(num, 1) - 1) + 1)
        num_blocks = -(-num // size)
        surplus = num_blocks * size - num
        _, shapes = eqx.filter_eval_shape(body, loop, jax.tree.map(lambda x: x[0], xs))

        def turn(loop: PyTree, index_and_x: tuple[Array, PyTree]) -> tuple[PyTree, PyTree]:
            index, x = index_and_x
            return jax.lax.cond(index < num, body, lambda same, _: (same, _zeros(shapes)), loop, x)

        def block(loop: PyTree, pairs: PyTree) -> tuple[PyTree, PyTree]:
            return jax.lax.scan(turn, loop, pairs)

        def split(x: Array) -> Array:
            return jnp.concatenate([x, x[:surplus]]).reshape(num_blocks, size, *x.shape[1:])

        blocks = (jnp.arange(num_blocks * size).reshape(num_blocks, size), jax.tree.map(split, xs))
        loop, ys = jax.lax.scan(_checkpoint(block, num_blocks), loop, blocks)
        return loop, jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[:num], ys)


def _checkpoint(block: Callable, num_blocks: int) -> Callable:
    # One block alone would be run twice and save nothing. Inside a scan nothing can be merged across the barrier that
    # `jax.checkpoint` sets by default, so it is left out.
    return block if num_blocks == 1 else jax.checkpoint(block, prevent_cse=False)


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
