"""Exact laws of the Landau equation and of its particle systems: Maxwell molecules (gamma = 0), strength 1; Coulomb; the torus.

For Maxwell molecules of strength C replace t by C t. All functions compute with NumPy in float64, whatever the precision of
JAX; the exception is `ornstein_uhlenbeck`, which moves a JAX state.
"""

from .bkw import (
    bkw_density as bkw_density,
    bkw_entropy as bkw_entropy,
    bkw_moment as bkw_moment,
    isotropic_moments_euler as isotropic_moments_euler,
    maxwellian_entropy as maxwellian_entropy,
    ornstein_uhlenbeck as ornstein_uhlenbeck,
)
from .coulomb import (
    coulomb_entropy_rate as coulomb_entropy_rate,
    coulomb_isotropization_rate as coulomb_isotropization_rate,
    coulomb_isotropization_rate_matching as coulomb_isotropization_rate_matching,
    coulomb_isotropization_rate_microcanonical as coulomb_isotropization_rate_microcanonical,
    isotropic_entropy as isotropic_entropy,
)
from .microcanonical import microcanonical_defect as microcanonical_defect
from .quartic import kac_quartic as kac_quartic, kac_quartic_euler as kac_quartic_euler, quartic_start as quartic_start
from .second_moments import (
    euler_heating as euler_heating,
    second_moments as second_moments,
    second_moments_euler as second_moments_euler,
)
from .torus_mode import (
    torus_mode_amplitude as torus_mode_amplitude,
    torus_mode_amplitude_euler as torus_mode_amplitude_euler,
    torus_mode_density as torus_mode_density,
    torus_mode_entropy as torus_mode_entropy,
    torus_mode_fisher_information as torus_mode_fisher_information,
    torus_mode_rate as torus_mode_rate,
)

__all__ = [
    "bkw_density", "bkw_entropy", "bkw_moment", "coulomb_entropy_rate", "coulomb_isotropization_rate",
    "coulomb_isotropization_rate_matching", "coulomb_isotropization_rate_microcanonical", "euler_heating",
    "isotropic_entropy", "isotropic_moments_euler", "kac_quartic", "kac_quartic_euler", "maxwellian_entropy",
    "microcanonical_defect", "ornstein_uhlenbeck", "quartic_start", "second_moments", "second_moments_euler",
    "torus_mode_amplitude", "torus_mode_amplitude_euler", "torus_mode_density", "torus_mode_entropy",
    "torus_mode_fisher_information", "torus_mode_rate",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
