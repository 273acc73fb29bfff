"""SI and NRL units."""

from .mutation import Mutation, tests

_PLASMA, _GAS = "jaxkinetic/units/plasma.py", "jaxkinetic/units/gas.py"
_NRL, _SCALES = "jaxkinetic/units/nrl.py", "jaxkinetic/units/scales.py"
_TESTS = "measuring/test_units.py"

MUTATIONS = [
    Mutation(
        "units-landau-constant",
        "The constant of the Landau equation in SI units has 4 pi in place of 8 pi.",
        _PLASMA,
        "/ (8 * math.pi * self.debye_number)",
        "/ (4 * math.pi * self.debye_number)",
        tests(_TESTS, "test_nrl_rate_by_the_generator", "test_constant_from_rutherford_scattering"),
    ),
    Mutation(
        "units-gaussian-permittivity",
        "The plasma frequency has 4 pi epsilon_0 in place of epsilon_0.",
        _PLASMA,
        "math.sqrt(VACUUM_PERMITTIVITY)",
        "math.sqrt(4 * math.pi * VACUUM_PERMITTIVITY)",
        tests(_TESTS, "test_nrl_rate_by_the_exact_law[shape0]"),
    ),
    Mutation(
        "units-thermal-speed",
        "The unit of velocity is sqrt(2 k T/m).",
        _SCALES,
        "jnp.sqrt(BOLTZMANN * self.temperature)",
        "jnp.sqrt(2 * BOLTZMANN * self.temperature)",
        tests(_TESTS, "test_nrl_rate_by_the_exact_law[shape0]"),
    ),
    Mutation(
        "units-strength-per-time",
        "The strength does not follow the unit of time.",
        _PLASMA,
        "return self.collision_rate * self.time",
        "return self.collision_rate * self.own_time",
        tests(_TESTS, "test_nrl_rate_by_the_generator"),
    ),
    Mutation(
        "units-poisson",
        "The strength of Poisson's potential has the first power of the plasma frequency.",
        _PLASMA,
        "length * (self.plasma_frequency * self.time) ** 2",
        "length * (self.plasma_frequency * self.time)",
        tests(_TESTS, "test_poisson"),
    ),
    Mutation(
        "units-zero-charge",
        "A traced charge of 0 gives an infinite time.",
        _PLASMA,
        "charge = nan_unless(charge != 0, concrete_array(charge))",
        "charge = concrete_array(charge)",
        tests(_TESTS, "test_traced_bad_values_are_nan"),
    ),
    Mutation(
        "units-radius",
        "The cross section of hard spheres is that of their radius.",
        _GAS,
        "math.pi * (self.density * self.diameter)",
        "math.pi / 4 * (self.density * self.diameter)",
        tests(_TESTS, "test_viscosity_of_a_gas[hard_spheres]"),
    ),
    Mutation(
        "units-maxwell-viscosity",
        "The pressure tensor of Maxwell molecules is taken to decay once per collision.",
        _GAS,
        "return 2 * BOLTZMANN * self.temperature * self.density / self.viscosity",
        "return BOLTZMANN * self.temperature * self.density / self.viscosity",
        tests(_TESTS, "test_viscosity_of_a_gas[maxwell]"),
    ),
    Mutation(
        "units-entropy",
        "The entropy in SI units has the wrong sign of d log v_0.",
        _SCALES,
        "return entropy - check_integer",
        "return entropy + check_integer",
        tests(_TESTS, "test_conversions"),
    ),
    Mutation(
        "units-nrl-artanh",
        "NRL's rate has arctan where T_perp < T_par.",
        _NRL,
        "jnp.where(a > 0, positive, negative)",
        "jnp.where(a > 0, positive, positive)",
        tests(_TESTS, "test_nrl_rate_by_the_exact_law[shape1]"),
    ),
    Mutation(
        "units-nrl-series",
        "The power series of NRL's rate does not alternate.",
        _NRL,
        "series * -near",
        "series * near",
        tests(_TESTS, "test_nrl_rate_by_the_exact_law[shape2]"),
    ),
    Mutation(
        "units-nrl-gaussian",
        "NRL's rate has grams per proton mass off by 1000.",
        _NRL,
        "_GRAMS = 1e3 * PROTON_MASS",
        "_GRAMS = PROTON_MASS",
        tests(_TESTS, "test_nrl_printed_coefficients"),
    ),
]
