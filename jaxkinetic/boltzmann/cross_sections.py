"""Collision frequencies of pairs with relative velocity z = v_i - v_j, and the law of z after a collision. Nondimensional."""

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
    r"""The collision frequency $\Sigma(r) = \int B(z, \omega)\,d\omega$ of a pair, r = |z|, and the law of the outgoing z'.

    Sigma is the Sigma_B of [LodsNotaPezzotti2020, Assumption 1.2]: the total cross section times r. A pair collides at rate
    Sigma(|z|)/Lambda; z becomes z' with |z'| = |z|, which conserves momentum and energy. z' is uniform on the sphere of radius
    r. In d = 3 this follows from B = |z.n|/(2 pi) (hard spheres) and B = |z.n|/(2 pi r) (Maxwell molecules); in d != 3 it is
    the definition of the model.

    To define your own, implement `sigma(r2)`, a function of r^2, and `bound(r_max)`, an upper bound of Sigma for r <= r_max
    (the majorant). With `bounded = True` the bound holds for every r; this is faster, because no envelope of the velocities is
    kept. For another law of z' override `scatter` with `num_words`, and `outgoing` for `generator`. Random choices whose
    probability depends on a parameter or on z must use `jk.random.bernoulli`; parameters must enter `sigma` differentiably, not
    only through comparisons. `constant = True` states that Sigma does not depend on r; then gradients with respect to the
    velocities are available. `ranges` maps the names of parameters to their ranges, which a run checks. Outside of a run,
    `generator` is NaN if a traced parameter is out of range; `sigma` and `bound`, which a run calls, do not check it.
    """

    bounded: ClassVar[bool] = False
    constant: ClassVar[bool] = False

    @abc.abstractmethod
    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        """The collision frequency Sigma(r), total cross section times r, as a function of r^2; elementwise."""

    @abc.abstractmethod
    def bound(self, r_max: RealScalar) -> RealScalar:
        """The majorant: an upper bound of Sigma(r) over r <= r_max; a scalar."""

    def check(self, dim: int) -> None:
        """**Raises:** `ValueError` if the law is not defined in this dimension."""
        if dim < 2:
            raise argument_error(
                "state.velocity", "have d >= 2 components", f"has {dim}", "collisions rotate a direction"
            )

    def num_words(self, dim: int) -> int:
        """Number of uint32 random words that one call of `scatter` uses."""
        return directions.num_words(dim)

    def scatter(self, words: PairWords, z: Components) -> Components:
        """z' from z; its law must be symmetric under z -> -z. At z = 0, where |z| has no derivative, its derivative is set to
        0."""
        r = square_root(square(z))
        return tuple(r * e for e in directions.uniform_direction(words, len(z), r.dtype))

    def outgoing(self, z: Float[Array, " d"]) -> tuple[Float[Array, "Q d"], Float[np.ndarray, " Q"]]:
        """The law of z' as quadrature nodes (Q, d) and weights (Q,) of sum 1, for `generator`; exact to degree 7."""
        nodes, weights = directions.quadrature(z.shape[0])
        return square_root(jnp.sum(z * z)) * jnp.asarray(nodes, z.dtype), weights


_STRENGTH: Mapping[str, Range] = {"strength": POSITIVE}
_EXPONENT = Range("be in [0, 2]", "pass the exponent of Sigma = r^gamma", low=0.0, high=2.0)


def _positive(name: str, value: Any) -> RealScalar:
    check_scalar(name, value, positive=True)
    return concrete_array(value)


class Maxwell(AbstractCrossSection):
    """Maxwell molecules: Sigma = strength, z' uniform, any d. In d = 3 B = |z.n|/(2 pi r) [LodsNotaPezzotti2020, Remark 1.3];
    in other d the uniform z' is a definition. **Raises:** `ValueError` unless strength > 0."""

    bounded: ClassVar[bool] = True
    constant: ClassVar[bool] = True
    ranges: ClassVar[Mapping[str, Range]] = _STRENGTH
    strength: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0):
        self.strength = _positive("strength", strength)

    def sigma(self, r2: Float[Array, "*pairs"]) -> Float[Array, "*pairs"]:
        r2 = real_numbers("r2", r2)
        # Does not depend on z, so gradients with respect to the velocities exist.
        return jnp.broadcast_to(self.strength.astype(r2.dtype), r2.shape)

    def bound(self, r_max: RealScalar) -> RealScalar:
        return self.strength.astype(real_numbers("r_max", r_max).dtype)


class HardSphere(AbstractCrossSection):
    """Hard spheres: Sigma = strength r, z' uniform, any d. In d = 3 B = |z.n|/(2 pi) [LodsNotaPezzotti2020, Remark 1.3]; in
    other d the uniform z' is a definition. At r = 0, where r is not differentiable, the derivative is set to 0. **Raises:**
    `ValueError` unless strength > 0."""

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
    """Sigma = strength r^gamma, 0 <= gamma <= 2, z' uniform: the VHS model [Bird1994]; `Maxwell` for gamma = 0, `HardSphere`
    for gamma = 1. At r = 0 the derivative in r^2 is that of r^2 for gamma = 2, and is set to 0 for 0 < gamma < 2, where it is
    infinite.
    **Raises:** `ValueError` for another gamma (for gamma < 0 the rate of a pair is unbounded) and unless strength > 0."""

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
        # At r = 0: 1 for gamma = 0, and r^2 itself for gamma = 2, so that its derivative 1 is kept.
        constant, slope = (jnp.asarray(self.gamma == gamma, r2.dtype) for gamma in (0, 2))
        return self.strength.astype(r2.dtype) * jnp.where(positive, power, constant + slope * r2)

    def bound(self, r_max: RealScalar) -> RealScalar:
        r_max = real_numbers("r_max", r_max)
        return jax.lax.stop_gradient(self.sigma(r_max * r_max))
