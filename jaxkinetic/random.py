"""Noise for those who write their own systems: functions of (key words, identities, stream), on every device the same.

A step hands a system two uint32 words as `key`. No JAX key is ever split per pair.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Real, UInt32

from jaxkinetic_kernels import (
    fold_in as fold_in,
)
from jaxkinetic_kernels import (
    normals as normals,
)
from jaxkinetic_kernels import (
    pair_normals as pair_normals,
)
from jaxkinetic_kernels import (
    pair_words as pair_words,
)
from jaxkinetic_kernels import (
    particle_normals as particle_normals,
)
from jaxkinetic_kernels import (
    philox_4x32 as philox_4x32,
)
from jaxkinetic_kernels import (
    uniform as uniform,
)

from ._guard import undifferentiated

__all__ = [
    "bernoulli", "fold_in", "normals", "pair_normals", "pair_words", "particle_normals", "philox_4x32", "uniform",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def bernoulli(word: UInt32[Array, "*#shape"], probability: Real[ArrayLike, "*#shape"]) -> Bool[Array, "*shape"]:
    """True with `probability`, to 2^-32 (in float32 2^-25): never for 0, always for 1. `word`: uint32, broadcasts against it.

    A derivative in `probability` is refused with `ValueError`: at fixed noise the outcome does not change, and what would be
    returned, 0, is not the derivative of the law.
    """
    p = jnp.asarray(probability)
    p = p if jnp.issubdtype(p.dtype, jnp.floating) else p.astype(jnp.result_type(float))
    p = undifferentiated(
        "The outcome of `jk.random.bernoulli` depends on a parameter through its probability, and the derivative at fixed "
        "noise misses that; differentiate in another parameter, or use finite differences of averages over many runs.",
        p,
    )
    return uniform(word, p.dtype) <= p
