"""Vlasov dynamics: potentials, the equation for f, Hamilton-Vlasov and Hamilton-Hartree."""

from . import exact as exact
from .amplitudes import AbstractAmplitude as AbstractAmplitude
from .amplitudes import GaussianAmplitude as GaussianAmplitude
from .amplitudes import PerturbedAmplitude as PerturbedAmplitude
from .characteristics import MeanFieldFlow as MeanFieldFlow
from .characteristics import hamilton_liouville as hamilton_liouville
from .characteristics import mean_field_flow as mean_field_flow
from .counting import Counting as Counting
from .counting import counting as counting
from .counting import counting_functional as counting_functional
from .counting import sampled_counting as sampled_counting
from .dispersion import dispersion_root as dispersion_root
from .homogeneous import Maxwellian as Maxwellian
from .homogeneous import TwoStream as TwoStream
from .homogeneous import perturbed as perturbed
from .nbody import NBody as NBody
from .observables import casimir as casimir
from .observables import density as density
from .observables import density_mode as density_mode
from .observables import energy as energy
from .observables import hamiltonian as hamiltonian
from .observables import kinetic_energy as kinetic_energy
from .observables import magnetisation as magnetisation
from .observables import momentum as momentum
from .observables import phase_space_density as phase_space_density
from .observables import potential_energy as potential_energy
from .potentials import AbstractPotential as AbstractPotential
from .potentials import Cosine as Cosine
from .potentials import Custom as Custom
from .potentials import Gaussian as Gaussian
from .potentials import Harmonic as Harmonic
from .potentials import Poisson as Poisson
from .pseudo_schrodinger import PseudoSchrodinger as PseudoSchrodinger
from .pseudo_schrodinger import first_marginal as first_marginal
from .pseudo_schrodinger import product_wave as product_wave
from .starts import quiet_start as quiet_start
from .starts import random_start as random_start
from .systems import HamiltonHartree as HamiltonHartree
from .systems import HamiltonVlasov as HamiltonVlasov
from .systems import Vlasov as Vlasov

__all__ = [
    "AbstractAmplitude", "AbstractPotential", "Cosine", "Counting", "Custom", "Gaussian", "GaussianAmplitude",
    "HamiltonHartree", "HamiltonVlasov", "Harmonic", "Maxwellian", "MeanFieldFlow", "NBody", "PerturbedAmplitude",
    "Poisson", "PseudoSchrodinger", "TwoStream", "Vlasov", "casimir", "counting", "counting_functional", "density",
    "density_mode", "dispersion_root", "energy", "exact", "first_marginal", "hamilton_liouville", "hamiltonian",
    "kinetic_energy", "magnetisation", "mean_field_flow", "momentum", "perturbed", "phase_space_density",
    "potential_energy", "product_wave", "quiet_start", "random_start", "sampled_counting",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
