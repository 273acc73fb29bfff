"""The kernel of the isotropic Landau equation: the angular average of v.a(v - v*)v, as a table over a radial grid."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..radial import RadialGrid
from .interactions import AbstractRadial

__all__ = ["kernel_table"]

# Gauss-Legendre nodes of an angular average: for powers of r from -3 to 1 the error is below 1e-14.
_NODES = 32
# The neighbours on either side whose entries are corrected, and the terms of the expansion at the diagonal.
_NEIGHBOURS = 2
_TERMS = 3
# The correction looks at psi(r) for r up to about this many spacings.
_WINDOW = 8.0


def kernel_table(interaction: AbstractRadial, grid: RadialGrid) -> Float[Array, "faces faces"]:
    r"""$A(v, v_*)$, the average of $v \cdot a(v - v_*) v = \psi(r)\,(v^2 v_*^2 - (v \cdot v_*)^2)$ over the angle between v and
    $v_*$, for speeds on the faces of the grid; 0 on the diagonal, where it does not matter. Symmetric.

    With $\delta = v - v_*$ and t the sine of half the angle,

    $$A = c_d 2^{d+1} (v v_*)^2 \int_0^1 \psi\big(\sqrt{\delta^2 + 4 v v_* t^2}\big)\, t^d (1 - t^2)^{(d-1)/2} dt,\qquad
      c_d = \frac{\Gamma(d/2)}{\sqrt\pi\,\Gamma((d-1)/2)};$$

    $t = \delta \sinh(u)/2\sqrt{v v_*}$ makes the integrand smooth for small delta.

    At $v_* = v$ A has a singularity, for $\psi = r^\gamma$ like $|\delta|^{\gamma+d+1}$: a kink for Coulomb. It meets a factor
    $\delta^2$, and would reduce a sum over $v_*$ to order gamma + d + 4. So the entries at most two faces off the diagonal are
    changed such that sums with the factors $\delta^2$ and $\delta^4$ are exact, as in [KapurRokhlin1997]: four orders more. The
    change is linear in psi and needs nothing else of it. Cost: 32 n^2 values of psi."""
    num, dim, dtype = grid.num, grid.dim, grid.radius.dtype
    h = grid.spacing
    v = jnp.arange(1, num, dtype=dtype)
    product = v[:, None] * v[None, :]
    distance = jnp.abs(v[:, None] - v[None, :])
    apart = jnp.where(distance == 0, 1, distance)
    scale = apart / (2 * jnp.sqrt(product))
    top = jnp.arcsinh(1 / scale)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    # u = top (1 - y^2), because of the root of 1 - t^2 for even d.
    y, weights = (nodes + 1) / 2, weights * (nodes + 1) / 2

    @jax.checkpoint
    def node(total: Array, point: Array) -> tuple[Array, None]:
        u = top * point[0]
        t = scale * jnp.sinh(u)
        angle = t**dim * jnp.maximum(1 - t * t, 0) ** ((dim - 1) / 2)
        r = h * apart * jnp.cosh(u)
        return total + point[1] * top * angle * scale * jnp.cosh(u) * interaction.psi(r * r), None

    points = jnp.asarray(np.stack([1 - y**2, weights], -1), dtype)
    average = jax.lax.scan(node, jnp.zeros_like(product), points)[0]
    table = jnp.where(distance == 0, 0, 2 ** (dim + 1) * product**2 * average)
    places, coefficients = _correction(dim)
    r = h * jnp.asarray(places, dtype)
    change = jnp.einsum("klq,q->kl", jnp.asarray(coefficients, dtype), interaction.psi(r * r), precision="highest")
    for k in range(_NEIGHBOURS):
        near = sum(change[k, l] * product ** ((3 - dim) / 2 - l) for l in range(_TERMS))
        table = table + jnp.where(distance == k + 1, near, 0)
    return math.gamma(dim / 2) / (math.sqrt(math.pi) * math.gamma((dim - 1) / 2)) * h**4 * table


@cache
def _correction(dim: int) -> tuple[np.ndarray, np.ndarray]:
    r"""(places r_q, coefficients C_klq), (Q,) and (neighbours, terms, Q), for a spacing of 1: the entry k faces off the
    diagonal changes by sum_lq C_klq psi(r_q) (v v*)^{(3-d)/2-l}.

    $A \propto \sum_l b_l (v v_*)^{(3-d)/2-l} G_l(\delta)$, $G_l = \int \psi(\sqrt{\delta^2 + y^2})\, y^{d+2l} dy$, from the
    binomial series of $(1 - t^2)^{(d-1)/2}$, b_l. The error of a sum over integer delta of $\delta^{2m} G_l$, minus its
    integral, is an integral over r of psi(r) times an explicit function, with a smooth window, since only psi near 0 is
    singular."""
    count = int(_WINDOW * 36**0.125) + 1
    nodes, weights = np.polynomial.legendre.leggauss(12)
    nodes, weights = (nodes + 1) / 2, weights * (nodes + 1) / 2
    # r = j + x^2 between integers: the terms that begin at j are half-integer powers of r - j for even d.
    r = (np.arange(count)[:, None] + nodes**2).ravel()
    measure = np.tile(weights, count) * r * np.exp(-((r / _WINDOW) ** 8))
    lattice = np.arange(1, count)
    moments = np.arange(1, _NEIGHBOURS + 1)
    conditions = 2.0 * moments ** (2 * moments[:, None])
    out = np.zeros((_NEIGHBOURS, _TERMS, r.size))
    for l in range(_TERMS):
        power = (dim - 1) / 2 + l
        inside = np.maximum(r**2 - lattice[:, None] ** 2, 0) ** power
        errors = [
            2 * lattice ** (2.0 * m) @ inside - r ** (2 * m + 1 + 2 * power) * _beta(m + 0.5, power + 1)
            for m in moments
        ]
        series = math.prod(((dim - 1) / 2 - i) / (i + 1) for i in range(l)) * (-0.25) ** l
        out[:, l] = -series * np.linalg.solve(conditions, np.array(errors)) * measure
    return r, out


def _beta(x: float, y: float) -> float:
    return math.exp(math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y))
