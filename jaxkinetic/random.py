"""Random numbers for systems of your own: functions of (key words, identities, stream), the same on every device.

A step passes two uint32 words to the system as `key`; JAX keys are never split per pair. Words, keys and identities are uint32.
Other dtypes raise `ValueError`, because rounding or wrapping them could give two particles the same noise.
"""

from collections.abc import Sequence
from functools import wraps
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Real, UInt32

import jaxkinetic_kernels as _kernels

from ._util.checks import argument_error, check_integer, describe, is_traced
from ._util.decisions import decisions_are_logged, logged_decision
from ._util.gradients import forbid_gradient

__all__ = [
    "bernoulli", "fold_in", "normals", "pair_normals", "pair_words", "particle_normals", "philox_4x32", "uniform",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def bernoulli(word: UInt32[Array, "*#shape"], probability: Real[ArrayLike, "*#shape"]) -> Bool[Array, "*shape"]:
    """True with `probability`, accurate to 2^-32 (2^-25 in float32); never for 0 and always for 1. `word`: uint32, broadcasts
    against `probability`.

    Differentiating with respect to `probability` raises `ValueError`: at fixed noise the outcome is piecewise constant, so its
    gradient 0 is not the derivative of the law. In a jump, and in a start that is a function of a key, `jk.expectation` gives
    the derivative of a mean without bias, by the score of the outcome. **Raises:** `ValueError` also for a word that is not
    uint32, and for a concrete probability outside [0, 1]. A traced probability cannot be checked: below 0 or NaN gives False,
    above 1 gives True.
    """
    _check_words("word", word)
    try:
        p = jnp.asarray(probability)
        real = not jnp.issubdtype(p.dtype, jnp.complexfloating)
    except (TypeError, ValueError):
        p, real = jnp.zeros(()), False
    if not real:
        raise argument_error(
            "probability", "be a real number", f"is {describe(probability)}", "pass a number from 0 to 1"
        )
    if not is_traced(probability) and not np.all((np.asarray(probability) >= 0) & (np.asarray(probability) <= 1)):
        raise argument_error("probability", "lie in [0, 1]", f"is {describe(probability)}", "correct it")
    p = p if jnp.issubdtype(p.dtype, jnp.floating) else p.astype(jnp.result_type(float))
    if decisions_are_logged():
        return logged_decision(_kernels.uniform(word, p.dtype) <= p, p)
    p = forbid_gradient(
        "The outcome of `jk.random.bernoulli` depends on a parameter through its probability, and the derivative at fixed "
        "noise misses that; use `jk.expectation`, which gives it without bias for decisions in a jump or in the start, or "
        "differentiate with respect to another parameter, or use finite differences of averages over runs.",
        p,
    )
    return _kernels.uniform(word, p.dtype) <= p


@wraps(_kernels.fold_in)
def fold_in(key: Array, *data: Any, **tag: Any) -> Array:
    _check_key(key)
    if len(data) > 3:
        raise argument_error("data", "be at most three numbers", f"are {len(data)}", "fold in twice")
    for number in data:
        _check_number("data", number)
    return _kernels.fold_in(key, *data, **tag)


@wraps(_kernels.uniform)
def uniform(word: Array, dtype: Any) -> Array:
    _check_words("word", word)
    return _kernels.uniform(word, _floating(dtype))


@wraps(_kernels.normals)
def normals(words: Sequence[Array], dtype: Any) -> tuple[Array, ...]:
    if not isinstance(words, (tuple, list)) or len(words) % 2:
        was = f"holds {len(words)}" if isinstance(words, (tuple, list)) else f"is {describe(words)}"
        raise argument_error("words", "be an even number of uint32 arrays", was, "pass a tuple")
    for word in words:
        _check_words("words", word)
    return _kernels.normals(words, _floating(dtype))


@wraps(_kernels.pair_words)
def pair_words(key: Array, ident_i: Array, ident_j: Array, count: int, *, stream: Any = 0) -> tuple[Array, ...]:
    count = _check_pair(key, ident_i, ident_j, count, stream)
    return _kernels.pair_words(key, ident_i, ident_j, count, stream=stream)


@wraps(_kernels.pair_normals)
def pair_normals(
    key: Array, ident_i: Array, ident_j: Array, count: int, dtype: Any, *, stream: Any = 0
) -> tuple[Array, ...]:
    count = _check_pair(key, ident_i, ident_j, count, stream)
    return _kernels.pair_normals(key, ident_i, ident_j, count, _floating(dtype), stream=stream)


@wraps(_kernels.particle_normals)
def particle_normals(key: Array, ident: Array, count: int, dtype: Any, *, stream: int = 0) -> tuple[Array, ...]:
    count = _check_pair(key, ident, ident, count, stream)
    return _kernels.particle_normals(key, ident, count, _floating(dtype), stream=stream)


@wraps(_kernels.philox_4x32)
def philox_4x32(counter: Sequence[Array], key: Array | Sequence[Array]) -> tuple[Array, ...]:
    for name, words, num in (("counter", counter, 4), ("key", key, 2)):
        try:
            fits = not isinstance(words, str) and len(words) == num
        except TypeError:
            fits = False
        if not fits:
            raise argument_error(name, f"hold {num} uint32 words", f"is {describe(words)}", "pass a tuple of them")
        for i in range(num):
            _check_number(name, words[i], scalar=False)
    return _kernels.philox_4x32(counter, key)


def _check_pair(key: Any, ident_i: Any, ident_j: Any, count: Any, stream: Any) -> int:
    _check_key(key)
    _check_words("ident", ident_i)
    _check_words("ident", ident_j)
    _check_number("stream", stream)
    if not is_traced(stream) and int(stream) >= 1 << 16:
        raise argument_error("stream", "be below 2^16", f"is {int(stream)}", "fold the rest into the key")
    return check_integer("count", count, minimum=1)


def _check_key(key: Any) -> None:
    if getattr(key, "dtype", None) != jnp.uint32 or getattr(key, "shape", None) != (2,):
        raise argument_error(
            "key", "be two uint32 words", f"is {describe(key)}",
            "pass the key that a step receives, or jax.random.bits(key, (2,), jnp.uint32)",
        )  # fmt: skip


def _check_words(argument: str, word: Any) -> None:
    if getattr(word, "dtype", None) != jnp.uint32:
        raise argument_error(argument, "have dtype uint32", f"is {describe(word)}", "pass a jnp.uint32 array")


def _check_number(argument: str, number: Any, *, scalar: bool = True) -> None:
    """**Raises:** `ValueError` unless `number` is an integer from 0 to 2^32 - 1, a uint32 array, or a concrete array of another
    integer dtype with values in that range."""
    dtype, shape = getattr(number, "dtype", None), getattr(number, "shape", ())
    fits = not scalar or shape == ()
    if dtype is None:
        fits &= isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 32
    elif dtype != jnp.uint32:
        known = jnp.issubdtype(dtype, jnp.integer) and not is_traced(number)
        fits &= known and bool(np.all((np.asarray(number) >= 0) & (np.asarray(number) < 1 << 32)))
    if not fits:
        raise argument_error(
            argument, "hold whole numbers from 0 to 2^32 - 1", f"is {describe(number)}", "pass uint32 numbers"
        )


def _floating(dtype: Any) -> Any:
    try:
        fits = jnp.dtype(dtype) in (jnp.float32, jnp.float64)
    except TypeError:
        fits = False
    if not fits:
        raise argument_error("dtype", "be float32 or float64", f"is {dtype!r}", "pass the dtype of the state")
    return dtype
