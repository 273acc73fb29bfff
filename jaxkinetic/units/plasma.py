r"""One species of charged particles: the scales of its Coulomb collisions and of Vlasov-Poisson."""

import math
from collections.abc import Mapping
from typing import ClassVar, cast

import jax.numpy as jnp

from .._util.checks import POSITIVE, Range, argument_error, concrete_array, is_traced, nan_unless, scalar_or_nan
from .._util.types import RealScalar, RealScalarLike
from .constants import ELECTRONVOLT, ELEMENTARY_CHARGE, PROTON_MASS, VACUUM_PERMITTIVITY
from .scales import AbstractScales, parameters

__all__ = ["Plasma"]

_CHARGE = Range("not be 0", "pass a charge in coulombs, for example -1.602e-19", low=0.0, open=True)


class Plasma(AbstractScales):
    r"""One species of charged particles, density n, temperature T, mass m, charge q, with itself.

    **Coulomb collisions.** Landau's equation in SI units, f of mass 1 [HelanderSigmar2002, Richardson2019]:

    $\partial_t f = \Gamma \nabla\cdot\int \frac{z^2 I - z z^T}{|z|^3} (f' \nabla f - f \nabla' f')\,dv'$,
    $\Gamma = \frac{n q^4 \ln\Lambda}{8\pi\varepsilon_0^2 m^2}$ in m^3/s^4 (Gaussian units: $2\pi n q^4 \ln\Lambda/m^2$).

    This is the library's equation with `landau.PowerLaw(-3, strength)`, strength = Gamma t_0/v_0^3, in the unit of velocity
    v_0 = sqrt(k_B T/m) and the unit of time t_0. By default t_0 = v_0^3/Gamma, so that the strength is 1. Derivation, and two
    more: docs/derivations/units.md. Collisions with other species are not included.

    **Vlasov-Poisson**: `poisson(wavelength)` gives the arguments of `vlasov.Poisson`. Without `coulomb_logarithm`, t_0 is
    1/omega_p, and the unit of length is the Debye length.

    **Arguments:** `density`: m^-3. `temperature`: K; multiply electronvolts by `units.ELECTRONVOLT`. `mass`: kg. `charge`: C,
    of either sign. `coulomb_logarithm`: ln Lambda. `time_unit`: t_0 in s, if it is not the default. All scalars, each
    differentiable. `Plasma.nrl` takes NRL's units.

    **Raises:** `ValueError` for values that are not positive (charge: that are 0). If they are traced, results are NaN.
    """

    ranges: ClassVar[Mapping[str, Range]] = {
        "density": POSITIVE, "temperature": POSITIVE, "mass": POSITIVE, "coulomb_logarithm": POSITIVE, "time_unit": POSITIVE,
    }  # fmt: skip
    density: RealScalar
    temperature: RealScalar
    mass: RealScalar
    charge: RealScalar
    coulomb_logarithm: RealScalar | None
    time_unit: RealScalar | None

    def __init__(
        self,
        density: RealScalarLike,
        temperature: RealScalarLike,
        mass: RealScalarLike,
        charge: RealScalarLike,
        coulomb_logarithm: RealScalarLike | None = None,
        time_unit: RealScalarLike | None = None,
    ):
        scalar_or_nan("charge", charge)
        scalar_or_nan("charge", abs(charge), within=_CHARGE)
        if is_traced(charge):
            charge = nan_unless(charge != 0, concrete_array(charge))
        given = parameters(
            density=(density, POSITIVE), temperature=(temperature, POSITIVE), mass=(mass, POSITIVE), charge=(charge, Range()),
            coulomb_logarithm=(coulomb_logarithm, POSITIVE), time_unit=(time_unit, POSITIVE),
        )  # fmt: skip
        self.density, self.temperature, self.mass, self.charge = cast(tuple[RealScalar, ...], given[:4])
        self.coulomb_logarithm, self.time_unit = given[4:]

    @classmethod
    def nrl(
        cls,
        density: RealScalarLike,
        temperature: RealScalarLike,
        mass: RealScalarLike,
        charge: RealScalarLike = 1.0,
        coulomb_logarithm: RealScalarLike | None = None,
        time_unit: RealScalarLike | None = None,
    ) -> "Plasma":
        """From the units of NRL's Plasma Formulary: density in cm^-3, temperature in eV, mass in proton masses, charge in
        elementary charges; `time_unit` in s."""
        scaled = [
            concrete_array(scalar_or_nan(name, value, within=within)) * unit
            for name, value, within, unit in (
                ("density", density, POSITIVE, 1e6), ("temperature", temperature, POSITIVE, ELECTRONVOLT),
                ("mass", mass, POSITIVE, PROTON_MASS), ("charge", charge, Range(), ELEMENTARY_CHARGE),
            )
        ]  # fmt: skip
        return cls(*scaled, coulomb_logarithm=coulomb_logarithm, time_unit=time_unit)

    # In float32 the fourth power of a charge and the square of a mass underflow. So the rates are products of the plasma
    # frequency and the number of particles in a Debye cube, whose factors are of moderate size.
    @property
    def plasma_frequency(self) -> RealScalar:
        """omega_p = sqrt(n q^2/(epsilon_0 m)) in radians per second."""
        return jnp.sqrt(self.density) / math.sqrt(VACUUM_PERMITTIVITY) * (jnp.abs(self.charge) / jnp.sqrt(self.mass))

    @property
    def debye_length(self) -> RealScalar:
        """lambda_D = sqrt(epsilon_0 k_B T/(n q^2)) = v_0/omega_p in m, of this species alone."""
        return self.velocity / self.plasma_frequency

    @property
    def debye_number(self) -> RealScalar:
        """n lambda_D^3. NRL's plasma parameter, the number in a Debye sphere, is 4 pi/3 times this."""
        length = self.debye_length
        return self.density * length * length * length

    @property
    def collision_rate(self) -> RealScalar:
        r"""Gamma/v_0^3 = omega_p ln Lambda/(8 pi n lambda_D^3) in 1/s: the strength per unit of time."""
        if self.coulomb_logarithm is None:
            raise argument_error(
                "coulomb_logarithm", "be given for Coulomb collisions", "is None", "pass ln Lambda, 10 to 20 in most plasmas"
            )  # fmt: skip
        return self.plasma_frequency * self.coulomb_logarithm / (8 * math.pi * self.debye_number)

    @property
    def own_time(self) -> RealScalar:
        return 1 / (self.plasma_frequency if self.coulomb_logarithm is None else self.collision_rate)

    @property
    def strength(self) -> RealScalar:
        """Gamma t_0/v_0^3, the strength of `landau.PowerLaw(-3, strength)`; 1 if no `time_unit` is given."""
        return self.collision_rate * self.time

    def poisson(self, wavelength: RealScalarLike) -> tuple[RealScalar, RealScalar]:
        """(length, strength) of `vlasov.Poisson` for a periodic box of this length in m and a density of mass 1: the length in
        units of v_0 t_0, and strength = length (omega_p t_0)^2."""
        length = concrete_array(scalar_or_nan("wavelength", wavelength, within=POSITIVE)) / self.length
        return length, length * (self.plasma_frequency * self.time) ** 2
