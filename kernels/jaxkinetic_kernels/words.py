"""uint32 words turned into uniforms, normals and further keys."""

import math
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp

from .philox import WORD, philox_once

__all__ = [
    "TAG_EVENT", "TAG_FOLD", "TAG_NOISE", "TAG_OBSERVE", "cos_sin", "cos_sin_turns", "fold_in", "horner", "normals",
    "uniform",
]  # fmt: skip

# The last counter word separates what a key is used for: no two uses can share a word.
TAG_NOISE, TAG_FOLD, TAG_OBSERVE, TAG_EVENT = 0, 1, 2, 3


def fold_in(key: jax.Array, *data: jax.Array | int, tag: int = TAG_FOLD) -> jax.Array:
    """A new two-word key from a two-word key and up to three uint32 numbers.

    **Arguments:** `key`: (2,) uint32. `data`: at most three numbers below 2^32.

    **Returns:** (2,) uint32. Different data give independent keys.
    """
    counter = [jnp.asarray(word, jnp.uint32) for word in data]
    counter += [jnp.zeros((), jnp.uint32)] * (3 - len(counter))
    return philox_once(jnp.stack([*counter, jnp.asarray(tag, jnp.uint32)]), key)[:2]


def uniform(word: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """(word + 1/2) 2^-32, in (0, 1]; 1 itself only by rounding in float32."""
    return (word.astype(dtype) + 0.5) * 2.0**-32


def horner(x: jax.Array, coefficients: Sequence[float]) -> jax.Array:
    """sum_k coefficients_k x^k, for at least two coefficients."""
    total = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        total = total * x + coefficient
    return total


def _representable(coefficients: list[Fraction], dtype: jnp.dtype) -> list[float]:
    """The coefficients in `dtype`, what rounding takes from each given back by the next at x = .4: the rounding of -1/6 alone
    would change the length of what is rotated by .02 eps a turn."""
    precision = jnp.finfo(dtype).nmant + 1
    out, lost = [], Fraction(0)
    for coefficient in coefficients:
        wanted = coefficient + lost / Fraction(2, 5)
        unit = Fraction(2) ** (math.frexp(float(wanted))[1] - precision)
        out.append(float(round(wanted / unit) * unit))
        lost = wanted - Fraction(out[-1])
    return out


def cos_sin_turns(word: jax.Array, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """cos and sin of 2 pi word / 2^32: a uniform point on the circle from a uniform word."""
    quadrant = (word + WORD(1 << 29)) >> WORD(30)
    offset = jax.lax.bitcast_convert_type(word - (quadrant << WORD(30)), jnp.int32)
    return _cos_sin(quadrant, offset.astype(dtype) * (2 * math.pi * 2.0**-32))


@jax.custom_jvp
def cos_sin(angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """cos and sin of a moderate angle (absolute error a few eps (1 + |angle|)): a few times the speed of `jnp.cos`."""
    return _reduced(angle)


@jax.jit
def _reduced(angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    turns = jax.lax.round(angle * (2 / math.pi), jax.lax.RoundingMethod.TO_NEAREST_EVEN)
    quadrant = turns.astype(jnp.int32).astype(jnp.uint32) & WORD(3)
    high, low = 1.5703125, math.pi / 2 - 1.5703125
    rest = (angle - turns * high) - turns * low
    return _cos_sin(quadrant, rest)


@cos_sin.defjvp
def _cos_sin_jvp(primals, tangents):
    cosine, sine = cos_sin(primals[0])
    return (cosine, sine), (-sine * tangents[0], cosine * tangents[0])


@jax.jit
def _cos_sin(quadrant: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """cos and sin of quadrant pi/2 + angle, |angle| <= pi/4, by Taylor's series."""
    terms = 6 if jnp.finfo(angle.dtype).bits <= 32 else 10
    square = angle * angle
    odd_terms = [Fraction((-1) ** n, math.factorial(2 * n + 1)) for n in range(terms)]
    even_terms = [Fraction((-1) ** n, math.factorial(2 * n)) for n in range(terms + 1)]
    sine = angle * horner(square, _representable(odd_terms, angle.dtype))
    cosine = horner(square, _representable(even_terms, angle.dtype))
    odd = (quadrant & WORD(1)) == WORD(1)
    c, s = jax.lax.select(odd, sine, cosine), jax.lax.select(odd, cosine, sine)
    c = jax.lax.select((quadrant == WORD(1)) | (quadrant == WORD(2)), -c, c)
    s = jax.lax.select(quadrant >= WORD(2), -s, s)
    return c, s


def normals(words: Sequence[jax.Array], dtype: jnp.dtype) -> tuple[jax.Array, ...]:
    """Independent N(0, 1) variables by Box and Muller, as many as there are words (an even number).

    **Arguments:** `words`: uint32 arrays, taken in pairs (radius, angle). **Returns:** a tuple of arrays of
    `dtype`, of modulus at most 6.8.
    """
    out: list[jax.Array] = []
    for radius_word, angle_word in zip(words[::2], words[1::2], strict=True):
        radius = jnp.sqrt(jnp.maximum(-2.0 * jnp.log(uniform(radius_word, dtype)), 0.0))
        cosine, sine = cos_sin_turns(angle_word, dtype)
        out += [radius * cosine, radius * sine]
    return tuple(out)
