r"""Particles under `Poisson` on a circle as sheets of charge [Dawson1962], in O(N log N).

$\Gamma'(x) = s(u - 1/2)$ with u = x/L in (0, 1), so the force on a particle depends on its position, its rank and the mean
position only. Let $y_i = x_i/L$ in [0, 1), and let $l_i$ and $g_i$ be the numbers of partners at smaller and at larger y;
partners at the same place count in neither. Then $\sum_{j\ne i}(u_{ij} - 1/2) = \sum_j (y_i - y_j) + (g_i - l_i)/2 = N(\delta_i
- \bar\delta)$, where $\delta_i = y_i - (l_i + N - g_i)/(2N)$ is the displacement of a sheet from its place among N equidistant
ones.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._util.gradients import forbid_gradient
from .._util.sums import count_true
from .._util.types import RealScalar

__all__ = ["sheet_gradient", "sheet_sum"]

_JUMPS = (
    "A gradient reaches the positions of sheets (N particles under `vlasov.Poisson`) through the forces on them, which jump "
    "where two sheets cross: it would omit these jumps and be wrong for every N; differentiate `vlasov.Vlasov` on a grid, use "
    "a smooth potential, for example the first cosines of Poisson's in `series`, or use finite differences."
)


def _turns(x: Array, mask: Array, length: Array) -> Array:
    """y = x/L in [0, 1), 0 outside of the mask. x: (N,)."""
    y = jnp.where(mask, x, 0) / length
    return y - jnp.floor(y)


def _displacements(y: Array, mask: Array) -> tuple[Array, Array]:
    """delta_i minus its mean, 0 outside of the mask, and the number of sheets at the place of i, (N,) each."""
    num = _count(y, mask)
    below, until = _ranks(jax.lax.stop_gradient(jnp.where(mask, y, jnp.inf)))
    # delta is small before its mean is subtracted, so that the forces add up to 0 also in float32.
    delta = jnp.where(mask, y - (below + until) / (2 * num), 0)
    return jnp.where(mask, delta - jnp.sum(delta) / num, 0), until - below


def sheet_gradient(
    x: Float[Array, " N"], mask: Bool[Array, " N"], length: RealScalar, strength: RealScalar
) -> Float[Array, " N"]:
    r"""$\sum_{j\ne i}\Gamma'(x_i - x_j)$, (N,). **Raises:** `ValueError` for a gradient with respect to x or the length: that
    of the mean field, $s(\rho - N/L)$, contains a density, which derivatives at fixed ranks do not see."""
    y = forbid_gradient(_JUMPS, _turns(x, mask, length))
    return strength * _count(x, mask) * _displacements(y, mask)[0]


def sheet_sum(x: Float[Array, " N"], mask: Bool[Array, " N"], length: RealScalar, strength: RealScalar) -> RealScalar:
    r"""$\sum_{i\ne j}\Gamma(x_i - x_j) = sL[N\sum_i(\delta_i - \bar\delta)^2 + \sum_i(m_i^2 - 1)/(12N) - (N - 1)/12]$, m_i
    being the number of sheets at the place of i. It has no terms of order N^2 that would cancel."""
    num = _count(x, mask)
    delta, same = _displacements(_turns(x, mask, length), mask)
    ties = jnp.sum(jnp.where(mask, same**2 - 1, 0)) / (12 * num)
    return strength * length * (num * jnp.sum(delta**2) + ties - (num - 1) / 12)


def _count(x: Array, mask: Array) -> Array:
    """N, or 1 if N = 0, because it is a divisor."""
    return jnp.maximum(count_true(mask, x.dtype), 1)


def _ranks(y: Array) -> tuple[Array, Array]:
    """The numbers of values that are smaller, and that are not larger, in the dtype of y."""
    num = y.shape[0]
    index = jnp.arange(num)
    ranked, place = jax.lax.sort((y, index), num_keys=1)
    # Runs of equal values: `below` is the index at which a run starts, `until` the index after its end.
    jumps = ranked[1:] != ranked[:-1]
    edge = jnp.ones(1, bool)
    below = jax.lax.cummax(jnp.where(jnp.concatenate([edge, jumps]), index, 0))
    until = jax.lax.cummin(jnp.where(jnp.concatenate([jumps, edge]), index + 1, num), reverse=True)
    both = jnp.stack([below, until], -1).astype(y.dtype)
    below, until = jnp.zeros_like(both).at[place].set(both, unique_indices=True).T
    return below, until
