"""Values of a trigonometric interaction in d = 1 at the differences of grid points, and spectral derivatives along axes."""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from .._util.checks import argument_error
from .trigonometric import PERIOD, Trigonometric

__all__ = ["check_points", "derivative", "difference_tables", "on_pair"]


def check_points(interaction: Trigonometric, num: int, argument: str) -> None:
    """**Raises:** `ValueError` unless `num` points resolve every mode of the interaction."""
    highest = 2 * int(np.abs(np.asarray(interaction.modes)).max())
    if num <= highest:
        raise argument_error(
            argument, f"have more than {highest} points an axis, twice the highest mode of the interaction",
            f"has {num}", f"use at least {highest + 2}",
        )  # fmt: skip


def difference_tables(
    interaction: Trigonometric, num: int, dtype: DTypeLike
) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    """a and b at the differences of `num` grid points, (i, j) at v_i - v_j."""
    points = PERIOD * np.arange(num) / num
    z = jnp.asarray(points[:, None] - points[None, :], dtype)[..., None]
    return interaction.a(z)[..., 0, 0], interaction.b(z)[..., 0]


def derivative(f: Array, axis: int) -> Array:
    """The spectral derivative along an axis, as a product with a matrix: faster than transforms for up to about 100 points.

    The matrix is antisymmetric, so that sums by parts are exact."""
    num = f.shape[axis]
    wave = np.where(2 * np.arange(num) == num, 0, np.fft.fftfreq(num, 1 / num))
    matrix = np.fft.ifft(1j * wave[:, None] * np.fft.fft(np.eye(num), axis=0), axis=0).real
    table = jnp.asarray(matrix, f.dtype)
    before, after = math.prod(f.shape[:axis]), math.prod(f.shape[axis + 1 :])
    if after == 1:
        product = jnp.matmul(f.reshape(before, num), table.T, precision="highest")
    else:
        # One product for each index before the axis: XLA would transpose f for a single product, inside the loop that computes
        # it, where that is slow (N = 4 at 32^4: one evaluation of the equation took three times as long).
        tables = jnp.broadcast_to(table, (before, num, num))
        product = jnp.matmul(tables, f.reshape(before, num, after), precision="highest")
    return product.reshape(f.shape)


def on_pair(table: Float[Array, "n n"], i: int, j: int, num: int) -> Array:
    """A table of (v_i, v_j) as an array on the axes of `num` particles."""
    shape = [1] * num
    shape[i] = shape[j] = table.shape[0]
    return (table if i < j else table.T).reshape(shape)
