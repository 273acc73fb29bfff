"""Fourier tools that all grid solvers share: wavenumbers, phases and filters along one axis of a grid."""

import math
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, Shaped

from jaxkinetic_kernels import cos_sin
from jaxkinetic_kernels.fusion import once

from ._util.checks import argument_error, check_bool, check_integer, describe
from ._util.types import RealScalar
from .states import Axis

__all__ = [
    "along", "filtered", "half_wavenumbers", "imaginary", "phase", "power_tables", "powers", "powers_of", "tail",
    "unit_wavenumber", "wavenumbers",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def _check_axis(axis: Any) -> None:
    if not isinstance(axis, Axis):
        raise argument_error("axis", "be an Axis", f"is {describe(axis)}", "pass jk.Axis(0.0, 1.0, 64), say")


def unit_wavenumber(axis: Axis) -> RealScalar:
    """The smallest positive wavenumber, 2 pi/length."""
    _check_axis(axis)
    return 2 * math.pi / axis.length


def wavenumbers(axis: Axis) -> Float[Array, " num"]:
    """k_j = 2 pi j/length in FFT order, with 0 at the Nyquist frequency, whose sine vanishes at all grid points."""
    _check_axis(axis)
    signed = [j if 2 * j < axis.num else j - axis.num for j in range(axis.num)]
    whole = [0 if 2 * j == -axis.num else j for j in signed]
    return 2 * math.pi * jnp.asarray(whole, axis.length.dtype) / axis.length


def half_wavenumbers(axis: Axis) -> Float[Array, " half"]:
    """The wavenumbers of a real transform, j = 0 .. num/2, with 0 at the Nyquist frequency."""
    _check_axis(axis)
    whole = [j if 2 * j < axis.num else 0 for j in range(axis.num // 2 + 1)]
    return 2 * math.pi * jnp.asarray(whole, axis.length.dtype) / axis.length


def phase(angle: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """exp(i angle) by a polynomial, with an absolute error of a few eps (1 + |angle|)."""
    cosine, sine = cos_sin(angle)
    return jax.lax.complex(cosine, sine)


def powers(
    angle: Float[Array, "*shape"], axis: Axis, turn: Float[Array, "*shape"] | None = None, *, real: bool = False
) -> Complex[Array, "*shape num"]:
    """exp(i (j angle + turn)) along a new last axis, over the integers j of the wavenumbers of `axis` (with `real`, those of a
    real transform). At the Nyquist frequency j counts as 0.

    Computed from two short tables by j = m a + b: each number costs one product instead of a sine and a cosine.
    """
    real = check_bool("real", real)
    low, up = once(
        partial(power_tables, num=axis.num, real=real), angle, jnp.zeros_like(angle) if turn is None else turn
    )
    return powers_of(low, up, num=axis.num, real=real)


def power_tables(
    angle: Float[Array, "*shape"], turn: Float[Array, "*shape"] | None = None, *, num: int, real: bool = False
) -> tuple[Complex[Array, "*shape low"], Complex[Array, "*shape up"]]:
    """The two tables of which `powers` are products: exp(i b angle), and exp(i (m a angle + turn))."""
    real = check_bool("real", real)
    half = num // 2
    block = _block(half)
    blocks = half // block + 1 if real else num // block
    high = [a * block if a * block < half else a * block - num for a in range(blocks)]
    if real:  # only the entry of the Nyquist frequency is used from the last block
        high[-1] = 0
    fine, coarse = (jnp.asarray(j, angle.dtype) for j in (range(block), high))
    whole = jnp.multiply.outer(angle, coarse)
    return phase(jnp.multiply.outer(angle, fine)), phase(whole if turn is None else whole + turn[..., None])


def powers_of(
    low: Complex[Array, "*shape low"], up: Complex[Array, "*shape up"], *, num: int, real: bool = False
) -> Complex[Array, "*shape num"]:
    """`powers` from the two `power_tables`."""
    real = check_bool("real", real)
    half = num // 2
    out = (up[..., :, None] * low[..., None, :]).reshape(*low.shape[:-1], -1)
    if real:
        return out[..., : half + 1]
    # At the Nyquist frequency j counts as 0, so the value is that of j = 0.
    at_nyquist = along(jnp.arange(num) == half, out.ndim - 1, out.ndim)
    return jnp.where(at_nyquist, up[..., :1], out)


def _block(half: int) -> int:
    """The divisor of `half` nearest to its square root."""
    return min((b for b in range(1, half + 1) if half % b == 0), key=lambda b: abs(b * b - half))


def imaginary(x: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    """i x."""
    return jax.lax.complex(jnp.zeros_like(x), x)


def filtered(hat: Complex[Array, "*shape"], factor: Inexact[Array, "*#shape"]) -> Complex[Array, "*shape"]:
    """A transform times a real or complex factor, in the dtype of the transform."""
    return hat * factor.astype(hat.dtype)


def along(x: Shaped[Array, " num"], axis: int, ndim: int) -> Shaped[Array, "..."]:
    """A vector reshaped to `ndim` axes, so that it broadcasts along `axis`."""
    shape = [1] * ndim
    shape[axis] = x.shape[0]
    return x.reshape(shape)


def tail(f: Inexact[Array, "*grid"], axis: int) -> RealScalar:
    """The fraction of the squared norm in the upper third of the wavenumbers of one axis; near 0 for resolved data."""
    if not eqx.is_array(f) or not -f.ndim <= check_integer("axis", axis, minimum=-np.ndim(f)) < f.ndim:
        raise argument_error(
            "f", "be an array that has the axis", f"is {describe(f)}, axis {axis}", "pass values on a grid"
        )
    hat = jnp.fft.fft(f, axis=axis)
    num = f.shape[axis]
    high = jnp.asarray([3 * min(j, num - j) > num for j in range(num)])
    square = jnp.abs(hat) ** 2
    part = jnp.sum(jnp.where(along(high, axis, f.ndim), square, 0))
    whole = jnp.sum(square)
    return part / jnp.where(whole > 0, whole, jnp.ones_like(whole))
