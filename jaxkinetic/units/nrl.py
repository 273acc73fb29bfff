r"""Formulas of NRL's Plasma Formulary [Richardson2019], in its units: densities in cm^-3, temperatures in eV, masses in proton
masses, charges in elementary charges, rates in 1/s. Arguments are scalars or arrays whose shapes agree; all are differentiable.

**Raises:** `ValueError` for a concrete argument that is not positive; a traced one gives NaN.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, is_traced, nan_unless, real_numbers
from .._util.types import ValuesLike
from .constants import ELEMENTARY_CHARGE, PROTON_MASS

__all__ = ["coulomb_logarithm_electrons", "coulomb_logarithm_ions", "isotropization_rate"]

Result = Float[Array, "*shape"]
# Gaussian units: statcoulombs per elementary charge (a tenth of the speed of light, in cm/s, per coulomb), grams, ergs per eV.
_STATCOULOMBS = ELEMENTARY_CHARGE * 2.99792458e9
_GRAMS = 1e3 * PROTON_MASS
_ERGS = 1e7 * ELEMENTARY_CHARGE
# 2 sqrt(pi) e^4/(sqrt(m_p) eV^(3/2)) as one number, because e^4 underflows in float32.
_ISOTROPIZATION = 2 * math.sqrt(math.pi) * _STATCOULOMBS**4 / (math.sqrt(_GRAMS) * _ERGS**1.5)
# Below this |A| the bracket, of order A^2, cancels: its power series instead.
_SERIES, _TERMS = 0.25, 24


def _positive(**given: Any) -> tuple[list[Array], Any]:
    """The arguments as arrays of one dtype, and whether all are positive (True, or traced)."""
    arrays = [real_numbers(name, value) for name, value in given.items()]
    for name, array in zip(given, arrays, strict=True):
        if not is_traced(array) and not (np.asarray(array) > 0).all():
            smallest = np.asarray(array).min()
            raise argument_error(name, "be positive", f"holds {smallest:g}", "pass numbers above 0, in NRL's units")
    dtype = np.result_type(*(array.dtype for array in arrays))
    arrays = [array.astype(dtype) for array in arrays]
    holds = True
    for array in arrays:
        holds = jnp.logical_and(holds, array > 0)
    return arrays, holds


def _weakly_coupled(logarithm: Array) -> Array:
    if not is_traced(logarithm) and not (np.asarray(logarithm) >= 1).all():
        raise argument_error(
            "density", "be that of a weakly coupled plasma", f"ln Lambda is {np.asarray(logarithm).min():.3g}",
            "lower the density or raise the temperature: Landau's equation holds for ln Lambda well above 1",
        )  # fmt: skip
    return nan_unless(logarithm >= 1, logarithm)


def coulomb_logarithm_electrons(density: ValuesLike, temperature: ValuesLike) -> Result:
    r"""ln Lambda of thermal electrons with electrons,
    $23.5 - \ln(n^{1/2} T^{-5/4}) - [10^{-5} + (\ln T - 2)^2/16]^{1/2}$.

    Valid for nonrelativistic, weakly coupled electrons; its own error is of order 1 in ln Lambda. **Raises:** `ValueError`
    where it is below 1; NaN if traced."""
    (density, temperature), holds = _positive(density=density, temperature=temperature)
    log_t = jnp.log(temperature)
    value = 23.5 - 0.5 * jnp.log(density) + 1.25 * log_t - jnp.sqrt(1e-5 + (log_t - 2) ** 2 / 16)
    return _weakly_coupled(nan_unless(holds, value))


def coulomb_logarithm_ions(density: ValuesLike, temperature: ValuesLike, charge: ValuesLike = 1.0) -> Result:
    r"""ln Lambda of ions of one species with each other: NRL's mixed ion-ion formula for two equal species,
    $23 - \ln(Z^3 (2n)^{1/2} T^{-3/2})$, in which the masses cancel. With n for 2 n (shielding counted once) it is ln(2)/2 = .35
    larger.

    Valid where the electrons' thermal speed exceeds the ions', and for weak coupling; its own error is of order 1. **Raises:**
    `ValueError` where it is below 1; NaN if traced."""
    (density, temperature, charge), holds = _positive(density=density, temperature=temperature, charge=charge)
    value = 23 - 3 * jnp.log(charge) - 0.5 * jnp.log(2 * density) + 1.5 * jnp.log(temperature)
    return _weakly_coupled(nan_unless(holds, value))


def isotropization_rate(
    density: ValuesLike,
    perpendicular: ValuesLike,
    parallel: ValuesLike,
    mass: ValuesLike,
    charge: ValuesLike,
    coulomb_logarithm: ValuesLike,
) -> Result:
    r"""NRL's temperature isotropization: nu in 1/s, where dT_perp/dt = -(1/2) dT_par/dt = -nu (T_perp - T_par),

    $\nu = \frac{2\sqrt\pi q^4 n \ln\Lambda}{m^{1/2} (k T_\parallel)^{3/2}} A^{-2} \big[-3 + (A + 3)
    \frac{\arctan\sqrt A}{\sqrt A}\big]$, A = T_perp/T_par - 1 (A < 0: artanh sqrt(-A)/sqrt(-A)).

    Computed in Gaussian units from the formula as printed there, so that it checks `Plasma`. It is the initial rate of a
    bi-Maxwellian; `landau.exact.coulomb_isotropization_rate` is the same function, nondimensional. T_perp - T_par decays at 3
    nu."""
    given = _positive(
        density=density, perpendicular=perpendicular, parallel=parallel, mass=mass, charge=abs(real_numbers("charge", charge)),
        coulomb_logarithm=coulomb_logarithm,
    )  # fmt: skip
    (density, perpendicular, parallel, mass, charge, coulomb_logarithm), holds = given
    shape = _ISOTROPIZATION * charge**4 * density * coulomb_logarithm / (jnp.sqrt(mass) * parallel * jnp.sqrt(parallel))
    return nan_unless(holds, shape * _bracket(perpendicular / parallel - 1))


def _bracket(a: Array) -> Array:
    """A^-2 [-3 + (A + 3) arctan(sqrt A)/sqrt A] for A > -1."""
    small = jnp.abs(a) < _SERIES
    # Every branch gets an argument at which it and its derivative are finite.
    near = jnp.where(small, a, jnp.zeros_like(a))
    series = jnp.zeros_like(a)
    for k in reversed(range(_TERMS)):
        series = series * -near + (3 / (2 * k + 5) - 1 / (2 * k + 3))
    above, below = jnp.where(a >= _SERIES, a, jnp.ones_like(a)), jnp.where(a <= -_SERIES, a, jnp.full_like(a, -0.5))
    root, negative_root = jnp.sqrt(above), jnp.sqrt(-below)
    positive = (-3 + (above + 3) * jnp.arctan(root) / root) / above**2
    negative = (-3 + (below + 3) * jnp.arctanh(negative_root) / negative_root) / below**2
    return jnp.where(small, series, jnp.where(a > 0, positive, negative))
