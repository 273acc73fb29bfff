"""Microcanonical binary collisions: conservative jumps of pairs, which tend to `Kac`'s diffusion as the angles tend to 0."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._core.system import AbstractField, AbstractPairJump, AbstractScheme
from .._util.checks import POSITIVE, Range, argument_error, check_scalar, concrete_array, describe, is_traced, require
from .._util.types import Components, PairWords, RealScalar, RealScalarLike
from ..pairs import ExactClock, directions, rotations
from ..pairs._jump_generator import Outcomes, jump_generator
from ..pairs.components import minus, square
from ..pairs.envelopes import Ball, Everywhere, ball, everywhere, inside, largest_speed
from ..pairs.spherical_heat.general import harmonics
from ..states import Particles, check_alive, check_particles
from .interactions import AbstractRadial, Maxwell
from .limits import landau_limit

__all__ = ["LAWS", "Microcanonical", "check_angle"]

LAWS = ("fixed_angle", "constant_rate", "heat_kernel")
# The degree of phi in a pair's velocities up to which `generator` is exact.
_DEGREE = 7
# A factor above the rounding errors of a rate.
_ROUNDING = 1.0001
_PI = math.pi * (1 + 1e-6)


class Microcanonical(AbstractPairJump):
    r"""Every pair jumps at its own rate: its relative velocity z is rotated by theta about a uniform axis; r = |z| and (v_i +
    v_j)/2 do not change. As epsilon -> 0 the process tends to the diffusion of `Kac` (with a floor: for psi(max(r, floor))),
    whose generator for a pair is $\frac4N \psi(r) \Delta_{S^{d-1}}$. The process is after the microcanonical binary collisions
    of [Du2025]; the rates and angles of the table are those of this library.

    | `law` | rate of a pair | angle | epsilon |
    |---|---|---|---|
    | "fixed_angle" | $\frac4N (d-1)\,\psi(r)/(1 - \cos\epsilon)$ | epsilon | the angle, in (0, pi] |
    | "constant_rate" | $1/(N h)$ | $1 - \cos\theta = 4(d-1)\,h\,\psi(r)$, at most 1 | h, the mean free time of a particle |
    | "heat_kernel" | $1/(N h)$ | Brownian motion of the direction, $\exp(4h\,\psi(r)\,\Delta)$ on the unit sphere | h |

    The mean free time of a particle is h N/(N - 1), which tends to h.

    **Error.** A jump multiplies the harmonics of degree l of z/r by E R_l(cos theta), with R_l the Gegenbauer polynomial with
    R_l(1) = 1. `generator` is computed from these numbers. `exact.microcanonical_defect` gives the relative error of the decay
    rates of the harmonics: of order epsilon^2 for the first law and of order h for the others.

    **No law of angles is of second order in 1/rate.** Let y = 1 - cos theta, so that R_1 = 1 - y and R_2 = 1 - d (2 y - y^2)/(d
    - 1). If both harmonics decayed as for Landau (rates in the ratio 2d/(d - 1)), E y^2 would be 0; but at rate lambda $\lambda
    E y^2 \ge (\lambda E y)^2/\lambda$. Among the laws that are correct for l = 1, the error for l = 2 is least if theta is not
    random: in the first two laws (unless theta is capped). Derivation: docs/derivations/pair_flow.md.

    Conserved on every path: momentum and energy, to round-off. Reversible with respect to the uniform law on the sphere of
    given momentum and energy. Cost: that of `pairs.ExactClock` (default; exact in law) for (N-1)/(2h) jumps per unit of time;
    "fixed_angle" thins candidates at the majorant of the rate: that of psi at the floor, or at the largest r. `pairs.TauLeap`:
    order 1 in dt.

    Gradients at fixed noise: for "constant_rate" and "heat_kernel" with respect to gamma, strength, softening, floor and
    velocities, in forward and reverse mode (reverse mode needs `max_windows` and `max_waves`); for "fixed_angle" with respect
    to the velocities, for `Maxwell` only. Gradients through the rate (in epsilon; for "fixed_angle" in every other
    quantity) raise in `simulate`; `jk.expectation` gives them without bias, by scores.

    **Arguments:** `interaction`: radial, for example `PowerLaw(-3)`. `law`: a name of the table. `epsilon`: see the table.
    `floor`: the least r in psi: None, or delta > 0, which replaces psi(r) by psi(max(r, delta)). "fixed_angle" needs a floor
    where psi is unbounded at 0, because the rate would have no majorant there; a softened interaction is bounded. All
    nondimensional.

    **Raises:** `ValueError` for an interaction that is not radial, an unknown law, epsilon outside its range, a floor that is
    not positive, and in a run for N < 2, d < 2, gamma < -d, and a law whose rate is unbounded for the interaction. Traced, an
    epsilon or a floor out of range, a negative strength and an unbounded rate stop the run with a message.
    """

    ranges: ClassVar[Mapping[str, Range]] = {"epsilon": POSITIVE, "floor": POSITIVE}
    interaction: AbstractRadial
    law: str = eqx.field(static=True)
    epsilon: RealScalar
    floor: RealScalar | None

    conserves: ClassVar[Mapping[str, str]] = {"momentum": "exact", "energy": "exact"}

    def __init__(
        self, interaction: AbstractRadial, law: str, epsilon: RealScalarLike, floor: RealScalarLike | None = None
    ):
        if not isinstance(interaction, AbstractRadial):
            was = (
                f"is {type(interaction).__name__}"
                if isinstance(interaction, eqx.Module)
                else f"is {describe(interaction)}"
            )
            raise argument_error(
                "interaction", "be radial, because a jump rotates the relative velocity of a pair", was,
                "pass jk.landau.PowerLaw(-3.0), say",
            )  # fmt: skip
        if law not in LAWS:
            raise argument_error("law", f"be one of {', '.join(map(repr, LAWS))}", f"is {describe(law)}", "choose one")
        check_scalar("epsilon", epsilon, positive=True)
        if law == "fixed_angle":
            check_angle(epsilon)
        if floor is not None:
            check_scalar("floor", floor, positive=True)
        self.interaction, self.law = interaction, law
        self.epsilon, self.floor = concrete_array(epsilon), None if floor is None else concrete_array(floor)

    @property
    def constant_rate(self) -> bool:
        return self.law != "fixed_angle" or isinstance(self.interaction, Maxwell)

    def check(self, state: Particles) -> None:
        check_particles(state, 2)
        check_alive(state, 2)
        self.interaction.check(state.dim)
        if self.law == "fixed_angle":
            check_angle(self.epsilon)
        if self.law == "fixed_angle" and is_traced(self.interaction, self.floor):
            largest = _largest_psi(self.interaction, self.floor, np.ones((), state.velocity.dtype))
            require(
                "floor", jnp.isfinite(largest), largest,
                'bound psi(r) with law="fixed_angle" if psi is unbounded at r = 0', "raise it, or soften the interaction",
                was="gives the largest psi",
            )  # fmt: skip
        elif self.law == "fixed_angle":
            with jax.ensure_compile_time_eval():
                bounded = bool(
                    np.isfinite(_largest_psi(self.interaction, self.floor, np.ones((), state.velocity.dtype)))
                )
            if not bounded:
                was = "is None" if self.floor is None else f"is {float(self.floor):g}, too small to bound it"
                raise argument_error(
                    "floor", 'be given with law="fixed_angle" where psi(r) is unbounded at r = 0', was,
                    'pass floor=0.1, say, soften the interaction, or use law="heat_kernel", because close pairs would jump '
                    "infinitely often",
                )  # fmt: skip

    def default_scheme(self) -> AbstractScheme:
        return ExactClock()

    def limit(self, *, isotropic: bool = False, dim: int | None = None) -> AbstractField:
        """The Landau equation, as for `Kac`. It is the limit only if epsilon -> 0 (and floor -> 0) as N -> infinity, of which
        a warning reminds: at fixed epsilon the limit is a Boltzmann equation with other rates, see
        `exact.microcanonical_defect`."""
        what = "epsilon" if self.floor is None else "epsilon and floor"
        warnings.warn(
            f"The Landau equation is the limit of Microcanonical only if {what} -> 0 as N -> infinity; at a fixed epsilon "
            "the decay rates differ, by jk.landau.exact.microcanonical_defect.",
            stacklevel=3,  # above the call of a bound method of a module
        )
        return landau_limit(self.interaction, isotropic, dim)

    def num_words(self, dim: int) -> int:
        return rotations.num_words(dim) if self.law == "heat_kernel" else rotations.axis_words(dim)

    def clock(self, num_alive: RealScalar) -> RealScalar:
        return 1 / num_alive

    def rate(self, vi: Components, vj: Components) -> Float[Array, "*pairs"]:
        if self.law != "fixed_angle":
            return jnp.broadcast_to(self._constant(vi[0].dtype), vi[0].shape)
        psi, moving = self._psi(minus(vi, vj))
        # 1 - cos theta = 2 sin^2(theta/2)
        rate = 2 * (len(vi) - 1) * psi / self._half_angle(psi.dtype)
        return rate if self.constant_rate else jnp.where(moving, rate, jnp.zeros_like(rate))

    def envelope(self, state: Particles) -> Ball | Everywhere:
        """A ball that contains the velocities of all particles; everywhere if the rate is constant."""
        return everywhere(state) if self.constant_rate else ball(state)

    def rate_bound(self, env: Ball | Everywhere) -> RealScalar:
        if self.law != "fixed_angle":
            return self._constant(self.epsilon.dtype)
        fastest, dim = largest_speed(env), env.dim
        return (
            _ROUNDING
            * 2
            * (dim - 1)
            * _largest_psi(self.interaction, self.floor, fastest)
            / self._half_angle(fastest.dtype)
        )

    def inside(self, env: Ball | Everywhere, v: Components) -> Bool[Array, "*pairs"]:
        return inside(env, v)

    def jump(
        self, words: PairWords, vi: Components, vj: Components
    ) -> tuple[Components, Components, Bool[Array, "*pairs"], Bool[Array, "*pairs"]]:
        z = minus(vi, vj)
        psi = self._psi(z)[0]
        if self.law == "heat_kernel":
            increment = rotations.heat_rotation(words, 4 * self.epsilon.astype(psi.dtype) * psi, z)
        else:
            increment = rotations.rotation(words, self._sin2_half_angle(psi, len(z)), z)
        lives = jnp.ones(vi[0].shape, bool)
        return *rotations.rotated_pair(increment, vi, vj), lives, lives

    def generator(self, phi: Callable[[Particles], RealScalar]) -> Callable[[Particles], RealScalar]:
        """L phi, exact if phi is a polynomial of degree <= 7 in the velocities of each pair: each harmonic of the direction is
        multiplied by E R_l(cos theta). Cost N^2 times 15^(d-1). Derivatives of L phi leave out pairs of equal velocities."""

        def outcomes(z: Array) -> Outcomes:
            dim = z.shape[0]
            nodes, weights = (jnp.asarray(x, z.dtype) for x in directions.quadrature(dim, 2 * _DEGREE))
            psi, moving = self._psi(tuple(z))
            r = jnp.linalg.norm(jnp.where(moving, z, 1.0))
            kernel = self._kernel(jnp.sum(nodes * z[None, :], -1) / r, psi, dim)
            return Outcomes(r * nodes, weights * kernel, moving)

        return jump_generator(self, outcomes, phi)

    def _kernel(self, cosine: Array, psi: Array, dim: int) -> Array:
        """Density of the new direction relative to the uniform law, at this cosine of its angle to the old one; to degree 7."""
        cos_theta = 1 - 2 * self._sin2_half_angle(psi, dim)
        total = jnp.ones_like(cosine)
        pairs = zip(*(harmonics(x, dim, _DEGREE) for x in (cosine, cos_theta)), strict=True)
        for (degree, number, value, _), (_, _, multiplier, _) in pairs:
            if self.law == "heat_kernel":
                multiplier = jnp.exp(-degree * (degree + dim - 2) * 4 * self.epsilon.astype(psi.dtype) * psi)
            total = total + number * multiplier * value
        return total

    def _psi(self, z: Components) -> tuple[Float[Array, "*pairs"], Bool[Array, "*pairs"]]:
        """(psi(max(r, floor)), whether r > 0). Without a floor, psi at r = 0 is `interaction.psi_at_rest`."""
        r2 = square(z)
        moving = r2 > 0
        r2 = jnp.maximum(r2, _least(self.floor, r2.dtype) ** 2)
        # A NaN passes, so that it stops the run.
        zero = r2 == 0
        psi = self.interaction.psi(jnp.where(zero, jnp.ones_like(r2), r2))
        if self.floor is not None:
            return psi, moving
        return jnp.where(zero, self.interaction.psi_at_rest(psi.dtype), psi), moving

    def _constant(self, dtype: jnp.dtype) -> RealScalar:
        """1/h; NaN unless h is positive. The rate and its majorant use this one expression, so that they round alike."""
        h = self.epsilon.astype(dtype)
        return 1 / jnp.where(h > 0, h, np.asarray(np.nan, dtype))

    def _half_angle(self, dtype: jnp.dtype) -> RealScalar:
        """sin^2(epsilon/2) of the fixed angle; NaN if epsilon is not in (0, pi]."""
        angle = self.epsilon.astype(dtype)
        fine = (angle > 0) & (angle <= _PI)
        return jnp.where(fine, jnp.sin(angle / 2) ** 2, np.asarray(np.nan, dtype))

    def _sin2_half_angle(self, psi: Array, dim: int) -> Array:
        """sin^2(theta/2) of a law whose angle is not random."""
        if self.law == "fixed_angle":
            return jnp.broadcast_to(self._half_angle(psi.dtype), psi.shape)
        return jnp.minimum(2 * (dim - 1) * self.epsilon.astype(psi.dtype) * psi, jnp.asarray(0.5, psi.dtype))


@eqx.filter_jit
def _largest_psi(interaction: AbstractRadial, floor: RealScalar | None, fastest: Any) -> RealScalar:
    """The largest psi(max(r, floor)) for r <= `fastest`."""
    least = _least(floor, fastest.dtype)
    return interaction.largest_psi(least, jnp.maximum(least, fastest))


def _least(floor: RealScalar | None, dtype: jnp.dtype) -> RealScalar:
    """The floor; 0 if there is none, NaN if it is negative or NaN."""
    if floor is None:
        return jnp.zeros((), dtype)
    floor = floor.astype(dtype)
    return jnp.where(floor >= 0, floor, np.asarray(np.nan, dtype))


def check_angle(epsilon: RealScalarLike) -> None:
    """**Raises:** `ValueError` for an angle above pi, up to the rounding of pi in float32."""
    check_scalar("epsilon", epsilon, within=Range("be an angle in (0, pi]", "lower it", high=_PI))
