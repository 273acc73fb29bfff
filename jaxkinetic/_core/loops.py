"""Nested scans of static length, from which the time loop and the loops inside a step are built."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.types import Array, PyTree

# Up to so many bytes of all states every step is stored: recomputing would make the program three times as large.
_FEW_BYTES = 1 << 18
# Up to so many bytes of one state the intermediate arrays of a step are stored.
_SMALL_STATE = 1 << 14

# With at least this many steps between saves, accelerators run without a condition per step.
_SHORT = 10


class Lengths(NamedTuple):
    """Static data on the numbers of steps between saves.

    `longest`: an upper bound. `even`: whether all intervals that are not empty have almost that length, and at least 10 steps.
    Then at most one step in 32 is surplus, and computing it in vain costs an accelerator less than asking the host at every
    step. `empty`: whether there are also empty intervals. `exact`: whether no step is surplus."""

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
    """The next number of the form n^2 or n (n + 1), or up to 300 the next multiple of 10 if that is smaller; above 300
    multiples of 100 are kept. Such a number divides into equal blocks of about its square root. Runs of almost the same length
    then share one program with few surplus steps, and runs of a round number of steps have none."""
    if longest > 300 and longest % 100 == 0:
        return longest
    size = max(math.isqrt(max(longest, 1) - 1) + 1, 2)
    bound = size * -(-longest // size)
    return max(2, min(bound, 10 * -(-longest // 10)) if longest <= 300 else bound)


def skippable_step(
    body: Callable[[PyTree], PyTree], count: Array, lengths: Lengths
) -> Callable[[PyTree, Array], tuple[PyTree, None]]:
    """A scan body that makes a step if its index is below `count`. On a CPU, and for intervals that are not `even`, a condition
    skips surplus steps; on an accelerator they are computed and discarded. One copy of the step serves both platforms: the
    condition that a platform does not need is the constant True there, and XLA removes it."""

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
    """With `cpu` True: `condition` on the CPU and True on accelerators. With `cpu` False: the reverse."""
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


def prefix_loop(count: Array, body: Callable[[PyTree, Array], PyTree], loop: PyTree, turns: int) -> PyTree:
    """`body(loop, index)` for index 0 to min(count, turns) - 1, with reverse mode. Blocks of about sqrt(turns) indices are
    skipped together: on a CPU a condition that skips a turn copies `loop`."""
    size = math.isqrt(max(turns, 1) - 1) + 1

    def block(loop: PyTree, start: Array) -> PyTree:
        return bounded_loop(lambda _, k: start + k < count, lambda loop, k: body(loop, start + k), loop, size)

    # Indices from `turns` on are never reached.
    count = jnp.minimum(count, turns)
    blocks = -(-turns // size)
    return bounded_loop(lambda _, k: k * size < count, lambda loop, k: block(loop, k * size), loop, blocks)


def unconditional_loop(body: Callable[[PyTree, Array], PyTree], loop: PyTree, turns: int) -> PyTree:
    """Run `body(loop, index)` for index 0 to turns - 1 without conditions, and for up to sqrt(turns) further indices, for which
    `body` must change nothing. The backward pass stores about 2 sqrt(turns) states, or all if they are small."""
    size = turns if is_small(loop, turns) else math.isqrt(turns - 1) + 1

    # The index is counted, not read from an array: XLA runs a loop over small arrays faster, and an array of 200 indices is not
    # small.
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
    """`step`, recomputed in the backward pass from its arguments. For a small `state`, `step` itself: its intermediate arrays
    are cheap to store, and the program needs no second copy of the step. `options`: those of `jax.checkpoint`."""
    return step if floating_bytes(state) <= _SMALL_STATE else eqx.filter_checkpoint(step, **options)


def is_small(loop: PyTree, steps: int) -> bool:
    """Whether `steps` states are small enough to store every step. The residuals that a gradient needs from a step take ten to
    forty times the bytes of its state."""
    return steps * floating_bytes(loop) <= _FEW_BYTES


def floating_bytes(tree: PyTree) -> int:
    """Total size in bytes of the floating and complex leaves."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def single_iteration(
    body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree
) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan` over one entry, written without a loop, since XLA would unroll it anyway."""
    loop, ys = body(loop, jax.tree.map(lambda x: x[0], xs))
    return loop, jax.tree.map(lambda y: y[None], ys)


def checkpointed_block(block: Callable, num_blocks: int) -> Callable:
    # A single block would be run twice and save nothing. `prevent_cse=False`: inside a scan XLA cannot merge the recomputation
    # with the forward pass anyway, so the barrier that `jax.checkpoint` sets by default is not needed.
    return block if num_blocks == 1 else jax.checkpoint(block, prevent_cse=False)


def zeros_like_shapes(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
