"""Names of classes and functions in files. They stay the same when a module moves, so that older checkpoints load in this
version and checkpoints of this version load in older ones."""

import sys
from typing import Any

# Modules that moved within the package: current module -> its name in files of format 1. Add a line when a module moves; never
# change an existing name, because files contain it.
_FIRST_NAMES = {
    "_core.adjoint": "_adjoint",
    "_core.checkpoint": "_checkpoint",
    "_core.ensemble": "_ensemble",
    "_core.iterate": "_iterate",
    "_core.loops": "_adjoint",
    "_core.outcome": "_simulate",
    "_core.parts": "_simulate",
    "_core.reductions": "_reductions",
    "_core.reversible": "_adjoint",
    "_core.run_key": "_run_words",
    "_core.run_loop": "_simulate",
    "_core.save": "_save",
    "_core.simulate": "_simulate",
    "_core.solution": "_solution",
    "_core.start": "_simulate",
    "_core.system": "_system",
    "_core.times": "_simulate",
    "_core.totals": "_system",
    "_io.atomic_npz": "_files",
    "_io.contents": "_contents",
    "_io.fingerprint": "_fingerprint",
    "_io.lock": "_lock",
    "_io.progress": "_progress",
    "_io.serialise": "_trees",
    "_io.signals": "_signals",
    "_util.bkw": "_bkw",
    "_util.checks": "_checks",
    "_util.double_precision": "_double_precision",
    "_util.fft_blocks": "_batches",
    "_util.gradients": "_guard",
    "_util.host_callback": "_host",
    "_util.numpy_checks": "_inputs",
    "_util.printing": "_printing",
    "_util.sharding": "_sharding",
    "_util.student": "_student",
    "_util.sums": "_sums",
    "_util.types": "_types",
    "_util.user_laws": "_laws",
    "boltzmann.exact.population": "boltzmann.exact.death_chain",
    "fitting._decay_fit": "_decay_fit",
    "fitting._residuals": "_residuals",
    "fitting.decay": "fitting",
    "fitting.oscillation": "oscillation",
    "pairs._apply_pair_flow": "pairs._move",
    "pairs._event_window": "pairs._window",
    "pairs._packed_columns": "pairs._table",
    "pairs.spherical_heat": "pairs.sphere",
    "pairs.spherical_heat.circle": "pairs._heat_circle",
    "pairs.spherical_heat.general": "pairs._heat_law",
    "pairs.spherical_heat.two_sphere": "pairs._heat_sphere",
    "pairs.spherical_heat.two_sphere_table": "pairs._heat_sphere_table",
    "vlasov._memory": "_memory",
    "vlasov._streaming_phase": "vlasov.kinetic_phase",
    "vlasov.equilibria": "vlasov.homogeneous",
}  # fmt: skip
_PACKAGE = "jaxkinetic."


def name_in_files(module: str) -> str:
    """The name by which files refer to a module."""
    if not module.startswith(_PACKAGE):
        return module
    return _PACKAGE + _FIRST_NAMES.get(module.removeprefix(_PACKAGE), module.removeprefix(_PACKAGE))


def find(module: str, qualname: str) -> Any:
    """The object that a file refers to by this name; None if its module is not loaded, since reading a file imports
    nothing."""
    moved = [_PACKAGE + new for new, old in _FIRST_NAMES.items() if _PACKAGE + old == module]
    for candidate in (*moved, module):
        found: Any = sys.modules.get(candidate)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if found is not None:
            return found
    return None
