"""Keyed pseudorandom permutations of 0 .. n-1 that are evaluated at single indices, without a table or a sort."""

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from .fusion import materialise
from .philox import WORD

__all__ = ["feistel", "permute"]

_ROUNDS = 6
# On a grid of 27 x 38 triples that share a row and a column are .4 % apart after 6 rounds, and less than can be seen in 10^7
# keys after 8.
_ROUNDS_GRID = 8
# Few bits mix slowly: at 3 bits 6 rounds leave triples of places 20 % apart.
_ROUNDS_FEW_BITS = 24
_FEW_BITS = 10


def _mix(word: jax.Array, key: jax.Array) -> jax.Array:
    word = (word + key) * WORD(0x9E3779B1)
    word = (word ^ (word >> WORD(15))) * WORD(0x85EBCA77)
    return word ^ (word >> WORD(13))


def feistel(index: jax.Array, key: jax.Array, bits: int) -> jax.Array:
    """A bijection of 0 .. 2^bits - 1 onto itself, by a Feistel network [LubyRackoff1988].

    **Arguments:** `index`: uint32 array below 2^bits, 2 <= bits <= 32; `key`: (2,) uint32, which selects the bijection.
    """
    low_bits = bits // 2
    low_mask, high_mask = WORD((1 << low_bits) - 1), WORD((1 << (bits - low_bits)) - 1)

    def turn(number: jax.Array | int, halves: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = halves
        number = jnp.asarray(number, jnp.uint32)
        high = high ^ (_mix(low, key[0] + number) & high_mask)
        low = low ^ (_mix(high, key[1] + number) & low_mask)
        return low, high

    def unrolled(low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
        for number in range(rounds // 2):
            low, high = turn(number, (low, high))
        return low, high

    def looped(low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.lax.fori_loop(0, rounds // 2, turn, (low, high))

    halves = index & low_mask, index >> WORD(low_bits)
    rounds = _ROUNDS if bits > _FEW_BITS else _ROUNDS_FEW_BITS
    if rounds == _ROUNDS:
        low, high = unrolled(*halves)
    else:
        # For at most 2^10 items a loop is as fast on the CPU as unrolled rounds, and the program is an eighth as large.
        low, high = jax.lax.platform_dependent(*halves, cpu=looped, default=unrolled)
    return (high << WORD(low_bits)) | low


@lru_cache(maxsize=256)
def grid_sides(size: int) -> tuple[int, int]:
    """(a, b) with a b >= size and the least a b - size, which is mostly below ten and always below a.

    1/sqrt 2 <= a / sqrt(size) <= sqrt 2; a and b are at most 2^16. For 2^10 < `size` <= 2^32.
    """
    root = math.sqrt(size)
    lowest, highest = max(math.ceil(root / math.sqrt(2)), -(-size >> 16)), min(math.floor(root * math.sqrt(2)), 1 << 16)
    return min(((a, -(-size // a)) for a in range(lowest, highest + 1)), key=lambda s: (s[0] * s[1], abs(s[0] - s[1])))


def grid_feistel(index: jax.Array, key: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """A bijection of 0 .. a b - 1 onto itself: the network of `feistel` on digits of radix a and b, with sums modulo a and b
    instead of exclusive ors [BlackRogaway2002].

    **Arguments:** `index`: uint32 array below a b; `key`: (2,) uint32; `sides`: (a, b), at most 2^16 each.
    """
    a, b = (WORD(side) for side in sides)
    high = jax.lax.div(index, jax.lax.full_like(index, a))
    low = index - high * a
    for number in range(_ROUNDS_GRID // 2):
        shift = WORD(number * 0x9E3779B9 & 0xFFFFFFFF)
        high = _add_modulo(high, _mix(low, key[0] + shift), b)
        low = _add_modulo(low, _mix(high, key[1] + shift), a)
    return high * a + low


def _add_modulo(digit: jax.Array, word: jax.Array, radix: Any) -> jax.Array:
    """digit + floor(word radix / 2^32) modulo the radix, which is at most 2^16, by 32-bit products."""
    added = ((word >> WORD(16)) * radix + ((word & WORD(0xFFFF)) * radix >> WORD(16))) >> WORD(16)
    total = digit + added
    # If the total is below the radix, the unsigned difference wraps around to a large number.
    return jnp.minimum(total, total - radix)


def permute(index: jax.Array, key: jax.Array, size: int) -> jax.Array:
    """A bijection of 0 .. size - 1 onto itself, for every size and key; elementwise on uint32 arrays of any shape.

    It is the cycle-walking construction of [BlackRogaway2002]: a bijection of a larger range (`feistel` on the next power of
    two up to 2^10, above that `grid_feistel`), iterated until the image is below `size`. A walk visits each of the m places
    beyond `size` at most once. So the ends of all walks are found exactly, without a loop of unknown length, by composing the
    table of images of these m places with itself log2 m times.

    **Arguments:** `size`: 1 to 2^32. Cost: one evaluation per index and one for each of the m places, which are mostly fewer
    than ten if `size` is above 2^10.
    """
    bits = max(2, (size - 1).bit_length())
    if size == 1 << bits:
        return feistel(index, key, bits)
    if bits <= _FEW_BITS:
        # Materialise the table: LLVM hangs when it compiles a gather together with a bijection of few bits.
        table = materialise(feistel(jnp.arange(1 << bits, dtype=jnp.uint32), key, bits))
        return _next(table, _ends(table[size:], size), size).at[index].get(mode="clip")
    sides = grid_sides(size)
    image = grid_feistel(index, key, sides)
    beyond = math.prod(sides) - size
    if beyond:
        ends = grid_feistel(WORD(size) + jnp.arange(beyond, dtype=jnp.uint32), key, sides)
        ends = materialise(_ends(ends, size))
        # Not `_next`, whose gather would prevent vectorisation on the CPU.
        for k in range(beyond):
            image = jnp.where(image == WORD(size + k), ends[k], image)
    return image


def _next(place: jax.Array, following: jax.Array, size: int) -> jax.Array:
    """`following[place - size]` for places not below `size`; other places are unchanged."""
    return jnp.where(place < WORD(size), place, following.at[place - WORD(size)].get(mode="clip"))


def _ends(images: jax.Array, size: int) -> jax.Array:
    """The ends of the walks from the places `size`, `size` + 1, ...: the first place below `size` on each. `images`: the images
    of those places. A cycle entirely beyond `size` has no end, but no place below `size` leads to it."""
    count = (len(images) - 1).bit_length()

    def looped(images: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, count, lambda _, images: _next(images, images, size), images)

    def unrolled(images: jax.Array) -> jax.Array:
        for _ in range(count):
            images = _next(images, images, size)
        return images

    return jax.lax.platform_dependent(images, cpu=looped, default=unrolled)
