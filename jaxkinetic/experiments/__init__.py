"""The experiments that the command line, the notebooks and the benchmarks share.

`CATALOGUE[name].run(options, progress)` returns a `Report` (`progress`: whether to show a bar); `jaxkinetic run NAME`
prints the report and stores it.
"""

from .._util.aliases import alias_modules as _alias_modules
from ._harness.experiment import Experiment as Experiment, Options as Options, Report as Report
from .catalogue import MODULES as _MODULES

__all__ = ["CATALOGUE", "Experiment", "Options", "Report"]

CATALOGUE: dict[str, Experiment] = {}
for _module in _MODULES:
    _name = _module.__name__.rpartition(".")[2]
    _experiment: Experiment = getattr(_module, _name.upper())
    CATALOGUE[_experiment.name] = _experiment
    _alias_modules(__name__, **{_name: _module})
