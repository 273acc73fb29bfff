"""The sums of the observables of every replica of a jump process, with the derivative of their expectation."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from .._util.gradients import forbid_gradient
from .._util.types import Key, RealScalar
from ._baselines import Effects, centred_sums, corrected, one_step_effects
from ._batches import Batches, Estimator, with_arrays
from ._boundaries import check_probabilities
from ._cones import Sums, cone_sums, everything
from ._record import Given, Record, Sizes, replica_keys, run_replica
from ._sizes import check_record
from ._tangent import Parts, Weights, find_parts, tangent_of_replica

_SECOND = (
    "A second derivative reaches `jk.expectation` of a jump process; its estimator gives first derivatives only. Use finite "
    "differences of its gradient."
)


Samples = tuple[Float[Array, "R T m"], Int32[Array, " R"], Int32[Array, "R 2"]]


@eqx.filter_custom_jvp
def jump_samples(
    given: Given, dt: RealScalar, *, key: Key, sizes: Sizes, batches: Batches, estimator: Estimator
) -> Samples:
    """(sums of the observables, faults, numbers of candidates and events) of every replica."""
    return _values(given, dt, key, sizes, batches)


@eqx.filter_jit
def _values(given: Given, dt: RealScalar, key: Key, sizes: Sizes, batches: Batches) -> Samples:
    # The values draw no virtual candidates, which change nothing.
    real = _without_virtual(sizes)

    def one(index: Array) -> tuple[Array, Array, Array]:
        record = run_replica(given, dt, replica_keys(key, index), real, keep=False)
        return _of_sums(given, jnp.sum(record.rows, axis=1)), record.fault, record.counts

    return batches.over(one)


def _without_virtual(sizes: Sizes) -> Sizes:
    return Sizes(
        sizes.segments,
        sizes.every,
        sizes.at_start,
        (sizes.capacities[0], 0),
        sizes.turns,
        1.0,
        sizes.headroom,
        sizes.leaps,
        sizes.decides,
    )


@jump_samples.def_jvp
def _jump_samples_jvp(primals, tangents, *, key, sizes, batches, estimator):
    given, dt = primals
    slope, dt_slope = tangents
    if dt_slope is not None:
        raise ValueError(
            "A gradient with respect to dt reaches `jk.expectation` of a jump process, where dt decides which events happen; "
            "differentiate with respect to the strength or the volume instead, which scale the rates."
        )
    check_record(given, key, sizes, batches.replicas)
    known = given
    given = jax.tree.map(lambda x: forbid_gradient(_SECOND, x) if eqx.is_inexact_array(x) else x, given)
    parts = find_parts(given, slope, dt, key, sizes)
    check_probabilities(known, slope, dt, key, sizes, parts)
    if not parts.rate:
        sizes = _without_virtual(sizes)
    # A Python float that `jax.grad` differentiates is a float again without its tangent: it would be a part of the program.
    return _with_tangent(with_arrays(given), slope, dt, key, sizes, batches, estimator, parts)


@eqx.filter_jit
def _with_tangent(
    given: Given,
    slope: Given,
    dt: RealScalar,
    key: Key,
    sizes: Sizes,
    batches: Batches,
    estimator: Estimator,
    parts: Parts,
) -> tuple[Samples, tuple[Array, None, None]]:
    frozen = jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, given)

    def recorded(index: Array) -> tuple[Record, Sums | None, Effects | None]:
        record = run_replica(frozen, dt, replica_keys(key, index), sizes, keep=True)
        if not parts.scores:
            return record, None, None
        effects = one_step_effects(frozen, dt, replica_keys(key, index), sizes, record)
        if estimator.kind == "global":
            return record, everything(record, sizes), effects
        # Not the key that is split for the start and the noise.
        key_here = jax.random.fold_in(jax.random.fold_in(key, index), 1)
        sums = cone_sums(record, sizes, estimator.words, estimator.most_blocks, key_here)
        if estimator.shared_start:
            sums = sums._replace(start=everything(record, sizes).start)
        return record, sums, effects

    def tangent(index: Array, record: Record, weights: Any) -> Array:
        return tangent_of_replica(given, slope, dt, replica_keys(key, index), sizes, record, weights, parts)

    records, sums, effects = jax.lax.stop_gradient(batches.over(recorded))
    totals = jnp.sum(records.rows, axis=2)
    weights = None
    if sums is not None:
        num = records.rows.shape[2]
        events, start = centred_sums(frozen.function, sums, totals, num)
        weights = Weights(*corrected(events, effects, sums.events, totals, num), start)
    out = batches.over(tangent, records, weights)
    return (jax.vmap(partial(_of_sums, frozen))(totals), records.fault, records.counts), (out, None, None)


def _of_sums(given: Given, sums: Float[Array, "T m"]) -> Float[Array, "T p"]:
    return jax.vmap(given.function)(sums)
