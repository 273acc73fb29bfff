"""The rate of propagation of chaos, measured: distances between N particles and their limit for a range of N."""

from .distance import AbstractDistance as AbstractDistance
from .series import Exponent as Exponent, Series as Series, Theory as Theory

__all__ = ["AbstractDistance", "Exponent", "Series", "Theory"]
