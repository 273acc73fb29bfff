"""The homogeneous Boltzmann equation with annihilation for isotropic densities: the limit of Kac's walk."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import spectral
from .._core.system import AbstractField, AbstractScheme
from .._util.checks import (
    PROBABILITY,
    Range,
    argument_error,
    check_integer,
    check_law,
    check_scalar,
    check_shape,
    concrete_array,
    describe,
    is_traced,
)
from .._util.memory import check_memory
from .._util.types import RealScalar, RealScalarLike
from ..radial import RadialDensity
from ..runge_kutta import RungeKutta
from .collision_tensor import CollisionTensor, collision_tensor, tensor_bytes
from .cross_sections import AbstractCrossSection

__all__ = ["IsotropicPDE", "check_uniform"]

# Data count as not negative above this fraction of their maximum.
_ROUND_OFF = 1e-9
# The largest share of the mass that may be at speeds above 9/10 of R.
_AT_THE_EDGE = 1e-6


class IsotropicPDE(AbstractField):
    r"""$\partial_t f = (1-\alpha)\,Q(f,f) - \alpha\,Q_-(f,f)$ for isotropic f in R^3, (1.1) of [LodsNotaPezzotti2020]: the
    limit of `KacWalk` as N, volume -> infinity at the density n = N/volume, the mass of f. In weak form, with z' uniform on the
    sphere of radius $r = |v - v_*|$,

    $$\frac{d}{dt}\int f\varphi = \frac12 \iint f f_* \Sigma(r) \big[(1-\alpha)\langle\varphi' + \varphi'_*\rangle - \varphi -
    \varphi_*\big],\qquad n' = -\alpha n^2 \langle\Sigma\rangle.$$

    State: `jk.RadialDensity` with d = 3. Nondimensional.

    Method: outcomes of collisions of two nodes are distributed among the nodes by B-splines of degree 9, which reproduce
    polynomials up to that degree. For smooth Sigma and f the error is of order 10 in the spacing, for hard spheres of order 4,
    with a small factor (`self_similar_profile`). For BKW with R = 8 sqrt(T) the error of the vector field, relative to its
    maximum, is 2e-7, 2e-9, 1e-10 at 60, 100, 200 nodes for speeds above sqrt(T), and 2e-5, 2e-7, 4e-7 at the node next to v =
    0. Collisions that would leave [0, R] do not happen.

    Conserved for alpha = 0: mass and energy, to round-off; H = int f log f falls. For alpha > 0 neither is conserved, and H may
    rise. f stays positive as long as it is resolved. In float32 errors are about 1e-5.

    Cost: a table of num^3/2 numbers, 32 MB for num = 200 in float64, built once per run in O(num^3) operations; each evaluation
    reads it once. `vector_field` called outside a run builds it every time: use `make_plan(state)`. Gradients: in all
    parameters, R and f.

    `stats`, all at the end: `negative_mass`, int max(-f, 0) over int |f|; `boundary_mass`, the share of the mass above 9/10 of
    R; `radius_needed`, an R that would do if this share is above 1e-6, or 0; `spectral_tail`, the fraction of the squared norm
    of f in the upper third of its cosine modes.

    **Raises:** `ValueError` for something that is not a cross section, one with its own `scatter`, alpha outside [0, 1], dim !=
    3; in a run: for another kind of state, data that are negative or not finite or of no mass, an R that is too small, with one
    that would do, and a table that would not fit into memory."""

    ranges: ClassVar[Mapping[str, Range]] = {"annihilation": PROBABILITY}
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "negative_mass": (
            1e-6,
            "f became negative: int max(-f, 0) was {0:.2g} of int |f| (`stats['negative_mass']`); use more nodes, or a "
            "smaller dt.",
        ),
        "radius_needed": (
            0.0,
            "More than 1e-6 of the mass was above 9/10 of the largest speed R (`stats['boundary_mass']`); use R = {0:.3g}.",
        ),
        "spectral_tail": (
            1e-4,
            "The grid is too coarse: {0:.2g} of the squared norm of f was in the upper third of its modes "
            "(`stats['spectral_tail']`); use twice as many nodes.",
        ),
    }
    cross_section: AbstractCrossSection
    annihilation: RealScalar
    dim: int = eqx.field(static=True)

    def __init__(self, cross_section: AbstractCrossSection, annihilation: RealScalarLike = 0.0, dim: int = 3):
        check_uniform(cross_section)
        check_scalar("annihilation", annihilation, within=PROBABILITY)
        if check_integer("dim", dim, minimum=2) != 3:
            raise argument_error("dim", "be 3", f"is {dim}", "use `KacWalk` in other dimensions")
        self.cross_section, self.annihilation, self.dim = cross_section, concrete_array(annihilation), dim

    @property
    def conserves(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        if is_traced(self.annihilation) or float(self.annihilation) > 0:
            return {}
        return {"mass": "exact", "energy": "exact"}

    def default_scheme(self) -> AbstractScheme:
        return RungeKutta(4)

    def check(self, state: Any) -> None:
        if not isinstance(state, RadialDensity):
            do = "pass jk.initial.radial(jk.initial.maxwellian, 8.0, 100), say"
            raise argument_error("state", "be a RadialDensity", f"is {describe(state)}", do)
        if state.dim != self.dim:
            raise argument_error("state.grid.dim", f"be {self.dim}", f"is {state.dim}", "make the state with dim=3")
        name, dtype, num = type(self.cross_section).__name__, state.f.dtype, state.grid.num
        check_shape(f"{name}.sigma", self.cross_section.sigma, (4,), jax.ShapeDtypeStruct((4,), dtype))
        nbytes = tensor_bytes(num, dtype.itemsize)
        check_memory("state.grid.num", nbytes, f"the collision tensor of {num} nodes", "take fewer, or float32")

    def check_start(self, state: RadialDensity) -> None:
        check_law("state.f", state.f)
        if is_traced(state):
            return
        with jax.ensure_compile_time_eval():  # known numbers also inside a trace
            share, enough = (float(x) for x in _edge(state))
        if share > _AT_THE_EDGE:
            was = f"has {share:.2g} of the mass above 9/10 of R = {float(state.grid.radius):g}"
            raise argument_error("state.f", "vanish at the largest speed R", was, f"use R = {enough:.3g}")

    def make_plan(self, like: RadialDensity) -> "_Tabled":
        return _Tabled(self, collision_tensor(self.cross_section, like.grid))

    def vector_field(self, t: RealScalar, state: RadialDensity) -> RadialDensity:
        return self.make_plan(state).vector_field(t, state)

    def stiffness(self, t: RealScalar, state: RadialDensity) -> RealScalar:
        """Twice the largest collision frequency."""
        return self.make_plan(state).stiffness(t, state)

    def end_stats(self, state: RadialDensity, elapsed: RealScalarLike) -> dict[str, Any]:
        f = state.f
        share, enough = _edge(state)
        return {
            "negative_mass": state.integral(jnp.maximum(-f, jnp.zeros_like(f))) / state.integral(jnp.abs(f)),
            "boundary_mass": share,
            "radius_needed": jnp.where(share > _AT_THE_EDGE, enough, jnp.zeros_like(enough)),
            "spectral_tail": spectral.tail(jnp.concatenate([f, f[::-1]]), 0),
        }


class _Tabled(AbstractField):
    """An `IsotropicPDE` with its collision tensor on one grid."""

    conserves: ClassVar[Mapping[str, str]] = {}
    system: IsotropicPDE
    tensor: CollisionTensor

    def check(self, state: Any) -> None:
        self.system.check(state)

    def default_scheme(self) -> AbstractScheme:
        return self.system.default_scheme()

    def vector_field(self, t: RealScalar, state: RadialDensity) -> RadialDensity:
        f, weights, alpha = state.f, state.grid.weights, self.system.annihilation.astype(state.f.dtype)
        slope = mass_rate(self.tensor, f * weights, alpha) / weights
        return eqx.tree_at(lambda s: s.f, jax.tree.map(lambda _: None, state), slope, is_leaf=lambda x: x is None)

    def stiffness(self, t: RealScalar, state: RadialDensity) -> RealScalar:
        return 2 * jnp.max(self.tensor.met(jnp.abs(state.f) * state.grid.weights))


def mass_rate(tensor: CollisionTensor, masses: Float[Array, " num"], alpha: RealScalar) -> Float[Array, " num"]:
    """d/dt of the masses at the nodes."""
    collided = tensor.gained(masses) - masses * tensor.lost(masses)
    return (1 - alpha) * collided - alpha * masses * tensor.met(masses)


def check_uniform(cross_section: Any) -> None:
    """**Raises:** `ValueError` unless it is a cross section with z' uniform on the sphere."""
    if not isinstance(cross_section, AbstractCrossSection):
        do = "pass jk.boltzmann.HardSphere(), say"
        raise argument_error("cross_section", "be a cross section", f"is {describe(cross_section)}", do)
    if type(cross_section).scatter is not AbstractCrossSection.scatter:
        was = f"has its own `scatter` ({type(cross_section).__name__})"
        raise argument_error("cross_section", "scatter uniformly", was, "use `KacWalk` for other laws of z'")


def _edge(state: RadialDensity) -> tuple[RealScalar, RealScalar]:
    """(the share of the mass above 9/10 of R, an R that would do)."""
    f, grid = jnp.abs(state.f), state.grid
    outside = grid.speeds > 0.9 * grid.radius
    share = state.integral(jnp.where(outside, f, jnp.zeros_like(f))) / state.integral(f)
    temperature = state.integral(grid.speeds**2 * f) / state.integral(f) / grid.dim
    return share, jnp.maximum(8 * jnp.sqrt(temperature), 1.3 * grid.radius)
