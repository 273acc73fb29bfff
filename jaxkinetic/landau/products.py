r"""Sums over the partners of a particle from moments of the weights, without forming the terms of single pairs.

With $u_j = v_j - c$ for any c, and $m_0 = \sum_j w_{ij}$, $m_1 = \sum_j w_{ij} u_j$, $m_2 = \sum_j w_{ij} u_j u_j^T$,

$\sum_j w_{ij} z_{ij} = m_0 u_i - m_1$ and
$\sum_j w_{ij} z_{ij} z_{ij}^T = m_0 u_i u_i^T - u_i m_1^T - m_1 u_i^T + m_2$, $z_{ij} = v_i - v_j$.

Terms of size w |u|^2 cancel to one of size w |z|^2: close pairs with large weights lose digits. c is the mean velocity.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import PRODUCTS, Area, map_rows

from .._util.sums import gram
from .._util.types import Components, RealScalar
from ..pairs.sums import Rows, differences, partners, rows_of, slots, symmetric
from ..states import Particles

__all__ = ["Moments", "centred", "product_moments", "uniform_moments"]

_HIGHEST = jax.lax.Precision.HIGHEST


class Moments(NamedTuple):
    """For every particle i: u_i, and the sums m_0 (N,), m_1 (N, d), m_2 (N, d, d)."""

    u: Float[Array, "N d"]
    zeroth: Float[Array, " N"]
    first: Float[Array, "N d"]
    second: Float[Array, "N d d"] | None

    def vector(self) -> Float[Array, "N d"]:
        """sum_j w z."""
        return self.zeroth[:, None] * self.u - self.first

    def matrix(self) -> Float[Array, "N d d"]:
        """sum_j w (r^2 I - z z^T)."""
        assert self.second is not None, "moments of order 2"
        u, first = self.u, self.first
        cross = u[:, :, None] * first[:, None, :]
        square = self.zeroth[:, None, None] * u[:, :, None] * u[:, None, :]
        outer = square - cross - jnp.swapaxes(cross, 1, 2) + self.second
        trace = jnp.trace(outer, axis1=1, axis2=2)[:, None, None]
        return trace * jnp.eye(u.shape[1], dtype=u.dtype)[None] - outer


def product_moments(
    weight: Callable[[Components], Float[Array, "*pairs"]], state: Particles, order: int, *, area: Area | int = PRODUCTS
) -> Moments:
    """Moments up to `order` (1 or 2) of w_ij = weight(z_ij) over the j != i that are alive: a matrix product per block of rows.

    w is multiplied by (1 + d) or (1 + d)(2 + d)/2 features of j, [1, u, u u^T]. Cost N^2; memory O(N), also of gradients.
    """
    u = centred(state)
    dim, upper = state.dim, np.triu_indices(state.dim)
    features = [jnp.ones((1, state.num_slots), u.dtype), u.T]
    if order > 1:
        features.append(u.T[upper[0]] * u.T[upper[1]])
    left = jnp.concatenate(features)
    columns = slots(state)

    def block(rows: Rows) -> Array:
        w = weight(differences(rows, columns))
        w = jnp.where(partners(rows, columns), w, jnp.zeros((), w.dtype))
        # Features first: with the operands exchanged the product is slower than the direct sum.
        return jax.lax.dot_general(left, w, (((1,), (1,)), ((), ())), precision=_HIGHEST).T

    sums = map_rows(block, rows_of(state), state.num_slots, area=area)
    sums = jnp.where(state.alive[:, None], sums, jnp.zeros((), sums.dtype))
    second = symmetric(sums[:, 1 + dim :], dim) if order > 1 else None
    return Moments(u, sums[:, 0], sums[:, 1 : 1 + dim], second)


def uniform_moments(weight: RealScalar, state: Particles) -> Moments:
    """Moments for one weight w for all pairs of particles that are alive, in O(N)."""
    u = centred(state)
    alive = state.alive.astype(u.dtype) * weight
    # A large block: up to this N the sums, and so the paths of a run, are bitwise those of one product.
    first, second = jnp.sum(u, axis=0), gram(u, block=1 << 16)
    return Moments(u, alive * state.num_alive, alive[:, None] * first[None], alive[:, None, None] * second[None])


def centred(state: Particles) -> Float[Array, "N d"]:
    """v_i - c, 0 in dead slots. c, the mean velocity, is not differentiated: the sums do not depend on it."""
    velocity = state.live_velocity
    mean = jax.lax.stop_gradient(jnp.sum(velocity, axis=0) / state.num_alive)
    return jnp.where(state.alive[:, None], velocity - mean[None], jnp.zeros((), velocity.dtype))
