"""Initial laws as densities on a grid: the data of limit equations."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Integer

from .._util.checks import argument_error, check_scalar, describe, is_traced, known_as, scalar_or_nan, takes
from .._util.types import RealScalarLike
from ..radial import RadialDensity, RadialGrid, sphere_area
from ..states import Density, Grid
from . import samplers

__all__ = ["on_grid", "radial"]

_MUST = "be a law of jk.initial, or a function of the velocities"


def on_grid(law: Callable[..., Any], grid: Grid, **parameters: Any) -> Density:
    r"""The density of `law` at the points of `grid`, one axis for each component of the velocity. Not divided by its mass: what
    `Density.mass` lacks to 1 is outside of the grid, or below its resolution.

    **Arguments:** `law`: a sampler of `jk.initial`, with its `parameters`: `on_grid(jk.initial.bkw, grid, beta=0.3)`; a
    `functools.partial` of one; or a function of the coordinates, `f(*grid.mesh)`, arrays of the shape of the grid. A function
    of a single argument gets, if d > 1, the velocities in an array (..., d). Differentiable in the parameters.

    **Raises:** `ValueError` for something else, parameters that the law does not have or that are out of range, periodic axes
    for a law on R^d, another number of axes than a torus mode has components, and a function that does not return an array of
    the shape of the grid."""
    if not isinstance(grid, Grid):
        raise argument_error("grid", "be a Grid", f"is {describe(grid)}", "pass jk.Grid(jk.Axis(...), ...)")
    dtype, dim = grid.axes[0].length.dtype, len(grid.axes)
    fn, parameters = _bound(law, parameters, dim)
    density = _DENSITIES.get(fn)
    if density is None:
        mesh = grid.mesh
        v = mesh if takes(fn, dim) else (jnp.stack(mesh, -1),)
        return Density(_values(fn, parameters, v, grid.shape, dtype), grid)
    if fn is not samplers.torus_mode and any(axis.periodic for axis in grid.axes):
        raise argument_error(
            "grid", f"have axes that are not periodic for {fn.__name__}, a law on R^d", "has a periodic one",
            "pass jk.Axis(-8.0, 16.0, 64, periodic=False), say",
        )  # fmt: skip
    return Density(_call(fn, density, grid.mesh, dtype, parameters), grid)


def radial(law: Callable[..., Any], R: RealScalarLike, num: int, dim: int = 3, **parameters: Any) -> RadialDensity:
    """The isotropic density of `law` in R^dim at `num` speeds of [0, R], as for `on_grid`. A function gets the speeds, an array
    (num,), and returns the density in R^dim (not that of the speed).

    **Raises:** `ValueError` as `on_grid`, and for a law that is not isotropic."""
    grid = RadialGrid(R, num, dim)
    dtype = grid.radius.dtype
    fn, parameters = _bound(law, parameters, dim)
    density = _DENSITIES.get(fn)
    if density is None:
        return RadialDensity(_values(fn, parameters, (grid.speeds,), grid.shape, dtype), grid)
    if fn in (samplers.bimaxwellian, samplers.torus_mode):
        raise argument_error("law", "be isotropic", f"is {fn.__name__}", "use `on_grid`")
    if "mean" in parameters and (is_traced(parameters["mean"]) or np.any(parameters["mean"])):
        raise argument_error("mean", "be 0 for an isotropic density", "is given", "use `on_grid`")
    # An isotropic law at the points (v, 0, ..., 0).
    zero = jnp.zeros_like(grid.speeds)
    return RadialDensity(_call(fn, density, (grid.speeds, *[zero] * (dim - 1)), dtype, parameters), grid)


def _bound(law: Any, parameters: dict[str, Any], dim: int) -> tuple[Callable[..., Any], dict[str, Any]]:
    """(the function that `law` is or binds, the parameters of its density)."""
    while isinstance(law, functools.partial) and law.func in _DENSITIES and not law.args:
        law, parameters = law.func, {**law.keywords, **parameters}
    if not callable(law) or isinstance(law, type):
        raise argument_error("law", _MUST, f"is {describe(law)}", "pass jk.initial.maxwellian, say")
    if law in _DENSITIES:
        given = parameters.pop("dim", dim)
        if given != dim:
            raise argument_error("dim", f"be {dim}, as the grid has it", f"is {given}", "leave it out")
        parameters = {name: p for name, p in parameters.items() if name not in ("num_particles", "dtype")}
    return law, parameters


def _call(fn: Callable[..., Any], density: Any, v: Sequence[Array], dtype: Any, parameters: dict[str, Any]) -> Array:
    known = density.__annotations__.keys() - {"v", "dtype", "return"}
    for name in parameters:
        if name not in known:
            must = f"be a parameter of {fn.__name__} ({', '.join(sorted(known))})"
            raise argument_error(name, must, "is given", "leave it out")
    return density(v, dtype, **parameters)


def _values(fn: Callable[..., Any], parameters: dict[str, Any], v: Sequence[Array], shape: Any, dtype: Any) -> Array:
    try:
        values = jnp.asarray(fn(*v, **parameters))
    except (TypeError, ValueError) as error:
        was = f"fails with {type(error).__name__}: {error}"
        raise argument_error("law", _MUST, was, "write it with `jnp`, for arrays") from error
    if values.shape != tuple(shape) or not jnp.issubdtype(values.dtype, jnp.floating):
        was = f"returns {values.dtype} of shape {values.shape}"
        raise argument_error("law", f"return real numbers of shape {tuple(shape)}", was, "return the density at v")
    return values.astype(dtype)


def _square(v: Sequence[Array]) -> Array:
    return functools.reduce(jnp.add, [x**2 for x in v])


def _maxwellian(v: Sequence[Array], dtype: Any, *, temperature: RealScalarLike = 1.0, mean: ArrayLike = 0.0) -> Array:
    temperature = scalar_or_nan("temperature", temperature, positive=True)
    if jnp.shape(mean) not in ((), (len(v),)):
        raise argument_error("mean", f"be a scalar or of shape ({len(v)},)", f"is {describe(mean)}", "reshape it")
    spread, centre = known_as(dtype, temperature, mean)
    centre = jnp.broadcast_to(centre, (len(v),))
    square = _square([x - centre[i] for i, x in enumerate(v)])
    return (2 * math.pi * spread) ** (-len(v) / 2) * jnp.exp(-square / (2 * spread))


def _bimaxwellian(
    v: Sequence[Array],
    dtype: Any,
    *,
    perpendicular: RealScalarLike | None = None,
    parallel: RealScalarLike | None = None,
) -> Array:
    if len(v) < 2:
        raise argument_error("grid", "have at least 2 axes: there are two temperatures", "has 1", "use `maxwellian`")
    perpendicular = scalar_or_nan("perpendicular", perpendicular, positive=True)
    parallel = scalar_or_nan("parallel", parallel, positive=True)
    across, along = known_as(dtype, perpendicular, parallel)
    exponent = _square(v[:-1]) / (2 * across) + v[-1] ** 2 / (2 * along)
    return jnp.exp(-exponent) / jnp.sqrt((2 * math.pi) ** len(v) * across ** (len(v) - 1) * along)


def _bkw(v: Sequence[Array], dtype: Any, *, beta: RealScalarLike = 0.4) -> Array:
    dim = len(v)
    k = 1 - known_as(dtype, samplers.checked_beta(beta, dim))[0]
    square = _square(v)
    bracket = ((dim + 2) * k - dim) / (2 * k) + (1 - k) * square / (2 * k * k)
    # At the largest beta the bracket vanishes at v = 0, up to round-off.
    return (2 * math.pi * k) ** (-dim / 2) * jnp.exp(-square / (2 * k)) * jnp.maximum(bracket, jnp.zeros_like(bracket))


def _rosenbluth(v: Sequence[Array], dtype: Any, *, sharpness: float = 10.0, temperature: RealScalarLike = 1.0) -> Array:
    dim = len(v)
    check_scalar("sharpness", sharpness, positive=True)
    if is_traced(sharpness):
        raise argument_error("sharpness", "be known while tracing", "is traced", "pass a float")
    temperature = scalar_or_nan("temperature", temperature, positive=True)
    # int r^{d-1} e^{-S (r-1)^2} dr and its second moment, by Gauss-Legendre quadrature.
    width = 9 / math.sqrt(2 * sharpness)
    low, high = max(0.0, 1 - width), 1 + width
    nodes, weights = np.polynomial.legendre.leggauss(200)
    r = low + (high - low) * (nodes + 1) / 2
    w = (high - low) / 2 * weights * r ** (dim - 1) * np.exp(-sharpness * (r - 1) ** 2)
    mass, square = np.sum(w), np.sum(w * r**2)
    sigma = jnp.sqrt(dim * known_as(dtype, temperature)[0] * float(mass / square))
    speed = jnp.sqrt(_square(v))
    return jnp.exp(-float(sharpness) * (speed / sigma - 1) ** 2) / (sphere_area(dim) * float(mass) * sigma**dim)


def _torus_mode(
    v: Sequence[Array],
    dtype: Any,
    *,
    mode: Integer[ArrayLike, " d"] | Sequence[int] | None = None,
    amplitude: RealScalarLike | None = None,
    phase: RealScalarLike = 0.0,
) -> Array:
    wavevector = samplers.checked_mode(mode)
    if wavevector.size != len(v):
        was = f"has {len(v)}"
        raise argument_error(
            "grid", f"have {wavevector.size} axes, one for each component of `mode`", was, "change one"
        )
    a, shift = known_as(
        dtype, scalar_or_nan("amplitude", amplitude, within=samplers.AMPLITUDE), scalar_or_nan("phase", phase)
    )
    angle = functools.reduce(jnp.add, [int(m) * x for m, x in zip(wavevector, v, strict=True)])
    return (1 + a * jnp.cos(angle + shift)) / (2 * math.pi) ** len(v)


_DENSITIES: dict[Callable[..., Any], Callable[..., Array]] = {
    samplers.maxwellian: _maxwellian,
    samplers.bimaxwellian: _bimaxwellian,
    samplers.bkw: _bkw,
    samplers.rosenbluth: _rosenbluth,
    samplers.torus_mode: _torus_mode,
}
