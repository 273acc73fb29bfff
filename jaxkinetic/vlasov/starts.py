r"""Particles distributed as $f = f_0(v)(1 + A\cos kx)$, k = 2 pi number/length, d = 1: at random, or as a quiet start on points
that fill phase space evenly."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._util.checks import argument_error, check_integer, describe, scalar_or_nan
from .._util.types import Key, RealScalarLike
from ..initial.samplers import AMPLITUDE, floating, kepler, sizes
from ..states import Particles

__all__ = ["quiet_start", "random_start"]


def random_start(
    key: Key,
    f0: Any,
    num_particles: int,
    amplitude: RealScalarLike = 0.0,
    *,
    number: int = 1,
    dtype: DTypeLike | None = None,
) -> Particles:
    """Independent particles. Differentiable in the amplitude, |A| < 1, and in the parameters of `f0`.

    **Arguments:** `f0`: a `Maxwellian`, a `TwoStream`, or your own object with `length` and `velocities(u)`, which maps uniform
    numbers to velocities. **Raises:** `ValueError` for |A| > 1 (a traced A gives NaN), and for an f0 without length."""
    num_particles, _, dtype = sizes(key, num_particles, 1, dtype)
    u, w = jax.random.uniform(key, (2, num_particles), dtype)
    return Particles(*_mapped(f0, u, w, amplitude, number))


def quiet_start(
    f0: Any, num_particles: int, amplitude: RealScalarLike = 0.0, *, number: int = 1, dtype: DTypeLike | None = None
) -> Particles:
    """Hammersley points [Hammersley1960] instead of random ones: equidistant in x, bit-reversed in v, each with its mirror
    image (-x, -v). Known in PIC simulation as a quiet start.

    The error of the Fourier modes of the density is O(log N/N) instead of N^{-1/2}; the momentum and the sine modes of the
    density vanish to round-off. A linear instability therefore grows from A and not from noise. No key. Differentiable as
    `random_start`; f_0 must be even.

    **Raises:** `ValueError` for an odd number of particles, for |A| > 1 (a traced A gives NaN), and for an f0 without
    length."""
    dtype = floating(dtype)
    num = check_integer("num_particles", num_particles, minimum=2)
    if num % 2:
        raise argument_error("num_particles", "be even: every particle has a mirror image", f"is {num}", "add one")
    half = num // 2
    u = (np.arange(half) + 0.5) / half
    v, x = _mapped(f0, jnp.asarray(u, dtype), jnp.asarray(_bit_reversed(half), dtype), amplitude, number)
    # The mirror images cancel the momentum and the sine modes of the density.
    length = jnp.asarray(f0.length, dtype)
    return Particles(jnp.concatenate([v, -v]), jnp.concatenate([x, length - x]))


def _mapped(
    f0: Any, u: Float[Array, " N"], w: Float[Array, " N"], amplitude: RealScalarLike, number: int
) -> tuple[Float[Array, "N 1"], Float[Array, "N 1"]]:
    """(velocities, positions), (N, 1) each: maps u to positions in [0, length) and w to velocities."""
    amplitude = scalar_or_nan("amplitude", amplitude, within=AMPLITUDE)
    check_integer("number", number, minimum=1)
    if not hasattr(f0, "velocities") or not hasattr(f0, "length"):
        raise argument_error(
            "f0", "have `length` and `velocities`", f"is {describe(f0)}", "pass jk.vlasov.Maxwellian(), say"
        )
    if f0.length is None:
        raise argument_error(
            "f0", "have a length", "has none", "pass the length of the torus, Maxwellian(length=2 * math.pi), say"
        )
    theta = kepler(jnp.asarray(amplitude, u.dtype), 2 * math.pi * number * u)
    x = theta * (jnp.asarray(f0.length, u.dtype) / (2 * math.pi * number))
    return f0.velocities(w)[:, None], x[:, None]


def _bit_reversed(num: int) -> np.ndarray:
    """Van der Corput's sequence in base 2, shifted to the centres of its cells: in (0, 1)."""
    bits = max(1, (num - 1).bit_length())
    index, out = np.arange(num, dtype=np.int64), np.zeros(num, dtype=np.int64)
    for _ in range(bits):
        out, index = 2 * out + (index & 1), index >> 1
    return (out + 0.5) / 2**bits
