"""Constants of nature in SI units, CODATA 2022 [MohrNewellTaylorTiesinga2025]. A test compares them with `scipy.constants`,
which would be slow to import here, and whose digits depend on its version."""

__all__ = [
    "ATOMIC_MASS", "BOLTZMANN", "ELECTRONVOLT", "ELECTRON_MASS", "ELEMENTARY_CHARGE", "PROTON_MASS", "VACUUM_PERMITTIVITY",
]  # fmt: skip

# Exact, by the definition of the units.
ELEMENTARY_CHARGE = 1.602176634e-19  # C
BOLTZMANN = 1.380649e-23  # J/K
# Measured.
VACUUM_PERMITTIVITY = 8.8541878188e-12  # F/m
ELECTRON_MASS = 9.1093837139e-31  # kg
PROTON_MASS = 1.67262192595e-27  # kg
ATOMIC_MASS = 1.66053906892e-27  # kg
# The temperature, in kelvin, that corresponds to an energy of one electronvolt: 11604.5 K.
ELECTRONVOLT = ELEMENTARY_CHARGE / BOLTZMANN
