"""The law of N particles on the torus in d = 1: the forward equation of their density, on the full grid."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._core.system import AbstractField, AbstractScheme
from .._util.checks import argument_error, check_integer, describe, did_you_mean, is_traced, nan_unless, require
from .._util.memory import check_memory
from .._util.types import RealScalar, RealScalarLike
from ..runge_kutta import RKC
from ..states import Density
from .torus_pde import LIMITS, TorusPDE, check_density, check_values, moving, negative_mass, spectral_tail
from .torus_tables import check_points, derivative, difference_tables, on_pair
from .trigonometric import Trigonometric

__all__ = ["Liouville"]

NOISES = ("independent", "kac")


class Liouville(AbstractField):
    r"""The forward equation of the density F(v_1, ..., v_N) of N = 2 to 6 particles on the torus $[0, 2\pi)$, d = 1, with
    $D_i = \partial/\partial v_i$ and a, b = a' taken at $v_i - v_j$:

    - `noise="independent"`, for `MatrixSqrt` and `IndependentNoise`, (2.1) of [CarrilloGuoJabin2024]:
      $\partial_t F = \frac1N \sum_i \sum_{j \ne i} D_i (a D_i F - b F)$;
    - `noise="kac"`, for `Kac`, (1.5) of [FengWang2025]:
      $\partial_t F = \frac1N \sum_{i<j} (D_i - D_j)(a\,(D_i - D_j) F)$, which is self-adjoint.

    `BackwardKolmogorov` is the dual equation.

    State: `jk.Density` on N equal periodic axes of length 2 pi, as `jk.product` makes it. Derivatives are spectral; the
    products are not dealiased, so f must be resolved (`stats["spectral_tail"]`). Nondimensional.

    Conserved: mass, to round-off; with Kac's noise also the law of sum_i v_i modulo 2 pi. The symmetry of F under permutations
    is kept to round-off. With Kac's noise int F log F falls, at the rate `dissipation`; with independent noise it may rise.
    Cost of an evaluation: 2 N derivatives, O(N n^{N+1}) operations as matrix products, O(N n^N) memory.

    `stats`: `spectral_tail` and `negative_mass`, as for `TorusPDE`.

    **Raises:** `ValueError` for an interaction that is not `Trigonometric` in d = 1, another N or noise; in a run as
    `TorusPDE`, and for a grid on which a run would not fit into memory, with its bytes.
    """

    conserves: ClassVar[Mapping[str, str]] = {"mass": "exact"}
    coordinates: ClassVar[str] = "velocity"
    limits: ClassVar[Mapping[str, tuple[float, str]]] = LIMITS
    interaction: Trigonometric
    num_particles: int = eqx.field(static=True)
    noise: str = eqx.field(static=True, default="independent")

    def __check_init__(self) -> None:
        if not isinstance(self.interaction, Trigonometric) or self.interaction.dim != 1:
            raise argument_error(
                "interaction", "be a Trigonometric in d = 1", f"is {describe(self.interaction)}",
                "pass jk.landau.Trigonometric([[0], [1]], [1.0, 0.5]), say",
            )  # fmt: skip
        if check_integer("num_particles", self.num_particles, minimum=2) > 6:
            do = "a grid of n^N points is too large"
            raise argument_error("num_particles", "be 2 to 6", f"is {self.num_particles}", do)
        if not isinstance(self.noise, str) or self.noise not in NOISES:
            sentence = argument_error("noise", f"be one of {', '.join(NOISES)}", f"is {self.noise!r}", "choose one")
            raise did_you_mean(sentence, str(self.noise), NOISES)

    def limit(self) -> TorusPDE:
        """The Landau equation on the torus."""
        return TorusPDE(self.interaction)

    def default_scheme(self) -> AbstractScheme:
        return RKC()

    def check(self, state: Any) -> None:
        check_density(state, self.num_particles, "particle")
        axes = state.grid.axes
        if len({axis.num for axis in axes}) > 1:
            shape = " x ".join(str(axis.num) for axis in axes)
            raise argument_error("state.grid", "have equal axes", f"has {shape} points", "use jk.product(f, N)")
        require(
            "state.grid", jnp.max(jnp.abs(jnp.stack([axis.start - axes[0].start for axis in axes]))) == 0, axes[0].start,
            "have equal axes, also their `start`", "use jk.product(f, N)", was="the first axis starts at",
        )  # fmt: skip
        check_points(self.interaction, axes[0].num, "state.grid")
        self.interaction.check(1)

    def check_start(self, state: Density) -> None:
        self.check_fits(state)
        check_values(state)

    def check_fits(self, state: Density) -> None:
        """**Raises:** `ValueError` if a run from this state would not fit into memory, with its bytes."""
        # The states of a step and its stages, and the derivatives.
        nbytes = (2 * self.num_particles + 6) * state.f.size * state.f.dtype.itemsize
        check_memory("state", nbytes, f"a run on {state.grid.shape}", "take fewer points, or float32")

    def vector_field(self, t: RealScalar, state: Density) -> Density:
        f, num = state.f, self.num_particles
        a, b = difference_tables(self.interaction, f.shape[0], f.dtype)
        slopes = [derivative(f, i) for i in range(num)]
        total = jnp.zeros_like(f)
        for i in range(num):
            flux = jnp.zeros_like(f)
            for j in range(num):
                if j != i and self.noise == "kac":
                    flux = flux + on_pair(a, i, j, num) * (slopes[i] - slopes[j])
                elif j != i:
                    flux = flux + on_pair(a, i, j, num) * slopes[i] - on_pair(b, i, j, num) * f
            total = total + derivative(flux, i)
        return moving(state, total / num)

    def dissipation(self, state: Density) -> RealScalar:
        r"""$D(F) = \frac1N \sum_{i<j} \int F\,a\,\big((D_i - D_j)\log F\big)^2$, minus the derivative of int F log F along the
        equation with Kac's noise. F must be positive.

        **Raises:** `ValueError` for independent noise, where int F log F may rise, for a state on another grid, and unless F is
        positive (a traced F gives NaN)."""
        if self.noise != "kac":
            raise argument_error(
                "noise",
                "be 'kac' for the dissipation",
                f"is {self.noise!r}",
                "int F log F may rise with independent noise",
            )
        self.check(state)
        f, num = state.f, self.num_particles
        if not is_traced(f):
            require("state.f", not np.asarray(f).min() <= 0, np.asarray(f).min(), "be positive", "use more points")
        a, _ = difference_tables(self.interaction, f.shape[0], f.dtype)
        slopes = [derivative(f, i) for i in range(num)]
        pairs = [(i, j) for i in range(num) for j in range(i)]
        total = sum((on_pair(a, i, j, num) * (slopes[i] - slopes[j]) ** 2 for i, j in pairs), jnp.zeros_like(f))
        return nan_unless(~jnp.any(f <= 0), jnp.sum(total / f) * state.grid.cell / num)

    def stiffness(self, t: RealScalar, state: Density) -> RealScalar:
        """A bound from |a| <= sum_m |C_m| and the largest wavenumber, of the second- and of the first-order terms."""
        num, modes = self.num_particles, np.abs(np.asarray(self.interaction.modes)[:, 0])
        sizes = jnp.abs(self.interaction.matrices(state.f.dtype)[:, 0, 0])
        a, b = jnp.sum(sizes), jnp.sum(sizes * jnp.asarray(modes, sizes.dtype))
        largest = state.f.shape[0] / 2 - 1
        pairs = num if self.noise == "kac" else num - 1
        return pairs * largest * (a * largest + 2 * b)

    def end_stats(self, state: Density, elapsed: RealScalarLike) -> dict[str, Any]:
        return {"spectral_tail": spectral_tail(state.f), "negative_mass": negative_mass(state.f)}
