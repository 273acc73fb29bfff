"""Limit equations, driven by explicit Runge-Kutta schemes: cases of test_contract.py."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import Case
from registry import _torus

import jaxkinetic as jk


@dataclass(frozen=True)
class TorusCase(Case):
    stages: int | None = None
    dt: float = 0.02
    precisions: tuple[str, ...] = ("float64", "float32")
    thorough: bool = True
    differentiable: bool = True

    @property
    def name(self) -> str:
        return f"torus-pde-rkc-{self.stages}"

    def system(self) -> jk.AbstractSystem:
        return jk.landau.TorusPDE(_torus())

    def scheme(self) -> jk.AbstractScheme:
        return jk.RKC(self.stages)

    def options(self) -> dict:
        return {"scheme": self.scheme(), "dt": self.dt}

    def start(self, dtype="float64", seed: int = 1):
        grid = jk.Grid(*[jk.Axis(0.0, 2 * np.pi, num) for num in (8, 12)])
        x, y = (np.asarray(v) for v in grid.mesh)
        f = np.exp(np.sin(x) + 0.5 * np.cos(x + y + seed))
        return jax.tree.map(
            lambda x: jnp.asarray(x, dtype), jk.Density(jnp.asarray(f / f.mean() / (2 * np.pi) ** 2), grid)
        )

    @staticmethod
    def values(state):
        return state.f

    def variations(self):
        system = jax.tree.map(lambda x: x * 0.9 if eqx.is_array(x) else x, self.system())
        state = self.start()
        shifted = eqx.tree_at(lambda s: s.f, state, state.f[::-1])
        return [{"system": system}, {"state": shifted}, {"dt": 0.01, "t0": 1.0}]

    def __str__(self) -> str:
        return self.name


FIELDS = [TorusCase()]
