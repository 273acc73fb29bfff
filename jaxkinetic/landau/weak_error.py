"""The weak error of propagation of chaos as an integral over the cumulants of the dual solution [FengWang2025, section 3].

Derivation: docs/derivations/weak_error.md."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, deferred_checks, describe, is_traced, nan_unless_met, require
from .._util.types import RealScalar
from ..states import Density
from .cumulants import check_one_particle, cumulant
from .liouville import Liouville
from .torus_pde import check_density
from .torus_tables import check_points, derivative, difference_tables

__all__ = ["weak_error_diagonal", "weak_error_kernel", "weak_error_rate"]


def weak_error_kernel(system: Liouville, density: Density) -> Float[Array, "n n"]:
    r"""The test function V_f(v, w) of [FengWang2025, section 3.1] at the points (v, w) of the grid, for `system`, a `Liouville`
    or `BackwardKolmogorov` (of which it takes the interaction and the noise), and f = `density` > 0 of mass 1:

    $$V_f(v, w) f(v) f(w) = Q(f, f)(v) f(w) - \partial_v G(v, w),\qquad Q(f, f) = \partial_v[(a * f) f' - (b * f) f],$$

    - `noise="kac"`: $G = a(v - w) (f'(v) f(w) - f(v) f'(w))$, which is the V_f of the source;
    - `noise="independent"`: $G = (a(v - w) f'(v) - b(v - w) f(v)) f(w)$.

    Its integrals against f in v and in w vanish, to round-off on every grid: the divergences are spectral derivatives of the
    fluxes. Differentiable; O(n^3) operations.

    **Raises:** `ValueError` for another system, an f on several axes, of another mass or not positive, and a grid that does not
    resolve the interaction; for traced arguments NaN."""
    with deferred_checks() as checks:
        _, pair = _numerators(system, density)
        _check_positive(density)
    return nan_unless_met(checks, pair / (density.f[:, None] * density.f[None, :]))


def weak_error_diagonal(system: Liouville, density: Density) -> Float[Array, " n"]:
    r"""V_f(v, v) of [FengWang2025, section 3.1], in the convention that a particle does not meet itself, a(0) = b(0) = 0:
    Q(f, f)/f = d/dt log f along the Landau equation, for both noises. Since here a(0) > 0, it differs from the diagonal of
    `weak_error_kernel`. Its integral against f vanishes. Arguments and errors as for `weak_error_kernel`."""
    with deferred_checks() as checks:
        single, _ = _numerators(system, density)
        _check_positive(density)
    return nan_unless_met(checks, single / density.f)


def weak_error_rate(state: Density, density: Density, system: Liouville) -> RealScalar:
    r"""The integrand S of the identity of [FengWang2025, section 3.2] for independent particles of the law f(0) at t = 0 and
    $\Phi_N(T)$ = `symmetrized_power(phi, N, k)`,

    $$\int (f(T)^{\otimes k} - F_{N,k}(T))\, \varphi^{\otimes k} = \int_0^T S\,dt,\qquad
    S = (N - 1) \int V_f(v, w) f(v) f(w)\, C_{N,2}(v, w) + \int V_f(v, v) f(v)\, C_{N,1}(v),$$

    with f(t) from `TorusPDE` and the cumulants of Phi_N(t) from `BackwardKolmogorov` at s = T - t. `state`: Phi_N(t), symmetric
    under permutations; `density`: f(t), of mass 1; `system`: of which the interaction and the noise are taken. V_f is
    `weak_error_kernel` (so the identity holds for both noises) and, on the diagonal, `weak_error_diagonal`; f is not divided
    by, so it may vanish. Exact for every N, but for the resolution of the grid.

    Example: two runs with `save=jk.Save(every=1, state=True)`, then `jax.vmap` of this function over `dual.states.f[::-1]` and
    `forward.states.f`.

    **Raises:** `ValueError` as `weak_error_kernel` and `cumulant`."""
    with deferred_checks() as checks:
        single, pair = (values.astype(state.f.dtype) for values in _numerators(system, density))
        system.check(state)
    one, two = (cumulant(state, density, n) for n in (1, 2))
    spacing = state.grid.axes[0].spacing
    num = len(state.grid.axes)
    rate = (num - 1) * jnp.sum(pair * two) * spacing**2 + jnp.sum(single * one) * spacing
    return nan_unless_met(checks, rate)


def _check_positive(density: Density) -> None:
    """**Raises:** `ValueError` for values that are not positive: see `require`."""
    f = density.f
    smallest = jnp.min(f) if is_traced(f) else np.asarray(f).min()
    do = "use `weak_error_rate`, which does not divide by f"
    require("density.f", smallest > 0, smallest, "be positive", do, was="at one point is")


def _numerators(system: Any, density: Density) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Q(f, f)(v), and V_f(v, w) f(v) f(w)."""
    if not isinstance(system, Liouville):
        do = "pass jk.landau.Liouville(interaction, 2, 'kac'), say"
        raise argument_error("system", "be a Liouville or a BackwardKolmogorov", f"is {describe(system)}", do)
    weights, f = check_one_particle(density), density.f
    check_density(density, 1, "particle")
    check_points(system.interaction, f.shape[0], "density.grid")
    a, b = difference_tables(system.interaction, f.shape[0], f.dtype)
    slope = derivative(f, 0)
    # Convolutions by the same sums as the integrals over w, so that these cancel to round-off.
    mean_a, mean_b = (jnp.matmul(table, weights, precision="highest") for table in (a, b))
    single = derivative(mean_a * slope - mean_b * f, 0)
    here, there = slope[:, None] * f[None, :], f[:, None] * slope[None, :]
    flux = a * (here - there) if system.noise == "kac" else a * here - b * (f[:, None] * f[None, :])
    return single, single[:, None] * f[None, :] - derivative(flux, 0)
