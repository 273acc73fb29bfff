"""The backward (dual) equation of the law of N particles on the torus in d = 1, and its terminal data."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import jax.numpy as jnp

from .._util.checks import argument_error, check_finite, check_integer, describe
from .._util.memory import check_memory
from .._util.types import RealScalar, RealScalarLike
from ..states import Density, Grid
from .liouville import Liouville
from .torus_pde import LIMITS, moving, spectral_tail
from .torus_tables import derivative, difference_tables, on_pair

__all__ = ["BackwardKolmogorov", "symmetrized_power"]


class BackwardKolmogorov(Liouville):
    r"""The backward Kolmogorov equation of N = 2, 3, 4 particles on the torus in d = 1, the dual of `Liouville`
    [FengWang2025, section 3.1], run in the remaining time s = T - t:

    - `noise="independent"`: $\partial_s \Phi = \frac1N \sum_i \sum_{j \ne i} [D_i (a D_i \Phi) + b D_i \Phi]$;
    - `noise="kac"`: $\partial_s \Phi = \frac1N \sum_{i<j} (D_i - D_j)(a\,(D_i - D_j)\Phi)$, as for F.

    From the terminal data Phi(T) = phi it gives Phi(s, v) = E[phi(V_s) | V_0 = v], and for the law F of the particles
    $\int F(t)\,\Phi(T - t)$ does not depend on t: the two vector fields are adjoint to each other on the grid.

    State: a `jk.Density` on N equal periodic axes of length 2 pi that holds Phi, of either sign, such as
    `landau.symmetrized_power` makes it. Nondimensional.

    Constants and the symmetry under permutations are kept to round-off, with Kac's noise also int Phi. The maximum of |Phi|
    does not rise as long as Phi is resolved. Cost as for `Liouville`.

    `stats`: `spectral_tail`, as for `TorusPDE`.

    **Raises:** `ValueError` as `Liouville`, and for data that are not finite.
    """

    conserves: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"spectral_tail": LIMITS["spectral_tail"]}

    def limit(self) -> NoReturn:
        """**Raises:** `ValueError`: the dual equation is not one of a law of particles."""
        raise argument_error(
            "system", "be a particle system whose limit equation is known", "is the dual equation BackwardKolmogorov",
            "use the limit of jk.landau.Liouville",
        )  # fmt: skip

    def check_start(self, state: Density) -> None:
        self.check_fits(state)
        check_finite("state.f", state.f)

    def vector_field(self, t: RealScalar, state: Density) -> Density:
        if self.noise == "kac":
            return super().vector_field(t, state)
        phi, num = state.f, self.num_particles
        a, b = difference_tables(self.interaction, phi.shape[0], phi.dtype)
        total = jnp.zeros_like(phi)
        for i in range(num):
            slope = derivative(phi, i)
            others = [j for j in range(num) if j != i]
            diffusion = sum((on_pair(a, i, j, num) * slope for j in others), jnp.zeros_like(phi))
            drift = sum((on_pair(b, i, j, num) * slope for j in others), jnp.zeros_like(phi))
            total = total + derivative(diffusion, i) + drift
        return moving(state, total / num)

    def end_stats(self, state: Density, elapsed: RealScalarLike) -> dict[str, Any]:
        return {"spectral_tail": spectral_tail(state.f)}


def symmetrized_power(phi: Density, num_particles: int, k: int) -> Density:
    r"""$\Phi(v_1, \dots, v_N) = \binom Nk^{-1} \sum_{i_1 < \dots < i_k} \varphi(v_{i_1}) \cdots \varphi(v_{i_k})$, the terminal
    data of [FengWang2025, section 3.1], on N axes. `phi`: a function on one axis, of either sign, as a `jk.Density`.

    For a symmetric law F: int F Phi = int F_k phi^k, with F_k its k-particle marginal. Differentiable; O(k n^N) operations, as
    a recursion in N.

    **Raises:** `ValueError` unless 1 <= k <= N, for a function on several axes or with values that are not finite, and for a
    grid that does not fit into memory, with its bytes."""
    num = check_integer("num_particles", num_particles, minimum=1)
    if check_integer("k", k, minimum=1) > num:
        raise argument_error("k", f"be at most {num}, the number of particles", f"is {k}", "lower it")
    if not isinstance(phi, Density) or len(phi.grid.axes) != 1:
        was = f"has {len(phi.grid.axes)}" if isinstance(phi, Density) else f"is {describe(phi)}"
        raise argument_error("phi", "be a Density on one axis", was, "pass jk.Density(phi, jk.Grid(axis))")
    check_finite("phi.f", phi.f)
    values = phi.f
    nbytes = (k + 1) * values.size**num * values.dtype.itemsize
    check_memory("num_particles", nbytes, f"a function on {values.size}^{num} points", "take fewer points, or float32")
    # The elementary symmetric polynomials of phi(v_1), ..., phi(v_m), of degrees 0 to k.
    polynomials = [jnp.ones((), values.dtype)]
    for m in range(1, num + 1):
        shape = (values.size,) * m
        with_last = [
            jnp.zeros(shape, values.dtype),
            *(p[..., None] * jnp.broadcast_to(values, shape) for p in polynomials),
        ]
        without = [jnp.broadcast_to(p[..., None], shape) for p in polynomials]
        polynomials = [
            one + (without[degree] if degree < len(without) else jnp.zeros_like(one))
            for degree, one in enumerate(with_last[: k + 1])
        ]
    return Density(polynomials[k] / math.comb(num, k), Grid(*phi.grid.axes * num))
