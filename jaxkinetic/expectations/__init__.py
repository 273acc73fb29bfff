"""Means over independent runs, with gradients that are unbiased, also through jumps."""

from .expectation import expectation as expectation
from .result import Expectation as Expectation

__all__ = ["Expectation", "expectation"]


def __dir__() -> list[str]:
    return __all__
