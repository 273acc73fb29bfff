"""Rotations of a vector z by an angle or by the spherical heat flow, as increments z' - z: small angles keep all digits."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxkinetic_kernels import cos_sin, materialise, normals, square_root, uniform

from .._util.checks import argument_error, describe
from .._util.types import Components, PairWords
from ._packed_columns import stored
from .components import square
from .spherical_heat import LATEST, quantile

__all__ = ["axis_words", "heat_rotation", "num_words", "rotated_pair", "rotation"]


def num_words(dim: int) -> int:
    """Number of uint32 words for one rotation by the heat flow: angle and axis."""
    return 2 if dim == 2 else 1 + axis_words(dim)


def axis_words(dim: int) -> int:
    """Number of uint32 words for an axis."""
    return 1 if dim <= 3 else dim + dim % 2


def heat_rotation(words: PairWords, tau: Float[Array, "*#pairs"], z: Components) -> Components:
    r"""z' - z, where z' is z after Brownian motion of the direction z/|z|, exp(tau Laplace) on the unit sphere: $-2xz +
    2\sqrt{x(1-x)}\,r\,e$, r = |z|.

    x = sin^2(theta/2), theta has the law of `spherical_heat_quantile`, e is uniform on the unit sphere orthogonal to z. In d =
    2 z is rotated by N(0, 2 tau). |z'| = |z| to round-off, without bias; z = 0 does not move. **Arguments:** `words`:
    `num_words(d)` uint32 arrays; `tau`: not negative (otherwise the result is NaN); `z`: d component arrays. Differentiable in
    tau and z at fixed words. Where z' - z is not differentiable its derivative is set to 0: in tau at tau = 0 (a square root),
    in z at z = 0 for d > 2 (a cone; in d = 2 a rotation is linear in z).
    """
    check_rotation(words, z)
    dtype = z[0].dtype
    # A negative or NaN tau gives NaN, which stops the run.
    moving = _differentiable_in_z(z) & (tau != 0)
    z = _away_from_zero(moving, z)
    tau = jnp.where(moving, tau, jnp.ones((), dtype))
    # tau above the least normal number: the square root of an underflow has an infinite derivative.
    wrong = ~(tau >= 0)
    # Materialised: otherwise every kernel that reads tau evaluates psi again.
    tau = materialise(jnp.clip(tau, jnp.asarray(1e-30, dtype), jnp.asarray(LATEST, dtype)))
    increment = _in_the_plane(words, tau, z) if len(z) == 2 else _about_an_axis(words, tau, z)
    rest = jnp.where(wrong, np.asarray(np.nan, dtype), jnp.zeros((), dtype))
    return stored(tuple(jnp.where(moving & ~wrong, c, rest) for c in increment))


def check_rotation(words: Any, z: Any) -> None:
    """**Raises:** `ValueError` if `words` or `z` does not hold the arrays of a rotation."""
    components = isinstance(z, (tuple, list)) and len(z) > 1 and all(eqx.is_inexact_array(c) for c in z)
    if not components:
        raise argument_error(
            "z", "be a tuple of d >= 2 floating arrays", f"is {describe(z)}", "pass one array for each component"
        )
    wanted = num_words(len(z))
    if not isinstance(words, (tuple, list)) or len(words) < wanted:
        raise argument_error(
            "words", f"be {wanted} uint32 arrays for d = {len(z)}", f"is {describe(words)}", "pass a tuple"
        )


def rotation(words: PairWords, x: Float[Array, "*#pairs"], z: Components) -> Components:
    r"""z' - z for z rotated by theta about a uniform axis: $-2xz + 2\sqrt{x(1-x)}\,r\,e$, x = sin^2(theta/2) in [0, 1].

    e is uniform on the unit sphere orthogonal to z; in d = 2 it is one of the two directions with probability 1/2 each. |z'| =
    |z| to round-off; z = 0 does not move. **Arguments:** `words`: `axis_words(d)` uint32 arrays; `x`: outside [0, 1] the result
    is NaN; `z`: d component arrays. Differentiable in x inside (0, 1) and in z, at fixed words. A derivative that does not
    exist is set to 0: at x = 1 that in x of the term with e; at x = 0, and at z = 0 if d > 2, that of all of z' - z.
    """
    dtype = z[0].dtype
    moving = _differentiable_in_z(z) & (x != 0)
    z = _away_from_zero(moving, z)
    wrong = ~((x >= 0) & (x <= 1))
    x = jnp.where(moving & ~wrong, x, jnp.full((), 0.5, dtype))
    increment = _increment(words, x, z)
    rest = jnp.where(wrong, np.asarray(np.nan, dtype), jnp.zeros((), dtype))
    return stored(tuple(jnp.where(moving & ~wrong, c, rest) for c in increment))


def rotated_pair(increment: Components, vi: Components, vj: Components) -> tuple[Components, Components]:
    """(vi, vj) after their relative velocity changes by `increment`; (vi + vj)/2 does not change."""
    return (
        tuple(p + c / 2 for p, c in zip(vi, increment, strict=True)),
        tuple(q - c / 2 for q, c in zip(vj, increment, strict=True)),
    )


def _differentiable_in_z(z: Components) -> Bool[Array, "*pairs"]:
    """Where the increment is differentiable in z: z != 0; in d = 2, where it is linear, everywhere."""
    if len(z) == 2:
        return jnp.ones(z[0].shape, bool)
    return square(z) > 0


def _away_from_zero(moving: Array, z: Components) -> Components:
    return z if len(z) == 2 else tuple(jnp.where(moving, c, jnp.ones((), c.dtype)) for c in z)


def _in_the_plane(words: tuple[Array, ...], tau: Array, z: Components) -> Components:
    xi = normals(words, z[0].dtype)[0]
    cosine, sine = cos_sin(jnp.sqrt(tau / 2) * xi)
    x, along = sine * sine, sine * cosine
    return -2 * (x * z[0] + along * z[1]), -2 * (x * z[1] - along * z[0])


def _about_an_axis(words: tuple[Array, ...], tau: Array, z: Components) -> Components:
    dtype = z[0].dtype
    u = jnp.clip(uniform(words[0], dtype), 0, 1 - jnp.finfo(dtype).epsneg)
    # Inside (0, 1): sqrt(x) and sqrt(1 - x) are not differentiable at the ends.
    x = jnp.clip(quantile(u, tau, len(z)), jnp.finfo(dtype).tiny, 1 - jnp.finfo(dtype).epsneg)
    return _increment(words[1:], x, z)


def _increment(words: tuple[Array, ...], x: Array, z: Components) -> Components:
    if len(z) == 2:
        x = materialise(x)
        sign = jnp.where(words[0] >> 31 == 0, jnp.ones_like(x), -jnp.ones_like(x))
        side = (-sign * z[1], sign * z[0])
    elif len(z) == 3:
        both = materialise(jax.lax.complex(x, uniform(words[0], x.dtype)))
        x, side = both.real, _frame(both.imag, z)
    else:
        x, side = materialise(x), _projected(words, z)
    # Two roots: the one of x (1 - x) rounds down more often than up near x = 1/2, by .004 eps in the mean.
    across = 2 * square_root(x) * square_root(1 - x)
    return tuple(across * e - 2 * x * c for e, c in zip(side, z, strict=True))


def _frame(turns: Array, z: Components) -> Components:
    """r e in d = 3: the point at the azimuth 2 pi `turns` in the orthonormal frame of [Duff2017]."""
    z1, z2, z3 = z
    r = jnp.sqrt(z1 * z1 + z2 * z2 + z3 * z3)
    sign = jnp.where(z3 < 0, -jnp.ones_like(z3), jnp.ones_like(z3))
    a = -1 / (sign * r + z3)
    b = z1 * z2 * a
    c, s = cos_sin(2 * math.pi * turns)
    return (
        c * (r + sign * z1 * z1 * a) + s * b,
        c * (sign * b) + s * (sign * r + z2 * z2 * a),
        -(c * sign * z1 + s * z2),
    )


def _projected(words: tuple[Array, ...], z: Components) -> Components:
    """r e in any d: a Gaussian vector, projected orthogonally to z and scaled to the length r."""
    g = normals(words, z[0].dtype)[: len(z)]
    r2, along = sum(c * c for c in z), sum(p * q for p, q in zip(g, z, strict=True))
    g = tuple(p - along / r2 * q for p, q in zip(g, z, strict=True))
    length = jnp.sqrt(r2 / sum(p * p for p in g))
    return tuple(length * p for p in g)
