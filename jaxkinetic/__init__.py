"""N-particle stochastic systems of kinetic theory, their mean-field limits, and the distance between the two.

Subpackages and names are imported on first use, so that `import jaxkinetic` takes a few milliseconds.
"""

import importlib as _importlib
import sys as _sys
import typing as _typing
from importlib import metadata as _metadata

if _typing.TYPE_CHECKING:
    from . import (
        boltzmann as boltzmann,
        chaos as chaos,
        diagnostics as diagnostics,
        initial as initial,
        landau as landau,
        pairs as pairs,
        plotting as plotting,
        random as random,
        spectral as spectral,
        units as units,
        vlasov as vlasov,
    )
    from ._core.adjoint import AbstractAdjoint as AbstractAdjoint, Checkpointed as Checkpointed, Direct as Direct
    from ._core.checkpoint import (
        Checkpoint as Checkpoint,
        load_checkpoint as load_checkpoint,
        save_checkpoint as save_checkpoint,
    )
    from ._core.chunks import read_chunks as read_chunks
    from ._core.ensemble import ensemble as ensemble
    from ._core.iterate import iterate as iterate
    from ._core.reductions import AbstractReduction as AbstractReduction, MeanVar as MeanVar, Moments as Moments
    from ._core.reversible import Reversible as Reversible
    from ._core.save import Context as Context, Contextual as Contextual, Save as Save
    from ._core.simulate import simulate as simulate
    from ._core.solution import Result as Result, SimulationError as SimulationError, Solution as Solution
    from ._core.system import (
        AbstractDiffusion as AbstractDiffusion,
        AbstractField as AbstractField,
        AbstractPairFlow as AbstractPairFlow,
        AbstractPairJump as AbstractPairJump,
        AbstractScheme as AbstractScheme,
        AbstractSplit as AbstractSplit,
        AbstractSystem as AbstractSystem,
        SplitPlan as SplitPlan,
    )
    from ._core.totals import Count as Count, Fault as Fault, Finite as Finite, Max as Max, Share as Share, Sum as Sum
    from .chaos.study import ChaosStudy as ChaosStudy, chaos_study as chaos_study
    from .expectations.expectation import expectation as expectation
    from .expectations.finite_difference import finite_difference as finite_difference
    from .expectations.gradient_kinds import GradientKind as GradientKind, gradient_kinds as gradient_kinds
    from .expectations.result import Expectation as Expectation
    from .fitting.decay import DecayFit as DecayFit, decay_window as decay_window, fit_decay as fit_decay
    from .fitting.oscillation import OscillationFit as OscillationFit, fit_oscillation as fit_oscillation
    from .fitting.parameter_fit import ParameterFit as ParameterFit
    from .fitting.parameters import fit_parameters as fit_parameters
    from .laws import marginal as marginal, product as product
    from .radial import RadialDensity as RadialDensity, RadialGrid as RadialGrid
    from .runge_kutta import RKC as RKC, RungeKutta as RungeKutta
    from .schemes import EulerMaruyama as EulerMaruyama, Leapfrog as Leapfrog, Strang as Strang, Yoshida as Yoshida
    from .states import Axis as Axis, Density as Density, Grid as Grid, Particles as Particles, Wave as Wave

_ROOMS = (
    "boltzmann", "chaos", "diagnostics", "initial", "landau", "pairs", "plotting", "random", "spectral", "units", "vlasov",
)  # fmt: skip
# Modules whose public names the package re-exports.
_MODULES = ("fitting", "laws", "oscillation", "radial", "runge_kutta", "schemes", "states")
_NAMES = {
    "_core.adjoint": ("AbstractAdjoint", "Checkpointed", "Direct"),
    "_core.checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "_core.chunks": ("read_chunks",),
    "_core.ensemble": ("ensemble",),
    "_core.iterate": ("iterate",),
    "_core.reductions": ("AbstractReduction", "MeanVar", "Moments"),
    "_core.reversible": ("Reversible",),
    "_core.save": ("Context", "Contextual", "Save"),
    "_core.simulate": ("simulate",),
    "_core.solution": ("Result", "SimulationError", "Solution"),
    "_core.system": (
        "AbstractDiffusion", "AbstractField", "AbstractPairFlow", "AbstractPairJump", "AbstractScheme", "AbstractSplit",
        "AbstractSystem", "SplitPlan",
    ),
    "_core.totals": ("Count", "Fault", "Finite", "Max", "Share", "Sum"),
    "chaos.study": ("ChaosStudy", "chaos_study"),
    "expectations.expectation": ("expectation",),
    "expectations.finite_difference": ("finite_difference",),
    "expectations.gradient_kinds": ("GradientKind", "gradient_kinds"),
    "expectations.result": ("Expectation",),
    "fitting.decay": ("DecayFit", "decay_window", "fit_decay"),
    "fitting.oscillation": ("OscillationFit", "fit_oscillation"),
    "fitting.parameter_fit": ("ParameterFit",),
    "fitting.parameters": ("fit_parameters",),
    "laws": ("marginal", "product"),
    "radial": ("RadialDensity", "RadialGrid"),
    "runge_kutta": ("RKC", "RungeKutta"),
    "schemes": ("EulerMaruyama", "Leapfrog", "Strang", "Yoshida"),
    "states": ("Axis", "Density", "Grid", "Particles", "Wave"),
}  # fmt: skip
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}
# Modules that look up schemes, for an error message or a file: all schemes must be imported before them.
_WITH_SCHEMES = (
    "_core.simulate",
    "_core.ensemble",
    "_core.iterate",
    "_core.chunks",
    "_core.checkpoint",
    "expectations.expectation",
    "expectations.finite_difference",
    "expectations.gradient_kinds",
)
# A file names the classes of its system, and loading it imports nothing, so the systems must be imported before.
_WITH_SYSTEMS = ("load_checkpoint",)

__all__ = [*_ROOMS, *_ROOM_OF]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]

try:
    __version__ = _metadata.version("jaxkinetic")
except _metadata.PackageNotFoundError:  # a bare checkout on the path
    __version__ = "0+unknown"


def __getattr__(name: str) -> _typing.Any:
    if name in _ROOMS or name in _MODULES:
        return _importlib.import_module(f".{name}", __name__)
    if name not in _ROOM_OF:
        # From `name` and `obj` Python derives "Did you mean: ...?".
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=_sys.modules[__name__])
    room = _ROOM_OF[name]
    needed = ("runge_kutta", "schemes", "pairs") if room in _WITH_SCHEMES else ()
    needed += ("landau", "boltzmann", "vlasov") if name in _WITH_SYSTEMS else ()
    for module in needed:
        _importlib.import_module(f".{module}", __name__)
    globals()[name] = value = getattr(_importlib.import_module(f".{room}", __name__), name)
    return value


def __dir__() -> list[str]:
    """The public names, which an editor completes."""
    return sorted([*__all__, "__version__"])
