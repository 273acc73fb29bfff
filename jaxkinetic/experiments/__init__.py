"""The catalogue that the command line, notebooks and benchmarks share.

`CATALOGUE[name].run(options, progress)` returns a `Report` (`progress`: whether to show a bar); `jaxkinetic run NAME`
prints and stores it.
"""

from ._experiment import Experiment as Experiment
from ._experiment import Options as Options
from ._experiment import Report as Report
from .annihilation import ANNIHILATION
from .conservation import CONSERVATION
from .coulomb_isotropization import COULOMB_ISOTROPIZATION
from .coulomb_relaxation import COULOMB_RELAXATION
from .counting import COUNTING
from .hmf import HMF
from .landau_damping import LANDAU_DAMPING
from .maxwell_bkw import MAXWELL_BKW
from .mean_field_diagram import MEAN_FIELD_DIAGRAM
from .microcanonical import MICROCANONICAL
from .torus_mode import TORUS_MODE
from .two_stream import TWO_STREAM

__all__ = ["CATALOGUE", "Experiment", "Options", "Report"]

_ALL = (
    MAXWELL_BKW, COULOMB_RELAXATION, COULOMB_ISOTROPIZATION, TORUS_MODE, MICROCANONICAL, ANNIHILATION, LANDAU_DAMPING,
    TWO_STREAM, HMF, MEAN_FIELD_DIAGRAM, COUNTING, CONSERVATION,
)  # fmt: skip
CATALOGUE: dict[str, Experiment] = {e.name: e for e in _ALL}
