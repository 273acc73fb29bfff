"""How the time loop is laid out, and so what its backward pass stores.

Both loops are nested scans of static length whose surplus turns are skipped by `lax.cond` on a traced count: the
program holds one copy of the step, whatever the numbers of steps and saves, and a run cut in two is bitwise the whole.
An accelerator would wait for the host at each condition: there surplus steps are computed and dropped if they are few.
"""

import abc
import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._checks import check_bool, check_scalar, is_traced, refuse
from ._printing import Printed
from ._solution import failure, stop_if
from ._types import Array, PyTree

# Bytes below which every step is stored: of all states of a run, and of one state.
_FEW_BYTES, _SMALL_STATE = 1 << 18, 1 << 14
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


class Problem(NamedTuple):
    """A run, as a function of what it is `given` from outside (every array) and of its loop.

    `step(given, loop)`: one step. `back(given, loop)`: before it, if the scheme is reversible. `take(given, loop)`: what is
    saved. `moving(loop)`: what `back` restores. `throw`: whether a gradient that is known to be wrong raises, or is NaN."""

    step: Callable[[PyTree, PyTree], PyTree]
    back: Callable[[PyTree, PyTree], PyTree]
    take: Callable[[PyTree, PyTree], PyTree]
    moving: Callable[[PyTree], PyTree]
    lengths: Lengths
    throw: bool


class AbstractAdjoint(Printed):
    """How a run is differentiated."""

    reversible: ClassVar[bool] = False

    @abc.abstractmethod
    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        """`body` applied `count` times, at most `lengths.longest`, which is at least 2."""

    @abc.abstractmethod
    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        """`jax.lax.scan(body, loop, xs)`."""

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        """(loop at the end, what was saved): for every entry of `counts` so many steps, then, where `wanted`, a save."""
        shapes = eqx.filter_eval_shape(problem.take, given, loop)

        def interval(loop: PyTree, xs: tuple[Array, Array]) -> tuple[PyTree, PyTree]:
            count, wanted = xs
            loop = self._moved(partial(problem.step, given), loop, count, problem.lengths)
            return loop, jax.lax.cond(wanted, partial(problem.take, given), lambda _: _zeros(shapes), loop)

        return self.collect(interval, loop, (counts, wanted))

    def _moved(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        """`repeat`, which accelerators skip for an empty interval."""

        def moved(loop: PyTree) -> PyTree:
            return self.repeat(body, loop, count, lengths)

        if not lengths.empty:
            return moved(loop)
        return jax.lax.cond(_only_on_cpu(count > 0, False), moved, _same, loop)


def rounded_up(longest: int) -> int:
    """The next number of the form n^2 or n (n + 1), or the next multiple of 10 up to 300 if that is smaller; a multiple of 100
    as it is. Blocks of about its square root hold as many. Runs of almost the same length then share one program, and few of
    its steps are surplus, none in runs of round numbers."""
    if longest > 300 and longest % 100 == 0:
        return longest
    size = max(math.isqrt(max(longest, 1) - 1) + 1, 2)
    bound = size * -(-longest // size)
    return max(2, min(bound, 10 * -(-longest // 10)) if longest <= 300 else bound)


def _skippable(
    body: Callable[[PyTree], PyTree], count: Array, lengths: Lengths
) -> Callable[[PyTree, Array], tuple[PyTree, None]]:
    """A step, if its index is below `count`. If intervals are `even`, an accelerator computes the surplus steps too, and
    drops them; on the CPU, and else, a condition skips them. One copy of the step serves both: a condition that the
    platform does not use is True there, and XLA's simplification removes it."""

    def turn(loop: PyTree, index: Array) -> tuple[PyTree, None]:
        wanted = index < count
        if not lengths.even:
            return jax.lax.cond(wanted, body, _same, loop), None
        new = jax.lax.cond(_only_on_cpu(wanted, True), body, _same, loop)
        if lengths.exact:
            return new, None
        kept = _only_on_cpu(wanted, False)
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), new, loop), None

    return turn


def _same(loop: PyTree) -> PyTree:
    return loop


def _only_on_cpu(condition: Array, cpu: bool) -> Array:
    """`condition` on the CPU and True on accelerators; with `cpu` False the other way round."""
    known = {True: lambda x: x, False: jnp.ones_like}
    return jax.lax.platform_dependent(condition, cpu=known[cpu], default=known[not cpu])


class Direct(AbstractAdjoint):
    """Stores every step: the cheapest gradient, memory O(num_steps). Forward and reverse mode."""

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        # Never a scan of length 1: it would be compiled without its loop, and differ in the last bit.
        turn = _skippable(body, count, lengths)
        return jax.lax.scan(turn, loop, jnp.arange(lengths.longest, dtype=jnp.int32))[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        if jax.tree.leaves(xs)[0].shape[0] == 1:
            return _once(body, loop, xs)
        return jax.lax.scan(body, loop, xs)


class Checkpointed(AbstractAdjoint):
    """Stores about 2 sqrt(n) of n states, between saves and over saves, and recomputes the steps between them.

    Memory O(sqrt(num_steps)) states; one gradient costs each step one more forward pass for each of the two levels that
    has more than one block. If all n states together take at most 256 kB, every step is stored, as `Direct` does: the program
    is a third as large, and no step runs twice.
    Forward and reverse mode.
    """

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        if _few_bytes(loop, counts.shape[0] * problem.lengths.longest):
            return Direct().run(problem, given, loop, counts, wanted)
        return super().run(problem, given, loop, counts, wanted)

    def repeat(self, body: Callable[[PyTree], PyTree], loop: PyTree, count: Array, lengths: Lengths) -> PyTree:
        if _few_bytes(loop, lengths.longest):
            return Direct().repeat(body, loop, count, lengths)
        num = lengths.longest
        size = next(size for size in range(math.isqrt(num - 1) + 1, num + 1) if num % size == 0)
        num_blocks = num // size
        turn = _skippable(body, count, lengths)

        def block(loop: PyTree, start: Array) -> tuple[PyTree, None]:
            return jax.lax.scan(turn, loop, start + jnp.arange(size, dtype=jnp.int32))

        starts = size * jnp.arange(num_blocks, dtype=jnp.int32)
        return jax.lax.scan(_checkpoint(block, num_blocks), loop, starts)[0]

    def collect(self, body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> PyTree:
        num = jax.tree.leaves(xs)[0].shape[0]
        size = max(1, math.isqrt(max(num, 1) - 1) + 1)
        num_blocks = -(-num // size)
        surplus = num_blocks * size - num
        if num == 1:
            return _once(body, loop, xs)
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


class Reversible(Direct):
    r"""Stores the first and the last state: the backward pass computes all others by running a reversible scheme backwards, to
    round-off. Memory independent of the numbers of steps and of saves (but for what is saved); a gradient costs about five
    runs.

    Chaotic paths multiply the round-off of the backward run: in float32 it is of order 1 after some ten Lyapunov times. So the
    backward pass compares the start that it rebuilds with the true one. Their distance is the largest
    $\|\text{rebuilt} - \text{true}\| / \|\text{true}\|$ over the arrays of the state, Euclidean norms (of an array that is 0
    at the start, relative to the end). Measured on six bodies
    in float32, gradients were off by 2e-4 at the distance 2e-4, by 13 % at 4e-3, and meaningless above. If the distance exceeds
    the tolerance, the gradient raises a runtime error that names it; in runs with `throw=False` the gradient is NaN. Then take
    `Checkpointed()`, float64, or fewer steps.

    **Arguments:** `tolerance`: the largest distance allowed, 1e-3 by default; `math.inf` for no limit. `measure`: also run
    backwards after the run itself, which doubles its cost, and return the distance in `solution.stats["rebuilt_error"]`.
    **Raises:** `ValueError` for a tolerance that is negative, not a number, or traced, and a `measure` that is no bool.

    For schemes that declare "reversible". Reverse mode, and forward over reverse (`jax.jvp` of `jax.grad`); plain forward
    mode is refused (under a `jax.jit` of your own in JAX's words): use `Direct` or `Checkpointed`. What an observable holds and
    is differentiated must be seen: `jax.tree_util.Partial(fn, potential=...)`, not a closure.
    """

    reversible: ClassVar[bool] = True
    tolerance: float = eqx.field(static=True)
    measure: bool = eqx.field(static=True)

    def __init__(self, tolerance: float = 1e-3, *, measure: bool = False):
        if is_traced(tolerance):
            raise refuse("tolerance", "be known while tracing", "is traced", "pass a float")
        if tolerance != math.inf:
            check_scalar("tolerance", tolerance, nonnegative=True)
        self.tolerance, self.measure = float(tolerance), check_bool("measure", measure)

    def rebuilt_error(self, problem: Problem, given: PyTree, start: PyTree, end: PyTree, counts: Array) -> Array:
        """The distance of `start` from where the steps back from `end` lead, without a derivative."""
        (given, start, end), static = eqx.partition((given, start, end), eqx.is_array)
        given, start, end = eqx.combine(jax.lax.stop_gradient((given, start, end)), static)

        def interval(loop: PyTree, count: Array) -> tuple[PyTree, None]:
            return self._moved(partial(problem.back, given), loop, count, problem.lengths), None

        rebuilt = jax.lax.scan(interval, end, counts, reverse=True)[0]
        return _distance(*map(problem.moving, (rebuilt, start, end)))

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        moving, still = eqx.partition((given, loop), eqx.is_inexact_array)
        arrays, static = eqx.partition(still, eqx.is_array)
        plain = super().run

        def computed(moving: PyTree, arrays: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
            given, loop = eqx.combine(moving, arrays, static)
            end, saved = plain(problem, given, loop, counts, wanted)
            return eqx.filter(end, eqx.is_array), saved

        def run_forward(moving: PyTree, arrays: PyTree, counts: Array, wanted: Array) -> tuple[Any, Any]:
            # Not by `run`: a rule that calls its own function has no forward derivative.
            end, saved = computed(moving, arrays, counts, wanted)
            start = problem.moving(eqx.combine(moving, arrays, static)[1])
            return (end, saved), (moving[0], arrays[0], eqx.filter(start, eqx.is_inexact_array), end, counts, wanted)

        def run_backward(kept: Any, cotangents: tuple[PyTree, PyTree]) -> Any:
            given_moving, given_arrays, true, end, counts, wanted = kept
            given_still = eqx.combine(given_arrays, static[0])

            def split(loop: PyTree) -> tuple[PyTree, PyTree]:
                return eqx.partition(loop, eqx.is_inexact_array)

            def pulled(f: Callable[[PyTree, PyTree], PyTree], loop: PyTree, cotangent: PyTree) -> tuple[PyTree, PyTree]:
                """Of f(given, loop): the cotangents of both."""
                loop_moving, loop_still = split(eqx.combine(loop, static[1]))

                def floats(given: PyTree, moving: PyTree) -> PyTree:
                    out = f(eqx.combine(given, given_still), eqx.combine(moving, loop_still))
                    return eqx.filter(out, eqx.is_inexact_array)

                return jax.vjp(floats, given_moving, loop_moving)[1](cotangent)

            def undo(state: Any) -> Any:
                loop, cotangent, total = state
                before = problem.back(eqx.combine(given_moving, given_still), eqx.combine(loop, static[1]))
                before = eqx.filter(before, eqx.is_array)
                more, cotangent = pulled(problem.step, before, cotangent)
                return before, cotangent, jax.tree.map(jnp.add, total, more)

            def interval(state: Any, xs: Any) -> tuple[Any, None]:
                count, wanted, of_saved = xs

                def save(state: Any) -> Any:
                    loop, cotangent, total = state
                    more, also = pulled(problem.take, loop, of_saved)
                    return loop, jax.tree.map(jnp.add, cotangent, also), jax.tree.map(jnp.add, total, more)

                state = jax.lax.cond(wanted, save, lambda same: same, state)
                return self._moved(undo, state, count, problem.lengths), None

            of_end, of_saved = cotangents
            of_end = eqx.filter(of_end, jax.tree.map(eqx.is_inexact_array, end))
            of_saved = jax.tree.map(lambda c: c if jnp.issubdtype(c.dtype, jnp.inexact) else None, of_saved)
            start = end, of_end, jax.tree.map(jnp.zeros_like, given_moving)
            (rebuilt, of_loop, total), _ = jax.lax.scan(interval, start, (counts, wanted, of_saved), reverse=True)
            rebuilt, last = (problem.moving(eqx.combine(loop, static[1])) for loop in (rebuilt, end))
            error = _distance(rebuilt, true, last)
            return self._unless_far(error, (total, of_loop), problem.throw), None, None, None

        run = jax.custom_vjp(computed)
        run.defvjp(run_forward, run_backward)
        end, saved = run(moving, arrays, counts, wanted)
        return eqx.combine(end, static[1]), saved

    def _unless_far(self, error: Array, gradients: PyTree, throw: bool) -> PyTree:
        """The gradients, unless the rebuilt start is too far from the true one."""
        error = jax.lax.stop_gradient(error)
        far = ~(error <= self.tolerance)
        if self.tolerance == math.inf:
            return gradients
        if throw:
            arrays, rest = eqx.partition(gradients, eqx.is_array)
            return eqx.combine(stop_if(far, partial(_tell, self.tolerance), arrays, error), rest)
        return jax.tree.map(lambda g: jnp.where(far, np.asarray(np.nan, g.dtype), g), gradients)


def _tell(tolerance: float, error: Any) -> np.ndarray:
    """On the host. Under `vmap` there are several errors."""
    error = np.asarray(error)
    if (error <= tolerance).all():
        return np.ones(error.shape, bool)
    raise failure(
        f"The backward pass of `Reversible` must find the start of the run again to {tolerance:g}, but what it rebuilt is at "
        f"the relative distance {np.max(error):.2g} from it, so the gradient would be wrong; pass adjoint=jk.Checkpointed(), "
        "use float64, or take fewer steps."
    )


def _distance(rebuilt: PyTree, true: PyTree, end: PyTree) -> Array:
    """The largest relative distance of two starts over their arrays, Euclidean norms; of an array that is 0 at the start,
    relative to its value at the end."""
    leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (rebuilt, true, end))
    norms = [[jnp.sqrt(jnp.sum(jnp.abs(x) ** 2)) for x in (a - b, b, c)] for a, b, c in zip(*leaves, strict=True)]
    return jnp.max(
        jnp.stack([jnp.where(off == 0, 0, off / jnp.where(size == 0, last, size)) for off, size, last in norms])
    )


def every_turn(body: Callable[[PyTree, Array], PyTree], loop: PyTree, turns: int) -> PyTree:
    """`body(loop, index)` for index 0 to turns - 1 without a condition, and for up to sqrt(turns) more, where `body` must
    change nothing. Stores about 2 sqrt(turns) states for the backward pass, or all if they are small."""
    size = turns if _few_bytes(loop, turns) else math.isqrt(turns - 1) + 1

    # The index is counted, not read from an array: XLA runs a loop over small arrays faster, and 200 indices are not small.
    def turn(state: tuple[PyTree, Array], _: None) -> tuple[tuple[PyTree, Array], None]:
        loop, index = state
        return (body(loop, index), index + 1), None

    def block(loop: PyTree, start: Array) -> tuple[PyTree, None]:
        return jax.lax.scan(turn, (loop, start), length=size)[0][0], None

    starts = np.arange(0, turns, size, dtype=np.int32)
    if starts.size == 1:
        return block(loop, jnp.zeros((), jnp.int32))[0]
    return jax.lax.scan(_checkpoint(block, starts.size), loop, jnp.asarray(starts))[0]


def recomputed(step: Callable[..., Any], state: PyTree, **options: Any) -> Callable[..., Any]:
    """`step`, recomputed in the backward pass from its arguments. If `state` is small, `step` itself: storing its intermediate
    arrays is cheap, and the program holds no second copy of the step. `options`: those of `jax.checkpoint`."""
    return step if _bytes(state) <= _SMALL_STATE else eqx.filter_checkpoint(step, **options)


def _few_bytes(loop: PyTree, steps: int) -> bool:
    """Whether that many states are small enough to store every step. What a derivative needs of a step takes ten to forty times
    the bytes of its state."""
    return steps * _bytes(loop) <= _FEW_BYTES


def _bytes(tree: PyTree) -> int:
    """Bytes of the floating and complex leaves."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def _once(body: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]], loop: PyTree, xs: PyTree) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan` over one entry, without a loop: XLA would unroll it."""
    loop, ys = body(loop, jax.tree.map(lambda x: x[0], xs))
    return loop, jax.tree.map(lambda y: y[None], ys)


def _checkpoint(block: Callable, num_blocks: int) -> Callable:
    # One block alone would be run twice and save nothing. Inside a scan nothing can be merged across the barrier that
    # `jax.checkpoint` sets by default, so it is left out.
    return block if num_blocks == 1 else jax.checkpoint(block, prevent_cse=False)


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
