"""Samples of an observable of a jump process, differentiated along the paths and by scores."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._core.solution import SimulationError, failure, stop_if
from .._core.system import AbstractPairJump
from .._util.checks import argument_error, check_scalar, is_traced, known_as, nan_unless_met
from .._util.decisions import logged_decisions
from .._util.printing import Printed
from .._util.types import Key
from ..states import Particles
from ._batches import with_arrays
from ._jump_samples import jump_samples
from ._record import ABOVE_BOUND, MANY_CANDIDATES, Given, LoggedStart, RunFunction, replica_keys
from ._sizes import batches_of, captured, estimator_of, sizes_of
from ._start_decisions import decisions_change_candidates

_SENTENCES = {
    MANY_CANDIDATES: "A step of `jk.expectation` had more candidates than memory was allocated for; raise `max_candidates`.",
    ABOVE_BOUND: (
        "A rate exceeded the majorant of `jk.expectation`, which is fixed at the start; raise `headroom`, the factor by which "
        "it exceeds the largest rate at the start."
    ),
}


class ByJumps(Printed):
    example: Particles
    key: Any
    replicas: int
    dt: Any
    num_steps: int
    every: int | None
    leaps: bool
    batch: int | None
    throw: bool
    estimator: str
    block: int | None
    num_blocks: int | None
    max_candidates: int | None
    headroom: float
    checks: Any

    def __call__(
        self,
        system: AbstractPairJump,
        start: Particles | Callable[[Key], Particles],
        observe: Callable[[Particles], Array],
        function: Callable[[Array], Array] | None,
    ) -> tuple[Array, dict[str, Any]]:
        check_scalar("headroom", self.headroom)
        if self.headroom < 1:
            raise argument_error("headroom", "be at least 1", f"is {self.headroom:g}", "raise it")
        num = self.example.num_slots
        row = jax.eval_shape(lambda state: jnp.asarray(observe(state)), self.example).shape[1:]
        shared = not isinstance(start, Particles) and decisions_change_candidates(
            system, start, replica_keys(self.key, 0)[0]
        )
        given = self._given(system, start, observe, RunFunction(function, row))
        decides = not isinstance(start, Particles) and bool(_decisions(start, self.key))
        (dt,) = known_as(self.example.velocity.dtype, self.dt)
        sizes = sizes_of(
            given, self.example, dt, self.key, self.replicas, self.num_steps, self.every, self.leaps, self.headroom,
            self.max_candidates, decides,
        )  # fmt: skip
        batches = batches_of(self.replicas, num, self.batch)
        estimator = estimator_of(self.estimator, num, self.block, self.num_blocks, batches.size, shared)
        saves = sizes.segments + int(sizes.at_start)
        samples, faults, counts = jump_samples(
            given, dt, key=self.key, sizes=sizes, batches=batches, estimator=estimator
        )
        if function is not None:
            row = jax.eval_shape(lambda x: jnp.asarray(function(x)), jax.ShapeDtypeStruct(row, samples.dtype)).shape
        samples = samples.reshape(self.replicas, saves, *row)
        samples = nan_unless_met({check.sentence: check for check in self.checks}, samples)
        samples = self._stopped(samples, faults)
        counts = jnp.mean(jax.lax.stop_gradient(counts).astype(samples.dtype), axis=0)
        stats = {"candidates": counts[0], "events": counts[1]}
        return (samples[:, 0] if self.every is None else samples), stats

    def _given(self, system: AbstractPairJump, start: Any, observe: Any, function: Any) -> Given:
        """The parts of a run, with traced values that functions hold of their surroundings turned into leaves."""
        if not isinstance(start, Particles):
            start = LoggedStart(start)
            if is_traced(captured(start.make)):
                start = eqx.filter_closure_convert(start, self.key)
        if is_traced(captured(observe)):
            observe = eqx.filter_closure_convert(observe, self.example)
        if is_traced(captured(function.function)):
            sums = jax.ShapeDtypeStruct((math.prod(function.row),), self.example.velocity.dtype)
            function = eqx.filter_closure_convert(function, sums)
        return with_arrays(Given(system, start, observe, function))

    def _stopped(self, samples: Array, faults: Array) -> Array:
        """Raises for a failed run; inside a trace the raise is attached to the samples, and without `throw` they are NaN."""
        faults = jax.lax.stop_gradient(faults)
        if not self.throw:
            bad = (faults > 0).reshape(-1, *[1] * (samples.ndim - 1))
            return samples * jnp.where(bad, jnp.nan, 1.0).astype(samples.dtype)
        worst = jnp.max(faults)
        if is_traced(worst):
            return stop_if(worst > 0, _raise, samples, worst)
        if int(worst):
            raise SimulationError(_SENTENCES[int(worst)])
        return samples


def _decisions(start: Callable[[Key], Particles], key: Key) -> list[Any]:
    """The shapes of the random decisions of a start."""
    with logged_decisions() as found:
        jax.eval_shape(lambda: eqx.filter(start(replica_keys(key, 0)[0]), eqx.is_array))
        return [x.shape for x in found]


def _raise(worst: Any) -> np.ndarray:
    worst = np.asarray(worst)
    if worst.any():
        raise failure(_SENTENCES[int(worst.max())])
    return np.ones(worst.shape, bool)
