"""Sizes of the arrays of an expectation over jumps, and the memory that they take."""

import functools
import math
from types import FunctionType, ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._util.checks import argument_error, cast_floating, check_integer, is_traced
from .._util.memory import check_memory
from .._util.types import Key
from ..states import Particles
from ._batches import Batches, Estimator, with_arrays
from ._plans import chunk_size, largest_count, largest_turns
from ._record import Given, Sizes, initial_state, majorant_of, replica_keys, rows_of

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
    decides: bool = False,
) -> Sizes:
    """The static sizes of a run, from the mean number of candidates of a step."""
    step = num_steps if every is None else every
    segments = num_steps // step
    constant = given.system.constant_rate
    num = example.num_slots
    if leaps:
        return Sizes(segments, step, every is not None, (0, 0), 1, 1.0, headroom, True, decides)
    # Virtual candidates, where every real one happens: see `Thinning`.
    factor = 2.0 if constant else 1.0
    if max_candidates is not None:
        real = check_integer("max_candidates", max_candidates, minimum=1)
        mean = float(real)
    else:
        mean = _mean_candidates(given, example, dt, key, replicas, headroom, decides)
        real = largest_count(mean)
    virtual = real if factor > 1 else 0
    turns = largest_turns(real + virtual, 2 * factor * mean / num)
    return Sizes(segments, step, every is not None, (real, virtual), turns, factor, headroom, False, decides)


def _mean_candidates(
    given: Given, example: Particles, dt: Any, key: Key, replicas: int, headroom: float, decides: bool
) -> float:
    """The largest mean number of candidates of a step, over the replicas."""

    # Differentiated values are concrete outside of `jit`, once their tangents are dropped.
    def known(x: Any) -> Any:
        return jax.lax.stop_gradient(x) if is_traced(x) else x

    given, dt, key = with_arrays(jax.tree.map(known, (given, dt, key)))
    varies = not given.system.constant_rate or clock_counts(given.system)
    count = replicas if callable(given.start) and varies else 1
    # Not jitted if something is traced: then the result is known if it does not depend on that.
    majorants = _majorants if is_traced(given, key) else eqx.filter_jit(_majorants)
    with jax.ensure_compile_time_eval():
        largest = jnp.max(majorants(given, key, count, headroom, decides))
    if is_traced(largest, dt):
        raise argument_error(
            "max_candidates", "be given inside `jit` and `vmap`, if what sets the rates is traced there", "is missing",
            "pass a bound of the candidates of one step, about N/2 times the largest rate of a particle times dt; outside of "
            "`jit`, `.stats` says how many there were in all steps",
        )  # fmt: skip
    num = example.num_slots
    return float(largest) * float(dt) * num * (num - 1) / 2


def _majorants(given: Given, key: Key, count: int, headroom: float, decides: bool) -> jax.Array:
    def one(index: Any) -> jax.Array:
        state, _ = initial_state(given, replica_keys(key, index)[0])
        return majorant_of(cast_floating(given.system, state.velocity.dtype), state, headroom, decides)

    return one(0) if count == 1 else jax.vmap(one)(jnp.arange(count))


def clock_counts(system: Any) -> bool:
    """Whether the rates contain the number alive."""
    with jax.ensure_compile_time_eval():
        one, two = (jax.lax.stop_gradient(system.clock(jnp.asarray(x, jnp.result_type(float)))) for x in (1, 2))
        same = one == two
    return is_traced(same) or not bool(same)


def captured(function: Any, depth: int = 4) -> list[Any]:
    """The arrays that a function holds: in its closure, its defaults, the object that it is bound to, a `functools.partial`."""
    if isinstance(function, jax.tree_util.Partial):
        # Its arguments are leaves already.
        return captured(function.func, depth - 1)
    if depth == 0 or isinstance(function, (type, ModuleType)) or not jax.tree_util.all_leaves([function]):
        return []
    inner = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _filled(cell)]
    inner += [
        *(getattr(function, "__defaults__", None) or ()),
        *(getattr(function, "__kwdefaults__", None) or {}).values(),
    ]
    inner += [getattr(function, "__self__", None)]
    if isinstance(function, functools.partial):
        inner += [function.func, *function.args, *function.keywords.values()]
    elif not isinstance(function, FunctionType) and hasattr(function, "__dict__"):
        inner += list(vars(function).values())
    found = []
    for entry in inner:
        leaves = jax.tree.leaves(entry)
        found += [leaf for leaf in leaves if eqx.is_array(leaf) or is_traced(leaf)]
        for leaf in leaves:
            if not eqx.is_array(leaf) and (callable(leaf) or hasattr(leaf, "__dict__")):
                found += captured(leaf, depth - 1)
    return found


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


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


def check_record(given: Given, key: Key, sizes: Sizes, replicas: int) -> None:
    """**Raises:** `ValueError` if the record of all replicas, which a gradient needs, does not fit into memory."""
    state = jax.eval_shape(lambda: initial_state(given, replica_keys(key, 0)[0])[0])
    width = jax.eval_shape(lambda: rows_of(given.observe, initial_state(given, replica_keys(key, 0)[0])[0])).shape[1]
    num, dim, saves = *state.velocity.shape, sizes.segments + int(sizes.at_start)
    itemsize = np.dtype(state.velocity.dtype).itemsize
    lanes = (num + 1) // 2 if sizes.leaps else sum(sizes.capacities) + chunk_size(sum(sizes.capacities))
    words = given.system.num_words(dim)
    per_lane = 8 + 4 + 3 + itemsize * (1 + 2 * dim) + 4 * words + itemsize * saves * (width + 1)
    steps = sizes.segments * sizes.every
    one = steps * lanes * per_lane + saves * num * itemsize * (width + dim + 1)
    gib = one * 2 / 2**30
    check_memory(
        "replicas", 2 * one * replicas,
        f"the record of {replicas} runs of {steps * lanes} candidates at {saves} saves, which a gradient needs,",
        f"each run takes {gib:.2g} GiB: average several calls with fewer replicas and other keys, save less often (`every`), "
        "or shorten the run",
    )  # fmt: skip
