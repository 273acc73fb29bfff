"""Exact solutions of the mean-field systems, as functions on phase space, and exact overlaps of N particles."""

from .counting import harmonic_overlap as harmonic_overlap
from .flows import free_streaming as free_streaming, harmonic as harmonic

__all__ = ["free_streaming", "harmonic", "harmonic_overlap"]


def __dir__() -> list[str]:
    return __all__
