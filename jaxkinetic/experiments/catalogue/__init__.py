"""The experiments, and the code that several of them share."""

from . import (
    annihilation,
    conservation,
    coulomb_isotropization,
    coulomb_relaxation,
    counting,
    hmf,
    landau_damping,
    maxwell_bkw,
    mean_field_diagram,
    microcanonical,
    torus_mode,
    two_stream,
)  # fmt: skip

__all__ = ["MODULES"]

# In the order of `jaxkinetic list`.
MODULES = (
    maxwell_bkw, coulomb_relaxation, coulomb_isotropization, torus_mode, microcanonical, annihilation, landau_damping,
    two_stream, hmf, mean_field_diagram, counting, conservation,
)  # fmt: skip
