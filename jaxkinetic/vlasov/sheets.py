r"""Particles under Poisson's law on a circle as sheets of charge, in O(N log N): $\Gamma'(x) = s(u - 1/2)$ with u = x/L in
(0, 1), so the sum over all partners of a particle depends on its place, its rank and the mean place. The one-dimensional plasma
of J. M. Dawson, Phys. Fluids 5, 445 (1962).

$y_i = x_i/L$ in [0, 1), $l_i$ and $g_i$ partners at smaller and larger y, those at the same place in neither:
$\sum_{j\ne i}(u_{ij} - 1/2) = \sum_j (y_i - y_j) + (g_i - l_i)/2 = N(\delta_i - \bar\delta)$, where
$\delta_i = y_i - (l_i + N - g_i)/(2N)$ is how far a sheet is from its place among N equidistant ones.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._util.gradients import forbid_gradient
from .._util.sums import count_true
from .._util.types import RealScalar

__all__ = ["sheet_gradient", "sheet_sum"]

_JUMPS = (
    "A derivative reaches the places of sheets (N particles under `vlasov.Poisson`) through the forces on them, which jump "
    "where two cross: it would miss that, and be wrong at any N; differentiate `vlasov.Vlasov` on a grid, take a potential "
    "that is smooth, the first cosines of Poisson's in `series`, say, or use finite differences."
)


def _turns(x: Array, mask: Array, length: Array) -> Array:
    """y, 0 outside the mask. x: (N,)."""
    y = jnp.where(mask, x, 0) / length
    return y - jnp.floor(y)


def _displacements(y: Array, mask: Array) -> tuple[Array, Array]:
    """delta_i less its mean, 0 outside the mask, and how many in the mask are where i is, (N,) each."""
    num = _count(y, mask)
    below, until = _ranks(jax.lax.stop_gradient(jnp.where(mask, y, jnp.inf)))
    # Small before the mean is taken: single precision keeps the momentum.
    delta = jnp.where(mask, y - (below + until) / (2 * num), 0)
    return jnp.where(mask, delta - jnp.sum(delta) / num, 0), until - below


def sheet_gradient(
    x: Float[Array, " N"], mask: Bool[Array, " N"], length: RealScalar, strength: RealScalar
) -> Float[Array, " N"]:
    r"""$\sum_{j\ne i}\Gamma'(x_i - x_j)$, (N,). **Raises:** `ValueError` for a derivative in x or in the length: the mean
    field's, $s(\rho - N/L)$, has a density that no difference of two places shows."""
    y = forbid_gradient(_JUMPS, _turns(x, mask, length))
    return strength * _count(x, mask) * _displacements(y, mask)[0]


def sheet_sum(x: Float[Array, " N"], mask: Bool[Array, " N"], length: RealScalar, strength: RealScalar) -> RealScalar:
    r"""$\sum_{i\ne j}\Gamma(x_i - x_j) = sL[N\sum_i(\delta_i - \bar\delta)^2 + \sum_i(m_i^2 - 1)/(12N) - (N - 1)/12]$, m_i
    sheets being where i is: no terms of order N^2, which would cancel."""
    num = _count(x, mask)
    delta, same = _displacements(_turns(x, mask, length), mask)
    ties = jnp.sum(jnp.where(mask, same**2 - 1, 0)) / (12 * num)
    return strength * length * (num * jnp.sum(delta**2) + ties - (num - 1) / 12)


def _count(x: Array, mask: Array) -> Array:
    """N; 1 instead of 0, by which one divides."""
    return jnp.maximum(count_true(mask, x.dtype), 1)


def _ranks(y: Array) -> tuple[Array, Array]:
    """How many values are smaller, and how many are not larger, each as a number of y's kind."""
    num = y.shape[0]
    index = jnp.arange(num)
    ranked, place = jax.lax.sort((y, index), num_keys=1)
    jumps = ranked[1:] != ranked[:-1]
    edge = jnp.ones(1, bool)
    below = jax.lax.cummax(jnp.where(jnp.concatenate([edge, jumps]), index, 0))
    until = jax.lax.cummin(jnp.where(jnp.concatenate([jumps, edge]), index + 1, num), reverse=True)
    both = jnp.stack([below, until], -1).astype(y.dtype)
    below, until = jnp.zeros_like(both).at[place].set(both, unique_indices=True).T
    return below, until
