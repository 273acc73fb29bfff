"""Layouts of the time loop, which determine what its backward pass stores.

The loops over steps and over saves are nested scans of static length whose surplus iterations are skipped by `lax.cond` on a
traced count. So the program holds one copy of the step, whatever the numbers of steps and saves, and a run cut in two is
bitwise identical to the complete run. An accelerator would wait for the host at each condition: there a small number of
surplus steps is computed and discarded.
"""

import abc
import math
from collections.abc import Callable
from functools import partial
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._util.printing import Printed
from .._util.types import Array, PyTree
from .loops import (
    Lengths,
    checkpointed_block,
    is_small,
    only_on_cpu,
    single_iteration,
    skippable_step,
    unchanged,
    zeros_like_shapes,
)


class Problem(NamedTuple):
    """A run as functions of `given`, all arrays that come from outside the loop, and of `loop`, the loop's own state.

    `step(given, loop)`: one step. `back(given, loop)`: its inverse, if the scheme is reversible. `take(given, loop)`: the
    values to save. `moving(loop)`: the part that `back` restores. `throw`: whether a gradient that is known to be wrong raises
    an error; otherwise it is NaN."""

    step: Callable[[PyTree, PyTree], PyTree]
    back: Callable[[PyTree, PyTree], PyTree]
    take: Callable[[PyTree, PyTree], PyTree]
    moving: Callable[[PyTree], PyTree]
    lengths: Lengths
    throw: bool


class AbstractAdjoint(Printed):
    """How the time loop is laid out and differentiated."""

    reversible: ClassVar[bool] = False

    @abc.abstractmethod
    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        """`body` applied `count` times, at most `lengths.longest`, which is at least 2."""

    @abc.abstractmethod
    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        """`jax.lax.scan(body, loop, xs)`."""

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        """(final loop, saved values): interval k has counts[k] steps; its end is saved if wanted[k]."""
        shapes = eqx.filter_eval_shape(problem.take, given, loop)

        def interval(loop: PyTree, xs: tuple[Array, Array]) -> tuple[PyTree, PyTree]:
            # An interval without a save fills its row with zeros, which the caller cuts off.
            count, wanted = xs
            loop = self._moved(partial(problem.step, given), loop, count, problem.lengths)
            return loop, jax.lax.cond(wanted, partial(problem.take, given), lambda _: zeros_like_shapes(shapes), loop)

        return self.collect(interval, loop, (counts, wanted))

    def _moved(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        """`repeat`; accelerators skip it for an empty interval, whose surplus steps they would otherwise compute."""

        def moved(loop: PyTree) -> PyTree:
            return self.repeat(body, loop, count, lengths)

        # One condition per interval instead of one per step. On the CPU `repeat` itself skips the steps.
        if not lengths.empty:
            return moved(loop)
        return jax.lax.cond(only_on_cpu(count > 0, False), moved, unchanged, loop)


class Direct(AbstractAdjoint):
    """Stores every step: the fastest gradient, with memory O(num_steps). Forward and reverse mode."""

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        # `longest` is at least 2: XLA unrolls a scan of length 1, whose result then differs in the last bit.
        turn = skippable_step(body, count, lengths)
        return jax.lax.scan(turn, loop, jnp.arange(lengths.longest, dtype=jnp.int32))[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        if jax.tree.leaves(xs)[0].shape[0] == 1:
            return single_iteration(body, loop, xs)
        return jax.lax.scan(body, loop, xs)


class Checkpointed(AbstractAdjoint):
    """Stores about 2 sqrt(n) of n states at each of two levels, between saves and over saves, and recomputes the steps between
    them.

    Memory: O(sqrt(num_steps)) states. A gradient recomputes each step once for every level that has more than one block. If
    all n states together take at most 256 kB, every step is stored, as in `Direct`: the program is a third as large, and no
    step runs twice. Forward and reverse mode.
    """

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        # If the states of all intervals together are small, both levels store everything.
        if is_small(loop, counts.shape[0] * problem.lengths.longest):
            return Direct().run(problem, given, loop, counts, wanted)
        return super().run(problem, given, loop, counts, wanted)

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        if is_small(loop, lengths.longest):
            return Direct().repeat(body, loop, count, lengths)
        num = lengths.longest
        # The smallest divisor not below sqrt(num), so that no block is partly empty.
        size = next(size for size in range(math.isqrt(num - 1) + 1, num + 1) if num % size == 0)
        num_blocks = num // size
        turn = skippable_step(body, count, lengths)

        def block(loop: PyTree, start: Array) -> tuple[PyTree, None]:
            return jax.lax.scan(turn, loop, start + jnp.arange(size, dtype=jnp.int32))

        starts = size * jnp.arange(num_blocks, dtype=jnp.int32)
        return jax.lax.scan(checkpointed_block(block, num_blocks), loop, starts)[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        num = jax.tree.leaves(xs)[0].shape[0]
        size = max(1, math.isqrt(max(num, 1) - 1) + 1)
        num_blocks = -(-num // size)
        surplus = num_blocks * size - num
        if num == 1:
            return single_iteration(body, loop, xs)
        # Shapes of one save, for the zeros in the places of surplus iterations.
        _, shapes = eqx.filter_eval_shape(body, loop, jax.tree.map(lambda x: x[0], xs))

        def turn(loop: PyTree, index_and_x: tuple[Array, PyTree]) -> tuple[PyTree, PyTree]:
            index, x = index_and_x
            return jax.lax.cond(index < num, body, lambda same, _: (same, zeros_like_shapes(shapes)), loop, x)

        def block(loop: PyTree, pairs: PyTree) -> tuple[PyTree, PyTree]:
            return jax.lax.scan(turn, loop, pairs)

        def split(x: Array) -> Array:
            # The surplus entries repeat the first ones; `turn` skips them and the last line cuts them off.
            return jnp.concatenate([x, x[:surplus]]).reshape(num_blocks, size, *x.shape[1:])

        blocks = (jnp.arange(num_blocks * size).reshape(num_blocks, size), jax.tree.map(split, xs))
        loop, ys = jax.lax.scan(checkpointed_block(block, num_blocks), loop, blocks)
        return loop, jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[:num], ys)
