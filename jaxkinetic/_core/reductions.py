"""Reductions over replicas, which an ensemble keeps instead of the replicas themselves."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact, Int32

from jaxkinetic_kernels import square_root

from .._util.checks import argument_error
from .._util.printing import Printed
from .._util.student import student_interval
from .._util.sums import compensated
from .._util.types import PyTree


class AbstractReduction(Printed):
    """A total over replicas, accumulated batch by batch. Subclass it to define your own reduction.

    - `start(example)`: the empty total; `example` is the dict of one replica's observed values as shapes and dtypes.
    - `add(total, values, counts)`: the total after one more batch. Every leaf of `values` has the replica as leading axis;
      `counts` (B,) is False for padding.
    - `merge(a, b)`: the sum of two totals, needed only with a mesh.
    - `finish(total)`: the value of `Solution.observed`, any pytree.

    With `save.state` the saved states are reduced separately in the same way: `example` and `values` are then states, and
    `finish` gives `Solution.states`.
    """

    @abc.abstractmethod
    def start(self, example: PyTree) -> PyTree: ...

    @abc.abstractmethod
    def add(self, total: PyTree, values: PyTree, counts: Bool[Array, " B"]) -> PyTree: ...

    def merge(self, a: PyTree, b: PyTree) -> PyTree:
        raise TypeError(f"{type(self).__name__} has no `merge`, which an ensemble on a mesh needs.")

    @abc.abstractmethod
    def finish(self, total: PyTree) -> PyTree: ...


class Moments(Printed):
    """`mean`, `var` (unbiased) and `stderr` of the mean, each with the shape of one replica's value; `count` of replicas.

    `interval(level)`: (low, high), the confidence interval of the mean by Student's law with `degrees_of_freedom` = count - 1,
    for real values. At 95 % it is the mean -+ 12.7 standard errors for two replicas, and -+ 2.3 for nine."""

    mean: Inexact[Array, "*value"]
    var: Float[Array, "*value"]
    stderr: Float[Array, "*value"]
    count: Int32[Array, ""]

    @property
    def degrees_of_freedom(self) -> Int32[Array, ""]:
        return self.count - 1

    def interval(self, level: float = 0.95) -> tuple[Float[Array, "*value"], Float[Array, "*value"]]:
        """**Raises:** `ValueError` for a level outside (0, 1), and for complex values."""
        if jnp.iscomplexobj(self.mean):
            raise argument_error(
                "self.mean", "be real", f"is {self.mean.dtype}", "reduce the real and the imaginary part separately"
            )
        return student_interval(self.mean, self.stderr, self.degrees_of_freedom, level)


class _Total(eqx.Module):
    count: Int32[Array, ""]
    mean: Inexact[Array, "*value"]
    square: Float[Array, "*value"]  # sum of |x - mean|^2
    # Rounding errors of `mean` and `square`: after many replicas a further one changes neither of them by an ulp.
    mean_low: Inexact[Array, "*value"]
    square_low: Float[Array, "*value"]


class MeanVar(AbstractReduction):
    """Mean, variance and standard error over replicas, for every leaf: `observed[name].mean .var .stderr .count`.

    Batches are merged by the pairwise update of [ChanGolubLeVeque1983] with compensated sums. So a large mean causes no
    cancellation, and no replica is lost to rounding, however many there are. Integers and booleans count as floats; for
    complex numbers the variance is E|x - mean|^2. The variance of a single replica is infinite.
    """

    def start(self, example: PyTree) -> PyTree:
        def empty(x: Any) -> _Total:
            if jnp.issubdtype(x.dtype, jax.dtypes.extended):
                raise argument_error("observe", "give numbers", f"gives {x.dtype}", "do not reduce keys")
            dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.result_type(float)
            nothing, real = jnp.zeros(x.shape, dtype), jnp.zeros(x.shape, jnp.finfo(dtype).dtype)
            return _Total(jnp.zeros((), jnp.int32), nothing, real, nothing, real)

        return jax.tree.map(empty, example)

    def add(self, total: PyTree, values: PyTree, counts: Bool[Array, " B"]) -> PyTree:
        def one(total: _Total, x: Array) -> _Total:
            x = x.astype(total.mean.dtype)
            kept = counts.reshape(-1, *[1] * (x.ndim - 1))
            num = jnp.sum(counts, dtype=jnp.int32)
            at_least_one = jnp.maximum(num, 1).astype(x.dtype)
            mean = jnp.sum(jnp.where(kept, x, jnp.zeros((), x.dtype)), axis=0) / at_least_one
            distance = jnp.where(kept, x - mean[None], jnp.zeros((), x.dtype))
            square = jnp.sum(_square(distance), axis=0)
            return _merged(total, _Total(num, mean, square, jnp.zeros_like(mean), jnp.zeros_like(square)))

        return jax.tree.map(one, total, values, is_leaf=_is_total)

    def merge(self, a: PyTree, b: PyTree) -> PyTree:
        return jax.tree.map(_merged, a, b, is_leaf=_is_total)

    def finish(self, total: PyTree) -> PyTree:
        def one(total: _Total) -> Moments:
            count = total.count.astype(total.square.dtype)
            var = jnp.where(count > 1, total.square / jnp.maximum(count - 1, 1), jnp.inf)
            return Moments(total.mean, var, square_root(var / jnp.maximum(count, 1)), total.count)

        return jax.tree.map(one, total, is_leaf=_is_total)


def _is_total(x: Any) -> bool:
    return isinstance(x, _Total)


def _square(x: Array) -> Array:
    return x.real**2 + x.imag**2 if jnp.iscomplexobj(x) else x * x


def _merged(a: _Total, b: _Total) -> _Total:
    count = a.count + b.count
    real = a.square.dtype
    n, m, both = (jnp.maximum(x, 0).astype(real) for x in (a.count, b.count, jnp.maximum(count, 1)))
    # [ChanGolubLeVeque1983]: mean = a.mean + gap m/(n + m), square = a.square + b.square + |gap|^2 n m/(n + m).
    gap = (b.mean - a.mean) + (b.mean_low - a.mean_low)
    mean, mean_low = compensated(a.mean, a.mean_low, gap * (m / both).astype(gap.dtype))
    square, square_low = compensated(a.square, a.square_low, b.square + b.square_low + _square(gap) * (n * m / both))
    return _Total(count, mean, square, mean_low, square_low)
