"""Weighted marginals and cumulants of the dual solution with respect to independent particles [FengWang2025, section 3.2]."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, check_integer, describe, is_traced, nan_unless
from ..states import Density

__all__ = ["check_one_particle", "cumulant", "weighted_marginal"]


def weighted_marginal(state: Density, density: Density, n: int) -> Float[Array, "..."]:
    r"""$M_{N,n}(v_1, \dots, v_n) = \int \Phi_N(v_1, \dots, v_N)\, f(v_{n+1}) \cdots f(v_N)\, dv_{n+1} \cdots dv_N$, the
    weighted marginal of [FengWang2025, section 3.2]: an array with n axes, for n = 0 a number, for n = N Phi_N itself.

    `state`: Phi_N on N equal axes, such as a state of `BackwardKolmogorov`. `density`: f, of mass 1, on one such axis; in a
    backward run it belongs to the same time, so from two runs with saved states take `dual.states.f[::-1]` and
    `forward.states.f`. As an observable for one f: `jax.tree_util.Partial(weighted_marginal, density=f, n=2)`.

    By quadrature. Linear in Phi, differentiable; O(N n_points^N) operations.

    **Raises:** `ValueError` for an f on several axes, on another grid or of another mass, and unless 0 <= n <= N. If f is
    traced, another mass gives NaN."""
    num, weights = _weights(state, density, n)
    values = state.f
    for _ in range(num - n):
        values = jnp.tensordot(values, weights, axes=1, precision="highest")
    return values


def cumulant(state: Density, density: Density, n: int) -> Float[Array, "..."]:
    r"""$C_{N,n} = \sum_{m=0}^n (-1)^{n-m} \sum_{|\sigma| = m} M_{N,m}(v_\sigma)$, the cumulant (linear correlation function) of
    [FengWang2025, section 3.2], for a symmetric Phi_N: an array with n axes, for n = 0 a number.

    Arguments as for `weighted_marginal`. It is computed as M_{N,n} minus its mean against f, in each variable in turn, so that
    $\int C_{N,n} f\,dv_i = 0$ to round-off. Inversion: $M_{N,n} = \sum_m \sum_{|\sigma| = m} C_{N,m}(v_\sigma)$. Parseval's
    identity [FengWang2025, Lemma 3.4]: $\int \Phi_N^2 f^{\otimes N} = \sum_n \binom Nn \int C_{N,n}^2 f^{\otimes n}$.

    Linear in Phi, differentiable; O(N n_points^N) operations.

    **Raises:** `ValueError` as `weighted_marginal`."""
    _, weights = _weights(state, density, n)
    values = weighted_marginal(state, density, n)
    for i in range(n):
        mean = jnp.tensordot(values, weights, axes=((i,), (0,)), precision="highest")
        values = values - jnp.expand_dims(mean, i)
    return values


def _weights(state: Any, density: Any, n: int) -> tuple[int, Array]:
    """(N, the quadrature weights of f dv), after the checks of the arguments."""
    if not isinstance(state, Density):
        raise argument_error("state", "be a Density", f"is {describe(state)}", "pass jk.Density(phi, grid)")
    num = len(state.grid.axes)
    if check_integer("n", n, minimum=0) > num:
        raise argument_error("n", f"be at most {num}, the number of particles", f"is {n}", "lower it")
    weights = check_one_particle(density)
    _check_on_axis(state, density)
    return num, weights.astype(state.f.dtype)


def _check_on_axis(state: Density, density: Density) -> None:
    """**Raises:** `ValueError` unless every axis of the state is that of the density; only numbers of points are compared if
    the grids are traced."""
    num = len(state.grid.axes)
    if state.grid.shape != density.grid.shape * num:
        points = " x ".join(str(points) for points in state.grid.shape)
        raise argument_error(
            "density", "be on the axis of every particle", f"has {density.grid.shape[0]} points for a state of {points}",
            "evaluate both on one grid",
        )  # fmt: skip
    if not is_traced(state.grid, density.grid):
        one, *axes = (
            (float(np.asarray(x.start)), float(np.asarray(x.length))) for x in density.grid.axes + state.grid.axes
        )
        other = next((axis for axis in axes if not np.allclose(axis, one, rtol=1e-5, atol=1e-5)), None)
        if other is not None:
            was = f"is on [{one[0]:.6g}, {sum(one):.6g})"
            where = f"[{other[0]:.6g}, {sum(other):.6g})"
            raise argument_error(
                "density", f"be on the axis of every particle, {where}", was, "evaluate both on one grid"
            )


def check_one_particle(density: Any) -> Float[Array, " n"]:
    """f dv at the grid points. **Raises:** `ValueError` unless f is on one axis and, if it is known, has the mass 1; if it is
    traced, another mass gives NaN."""
    if not isinstance(density, Density) or len(density.grid.axes) != 1:
        was = f"has {len(density.grid.axes)}" if isinstance(density, Density) else f"is {describe(density)}"
        raise argument_error("density", "be a Density on one axis", was, "pass jk.Density(f, jk.Grid(axis))")
    (axis,) = density.grid.axes
    # The mass is that of a run: round-off accumulates.
    tolerance = float(jnp.finfo(density.f.dtype).eps) ** 0.5
    if is_traced(density):
        weights = density.f * axis.spacing
        return nan_unless(jnp.abs(jnp.sum(weights) - 1) < tolerance, weights)
    length = float(np.asarray(axis.length))
    mass = float(np.asarray(density.f, float).mean()) * length
    if not abs(mass - 1) < tolerance:
        raise argument_error("density", "have the mass 1", f"has {mass:.6g}", "divide f by `density.mass`")
    return density.f * axis.spacing
