"""Limit equations and laws of N particles, driven by explicit Runge-Kutta schemes: cases of test_contract.py."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import Case
from registry import _torus

import jaxkinetic as jk


@dataclass(frozen=True)
class FieldCase(Case):
    """`shape`: points of the axes, each [0, 2 pi). A subclass may have another `grid` and `density`."""

    name: str
    make: Callable[[], jk.AbstractField]
    shape: tuple[int, ...]
    dt: float = 0.02
    precisions: tuple[str, ...] = ("float64", "float32")
    thorough: bool = True
    differentiable: bool = True

    def system(self) -> jk.AbstractSystem:
        return self.make()

    def scheme(self) -> jk.AbstractScheme:
        return jk.RKC()

    def options(self) -> dict:
        return {"scheme": self.scheme(), "dt": self.dt}

    def start(self, dtype="float64", seed: int = 1):
        grid = self.grid()
        f = self.density([np.asarray(v) for v in grid.mesh], seed)
        state = jk.Density(jnp.asarray(f / (f.sum() * float(grid.cell))), grid)
        return jax.tree.map(lambda x: jnp.asarray(x, dtype), state)

    def grid(self) -> jk.Grid:
        return jk.Grid(*[jk.Axis(0.0, 2 * np.pi, num) for num in self.shape])

    def density(self, v: list[np.ndarray], seed: int) -> np.ndarray:
        """Positive values at the components v of the velocity, to be divided by their mass."""
        return np.exp(np.sin(v[0]) + 0.5 * np.cos(sum(v) + seed))

    @staticmethod
    def values(state):
        return state.f

    def variations(self):
        system = jax.tree.map(lambda x: x * 0.9 if eqx.is_array(x) else x, self.system())
        state = self.start()
        turned = eqx.tree_at(lambda s: s.f, state, state.f[::-1])
        return [{"system": system}, {"state": turned}, {"dt": 0.01, "t0": 1.0}]

    def __str__(self) -> str:
        return self.name


class RadialCase(FieldCase):
    """`shape`: the number of speeds of [0, 6]. The start is not at rest: a Maxwellian with a shell."""

    def scheme(self) -> jk.AbstractScheme:
        return self.system().default_scheme()

    def start(self, dtype="float64", seed: int = 1):
        grid = jk.RadialGrid(6.0, *self.shape)
        v = np.asarray(grid.speeds)
        f = (1 + 0.3 * seed * v**4) * np.exp(-2 * v**2)
        state = jk.RadialDensity(jnp.asarray(f / np.sum(np.asarray(grid.weights) * f)), grid)
        return jax.tree.map(lambda x: jnp.asarray(x, dtype), state)

    def variations(self):
        system = jax.tree.map(lambda x: x * 0.8 if eqx.is_array(x) else x, self.system())
        return [{"system": system}, {"state": self.start(seed=3)}, {"dt": self.dt / 2, "t0": 1.0}]


@dataclass(frozen=True)
class VelocityCase(FieldCase):
    """On axes [-5, 5) of velocities, which are not periodic."""

    def grid(self) -> jk.Grid:
        return jk.Grid(*[jk.Axis(-5.0, 10.0, num, periodic=False) for num in self.shape])

    def density(self, v: list[np.ndarray], seed: int) -> np.ndarray:
        return np.exp(-sum((x - 0.2 * seed) ** 2 for x in v) / 1.6) + np.exp(-sum((x + 0.7) ** 2 for x in v) / 1.2)


COSINE = jk.landau.Trigonometric([[0], [1]], [1.0, 0.5])
FIELDS = [
    FieldCase("torus-pde", lambda: jk.landau.TorusPDE(_torus()), (8, 12)),
    FieldCase("liouville", lambda: jk.landau.Liouville(COSINE, 3), (8, 8, 8), thorough=False),
    FieldCase("backward", lambda: jk.landau.BackwardKolmogorov(COSINE, 2), (8, 8), thorough=False),
    RadialCase("boltzmann", lambda: jk.boltzmann.IsotropicPDE(jk.boltzmann.HardSphere(), 0.3), (32,), dt=0.1),
    RadialCase("isotropic-pde", lambda: jk.landau.IsotropicPDE(jk.landau.PowerLaw(-1.0)), (32,), thorough=False),
    VelocityCase("landau-pde", lambda: jk.landau.LandauPDE(jk.landau.PowerLaw(-1.0, softening=0.3)), (20, 20)),
]
