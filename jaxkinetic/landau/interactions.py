"""Landau interactions: the matrix a(z), its divergence b(z), and the root sigma(z), nondimensional."""

import abc
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from jaxkinetic_kernels import positive_power, square_root, tile_normals

from .._util.checks import (
    FINITE,
    NONNEGATIVE,
    Range,
    argument_error,
    as_array,
    check_scalar,
    check_shape,
    concrete_array,
    describe,
    nan_out_of_range,
    real_numbers,
)
from .._util.printing import Printed
from .._util.types import Components, RealScalar, RealScalarLike, Words
from ..pairs.components import dot, split, square
from ..pairs.radial_sums import closes_over_tracers, radial_sum
from ..pairs.sums import compiled_once, direct_sum, symmetric, weighted_sum
from ..states import Particles, check_particles
from .products import product_moments, uniform_moments

__all__ = ["AbstractInteraction", "AbstractRadial", "Maxwell", "Noise", "PowerLaw", "parameter"]

Noise = Callable[[UInt32[Array, " B"], UInt32[Array, " N"]], Components]


class PairNormals(eqx.Module):
    """The normals x_ij of all pairs, as a function of (ident_i, ident_j): vectors (B,) and (N,) to `dim` arrays (B, N). x_ji =
    -x_ij, or, if `ordered`, independent of x_ij."""

    key: Words
    dim: int = eqx.field(static=True)
    dtype: Any = eqx.field(static=True)
    ordered: bool = eqx.field(static=True)

    def __call__(self, ident_i: UInt32[Array, " B"], ident_j: UInt32[Array, " N"], **options: Any) -> Components:
        """x_ij. `options`: `exchanged` and `keep` of `tile_normals`."""
        x = tile_normals(self.key, ident_i, ident_j, self.dim, self.dtype, ordered=self.ordered, **options)
        if self.ordered:
            return x
        sign = jnp.where(ident_i[:, None] < ident_j[None, :], 1, -1).astype(self.dtype)
        return tuple(sign * component for component in x)


def _direct_a(law: Any, state: Particles) -> Array:
    return symmetric(direct_sum(lambda z, *_: _upper(law.a_components(z)), state), state.dim)


def _direct_b(law: Any, state: Particles) -> Array:
    return direct_sum(lambda z, *_: law.b_components(z), state)


def _direct_noise(law: Any, state: Particles, noise: Any) -> Array:
    return weighted_sum(lambda z, _, x: law.sigma_components(z, x), state, noise=noise)


def _weighted(law: Any, state: Particles, noise: Any, terms: Any) -> Array:
    return weighted_sum(terms, state, weights=lambda z: (law.weight(z),), noise=noise)


def _moments(law: Any, state: Particles, order: int) -> Any:
    return product_moments(law.weight, state, order)


class AbstractInteraction(Printed):
    """A matrix field a(z), even and positive semi-definite, with b = div a, and an even sigma with sigma sigma^T = a.

    `a`, `sigma`: (..., d) -> (..., d, d). `b`: (..., d) -> (..., d). All are finite at z = 0. Sums over pairs use the component
    forms, which take and return tuples of d arrays; override them where a cheaper form exists. Give products of matrices
    `precision="highest"`: by default a GPU rounds their float32 factors to 10 bits (TF32).
    """

    sum_forms: ClassVar[tuple[str, ...]] = ("direct",)
    # What a pair keeps: b is odd and sigma is even. Add "energy" if a(z) z = 0; take both away if velocities live on a torus.
    invariants: ClassVar[tuple[str, ...]] = ("momentum",)

    @abc.abstractmethod
    def a(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]: ...

    @abc.abstractmethod
    def b(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]: ...

    @abc.abstractmethod
    def sigma(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]: ...

    def check(self, dim: int) -> None:
        """Raise `ValueError` if the interaction is not defined in this dimension."""
        if dim < 2:
            raise argument_error(
                "velocity",
                "have at least 2 components",
                f"has {dim}",
                "pass velocities of shape (N, d), d >= 2",
            )

    @property
    def by_pairs(self) -> bool:
        """Whether `sum_b` is a sum over N^2 pairs: true unless a subclass overrides it."""
        return type(self).sum_b in (AbstractInteraction.sum_b, AbstractRadial.sum_b)

    def check_step(self, dt: RealScalarLike) -> None:
        """Raise `ValueError` if a step of dt leaves the domain; dt may be traced."""

    def retract(self, state: Particles) -> Particles:
        """The state with its velocities mapped into the domain: unchanged, unless the domain is a torus."""
        return state

    def check_form(self, form: str, state: Any = ...) -> None:
        """Raise `ValueError` if `form` is not in `sum_forms`, or if a `state` is given that is not `Particles`."""
        if state is not ...:
            check_particles(state, 1)
        if form not in self.sum_forms:
            names = " or ".join(repr(name) for name in self.sum_forms)
            raise argument_error(
                "sums", f"be {names} for {type(self).__name__}", f"is {describe(form)}", "pass one of `sum_forms`"
            )

    def a_components(self, z: Components) -> tuple[Components, ...]:
        return tuple(split(row) for row in split(self.a(jnp.stack(z, -1)), axis=-2))

    def b_components(self, z: Components) -> Components:
        return split(self.b(jnp.stack(z, -1)))

    def sigma_components(self, z: Components, x: Components) -> Components:
        """sigma(z) x."""
        matrix, vector = self.sigma(jnp.stack(z, -1)), jnp.stack(x, -1)
        return split(jnp.einsum("...ij,...j->...i", matrix, vector, precision=jax.lax.Precision.HIGHEST))

    def sum_a(self, state: Particles, form: str = "direct") -> Float[Array, "N d d"]:
        """sum_{j != i} a(v_i - v_j) over the particles that are alive; 0 for dead i. Override it if it costs less than N^2.

        `form`: one of `sum_forms`. Only the entries on and above the diagonal of a are evaluated.
        **Raises:** `ValueError` for a form that this interaction does not have.
        """
        self.check_form(form, state)
        return compiled_once(_direct_a, self, state)

    def sum_b(self, state: Particles, form: str = "direct") -> Float[Array, "N d"]:
        """sum_{j != i} b(v_i - v_j) over the particles that are alive; 0 for dead i. `form` and errors as in `sum_a`."""
        self.check_form(form, state)
        return compiled_once(_direct_b, self, state)

    def sums(self, state: Particles, form: str = "direct") -> tuple[Float[Array, "N d"], Float[Array, "N d d"]]:
        """(`sum_b`, `sum_a`). Override it where one pass over the pairs can compute both."""
        options = {} if form == "direct" else {"form": form}
        return self.sum_b(state, **options), self.sum_a(state, **options)

    def noisy_sums(
        self, state: Particles, noise: Noise, form: str = "direct"
    ) -> tuple[Float[Array, "N d"], Float[Array, "N d"]]:
        """(`sum_b`, sum_{j != i} sigma(v_i - v_j) x_ij). `noise(ident_i, ident_j)` maps vectors (B,) and (N,) to d arrays
        (B, N), the components of the normals x_ij. Override it if one pass over the pairs can compute both sums."""
        options = {} if form == "direct" else {"form": form}
        return self.sum_b(state, **options), self.sum_noise(state, noise)

    def sum_noise(self, state: Particles, noise: Noise) -> Float[Array, "N d"]:
        """sum_{j != i} sigma(v_i - v_j) x_ij, `noise` as in `noisy_sums`."""
        return compiled_once(_direct_noise, self, state, noise)


class AbstractRadial(AbstractInteraction):
    r"""$a(z) = \psi(r)(r^2 I - z z^T)$, r = |z|: the general radial interaction.

    A subclass defines `psi(r2)`, a nonnegative function of r^2, elementwise on any shape. Then

    $b = -(d-1)\,\psi z$ and $\sigma = \psi^{1/2} r (I - z z^T / r^2)$

    for every psi: a projects onto the tangent space of the sphere of radius r, so psi is never differentiated. (In d = 3 the
    factor d - 1 is the 2 of [FengWang2025, (1.2)] and [CarrilloGuoJabin2024], where psi = r^gamma.)

    At z = 0 all three are 0 (the sums run over j != i). Derivatives at z = 0: if psi(0) is finite, a and b have those of the
    constant psi(0), correct to second order where they exist; if it is infinite, they are set to 0. sigma is not differentiable
    at z = 0 (a cone), nor where psi = 0; its derivative is set to 0 there. So sigma has no derivative in `strength` at
    strength 0.

    `sum_a` and `sum_b` have two forms. "direct" adds one term for each pair. "product" is a matrix product of psi with
    [1, v, v v^T] (`products`): 1.3-1.8 times as fast on a CPU, but terms of size psi |v|^2 cancel. Worst relative error of
    a row, standard normal v, N = 4096, d = 3, sum_a and sum_b: gamma = -3, float32 7e-4 and 1e-4 (direct 3e-7 and 2e-6),
    float64 2e-12; gamma = -2, float32 7e-6, float64 2e-14; gamma = 1, float32 8e-7. The median stays below 2e-6.
    """

    sum_forms: ClassVar[tuple[str, ...]] = ("direct", "product")
    invariants: ClassVar[tuple[str, ...]] = ("momentum", "energy")

    @abc.abstractmethod
    def psi(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]: ...

    def largest_psi(self, least: RealScalar, most: RealScalar) -> RealScalar:
        """An upper bound of psi on least <= r <= most, scalars; infinite if psi is unbounded there. Needed only where pairs
        jump at a rate proportional to psi: by `Microcanonical` with law "fixed_angle"."""
        raise argument_error(
            "interaction", 'have a method `largest_psi(least, most)` for law "fixed_angle"', f"{type(self).__name__} has none",
            "define it: an upper bound of psi(r^2) on least <= r <= most",
        )  # fmt: skip

    def _weight(self, r2: Array) -> Array:
        """`psi_of` as a function of r^2."""
        positive = r2 > 0
        psi = self.psi(jnp.where(positive, r2, jnp.ones((), r2.dtype)))
        return jnp.where(positive, psi, self.psi_at_rest(psi.dtype))

    def _psi_and_r2(self, z: Components) -> tuple[Array, Array, Array]:
        """(psi, r^2, whether r > 0). Where r = 0, psi and r^2 are those of r = 1: finite, with finite derivatives."""
        r2 = square(z)
        positive = r2 > 0
        r2 = jnp.where(positive, r2, jnp.ones((), r2.dtype))
        return self.psi(r2), r2, positive

    def psi_at_rest(self, dtype: jnp.dtype) -> RealScalar:
        """psi(0), or 0 if psi(0) is infinite: the value for a pair of equal velocities. It may depend on the parameters."""
        zero, one = jnp.zeros((), dtype), jnp.ones((), dtype)
        finite = jnp.isfinite(self.psi(zero))
        return jnp.where(finite, self.psi(jnp.where(finite, zero, one)), zero)

    def psi_of(self, z: Components) -> Float[Array, "*pairs"]:
        """psi(r) elementwise, and `psi_at_rest` where z = 0. a and b depend on the interaction through this only."""
        return self._weight(square(z))

    weight = psi_of

    def a_components(self, z: Components) -> tuple[Components, ...]:
        return _a_of_weight(self.weight(z), z)

    def b_components(self, z: Components) -> Components:
        return _b_of_weight(self.weight(z), z)

    def sum_a(self, state: Particles, form: str = "direct") -> Float[Array, "N d d"]:
        self.check_form(form, state)
        if form == "product":
            return compiled_once(_moments, self, state, 2).matrix()

        return symmetric(self._radial_sum(_terms_of_a, state, a=True), state.dim)

    def sum_b(self, state: Particles, form: str = "direct") -> Float[Array, "N d"]:
        self.check_form(form, state)
        if form == "product":
            return -(state.dim - 1) * compiled_once(_moments, self, state, 1).vector()

        return self._radial_sum(_terms_of_b, state, b=True)

    def sums(self, state: Particles, form: str = "direct") -> tuple[Float[Array, "N d"], Float[Array, "N d d"]]:
        """(`sum_b`, `sum_a`) in one pass over the pairs, with one evaluation of psi for both."""
        self.check_form(form, state)
        dim = state.dim
        if form == "product":
            moments = compiled_once(_moments, self, state, 2)
            return -(dim - 1) * moments.vector(), moments.matrix()

        totals = self._radial_sum(_terms_of_both, state, b=True, a=True)
        return totals[:, :dim], symmetric(totals[:, dim:], dim)

    def noisy_sums(
        self, state: Particles, noise: Noise, form: str = "direct"
    ) -> tuple[Float[Array, "N d"], Float[Array, "N d"]]:
        own = (getattr(type(self), name) for name in ("sum_b", "b_components", "sigma_components"))
        ours = AbstractRadial.sum_b, AbstractRadial.b_components, AbstractRadial.sigma_components
        if form != "direct" or any(a is not b for a, b in zip(own, ours, strict=True)):
            return super().noisy_sums(state, noise, form)

        totals = self._radial_sum(_terms_of_noise_and_b, state, b=True, noise=noise)
        return totals[:, : state.dim], totals[:, state.dim :]

    def sum_noise(self, state: Particles, noise: Noise) -> Float[Array, "N d"]:
        if type(self).sigma_components is not AbstractRadial.sigma_components:
            return super().sum_noise(state, noise)
        return self._radial_sum(_terms_of_noise, state, noise=noise)

    def _radial_sum(
        self, terms: Callable[..., Components], state: Particles, *, b: bool = False, a: bool = False, noise: Any = None
    ) -> Float[Array, "N outputs"]:
        """The sum of `terms`: those of b, of the upper triangle of a and of the noise that are requested, in this order."""
        own = ((getattr(type(self), name), getattr(AbstractRadial, name)) for name in ("psi_of", "weight", "_weight"))
        # `radial_sum` calls `_weight` itself, so it cannot be used if a subclass overrides how the weight is computed.
        plain = any(mine is not general for mine, general in own) or not isinstance(noise, PairNormals | None)
        if plain or closes_over_tracers(type(self)._weight, self, state.velocity.dtype):
            return compiled_once(_weighted, self, state, noise, terms)
        d = state.dim
        # Under exchange of i and j, b and the noise are odd and a is even: each pair is evaluated once, unless x_ij
        # and x_ji are independent.
        parity = d * b * (-1,) + d * (d + 1) // 2 * a * (1,) + d * (noise is not None) * (-1,)
        mixed = noise is not None and noise.ordered
        law: Any = self
        return radial_sum(terms, type(law)._weight, law, state, parity=None if mixed else parity, noise=noise)

    def sigma_components(self, z: Components, x: Components) -> Components:
        return _sigma_of_weight(self.psi_of(z), z, x)

    def a(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]:
        z = vectors("z", z)
        rows = self.a_components(split(z))
        return nan_out_of_range(self, jnp.stack([jnp.stack(row, -1) for row in rows], -2))

    def b(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        return nan_out_of_range(self, jnp.stack(self.b_components(split(vectors("z", z))), -1))

    def sigma(self, z: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]:
        z = vectors("z", z)
        psi, r2, positive = self._psi_and_r2(split(z))
        root = _root(psi * r2, positive)
        along = z[..., :, None] * z[..., None, :] / r2[..., None, None]
        projection = jnp.broadcast_to(jnp.eye(z.shape[-1], dtype=z.dtype), along.shape) - along
        return nan_out_of_range(self, root[..., None, None] * projection)


class Maxwell(AbstractRadial):
    """Maxwell molecules, gamma = 0: a(z) = strength (r^2 I - z z^T).

    `sum_a` and `sum_b` cost O(N) in either form: psi is constant, so sum_j z_ij and sum_j z_ij z_ij^T follow to round-off from
    the moments of the velocities about their mean (`products`).

    **Arguments:** `strength`: not negative. **Raises:** `ValueError` for a negative or non-finite strength; if it is traced,
    the run stops with a fault that names it. Outside of a run as for `PowerLaw`.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"strength": NONNEGATIVE}
    strength: RealScalar

    def __init__(self, strength: RealScalarLike = 1.0):
        self.strength = parameter("strength", strength, nonnegative=True)

    def psi(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        r2 = real_numbers("r2", r2)
        return jnp.broadcast_to(self.strength.astype(r2.dtype), r2.shape)

    def psi_at_rest(self, dtype: jnp.dtype) -> RealScalar:
        return self.strength.astype(dtype)

    def largest_psi(self, least: RealScalar, most: RealScalar) -> RealScalar:
        return self.strength.astype(most.dtype)

    def sum_a(self, state: Particles, form: str = "direct") -> Float[Array, "N d d"]:
        self.check_form(form, state)
        return uniform_moments(self.strength.astype(state.velocity.dtype), state).matrix()

    def sum_b(self, state: Particles, form: str = "direct") -> Float[Array, "N d"]:
        self.check_form(form, state)
        return -(state.dim - 1) * uniform_moments(self.strength.astype(state.velocity.dtype), state).vector()

    def sums(self, state: Particles, form: str = "direct") -> tuple[Float[Array, "N d"], Float[Array, "N d d"]]:
        return self.sum_b(state, form), self.sum_a(state, form)


class PowerLaw(AbstractRadial):
    r"""$a(z) = C (r^2 + \delta^2)^{\gamma/2} (r^2 I - z z^T)$, C = `strength`, delta = `softening`.

    gamma = -3 in d = 3 is Coulomb, gamma = 0 Maxwell molecules, gamma = 1 hard spheres. Differentiable in gamma, C and delta.

    **Raises:** `ValueError` for a negative strength or softening, and, in a run, for gamma < -d. If these are traced, the run
    stops with a fault that names the parameter. Outside of a run, `a`, `b` and `sigma` are NaN for a traced strength or
    softening that is negative; `psi` and the sums over pairs, which the steps of a run call, do not check it.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"gamma": FINITE, "strength": NONNEGATIVE, "softening": NONNEGATIVE}
    gamma: RealScalar
    strength: RealScalar
    softening: RealScalar

    def __init__(self, gamma: RealScalarLike, strength: RealScalarLike = 1.0, softening: RealScalarLike = 0.0):
        self.gamma = parameter("gamma", gamma)
        self.strength = parameter("strength", strength, nonnegative=True)
        self.softening = parameter("softening", softening, nonnegative=True)

    def check(self, dim: int) -> None:
        super().check(dim)
        check_scalar(
            "gamma",
            self.gamma,
            within=Range(f"be at least -d = {-dim}", "raise it: the interaction is too singular", low=-dim),
        )

    def psi(self, r2: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        r2 = real_numbers("r2", r2)
        gamma, strength, delta = (x.astype(r2.dtype) for x in (self.gamma, self.strength, self.softening))
        # Bounded below, so that psi of a close pair does not overflow.
        base = jnp.maximum(r2 + delta * delta, _least_base(gamma))
        return strength * positive_power(base, gamma / 2)

    def psi_at_rest(self, dtype: jnp.dtype) -> RealScalar:
        gamma, strength, delta = (x.astype(dtype) for x in (self.gamma, self.strength, self.softening))
        # Unsoftened: 0^gamma, which is 1 for gamma = 0; for gamma < 0 it is infinite and counts as 0.
        zero, one = jnp.zeros((), dtype), jnp.ones((), dtype)
        hard = jnp.where(gamma == 0, one, zero)
        soft = delta * delta > _least_base(gamma)
        return strength * jnp.where(soft, jnp.exp(gamma * jnp.log(jnp.where(soft, delta, one))), hard)

    def largest_psi(self, least: RealScalar, most: RealScalar) -> RealScalar:
        # psi is monotone in r, so its maximum is at one of the ends.
        least, most = least * least, most * most
        unbounded = (self.gamma < 0) & (least + self.softening.astype(least.dtype) ** 2 == 0)
        largest = jnp.maximum(self.psi(least), self.psi(most))
        return jnp.where(unbounded, np.asarray(np.inf, least.dtype), largest)


def vectors(argument: str, z: Any, dim: int | None = None) -> Float[Array, "*batch d"]:
    """z as an array. **Raises:** `ValueError` unless it holds real vectors (..., d)."""
    shape = "(..., d), d >= 2" if dim is None else f"(..., {dim})"
    z = as_array(argument, z, f"be a real array of shape {shape}", "pass an array")
    if not jnp.issubdtype(z.dtype, jnp.floating):
        raise argument_error(
            argument, "have a real floating dtype", f"has {z.dtype}", f"pass `jnp.asarray({argument}, float)`"
        )
    if z.ndim < 1 or (z.shape[-1] < 2 if dim is None else z.shape[-1] != dim):
        raise argument_error(
            argument, f"have shape {shape}", f"has shape {z.shape}", "put the components on the last axis"
        )
    return z


def check_callables(interaction: AbstractInteraction, dim: int, dtype: jnp.dtype) -> None:
    """**Raises:** `ValueError` if a function of a user's interaction returns the wrong shape or dtype."""
    z = jax.ShapeDtypeStruct((4, dim), dtype)
    if isinstance(interaction, AbstractRadial):
        check_shape(f"{type(interaction).__name__}.psi", interaction.psi, (4,), jax.ShapeDtypeStruct((4,), dtype))
    for name, shape in (("a", (4, dim, dim)), ("b", (4, dim)), ("sigma", (4, dim, dim))):
        check_shape(f"{type(interaction).__name__}.{name}", getattr(interaction, name), shape, z)


def parameter(name: str, value: RealScalarLike, *, nonnegative: bool = False) -> RealScalar:
    """A scalar model parameter as a floating array: a leaf of the pytree, in which gradients can be taken."""
    check_scalar(name, value, nonnegative=nonnegative)
    return concrete_array(value)


def _least_base(gamma: Array) -> Array:
    """The least r^2 at which r^gamma stays a factor of 2^8 below overflow: an infinite psi has no derivative."""
    limits = jnp.finfo(gamma.dtype)
    largest = (limits.maxexp - 8) * math.log(2)
    return jnp.exp(-largest / jnp.maximum(-jax.lax.stop_gradient(gamma) / 2, 1)).astype(gamma.dtype)


def _root(square: Array, positive: Array) -> Array:
    """sqrt(square); 0, with derivative 0, where r = 0 and where psi vanishes or underflows."""
    positive = positive & (square > 0)
    return square_root(jnp.where(positive, square, jnp.zeros((), square.dtype)))


def _a_of_weight(weight: Array, z: Components) -> tuple[Components, ...]:
    """w (r^2 I - z z^T); r^2 - z_i^2 is computed as the sum of the other squares, without cancellation."""

    def entry(i: int, j: int) -> Array:
        if i != j:
            return -weight * z[i] * z[j]
        others = [c * c for k, c in enumerate(z) if k != i]
        return weight * sum(others[1:], others[0])

    return tuple(tuple(entry(i, j) for j in range(len(z))) for i in range(len(z)))


def _b_of_weight(weight: Array, z: Components) -> Components:
    """-(d-1) w z."""
    return tuple(-(len(z) - 1) * weight * c for c in z)


def _sigma_of_weight(weight: Array, z: Components, x: Components) -> Components:
    """w^{1/2} r (x - (x.z) z/r^2); 0 at r = 0."""
    r2 = square(z)
    positive = r2 > 0
    r2 = jnp.where(positive, r2, jnp.ones((), r2.dtype))
    root = _root(weight * r2, positive)
    along = dot(z, x) / r2
    return tuple(root * (q - along * p) for p, q in zip(z, x, strict=True))


def _terms_of_a(z: Components, weights: Components, _: Components) -> Components:
    return _upper(_a_of_weight(weights[0], z))


def _terms_of_b(z: Components, weights: Components, _: Components) -> Components:
    return _b_of_weight(weights[0], z)


def _terms_of_both(z: Components, weights: Components, _: Components) -> Components:
    return _b_of_weight(weights[0], z) + _upper(_a_of_weight(weights[0], z))


def _terms_of_noise(z: Components, weights: Components, x: Components) -> Components:
    return _sigma_of_weight(weights[0], z, x)


def _terms_of_noise_and_b(z: Components, weights: Components, x: Components) -> Components:
    return _b_of_weight(weights[0], z) + _sigma_of_weight(weights[0], z, x)


def _upper(rows: tuple[Components, ...]) -> Components:
    return tuple(entry for i, row in enumerate(rows) for entry in row[i:])
