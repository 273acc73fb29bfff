"""Fits with error bars: decay rates and damped oscillations."""

from .decay import DecayFit as DecayFit, decay_window as decay_window, fit_decay as fit_decay
from .oscillation import OscillationFit as OscillationFit, fit_oscillation as fit_oscillation

__all__ = ["DecayFit", "OscillationFit", "decay_window", "fit_decay", "fit_oscillation"]


def __dir__() -> list[str]:
    return __all__
