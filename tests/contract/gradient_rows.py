"""Rows of the table of gradients: every system, each with the schemes that can advance it (docs/gradients.md).

The systems of the contract tests, and those that are needed so that every class of the library appears.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import Case
from field_cases import FIELDS
from helpers import CIRCLE, VLASOV_SYSTEMS, particles
from registry import CASES, _power, _torus
from split_cases import BITWISE, Bell, GridCase

import jaxkinetic as jk

B, L, V = jk.boltzmann, jk.landau, jk.vlasov
SCHEMES = (
    jk.EulerMaruyama(), jk.pairs.Sweep(), jk.pairs.RandomMatching(), jk.pairs.ExactClock(), jk.pairs.TauLeap(),
    jk.RungeKutta(4), jk.RKC(), jk.Strang(), jk.Leapfrog(), jk.Yoshida(),
)  # fmt: skip
POTENTIALS = (
    V.Cosine(0.8), V.Gaussian(-0.6, 0.9), V.Poisson(CIRCLE, 5.0), V.Harmonic(0.7), V.Custom(Bell(-0.6, 0.7)),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One system with its initial state and one scheme."""

    family: str
    system_name: str
    system: Any
    state: Any
    scheme: Any
    dt: float

    @property
    def name(self) -> str:
        return f"{self.system_name}, {type(self.scheme).__name__}"

    @property
    def jumps(self) -> bool:
        return isinstance(self.system, jk.AbstractPairJump)


def name_of(system: Any) -> str:
    """The classes of a system and of its parts, and what else distinguishes it."""
    parts = [getattr(system, name) for name in ("interaction", "cross_section", "potential") if hasattr(system, name)]
    words = [type(part).__name__ for part in parts]
    if isinstance(system, L.Microcanonical):
        words.append(f'"{system.law}"')
    if isinstance(system, B.KacWalk) and not float(system.annihilation):
        words.append("annihilation = 0")
    return f"{type(system).__name__}({', '.join(words)})"


def of_library(tree: Any) -> bool:
    """Whether no part of a system is a user's, except a function of a `Custom` potential."""
    nodes = [tree, *(getattr(tree, name, None) for name in ("interaction", "cross_section", "potential"))]
    return all(node is None or type(node).__module__.startswith("jaxkinetic.") for node in nodes)


def at_a_general_place(system: Any) -> Any:
    """Softening 0 becomes 0.4: at 0 the derivative in it vanishes by symmetry."""
    softened = getattr(getattr(system, "interaction", None), "softening", None)
    if softened is None or float(softened):
        return system
    return eqx.tree_at(lambda s: s.interaction.softening, system, jnp.asarray(0.4))


def _wave_of_two() -> jk.Wave:
    grid = jk.Grid(*[jk.Axis(0.0, CIRCLE, 8)] * 2, *[jk.Axis(-4.0, 8.0, 12, periodic=False)] * 2)
    x, y, v, w = np.meshgrid(*(np.asarray(axis.points) for axis in grid.axes), indexing="ij")
    amplitude = (1 + 0.3 * np.cos(x)) * (1 + 0.3 * np.cos(y)) * np.exp(-(v**2 + w**2) / 2)
    amplitude = amplitude / np.sqrt(np.sum(amplitude**2) * float(grid.cell))
    return jk.Wave(jnp.asarray(amplitude, complex), grid).fourier_picture()


def _systems() -> Iterator[tuple[Any, Any, float]]:
    """(system, state, dt): the contract's, then more."""
    three, two = (particles(jax.random.key(1), 7, dim) for dim in (3, 2))
    # Large angles and a large floor: at small ones the derivatives in them nearly vanish, as the limit does not depend on them.
    # Before those of the contract.
    for law, epsilon in (("fixed_angle", 2.0), ("constant_rate", 0.15), ("heat_kernel", 0.15)):
        yield L.Microcanonical(L.PowerLaw(-1.0, 0.7, 1.0), law, epsilon, 2.5), three, 0.1
        yield L.Microcanonical(L.Maxwell(0.7), law, epsilon), three, 0.1
    cases: list[Case] = [*CASES, *FIELDS, *BITWISE]
    for case in cases:
        if isinstance(case, GridCase) and case.dtype != "float64":
            continue
        yield at_a_general_place(case.system()), case.start(), case.dt
    for make in (L.Kac, L.IndependentNoise, L.MatrixSqrt):
        yield make(L.Maxwell(0.8)), three, 0.01
        yield make(_power()), three, 0.01
        yield make(_torus()), two, 0.01
    for cross_section in (B.Maxwell(0.8), B.HardSphere(0.8), B.VariableHardSphere(0.5, 0.8)):
        yield B.KacWalk(cross_section, 0.2, 0.2), three, 0.01
    bodies = jk.Particles(two.velocity[:, :1], jax.random.normal(jax.random.key(2), (7, 1)))
    for potential in POTENTIALS:
        trapped = "harmonic" if isinstance(potential, V.Harmonic) else "gaussian"
        for kind, make in VLASOV_SYSTEMS.items():
            # The three share the code of their potentials.
            if kind == "vlasov" or isinstance(potential, (V.Gaussian, V.Poisson)):
                yield make(potential), GridCase(kind, trapped).start(), 0.1
        yield V.NBody(potential), bodies, 0.1
    yield V.PseudoSchrodinger(V.Gaussian(-0.6, 0.9), 2), _wave_of_two(), 0.1


@cache
def rows() -> tuple[Row, ...]:
    """Every (system, scheme) once."""
    found: dict[str, Row] = {}
    for system, state, dt in _systems():
        if not of_library(system):
            continue
        family = type(system).__module__.split(".")[1]
        for scheme in SCHEMES:
            if isinstance(system, scheme.requires) and system.supports(scheme, state):
                row = Row(family, name_of(system), system, state, scheme, dt)
                found.setdefault(row.name, row)
    order = ("landau", "boltzmann", "vlasov")
    return tuple(sorted(found.values(), key=lambda row: order.index(row.family)))


def concrete_classes(base: type) -> set[type]:
    """The public classes of the library below `base`."""
    below = {cls for child in base.__subclasses__() for cls in concrete_classes(child)}
    public = base.__module__.startswith("jaxkinetic.") and not base.__name__.startswith("_")
    return below | ({base} if public and not inspect.isabstract(base) else set())
