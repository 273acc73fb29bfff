"""Coulomb, gamma = -3, d = 3, strength 1: rates known exactly at the initial time, for the Landau equation of mass 1."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import ArrayLike, Real

from ..._util.checks import argument_error, describe
from ..._util.numpy_checks import check_known_scalar, known_numbers

__all__ = [
    "coulomb_entropy_rate", "coulomb_isotropization_rate", "coulomb_isotropization_rate_matching",
    "coulomb_isotropization_rate_microcanonical", "isotropic_entropy",
]  # fmt: skip


def coulomb_isotropization_rate(perpendicular: float, parallel: float) -> float:
    r"""nu of a bi-Maxwellian, in dT_perp/dt = -nu (T_perp - T_par), dT_par/dt = 2 nu (T_perp - T_par).

    $\nu = \pi^{-1/2} T_\parallel^{-3/2} A^{-2} [-3 + (A + 3) \arctan(\sqrt A)/\sqrt A]$, A = T_perp/T_par - 1 (A < 0: artanh).
    Exact at the initial time only: the solution does not stay bi-Maxwellian.
    """
    perpendicular, parallel = _temperatures(perpendicular, parallel)
    a = perpendicular / parallel - 1
    # Near A = 0 the bracket, of order A^2, cancels: its power series instead.
    if abs(a) < 0.05:
        bracket = sum((-a) ** k * (3 / (2 * k + 5) - 1 / (2 * k + 3)) for k in range(12))
    else:
        root = math.sqrt(abs(a))
        bracket = (-3 + (a + 3) * (math.atan(root) if a > 0 else math.atanh(root)) / root) / a**2
    return bracket / (math.sqrt(math.pi) * parallel**1.5)


def coulomb_isotropization_rate_matching(perpendicular: float, parallel: float, dt: float) -> float:
    r"""The rate of T_perp - T_par in the first step of `pairs.RandomMatching`, N large; 3 nu as dt -> 0, to order dt.

    $\frac14 E[(1 - e^{-6\tau})((z_1^2 + z_2^2)/2 - z_3^2)] / (dt\,(T_\perp - T_\parallel))$, tau = 4 dt/r^3, z the difference
    of two bi-Maxwellian velocities: the flow of a matched pair multiplies the harmonics of degree 2 of its direction by
    e^{-6 tau}.
    """
    check_known_scalar("dt", dt, positive=True)
    return _by_pairs(perpendicular, parallel, lambda r: -np.expm1(-24 * float(dt) / r**3)) / float(dt)


def coulomb_isotropization_rate_microcanonical(perpendicular: float, parallel: float, law: str, h: float) -> float:
    r"""The rate of T_perp - T_par at t = 0 under `Microcanonical(PowerLaw(-3), law, h)`, N large. It tends to 3 nu as h -> 0;
    the error is of order h, followed by a term of order h^{4/3}.

    $\frac14 E[(1 - m_2)((z_1^2 + z_2^2)/2 - z_3^2)] / (h\,(T_\perp - T_\parallel))$: a particle collides once in a time h on
    average, and a collision multiplies the harmonics of degree 2 of the direction by m_2 = e^{-24 h/r^3} ("heat_kernel"), or by
    P_2 of max(1 - 8 h/r^3, 0) ("constant_rate").
    """
    if law not in ("constant_rate", "heat_kernel"):
        raise argument_error(
            "law",
            "be 'constant_rate' or 'heat_kernel'",
            f"is {law!r}",
            "choose one: the rate of 'fixed_angle' is infinite at r = 0",
        )
    check_known_scalar("h", h, positive=True)

    def forgotten(r: np.ndarray) -> np.ndarray:
        if law == "heat_kernel":
            return -np.expm1(-24 * h / r**3)
        y = np.minimum(8 * h / r**3, 1)
        return 1.5 * (2 * y - y**2)

    return _by_pairs(perpendicular, parallel, forgotten) / h


def _by_pairs(perpendicular: float, parallel: float, forgotten: Callable[[np.ndarray], np.ndarray]) -> float:
    """E[forgotten(r) ((z_1^2 + z_2^2)/2 - z_3^2)]/(4 (T_perp - T_par)), z the difference of two bi-Maxwellian velocities."""
    perpendicular, parallel = _temperatures(perpendicular, parallel)
    if perpendicular == parallel:
        raise argument_error(
            "parallel", "differ from `perpendicular`", f"both are {parallel:g}",
            "use `coulomb_isotropization_rate`, which includes this limit",
        )  # fmt: skip
    cosine, weight = np.polynomial.legendre.leggauss(64)
    # Finer at small r, where `forgotten` varies on the scale of the cube root of dt or h.
    r = np.concatenate([np.linspace(0, 0.5, 4001)[1:], np.linspace(0.5, 30, 8001)[1:]])[None, :]
    exponent = (1 - cosine**2) / (2 * perpendicular) + cosine**2 / (2 * parallel)
    law = (
        np.exp(-(r**2) * exponent[:, None] / 2)
        * r**2
        / (np.sqrt(2 * np.pi) * 2 * perpendicular * np.sqrt(2 * parallel))
    )
    turned = forgotten(r) * r**2 * ((1 - 3 * cosine**2) / 2)[:, None]
    mean = np.sum(weight * np.trapezoid(law * turned, r[0]))
    return float(mean / (4 * (perpendicular - parallel)))


def _temperatures(perpendicular: float, parallel: float) -> tuple[float, float]:
    check_known_scalar("perpendicular", perpendicular, positive=True)
    check_known_scalar("parallel", parallel, positive=True)
    return float(perpendicular), float(parallel)


def _on_speeds(speed: ArrayLike, density: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    speed = known_numbers("speed", speed, shape=(None,), nonnegative=True)
    density = known_numbers("density", density, shape=(None,), nonnegative=True)
    if len(speed) < least or np.any(np.diff(speed) <= 0):
        raise argument_error("speed", f"increase, with at least {least} entries", f"is {describe(speed)}", "sort it")
    if density.shape != speed.shape:
        raise argument_error(
            "density", f"have {len(speed)} entries, one for each speed", f"has {len(density)}", "pass f at the speeds"
        )
    if not np.any(density * speed > 0):
        raise argument_error("density", "have positive mass", "is 0 everywhere", "pass f at the speeds")
    return speed, density


def isotropic_entropy(speed: Real[ArrayLike, " num"], density: Real[ArrayLike, " num"]) -> float:
    """H = int f log f of an isotropic f(|v|) in d = 3 on a grid of speeds; f is first normalised to mass 1."""
    speed, density = _on_speeds(speed, density, 2)
    shell = 4 * math.pi * speed**2
    f = density / np.trapezoid(shell * density, speed)
    return float(np.trapezoid(shell * f * np.log(np.maximum(f, 1e-300)), speed))


def coulomb_entropy_rate(speed: Real[ArrayLike, " num"], density: Real[ArrayLike, " num"]) -> float:
    r"""dH/dt of an isotropic f(|v|), gamma = -3, d = 3, on a grid of speeds from 0: $-\int 4\pi f'/f\,J\,dv$.

    $\partial_t f = v^{-2}\,\partial_v J$, $J = v^2 D f' + 8\pi f \int_0^v u^2 f$,
    $D = (8\pi/3)[v^{-3} \int_0^v u^4 f + \int_v^\infty u f]$.
    """
    from scipy.integrate import cumulative_trapezoid

    speed, density = _on_speeds(speed, density, 3)
    f = density / np.trapezoid(4 * math.pi * speed**2 * density, speed)
    slope = np.gradient(f, speed, edge_order=2)
    inner2 = cumulative_trapezoid(speed**2 * f, speed, initial=0)
    inner4 = cumulative_trapezoid(speed**4 * f, speed, initial=0)
    outer = np.trapezoid(speed * f, speed) - cumulative_trapezoid(speed * f, speed, initial=0)
    v = np.maximum(speed, 1e-12)
    diffusion = 8 * math.pi / 3 * (inner4 / v**3 + outer)
    flux = speed**2 * diffusion * slope + 8 * math.pi * f * inner2
    # Where f underflows, f'/f would be 0/0; these speeds contribute nothing.
    ratio = np.where(f > 1e-250, slope / np.maximum(f, 1e-300), 0)
    return float(-np.trapezoid(4 * math.pi * ratio * flux, speed))
