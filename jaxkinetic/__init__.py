"""N-particle stochastic systems of kinetic theory, their mean-field limits, and the distance between the two.

Subpackages and names are imported when they are first used: `import jaxkinetic` takes a few milliseconds.
"""

import importlib as _importlib
import sys as _sys
import typing as _typing
from importlib import metadata as _metadata

if _typing.TYPE_CHECKING:
    from . import boltzmann as boltzmann
    from . import diagnostics as diagnostics
    from . import initial as initial
    from . import landau as landau
    from . import pairs as pairs
    from . import plotting as plotting
    from . import random as random
    from . import spectral as spectral
    from . import vlasov as vlasov
    from ._adjoint import Checkpointed as Checkpointed
    from ._adjoint import Direct as Direct
    from ._adjoint import Reversible as Reversible
    from ._checkpoint import Checkpoint as Checkpoint
    from ._checkpoint import load_checkpoint as load_checkpoint
    from ._checkpoint import save_checkpoint as save_checkpoint
    from ._ensemble import ensemble as ensemble
    from ._iterate import iterate as iterate
    from ._iterate import read_chunks as read_chunks
    from ._reductions import AbstractReduction as AbstractReduction
    from ._reductions import MeanVar as MeanVar
    from ._reductions import Moments as Moments
    from ._save import Context as Context
    from ._save import Contextual as Contextual
    from ._save import Save as Save
    from ._simulate import simulate as simulate
    from ._solution import Result as Result
    from ._solution import SimulationError as SimulationError
    from ._solution import Solution as Solution
    from ._system import AbstractDiffusion as AbstractDiffusion
    from ._system import AbstractField as AbstractField
    from ._system import AbstractPairFlow as AbstractPairFlow
    from ._system import AbstractPairJump as AbstractPairJump
    from ._system import AbstractScheme as AbstractScheme
    from ._system import AbstractSplit as AbstractSplit
    from ._system import AbstractSystem as AbstractSystem
    from ._system import Count as Count
    from ._system import Fault as Fault
    from ._system import Max as Max
    from ._system import Sum as Sum
    from .fitting import DecayFit as DecayFit
    from .fitting import decay_window as decay_window
    from .fitting import fit_decay as fit_decay
    from .oscillation import OscillationFit as OscillationFit
    from .oscillation import fit_oscillation as fit_oscillation
    from .schemes import EulerMaruyama as EulerMaruyama
    from .schemes import Leapfrog as Leapfrog
    from .schemes import Strang as Strang
    from .schemes import Yoshida as Yoshida
    from .states import Axis as Axis
    from .states import Density as Density
    from .states import Grid as Grid
    from .states import Particles as Particles
    from .states import Wave as Wave

_ROOMS = ("boltzmann", "diagnostics", "initial", "landau", "pairs", "plotting", "random", "spectral", "vlasov")
_NAMES = {
    "_adjoint": ("Checkpointed", "Direct", "Reversible"),
    "_checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "_ensemble": ("ensemble",),
    "_iterate": ("iterate", "read_chunks"),
    "_reductions": ("AbstractReduction", "MeanVar", "Moments"),
    "_save": ("Context", "Contextual", "Save"),
    "_simulate": ("simulate",),
    "_solution": ("Result", "SimulationError", "Solution"),
    "_system": (
        "AbstractDiffusion", "AbstractField", "AbstractPairFlow", "AbstractPairJump", "AbstractScheme", "AbstractSplit",
        "AbstractSystem", "Count", "Fault", "Max", "Sum",
    ),
    "fitting": ("DecayFit", "decay_window", "fit_decay"),
    "oscillation": ("OscillationFit", "fit_oscillation"),
    "schemes": ("EulerMaruyama", "Leapfrog", "Strang", "Yoshida"),
    "states": ("Axis", "Density", "Grid", "Particles", "Wave"),
}  # fmt: skip
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}
# Modules that look schemes up, for an error message or in a file: all schemes must be imported before.
_WITH_SCHEMES = ("_simulate", "_ensemble", "_iterate", "_checkpoint")
# A file names the classes of its system too, and loading it imports nothing.
_WITH_SYSTEMS = ("load_checkpoint",)

__all__ = [*_ROOMS, *_ROOM_OF]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]

try:
    __version__ = _metadata.version("jaxkinetic")
except _metadata.PackageNotFoundError:  # a bare checkout on the path
    __version__ = "0+unknown"


def __getattr__(name: str) -> _typing.Any:
    if name in _ROOMS or (name in _NAMES and not name.startswith("_")):
        return _importlib.import_module(f".{name}", __name__)
    if name not in _ROOM_OF:
        # With the name and the module, Python adds "Did you mean: ...?".
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=_sys.modules[__name__])
    room = _ROOM_OF[name]
    needed = ("schemes", "pairs") if room in _WITH_SCHEMES else ()
    needed += ("landau", "boltzmann", "vlasov") if name in _WITH_SYSTEMS else ()
    for module in needed:
        _importlib.import_module(f".{module}", __name__)
    globals()[name] = value = getattr(_importlib.import_module(f".{room}", __name__), name)
    return value


def __dir__() -> list[str]:
    """Public names only: what an editor completes."""
    return sorted([*__all__, "__version__"])
