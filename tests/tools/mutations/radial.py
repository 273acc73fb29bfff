"""Isotropic densities, laws as densities, Wasserstein distances of densities, limits of systems."""

from .mutation import Mutation, tests

_RADIAL, _LAWS = "jaxkinetic/radial.py", "jaxkinetic/initial/densities.py"
_TRANSPORT = "jaxkinetic/diagnostics/_monotone_transport.py"
_TESTS = "measuring/test_radial_densities.py"

MUTATIONS = [
    Mutation(
        "radial-end-correction",
        "The weights of speeds in even dimension lack the correction at v = 0.",
        _RADIAL,
        "if dim % 2 == 0:",
        "if False:",
        tests(_TESTS, "test_quadrature[2]"),
    ),
    Mutation(
        "radial-area",
        "The area of the sphere is that of another dimension.",
        _RADIAL,
        "/ math.gamma(dim / 2)",
        "/ math.gamma((dim + 1) / 2)",
        tests(_TESTS, "test_quadrature[3]"),
    ),
    Mutation(
        "densities-bimaxwellian-axes",
        "The two temperatures of a bi-Maxwellian density are exchanged between the axes.",
        _LAWS,
        "exponent = _square(v[:-1]) / (2 * across) + v[-1] ** 2 / (2 * along)",
        "exponent = _square(v[:-1]) / (2 * along) + v[-1] ** 2 / (2 * across)",
        tests(_TESTS, "test_laws_on_a_grid"),
    ),
    Mutation(
        "densities-shell-temperature",
        "The shell as a density lacks the factor d in its temperature.",
        _LAWS,
        "sigma = jnp.sqrt(dim * known_as",
        "sigma = jnp.sqrt(known_as",
        tests(_TESTS, "test_a_radial_law_is_the_law_on_the_grid"),
    ),
    Mutation(
        "transport-first-cell",
        "The quantile of a speed ignores the cell between 0 and the first speed.",
        _TRANSPORT,
        "    if isinstance(state, RadialDensity):\n        # The cell",
        "    if False:\n        # The cell",
        tests(_TESTS, "test_wasserstein_of_isotropic_laws[1]"),
    ),
    Mutation(
        "transport-parity",
        "The density of the speed is mirrored as an even function in every dimension.",
        _TRANSPORT,
        "mirrored = p[::-1] if dim % 2 else -p[::-1]",
        "mirrored = p[::-1]",
        tests(_TESTS, "test_wasserstein_of_isotropic_laws[2]"),
    ),
    Mutation(
        "fisher-at-a-zero",
        "Fisher's information leaves out the zeros of the density.",
        "jaxkinetic/diagnostics/densities.py",
        "at_zero = jnp.maximum(at_zero, 0) * (2 / f.ndim)",
        "at_zero = jnp.zeros_like(f)",
        tests(_TESTS, "test_fisher_information_at_a_zero"),
    ),
    Mutation(
        "limit-annihilation",
        "The limit of the walk has no annihilation.",
        "jaxkinetic/boltzmann/systems.py",
        "return IsotropicPDE(self.cross_section, self.annihilation",
        "return IsotropicPDE(self.cross_section, 0.0",
        tests("laws/test_limits.py", "test_other_systems"),
    ),
    Mutation(
        "isotropic-stiffness-of-nothing",
        "The bound of the eigenvalues is NaN where f underflows, and RKC takes its least number of stages.",
        "jaxkinetic/landau/isotropic_pde.py",
        "jnp.maximum(weights * f, jnp.finfo(f.dtype).tiny)",
        "(weights * f)",
        tests("laws/test_isotropic_landau.py", "test_stiffness_of_a_shell_with_an_empty_middle"),
    ),
    Mutation(
        "isotropic-traced-data",
        "Traced data of the isotropic equation are not checked.",
        "jaxkinetic/landau/isotropic_pde.py",
        '        check_law("state.f", state.f)\n        if is_traced(state):\n            return\n',
        '        if is_traced(state):\n            return\n        check_law("state.f", state.f)\n',
        tests("laws/test_limits.py", "test_traced_data_of_no_mass[system0]"),
    ),
    Mutation(
        "box-check-inside-a-trace",
        "The check of known data on a box computes inside of the trace.",
        "jaxkinetic/landau/velocity_box.py",
        "with jax.ensure_compile_time_eval():",
        "if True:",
        tests("laws/test_limits.py", "test_known_data_and_a_traced_parameter[landau]"),
    ),
]
