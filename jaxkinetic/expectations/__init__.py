"""Means over independent runs, with gradients that are unbiased, also through jumps."""

from .expectation import expectation as expectation
from .finite_difference import finite_difference as finite_difference
from .gradient_kinds import GradientKind as GradientKind, gradient_kinds as gradient_kinds
from .result import Expectation as Expectation

__all__ = ["Expectation", "GradientKind", "expectation", "finite_difference", "gradient_kinds"]


def __dir__() -> list[str]:
    return __all__
