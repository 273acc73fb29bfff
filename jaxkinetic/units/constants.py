"""Constants of nature in SI units, CODATA 2022 [MohrNewellTaylorTiesinga2025]. A test compares them with `scipy.constants`,
which would be slow to import here, and whose digits depend on its version."""

__all__ = [
    "ATOMIC_MASS", "BOLTZMANN", "ELECTRONVOLT", "ELECTRON_MASS", "ELEMENTARY_CHARGE", "PROTON_MASS", "VACUUM_PERMITTIVITY",
]  # fmt: skip

ELEMENTARY_CHARGE = 1.602176634e-19
"""e in C; exact."""

BOLTZMANN = 1.380649e-23
"""k_B in J/K; exact."""

VACUUM_PERMITTIVITY = 8.8541878188e-12
"""epsilon_0 in F/m."""

ELECTRON_MASS = 9.1093837139e-31
"""m_e in kg."""

PROTON_MASS = 1.67262192595e-27
"""m_p in kg; the unit of mass in NRL's formulas."""

ATOMIC_MASS = 1.66053906892e-27
"""The atomic mass unit in kg."""

ELECTRONVOLT = ELEMENTARY_CHARGE / BOLTZMANN
"""The temperature in K that corresponds to an energy of one electronvolt, 11604.5 K."""
