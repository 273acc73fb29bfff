"""Covariance of a least-squares estimate from one series whose residuals may be correlated in time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

# In the correlation rho.
_NODES = 47
# Log-likelihood below its maximum that counts as 0: e^{-18} is 2e-8.
_NEGLIGIBLE = 18.0
# Numbers that are handled at once: bounds the memory.
_AT_ONCE = 1 << 18
# Lengths up to which the nodes stay where they are: in log(1 - rho) the likelihood is at least T^{-1/2} wide, and a spacing of
# twice that width would do.
_RESOLVED = 128
# Lengths up to which they move once to where the likelihood is large; beyond, twice.
_ONCE = 8192


def total(x: Array) -> Array:
    """The sum over the first axis in two levels, so that float32 sums of 10^6 terms keep six digits. The lengths are those of
    `_decay_fit.padded`, 2^k or 3 2^k, and divide into equal blocks."""
    num = x.shape[0]
    block = 1 << max(num.bit_length() // 2 - 1, 0)
    if num % block:
        return jnp.sum(x, axis=0)
    rows = x.reshape(num // block, block, *x.shape[1:])
    # The inner sum is a product with ones, because XLA would merge two reductions into one.
    return jnp.sum(jnp.tensordot(rows, jnp.ones(block, x.dtype), axes=(1, 0)), axis=0)


def covariance_of_one_run(
    s: Array, counts: Array, residual: Array, jacobian: Array, sigma: Array | None
) -> tuple[Array, Array]:
    r"""(covariance (p, p) of the least-squares estimate, mean correlation time).

    Residuals are modelled as a Gaussian process with correlation $e^{-|s-s'|/\tau}$ and standard deviations `sigma` (T,), or
    one unknown standard deviation. The covariance is averaged over rho, the correlation across the mean gap between times, with
    the restricted likelihood times the prior as weights. Prior: rho = 0 with probability 1/2, otherwise uniform up to 1 - 1/T.
    Rows of `residual` (T,) and `jacobian` (T, p) are 0 where `counts` is 0. The columns of the Jacobian must be nearly
    orthonormal, so that the normal matrix is well conditioned.
    """
    num, params = jnp.sum(counts), jacobian.shape[1]
    gaps = jnp.diff(s)
    mean_gap = jnp.sum(gaps) / (num - 1)
    here = (counts[1:] > 0)[:, None]
    weight = jnp.ones_like(s) if sigma is None else 1 / sigma
    scaled = jnp.concatenate([jacobian, residual[:, None]], axis=1) * weight[:, None]
    normal = jacobian.T @ jacobian
    # Rows times sigma: their noise as it enters the normal equations of the unweighted estimate.
    noisy = jacobian if sigma is None else jacobian * sigma[:, None]

    def steps(rho: Array) -> Array:
        """Correlation between each time and the previous one; 0 at the first time and for padding."""
        correlated = rho > 0
        rate = -jnp.log(jnp.where(correlated, rho, 0.5)) / mean_gap
        phi = jnp.where(correlated & here[:, 0], jnp.exp(-gaps * rate), 0)
        return jnp.concatenate([jnp.zeros_like(phi[:1]), phi])

    def log_likelihood(rho: Array) -> tuple[Array, Array]:
        """(log restricted likelihood, variance of the residuals in units of sigma^2)."""
        # Whiten the rows: for this Markov process, x_t - phi_t x_{t-1} are independent with variance 1 - phi_t^2.
        phi = steps(rho)
        before = jnp.concatenate([jnp.zeros_like(scaled[:1]), scaled[:-1]])
        deviation = jnp.sqrt(1 - phi * phi)
        white = (scaled - phi[:, None] * before) / deviation[:, None]
        gram = white.T @ white
        inner, across = gram[:params, :params], gram[:params, params]
        correction = jnp.linalg.solve(inner, across)
        rest = total((white[:, params] - white[:, :params] @ correction) ** 2)
        rest = jnp.maximum(rest, jnp.finfo(s.dtype).tiny)
        common = -total(jnp.log(deviation)) - jnp.linalg.slogdet(inner)[1] / 2
        if sigma is not None:
            return common - rest / 2, jnp.ones_like(rest)
        # num - params - 2 gives the posterior mean of the variance, not its mode.
        return common - (num - params) / 2 * jnp.log(rest), rest / jnp.maximum(num - params - 2, 1)

    def covariance(rho: Array) -> Array:
        return quadratic_form(steps(rho), noisy)

    def at_once(f, nodes: Array):
        num_nodes = nodes.shape[0]
        batch = min(num_nodes, max(1, _AT_ONCE // s.shape[0]))
        while num_nodes % batch:
            batch -= 1
        return jax.vmap(f)(nodes) if batch == num_nodes else jax.lax.map(f, nodes, batch_size=batch)

    def narrowed(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        """The part of the bracket in which the likelihood is not negligible, plus one node at either end."""
        nodes = _nodes(*bracket)
        value = at_once(lambda rho: log_likelihood(rho)[0], jax.lax.stop_gradient(nodes))
        large = value > jnp.max(value) - _NEGLIGIBLE
        place = jnp.arange(_NODES)
        first = jnp.maximum(jnp.min(jnp.where(large, place, _NODES)) - 1, 0)
        last = jnp.minimum(jnp.max(jnp.where(large, place, -1)) + 1, _NODES - 1)
        ends = jnp.log1p(-nodes)
        return ends[first], ends[last]

    # Nodes are equidistant in log(1 - rho), in which the width of the likelihood hardly depends on rho.
    most = 1 - 1 / num
    bracket = jnp.zeros((), s.dtype), jnp.log1p(-most).astype(s.dtype)
    if s.shape[0] > _RESOLVED:
        rounds = 1 if s.shape[0] <= _ONCE else 2
        bracket = jax.lax.stop_gradient(jax.lax.fori_loop(0, rounds, narrowed, bracket))
    nodes = jax.lax.stop_gradient(_nodes(*bracket))
    # rho = 0 (independent residuals) and the nodes are evaluated together, by one copy of the program.
    every = jnp.concatenate([jnp.zeros(1, s.dtype), nodes])
    (value, variance), forms = at_once(lambda rho: (log_likelihood(rho), covariance(rho)), every)
    borders = jnp.concatenate([nodes[:1], (nodes[1:] + nodes[:-1]) / 2, nodes[-1:]])
    cells = jnp.diff(borders) / most
    prior = jnp.concatenate([jnp.ones(1, s.dtype), cells])
    weights = jax.nn.softmax(value + jnp.log(jnp.maximum(prior, jnp.finfo(s.dtype).tiny)))
    mean = jnp.tensordot(weights * variance, forms, axes=1)
    tau = jnp.where(nodes > 0, -mean_gap / jnp.log(jnp.where(nodes > 0, nodes, 0.5)), 0)
    bread = jnp.linalg.inv(normal)
    return bread @ mean @ bread, weights[1:] @ tau


def _nodes(first: Array, last: Array) -> Array:
    return -jnp.expm1(first + (last - first) * jnp.linspace(0, 1, _NODES, dtype=first.dtype))


def quadratic_form(phi: Array, q: Array) -> Array:
    """sum_{s,t} q_s q_t^T (product of phi between s and t), for q (T, p) and phi (T,), phi_t the factor between t - 1 and t.
    Cost O(T), in about sqrt(T) blocks that are scanned in parallel."""
    num, params = q.shape
    blocks = 1 << max(num.bit_length() // 2 - 1, 0)
    if num % blocks:
        blocks = 1
    q_in, phi_in = q.reshape(blocks, -1, params), phi.reshape(blocks, -1)

    def within(carry: tuple[Array, ...], x: tuple[Array, Array]) -> tuple[tuple[Array, ...], None]:
        past, share, products, shares = carry
        factor, row = x
        past, share = factor[:, None] * past + row, factor * share
        return (past, share, products + row[:, :, None] * past[:, None], shares + share[:, None] * row), None

    zero = jnp.zeros((blocks, params), q.dtype)
    start = zero, jnp.ones(blocks, q.dtype), jnp.zeros((blocks, params, params), q.dtype), zero
    (past, share, products, shares), _ = jax.lax.scan(within, start, (phi_in.T, q_in.swapaxes(0, 1)))

    def across(carry: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        past, share = x
        return past + share * carry, carry

    _, carried = jax.lax.scan(across, jnp.zeros(params, q.dtype), (past, share))
    half = jnp.sum(products + shares[:, :, None] * carried[:, None], axis=0)
    return half + half.T - q.T @ q
