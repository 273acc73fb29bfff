"""The former module of `jaxkinetic.fitting.oscillation`, kept for programs that import from here."""

from .fitting.oscillation import OscillationFit as OscillationFit, fit_oscillation as fit_oscillation

__all__ = ["OscillationFit", "fit_oscillation"]
