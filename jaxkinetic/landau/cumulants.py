"""Weighted marginals and cumulants of the dual solution with respect to independent particles [FengWang2025, section 3.2]."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, check_integer, deferred_checks, describe, is_traced, nan_unless_met, require
from ..states import Density

__all__ = ["check_one_particle", "cumulant", "weighted_marginal"]


def weighted_marginal(state: Density, density: Density, n: int) -> Float[Array, "..."]:
    r"""$M_{N,n}(v_1, \dots, v_n) = \int \Phi_N(v_1, \dots, v_N)\, f(v_{n+1}) \cdots f(v_N)\, dv_{n+1} \cdots dv_N$, the
    weighted marginal of [FengWang2025, section 3.2]: an array with n axes, for n = 0 a number, for n = N Phi_N itself.

    `state`: Phi_N on N equal axes, such as a state of `BackwardKolmogorov`. `density`: f, of mass 1, on one such axis; in a
    backward run it belongs to the same time, so from two runs with saved states take `dual.states.f[::-1]` and
    `forward.states.f`. As an observable for one f: `jax.tree_util.Partial(weighted_marginal, density=f, n=2)`.

    By quadrature. Linear in Phi, differentiable; O(N n_points^N) operations.

    **Raises:** `ValueError` for an f on several axes, on another grid or of another mass, and unless 0 <= n <= N. If f or
    a grid is traced, another mass or axis gives NaN."""
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
    """(N, f dv at the grid points), after the checks of the arguments."""
    if not isinstance(state, Density):
        raise argument_error("state", "be a Density", f"is {describe(state)}", "pass jk.Density(phi, grid)")
    num = len(state.grid.axes)
    if check_integer("n", n, minimum=0) > num:
        raise argument_error("n", f"be at most {num}, the number of particles", f"is {n}", "lower it")
    with deferred_checks() as checks:
        weights = check_one_particle(density)
        _check_on_axis(state, density)
    return num, nan_unless_met(checks, weights.astype(state.f.dtype))


def check_one_particle(density: Any) -> Float[Array, " n"]:
    """f dv at the grid points. **Raises:** `ValueError` unless f is on one axis and of mass 1: see `require`."""
    if not isinstance(density, Density) or len(density.grid.axes) != 1:
        was = f"has {len(density.grid.axes)}" if isinstance(density, Density) else f"is {describe(density)}"
        raise argument_error("density", "be a Density on one axis", was, "pass jk.Density(f, jk.Grid(axis))")
    f, (axis,) = density.f, density.grid.axes
    # The mass of a run, in which round-off accumulates.
    tolerance = float(jnp.finfo(f.dtype).eps) ** 0.5
    mass = density.mass if is_traced(density) else np.asarray(f, float).mean() * float(axis.length)
    require("density", abs(mass - 1) < tolerance, mass, "have the mass 1", "divide f by `density.mass`", was="has")
    return f * axis.spacing


def _check_on_axis(state: Density, density: Density) -> None:
    """**Raises:** `ValueError` unless every axis of the state is that of the density: see `require`."""
    (one,), num = density.grid.axes, len(state.grid.axes)
    if state.grid.shape != (one.num,) * num:
        points = " x ".join(str(axis.num) for axis in state.grid.axes)
        raise argument_error(
            "density", "be on the axis of every particle", f"has {one.num} points for a state of {points}",
            "evaluate both on one grid",
        )  # fmt: skip
    for axis in state.grid.axes:
        for name in ("start", "length"):
            mine, other = getattr(one, name), getattr(axis, name)
            if not is_traced(mine, other):
                mine, other = float(mine), float(other)
            same = abs(mine - other) <= 1e-5 * abs(other) + 1e-5
            was, do = f"its axis has the {name}", "evaluate both on one grid"
            require("density", same, mine, "be on the axis of every particle", do, was=was)
