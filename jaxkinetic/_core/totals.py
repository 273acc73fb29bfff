"""Types of the entries of a step's `info`, each of which defines how it accumulates over the steps of a run."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Integer, Num, Real, UInt32

from .._util.printing import Printed
from .._util.sums import compensated


class Sum(Printed):
    """An `info` entry that is summed over the steps; floating numbers are summed with compensation."""

    value: Num[Array, "..."]
    low: Num[Array, "..."] | None = None

    def start(self) -> "Sum":
        zero = jnp.zeros(self.value.shape, self.value.dtype)
        return Sum(zero, zero)

    def merge(self, other: "Sum") -> "Sum":
        low = jnp.zeros_like(self.value) if self.low is None else self.low
        if not jnp.issubdtype(self.value.dtype, jnp.inexact):
            return Sum(self.value + other.value, low)
        return Sum(*compensated(self.value, low, other.value))


class Max(Printed):
    """An `info` entry of which the maximum over the steps is kept."""

    value: Real[Array, "..."]

    def start(self) -> "Max":
        dtype = self.value.dtype
        limits = jnp.finfo(dtype) if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype)
        return Max(jnp.full(self.value.shape, limits.min, dtype))

    def merge(self, other: "Max") -> "Max":
        return Max(jnp.maximum(self.value, other.value))


class Count(Printed):
    """An `info` entry that counts events, exactly up to 2^64: the total is `high` 2^32 + `low`, two uint32 words."""

    low: UInt32[Array, "*shape"]
    high: UInt32[Array, "*shape"]

    def __init__(self, low: Integer[Array, "*shape"], high: UInt32[Array, "*shape"] | None = None):
        self.low = low.astype(jnp.uint32)
        self.high = jnp.zeros_like(self.low) if high is None else high

    def start(self) -> "Count":
        return Count(jnp.zeros_like(self.low))

    def merge(self, other: "Count") -> "Count":
        low = self.low + other.low
        return Count(low, self.high + other.high + (low < self.low).astype(jnp.uint32))

    @property
    def value(self) -> Float[Array, "..."]:
        """The count as a floating number, float64 if x64 is on."""
        dtype = jnp.result_type(float)
        return self.high.astype(dtype) * jnp.asarray(2.0**32, dtype) + self.low.astype(dtype)


class Share(Printed):
    """An `info` entry whose total is the ratio of two counts; 0 if nothing was counted."""

    part: Count
    whole: Count

    def start(self) -> "Share":
        return Share(self.part.start(), self.whole.start())

    def merge(self, other: "Share") -> "Share":
        return Share(self.part.merge(other.part), self.whole.merge(other.whole))

    @property
    def value(self) -> Float[Array, "..."]:
        return self.part.value / jnp.maximum(self.whole.value, 1)


class Fault(Printed):
    """The `info` entry by which a scheme ends a run. `code`: a key of `Result.FAULTS`, or 0 for no fault. `detail`: two numbers
    for its sentence. The first fault is kept."""

    code: Int32[Array, ""]
    detail: Float[Array, "2"]

    def start(self) -> "Fault":
        return Fault(jnp.zeros_like(self.code), jnp.zeros_like(self.detail))

    def merge(self, other: "Fault") -> "Fault":
        return jax.tree.map(lambda mine, theirs: jnp.where(self.code != 0, mine, theirs), self, other)


class Finite(Printed):
    """The `info` entry by which a scheme reports whether its carry is finite, if it can tell from a part of it. Without this
    entry, `simulate` checks the complete carry after every step."""

    ok: Bool[Array, ""]

    def merge(self, other: "Finite") -> "Finite":
        return Finite(self.ok & other.ok)
