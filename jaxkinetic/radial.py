"""Isotropic densities: functions of the speed."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ._util.checks import (
    POSITIVE,
    Range,
    argument_error,
    as_array,
    cast_floating,
    check_integer,
    check_scalar,
    concrete_array,
    describe,
)
from ._util.printing import Printed
from ._util.types import RealScalar, RealScalarLike

__all__ = ["RadialDensity", "RadialGrid"]


def __dir__() -> list[str]:
    return __all__


# The end corrections of the midpoint rule at v = 0 change the weights of this many nodes.
_CORRECTED = 8
# Up to this d all weights are positive.
_LARGEST_DIM = 9


class RadialGrid(Printed):
    r"""`num` equidistant speeds $v_j = (j + \frac12) R/\mathrm{num}$ on [0, R], for isotropic functions in R^d, d = `dim`.

    `weights`: those of $\int f dv = |S^{d-1}| \int_0^R v^{d-1} f dv$, all positive. For odd d they are those of the midpoint
    rule, which converges faster than any power of the spacing if f is smooth in R^d and vanishes at R. For even d v^{d-1} f is
    odd in v, and the weights of the first 8 nodes are corrected at v = 0 by the Euler-Maclaurin formula: order d + 16.

    `num` and `dim` are static; `radius` is a leaf.

    **Raises:** `ValueError` for num < 8, dim < 1 or > 9, and a radius that is not positive."""

    ranges: ClassVar[Mapping[str, Range]] = {"radius": POSITIVE}
    radius: RealScalar
    num: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)

    def __init__(self, radius: RealScalarLike, num: int, dim: int = 3):
        check_scalar("radius", radius, positive=True)
        self.num = check_integer("num", num, minimum=_CORRECTED)
        self.dim = check_integer("dim", dim, minimum=1)
        if self.dim > _LARGEST_DIM:
            raise argument_error("dim", f"be at most {_LARGEST_DIM}", f"is {dim}", "use particles")
        self.radius = concrete_array(radius)

    @property
    def shape(self) -> tuple[int]:
        return (self.num,)

    @property
    def spacing(self) -> RealScalar:
        return self.radius / self.num

    @property
    def speeds(self) -> Float[Array, " num"]:
        return self.spacing * (jnp.arange(self.num, dtype=self.radius.dtype) + 0.5)

    @property
    def weights(self) -> Float[Array, " num"]:
        return self.spacing**self.dim * jnp.asarray(unit_weights(self.num, self.dim), self.radius.dtype)


class RadialDensity(Printed):
    """An isotropic real density f(|v|) in R^d, d = `grid.dim`: `f`, (num,), holds its values at `grid.speeds`. As for
    `Density`, they are values in R^d: the density of the speed is |S^{d-1}| v^{d-1} f."""

    f: Float[Array, " num"]
    grid: RadialGrid

    _summarised: ClassVar[tuple[str, ...]] = ("f",)

    def __init__(self, f: ArrayLike, grid: RadialGrid):
        self.f = as_array("f", f, "be an array", "pass the values at `grid.speeds`")
        if not jnp.issubdtype(self.f.dtype, jnp.floating) or jnp.finfo(self.f.dtype).bits < 32:
            raise argument_error("f", "be real, of 32 or 64 bits", f"has dtype {self.f.dtype}", "pass a floating array")
        if not isinstance(grid, RadialGrid):
            raise argument_error(
                "grid", "be a RadialGrid", f"is {describe(grid)}", "pass jk.RadialGrid(8.0, 200, dim=3)"
            )
        if self.f.shape != grid.shape:
            raise argument_error("f", f"have shape {grid.shape}", f"has shape {self.f.shape}", "pass one value a speed")
        self.grid = cast_floating(grid, self.f.dtype)

    @property
    def dim(self) -> int:
        return self.grid.dim

    @property
    def mass(self) -> RealScalar:
        return self.integral(self.f)

    def integral(self, values: Float[Array, " num"]) -> RealScalar:
        """The integral over R^d of the isotropic function with these values."""
        return jnp.sum(self.grid.weights * values)


def sphere_area(dim: int) -> float:
    """|S^{d-1}|, the area of the unit sphere of R^d; 2 for d = 1."""
    return 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)


@cache
def unit_weights(num: int, dim: int) -> np.ndarray:
    """The weights for a spacing of 1, (num,)."""
    x = np.arange(num) + 0.5
    weights = x ** (dim - 1)
    if dim % 2 == 0:
        # The midpoint sum of x^n has the end term zeta(-n, 1/2) = -B_{n+1}(1/2)/(n + 1) at 0, which vanishes for even n. The
        # correction of the first weights cancels it for odd n = d - 1 + 2k, k < 8.
        odd = [dim - 1 + 2 * k for k in range(_CORRECTED)]
        ends = np.array([bernoulli_at_half(n + 1) / (n + 1) for n in odd])
        powers = np.array([x[:_CORRECTED] ** (2 * k) for k in range(_CORRECTED)])
        weights[:_CORRECTED] += np.linalg.solve(powers, ends)
    return sphere_area(dim) * weights


def bernoulli_at_half(n: int) -> float:
    """Bernoulli's polynomial B_n(1/2) = (2^{1-n} - 1) B_n."""
    numbers: list[Any] = [1.0]
    for m in range(1, n + 1):
        numbers.append(-sum(math.comb(m + 1, j) * b for j, b in enumerate(numbers)) / (m + 1))
    return (2.0 ** (1 - n) - 1) * numbers[n]
