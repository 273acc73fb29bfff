"""SI and NRL units: NRL's isotropisation rate from SI numbers, the constant of the Landau equation from Coulomb's force,
Vlasov-Poisson and rarefied gases."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.constants as nature
from helpers import assert_argument_error

import jaxkinetic as jk

U = jk.units
# Deuterium, 1e19 m^-3, 100 eV; temperatures across and along. NRL: 1e13 cm^-3.
DENSITY, MASS, LOGARITHM = 1e19, 2.014 * nature.u, 14.6
KELVIN = 100 * nature.e / nature.k
ACROSS, ALONG = 1.25, 0.5


def deuterium(time_unit=1e-5):
    """With a unit of time of 10 us the strength is not 1."""
    return U.Plasma(DENSITY, KELVIN, MASS, nature.e, LOGARITHM, time_unit)


def nrl_rate(across, along):
    return float(U.isotropization_rate(1e13, 100 * across, 100 * along, MASS / nature.m_p, 1.0, LOGARITHM))


def anisotropy(state):
    v2 = jnp.mean(state.velocity**2, 0)
    return (v2[0] + v2[1]) / 2 - v2[2]


def relative_velocities(across, along):
    """Nodes (K, 3) and weights (K,) of the relative velocity of two bi-Maxwellian particles, for functions that are symmetric
    about the third axis."""
    cosine, weight = np.polynomial.legendre.leggauss(48)
    u, du = np.polynomial.legendre.leggauss(64)
    r, dr = 6 * (u[:, None] + 1), 6 * du[:, None]
    z = np.stack([r * np.sqrt(1 - cosine**2), 0 * r * cosine, r * cosine], -1)
    variance = 2 * np.array([across, across, along])
    law = np.exp(-(z**2 / (2 * variance)).sum(-1)) / np.sqrt((2 * np.pi) ** 3 * variance.prod())
    return z.reshape(-1, 3), (2 * np.pi * weight * dr * r**2 * law).reshape(-1)


def pair_mean(system, phi, across, along, factor=lambda z: 1.0):
    """E[factor(z) (L phi)] of two particles at +-z/2, by quadrature."""
    z, weight = relative_velocities(across, along)
    act = system.generator(phi)
    values = jax.jit(jax.vmap(lambda w: act(jk.Particles(jnp.stack([w, -w]) / 2))))(jnp.asarray(z))
    return float(np.sum(weight * factor(z) * np.asarray(values)))


def test_constants():
    """Against scipy's, whose version may have older measured values. Catches a digit that was copied wrong."""
    ours = (U.ELEMENTARY_CHARGE, U.BOLTZMANN, U.VACUUM_PERMITTIVITY, U.ELECTRON_MASS, U.PROTON_MASS, U.ATOMIC_MASS)
    theirs = (nature.e, nature.k, nature.epsilon_0, nature.m_e, nature.m_p, nature.u)
    np.testing.assert_allclose(ours, theirs, rtol=3e-9)
    assert math.isclose(U.ELECTRONVOLT, nature.e / nature.k, rel_tol=1e-12)


@pytest.mark.parametrize("shape", [(ACROSS, ALONG), (0.7, 1.6), (1.02, 0.96)])
def test_nrl_rate_by_the_exact_law(shape):
    """SI numbers -> strength -> the exact nondimensional rate -> 1/s is NRL's rate in Gaussian units, to 1e-6, for T_perp above
    T_par, below it and near it, and for every unit of time. Catches a factor 2 in the constant (100 % away), 4 pi epsilon_0 in
    place of epsilon_0 (a factor 158), v_0 = sqrt(2 kT/m) (a factor 2.8), and artanh for arctan."""
    for time_unit in (None, 1e-5):
        plasma = deuterium(time_unit)
        rate = plasma.strength * jk.landau.exact.coulomb_isotropization_rate(*shape)
        np.testing.assert_allclose(plasma.per_second(rate), nrl_rate(*shape), rtol=1e-6)


def test_nrl_rate_by_the_generator():
    """The generator of Kac's system at N = 2, averaged over two bi-Maxwellian velocities by quadrature, is (N - 1)/N = 1/2 of
    NRL's rate 3 nu of T_perp - T_par, to 1e-5. It uses no exact law, only the matrix a of the interaction. Catches a factor 2
    between (FW 1.6) and the Landau equation, a factor N/(N - 1), and psi = r^-2."""
    plasma = deuterium()
    kac = jk.landau.Kac(jk.landau.PowerLaw(-3.0, plasma.strength))
    slope = pair_mean(kac, anisotropy, ACROSS, ALONG)
    rate = plasma.per_second(-slope / (ACROSS - ALONG))
    np.testing.assert_allclose(rate, 3 * nrl_rate(ACROSS, ALONG) / 2, rtol=1e-5)


@pytest.mark.optimised
def test_nrl_rate_by_the_limit_equation():
    """The Landau equation on 32^3 points: the initial slopes of T_perp and T_par in K/s are NRL's to 1e-4. Catches a
    strength that the equation and the particles read differently, and a wrong conversion of temperatures."""
    plasma = deuterium()
    axis = jk.Axis(-6.5, 13.0, 32, periodic=False)
    law = functools.partial(
        jk.initial.bimaxwellian,
        perpendicular=plasma.from_kelvin(ACROSS * KELVIN),
        parallel=plasma.from_electronvolts(100 * ALONG),
    )
    limit = jk.landau.Kac(jk.landau.PowerLaw(-3.0, plasma.strength)).limit()
    slope = limit.generator(jk.diagnostics.stress)(jk.initial.on_grid(law, jk.Grid(axis, axis, axis)))
    per_time = plasma.kelvin(jnp.stack([(slope[0, 0] + slope[1, 1]) / 2, slope[2, 2]]))
    nu = nrl_rate(ACROSS, ALONG) * (ACROSS - ALONG) * KELVIN
    np.testing.assert_allclose(plasma.per_second(per_time), [-nu, 2 * nu], rtol=1e-4)


def test_nrl_printed_coefficients():
    """NRL prints 8.2e-7 n lambda T^-3/2 for electrons and 1.9e-8 for protons, at T_perp = T_par. Catches a slip in the Gaussian
    constants, with which the other tests compare."""
    electrons = U.isotropization_rate(1.0, 1.0, 1.0, nature.m_e / nature.m_p, -1.0, 1.0)
    protons = U.isotropization_rate(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert f"{float(electrons):.1e} {float(protons):.1e}" == "8.2e-07 1.9e-08"


def test_constant_from_rutherford_scattering():
    """The drift (4/N) b of a pair's relative velocity in Kac's system is n/N times the rate of momentum transfer of
    Rutherford's deflection tan(theta/2) = b0/b, integrated over the impact parameter b < b0 sqrt(Lambda^2 - 1), to 1e-6. In SI
    units, from Coulomb's force only: no kinetic equation enters. Catches the reduced mass m/2 taken as m (a factor 4)."""
    plasma, speed, num = deuterium(), 3e5, 7
    coulomb = nature.e**2 / (4 * np.pi * nature.epsilon_0)
    b0 = coulomb / (MASS / 2 * speed**2)
    b = np.geomspace(1e-5, np.sqrt(np.exp(2 * LOGARITHM) - 1), 400_001) * b0
    transfer = 2 * (b0 / b) ** 2 / (1 + (b0 / b) ** 2)  # 1 - cos(theta)
    section = np.trapezoid(2 * np.pi * b**2 * transfer, np.log(b))
    z = jnp.asarray([float(plasma.from_metres_per_second(speed)), 0.0, 0.0])
    drift = 4 / num * jk.landau.PowerLaw(-3.0, plasma.strength).b(z)[0] / z[0]
    np.testing.assert_allclose(-plasma.per_second(drift), DENSITY / num * speed * section, rtol=1e-6)


def test_slowing_down_of_a_fast_particle():
    """The drift 2 b*f of a fast test particle is NRL's slowing-down rate (1 + m/m') nu_0 = 8 pi e^4 n lambda/(m^2 v^3), which
    follows from Rosenbluth's potentials. Catches b*f in place of 2 b*f, a factor 2 that the Landau equation hides."""
    plasma, speed = deuterium(), 2e6
    gauss = 2.99792458e9 * nature.e
    nu_0 = 4 * np.pi * gauss**4 * 1e-6 * DENSITY * LOGARITHM / ((1e3 * MASS) ** 2 * (1e2 * speed) ** 3)
    v = jnp.asarray([float(plasma.from_metres_per_second(speed)), 0.0, 0.0])
    drift = 2 * jk.landau.PowerLaw(-3.0, plasma.strength).b(v)[0] / v[0]
    np.testing.assert_allclose(-plasma.per_second(drift), 2 * nu_0, rtol=1e-6)


def test_coulomb_logarithms():
    """NRL's formulas at 1e13 cm^-3 and 100 eV, by hand; an array of temperatures. Catches log10, and a density in m^-3."""
    electrons = U.coulomb_logarithm_electrons(1e13, jnp.asarray([100.0, 10.0]))
    np.testing.assert_allclose(electrons, [13.638, 11.336], atol=1e-3)
    np.testing.assert_allclose(U.coulomb_logarithm_ions(1e13, 100.0), 14.594, atol=1e-3)
    np.testing.assert_allclose(U.coulomb_logarithm_ions(1e13, 100.0, 2.0), 14.594 - 3 * math.log(2), atol=1e-3)


def test_nrl_units_and_scales():
    """`Plasma.nrl` is `Plasma` in other units; omega_p, lambda_D against their definitions; strength = ln Lambda/(8 pi n
    lambda_D^3) in units of 1/omega_p. Catches electronvolts that pass for kelvin."""
    plasma = deuterium()
    nrl = U.Plasma.nrl(1e13, 100.0, MASS / nature.m_p, -1.0, LOGARITHM, 1e-5)
    for name in ("time", "velocity", "length", "strength", "plasma_frequency", "debye_length"):
        np.testing.assert_allclose(getattr(nrl, name), getattr(plasma, name), rtol=1e-8)
    omega = math.sqrt(DENSITY * nature.e**2 / (nature.epsilon_0 * MASS))
    debye = math.sqrt(nature.epsilon_0 * nature.k * KELVIN / (DENSITY * nature.e**2))
    np.testing.assert_allclose([plasma.plasma_frequency, plasma.debye_length], [omega, debye], rtol=1e-8)
    fast = plasma.with_time_unit(1 / omega)
    np.testing.assert_allclose(fast.strength, LOGARITHM / (8 * math.pi * DENSITY * debye**3), rtol=1e-8)
    np.testing.assert_allclose(fast.from_per_metre(0.3 / debye), 0.3, rtol=1e-8)


CONVERSIONS = (
    ("seconds", "from_seconds"), ("per_second", "from_per_second"), ("metres", "from_metres"),
    ("metres_per_second", "from_metres_per_second"), ("per_metre", "from_per_metre"), ("kelvin", "from_kelvin"),
    ("electronvolts", "from_electronvolts"), ("si_entropy", "from_si_entropy"),
)  # fmt: skip


def test_conversions():
    """There and back; velocity = length/time; the entropy of a Maxwellian in SI units by its formula; complex rates. In float32
    too. Catches a division for a product, and d log v_0 with the wrong sign."""
    plasma, x = deuterium(), jnp.asarray([0.3, 2.0])
    for there, back in CONVERSIONS:
        for values in (x, x.astype(jnp.float32)):
            converted = getattr(plasma, there)(values)
            assert converted.dtype == values.dtype
            np.testing.assert_allclose(getattr(plasma, back)(converted), values, rtol=1e-5)
    np.testing.assert_allclose(plasma.metres(x) / plasma.seconds(1.0), plasma.metres_per_second(x), rtol=1e-12)
    np.testing.assert_allclose(plasma.per_second(1.0) * plasma.seconds(1.0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(plasma.per_second(1 - 0.5j), (1 - 0.5j) / 1e-5, rtol=1e-12)
    speed2 = nature.k * KELVIN / MASS
    wanted = -1.5 * math.log(2 * math.pi * math.e * speed2)
    np.testing.assert_allclose(plasma.si_entropy(jk.landau.exact.maxwellian_entropy(3)), wanted, rtol=1e-10)


def test_exponents_are_gradients():
    """d log t_0/d log of density, temperature, mass, charge and ln Lambda are -1, 3/2, 1/2, -4, -1; under jit, in float64 and
    in float32, where the fourth power of a charge underflows. Catches a parameter that was turned into a Python number."""

    def log_time(logs):
        return jnp.log(U.Plasma(*jnp.exp(logs)).time)

    logs = np.log([DENSITY, KELVIN, MASS, nature.e, LOGARITHM])
    for dtype, tolerance in ((jnp.float64, 1e-10), (jnp.float32, 1e-4)):
        slopes = jax.jit(jax.grad(log_time))(jnp.asarray(logs, dtype))
        np.testing.assert_allclose(slopes, [-1, 1.5, 0.5, -4, -1], atol=tolerance)
        np.testing.assert_allclose(log_time(jnp.asarray(logs, dtype)), math.log(deuterium(None).time), rtol=1e-5)


def test_gradient_of_the_nrl_rate():
    """d nu/d T_perp and d nu/d T_par at A = -.2, 0, .3 and 1.5 by central differences. Catches a NaN from the branch that was
    not chosen, and a series with the wrong sign."""

    def rate(temperatures):
        return U.isotropization_rate(1e13, temperatures[0], temperatures[1], 2.0, 1.0, 15.0)

    for across in (80.0, 100.0, 130.0, 250.0):
        at = jnp.asarray([across, 100.0])
        slopes = jax.jit(jax.grad(rate))(at)
        differences = [(rate(at + h) - rate(at - h)) / 0.02 for h in 0.01 * np.eye(2)]
        np.testing.assert_allclose(slopes, differences, rtol=1e-6)


def test_poisson():
    """hat Gamma(k) times the density 1/length is (omega_p t_0)^2/(k v_0 t_0)^2, for a unit of time that is not 1/omega_p; with
    1/omega_p, the default without ln Lambda, strength = length. Catches a strength without (omega_p t_0)^2."""
    electrons = U.Plasma(1e16, 10 * U.ELECTRONVOLT, nature.m_e, -nature.e, time_unit=1e-10)
    length, strength = electrons.poisson(1e-3)
    axis = jk.Axis(0.0, length, 8)
    factor = jk.vlasov.Poisson(length, strength).coefficients((axis,))[1] / length
    omega = math.sqrt(1e16 * nature.e**2 / (nature.epsilon_0 * nature.m_e))
    k_v = 2 * math.pi / 1e-3 * math.sqrt(10 * nature.e / nature.m_e)
    np.testing.assert_allclose(factor, omega**2 / k_v**2, rtol=1e-8)
    np.testing.assert_allclose(*U.Plasma(1e16, 1e5, nature.m_e, nature.e).poisson(1.0), rtol=1e-12)


@pytest.mark.slow
def test_langmuir_wave():
    """A Langmuir wave of k lambda_D = .3 in a unit of time that is not 1/omega_p: frequency and damping in rad/s are those of
    the known root 1.15985 - .01262i in units of omega_p. Catches a strength without (omega_p t_0)^2."""
    electrons = U.Plasma(1e16, 10 * U.ELECTRONVOLT, nature.m_e, -nature.e, time_unit=1e-10)
    k = 0.3 / electrons.debye_length
    length, strength = electrons.poisson(2 * math.pi / k)
    f0 = jk.vlasov.Maxwellian(temperature=1.0, length=length)
    root = jk.vlasov.dispersion_root(jk.vlasov.Poisson(length, strength), f0, electrons.from_per_metre(k))
    wanted = (1.1598464806 - 0.01262036842j) * float(electrons.plasma_frequency)
    np.testing.assert_allclose(electrons.per_second(root), wanted, rtol=1e-6)


ARGON = (2.5e25, 273.15, 39.948 * nature.u, 2.117e-5)


@pytest.mark.parametrize("molecules", ["hard_spheres", "maxwell"])
def test_viscosity_of_a_gas(molecules):
    """Viscosity -> strength -> the relaxation rate of the pressure tensor in `KacWalk` -> p/rate is the viscosity, to 1e-6. The
    rate is E[phi L phi]/E[phi^2], phi = sum of v_x^2 + v_y^2 - 2 v_z^2, by quadrature at N = 2 (so half of the gas's).
    Catches a diameter for a radius (a factor 4), pi D^2/2 for unordered pairs, and sqrt(2 kT/m) for the unit of velocity."""
    if molecules == "maxwell":
        gas = U.MaxwellMolecules(*ARGON, time_unit=1e-9)
        law = jk.boltzmann.Maxwell(gas.strength)
    else:
        gas = U.HardSpheres.from_viscosity(*ARGON, time_unit=1e-9)
        law = jk.boltzmann.HardSphere(gas.strength)
        np.testing.assert_allclose(gas.viscosity, ARGON[3], rtol=1e-10)
        assert 3.6e-10 < gas.diameter < 3.7e-10

    walk = jk.boltzmann.KacWalk(law, volume=2.0)

    def phi(state):
        return 2 * state.num_alive * anisotropy(state)

    # E[(v_x^2 + v_y^2 - 2 v_z^2)^2] = 12 for each particle.
    slope = pair_mean(walk, phi, 1.0, 1.0, lambda z: (z[:, 0] ** 2 - 2 * z[:, 2] ** 2) / 2) / 24
    density, kelvin, _, viscosity = ARGON
    np.testing.assert_allclose(density * nature.k * kelvin / (2 * gas.per_second(-slope)), viscosity, rtol=1e-6)


def test_mean_free_path():
    """1/(sqrt(2) n pi D^2), the mean speed times the mean free time, and the mean free time from the mean relative speed that
    `boltzmann.exact` has. Catches a factor sqrt(2)."""
    gas = U.HardSpheres(2.5e25, 273.15, 39.948 * nature.u, 3.66e-10)
    path = 1 / (math.sqrt(2) * 2.5e25 * math.pi * 3.66e-10**2)
    np.testing.assert_allclose(gas.mean_free_path, path, rtol=1e-10)
    np.testing.assert_allclose(math.sqrt(8 / math.pi) * gas.velocity * gas.mean_free_time, path, rtol=1e-10)
    rate = gas.strength * jk.boltzmann.exact.mean_relative_speed(3)
    np.testing.assert_allclose(1 / gas.per_second(rate), gas.mean_free_time, rtol=1e-10)


BAD = (
    (lambda: U.Plasma(0.0, 1e6, MASS, 1e-19, 10.0), "`density` must be positive"),
    (lambda: U.Plasma(1e19, -1.0, MASS, 1e-19, 10.0), "`temperature` must be positive"),
    (lambda: U.Plasma(1e19, 1e6, [MASS], 1e-19, 10.0), "`mass` must be one real number"),
    (lambda: U.Plasma(1e19, 1e6, MASS, 0.0, 10.0), "`charge` must not be 0"),
    (lambda: U.Plasma(1e19, 1e6, MASS, None, 10.0), "`charge` must be one real number"),
    (lambda: U.Plasma(1e19, 1e6, MASS, 1e-19, 0.0), "`coulomb_logarithm` must be positive"),
    (lambda: U.Plasma(1e19, 1e6, MASS, 1e-19).strength, "`coulomb_logarithm` must be given for Coulomb collisions"),
    (lambda: U.Plasma(1e19, 1e6, MASS, 1e-19).with_time_unit(0.0), "`time_unit` must be positive"),
    (lambda: U.Plasma(1e19, 1e6, MASS, 1e-19).poisson(-1.0), "`wavelength` must be positive"),
    (lambda: U.Plasma(1e19, 1e6, MASS), "`charge` must be given to Plasma"),
    (lambda: U.Plasma.nrl(1e13, 0.0, 1.0), "`temperature` must be positive"),
    (lambda: deuterium().seconds("1"), "`t` must hold real numbers"),
    (lambda: deuterium().si_entropy(1.0, dim=0), "`dim` must be at least 1"),
    (lambda: U.HardSpheres(1e25, 300.0, MASS, 0.0), "`diameter` must be positive"),
    (lambda: U.HardSpheres.from_viscosity(1e25, 300.0, MASS, -1.0), "`viscosity` must be positive"),
    (lambda: U.MaxwellMolecules(1e25, 300.0, MASS, 0.0), "`viscosity` must be positive"),
    (lambda: U.coulomb_logarithm_ions(0.0, 100.0), "`density` must be positive"),
    (lambda: U.coulomb_logarithm_electrons(1e25, 1.0), "`density` must be that of a weakly coupled plasma"),
    (lambda: U.isotropization_rate(1e13, 1.0, np.array([1.0, 0.0]), 1.0, 1.0, 10.0), "`parallel` must be positive"),
)  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_values(call, sentence):
    """Catches units that are computed from impossible numbers, as infinities or NaN."""
    assert_argument_error(call, sentence)


def test_traced_bad_values_are_nan():
    """A traced value has no number to raise for. Catches a plausible result from a negative temperature."""
    assert np.isnan(jax.jit(lambda t: U.Plasma(1e19, t, MASS, 1e-19, 10.0).time)(-1.0))
    assert np.isnan(jax.jit(lambda q: U.Plasma(1e19, 1e6, MASS, q, 10.0).time)(0.0))
    assert np.isnan(jax.jit(lambda t: U.isotropization_rate(1e13, t, 1.0, 1.0, 1.0, 10.0))(-1.0))
    assert np.isnan(jax.jit(lambda n: U.coulomb_logarithm_ions(n, 1.0))(1e30))
