"""Sums over pairs of N particles in d = 1, as functions of (x_1, ..., x_N) on the grid of their positions."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..states import Axis
from .potentials import AbstractPotential

__all__ = ["pair_energy", "pair_field"]


def __dir__() -> list[str]:
    return __all__


def pair_field(potential: AbstractPotential, axes: tuple[Axis, ...]) -> tuple[Float[Array, "*places"], ...]:
    """(1/(N-1)) sum_{n != m} Gamma'(x_m - x_n) over (x_1, ..., x_N), for every m."""
    num, axis = len(axes), axes[0]
    if axis.periodic:
        table = _on_circle(potential.field(_point_mass(axis), (axis,))[0], axis)
    else:
        x = axis.points
        table = potential.grad((x[:, None] - x[None, :])[..., None])[..., 0]
    # The derivative of an even function is 0 at 0, where `grad` may be singular and a Fourier sum leaves round-off.
    table = jnp.where(np.eye(axis.num, dtype=bool), 0, table)
    out = []
    for m in range(num):
        total = jnp.zeros((1,) * num, table.dtype)
        for n in range(num):
            if n != m:
                total = total + _of_pair(table if m < n else table.T, m, n, num)
        out.append(jnp.broadcast_to(total, (axis.num,) * num) / (num - 1))
    return tuple(out)


def pair_energy(potential: AbstractPotential, axes: tuple[Axis, ...]) -> Float[Array, "*places"]:
    """(1/(2 (N-1))) sum_{m != n} Gamma(x_m - x_n) over (x_1, ..., x_N), whose derivatives are `pair_field`."""
    num, axis = len(axes), axes[0]
    if axis.periodic:
        table = _on_circle(potential.convolve(_point_mass(axis), (axis,)), axis)
    else:
        x = axis.points
        table = potential.gamma((x[:, None] - x[None, :])[..., None])
    pairs = [_of_pair(table, m, n, num) for n in range(num) for m in range(n)]
    return jnp.broadcast_to(sum(pairs[1:], pairs[0]), (axis.num,) * num) / (num - 1)


def _point_mass(axis: Axis) -> Float[Array, " num"]:
    return jnp.zeros(axis.num, axis.length.dtype).at[0].set(1.0) / axis.spacing


def _on_circle(values: Float[Array, " num"], axis: Axis) -> Float[Array, "num num"]:
    """A function of the displacement x - y as a table over (x, y), from its values at the displacements of the grid."""
    places = np.arange(axis.num)
    return values[(places[:, None] - places[None, :]) % axis.num]


def _of_pair(table: Float[Array, "num num"], m: int, n: int, num: int) -> Array:
    """A function of (x_m, x_n), broadcast over (x_1, ..., x_N); the smaller of m and n is the first axis of the table."""
    shape = [1] * num
    shape[m] = shape[n] = table.shape[0]
    return table.reshape(shape)
