"""The catalogue that the command line, notebooks and benchmarks share.

`CATALOGUE[name].run(options, progress)` returns a `Report` (`progress`: whether to show a bar); `jaxkinetic run NAME`
prints and stores it.
"""

from ._experiment import Experiment as Experiment
from ._experiment import Options as Options
from ._experiment import Report as Report
from .conservation import CONSERVATION
from .maxwell_bkw import MAXWELL_BKW
from .torus_mode import TORUS_MODE

CATALOGUE: dict[str, Experiment] = {e.name: e for e in (MAXWELL_BKW, CONSERVATION, TORUS_MODE)}
