"""Vlasov dynamics: potentials, the Vlasov, Hamilton-Vlasov and Hamilton-Hartree equations, N bodies, counting."""

from .._util.aliases import alias_modules as _alias_modules
from . import _streaming_phase, equilibria as _equilibria, exact as exact
from .amplitudes import (
    AbstractAmplitude as AbstractAmplitude,
    GaussianAmplitude as GaussianAmplitude,
    PerturbedAmplitude as PerturbedAmplitude,
)
from .characteristics import (
    MeanFieldFlow as MeanFieldFlow,
    hamilton_liouville as hamilton_liouville,
    mean_field_flow as mean_field_flow,
)
from .counting import (
    Counting as Counting,
    counting as counting,
    counting_functional as counting_functional,
    sampled_counting as sampled_counting,
)
from .dispersion import dispersion_root as dispersion_root
from .equilibria import Maxwellian as Maxwellian, TwoStream as TwoStream, perturbed as perturbed
from .nbody import NBody as NBody
from .observables import (
    casimir as casimir,
    density as density,
    density_mode as density_mode,
    energy as energy,
    hamiltonian as hamiltonian,
    kinetic_energy as kinetic_energy,
    magnetisation as magnetisation,
    momentum as momentum,
    phase_space_density as phase_space_density,
    potential_energy as potential_energy,
)
from .potentials import (
    AbstractPotential as AbstractPotential,
    Cosine as Cosine,
    Custom as Custom,
    Gaussian as Gaussian,
    Harmonic as Harmonic,
    Poisson as Poisson,
)
from .pseudo_schrodinger import (
    PseudoSchrodinger as PseudoSchrodinger,
    first_marginal as first_marginal,
    product_wave as product_wave,
)
from .starts import quiet_start as quiet_start, random_start as random_start
from .systems import HamiltonHartree as HamiltonHartree, HamiltonVlasov as HamiltonVlasov, Vlasov as Vlasov

__all__ = [
    "AbstractAmplitude", "AbstractPotential", "Cosine", "Counting", "Custom", "Gaussian", "GaussianAmplitude",
    "HamiltonHartree", "HamiltonVlasov", "Harmonic", "Maxwellian", "MeanFieldFlow", "NBody", "PerturbedAmplitude",
    "Poisson", "PseudoSchrodinger", "TwoStream", "Vlasov", "casimir", "counting", "counting_functional", "density",
    "density_mode", "dispersion_root", "energy", "exact", "first_marginal", "hamilton_liouville", "hamiltonian",
    "kinetic_energy", "magnetisation", "mean_field_flow", "momentum", "perturbed", "phase_space_density",
    "potential_energy", "product_wave", "quiet_start", "random_start", "sampled_counting",
]  # fmt: skip


_alias_modules(__name__, homogeneous=_equilibria, kinetic_phase=_streaming_phase)


def __dir__() -> list[str]:
    return __all__
