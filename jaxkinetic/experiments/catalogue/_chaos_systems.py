"""What is measured of each system in a study of chaos: systems, starts, distances, limits, and what theorems say of them."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ... import chaos as measure, initial
from ..._core.simulate import simulate
from ..._core.system import AbstractScheme, AbstractSystem
from ...boltzmann import KacWalk, Maxwell as MaxwellWalk, VariableHardSphere
from ...landau import (
    IndependentNoise,
    Kac,
    Liouville,
    MatrixSqrt,
    Maxwell,
    Microcanonical,
    PowerLaw,
    Trigonometric,
    exact,
)
from ...laws import product
from ...pairs import ExactClock, Sweep
from ...schemes import EulerMaruyama, Leapfrog
from ...states import Axis, Density, Grid, Particles
from ...vlasov import Cosine, Maxwellian, NBody, PerturbedAmplitude

__all__ = ["PLANS", "Plan"]

# The start of radial systems: BKW's law with this beta, or for a power law a shell.
_BETA = 0.3
# Of the isotropic limit equation: largest speed, number of speeds.
_RADIUS, _SPEEDS = 7.0, 120
# Temperatures of the bi-Maxwellian, T = 1, by dimension; its limit equation is solved on [-reach, reach]^d.
_PARALLEL = 0.4
_PERPENDICULAR = {3: 1.3, 2: 1.6}
_REACH, _POINTS = 6.8, 36
# Softening of Euler-Maruyama's power laws.
_SOFTENING = 0.05

QUALITATIVE = "qualitative"
_COVARIANCE = "Cov(|v_1|^2, |v_2|^2)"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The arguments of `chaos_study` and, in words, what the limit is."""

    system_of_N: Callable[[int], AbstractSystem]
    start: Callable[[Any, int], Any]
    distances: Mapping[str, measure.AbstractDistance]
    Ns: tuple[int, ...]
    dt: float
    scheme: AbstractScheme | None = None
    limit: Any = None
    theory: Mapping[str, measure.Theory] = dataclasses.field(default_factory=dict)
    independent_start: bool = True
    coupled: bool = False
    notes: tuple[str, ...] = ()

    def given(self) -> dict[str, Any]:
        """Arguments of `chaos_study`."""
        names = (
            "system_of_N",
            "start",
            "distances",
            "Ns",
            "dt",
            "scheme",
            "limit",
            "theory",
            "independent_start",
            "coupled",
        )
        return {name: getattr(self, name) for name in names}


def square(state: Particles) -> Array:
    return jnp.sum(state.velocity**2, 1)


def quartic(state: Particles) -> Array:
    return jnp.sum(state.velocity**2, 1) ** 2


def speed(state: Particles) -> Array:
    return jnp.linalg.norm(state.velocity, axis=1)


def cosine_of_position(state: Particles) -> Array:
    assert state.position is not None
    return jnp.cos(state.position[:, 0])


def angle(state: Particles) -> Array:
    return state.velocity[:, 0]


def doubling(largest: int, count: int = 5, least: int = 2) -> tuple[int, ...]:
    """largest, largest/2, ...: `count` of them, without those below 4 if three are left, and none below `least`."""
    found = [largest >> i for i in range(count) if largest >> i >= least]
    large = [num for num in found if num >= 4]
    return tuple(sorted(large if len(large) >= 3 else found))


def _radial(dim: int) -> dict[str, measure.AbstractDistance]:
    return {
        _COVARIANCE: measure.PairCovariance(square),
        "bias of <|v|^4>": measure.MomentBias(quartic),
        "W2 of |v|": measure.Wasserstein("speed"),
        "L1 of f_1 in |v|": measure.MarginalL1(1, 8, "speed"),
        "L1 of f_2 in |v|": measure.MarginalL1(2, 4, "speed"),
    }


def _of_all(names: Mapping[str, Any], theorem: str, source: str, predicted: Any) -> dict[str, measure.Theory]:
    return {name: measure.Theory(theorem, predicted.get(name), source) for name in names}


def _start(gamma: float, dim: int) -> Callable[..., Any]:
    if gamma == 0:
        return partial(initial.bkw, beta=_BETA, dim=dim)
    return partial(initial.rosenbluth, sharpness=3.0, dim=dim)


def _drawn(law: Callable[..., Any], key: Any, num: int) -> Any:
    return law(key, num)


def _density(law: Callable[..., Any], dim: int) -> Any:
    return initial.radial(law, _RADIUS, _SPEEDS, dim)


def _along(state: Particles) -> Array:
    return state.velocity[:, -1]


def _along_square(state: Particles) -> Array:
    return state.velocity[:, -1] ** 2


def landau(
    gamma: float = 0.0, dim: int = 3, largest: int = 64, dt: float = 0.025, noise: str = "kac"
) -> Plan:  # fmt: skip
    """Landau's systems in R^d from a bi-Maxwellian, z its axis. Kac's noise by pair flows, whose error of order dt^2 is below
    the distances. The others by Euler-Maruyama, whose error of order dt does not vanish as N grows: N particles are compared
    with their halves, which have the same error."""
    by_pairs = noise == "kac"
    interaction = Maxwell() if gamma == 0 else PowerLaw(gamma, softening=0.0 if by_pairs else _SOFTENING)
    system = {"kac": Kac, "independent": IndependentNoise, "root": MatrixSqrt}[noise](interaction)
    law = partial(initial.bimaxwellian, dim=dim, perpendicular=_PERPENDICULAR[dim], parallel=_PARALLEL)
    names: dict[str, measure.AbstractDistance] = {
        "Cov(v_1z, v_2z)": measure.PairCovariance(_along), _COVARIANCE: measure.PairCovariance(square),
    }  # fmt: skip
    if by_pairs:
        names |= {
            "bias of <v_z^2>": measure.MomentBias(_along_square), "W2 of v_z": measure.Wasserstein(dim - 1),
            "L1 of f_1 in v_z": measure.MarginalL1(1, 4, dim - 1), "L1 of f_2 in v_z": measure.MarginalL1(2, 2, dim - 1),
        }  # fmt: skip
    else:
        names["<v_z^2>"] = measure.Moment(_along_square)
    # Exact second moments at gamma = 0.
    predicted = dict.fromkeys(("Cov(v_1z, v_2z)", "bias of <v_z^2>", "<v_z^2>"), 1.0) if gamma == 0 else {}
    proved = by_pairs and gamma == -3 and dim == 3
    theorem, source = (QUALITATIVE, "FengWang2025") if proved else ("", "")
    notes = []
    if proved:
        notes.append("Theorems 1.1 and 1.4 of Feng and Wang give chaos without a rate.")
    if by_pairs and gamma < 0:
        notes.append(
            "Some close pair turns by more than a radian in a step, whatever dt; the pair flow samples such turns exactly."
        )
    if not by_pairs:
        notes.append(
            "Each distance is that of N particles minus that of N/2 with the same noise: it decays with the same p."
        )
        notes.append(
            "Corrections in 1/N lower p at small N: the exact differences of Cov(v_1z, v_2z) at gamma = 0, d = 3, t = .2 have "
            "local exponents from .28 (N = 4 to 8) to .94 (32 to 64)."
        )
    limit: Any = None
    if by_pairs:
        density = initial.on_grid(law, Grid(*[_axis()] * dim))
        equation = system.limit()

        @functools.cache
        def solution(time: float) -> Density:
            return _solved(equation, density, time)

        limit = solution
        limit.__doc__ = f"{equation!r} on {_POINTS} points an axis"
    return Plan(
        partial(_always, system), partial(_drawn, law), names, doubling(largest), dt, Sweep() if by_pairs else EulerMaruyama(),
        limit, _of_all(names, theorem, source, predicted),
        coupled=not by_pairs, notes=tuple(notes),
    )  # fmt: skip


def _solved(equation: AbstractSystem, density: Density, time: float) -> Density:
    """The solution at `time`, in float64. With 32 steps per .2 its second moments are exact to 1e-4, far below the noise."""
    if time == 0:
        return density
    steps = max(8, round(160 * time))
    with jax.enable_x64(True):
        start = Density(jnp.asarray(np.asarray(density.f, float)), Grid(*[_axis()] * len(density.grid.axes)))
        run = simulate(equation, start, dt=time / steps, num_steps=steps)
        return jax.tree.map(np.asarray, run.final)


def _axis() -> Axis:
    """Of the limit equation, for each component of the velocity."""
    return Axis(-_REACH, 2 * _REACH, _POINTS, periodic=False)


def _always(system: AbstractSystem, num: int) -> AbstractSystem:
    return system


def _uniform(key: Any, num: int) -> Particles:
    return initial.torus_mode(key, num, mode=[1], amplitude=0.0)


def torus(largest: int = 128, dt: float = 0.02, coupling: float = 0.5, noise: str = "root") -> Plan:
    """The Landau-like equation on the torus, d = 1, from the uniform law."""
    interaction = Trigonometric([[0], [1]], [1.0, coupling])
    system = {"kac": Kac, "independent": IndependentNoise, "root": MatrixSqrt}[noise](interaction)
    names = {
        "L1 of f_2 - f x f": measure.PairL1(4),
        "H_2": measure.PairEntropy(4),
        "pair part of |rho_1|^2": measure.ModeVariance([1]),
    }
    theory = {
        "L1 of f_2 - f x f": measure.Theory("bound 1/2", 1.0, "CarrilloGuoJabin2024"),
        "H_2": measure.Theory("bound 1", 2.0, "CarrilloGuoJabin2024"),
        "pair part of |rho_1|^2": measure.Theory("", 1.0, ""),
    }
    notes = (
        "Corollary 2.3 of Carrillo, Guo and Jabin proves the exponent 1/2 for L1; formal fluctuation theory gives 1, and 2 for "
        "H_2. From the uniform law f_2 depends on v_1 - v_2 only.",
    )
    if noise == "kac":
        theory = dict.fromkeys(names, measure.Theory("0 at every N"))
        notes = (
            "Kac's noise keeps the uniform law of N particles, so all three distances are 0: a check of their noise.",
        )
    grid = Grid(Axis(0.0, 2 * math.pi, 32))
    uniform = Density(jnp.full(32, 1 / (2 * math.pi)), grid)
    return Plan(
        partial(_always, system), _uniform, names, doubling(largest), dt, EulerMaruyama(), (system.limit(), uniform), theory,
        notes=notes,
    )  # fmt: skip


def _product(density: Density, key: Any, num: int) -> Density:
    return product(density, num)


def liouville(
    largest: int = 6, dt: float = 0.05, coupling: float = 0.5, amplitude: float = 0.8, points: int = 12,
    noise: str = "independent",
) -> Plan:  # fmt: skip
    """The laws of N = 2, ..., `largest` particles on the torus, without samples."""
    interaction = Trigonometric([[0], [1]], [1.0, coupling])
    grid = Grid(Axis(0.0, 2 * math.pi, points))
    density = Density((1 + amplitude * jnp.cos(grid.mesh[0])) / (2 * math.pi), grid)
    names = {
        "H_1": measure.MarginalEntropy(1), "H_2": measure.MarginalEntropy(2), "H_N": measure.MarginalEntropy(None),
        "L1 of f_1": measure.MarginalDistance(1), "L1 of f_2": measure.MarginalDistance(2),
    }  # fmt: skip
    theory = {
        "H_1": measure.Theory("bound 1", 2.0, "CarrilloGuoJabin2024"),
        "H_2": measure.Theory("bound 1", 2.0, "CarrilloGuoJabin2024"),
        "H_N": measure.Theory("bound 1", 1.0, "CarrilloGuoJabin2024"),
        "L1 of f_1": measure.Theory("bound 1/2", 1.0, "CarrilloGuoJabin2024"),
        "L1 of f_2": measure.Theory("bound 1/2", 1.0, "CarrilloGuoJabin2024"),
    }  # fmt: skip
    if noise == "kac":  # the theorem is for independent noise
        theory = {name: measure.Theory("", one.predicted) for name, one in theory.items()}
    return Plan(
        lambda num: Liouville(interaction, num, noise), partial(_product, density), names, tuple(range(2, largest + 1)), dt,
        None,
        (MatrixSqrt(interaction).limit(), density), theory,
        notes=("The exponents are extrapolated to large N with corrections in 1/N; at N = 2 to 6 the local ones are larger.",),
    )  # fmt: skip


def microcanonical(
    gamma: float = 0.0, dim: int = 3, largest: int = 128, dt: float = 0.1, h: float = 0.05, couple: str = "no",
    against: str = "own",
) -> Plan:  # fmt: skip
    """Microcanonical collisions, law (iii), against their own limit at fixed h, or Landau's; or with h ~ 1/N. The limit is
    known for gamma = 0; for other gamma pairs are measured only."""
    names = {
        name: one for name, one in _radial(dim).items() if "L1" not in name and (gamma == 0 or not one.needs_limit)
    }
    first = doubling(largest)[0]
    interaction = Maxwell() if gamma == 0 else PowerLaw(gamma)

    def system(num: int) -> Microcanonical:
        return Microcanonical(interaction, "heat_kernel", h * first / num if couple == "N" else h)

    rate = (
        1.0
        if couple == "N" or against == "landau"
        else 1 + exact.microcanonical_defect("heat_kernel", 2, h, dim, exact=True)
    )

    def limit(time: float) -> Any:
        later = _BETA * math.exp(-2 * (dim - 1) * rate * time)
        return initial.radial(initial.bkw, _RADIUS, _SPEEDS, dim, beta=later)

    words = f"BKW's solution of Landau's equation with the rate times {rate:.6g}"
    limit.__doc__ = words
    return Plan(
        system, partial(_drawn, _start(gamma, dim)), names, doubling(largest), dt, ExactClock(), limit if gamma == 0 else None,
        _of_all(names, "", "", {_COVARIANCE: 1.0}),
        notes=(
            (f"Measured against {words}." if gamma == 0 else ""),
            f"h = {h:g} {first}/N." if couple == "N" else f"h = {h:g} at every N.",
        ),
    )  # fmt: skip


def annihilation(gamma: float = 0.0, dim: int = 3, largest: int = 256, dt: float = 1.0, alpha: float = 0.5) -> Plan:
    """Kac's walk with annihilation, N_0 = Lambda; gamma = 0: Sigma = 1; gamma = 1: hard spheres."""
    section = MaxwellWalk() if gamma == 0 else VariableHardSphere(gamma)
    names = {
        "Var(N)/Lambda^2": measure.NumberVariance(), "mass of f_2 - f_1 x f_1": measure.PairMass(),
        "bias of the density": measure.NumberBias(),
    }  # fmt: skip
    law = partial(initial.maxwellian, dim=dim)
    system = KacWalk(section, float(largest), alpha)
    limit = (system.limit(), _density(law, dim)) if dim == 3 else None
    if limit is None:
        names.pop("bias of the density")
    predicted = (
        {"Var(N)/Lambda^2": 1.0, "mass of f_2 - f_1 x f_1": 1.0, "bias of the density": 1.0} if gamma == 0 else {}
    )
    return Plan(
        lambda num: KacWalk(section, float(num), alpha), partial(_drawn, law), names, doubling(largest), dt, ExactClock(),
        limit,
        _of_all(names, "", "", predicted), independent_start=False,
        notes=("No theorem is relied on; the distance is measured.",),
    )  # fmt: skip


def hmf(largest: int = 256, dt: float = 0.05, temperature: float = 0.5, amplitude: float = 0.4) -> Plan:
    """The HMF model: the counting functional, from complex data."""
    reach = 6 * math.sqrt(temperature) + 0.5
    grid = Grid(Axis(0.0, 2 * math.pi, 32), Axis(-reach, 2 * reach, 64, periodic=False))
    datum = PerturbedAmplitude(Maxwellian(temperature, 2 * math.pi), amplitude, 0.5)
    names = {
        "<n^2>, the counting functional": measure.CountingFunctional(Cosine(), datum, grid, dt=dt),
        "Cov(cos x_1, cos x_2)": measure.PairCovariance(cosine_of_position),
    }
    theory = {
        "<n^2>, the counting functional": measure.Theory("bound 1/5", 1.0, "NeissPickl2018"),
        "Cov(cos x_1, cos x_2)": measure.Theory("", 1.0, ""),
    }
    return Plan(
        partial(_always, NBody(Cosine())), partial(_clump, temperature, amplitude), names, doubling(largest), dt, Leapfrog(),
        None,
        theory,
        notes=("Theorem 4.8 of Neiss and Pickl, on R^d, has the exponent min(lambda, (1 - lambda)/4), 1/5 at best.",),
    )  # fmt: skip


def _clump(temperature: float, amplitude: float, key: Any, num: int) -> Particles:
    """(1 + A cos x) exp(-v^2/2T)."""
    space, speeds = jax.random.split(key)
    x = initial.torus_mode(space, num, mode=[1], amplitude=amplitude).velocity
    return Particles(math.sqrt(temperature) * jax.random.normal(speeds, (num, 1), x.dtype), x)


PLANS: dict[str, Callable[..., Plan]] = {
    "kac-maxwell": landau,
    "kac-coulomb": partial(landau, -3.0),
    "matrix-sqrt-torus": torus,
    "liouville-torus": liouville,
    "microcanonical": microcanonical,
    "annihilation": annihilation,
    "hmf": hmf,
}
