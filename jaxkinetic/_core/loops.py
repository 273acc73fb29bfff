"""Nested scans of static length: how the time loop and the loops inside of a step are laid out."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.types import Array, PyTree

# Bytes of all states of a run up to which every step is stored: recomputing would make the program three times as large.
_FEW_BYTES = 1 << 18
# Bytes of one state up to which the intermediate arrays of a step are stored.
_SMALL_STATE = 1 << 14

# Steps between saves from which accelerators do without conditions.
_SHORT = 10


class Lengths(NamedTuple):
    """Of the intervals between saves, known while tracing.

    `longest`: a bound of the number of steps. `even`: whether the intervals that are not empty are almost that long, and not
    short. To compute the surplus steps in vain, at most one in 32, then costs an accelerator less than to ask the host at
    every step whether to take it. `empty`: whether there are empty ones besides. `exact`: no step is surplus."""

    longest: int
    even: bool = False
    empty: bool = False
    exact: bool = False

    @classmethod
    def of(cls, counts: np.ndarray, longest: int) -> "Lengths":
        longest, steps = rounded_up(longest), counts[counts > 0]
        even = longest >= _SHORT and bool(32 * (longest * steps.size - steps.sum()) <= steps.sum())
        return cls(longest, even, even and bool((counts == 0).any()), even and bool((steps == longest).all()))


def rounded_up(longest: int) -> int:
    """The next number of the form n^2 or n (n + 1), or the next multiple of 10 up to 300 if that is smaller; a multiple of 100
    as it is. Blocks of about its square root hold as many. Runs of almost the same length then share one program, and few of
    its steps are surplus, none in runs of round numbers."""
    if longest > 300 and longest % 100 == 0:
        return longest
    size = max(math.isqrt(max(longest, 1) - 1) + 1, 2)
    bound = size * -(-longest // size)
    return max(2, min(bound, 10 * -(-longest // 10)) if longest <= 300 else bound)


def skippable_step(
    body: Callable[[PyTree], PyTree], count: Array, lengths: Lengths
) -> Callable[[PyTree, Array], tuple[PyTree, None]]:
    """A step, if its index is below `count`. If intervals are `even`, an accelerator computes the surplus steps too, and
    drops them; on the CPU, and else, a condition skips them. One copy of the step serves both: a condition that the
    platform does not use is True there, and XLA's simplification removes it."""

    def turn(loop: PyTree, index: Array) -> tuple[PyTree, None]:
        wanted = index < count
        if not lengths.even:
            return jax.lax.cond(wanted, body, unchanged, loop), None
        new = jax.lax.cond(only_on_cpu(wanted, True), body, unchanged, loop)
        if lengths.exact:
            return new, None
        kept = only_on_cpu(wanted, False)
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), new, loop), None

    return turn


def unchanged(loop: PyTree) -> PyTree:
    return loop


def only_on_cpu(condition: Array, cpu: bool) -> Array:
    """`condition` on the CPU and True on accelerators; with `cpu` False the other way round."""
    known = {True: lambda x: x, False: jnp.ones_like}
    return jax.lax.platform_dependent(condition, cpu=known[cpu], default=known[not cpu])


def bounded_loop(
    go: Callable[[PyTree, Array], Array], body: Callable[[PyTree, Array], PyTree], loop: PyTree, turns: int
) -> PyTree:
    """`body(loop, index)` for index 0 to turns - 1 where `go(loop, index)`, else `loop` unchanged. Reverse mode can run through
    it, unlike through a `while_loop`."""

    def turn(loop: PyTree, index: Array) -> tuple[PyTree, None]:
        return jax.lax.cond(go(loop, index), lambda loop: body(loop, index), unchanged, loop), None

    return jax.lax.scan(turn, loop, jnp.arange(turns, dtype=jnp.int32))[0]


def unconditional_loop(body: Callable[[PyTree, Array], PyTree], loop: PyTree, turns: int) -> PyTree:
    """`body(loop, index)` for index 0 to turns - 1 without a condition, and for up to sqrt(turns) more, where `body` must
    change nothing. Stores about 2 sqrt(turns) states for the backward pass, or all if they are small."""
    size = turns if is_small(loop, turns) else math.isqrt(turns - 1) + 1

    # The index is counted, not read from an array: XLA runs a loop over small arrays faster, and 200 indices are not small.
    def turn(state: tuple[PyTree, Array], _: None) -> tuple[tuple[PyTree, Array], None]:
        loop, index = state
        return (body(loop, index), index + 1), None

    def block(loop: PyTree, start: Array) -> tuple[PyTree, None]:
        return jax.lax.scan(turn, (loop, start), length=size)[0][0], None

    starts = np.arange(0, turns, size, dtype=np.int32)
    if starts.size == 1:
        return block(loop, jnp.zeros((), jnp.int32))[0]
    return jax.lax.scan(checkpointed_block(block, starts.size), loop, jnp.asarray(starts))[0]


def recomputed(step: Callable[..., Any], state: PyTree, **options: Any) -> Callable[..., Any]:
    """`step`, recomputed in the backward pass from its arguments. If `state` is small, `step` itself: storing its intermediate
    arrays is cheap, and the program holds no second copy of the step. `options`: those of `jax.checkpoint`."""
    return step if floating_bytes(state) <= _SMALL_STATE else eqx.filter_checkpoint(step, **options)


def is_small(loop: PyTree, steps: int) -> bool:
    """Whether that many states are small enough to store every step. What a derivative needs of a step takes ten to forty times
    the bytes of its state."""
    return steps * floating_bytes(loop) <= _FEW_BYTES


def floating_bytes(tree: PyTree) -> int:
    """Bytes of the floating and complex leaves."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def single_iteration(
    body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree
) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan` over one entry, without a loop: XLA would unroll it."""
    loop, ys = body(loop, jax.tree.map(lambda x: x[0], xs))
    return loop, jax.tree.map(lambda y: y[None], ys)


def checkpointed_block(block: Callable, num_blocks: int) -> Callable:
    # One block alone would be run twice and save nothing. Inside a scan nothing can be merged across the barrier that
    # `jax.checkpoint` sets by default, so it is left out.
    return block if num_blocks == 1 else jax.checkpoint(block, prevent_cse=False)


def zeros_like_shapes(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
