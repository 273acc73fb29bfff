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
    """`shape`: points of the axes, each [0, 2 pi)."""

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
        grid = jk.Grid(*[jk.Axis(0.0, 2 * np.pi, num) for num in self.shape])
        v = [np.asarray(v) for v in grid.mesh]
        f = np.exp(np.sin(v[0]) + 0.5 * np.cos(sum(v) + seed))
        state = jk.Density(jnp.asarray(f / f.mean() / (2 * np.pi) ** len(v)), grid)
        return jax.tree.map(lambda x: jnp.asarray(x, dtype), state)

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


@dataclass(frozen=True)
class RadialCase(FieldCase):
    """Isotropic densities in R^3: `shape` is (num,), of speeds up to 6."""

    def start(self, dtype="float64", seed: int = 1):
        state = jk.initial.radial(jk.initial.bkw, 6.0, *self.shape, beta=0.4 - 0.05 * seed)
        return jax.tree.map(lambda x: jnp.asarray(x, dtype), state)

    def variations(self):
        return [super().variations()[0], {"state": self.start(seed=2)}, {"dt": 0.01, "t0": 1.0}]


COSINE = jk.landau.Trigonometric([[0], [1]], [1.0, 0.5])
FIELDS = [
    FieldCase("torus-pde", lambda: jk.landau.TorusPDE(_torus()), (8, 12)),
    FieldCase("liouville", lambda: jk.landau.Liouville(COSINE, 3), (8, 8, 8), thorough=False),
    RadialCase("isotropic-pde", lambda: jk.landau.IsotropicPDE(jk.landau.PowerLaw(-1.0)), (24,), thorough=False),
]
