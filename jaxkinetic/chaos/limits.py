"""The law of one particle in the limit: solved, sampled, integrated, and as quantiles.

A *law* at one time is a `jk.RadialDensity`, a `jk.Density` on velocity axes, on the torus (periodic axes) or on phase space
(periodic axes of position, then as many of velocity), or a sampler, a function (key, num) -> `jk.Particles`. A mass below 1 is
the share of particles that is alive, from N = volume on; quantiles are those of the density divided by its mass."""

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.save import Save
from .._core.simulate import simulate
from .._core.system import AbstractSystem
from .._util.checks import argument_error, check_integer, describe, kind, takes
from .._util.types import Key
from ..diagnostics._monotone_transport import quantile_of
from ..radial import RadialDensity
from ..states import Density, Particles
from ._directions import directions
from ._inversion import inverse, of_spline, on_the_circle
from ._line_laws import LineLaw, direction_of, of_grid, of_radial, of_samples

__all__ = [
    "SAMPLES",
    "check_law",
    "check_limit",
    "draw",
    "is_periodic",
    "laws_at",
    "line_law",
    "line_laws",
    "nodes",
    "quantiles",
]

# Draws that stand for a law of which only a sampler is known.
SAMPLES = 2**18
_SEED = 22
# The time step of the limit equation is divided by 4 until that changes the laws by less than this in L1, over their mass: of
# a scheme of order 2 the last error is then 1/15 of it.
_CHANGE, _TIMES, _BY = 1e-5, 5, 4
# Of |mass - 1| at time 0, and in `draw`.
_MASS = 1e-3


def check_limit(system: AbstractSystem, limit: Any) -> None:
    """**Raises:** `ValueError` unless `limit` is a function of the time, or `(equation, density)` with the limit equation of
    `system`, in R^d or for isotropic densities, with its parameters. A system without a known limit accepts every equation."""
    if isinstance(limit, AbstractSystem) or not isinstance(limit, (tuple, list)):
        if not callable(limit) or isinstance(limit, (type, AbstractSystem)) or not takes(limit, 1):
            raise argument_error(
                "limit", "be (equation, density), or a function of the time", f"is {describe(limit)}",
                "pass (system.limit(), density)",
            )  # fmt: skip
        return
    if len(limit) != 2 or not isinstance(limit[0], AbstractSystem):
        was = f"is {kind(limit)} of {len(limit)}" if len(limit) != 2 else f"has {describe(limit[0])} as its equation"
        raise argument_error("limit", "be (equation, density)", was, "pass (system.limit(), density)")
    equation = limit[0]
    try:
        candidates = _limits_of(system, equation)
    except ValueError:
        return
    if not any(_same(one, equation) for one in candidates):
        name = type(system).__name__
        raise argument_error(
            "limit", f"belong to {name}, whose limit equation is {candidates[-1]!r}", f"has the equation {equation!r}",
            "pass system.limit()",
        )  # fmt: skip


def _limits_of(system: AbstractSystem, equation: AbstractSystem) -> list[AbstractSystem]:
    """The limit equations of `system`, those of the kind of `equation` last. **Raises:** `ValueError` if none is known."""
    limit: Any = system.limit
    known = inspect.signature(limit).parameters
    dim = getattr(equation, "dim", None)
    with warnings.catch_warnings():
        # `Microcanonical` warns that its limit needs epsilon -> 0.
        warnings.simplefilter("ignore")
        found = [limit()]
        options = {"isotropic": True, "dim": dim} if "isotropic" in known else {"dim": dim}
        if isinstance(dim, int) and options.keys() <= known.keys():
            with contextlib.suppress(ValueError):
                found.append(limit(**options))
    return sorted(found, key=lambda one: type(one) is type(equation))


def _same(one: Any, other: Any) -> bool:
    """Whether two equations have the same class and parameters, to float32 rounding."""
    if type(one) is not type(other) or jax.tree.structure(one) != jax.tree.structure(other):
        return False
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        np.shape(a) == np.shape(b) and np.allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=0) for a, b in leaves
    )


def laws_at(limit: Any, times: Sequence[float], dt: float) -> list[Any]:
    """The laws at `times`, which increase from 0 on and are multiples of `dt`. Of `(equation, density)`: solved in float64 by
    the default scheme of the equation; dt is divided by 4 until that changes the laws by less than 1e-5 in L1, relative to
    their mass (the error is then about 1e-6). Their leaves are NumPy arrays. Of a function: its values.

    **Raises:** `ValueError` if dt/1024 is not small enough, for a law that is none, and unless the mass is 1 at
    time 0; `SimulationError` if the run fails."""
    if not isinstance(limit, (tuple, list)):
        found = []
        for t in times:
            try:
                law = limit(float(t))
            except TypeError as error:
                was = f"fails with {type(error).__name__}: {error}"
                raise argument_error("limit", "be a function of the time", was, "pass lambda t: law") from error
            found.append(check_law(law, f"limit({float(t):g})"))
        return found
    equation, density = limit
    check_law(density, "limit[1]")
    if not isinstance(density, (Density, RadialDensity)):
        raise argument_error(
            "limit[1]", "be a density, for an equation", f"is {describe(density)}", "use jk.initial.on_grid or radial"
        )
    with jax.enable_x64(True):
        equation, density = (_leaves(jnp.asarray, tree) for tree in (equation, density))
        _check_mass(float(density.mass))
        steps = [round(t / dt) for t in times]
        laws = _solved(equation, density, steps, dt)
        change = math.inf
        for level in range(1, _TIMES + 1):
            finer = _solved(equation, density, [s * _BY**level for s in steps], dt / _BY**level)
            change = max(
                float(a.integral(jnp.abs(jnp.asarray(a.f - b.f)))) / float(b.mass)
                for a, b in zip(laws, finer, strict=True)
            )
            laws = finer
            if change < _CHANGE:
                return laws
    raise argument_error(
        "limit", f"be resolved in time at dt/{_BY**_TIMES} = {dt / _BY**_TIMES:g}",
        f"still changes by {change:.1e} when dt is divided by {_BY}", "take a smaller dt, or smoother data",
    )  # fmt: skip


def _check_mass(mass: float) -> None:
    # Not `>`, so that NaN raises.
    if not abs(mass - 1) <= _MASS:
        raise argument_error(
            "limit[1]", f"have mass 1 to {_MASS:g}", f"has mass {mass:g}",
            "divide it by its mass (Kac's walk: N = volume), or enlarge its grid",
        )  # fmt: skip


def _solved(equation: AbstractSystem, density: Any, steps: Sequence[int], dt: float) -> list[Any]:
    if steps[-1] == 0:
        return [_leaves(np.asarray, density)]
    run = simulate(equation, density, dt=dt, num_steps=steps[-1], save=Save(steps=steps, state=True))
    return [jax.tree.map(lambda x, i=i: np.asarray(x[i]), run.states) for i in range(len(steps))]


def _leaves(convert: Callable[..., Any], tree: Any) -> Any:
    """The floating leaves in float64."""
    return jax.tree.map(lambda x: convert(np.asarray(x, np.float64)) if eqx.is_inexact_array_like(x) else x, tree)


def check_law(law: Any, argument: str = "law") -> Any:
    """`law`. **Raises:** `ValueError` unless it is a density or a sampler."""
    if isinstance(law, (Density, RadialDensity)):
        return law
    if not callable(law) or isinstance(law, type) or not takes(law, 2):
        raise argument_error(
            argument, "be a RadialDensity, a Density or a sampler (key, num) -> Particles", f"is {describe(law)}",
            "use jk.initial.radial, or a functools.partial of jk.initial.maxwellian",
        )  # fmt: skip
    return law


def is_periodic(law: Any) -> bool:
    """Whether the law is one of angles on the torus."""
    return isinstance(law, Density) and all(axis.periodic for axis in law.grid.axes)


def mass_of(law: Any) -> float:
    """The mass of a density, 1 for a sampler. (Leaves may be in float64 where the default precision is lower.)"""
    return 1.0 if callable(law) else float(jax.tree.map(jnp.asarray, law).mass)


def _phase_space(law: Density) -> bool:
    """Whether the first half of the axes is of position. **Raises:** `ValueError` for other axes, some of them periodic."""
    axes = law.grid.axes
    kinds = [axis.periodic for axis in axes]
    half = len(axes) // 2
    if len(set(kinds)) == 1:
        return False
    if len(axes) % 2 or not all(kinds[:half]) or any(kinds[half:]):
        raise argument_error(
            "law", "have velocity axes, periodic axes, or periodic axes of position and then as many of velocity",
            f"has periodic = {kinds}", "make the grid anew",
        )  # fmt: skip
    return True


def _particles(law: Density, points: Any) -> Particles:
    """Points (n, axes) as particles."""
    if not _phase_space(law):
        return Particles(points)
    half = law.grid.half
    return Particles(points[:, half:], points[:, :half])


def _samples(law: Callable[..., Any], num: int = SAMPLES) -> Particles:
    """Draws with a fixed key."""
    return _sampled(law, jax.random.key(_SEED, impl="threefry2x32"), num)


def _sampled(law: Callable[..., Any], key: Key, num: int) -> Particles:
    state = law(key, num)
    if not isinstance(state, Particles) or state.num_slots != num:
        was = f"returns {state.num_slots}" if isinstance(state, Particles) else f"returns {describe(state)}"
        raise argument_error(
            "law", f"return Particles, as many as asked for ({num})", was, "write it as jk.initial does"
        )
    return state


def nodes(law: Any) -> tuple[Particles, Float[Array, " n"]]:
    r"""Particles v_i and weights w_i with $\sum_i w_i \phi(v_i) = \int \phi f$, in the default precision.

    - `RadialDensity`: the quadrature of its grid times `directions`: exact in the direction for polynomials of degree 7.
    - `Density`: the points of the grid.
    - A sampler: 2^18 draws with a fixed key and equal weights: the standard error is that of phi over 512."""
    check_law(law)
    if isinstance(law, RadialDensity):
        law = jax.tree.map(jnp.asarray, law)
        rule = [jnp.asarray(x, law.f.dtype) for x in directions(law.dim)]
        velocity = law.grid.speeds[:, None, None] * rule[0][None]
        return Particles(velocity.reshape(-1, law.dim)), jnp.outer(law.grid.weights * law.f, rule[1]).reshape(-1)
    if isinstance(law, Density):
        law = jax.tree.map(jnp.asarray, law)
        points = jnp.stack([x.reshape(-1) for x in law.grid.mesh], 1)
        return _particles(law, points), law.f.reshape(-1) * law.grid.cell
    state = _samples(law)
    return state, jnp.full(SAMPLES, 1 / SAMPLES, state.velocity.dtype)


def draw(law: Any, key: Key, num: int) -> Particles:
    """N = `num` independent particles of the law, in the default precision; `jit` and `vmap` over keys work.

    - `RadialDensity`: the speed by inversion of its distribution function (order 4 in the spacing), a uniform direction.
    - `Density` on one axis: by inversion, as above; on the torus after refining the trigonometric interpolant 16 times.
    - On several axes: from the cubic B-spline through which resolved wavenumbers k keep their amplitude; others come in with
      (k h/2 pi)^4 of it, h the spacing. Where that spline is negative, it counts as 0.
    - A sampler: called.

    A particle of a density is alive with probability `law.mass`, where that is below 1 - 1e-3."""
    check_law(law)
    check_integer("num", num, minimum=1)
    if not isinstance(law, (Density, RadialDensity)):
        return _sampled(law, key, num)
    law = jax.tree.map(jnp.asarray, law)
    dim, dtype = len(law.grid.axes) if isinstance(law, Density) else law.dim, law.f.dtype
    more = dim if isinstance(law, RadialDensity) else 4 * dim if dim > 1 else 0
    # All in one call: each would add a third of a second to the time to compile.
    u = jax.random.uniform(key, (num, 2 + more), dtype)
    if isinstance(law, RadialDensity):
        edge = 1 - jnp.finfo(dtype).epsneg
        x = jax.scipy.special.erfinv(jnp.clip(2 * u[:, 2:] - 1, -edge, edge))
        speed = inverse(quantile_of(law, "law"), u[:, 0])
        state = Particles(speed[:, None] * x / jnp.linalg.norm(x, axis=1, keepdims=True))
    elif dim > 1:
        state = _particles(law, of_spline(law, u[:, 0], u[:, 2:].reshape(num, dim, 4)))
    else:
        quantile = on_the_circle(law) if law.grid.axes[0].periodic else quantile_of(law, "law")
        state = Particles(inverse(quantile, u[:, 0])[:, None])
    alive = u[:, 1] < jnp.where(law.mass > 1 - _MASS, 1, law.mass)
    return Particles(state.velocity, state.position, alive)


def quantiles(law: Any, of: Any, num: int) -> tuple[Float[np.ndarray, " num"], float]:
    r"""(q, second) of the law of one number of v: $q_i = N \int_{i/N}^{(i+1)/N} F^{-1}$ and $\int x^2 dF$, in float64. With
    them $W_2^2 = \frac1N \sum_i (x_{(i)} - q_i)^2 + \mathrm{second} - \frac1N \sum_i q_i^2$ is exact for N particles.

    `of`: "speed", or the index of a component. Of a `RadialDensity`, and a component of a `Density`: spectral. The speed of a
    `Density` and the laws of samplers come from 2^18 draws with a fixed key, which adds about 3.4/2^18 to W_2^2 (variance 1).

    **Raises:** `ValueError` for an angle on the torus, where quantiles depend on the origin."""
    if is_periodic(law):
        raise argument_error(
            "law", "be one on R^d for quantiles", "is on the torus", "use MarginalL1, or the distances of pairs"
        )
    line = line_law(law, of)
    return line.means(check_integer("num", num, minimum=1)), line.second


def line_law(law: Any, of: Any) -> LineLaw:
    """The law of one number of v, see `quantiles`; on the torus that of an angle in one period, which has no integrals. `of`:
    "speed", an index, or a direction (d,) of R^d, for the component along it."""
    return line_laws(law, [of])[0]


def line_laws(law: Any, ofs: Sequence[Any]) -> list[LineLaw]:
    """`line_law` of several numbers; a sampler is called once."""
    check_law(law)
    if isinstance(law, RadialDensity):
        return [of_radial(law, of) for of in ofs]
    for of in ofs:
        if isinstance(of, str) and is_periodic(law):
            raise argument_error("of", "be the index of an angle on the torus", f"is {of!r}", "pass 0")
    if isinstance(law, Density) and not _phase_space(law) and not any(isinstance(of, str) for of in ofs):
        return [of_grid(law, of) for of in ofs]
    state = _samples(law) if callable(law) else draw(law, jax.random.key(_SEED, impl="threefry2x32"), SAMPLES)
    v = np.asarray(state.velocity, float)[np.asarray(state.alive)]
    return [
        of_samples(np.linalg.norm(v, axis=1) if isinstance(of, str) else v @ direction_of(of, v.shape[1])) for of in ofs
    ]
