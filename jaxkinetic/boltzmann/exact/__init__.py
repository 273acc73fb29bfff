"""Exact laws of the Boltzmann equation with annihilation (N_0 = Lambda, cross sections of strength 1, T = 1) and of Kac's walk.

For a strength C replace t by C t. All functions compute with NumPy in float64; `pressure_rate` evaluates Sigma in the
precision of the state.
"""

from ..._util.aliases import alias_modules as _alias_modules
from . import population as _population
from .bkw import (
    bkw_density as bkw_density,
    bkw_entropy as bkw_entropy,
    bkw_moment as bkw_moment,
    maxwell_density as maxwell_density,
)
from .hard_spheres import (
    hard_sphere_density as hard_sphere_density,
    hard_sphere_temperature as hard_sphere_temperature,
    initial_rates as initial_rates,
    mean_relative_speed as mean_relative_speed,
    pressure_rate as pressure_rate,
)
from .population import death_law as death_law, death_moments as death_moments, hierarchy_masses as hierarchy_masses

__all__ = [
    "bkw_density", "bkw_entropy", "bkw_moment", "death_law", "death_moments", "hard_sphere_density",
    "hard_sphere_temperature", "hierarchy_masses", "initial_rates", "maxwell_density", "mean_relative_speed", "pressure_rate",
]  # fmt: skip


_alias_modules(__name__, death_chain=_population)


def __dir__() -> list[str]:
    return __all__
