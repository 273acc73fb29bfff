"""Gradients obtained by running a reversible scheme backwards."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, check_bool, check_scalar, is_traced
from .._util.types import Array, PyTree
from .adjoint import Direct, Problem
from .solution import failure, stop_if


class Reversible(Direct):
    r"""Stores only the first and the last state; the backward pass recomputes all others, up to round-off, by running a
    reversible scheme backwards. Memory does not depend on the number of steps or saves, apart from the saved values. A gradient
    costs two to five runs.

    Chaotic paths amplify the round-off of the backward run: in float32 it is of order 1 after some 16 Lyapunov times. So the
    backward pass compares the rebuilt initial state with the true one. Their distance is the largest
    $\|\text{rebuilt} - \text{true}\| / \|\text{true}\|$ over the arrays of the state, in Euclidean norms (relative to the
    final value for an array that is 0 at the start). Measured on six bodies in float32, gradients were off by 2e-4 at the
    distance 2e-4, by 13 % at 4e-3, and meaningless above. If the distance exceeds the tolerance, the gradient raises a runtime
    error that names it; in runs with `throw=False` the gradient is NaN. Then use `Checkpointed()`, float64, or fewer steps.

    **Arguments:** `tolerance`: the largest distance allowed, 1e-3 by default; `math.inf` for no limit. `measure`: also run
    backwards after the run itself, which doubles its cost, and return the distance in `solution.stats["rebuilt_error"]`.
    **Raises:** `ValueError` for a tolerance that is negative, not a number, or traced, and for a `measure` that is no bool.

    Requires a scheme that declares "reversible". Supports reverse mode, and forward over reverse mode (`jax.jvp` of
    `jax.grad`). Plain forward mode raises `ValueError` (inside your own `jax.jit`, JAX's own error): use `Direct` or
    `Checkpointed`. If an observable depends on a differentiated value, pass that value by
    `jax.tree_util.Partial(fn, potential=...)`, not by a closure.
    """

    reversible: ClassVar[bool] = True
    tolerance: float = eqx.field(static=True)
    measure: bool = eqx.field(static=True)

    def __init__(self, tolerance: float = 1e-3, *, measure: bool = False):
        if is_traced(tolerance):
            raise argument_error("tolerance", "be known while tracing", "is traced", "pass a float")
        if tolerance != math.inf:
            check_scalar("tolerance", tolerance, nonnegative=True)
        self.tolerance, self.measure = float(tolerance), check_bool("measure", measure)

    def rebuilt_error(self, problem: Problem, given: PyTree, start: PyTree, end: PyTree, counts: Array) -> Array:
        """The distance between `start` and the state rebuilt by running back from `end`; not differentiated."""
        (given, start, end), static = eqx.partition((given, start, end), eqx.is_array)
        given, start, end = eqx.combine(jax.lax.stop_gradient((given, start, end)), static)

        def interval(loop: PyTree, count: Array) -> tuple[PyTree, None]:
            return self._moved(partial(problem.back, given), loop, count, problem.lengths), None

        rebuilt = jax.lax.scan(interval, end, counts, reverse=True)[0]
        return _distance(*map(problem.moving, (rebuilt, start, end)))

    def run(self, problem: Problem, given: PyTree, loop: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
        # `custom_vjp` takes arrays: floating ones are differentiated, other arrays passed through, static leaves closed over.
        moving, still = eqx.partition((given, loop), eqx.is_inexact_array)
        arrays, static = eqx.partition(still, eqx.is_array)
        plain = super().run

        def computed(moving: PyTree, arrays: PyTree, counts: Array, wanted: Array) -> tuple[PyTree, PyTree]:
            given, loop = eqx.combine(moving, arrays, static)
            end, saved = plain(problem, given, loop, counts, wanted)
            return eqx.filter(end, eqx.is_array), saved

        def run_forward(moving: PyTree, arrays: PyTree, counts: Array, wanted: Array) -> tuple[Any, Any]:
            # Calls `computed`, not `run`: a derivative rule that calls its own function cannot be differentiated forward.
            end, saved = computed(moving, arrays, counts, wanted)
            # The initial state is kept only for the comparison with the rebuilt one.
            start = problem.moving(eqx.combine(moving, arrays, static)[1])
            return (end, saved), (moving[0], arrays[0], eqx.filter(start, eqx.is_inexact_array), end, counts, wanted)

        def run_backward(kept: Any, cotangents: tuple[PyTree, PyTree]) -> Any:
            given_moving, given_arrays, true, end, counts, wanted = kept
            given_still = eqx.combine(given_arrays, static[0])

            def split(loop: PyTree) -> tuple[PyTree, PyTree]:
                return eqx.partition(loop, eqx.is_inexact_array)

            def pulled(f: Callable[[PyTree, PyTree], PyTree], loop: PyTree, cotangent: PyTree) -> tuple[PyTree, PyTree]:
                """The cotangents of `given` and `loop`, from that of f(given, loop)."""
                loop_moving, loop_still = split(eqx.combine(loop, static[1]))

                def floats(given: PyTree, moving: PyTree) -> PyTree:
                    out = f(eqx.combine(given, given_still), eqx.combine(moving, loop_still))
                    return eqx.filter(out, eqx.is_inexact_array)

                return jax.vjp(floats, given_moving, loop_moving)[1](cotangent)

            def undo(state: Any) -> Any:
                # Rebuild the state before the step, then pull the cotangent back through the step from there.
                loop, cotangent, total = state
                # Without a gradient of its own: only `step`, from the rebuilt state, is differentiated.
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

                # In reverse time, the save at the end of an interval comes before its steps.
                state = jax.lax.cond(wanted, save, lambda same: same, state)
                return self._moved(undo, state, count, problem.lengths), None

            # Integers (step numbers, counts) have no cotangent.
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
        far = ~(error <= self.tolerance)  # also for a NaN error
        if self.tolerance == math.inf:
            return gradients
        if throw:
            arrays, rest = eqx.partition(gradients, eqx.is_array)
            return eqx.combine(stop_if(far, partial(_tell, self.tolerance), arrays, error), rest)
        return jax.tree.map(lambda g: jnp.where(far, np.asarray(np.nan, g.dtype), g), gradients)


def _tell(tolerance: float, error: Any) -> np.ndarray:
    """Called on the host; `error` is an array under `vmap`."""
    error = np.asarray(error)
    if (error <= tolerance).all():
        return np.ones(error.shape, bool)
    raise failure(
        f"The backward pass of `Reversible` must rebuild the initial state to {tolerance:g}, but what it rebuilt is at "
        f"the relative distance {np.max(error):.2g} from it, so the gradient would be wrong; pass adjoint=jk.Checkpointed(), "
        "use float64, or take fewer steps."
    )


def _distance(rebuilt: PyTree, true: PyTree, end: PyTree) -> Array:
    """The largest relative distance between two initial states over their arrays, in Euclidean norms; relative to the final
    value for an array that is 0 at the start."""
    leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (rebuilt, true, end))
    norms = [[jnp.sqrt(jnp.sum(jnp.abs(x) ** 2)) for x in (a - b, b, c)] for a, b, c in zip(*leaves, strict=True)]
    return jnp.max(
        jnp.stack([jnp.where(off == 0, 0, off / jnp.where(size == 0, last, size)) for off, size, last in norms])
    )
