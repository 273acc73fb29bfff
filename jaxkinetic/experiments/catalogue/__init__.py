"""The experiments, and the code that several of them share."""

from .annihilation import Annihilation
from .annihilation_profile import AnnihilationProfile
from .chaos import Chaos
from .conservation import Conservation
from .coulomb_isotropization import CoulombIsotropization
from .coulomb_relaxation import CoulombRelaxation
from .counting import Counting
from .hmf import HMF
from .infer import Infer
from .landau_damping import LandauDamping
from .landau_pde import LandauPDE
from .liouville import Liouville
from .maxwell_bkw import MaxwellBKW
from .mean_field_diagram import MeanFieldDiagram
from .microcanonical import Microcanonical
from .torus_mode import TorusMode
from .two_stream import TwoStream

__all__ = ["EXPERIMENTS"]

# In the order of `jaxkinetic list`.
EXPERIMENTS = (
    MaxwellBKW, CoulombRelaxation, CoulombIsotropization, TorusMode, Microcanonical, Annihilation, AnnihilationProfile,
    LandauDamping, TwoStream, HMF, MeanFieldDiagram, Counting, Liouville, LandauPDE, Chaos, Conservation, Infer,
)  # fmt: skip
