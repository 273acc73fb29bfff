"""What a run returns."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from ._checkpoint import Checkpoint
from ._checks import Deferred
from ._types import PyTree, State


class SimulationError(RuntimeError):
    """Something appeared during a run that makes its result worthless."""


class Result(eqx.Module):
    """How a run ended. `code`: 0 finished, 1 the state became NaN or infinite, or one of `FAULTS`. `step`: the first bad
    step, or -1. `detail`: two numbers that the sentence of a fault names.

    A parameter that is traced cannot be checked before the run. One that is out of range ends the run with `OUT_OF_RANGE`, or
    with the fault that it led to, and is named in `message`. `parameter`: which of `checks`, the sentences of all such checks,
    failed first, or -1; None if no parameter was traced."""

    code: Int[Array, "*runs"]
    step: Int[Array, "*runs"]
    detail: Float[Array, "*runs 2"]
    parameter: Int[Array, "*runs"] | None = None
    checks: tuple[str, ...] = eqx.field(static=True, default=())

    FINISHED, NOT_FINITE, ABOVE_BOUND, BAD_CLOCK, BAD_RATE, MANY_WINDOWS, MANY_WAVES, OUT_OF_RANGE = range(8)
    FAULTS: ClassVar[Mapping[int, str]] = {
        NOT_FINITE: "The state became NaN or infinite in step {step}; lower `dt`, soften the interaction, or look at what "
        "precedes it with `throw=False`.",
        ABOVE_BOUND: "A pair of relative speed {0:.6g} jumps at {1:.6g} times the bound of the rate in step {step}; mend the "
        "system's `rate_bound`, or the `bound` of its cross section.",
        BAD_CLOCK: "The rate of all candidates is {0:.6g} in step {step}, where it must be finite and not negative; check the "
        "volume or epsilon, the floor, and what bounds the rate of a pair.",
        BAD_RATE: "A pair jumps at the rate {0:.6g} in step {step}, where it must be finite and not negative; mend the "
        "system's `rate`, or the `sigma` of its cross section.",
        MANY_WINDOWS: "More than {0:.0f} windows are needed in step {step}; raise `max_windows`, or lower `dt`.",
        MANY_WAVES: "More than {0:.0f} waves are needed in a window of step {step}; raise `max_waves`, or lower `capacity`.",
        OUT_OF_RANGE: "{parameter}",
    }

    @property
    def ok(self) -> Bool[Array, "*runs"]:
        return self.code == self.FINISHED

    @property
    def message(self) -> str:
        """One sentence; the first failed run if there are several."""
        codes, steps = np.atleast_1d(np.asarray(self.code)), np.atleast_1d(np.asarray(self.step))
        failed = np.flatnonzero(codes != self.FINISHED)
        if failed.size == 0:
            return "finished"
        first = np.unravel_index(failed[0], codes.shape)
        which = "" if codes.size == 1 else f" ({failed.size} of {codes.size} runs)"
        detail = np.asarray(self.detail, float).reshape(-1, 2)[failed[0]]
        broken = -1 if self.parameter is None else int(np.atleast_1d(np.asarray(self.parameter))[first])
        if broken >= 0:
            return self.checks[broken].format(*detail) + which
        return self.FAULTS[int(codes[first])].format(*detail, step=f"{int(steps[first])}{which}")

    def after_checks(self, checks: Collection[Deferred], step: int) -> "Result":
        """This result of a run from `step` on, and of the checks of its traced parameters."""
        if not checks:
            return self
        broken = ~jnp.stack([jnp.asarray(check.holds) for check in checks])
        values = jnp.stack([jnp.asarray(check.value).astype(self.detail.dtype) for check in checks])
        first, any_broken = jnp.argmax(broken), jnp.any(broken)
        detail = jnp.stack([values[first], jnp.zeros((), values.dtype)])
        only = any_broken & self.ok
        return Result(
            jnp.where(only, self.OUT_OF_RANGE, self.code).astype(self.code.dtype),
            jnp.where(only, step, self.step).astype(self.step.dtype),
            jnp.where(any_broken, detail, self.detail),
            jnp.where(any_broken, first, -1).astype(jnp.int32),
            tuple(check.sentence for check in checks),
        )

    def __str__(self) -> str:
        if isinstance(self.code, Tracer):
            return "traced"
        return self.message


class Solution(eqx.Module):
    """The outcome of `simulate`.

    - `times`: (T,) of the saves. `observed[name]`: (T, ...). `states`: the saved states with leading axis T, or None.
    - `final`: the state after the last step. `checkpoint`: from which the run goes on.
    - `stats`: totals over the steps. `result`: how it ended. `limits`: (name, limit, sentence) of entries of `stats`.
    """

    times: Float[Array, "*runs T"]
    observed: dict[str, PyTree]
    states: State | None
    final: State
    checkpoint: Checkpoint
    stats: dict[str, Array]
    result: Result
    limits: tuple[tuple[str, float, str], ...] = eqx.field(static=True, default=())

    @property
    def warnings(self) -> list[str]:
        """A sentence for each of the known `stats` that is above its limit, in the worst replica."""
        out = []
        for name, limit, sentence in self.limits:
            value = self.stats.get(name)
            if value is not None and not isinstance(value, Tracer) and np.max(np.asarray(value)) > limit:
                out.append(sentence.format(float(np.max(np.asarray(value)))))
        return out

    def __str__(self) -> str:
        lines = [f"Solution: {self.result}", *(f"  Warning: {sentence}" for sentence in self.warnings)]
        for name in ("times", "observed", "states", "final", "stats"):
            value: Any = getattr(self, name)
            leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(value, eqx.is_array))
            for path, leaf in leaves:
                size = leaf.size * leaf.dtype.itemsize
                lines.append(
                    f"  {name + jax.tree_util.keystr(path):<28} {leaf.dtype}{list(leaf.shape)}  {_bytes(size)}"
                )
        return "\n".join(lines)


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def joined_limits(*owners: Any) -> tuple[tuple[str, float, str], ...]:
    """Those of a scheme and a system."""
    return tuple((name, *limit) for owner in owners for name, limit in owner.limits.items())


def warn(solution: Solution) -> None:
    """`Solution.warnings` as Python's."""
    for sentence in solution.warnings:
        warnings.warn(sentence, stacklevel=3)


def raise_or_mark(solution: Solution, message: str) -> Solution:
    """Outside a trace raise `SimulationError` for a failed run; inside one attach a single check to the outputs."""
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(solution)):
        if np.any(np.asarray(solution.result.code) != Result.FINISHED):
            raise SimulationError(solution.result.message)
        return solution
    result = solution.result
    bad = jnp.any(~result.ok)
    arrays, rest = eqx.partition(solution, eqx.is_array)
    if result.parameter is None:
        return eqx.combine(eqx.error_if(arrays, bad, message), rest)
    messages = [message, *(sentence.replace("{0:g}", "a traced value out of range") for sentence in result.checks)]
    return eqx.combine(eqx.branched_error_if(arrays, bad, jnp.max(result.parameter) + 1, messages), rest)
