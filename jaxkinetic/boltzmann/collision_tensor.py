"""The collision operator for isotropic densities as a tensor over pairs of speeds, with conservation of mass and energy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from .._util.printing import Printed
from .._util.types import RealScalar
from ..radial import RadialGrid
from ._splines import HALF, REACH, antiderivatives, sharpening
from .cross_sections import AbstractCrossSection

__all__ = ["CollisionTensor", "collision_tensor", "tensor_bytes"]

# Columns left of v = 0 and right of R that splines reach.
_PAD = HALF + 1


class CollisionTensor(Printed):
    r"""Gain and loss of the isotropic Boltzmann equation on a `RadialGrid`, for the masses F_k = w_k f_k at its nodes.

    `gain`: (P, num + HALF): what a collision of the pair of nodes p = (i, j), j <= i, adds to every node; times 2 for i != j;
    before `sharpening`. `frequency`, (num, num): $\Sigma$ averaged over the angle between the velocities; `collisions`,
    (num, num): the same without collisions that leave the ball."""

    gain: Float[Array, "pairs num_and_pad"]
    frequency: Float[Array, "num num"]
    collisions: Float[Array, "num num"]

    def gained(self, masses: Float[Array, " num"]) -> Float[Array, " num"]:
        """Mass at every node after a collision, per unit time."""
        num = masses.size
        first, second = _pairs(num)
        deposited = jnp.dot(masses[first] * masses[second], self.gain, precision=jax.lax.Precision.HIGHEST)
        # The isotropic function continues evenly to v < 0, and vanishes beyond the last node that a spline reaches.
        zeros = jnp.zeros(2 * REACH, deposited.dtype)
        even = jnp.concatenate([deposited[:REACH][::-1], deposited, zeros])
        filtered = jnp.convolve(even, jnp.asarray(sharpening(), even.dtype), mode="valid", precision="highest")
        return filtered[:num] + jnp.dot(filtered[num:], _returned(num, filtered.size, even.dtype), precision="highest")

    def lost(self, masses: Float[Array, " num"]) -> Float[Array, " num"]:
        """Collisions per particle and unit time at every node."""
        return jnp.dot(self.collisions, masses, precision=jax.lax.Precision.HIGHEST)

    def met(self, masses: Float[Array, " num"]) -> Float[Array, " num"]:
        """Meetings, collisions or annihilations, per particle and unit time at every node."""
        return jnp.dot(self.frequency, masses, precision=jax.lax.Precision.HIGHEST)


def tensor_bytes(num: int, itemsize: int) -> int:
    """Bytes while a tensor is built: itself, its sum, and the copies of a loop."""
    return 4 * itemsize * (num * (num + 1) // 2) * (num + 2 * _PAD)


@eqx.filter_jit
def collision_tensor(cross_section: AbstractCrossSection, grid: RadialGrid) -> CollisionTensor:
    r"""The tensor for z' uniform on the sphere, d = 3.

    The speeds a, b of a pair, its relative speed r and $V = \sqrt{(a^2+b^2)/2 - r^2/4}$, the speed of the centre of mass,
    determine the law of $|v'|^2$: uniform on [(V - r/2)^2, (V + r/2)^2]. Collisions for which one outcome is above the last
    node do not happen; the others are still symmetric about (a^2 + b^2)/2, so that the energy is conserved. The law of r,
    r dr/(2ab) on [a - b, a + b], is integrated by Gauss-Legendre quadrature. The law of |v'| is distributed among the nodes by
    B-splines, integrated exactly; after `sharpening` these reproduce 1 and v^2, so mass and energy are conserved to round-off,
    whatever the error of the quadrature. Differentiable in the parameters of the cross section. O(num^3) operations."""
    num, dtype = grid.num, grid.radius.dtype
    first, second = _pairs(num)
    a, b = (jnp.asarray(i, dtype) + 0.5 for i in (first, second))
    nodes, weights = np.polynomial.legendre.leggauss(_num_nodes(num))
    rows = jnp.arange(a.size, dtype=jnp.int32)
    zero = jnp.zeros((a.size, num + 2 * _PAD), dtype)

    @jax.checkpoint
    def outcomes(node: RealScalar, weight: RealScalar) -> tuple[Array, ...]:
        """For r = a + b node: where to add what, and the frequencies. Speeds in units of the spacing."""
        r = a + b * node
        centre = jnp.sqrt((a - b * node) ** 2 + 2 * b * b * (1 - node * node)) / 2
        fast = centre + r / 2
        # (V - r/2)(V + r/2) is v.v_*, here without cancellation.
        slow = jnp.abs(b * (b * (1 - node * node) - 2 * a * node) / 2) / fast
        sigma = cross_section.sigma(r * r * grid.spacing**2)
        top = num - 0.5
        left = jnp.minimum(fast, jnp.full_like(fast, top))
        right = jnp.maximum(slow, jnp.sqrt(jnp.maximum(a * a + b * b - top * top, jnp.zeros_like(a))))
        met = weight * r / (2 * a) * sigma
        density = weight / (4 * a * centre) * sigma
        high, low = _box_end(left), _box_end(right)
        return (
            *high[:1],
            high[1] * density[:, None],
            *low[:1],
            -low[1] * density[:, None],
            met,
            density * (left * left - right * right),
        )

    def add(sums: tuple[Array, Array, Array], at: tuple[RealScalar, RealScalar]) -> tuple[tuple, None]:
        where_high, high, where_low, low, met, collided = outcomes(*at)
        total = _add_windows(_add_windows(sums[0], rows, where_high, high), rows, where_low, low)
        return (total, sums[1] + met, sums[2] + collided), None

    start = (zero, jnp.zeros_like(a), jnp.zeros_like(a))
    (steps, met, collided), _ = jax.lax.scan(add, start, (jnp.asarray(nodes, dtype), jnp.asarray(weights, dtype)))
    # From differences along the nodes to the mass at each, which is 2 v_k times the share of the box above node k.
    speeds = jnp.arange(num + 2 * _PAD, dtype=dtype) - (_PAD - 0.5)
    masses = jnp.cumsum(steps[:, ::-1], axis=1)[:, ::-1] * (2 * speeds[None])
    gain = masses[:, _PAD : num + _PAD + HALF].at[:, :_PAD].add(masses[:, :_PAD][:, ::-1])
    gain = gain * jnp.asarray(np.where(first == second, 1, 2), dtype)[:, None]
    index = _pair_index(num)
    return CollisionTensor(gain, met[index], collided[index])


def _num_nodes(num: int) -> int:
    """Nodes in r. At v = 0, where the mass of a node is least, the error is that of this quadrature: 1e-6 of the maximum of f
    for BKW with num/2, 1e-3 with num/4."""
    return 20 + num // 2


def _pairs(num: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.tril_indices(num)
    return first.astype(np.int32), second.astype(np.int32)


def _pair_index(num: int) -> np.ndarray:
    """The index of the pair of nodes (i, j), (num, num)."""
    i = np.arange(num)
    high, low = np.maximum(i[:, None], i), np.minimum(i[:, None], i)
    return (high * (high + 1) // 2 + low).astype(np.int32)


def _box_end(speed: Float[Array, " pairs"]) -> tuple[Int32[Array, " pairs"], Float[Array, "pairs window"]]:
    """(first column, values) of the differences along k of $q_k = \\frac{1}{v_k} \\int_{-\\infty}^v u B(u - v_k) du$: q_k is 1
    for nodes well below v = `speed`, 0 above."""
    position = speed - 0.5
    cell = jnp.floor(position)
    theta = (position - cell)[:, None]
    zeroth, first = (_horner(table, theta) for table in antiderivatives())
    node = cell[:, None] + jnp.asarray(np.arange(1 - HALF, HALF + 1)[None] + 0.5, speed.dtype)
    share = zeroth + first / node
    ends = jnp.ones_like(theta), jnp.zeros_like(theta)
    padded = jnp.concatenate([ends[0], share, ends[1]], axis=1)
    return cell.astype(jnp.int32) - HALF + _PAD, padded[:, :-1] - padded[:, 1:]


def _horner(table: np.ndarray, theta: Float[Array, "pairs 1"]) -> Float[Array, "pairs window"]:
    rows = jnp.asarray(table[:, None], theta.dtype)
    total = jnp.broadcast_to(rows[-1], (theta.shape[0], table.shape[1]))
    for power in range(table.shape[0] - 2, -1, -1):
        total = total * theta + rows[power]
    return total


def _add_windows(total: Array, rows: Array, columns: Array, values: Array) -> Array:
    """Add values[p] to total[p, columns[p] : columns[p] + window]. No element is added to twice, so the result does not depend
    on the order."""
    numbers = jax.lax.ScatterDimensionNumbers(
        update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0, 1)
    )
    return jax.lax.scatter_add(
        total, jnp.stack([rows, columns], 1), values, numbers,
        indices_are_sorted=True, unique_indices=True, mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )  # fmt: skip


def _returned(num: int, length: int, dtype: jnp.dtype) -> Array:
    """(length - num, num): the mass beyond the last node, put on the last two so that mass and energy are kept."""
    energy = (np.arange(length) + 0.5) ** 2
    share = (energy[num:] - energy[num - 2]) / (energy[num - 1] - energy[num - 2])
    out = np.zeros((length - num, num))
    out[:, num - 1], out[:, num - 2] = share, 1 - share
    return jnp.asarray(out, dtype)
