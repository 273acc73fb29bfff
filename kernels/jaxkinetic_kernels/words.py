"""uint32 words turned into uniforms, normals and further keys."""

import math
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp

from .philox import philox_4x32

# The last counter word separates what a key is used for: no two uses can share a word.
TAG_NOISE, TAG_FOLD, TAG_OBSERVE, TAG_EVENT = 0, 1, 2, 3


def fold_in(key: jax.Array, *data: jax.Array | int, tag: int = TAG_FOLD) -> jax.Array:
    """A new two-word key from a two-word key and up to three uint32 numbers.

    **Arguments:** `key`: (2,) uint32. `data`: at most three numbers below 2^32.

    **Returns:** (2,) uint32. Different data give independent keys.
    """
    counter = [jnp.asarray(word, jnp.uint32) for word in data]
    counter += [jnp.zeros((), jnp.uint32)] * (3 - len(counter))
    words = philox_4x32((*counter, jnp.asarray(tag, jnp.uint32)), key)
    return jnp.stack(words[:2])


def uniform(word: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """(word + 1/2) 2^-32, in (0, 1]; 1 itself only by rounding in float32."""
    return (word.astype(dtype) + jnp.asarray(0.5, dtype)) * jnp.asarray(2.0**-32, dtype)


def horner(x: jax.Array, coefficients: Sequence[float]) -> jax.Array:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + jnp.asarray(coefficient, x.dtype)
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
    quadrant = (word + jnp.uint32(1 << 29)) >> 30
    offset = jax.lax.bitcast_convert_type(word - (quadrant << 30), jnp.int32)
    return _cos_sin(quadrant, offset.astype(dtype) * jnp.asarray(2 * math.pi * 2.0**-32, dtype))


@jax.custom_jvp
def cos_sin(angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """cos and sin of a moderate angle (absolute error a few eps (1 + |angle|)): a few times the speed of `jnp.cos`."""
    turns = jnp.round(angle * jnp.asarray(2 / math.pi, angle.dtype))
    quadrant = turns.astype(jnp.int32).astype(jnp.uint32) & jnp.uint32(3)
    high, low = 1.5703125, math.pi / 2 - 1.5703125
    rest = (angle - turns * jnp.asarray(high, angle.dtype)) - turns * jnp.asarray(low, angle.dtype)
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
    odd = (quadrant & jnp.uint32(1)) == 1
    c, s = jnp.where(odd, sine, cosine), jnp.where(odd, cosine, sine)
    c = jnp.where((quadrant == 1) | (quadrant == 2), -c, c)
    s = jnp.where(quadrant >= 2, -s, s)
    return c, s


def normals(words: Sequence[jax.Array], dtype: jnp.dtype) -> tuple[jax.Array, ...]:
    """Independent N(0, 1) variables by Box and Muller, as many as there are words (an even number).

    **Arguments:** `words`: uint32 arrays, taken in pairs (radius, angle). **Returns:** a tuple of arrays of
    `dtype`, of modulus at most 6.8.
    """
    out: list[jax.Array] = []
    for radius_word, angle_word in zip(words[::2], words[1::2], strict=True):
        minus_two_log = jnp.asarray(-2.0, dtype) * jnp.log(uniform(radius_word, dtype))
        radius = jnp.sqrt(jnp.maximum(minus_two_log, jnp.zeros((), dtype)))
        cosine, sine = cos_sin_turns(angle_word, dtype)
        out += [radius * cosine, radius * sine]
    return tuple(out)
