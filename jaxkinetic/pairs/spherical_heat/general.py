r"""The law of Brownian motion on the sphere S^{d-1}, exp(tau Laplace), in every dimension d >= 2.

theta is the angle between start and end, h(theta, tau) its density relative to the uniform law, m = (d-2)/2:

- tau >= tau_0: $h = \sum_l N_l\,e^{-l(l+d-2)\tau} R_l(\cos\theta)$, R_l the Gegenbauer polynomial with R_l(1) = 1, N_l the
  number of harmonics of degree l;
- tau < tau_0: $h = |S^{d-1}|\,(4\pi\tau)^{-(d-1)/2} (\theta/\sin\theta)^m e^{m^2\tau - \theta^2/4\tau}
  \sum_k b_k(\theta^2)\tau^k$, where $(k + 2j)\,b_{k,j} = (j+1)(4j + 2 + 4m)\,b_{k-1,j+1} - m(m-1)\sum_i W_i b_{k-1,j-i}$,
  b_k = sum_j b_{k,j} theta^{2j}, $\sum_i W_i\theta^{2i} = \sin^{-2}\theta - \theta^{-2}$: the heat equation, order by order in
  tau, for the factor that multiplies the leading one.
  Exact for d = 2 and 4, except for paths around the sphere, of probability e^{-pi^2/4 tau}.

Used for d >= 4, for `log_slope` in every d, and as the reference for the closed forms of d = 2 and 3. Slow: many terms per
point.
"""

import functools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

__all__ = [
    "cot_defect", "crossover", "cumulative", "density", "expansion", "harmonics", "log_slope", "num_degrees", "series",
]  # fmt: skip

# Powers of tau in the expansion for small times.
_ORDERS = 12
# Powers of theta^2 in each of its b_k; `_significant` drops those that do not count.
_TERMS = 48
# Gauss's nodes for F.
_NODES = 40


def crossover(dtype: jnp.dtype) -> float:
    """tau_0: the series needs l up to 6/sqrt(tau_0), the expansion a negligible e^{-pi^2/4 tau_0}."""
    return 0.1 if jnp.finfo(dtype).bits <= 32 else 0.05


def num_degrees(dtype: jnp.dtype) -> int:
    return 16 if jnp.finfo(dtype).bits <= 32 else 29


def harmonics(cosine: Array, dim: int, most: int) -> Iterator[tuple[int, float, Array, Array]]:
    """(l, N_l, R_l, dR_l/dcos) for l = 1, ..., most, by the recurrence of Gegenbauer's polynomials."""
    one, zero = jnp.ones_like(cosine), jnp.zeros_like(cosine)
    below, here, d_below, d_here = one, cosine, zero, one
    number = float(dim)
    for degree in range(1, most + 1):
        yield degree, number, here, d_here
        up, down = (2 * degree + dim - 2) / (degree + dim - 2), degree / (degree + dim - 2)
        below, here, d_below, d_here = (
            here, up * cosine * here - down * below,
            d_here, up * (here + cosine * d_here) - down * d_below,
        )  # fmt: skip
        # N_{l+1} / N_l
        number *= (2 * degree + dim) * (degree + dim - 2) / ((2 * degree + dim - 2) * (degree + 1))


def series(cosine: Array, tau: Array, dim: int) -> tuple[Array, Array]:
    """(h, dh/dcos) by harmonics, for tau >= tau_0; absolute precision."""
    value, slope = jnp.ones_like(cosine), jnp.zeros_like(cosine)
    for degree, number, here, d_here in harmonics(cosine, dim, num_degrees(cosine.dtype)):
        weight = number * jnp.exp(-degree * (degree + dim - 2) * tau)
        value, slope = value + weight * here, slope + weight * d_here
    return value, slope


@functools.cache
def _expansion(dim: int) -> np.ndarray:
    """The coefficients b_{k,j} of the expansion for tau < tau_0, as an array b[k, j]."""
    m = (dim - 2) / 2
    # sin^-2 - theta^-2 = sum_i (2i+1) |c_i| theta^{2i}, from cot = 1/theta - sum c theta^{2i+1}: c = 2 zeta(2i+2)/pi^{2i+2}.
    zeta = [
        sum(float(k) ** -s for k in range(1, 4000)) if s > 2 else math.pi**2 / 6 for s in range(2, 2 * _TERMS + 4, 2)
    ]
    w = np.array([(2 * i + 1) * 2 * zeta[i] / math.pi ** (2 * i + 2) for i in range(_TERMS)])
    size = _TERMS + _ORDERS
    w = np.concatenate([w, np.zeros(size - _TERMS)])
    b = np.zeros((_ORDERS, size))
    b[0, 0] = 1.0
    for k in range(1, _ORDERS):
        for j in range(size - k):
            source = (j + 1) * (4 * j + 2 + 4 * m) * b[k - 1, j + 1] - m * (m - 1) * (w[: j + 1] @ b[k - 1, j::-1])
            b[k, j] = source / (k + 2 * j)
    return b[:, :_TERMS]


@functools.cache
def _significant(dim: int, single: bool) -> tuple[tuple[float, ...], ...]:
    """Row j: b[0, j], b[1, j], ..., up to the last coefficient that matters for tau <= tau_0 and theta^2 <= 6."""
    b = _expansion(dim)
    tau, least = (0.1, 1e-8) if single else (0.05, 1e-14)
    size = np.abs(b) * tau ** np.arange(_ORDERS)[:, None] * 6.0 ** np.arange(_TERMS)[None, :]
    rows = []
    for j in range(_TERMS):
        large = np.flatnonzero(size[:, j] > least)
        rows.append(tuple(b[: large[-1] + 1, j].tolist()) if large.size else ())
    last = max(j for j, row in enumerate(rows) if row)
    return tuple(rows[: last + 1])


def _remainder(theta: Array, tau: Array, dim: int) -> tuple[Array, Array]:
    """sum_k b_k tau^k and its derivative in theta^2."""
    square, zero = theta * theta, jnp.zeros_like(theta)
    rows = _significant(dim, jnp.finfo(theta.dtype).bits <= 32)

    def add(sums: tuple[Array, Array], row: Sequence[float] | Sequence[Array]) -> tuple[tuple[Array, Array], None]:
        value = zero
        for coefficient in reversed(row):
            value = value * tau + coefficient
        return (sums[0] * square + value, sums[1] * square + sums[0]), None

    if jnp.finfo(theta.dtype).bits <= 32:
        sums = (zero, zero)
        for row in reversed(rows):
            sums, _ = add(sums, row)
        return sums
    # float64 needs twice as many terms: a loop, which keeps the program short.
    table = jnp.asarray([row + (0.0,) * (_ORDERS - len(row)) for row in reversed(rows)], theta.dtype)
    return jax.lax.scan(lambda sums, row: add(sums, tuple(row)), (zero, zero), table)[0]


def expansion(theta: Array, tau: Array, dim: int) -> tuple[Array, Array]:
    """(log h, d log h/dtheta) for tau < tau_0; relative precision."""
    m, n = (dim - 2) / 2, dim - 1
    b, db = _remainder(theta, tau, dim)
    b = jnp.maximum(b, jnp.asarray(1e-3, b.dtype))
    area = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    log_h = math.log(area) - n / 2 * jnp.log(4 * math.pi * tau) - theta * theta / (4 * tau) + m * m * tau
    log_h = log_h - m * jnp.log(jnp.sinc(theta / math.pi)) + jnp.log(b)
    return log_h, -theta / (2 * tau) + m * cot_defect(theta) + 2 * theta * db / b


def cot_defect(theta: Array) -> Array:
    """1/theta - cot(theta), without cancellation at 0."""
    small = theta < 0.3
    safe = jnp.where(small, jnp.ones_like(theta), theta)
    square = theta * theta
    taylor = theta * (1 / 3 + square * (1 / 45 + square * (2 / 945 + square * (1 / 4725 + square * (2 / 93555)))))
    return jnp.where(small, taylor, 1 / safe - 1 / jnp.tan(safe))


def log_slope(theta: Array, tau: Array, dim: int) -> Array:
    r"""$-\partial_\theta\log h$: the speed dtheta/dtau at fixed u, in [0, theta/2 tau]. Elementwise.

    By the heat equation, d_tau F = -(flux) = sin^{d-2} d_theta h / int sin^{d-2}, and d_theta F = sin^{d-2} h / int sin^{d-2}.
    """
    edge = jnp.asarray(crossover(theta.dtype), theta.dtype)
    value, slope = series(jnp.cos(theta), jnp.maximum(tau, edge), dim)
    tiny = jnp.finfo(theta.dtype).tiny
    by_series = jnp.sin(theta) * slope / jnp.maximum(value, jnp.asarray(tiny, theta.dtype))
    by_expansion = -expansion(theta, jnp.minimum(tau, edge), dim)[1]
    # In the far tail, where h is below round-off, the series is only round-off: hence the clip to the exact range.
    return jnp.clip(jnp.where(tau < edge, by_expansion, by_series), 0, theta / (2 * tau))


def density(theta: Array, tau: Array, dim: int) -> Array:
    """h(theta, tau), elementwise, clipped at 0."""
    edge = jnp.asarray(crossover(theta.dtype), theta.dtype)
    by_series = series(jnp.cos(theta), jnp.maximum(tau, edge), dim)[0]
    by_expansion = jnp.exp(expansion(theta, jnp.minimum(tau, edge), dim)[0])
    return jnp.maximum(jnp.where(tau < edge, by_expansion, by_series), 0)


def cumulative(theta: Array, tau: Array, dim: int) -> Array:
    r"""F(theta) = $\int_0^\theta h\sin^{d-2} / \int_0^\pi \sin^{d-2}$ by Gauss nodes; relative precision at small theta."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = jnp.asarray((nodes + 1) / 2, theta.dtype), jnp.asarray(weights / 2, theta.dtype)
    # The probability beyond `reach` is negligible, so all nodes lie where the density does not vanish.
    reach = jnp.minimum(theta, jnp.sqrt(4 * tau * (45 + 6 * dim)))
    norm = math.sqrt(math.pi) * math.gamma((dim - 1) / 2) / math.gamma(dim / 2)

    def add(total: Array, node_weight: tuple[Array, Array]) -> tuple[Array, None]:
        node, weight = node_weight
        angle = reach * node
        return total + weight * reach * jnp.sin(angle) ** (dim - 2) * density(angle, tau, dim) / norm, None

    return jax.lax.scan(add, jnp.zeros_like(theta), (nodes, weights))[0]
