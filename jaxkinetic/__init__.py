"""N-particle stochastic systems of kinetic theory, their mean-field limits, and the distance between the two."""

from importlib.metadata import PackageNotFoundError, version

from . import diagnostics as diagnostics, initial as initial, landau as landau, random as random
from ._adjoint import Checkpointed as Checkpointed, Direct as Direct
from ._checkpoint import Checkpoint as Checkpoint
from ._save import Context as Context, Contextual as Contextual, Save as Save
from ._simulate import simulate as simulate
from ._solution import Result as Result, SimulationError as SimulationError, Solution as Solution
from ._system import (
    AbstractDiffusion as AbstractDiffusion,
    AbstractField as AbstractField,
    AbstractPairFlow as AbstractPairFlow,
    AbstractPairJump as AbstractPairJump,
    AbstractScheme as AbstractScheme,
    AbstractSplit as AbstractSplit,
    AbstractSystem as AbstractSystem,
    Max as Max,
    Sum as Sum,
)
from .fitting import DecayFit as DecayFit, fit_decay as fit_decay
from .schemes import EulerMaruyama as EulerMaruyama
from .states import Particles as Particles

try:
    __version__ = version("jaxkinetic")
except PackageNotFoundError:  # a bare checkout on the path
    __version__ = "0+unknown"
