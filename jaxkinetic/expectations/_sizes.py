"""Sizes of the arrays of an expectation over jumps, and the memory that they take."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, cast_floating, check_integer, is_traced
from .._util.memory import check_memory
from .._util.types import Key
from ..states import Particles
from ._jump_samples import Batches, Estimator
from ._plans import chunk_size, largest_count, largest_turns
from ._record import Given, Sizes, initial_state, majorant_of, replica_keys

# Slots that advance together.
_TOGETHER = 1 << 14
# The most words of bits of a particle in one pass.
_MOST_WORDS = 64


def sizes_of(
    given: Given,
    example: Particles,
    dt: Any,
    key: Key,
    replicas: int,
    num_steps: int,
    every: int | None,
    leaps: bool,
    headroom: float,
    max_candidates: int | None,
) -> Sizes:
    """The static sizes of a run, from the mean number of candidates of a step."""
    step = num_steps if every is None else every
    segments = num_steps // step
    constant = given.system.constant_rate
    num = example.num_slots
    if leaps:
        return Sizes(segments, step, every is not None, (0, 0), 1, 1.0, headroom, True)
    # Virtual candidates, where every real one happens: see `Thinning`.
    factor = 2.0 if constant else 1.0
    if max_candidates is not None:
        real = check_integer("max_candidates", max_candidates, minimum=1)
        mean = float(real)
    else:
        mean = _mean_candidates(given, example, dt, key, replicas, headroom)
        real = largest_count(mean)
    virtual = real if factor > 1 else 0
    turns = largest_turns(real + virtual, 2 * factor * mean / num)
    return Sizes(segments, step, every is not None, (real, virtual), turns, factor, headroom, False)


def _mean_candidates(given: Given, example: Particles, dt: Any, key: Key, replicas: int, headroom: float) -> float:
    """The largest mean number of candidates of a step, over the replicas."""

    # Differentiated values are concrete outside of `jit`, once their tangents are dropped.
    def known(x: Any) -> Any:
        return jax.lax.stop_gradient(x) if is_traced(x) else x

    given, dt, key = jax.tree.map(known, (given, dt, key))
    varies = not given.system.constant_rate or clock_counts(given.system)
    count = replicas if callable(given.start) and varies else 1
    # Not jitted if something is traced: then the result is known if it does not depend on that.
    majorants = _majorants if is_traced(given, key) else eqx.filter_jit(_majorants)
    with jax.ensure_compile_time_eval():
        largest = jnp.max(majorants(given, key, count, headroom))
    if is_traced(largest, dt):
        raise argument_error(
            "max_candidates", "be given inside `jit` and `vmap`, if what sets the rates is traced there", "is missing",
            "pass a bound of the candidates of one step, about N/2 times the largest rate of a particle times dt; outside of "
            "`jit`, `.stats` says how many there were in all steps",
        )  # fmt: skip
    num = example.num_slots
    return float(largest) * float(dt) * num * (num - 1) / 2


def _majorants(given: Given, key: Key, count: int, headroom: float) -> jax.Array:
    def one(index: Any) -> jax.Array:
        state, _ = initial_state(given, replica_keys(key, index)[0])
        return majorant_of(cast_floating(given.system, state.velocity.dtype), state, headroom)

    return one(0) if count == 1 else jax.vmap(one)(jnp.arange(count))


def clock_counts(system: Any) -> bool:
    """Whether the rates contain the number alive."""
    with jax.ensure_compile_time_eval():
        one, two = (jax.lax.stop_gradient(system.clock(jnp.asarray(x, jnp.result_type(float)))) for x in (1, 2))
        same = one == two
    return is_traced(same) or not bool(same)


def captured(function: Any) -> list[Any]:
    """What a Python function holds of its surroundings."""
    if not isinstance(function, Callable):
        return []
    cells = getattr(function, "__closure__", None) or ()
    found = []
    for cell in cells:
        try:
            found += [leaf for leaf in jax.tree.leaves(cell.cell_contents) if eqx.is_array(leaf)]
        except ValueError:
            continue
    return found


def estimator_of(
    kind: str, num: int, block: int | None, num_blocks: int | None, together: int, shared: bool
) -> Estimator:
    """The estimator with its block of final particles. **Raises:** `ValueError` for a block that does not fit into memory."""
    if kind not in ("cone", "global"):
        raise argument_error("estimator", 'be "cone" or "global"', f"is {kind!r}", "leave it out")
    if num_blocks is not None:
        num_blocks = check_integer("num_blocks", num_blocks, minimum=1)
    row = 12 * num * together
    if block is None:
        words = max(1, min(_MOST_WORDS, -(-num // 32), (1 << 28) // row))
    else:
        words = -(-check_integer("block", block, minimum=1) // 32)
        fits = max(32, 32 * ((1 << 31) // row))
        check_memory("block", words * row, f"a block of {block} particles", f"pass block={fits}, or leave it out")
    return Estimator(kind, words, num_blocks, shared)


def batches_of(replicas: int, num: int, batch: int | None) -> Batches:
    size = (
        max(1, min(replicas, _TOGETHER // max(num, 1))) if batch is None else check_integer("batch", batch, minimum=1)
    )
    size = min(size, replicas)
    return Batches(replicas, math.ceil(replicas / math.ceil(replicas / size)))


def check_record(given: Given, example: Particles, sizes: Sizes, replicas: int, saves: int, width: int) -> None:
    """**Raises:** `ValueError` if the record of all replicas does not fit into memory."""
    num, itemsize = example.num_slots, np.dtype(example.velocity.dtype).itemsize
    lanes = (num + 1) // 2 if sizes.leaps else sum(sizes.capacities) + chunk_size(sum(sizes.capacities))
    words = given.system.num_words(example.dim)
    per_lane = 8 + 4 + 3 + itemsize * (1 + 2 * example.dim) + 4 * words + itemsize * saves * (width + 1)
    steps = sizes.segments * sizes.every
    one = steps * lanes * per_lane + saves * num * itemsize * (width + example.dim + 1)
    total = 2 * one * replicas
    gib = one * 2 / 2**30
    check_memory(
        "replicas", total, f"the record of {replicas} runs of {steps * lanes} candidates, which a gradient needs,",
        f"each takes {gib:.2g} GiB: average several calls with fewer replicas and other keys, or shorten the run",
    )  # fmt: skip
