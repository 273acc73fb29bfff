"""A gas of one species: the scales of `boltzmann.KacWalk`."""

import abc
import math
from collections.abc import Mapping
from typing import ClassVar, cast

import jax.numpy as jnp

from .._util.checks import POSITIVE, Range, concrete_array, scalar_or_nan
from .._util.types import RealScalar, RealScalarLike
from .constants import BOLTZMANN
from .scales import AbstractScales, parameters

__all__ = ["HardSpheres", "MaxwellMolecules"]

_RANGES: Mapping[str, Range] = {name: POSITIVE for name in ("density", "temperature", "mass", "time_unit")}


class _Gas(AbstractScales):
    """Shared by both gases. In `KacWalk(cross_section(strength), volume=num_particles)` the density of the simulation is 1."""

    density: RealScalar
    temperature: RealScalar
    mass: RealScalar

    @property
    @abc.abstractmethod
    def collision_rate(self) -> RealScalar:
        """The strength per unit of time, in 1/s."""

    @property
    def own_time(self) -> RealScalar:
        return 1 / self.collision_rate

    @property
    def strength(self) -> RealScalar:
        """The strength of the cross section in `KacWalk(..., volume=num_particles)`; 1 if no `time_unit` is given."""
        return self.collision_rate * self.time

    @property
    @abc.abstractmethod
    def mean_free_time(self) -> RealScalar:
        """The mean time between two collisions of a molecule in equilibrium, in s."""


class HardSpheres(_Gas):
    r"""Hard spheres of diameter D: two molecules with relative speed r in a volume V collide at rate pi D^2 r/V. With N
    particles for V = N/n this is strength r/N for `boltzmann.HardSphere(strength)` and `volume=N`, where

    strength = n pi D^2 v_0 t_0.

    By default t_0 = 1/(n pi D^2 v_0), so that the strength is 1. Then the mean free time is sqrt(pi)/4. d = 3.

    **Arguments:** `density`: m^-3. `temperature`: K. `mass`: kg. `diameter`: m, or use `from_viscosity`. `time_unit`: t_0 in s,
    if it is not the default. All scalars, each differentiable.

    **Raises:** `ValueError` for values that are not positive. If they are traced, results are NaN.
    """

    ranges: ClassVar[Mapping[str, Range]] = {**_RANGES, "diameter": POSITIVE}
    density: RealScalar
    temperature: RealScalar
    mass: RealScalar
    diameter: RealScalar
    time_unit: RealScalar | None

    def __init__(
        self,
        density: RealScalarLike,
        temperature: RealScalarLike,
        mass: RealScalarLike,
        diameter: RealScalarLike,
        time_unit: RealScalarLike | None = None,
    ):
        *given, self.time_unit = parameters(
            density=(density, POSITIVE), temperature=(temperature, POSITIVE), mass=(mass, POSITIVE),
            diameter=(diameter, POSITIVE), time_unit=(time_unit, POSITIVE),
        )  # fmt: skip
        self.density, self.temperature, self.mass, self.diameter = cast(list[RealScalar], given)

    @classmethod
    def from_viscosity(
        cls,
        density: RealScalarLike,
        temperature: RealScalarLike,
        mass: RealScalarLike,
        viscosity: RealScalarLike,
        time_unit: RealScalarLike | None = None,
    ) -> "HardSpheres":
        r"""With the diameter that has this shear viscosity mu, in Pa s, at this temperature. Chapman and Enskog's first
        approximation: $\mu = \frac{5}{16} \sqrt{\pi m k_B T}/(\pi D^2)$ [Bird1994]."""
        kelvin, kilograms, viscous = (
            concrete_array(scalar_or_nan(name, value, within=POSITIVE))
            for name, value in (("temperature", temperature), ("mass", mass), ("viscosity", viscosity))
        )
        # m v_0. The product m k T is not far above the smallest number of float32.
        momentum = jnp.sqrt(kilograms) * jnp.sqrt(BOLTZMANN * kelvin)
        return cls(
            density, kelvin, kilograms, jnp.sqrt(5 / (16 * math.sqrt(math.pi)) * (momentum / viscous)), time_unit
        )

    @property
    def collision_rate(self) -> RealScalar:
        """n pi D^2 v_0 in 1/s: the strength per unit of time."""
        return math.pi * (self.density * self.diameter) * (self.diameter * self.velocity)

    @property
    def mean_free_time(self) -> RealScalar:
        """sqrt(pi)/(4 n pi D^2 v_0) in s, from the mean relative speed 4 v_0/sqrt(pi)."""
        return math.sqrt(math.pi) / (4 * self.collision_rate)

    @property
    def mean_free_path(self) -> RealScalar:
        """1/(sqrt(2) n pi D^2) in m."""
        return self.velocity / (math.sqrt(2) * self.collision_rate)

    @property
    def viscosity(self) -> RealScalar:
        """5 sqrt(pi) m v_0/(16 pi D^2) in Pa s: first approximation, 1.6 % below the exact value [Bird1994]."""
        return (
            5
            * math.sqrt(math.pi)
            / 16
            * (self.density * self.mass)
            * self.velocity
            * self.velocity
            / self.collision_rate
        )


class MaxwellMolecules(_Gas):
    r"""Maxwell molecules with isotropic scattering, `boltzmann.Maxwell(strength)` with `volume=N`: two molecules in a volume V
    collide at rate s/V, whatever their velocities, s in m^3/s. Only n s enters, and the viscosity mu determines it: the
    deviator of the pressure tensor decays at rate n s/2 = n k_B T/mu, exactly (mu is proportional to T). So

    strength = 2 n k_B T t_0/mu.

    By default the strength is 1 and t_0 = mu/(2 n k_B T) is the mean free time. d = 3.

    **Arguments:** `density`: m^-3. `temperature`: K. `mass`: kg. `viscosity`: Pa s at this temperature. `time_unit`: t_0 in s,
    if it is not the default. All scalars, each differentiable.

    **Raises:** `ValueError` for values that are not positive. If they are traced, results are NaN.
    """

    ranges: ClassVar[Mapping[str, Range]] = {**_RANGES, "viscosity": POSITIVE}
    density: RealScalar
    temperature: RealScalar
    mass: RealScalar
    viscosity: RealScalar
    time_unit: RealScalar | None

    def __init__(
        self,
        density: RealScalarLike,
        temperature: RealScalarLike,
        mass: RealScalarLike,
        viscosity: RealScalarLike,
        time_unit: RealScalarLike | None = None,
    ):
        *given, self.time_unit = parameters(
            density=(density, POSITIVE), temperature=(temperature, POSITIVE), mass=(mass, POSITIVE),
            viscosity=(viscosity, POSITIVE), time_unit=(time_unit, POSITIVE),
        )  # fmt: skip
        self.density, self.temperature, self.mass, self.viscosity = cast(list[RealScalar], given)

    @property
    def collision_rate(self) -> RealScalar:
        """2 n k_B T/mu in 1/s: the strength per unit of time, and the rate at which a molecule collides."""
        return 2 * BOLTZMANN * self.temperature * self.density / self.viscosity

    @property
    def mean_free_time(self) -> RealScalar:
        """1/collision_rate in s: the mean time between two collisions of a molecule."""
        return 1 / self.collision_rate
