"""Laws of N particles as densities on a grid with one axis for each particle: products and marginals."""

from ._util.checks import argument_error, check_integer, check_law, deferred_checks, describe, nan_unless_met
from ._util.memory import check_memory
from ._util.sharding import on_any_mesh
from .states import Density, Grid

__all__ = ["marginal", "product"]


def __dir__() -> list[str]:
    return __all__


@on_any_mesh
def product(density: Density, num_particles: int) -> Density:
    """The law of N independent particles, f(v_1) ... f(v_N), of a density f on one axis, divided by its mass. Differentiable.

    **Raises:** `ValueError` for N < 1, for a density on several axes, for values that are negative or not finite, for no mass
    (if f is traced, the law is NaN), and for a grid that does not fit into memory, with its bytes."""
    num = check_integer("num_particles", num_particles, minimum=1)
    if not isinstance(density, Density) or len(density.grid.axes) != 1:
        was = f"has {len(density.grid.axes)}" if isinstance(density, Density) else f"is {describe(density)}"
        raise argument_error("density", "be a Density on one axis", was, "pass jk.Density(f, jk.Grid(axis))")
    with deferred_checks() as checks:
        check_law("density.f", density.f)
    f, (axis,) = nan_unless_met(checks, density.f / density.mass), density.grid.axes
    nbytes = f.size**num * f.dtype.itemsize
    check_memory("num_particles", nbytes, f"a law on {f.size}^{num} points", "take fewer points, or float32")
    out = f
    for _ in range(num - 1):
        out = out[..., None] * f.reshape(*[1] * out.ndim, -1)
    return Density(out, Grid(*[axis] * num))


@on_any_mesh
def marginal(state: Density, k: int = 1) -> Density:
    """The law of the first k particles: the integral over the other axes. Linear in f.

    **Raises:** `ValueError` for a state that is no `Density`, and unless 1 <= k <= the number of axes."""
    if not isinstance(state, Density):
        raise argument_error("state", "be a Density", f"is {describe(state)}", "pass jk.Density(f, grid)")
    axes = state.grid.axes
    if check_integer("k", k, minimum=1) > len(axes):
        raise argument_error("k", f"be at most {len(axes)}, the number of axes", f"is {k}", "lower it")
    f = state.f.sum(tuple(range(k, len(axes))))
    for axis in axes[k:]:
        f = f * axis.spacing
    return Density(f, Grid(*axes[:k]))
