"""Means over independent runs, with gradients that are unbiased, also through jumps."""

from .expectation import expectation as expectation
from .finite_difference import finite_difference as finite_difference
from .result import Expectation as Expectation

__all__ = ["Expectation", "expectation", "finite_difference"]


def __dir__() -> list[str]:
    return __all__
