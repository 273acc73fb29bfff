"""Array types that the public signatures use."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, Real, UInt32

PyTree: TypeAlias = Any
State: TypeAlias = Any
Words: TypeAlias = UInt32[Array, "2"]
RealScalar: TypeAlias = Float[Array, ""]
# A number as a caller may pass it: a Python or NumPy number, or a scalar array.
RealScalarLike: TypeAlias = Real[ArrayLike, ""]
# One entry per pair of particles, or per particle: d velocity components, and the random words of the noise.
Components: TypeAlias = tuple[Float[Array, "*pairs"], ...]
PairWords: TypeAlias = tuple[UInt32[Array, "*pairs"], ...]
# Arguments of elementwise functions, whose shapes broadcast, and their results in NumPy.
ValuesLike: TypeAlias = Real[ArrayLike, "*#shape"]
if TYPE_CHECKING:
    # NumPy's own annotations, although it returns a NumPy scalar if every argument is a number.
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
