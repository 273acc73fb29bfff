"""Conversion between nondimensional numbers and SI units, given a unit of velocity and a unit of time."""

import abc
import dataclasses
from typing import Any, Self, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Inexact, Num

from .._util.checks import Range, check_integer, concrete_array, real_numbers, scalar_or_nan
from .._util.printing import Printed
from .._util.types import RealScalar, RealScalarLike
from .constants import BOLTZMANN, ELECTRONVOLT

__all__ = ["AbstractScales"]

# Real numbers, or complex frequencies, of any shape.
Values: TypeAlias = Num[ArrayLike, "*shape"]
Result: TypeAlias = Inexact[Array, "*shape"]


def parameters(**given: tuple[Any, Range]) -> tuple[RealScalar | None, ...]:
    """Each (value, range) as a scalar array, in one dtype for all; None stays None. **Raises:** `ValueError` for a concrete
    value out of its range; a traced one becomes NaN."""
    arrays = [
        None if value is None else concrete_array(scalar_or_nan(name, value, within=within))
        for name, (value, within) in given.items()
    ]
    # NumPy's promotion, because strict promotion in JAX raises where a user mixes float32 with float64.
    dtype = np.result_type(*(array.dtype for array in arrays if array is not None))
    return tuple(array if array is None or array.dtype == dtype else array.astype(dtype) for array in arrays)


class AbstractScales(Printed):
    r"""Units of velocity and time. The unit of velocity is the thermal speed $v_0 = \sqrt{k_B T/m}$, so that a Maxwellian of
    temperature T has the nondimensional temperature 1 of `initial.maxwellian`. The unit of length is $v_0 t_0$.

    Methods named after a unit convert nondimensional numbers to it; those that begin with `from_` convert back. They take
    arrays of any shape, work under jit, and are differentiable. They compute in the dtype of their argument: in float32,
    results have six digits.
    """

    temperature: eqx.AbstractVar[RealScalar]
    mass: eqx.AbstractVar[RealScalar]
    time_unit: eqx.AbstractVar[RealScalar | None]

    @property
    @abc.abstractmethod
    def own_time(self) -> RealScalar:
        """The unit of time in s, if no `time_unit` is given."""

    @property
    def time(self) -> RealScalar:
        """t_0, the unit of time in s."""
        return self.own_time if self.time_unit is None else self.time_unit

    @property
    def velocity(self) -> RealScalar:
        """v_0 = sqrt(k_B T/m), the unit of velocity in m/s."""
        # In float32 the derivative of 1/mass overflows, that of 1/sqrt(mass) does not.
        return jnp.sqrt(BOLTZMANN * self.temperature) / jnp.sqrt(self.mass)

    @property
    def length(self) -> RealScalar:
        """v_0 t_0, the unit of length in m."""
        return self.velocity * self.time

    def with_time_unit(self, seconds: RealScalarLike) -> Self:
        """The same plasma or gas with another unit of time, and so another `strength`."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return type(self)(**{**given, "time_unit": seconds})

    def seconds(self, t: Values) -> Result:
        """Times in s."""
        return _times("t", t, self.time)

    def from_seconds(self, seconds: Values) -> Result:
        """Nondimensional times of times in s."""
        return _over("seconds", seconds, self.time)

    def per_second(self, rate: Values) -> Result:
        """Rates and frequencies in 1/s: of `fit_decay(...).rate`, of a root of the dispersion relation."""
        return _over("rate", rate, self.time)

    def from_per_second(self, per_second: Values) -> Result:
        """Nondimensional rates of rates in 1/s."""
        return _times("per_second", per_second, self.time)

    def metres_per_second(self, v: Values) -> Result:
        """Velocities in m/s."""
        return _times("v", v, self.velocity)

    def from_metres_per_second(self, metres_per_second: Values) -> Result:
        """Nondimensional velocities of velocities in m/s."""
        return _over("metres_per_second", metres_per_second, self.velocity)

    def metres(self, x: Values) -> Result:
        """Positions and lengths in m."""
        return _times("x", x, self.length)

    def from_metres(self, metres: Values) -> Result:
        """Nondimensional lengths of lengths in m."""
        return _over("metres", metres, self.length)

    def per_metre(self, k: Values) -> Result:
        """Wavenumbers in 1/m."""
        return _over("k", k, self.length)

    def from_per_metre(self, per_metre: Values) -> Result:
        """Nondimensional wavenumbers of wavenumbers in 1/m. In units of 1/omega_p this is k lambda_D."""
        return _times("per_metre", per_metre, self.length)

    def kelvin(self, temperature: Values) -> Result:
        """Temperatures, and entries of `diagnostics.stress`, in K."""
        return _times("temperature", temperature, self.temperature)

    def from_kelvin(self, kelvin: Values) -> Result:
        """Nondimensional temperatures of temperatures in K."""
        return _over("kelvin", kelvin, self.temperature)

    def electronvolts(self, temperature: Values) -> Result:
        """Temperatures, and entries of `diagnostics.stress`, in eV."""
        return _times("temperature", temperature, self.temperature / ELECTRONVOLT)

    def from_electronvolts(self, electronvolts: Values) -> Result:
        """Nondimensional temperatures of temperatures in eV."""
        return _over("electronvolts", electronvolts, self.temperature / ELECTRONVOLT)

    def si_entropy(self, entropy: Values, dim: int = 3) -> Result:
        """H = int f log f for f in (s/m)^dim, that is H - dim log v_0, v_0 in m/s. Differences of H have no unit and are the
        same in all units: the entropy per volume in J/(K m^3) rises by -k_B n times the change of H."""
        entropy = real_numbers("entropy", entropy)
        return entropy - check_integer("dim", dim, minimum=1) * jnp.log(self.velocity).astype(entropy.dtype)

    def from_si_entropy(self, si_entropy: Values, dim: int = 3) -> Result:
        """Nondimensional H of H = int f log f for f in (s/m)^dim."""
        si_entropy = real_numbers("si_entropy", si_entropy)
        return si_entropy + check_integer("dim", dim, minimum=1) * jnp.log(self.velocity).astype(si_entropy.dtype)


def _times(argument: str, values: Values, unit: RealScalar) -> Result:
    values = _numbers(argument, values)
    return values * unit.astype(values.dtype)


def _over(argument: str, values: Values, unit: RealScalar) -> Result:
    values = _numbers(argument, values)
    return values / unit.astype(values.dtype)


def _numbers(argument: str, values: Any) -> Array:
    # A root of the dispersion relation is complex.
    is_complex = isinstance(values, complex) or (hasattr(values, "dtype") and jnp.iscomplexobj(values))
    return jnp.asarray(values) if is_complex else real_numbers(argument, values)
