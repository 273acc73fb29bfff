"""Fits with error bars: decay rates, damped oscillations, and the parameters of a model."""

from .decay import DecayFit as DecayFit, decay_window as decay_window, fit_decay as fit_decay
from .oscillation import OscillationFit as OscillationFit, fit_oscillation as fit_oscillation
from .parameter_fit import FitHistory as FitHistory, FitResult as FitResult, ParameterFit as ParameterFit
from .parameters import fit_parameters as fit_parameters

__all__ = [
    "DecayFit", "FitHistory", "FitResult", "OscillationFit", "ParameterFit", "decay_window", "fit_decay", "fit_oscillation",
    "fit_parameters",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
