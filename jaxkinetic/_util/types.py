"""Names for the array types of the public signatures."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, Real, UInt32

PyTree: TypeAlias = Any
State: TypeAlias = Any
Words: TypeAlias = UInt32[Array, "2"]
RealScalar: TypeAlias = Float[Array, ""]
# What a caller may pass for a number: a Python or NumPy number, or a scalar array.
RealScalarLike: TypeAlias = Real[ArrayLike, ""]
# One entry for each pair of particles, or for each particle: d components of a velocity, and the words of their noise.
Components: TypeAlias = tuple[Float[Array, "*pairs"], ...]
PairWords: TypeAlias = tuple[UInt32[Array, "*pairs"], ...]
# Functions that work number by number: arguments whose shapes broadcast, and what NumPy makes of them.
ValuesLike: TypeAlias = Real[ArrayLike, "*#shape"]
if TYPE_CHECKING:
    # As NumPy's own annotations say, though NumPy returns its scalar where every argument is a number.
    Values: TypeAlias = np.ndarray
else:
    Values: TypeAlias = Float[np.ndarray, "*shape"] | np.float64
# A matrix as nested sequences.
Rows: TypeAlias = Sequence[Sequence[float]]
Observable: TypeAlias = Callable[[Any], PyTree]
Key: TypeAlias = PRNGKeyArray | UInt32[np.ndarray, "2"]

__all__ = [
    "Array", "Bool", "Components", "Float", "Key", "Observable", "PairWords", "PyTree", "RealScalar", "RealScalarLike", "Rows",
    "State", "UInt32", "Values", "ValuesLike", "Words",
]  # fmt: skip
