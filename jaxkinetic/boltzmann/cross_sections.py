"""How often two particles of relative velocity z = v_i - v_j collide, and where z goes: nondimensional, unit masses."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxkinetic_kernels import positive_power, square_root

from .._util.checks import POSITIVE, Range, argument_error, check_scalar, concrete_array, real_numbers
from .._util.printing import Printed
from .._util.types import Components, PairWords, RealScalar, RealScalarLike
from ..pairs import directions
from ..pairs.components import square

__all__ = ["AbstractCrossSection", "HardSphere", "Maxwell", "VariableHardSphere"]


class AbstractCrossSection(Printed):
    r"""Total collision frequency $\Sigma(r) = \int B(z, \omega)\,d\omega$ (LNP 1.8), r = |z|, and the law of the outgoing z'.

    A pair collides at rate Sigma(|z|)/Lambda; z becomes z' with |z'| = |z|, which conserves momentum and energy.

    For one of your own give `sigma(r2)`, from r^2, and `bound(r_max)`, a number that Sigma does not exceed for r <= r_max
    (with `bounded = True` one that it never exceeds: faster, no envelope is kept). The law of z' is uniform on the sphere of
    radius r unless you override `scatter`, with `num_words` and, for `generator`, `outgoing`. Choices in it whose probability
    depends on a parameter or on z go through `jk.random.bernoulli`; parameters enter `sigma` differentiably, not by a
    comparison alone. `constant = True` says that Sigma does not depend on r: then a derivative in the velocities passes.
    `ranges` maps the names of parameters to their ranges; a run checks them. Outside of a run `generator` is NaN where a traced
    one is out of range; `sigma` and `bound`, of which the steps of a run are made, compute with it unchecked.
    """

    bounded: ClassVar[bool] = False
    constant: ClassVar[bool] = False

    @abc.abstractmethod
    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        """Sigma from r^2, elementwise."""

    @abc.abstractmethod
    def bound(self, r_max: RealScalar) -> RealScalar:
        """At least the largest Sigma(r) over r <= r_max; a scalar."""

    def check(self, dim: int) -> None:
        """**Raises:** `ValueError` where the law has no meaning."""
        if dim < 2:
            raise argument_error(
                "state.velocity", "have d >= 2 components", f"has {dim}", "collisions turn a direction"
            )

    def num_words(self, dim: int) -> int:
        """uint32 words that one `scatter` reads."""
        return directions.num_words(dim)

    def scatter(self, words: PairWords, z: Components) -> Components:
        """z' from z; symmetric in law under z -> -z. At z = 0, where |z| has no derivative, it counts as 0."""
        r = square_root(square(z))
        return tuple(r * e for e in directions.uniform_direction(words, len(z), r.dtype))

    def outgoing(self, z: Float[Array, " d"]) -> tuple[Float[Array, "Q d"], Float[np.ndarray, " Q"]]:
        """The law of z' as nodes (Q, d) and weights (Q,) of sum 1, for `generator`: exact for polynomials of degree 7."""
        nodes, weights = directions.quadrature(z.shape[0])
        return square_root(jnp.sum(z * z)) * jnp.asarray(nodes, z.dtype), weights


_STRENGTH: Mapping[str, Range] = {"strength": POSITIVE}
_EXPONENT = Range("be in [0, 2]", "pass the exponent of Sigma = r^gamma", low=0.0, high=2.0)


def _positive(name: str, value: Any) -> RealScalar:
    check_scalar(name, value, positive=True)
    return concrete_array(value)


class Maxwell(AbstractCrossSection):
    """Sigma = strength, any d: Maxwell molecules; in d = 3 with B = |z.n|/(2 pi r) (LNP, remark 1.3). **Raises:** `ValueError`
    unless strength > 0."""

    bounded: ClassVar[bool] = True
    constant: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, Range]] = _STRENGTH
    strength: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0):
        self.strength = _positive("strength", strength)

    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        r2 = real_numbers("r2", r2)
        # Free of z: a derivative in the velocities passes.
        return jnp.broadcast_to(self.strength.astype(r2.dtype), r2.shape)

    def bound(self, r_max: RealScalar) -> RealScalar:
        return self.strength.astype(real_numbers("r_max", r_max).dtype)


class HardSphere(AbstractCrossSection):
    """Sigma = strength r, any d: hard spheres; in d = 3 with B = |z.n|/(2 pi). At r = 0, where r has no derivative, it counts
    as 0. **Raises:** `ValueError` unless strength > 0."""

    ranges: ClassVar[Mapping[str, Range]] = _STRENGTH
    strength: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0):
        self.strength = _positive("strength", strength)

    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        r2 = real_numbers("r2", r2)
        return self.strength.astype(r2.dtype) * square_root(r2)

    def bound(self, r_max: RealScalar) -> RealScalar:
        r_max = real_numbers("r_max", r_max)
        return self.strength.astype(r_max.dtype) * r_max


class VariableHardSphere(AbstractCrossSection):
    """Sigma = strength r^gamma, 0 <= gamma <= 2: `Maxwell` at 0, `HardSphere` at 1. At r = 0 the derivative in r^2 is that of
    r^2 for gamma = 2, and counts as 0 for 0 < gamma < 2, where it is infinite. **Raises:** `ValueError` otherwise; below 0 the
    rate of a pair has no bound."""

    ranges: ClassVar[Mapping[str, Range]] = {"gamma": _EXPONENT, **_STRENGTH}
    gamma: RealScalar
    strength: RealScalar

    def __init__(self, gamma: RealScalarLike, strength: RealScalarLike = 1.0):
        check_scalar("gamma", gamma, within=_EXPONENT)
        self.gamma, self.strength = concrete_array(gamma), _positive("strength", strength)

    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        r2 = real_numbers("r2", r2)
        positive, tiny = r2 > 0, jnp.finfo(r2.dtype).tiny
        safe = jnp.where(positive, jnp.maximum(r2, tiny), jnp.ones_like(r2))
        power = positive_power(safe, self.gamma.astype(r2.dtype) / 2)
        # 0^0 = 1; r^2 itself for gamma = 2, which has a derivative.
        constant, slope = (jnp.asarray(self.gamma == gamma, r2.dtype) for gamma in (0, 2))
        return self.strength.astype(r2.dtype) * jnp.where(positive, power, constant + slope * r2)

    def bound(self, r_max: RealScalar) -> RealScalar:
        r_max = real_numbers("r_max", r_max)
        return jax.lax.stop_gradient(self.sigma(r_max * r_max))
