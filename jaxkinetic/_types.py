"""Names for the array types of the public signatures."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

PyTree: TypeAlias = Any
State: TypeAlias = Any
Words: TypeAlias = UInt32[Array, "2"]
RealScalar: TypeAlias = Float[Array, ""]
Observable: TypeAlias = Callable[[Any], PyTree]
Key: TypeAlias = PRNGKeyArray | jax.Array

__all__ = [
    "Array", "Bool", "Float", "Key", "Observable", "PyTree", "RealScalar", "State", "UInt32", "Words",
]  # fmt: skip
