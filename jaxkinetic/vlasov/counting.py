r"""How many of N particles are outside of the mean-field state: the counting functional of [NeissPickl2018, Definition 4.1].

p_j projects particle j on alpha, q_j = 1 - p_j, and P_k is the projection on states with exactly k particles outside. By
symmetry all expectations follow from the overlaps $\pi_m = \langle p_1 \cdots p_m\rangle$: $\langle P_k\rangle = \binom{N}{k}
\sum_i (-1)^i \binom{k}{i} \pi_{N-k+i}$, $\langle n^2\rangle = \sum_k (k/N) \langle P_k\rangle = 1 - \pi_1$. Derivation:
docs/derivations/counting.md. Their Theorem 4.8 bounds the functional on R^d for regular potentials; the formulas here also hold
on a torus, to which the theorem does not apply.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import square_root

from .._util.checks import argument_error, check_integer, check_one_key, check_scalar, describe, is_traced
from .._util.printing import Printed
from .._util.types import Key, RealScalar
from ..states import Axis, Wave
from .characteristics import MeanFieldFlow, nbody_characteristics
from .pseudo_schrodinger import check_symmetric
from .systems import NORM

__all__ = ["Counting", "counting", "counting_functional", "sampled_counting"]


class Counting(Printed):
    r"""The distribution of the number k of particles outside of the mean-field state, or a part of its overlaps.

    - `overlaps`: pi_0 = 1, ..., pi_M, (M + 1,). `covariance`: of their estimates, (M + 1, M + 1); 0 if computed on a grid.
    - `num_particles`: N. The distribution of k needs M = N.
    """

    overlaps: Float[Array, " M1"]
    covariance: Float[Array, "M1 M1"]
    num_particles: int = eqx.field(static=True)

    @property
    def outside(self) -> RealScalar:
        r"""$\langle n^2\rangle = 1 - \langle p_1\rangle$: the mean fraction of particles outside."""
        return 1 - self.overlaps[1]

    @property
    def outside_stderr(self) -> RealScalar:
        return square_root(self.covariance[1, 1])

    @property
    def distribution(self) -> Float[Array, "{self.num_particles}+1"]:
        r"""$\langle P_k\rangle$, k = 0, ..., N. If sampled, its errors may be $\binom{N}{k} 2^k$ times those of the overlaps:
        use it for small N."""
        return self._transform() @ self.overlaps

    @property
    def distribution_stderr(self) -> Float[Array, "{self.num_particles}+1"]:
        transform = self._transform()
        return square_root(jnp.maximum(jnp.sum((transform @ self.covariance) * transform, 1), 0))

    def functional(self, exponent: float) -> RealScalar:
        r"""$\langle \mathfrak{m}_\lambda\rangle$, $\mathfrak{m}_\lambda(k) = \min(k/N^\lambda, 1)$, 0 <= lambda <= 1."""
        return _weights(self.num_particles, exponent, self.overlaps.dtype) @ self.distribution

    def functional_stderr(self, exponent: float) -> RealScalar:
        row = _weights(self.num_particles, exponent, self.overlaps.dtype) @ self._transform()
        return square_root(jnp.maximum(row @ self.covariance @ row, 0))

    def bounds(self, exponent: float) -> tuple[RealScalar, RealScalar]:
        r"""$\langle n^2\rangle \le \langle \mathfrak{m}_\lambda\rangle \le \min(1, N^{1-\lambda}\langle n^2\rangle)$, for
        every N."""
        _check_exponent(exponent)
        return self.outside, jnp.minimum(1, self.num_particles ** (1 - exponent) * self.outside)

    def _transform(self) -> Array:
        num = self.num_particles
        if self.overlaps.shape[0] <= num:
            raise argument_error(
                "swaps", f"be N = {num} for the k-distribution", f"was {self.overlaps.shape[0] - 1}",
                "pass `swaps=N`, or use `outside` and `bounds`",
            )  # fmt: skip
        out = np.zeros((num + 1, num + 1))
        for k in range(num + 1):
            for i in range(k + 1):
                out[k, num - k + i] = (-1) ** i * math.comb(num, k) * math.comb(k, i)
        return jnp.asarray(out, self.overlaps.dtype)


def counting(wave_n: Wave, wave: Wave) -> Counting:
    r"""The overlaps $\pi_m = \|\langle\alpha^{\otimes m}, \alpha_N\rangle\|^2$ of an N-particle wave on its grid with the
    mean-field wave on the grid of one particle, in the same picture. Exact on the grid; costs as much as reading the wave
    twice. Differentiable.

    **Raises:** `ValueError` for waves whose grids or pictures differ, that are not normalised, or (`wave_n`) not
    symmetric."""
    _check_waves(wave_n, wave)
    num = wave_n.dim
    x, v = wave.grid.axes
    cell = x.spacing * (v.spacing if wave.picture == "velocity" else 2 * math.pi / v.length)
    bra = jnp.conj(wave.alpha) * cell.astype(wave.alpha.dtype)
    # After m contractions `rest` is <alpha^m, alpha_N>, whose square norm is pi_m.
    rest, norms = wave_n.alpha, [wave_n.mass]
    for m in range(num):
        left = num - m
        rest = jnp.tensordot(bra, rest, ((0, 1), (0, left)), precision=jax.lax.Precision.HIGHEST)
        norms.append(jnp.sum(rest.real**2 + rest.imag**2) * cell ** (left - 1))
    overlaps = jnp.stack(norms)
    return Counting(overlaps, jnp.zeros((num + 1, num + 1), overlaps.dtype), num)


def counting_functional(wave_n: Wave, wave: Wave, exponent: float) -> RealScalar:
    r"""The counting functional $\langle\alpha_N, \mathfrak{m}_\lambda^\alpha \alpha_N\rangle$, lambda = `exponent`, on a grid,
    from `counting`."""
    return counting(wave_n, wave).functional(exponent)


def sampled_counting(
    key: Key,
    flow: MeanFieldFlow,
    num_particles: int,
    *,
    samples: int,
    swaps: int = 1,
    batch: int | None = None,
) -> Counting:
    r"""The overlaps for any N, from the product state at time 0, by Monte Carlo at the end T of `flow`.

    Z is drawn from |alpha_N(T)|^2 (|alpha_0|^2 transported by the N-body equations) and z_1 .. z_m from |alpha(T)|^2
    (transported by the mean-field flow). Let $\psi_a = \prod_i \alpha(z_i)\,\alpha_N(Z)$, $\psi_b$ the same with z_1 .. z_m and
    Z_1 .. Z_m exchanged, and $r = \psi_b/\psi_a$. Then $\pi_m = E[2 \mathrm{Re}\, r/(1 + |r|^2)] = E[\cos b/\cosh a]$, log r =
    a + ib. The integrand is bounded by 1, unlike r; it is valid for complex amplitudes. Standard errors are those of the mean
    over `samples`.

    **Arguments:** `flow`: from `mean_field_flow`; it holds the potential, the amplitude, and the dt of all characteristics.
    `swaps`: the largest m; N gives the distribution of k. `batch`: number of samples computed at once, by default as many as
    have 2^20 particles, or pairs. Cost: samples x (1 + swaps) runs of N particles. Pathwise differentiable through the flow:
    compute the flow inside the function that is differentiated.

    **Raises:** `ValueError` for N < 2, swaps > N, fewer than two samples, and on a torus for a potential that is not periodic:
    particles interact by Gamma(x_i - x_j), the grid by Gamma summed over all images."""
    num = check_integer("num_particles", num_particles, minimum=2)
    samples = check_integer("samples", samples, minimum=2)
    check_one_key(key)
    if not isinstance(flow, MeanFieldFlow):
        raise argument_error(
            "flow", "be a MeanFieldFlow", f"is {describe(flow)}", "make one with jk.vlasov.mean_field_flow"
        )
    _check_torus(flow)
    if check_integer("swaps", swaps, minimum=1) > num:
        raise argument_error("swaps", f"be at most N = {num}", f"is {swaps}", "lower it")
    work = num**2 if flow.potential.by_pairs else num
    batch = max(1, 2**20 // work) if batch is None else check_integer("batch", batch, minimum=1)
    values = []
    for start in range(0, samples, batch):
        drawn = min(batch, samples - start)
        values.append(drawn_cosines(jax.random.fold_in(key, start), flow, num, drawn, swaps))
    cosines = jnp.concatenate(values)
    if not is_traced(cosines) and not np.isfinite(np.asarray(cosines)).all():
        raise argument_error(
            "flow", "keep the particles finite", "led to NaN or infinity", "soften the potential, or lower dt"
        )
    mean = jnp.mean(cosines, 0)
    # The unbiased covariance of the mean.
    centred = cosines - mean[None]
    covariance = centred.T @ centred / (samples * (samples - 1))
    one, zeros = jnp.ones(1, mean.dtype), jnp.zeros((swaps + 1, swaps + 1), mean.dtype)
    return Counting(jnp.concatenate([one, mean]), zeros.at[1:, 1:].set(covariance), num)


@eqx.filter_jit
def drawn_cosines(key: Key, flow: MeanFieldFlow, num: int, samples: int, swaps: int) -> Array:
    """The integrand cos b/cosh a, (samples, swaps)."""
    potential, amplitude = flow.potential, flow.amplitude
    dtype, steps = flow.density.dtype, flow.density.shape[0] - 1
    many_key, one_key = jax.random.split(key)
    many0 = tuple(c.reshape(samples, num) for c in amplitude.sample(many_key, samples * num, dtype))
    ones0 = amplitude.sample(one_key, samples * swaps, dtype)
    many = nbody_characteristics(potential, *many0, dt=flow.dt, num_steps=steps)
    *ones, phase = flow.forward(*ones0)
    log_many = jnp.sum(amplitude.log(*many0), 1)
    log_ones = _turned(amplitude.log(*ones0), phase).reshape(samples, swaps)
    ones = tuple(c.reshape(samples, swaps) for c in ones)
    *before, phase = flow.backward(*(c[:, :swaps].reshape(-1) for c in many))
    log_moved = _turned(amplitude.log(*before), phase).reshape(samples, swaps)

    def swapped(m: Array) -> Array:
        first = jnp.arange(num) <= m
        padded = (jnp.pad(c, ((0, 0), (0, num - swaps))) for c in ones)
        mixed = tuple(jnp.where(first[None], one, c) for one, c in zip(padded, many, strict=True))
        back = nbody_characteristics(potential, *mixed, dt=flow.dt, num_steps=steps, backward=True)
        log_mixed = jnp.sum(amplitude.log(*back), 1)
        used = (jnp.arange(swaps) <= m)[None]
        log_r = log_mixed - log_many + jnp.sum(jnp.where(used, log_moved - log_ones, 0), 1)
        return jnp.cos(log_r.imag) / jnp.cosh(log_r.real)

    return jax.lax.map(swapped, jnp.arange(swaps)).T


def _check_torus(flow: MeanFieldFlow) -> None:
    if not flow.axis.periodic or is_traced(flow.potential, flow.axis):
        return
    length = float(flow.axis.length)
    with jax.ensure_compile_time_eval():
        x = jnp.asarray([[0.11], [0.23], [0.37], [0.49]], flow.density.dtype) * length
        here, there = (np.asarray(flow.potential.gamma(points)) for points in (x, x - length))
    if np.abs(here - there).max() > 1e-4 * np.abs(here).max():
        name = type(flow.potential).__name__
        raise argument_error(
            "flow", f"have a potential of period {length:g} on a torus", f"has {name}, which is not periodic",
            "use Cosine, Poisson, or a periodic Custom",
        )  # fmt: skip


def _turned(log: Array, phase: Array) -> Array:
    return log + jax.lax.complex(jnp.zeros_like(phase), phase)


def _weights(num: int, exponent: float, dtype: jnp.dtype) -> Array:
    _check_exponent(exponent)
    return jnp.asarray([min(k / num**exponent, 1.0) for k in range(num + 1)], dtype)


def _check_exponent(exponent: float) -> None:
    check_scalar("exponent", exponent)
    if is_traced(exponent):
        raise argument_error("exponent", "be known while tracing", "is traced", "pass a float")
    if not 0 <= exponent <= 1:
        raise argument_error("exponent", "lie in [0, 1]", f"is {exponent:g}", "it is the exponent lambda of m_lambda")


def _check_waves(wave_n: Wave, wave: Wave) -> None:
    for name, one in (("wave_n", wave_n), ("wave", wave)):
        if not isinstance(one, Wave):
            raise argument_error(name, "be a Wave", f"is a {type(one).__name__}", "pass jk.Wave(alpha, grid)")
    if wave.dim != 1:
        raise argument_error("wave", "be of one particle, d = 1", f"has {wave.dim} of them", "pass the mean-field wave")
    if wave_n.dim < 2:
        raise argument_error(
            "wave_n", "be of two particles or more", "is of one", "pass the solution of PseudoSchrodinger"
        )
    if wave.alpha.dtype != wave_n.alpha.dtype:
        raise argument_error(
            "wave", f"have the dtype of `wave_n`, {wave_n.alpha.dtype}", f"has {wave.alpha.dtype}", "cast it"
        )
    axes = [(axis.num, axis.periodic) for axis in wave.grid.axes]
    many = [[(axis.num, axis.periodic) for axis in _of(wave_n, m)] for m in range(wave_n.dim)]
    if many != [axes] * wave_n.dim or wave.picture != wave_n.picture or _differ(wave_n, wave):
        raise argument_error(
            "wave", "have the axes and the picture of `wave_n`", f"has {wave.grid.shape}, {wave.picture}",
            f"pass one with {wave_n.grid.shape}, {wave_n.picture}",
        )  # fmt: skip
    if is_traced(wave_n, wave):
        return
    for name, one in (("wave_n", wave_n), ("wave", wave)):
        if abs(float(one.mass) - 1) > NORM:
            raise argument_error(
                name, "have unit norm", f"has {float(one.mass):.4g}", "divide it by the root of `mass`"
            )
    check_symmetric("wave_n", wave_n)


def _of(wave_n: Wave, m: int) -> tuple[Axis, Axis]:
    """The axes of particle m."""
    return wave_n.grid.axes[m], wave_n.grid.axes[wave_n.dim + m]


def _differ(wave_n: Wave, wave: Wave) -> bool:
    """Whether the starts or lengths of the axes differ; False if they are traced."""
    ends = [
        [(a.start, a.length) for a in axes] for axes in (wave.grid.axes, *(_of(wave_n, m) for m in range(wave_n.dim)))
    ]
    if is_traced(ends):
        return False
    known = np.asarray(ends, float)
    return not np.allclose(known, known[0], rtol=1e-6, atol=1e-6 * np.abs(known).max())
