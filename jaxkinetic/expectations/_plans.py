"""The candidates of one interval, in an order in which they can be carried out: chunks of disjoint pairs.

The pairs do not depend on parameters or decisions: the slots are all N, dead ones included, and the majorant is a number that
is fixed at the start of a run. So the graph of candidates has the same law whatever is decided."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jaxkinetic_kernels import candidates, event_words, fold_in, pair_words, random_matching, schedule, uniform

from .._util.types import RealScalar, Words

# Up to so many candidates form one chunk; else a chunk is a 16th of them.
_FEW = 256
_TAG_VIRTUAL = 4


class Plan(NamedTuple):
    """K candidates of one interval, sorted by wave, and padding of one chunk.

    `slots`: (2, K) int32. `wave`: (K,) int32, candidates of a wave are disjoint pairs; -1 for padding. `level`: (K,), uniform
    in (0, 1]; a candidate happens if `level` times the majorant is at most the rate; infinite for a virtual candidate, which
    never happens and only carries a score. `words`: random words of the jump. `edge`: whether it may happen in some run."""

    slots: Int32[Array, "2 K"]
    wave: Int32[Array, " K"]
    level: Float[Array, " K"]
    words: tuple[UInt32[Array, " K"], ...]
    edge: Bool[Array, " K"]
    total: Int32[Array, ""]


def chunk_size(num: int) -> int:
    return min(num, max(_FEW, num // 16))


def clock_plan(
    key: Words,
    num: int,
    capacities: tuple[int, int],
    means: tuple[RealScalar, RealScalar],
    num_words: int,
) -> tuple[Plan, Bool[Array, ""]]:
    """The candidates of an interval of the exact process, and whether there are more than the capacities allow. `capacities`,
    `means`: the largest and the mean numbers of real and of virtual candidates."""
    dtype = means[0].dtype
    real = _stream(key, num, capacities[0], means[0], num_words)
    time, level, slots, words, counts, full = real
    if capacities[1]:
        virtual = _stream(fold_in(key, _TAG_VIRTUAL), num, capacities[1], means[1], num_words)
        time = jnp.concatenate([time, virtual[0]])
        level = jnp.concatenate([level, jnp.full_like(virtual[1], jnp.inf)])
        slots = jnp.concatenate([slots, virtual[2]], axis=1)
        words = tuple(jnp.concatenate(pair) for pair in zip(words, virtual[3], strict=True))
        counts, full = counts + virtual[4], full | virtual[5]
        # Superposition of two Poisson processes: sort by time.
        order = jnp.argsort(time)
        level, slots, words = level[order], slots[:, order], tuple(w[order] for w in words)
    order, wave, _ = schedule(slots[0], slots[1], counts, num)
    pad = chunk_size(sum(capacities))
    level, slots, words = level[order], slots[:, order], tuple(w[order] for w in words)
    plan = Plan(
        jnp.pad(slots, ((0, 0), (0, pad))),
        jnp.pad(wave, (0, pad), constant_values=-1),
        jnp.pad(level, (0, pad)).astype(dtype),
        tuple(jnp.pad(w, (0, pad)) for w in words),
        jnp.pad((wave >= 0) & (level < jnp.inf), (0, pad)),
        counts,
    )
    return plan, full


def _stream(
    key: Words, num: int, capacity: int, mean: RealScalar, num_words: int
) -> tuple[Array, Array, Array, tuple[Array, ...], Array, Array]:
    """(time as a share of the interval, level, slots, words, count, whether the capacity is too small) of Poisson
    candidates."""
    index = jnp.arange(capacity, dtype=jnp.uint32)
    number = index, jnp.zeros_like(index)
    wait, first, second, word = candidates(key, number, jnp.asarray(num, jnp.int32), mean.dtype)
    wait = jnp.cumsum(wait)
    happens = wait < mean
    time = jnp.where(happens, wait / jnp.where(mean > 0, mean, jnp.ones_like(mean)), jnp.inf)
    words = event_words(key, number, num_words)
    slots = jnp.stack([first, second])
    return time, uniform(word, mean.dtype), slots, words, jnp.sum(happens, dtype=jnp.int32), happens[-1]


def matching_plan(
    key: Words, ident: UInt32[Array, " N"], largest: RealScalar, num_words: int
) -> tuple[Plan, Bool[Array, ""]]:
    """The pairs of one step of `TauLeap`. `largest`: the largest probability of a jump."""
    num = ident.shape[0]
    partners = random_matching(key, num + num % 2)
    both = jnp.all(partners < num, axis=0)
    slots = jnp.minimum(partners, num - 1).astype(jnp.int32)
    first, *words = pair_words(key, ident[slots[0]], ident[slots[1]], 1 + num_words)
    level = uniform(first, largest.dtype)
    wave = jnp.where(both, 0, -1).astype(jnp.int32)
    # The pair of the padding is put last, since a chunk of one wave is contiguous.
    order = jnp.argsort(~both)
    slots, wave, level, both = slots[:, order], wave[order], level[order], both[order]
    plan = Plan(
        slots, wave, level, tuple(w[order] for w in words), both & (level <= largest), jnp.sum(both, dtype=jnp.int32)
    )
    return plan, jnp.zeros((), bool)


def largest_count(mean: float) -> int:
    """A number that a Poisson variable of this mean exceeds with a probability below 10^-12."""
    bound = mean + 8 * math.sqrt(mean) + 16
    # Few different sizes, so that similar runs share a program.
    step = 2 ** max(math.floor(math.log2(bound)) - 4, 2)
    return math.ceil(bound / step) * step


def largest_turns(capacity: int, per_particle: float) -> int:
    """A number of chunks that the waves of `capacity` candidates do not exceed, but with a probability below 10^-9.
    `per_particle`: the mean number of candidates of a particle. An increasing chain of m candidates that share particles, one
    with the next, has mean number K (2 per_particle)^(m-1)/(m-1)!."""
    size, chains, length = chunk_size(capacity), float(capacity), 1
    while chains > 1e-9 and length < capacity:
        chains *= 2 * max(per_particle, 0.05) / length
        length += 1
    full = 0 if size == capacity else capacity // size
    return min(length + full, capacity)
