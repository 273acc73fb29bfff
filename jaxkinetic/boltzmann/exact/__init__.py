"""Exact laws of the Boltzmann equation with annihilation (N_0 = Lambda, cross sections of strength 1, T = 1) and of Kac's walk.

Of strength C read every time as C t. Everything is numpy in float64, but that `pressure_rate` asks the cross section for
Sigma in the precision of the state.
"""

from .bkw import bkw_density as bkw_density
from .bkw import bkw_entropy as bkw_entropy
from .bkw import bkw_moment as bkw_moment
from .bkw import maxwell_density as maxwell_density
from .death_chain import death_law as death_law
from .death_chain import death_moments as death_moments
from .hard_spheres import hard_sphere_density as hard_sphere_density
from .hard_spheres import hard_sphere_temperature as hard_sphere_temperature
from .hard_spheres import initial_rates as initial_rates
from .hard_spheres import mean_relative_speed as mean_relative_speed
from .hard_spheres import pressure_rate as pressure_rate

__all__ = [
    "bkw_density", "bkw_entropy", "bkw_moment", "death_law", "death_moments", "hard_sphere_density",
    "hard_sphere_temperature", "initial_rates", "maxwell_density", "mean_relative_speed", "pressure_rate",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
