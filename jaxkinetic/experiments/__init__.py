"""The experiments that the command line, the notebooks and the benchmarks share.

`CATALOGUE[name]` is the class of an experiment: its fields are its options. `CATALOGUE[name].of({"particles": 1000}).run()`
checks the options and returns a `Report`; `jaxkinetic run NAME` prints the report and stores it.
"""

import sys as _sys

from .._util.aliases import alias_modules as _alias_modules
from ._harness.experiment import Experiment as Experiment
from ._harness.report import Report as Report
from .catalogue import EXPERIMENTS as _EXPERIMENTS

__all__ = ["CATALOGUE", "Experiment", "Report"]

CATALOGUE: dict[str, type[Experiment]] = {}
for _experiment in _EXPERIMENTS:
    CATALOGUE[_experiment.name] = _experiment
    _alias_modules(__name__, **{_experiment.name.replace("-", "_"): _sys.modules[_experiment.__module__]})
