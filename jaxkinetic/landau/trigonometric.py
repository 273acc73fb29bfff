"""Interactions on the torus: trigonometric polynomials, whose sums over all pairs cost N M operations for M modes."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, Real

from jaxkinetic_kernels import difference_series, trigonometric_series, wrap

from .._util.checks import argument_error, check_finite, concrete_array, describe, is_traced, require
from .._util.types import Components, RealScalarLike
from ..states import Particles
from .interactions import AbstractInteraction, vectors
from .roots import symmetric_root

__all__ = ["PERIOD", "Trigonometric"]

PERIOD = 2 * math.pi
# Points of the grid on which a(z) must be positive: in a period of the highest mode,
_PER_PERIOD = 16
# in all, at most, where the coefficients are known,
_GRID_POINTS = 1 << 15
# and at most where they are traced, so that the grid is part of the program.
_TRACED_GRID_POINTS = 1 << 12


class Trigonometric(AbstractInteraction):
    r"""$a(z) = \sum_m C_m \cos(m \cdot z)$ on the torus $[0, 2\pi)^d$, d = 1, 2, 3.

    $b = \mathrm{div}\,a = -\sum_m C_m m \sin(m \cdot z)$ and $\sigma = a^{1/2}$, the symmetric root. Every smooth even a can be
    approximated by such sums. In the Fourier form $a = \sum_m a_m e^{i m \cdot z}$: a_0 = C_0, a_{+-m} = C_m / 2. The equation
    on the torus is (1.1) of [CarrilloGuoJabin2024].

    **Arguments:**

    - `modes`: (M, d) integers, known while tracing. m and -m are the same cosine; the coefficients of a mode that occurs twice,
      with either sign, are added. m = 0 is the constant part.
    - `coefficients`: (M,), multiples of the identity, or (M, d, d), symmetric. Differentiable; only the symmetric part of a
      matrix acts, so gradients are symmetric.

    Velocities are points of the torus: `simulate` accepts any representative and maps every particle that is alive into
    [0, 2 pi)^d after each step. The period is 2 pi; for a torus of length L measure velocities in units of L / 2 pi. Momentum
    and energy are not conserved; Kac's noise conserves sum_i v_i modulo 2 pi.

    `sum_a` and `sum_b` use the structure factors sum_j e^{i m.v_j}: cost N M, memory O(N), so a step of `MatrixSqrt` is linear
    in N. `Kac` and `IndependentNoise` draw noise for every pair and cost N^2 M.

    Example: d = 1 `Trigonometric([[0], [1]], [1.0, 0.5])`, a = 1 + cos(z)/2.

    **Raises:** `ValueError` for modes that are not integers, shapes that do not match, and matrices that are not symmetric. In
    a run: for velocities of another dimension, for an a(z) that is not positive definite (checked on a grid with 16 points per
    period of the highest mode, at most about 2^15 points), and for a dt with which a step may wrap around the torus
    (`check_step`). If coefficients or dt are traced, the last two stop the run with a fault that names them (a(z) is then
    checked on about 2^12 points).
    """

    # The sum of v jumps by the period where a particle goes around; a(z) z is not 0.
    invariants: ClassVar[tuple[str, ...]] = ()
    modes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    coefficients: Float[Array, " M"] | Float[Array, "M d d"]

    def __init__(self, modes: Any, coefficients: Real[ArrayLike, " M"] | Real[ArrayLike, "M d d"] | Sequence[float]):
        self.modes = _integer_modes(modes)
        self.coefficients = _coefficients(coefficients, len(self.modes), self.dim)

    @property
    def dim(self) -> int:
        return len(self.modes[0])

    @property
    def is_scalar(self) -> bool:
        """Whether a(z) is a multiple of the identity."""
        return self.coefficients.ndim == 1 or self.dim == 1

    def a(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]:
        z = vectors("z", z, self.dim)
        return self._series(z, cosine=self._matrices(z.dtype)).reshape(*z.shape, self.dim)

    def b(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        z = vectors("z", z, self.dim)
        return self._series(z, sine=self._divergences(z.dtype)).reshape(z.shape)

    def sigma(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]:
        z = vectors("z", z, self.dim)
        if not self.is_scalar:
            return symmetric_root(self.a(z))
        identity = jnp.broadcast_to(jnp.eye(self.dim, dtype=z.dtype), (*z.shape, self.dim))
        return self._scalar_root(z)[..., None, None] * identity

    def sigma_components(self, z: Components, x: Components) -> Components:
        if not self.is_scalar:
            return super().sigma_components(z, x)
        root = self._scalar_root(jnp.stack(z, -1))
        return tuple(root * component for component in x)

    def sum_a(self, state: Particles, form: str = "direct") -> Float[Array, "N d d"]:
        self.check_form(form, state)
        matrices = self._matrices(state.velocity.dtype)
        total = self._difference_sum(state, matrices, jnp.zeros_like(matrices))
        # Without the term j = i, which is a(0) = sum_m C_m.
        others = jnp.where(state.alive[:, None], total - jnp.sum(matrices, axis=0)[None, :], jnp.zeros((), total.dtype))
        return others.reshape(-1, self.dim, self.dim)

    def sum_b(self, state: Particles, form: str = "direct") -> Float[Array, "N d"]:
        self.check_form(form, state)
        divergences = self._divergences(state.velocity.dtype)
        return self._difference_sum(state, jnp.zeros_like(divergences), divergences)

    def retract(self, state: Particles) -> Particles:
        wrapped = jnp.where(state.alive[:, None], wrap(state.velocity, PERIOD), state.velocity)
        return eqx.tree_at(lambda s: s.velocity, state, wrapped)

    def check(self, dim: int) -> None:
        if dim != self.dim:
            raise argument_error(
                "velocity",
                f"have shape (N, {self.dim}), as the modes have",
                f"has d = {dim}",
                "pass velocities with as many components as a mode",
            )
        if is_traced(self.coefficients):
            smallest = self._traced_smallest_eigenvalue()
            limit = 1e-12 * jnp.sum(jnp.abs(jax.lax.stop_gradient(self.coefficients)))
            require(
                "interaction", smallest > limit, smallest, "be elliptic", "raise the coefficient of mode 0",
                was="a(z) has the eigenvalue",
            )  # fmt: skip
            return
        matrices = self._concrete_matrices()
        smallest, where = _smallest_eigenvalue(np.asarray(self.modes), matrices)
        # Round-off may lift a zero eigenvalue by so much.
        if smallest <= 1e-12 * np.abs(matrices).sum():
            place = ", ".join(f"{x:.4g}" for x in where)
            raise argument_error(
                "interaction", "be elliptic", f"a(z) has the eigenvalue {smallest:.4g} at z = ({place})",
                "raise the coefficient of mode 0",
            )  # fmt: skip

    def check_step(self, dt: RealScalarLike) -> None:
        r"""Raise if $\sqrt{2 A\,dt} + 2 B\,dt \ge \pi$, $A = \sum_m |C_m|$, $B = \sum_m |C_m m|$: such a step may wrap.

        A and B bound a and b. So for every state the two terms bound one standard deviation of the noise of a step and its
        drift; pi is half the period. If dt or a coefficient is traced, the run stops with a fault.
        """
        if is_traced(self.coefficients):
            self._check_traced_step(dt)
            return
        matrices, modes = self._concrete_matrices(), np.asarray(self.modes, float)
        noise = 2 * np.linalg.norm(matrices, 2, axis=(1, 2)).sum()
        drift = 2 * np.linalg.norm(np.einsum("mij,mj->mi", matrices, modes), axis=1).sum()
        # The root x = sqrt(dt) of drift x^2 + sqrt(noise) x = pi, in the form without cancellation.
        largest = (PERIOD / (math.sqrt(noise) + math.sqrt(noise + 4 * math.pi * drift))) ** 2
        step: Any = dt if is_traced(dt) else np.asarray(dt).item()
        require("dt", step < largest, step, f"be below {largest:.4g}, or one step may go around the torus", "lower it")

    def _check_traced_step(self, dt: RealScalarLike) -> None:
        matrices = jax.lax.stop_gradient(_symmetric_matrices(self.coefficients, self.dim))
        modes = self._mode_array(matrices.dtype)
        noise = 2 * jnp.sum(jnp.max(jnp.abs(jnp.linalg.eigvalsh(matrices)), -1))
        divergences = jnp.einsum("mij,mj->mi", matrices, modes, precision=jax.lax.Precision.HIGHEST)
        drift = 2 * jnp.sum(jnp.linalg.norm(divergences, axis=1))
        largest = (PERIOD / (jnp.sqrt(noise) + jnp.sqrt(noise + 4 * math.pi * drift))) ** 2
        step = jax.lax.stop_gradient(jnp.asarray(dt)).astype(largest.dtype)
        require("dt", step < largest, step, "be so small that no step can go around the torus", "lower it")

    def _traced_smallest_eigenvalue(self) -> Array:
        """The smallest eigenvalue of a(z) on a grid of z. It is part of the program, so the grid has fewer points than for
        known coefficients."""
        shape = _grid_shape(np.asarray(self.modes), _TRACED_GRID_POINTS)
        axes = [PERIOD / num * jnp.arange(num, dtype=self.coefficients.dtype) for num in shape]
        z = jnp.stack([c.reshape(-1) for c in jnp.meshgrid(*axes, indexing="ij")], -1)
        a = eqx.tree_at(lambda t: t.coefficients, self, jax.lax.stop_gradient(self.coefficients)).a(z)
        return jnp.min(a[:, 0, 0] if self.is_scalar else jnp.linalg.eigvalsh(a)[:, 0])

    def _scalar_root(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        return jnp.sqrt(self._series(z, cosine=self._matrices(z.dtype)[:, :1])).reshape(z.shape[:-1])

    def _series(self, z: Array, cosine: Array | None = None, sine: Array | None = None) -> Array:
        return trigonometric_series(z.reshape(-1, self.dim), self._mode_array(z.dtype), cosine, sine)

    def _difference_sum(self, state: Particles, cosine: Array, sine: Array) -> Array:
        modes = self._mode_array(state.velocity.dtype)
        return difference_series(state.velocity, state.alive, modes, cosine, sine)

    def _mode_array(self, dtype: jnp.dtype) -> Array:
        return jnp.asarray(self.modes, dtype)

    def _matrices(self, dtype: jnp.dtype) -> Float[Array, "M {self.dim}*{self.dim}"]:
        return _symmetric_matrices(self.coefficients.astype(dtype), self.dim).reshape(len(self.modes), -1)

    def matrices(self, dtype: DTypeLike) -> Float[Array, "M d d"]:
        """C_m as symmetric matrices."""
        return _symmetric_matrices(self.coefficients.astype(dtype), self.dim)

    def _divergences(self, dtype: jnp.dtype) -> Float[Array, "M d"]:
        matrices = _symmetric_matrices(self.coefficients.astype(dtype), self.dim)
        return -jnp.einsum("mij,mj->mi", matrices, self._mode_array(dtype), precision=jax.lax.Precision.HIGHEST)

    def _concrete_matrices(self) -> np.ndarray:
        coefficients = np.asarray(self.coefficients, float)
        return coefficients[:, None, None] * np.eye(self.dim) if coefficients.ndim == 1 else coefficients


def _symmetric_matrices(coefficients: Array, dim: int) -> Float[Array, "M d d"]:
    if coefficients.ndim == 1:
        return coefficients[:, None, None] * jnp.eye(dim, dtype=coefficients.dtype)[None, :, :]
    return (coefficients + jnp.swapaxes(coefficients, 1, 2)) / 2


def _integer_modes(modes: Any) -> tuple[tuple[int, ...], ...]:
    if is_traced(modes):
        raise argument_error("modes", "be integers known while tracing", f"is {describe(modes)}", "pass a NumPy array")
    try:
        array = np.asarray(modes)
    except ValueError:
        array = np.zeros(0)
    if array.ndim != 2 or not array.size or array.shape[-1] > 3:
        raise argument_error(
            "modes", "have shape (M, d) with d = 1, 2 or 3", f"is {describe(modes)}", "pass [[0], [1]], say"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise argument_error(
            "modes", "be integers", f"has the dtype {array.dtype}", "the torus has the period 2 pi: pass integers"
        )
    return tuple(tuple(int(component) for component in array[i]) for i in range(len(array)))


def _coefficients(coefficients: Any, count: int, dim: int) -> Array:
    try:
        array = concrete_array(coefficients)
    except (TypeError, ValueError):
        array = jnp.zeros(0)
    if array.shape not in ((count,), (count, dim, dim)) or not jnp.issubdtype(array.dtype, jnp.floating):
        raise argument_error(
            "coefficients", f"be real, of shape ({count},) or ({count}, {dim}, {dim}) as the modes require",
            f"is {describe(coefficients)}", "pass one number or one matrix for each mode",
        )  # fmt: skip
    check_finite("coefficients", array)
    if array.ndim == 3 and not is_traced(array):
        values = np.asarray(array)
        skew = np.abs(values - np.swapaxes(values, 1, 2)).max(axis=(1, 2))
        if skew.max() > 4 * np.finfo(values.dtype).eps * np.abs(values).max():
            raise argument_error(
                "coefficients", "hold symmetric matrices", f"the matrix of mode {int(skew.argmax())} is not",
                "pass (C + C^T) / 2",
            )  # fmt: skip
    return array


def _grid_shape(modes: np.ndarray, points: int) -> tuple[int, ...]:
    finest = int(points ** (1 / modes.shape[1]) + 0.5)
    return tuple(max(2 * top + 1, min(_PER_PERIOD * top, finest)) for top in map(int, np.abs(modes).max(axis=0)))


def _smallest_eigenvalue(modes: np.ndarray, matrices: np.ndarray) -> tuple[float, np.ndarray]:
    """The smallest eigenvalue of a(z) on a grid of z, and that z; if the constant part dominates, a lower bound of it."""
    constant = ~modes.any(axis=1)
    bound = (
        np.linalg.eigvalsh(matrices[constant].sum(axis=0))[0]
        - np.linalg.norm(matrices[~constant], 2, axis=(1, 2)).sum()
    )
    dim = modes.shape[1]
    if bound > 0:
        return float(bound), np.zeros(dim)
    shape = _grid_shape(modes, _GRID_POINTS)
    spectrum = np.zeros((*shape, dim, dim), complex)
    # The Fourier form of a: C_m/2 at m and at -m.
    for sign in (1, -1):
        np.add.at(spectrum, tuple((sign * modes).T), matrices / 2)
    grid = np.fft.ifftn(spectrum, axes=range(dim), norm="forward").real
    lowest = np.linalg.eigvalsh(grid)[..., 0]
    place = np.unravel_index(lowest.argmin(), shape)
    return float(lowest[place]), PERIOD * np.asarray(place) / np.asarray(shape)
