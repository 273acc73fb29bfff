"""The rate of propagation of chaos, measured: distances between N particles and their limit for a range of N."""

from .counting import CountingFunctional as CountingFunctional
from .distance import AbstractDistance as AbstractDistance
from .fit import fit_exponent as fit_exponent
from .marginals import (
    MarginalDistance as MarginalDistance,
    MarginalEntropy as MarginalEntropy,
    MarginalFisher as MarginalFisher,
    MarginalL1 as MarginalL1,
)
from .pair_distances import (
    ModeVariance as ModeVariance,
    Moment as Moment,
    MomentBias as MomentBias,
    PairCovariance as PairCovariance,
    StructureFactor as StructureFactor,
)
from .population import NumberBias as NumberBias, NumberVariance as NumberVariance, PairMass as PairMass
from .report import ChaosRecord as ChaosRecord, from_json as from_json
from .series import Exponent as Exponent, Series as Series, Theory as Theory
from .study import ChaosStudy as ChaosStudy, chaos_study as chaos_study
from .torus_pairs import PairEntropy as PairEntropy, PairL1 as PairL1
from .transport import SlicedWasserstein as SlicedWasserstein, Wasserstein as Wasserstein

__all__ = [
    "AbstractDistance", "ChaosRecord", "ChaosStudy", "CountingFunctional", "Exponent", "MarginalDistance",
    "MarginalEntropy", "MarginalFisher", "MarginalL1", "ModeVariance", "Moment", "MomentBias", "NumberBias",
    "NumberVariance", "PairCovariance", "PairEntropy", "PairL1", "PairMass", "Series", "SlicedWasserstein", "StructureFactor", "Theory",
    "Wasserstein", "chaos_study", "fit_exponent", "from_json",
]  # fmt: skip
