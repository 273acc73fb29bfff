r"""The sums $\sum_{j\ne i} \nabla\Gamma(x_i - x_j)$ and $\sum_{i\ne j}\Gamma(x_i - x_j)$: over pairs, by blocks of rows, or in
O(N M) if Gamma is a sum of M cosines."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxkinetic_kernels import cos_sin, structure_factors, trigonometric_series
from jaxkinetic_kernels.fusion import once, row_sums

from .._util.sums import count_true
from .._util.types import RealScalar
from ..pairs.sums import direct_sum
from ..states import Particles

__all__ = ["Series", "series_gradient", "series_sum", "tiled_gradient", "tiled_sum"]

# At most so many modes are summed one by one, with sines and cosines from polynomials.
_FEW = 8

Series = tuple[Float[Array, "M d"], Float[Array, " M"]]


def tiled_gradient(
    grad: Callable[[Float[Array, "*points d"]], Float[Array, "*points d"]],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"],
) -> Float[Array, "N d"]:
    """The gradient sums (N, d) over all pairs: N^2 evaluations, memory O(N), also for gradients. At z = 0 the gradient of an
    even function is 0; its derivative there is that of `grad`, or 0 if `grad` or its derivative is not finite at 0."""
    smooth = _smooth_at_rest(grad, x)

    def terms(z: tuple[Array, ...], *_: Array) -> tuple[Array, ...]:
        known = smooth
        for component in z:
            known = known | (component != 0)
        parts = jnp.moveaxis(grad(jnp.stack([jnp.where(known, c, 1) for c in z], -1)), -1, 0)
        return tuple(jnp.where(known, part, 0) for part in parts)

    return direct_sum(terms, Particles(x, alive=mask))


def _smooth_at_rest(
    grad: Callable[[Float[Array, "*points d"]], Float[Array, "*points d"]], x: Array
) -> Bool[Array, ""]:
    """Whether `grad` and its derivative are finite at 0."""

    # A program of its own, whose result is a bool: `jax_debug_nans` does not see the NaN inside of it.
    @jax.jit
    def finite() -> Array:
        zero = jnp.zeros(x.shape[1], x.dtype)
        values = grad(zero), jax.jacfwd(grad)(zero)
        return jnp.isfinite(values[0]).all() & jnp.isfinite(values[1]).all()

    return finite()


def tiled_sum(
    gamma: Callable[[Float[Array, "*points d"]], Float[Array, "*points"]],
    x: Float[Array, "N d"],
    mask: Bool[Array, " N"],
) -> RealScalar:
    """The sum over ordered pairs, a scalar. Two particles at the same place contribute gamma(0) and its derivatives as JAX
    computes them: if `gamma` is singular or not smooth at 0, it must define them."""

    def terms(z: tuple[Array, ...], ident: Array, other: Array) -> tuple[Array, ...]:
        # The term of a particle with itself is masked afterwards; at 0 it could be singular.
        return (gamma(jnp.stack([jnp.where(ident == other, 1, c) for c in z], -1)),)

    return jnp.sum(direct_sum(terms, Particles(x, alive=mask)))


def series_gradient(series: Series, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> Float[Array, "N d"]:
    r"""The gradient sums for $\Gamma = \sum_m c_m \cos m\cdot x$: $-\sum_m c_m m\,(C_m \sin m\cdot x_i - S_m \cos m\cdot x_i)$,
    (N, d), where $C_m + i S_m = \sum_j e^{i m \cdot x_j}$, by the addition theorem; the term j = i vanishes."""
    modes, coefficients = (part.astype(x.dtype) for part in series)
    if modes.shape[0] > _FEW:
        cosines, sines = structure_factors(x, mask, modes)
        weights = coefficients[:, None] * modes
        out = trigonometric_series(x, modes, sines[:, None] * weights, -cosines[:, None] * weights)
        return jnp.where(mask[:, None], out, 0)
    out = jnp.zeros_like(x)
    for m, c in zip(modes, coefficients, strict=True):
        cosine, sine = _waves(x, mask, m)
        strength = c * (sine * row_sums(cosine[None])[0] - cosine * row_sums(sine[None])[0])
        # Masked as a vector (N,): the loop over (N, 1) is not vectorised and takes four times as long.
        out = out - jnp.where(mask, strength, 0)[:, None] * m[None, :]
    return out


def series_sum(series: Series, x: Float[Array, "N d"], mask: Bool[Array, " N"]) -> RealScalar:
    """The sum over ordered pairs, a scalar: sum_m c_m (C_m^2 + S_m^2 - N)."""
    modes, coefficients = (part.astype(x.dtype) for part in series)
    if modes.shape[0] > _FEW:
        cosines, sines = structure_factors(x, mask, modes)
    else:
        both = [[row_sums(wave[None])[0] for wave in _waves(x, mask, m)] for m in modes]
        cosines, sines = (jnp.stack(part) for part in zip(*both, strict=True))
    return jnp.sum(coefficients * (cosines**2 + sines**2 - count_true(mask, x.dtype)))


def _waves(x: Array, mask: Array, m: Array) -> tuple[Array, Array]:
    """cos m.x and sin m.x, 0 outside of the mask, computed once and stored."""

    def waves(x: Array, m: Array) -> tuple[Array, Array]:
        angle = sum((x[:, i] * m[i] for i in range(1, x.shape[1])), start=x[:, 0] * m[0])
        cosine, sine = cos_sin(jnp.where(mask, angle, 0))
        return jnp.where(mask, cosine, 0), sine

    return once(waves, x, m)
