"""SI units and those of NRL's Plasma Formulary: scales that convert them to this library's nondimensional numbers, and back.

`Plasma`: Coulomb collisions (strength of `landau.PowerLaw(-3, strength)`) and Vlasov-Poisson. `HardSpheres`,
`MaxwellMolecules`: rarefied gases (strength of a cross section). The rest are NRL's formulas and the constants of nature.

Constants and conversions are plain numbers and functions of arrays, not `pint` quantities: those do not pass through `jax.jit`
or `jax.grad`. PlasmaPy depends on astropy and computes with NumPy, so its functions have no gradients. Take the numbers out of
such a quantity first: `quantity.to("m^-3").magnitude`.
"""

from .constants import (
    ATOMIC_MASS as ATOMIC_MASS,
    BOLTZMANN as BOLTZMANN,
    ELECTRON_MASS as ELECTRON_MASS,
    ELECTRONVOLT as ELECTRONVOLT,
    ELEMENTARY_CHARGE as ELEMENTARY_CHARGE,
    PROTON_MASS as PROTON_MASS,
    VACUUM_PERMITTIVITY as VACUUM_PERMITTIVITY,
)
from .gas import HardSpheres as HardSpheres, MaxwellMolecules as MaxwellMolecules
from .nrl import (
    coulomb_logarithm_electrons as coulomb_logarithm_electrons,
    coulomb_logarithm_ions as coulomb_logarithm_ions,
    isotropization_rate as isotropization_rate,
)
from .plasma import Plasma as Plasma
from .scales import AbstractScales as AbstractScales

__all__ = [
    "ATOMIC_MASS", "BOLTZMANN", "ELECTRONVOLT", "ELECTRON_MASS", "ELEMENTARY_CHARGE", "PROTON_MASS", "VACUUM_PERMITTIVITY",
    "AbstractScales", "HardSpheres", "MaxwellMolecules", "Plasma", "coulomb_logarithm_electrons", "coulomb_logarithm_ions",
    "isotropization_rate",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
