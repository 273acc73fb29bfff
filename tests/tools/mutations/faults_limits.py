"""Faults of the newest rooms: densities, limit equations, users' systems, traced numbers, several commands in one process."""

from .mutation import Mutation, tests

_DENSITIES, _CHECKS = "jaxkinetic/diagnostics/densities.py", "jaxkinetic/_util/checks.py"
_RANGES = "core/test_traced_ranges.py"

MUTATIONS = [
    Mutation(
        "density-nan-dropped",
        "The entropy of a density with NaN is that of its other points.",
        _DENSITIES,
        "    f = state.f\n    empty = f <= 0\n    return",
        "    f = state.f\n    empty = ~(f > 0)\n    return",
        tests("measuring/test_densities.py", "test_nan_and_zeros_are_seen"),
    ),
    Mutation(
        "density-grids-by-shape",
        "Two densities on different axes of the same shape are compared point by point.",
        _DENSITIES,
        "elif not all(same) or mine.periodic != axis.periodic:",
        "elif mine.periodic != axis.periodic:",
        tests("measuring/test_densities.py", "test_options_and_grids_that_do_not_fit"),
    ),
    Mutation(
        "density-traced-grid",
        "A traced axis that differs is not seen.",
        _DENSITIES,
        "holds = holds & same[0] & same[1]",
        "pass",
        tests(_RANGES, "test_functions_outside_of_runs_give_nan[grids]"),
    ),
    Mutation(
        "law-traced-negative",
        "A run from a traced density that is negative finishes.",
        _CHECKS,
        "holds = smallest >= -round_off * abs(array).max()",
        "holds = (smallest >= -round_off * abs(array).max()) | traced",
        tests(_RANGES, "test_traced_parameter_out_of_range_is_named[law]"),
    ),
    Mutation(
        "wave-traced-ends",
        "A traced wave that does not vanish at the ends of the velocities runs.",
        "jaxkinetic/vlasov/systems.py",
        'require("state", holds, state.mass, "have unit norm, int |alpha|^2 = 1", do, was="has")\n',
        'require("state", holds, state.mass, "have unit norm, int |alpha|^2 = 1", do, was="has")\n            return\n',
        tests(_RANGES, "test_traced_parameter_out_of_range_is_named[wave ends]"),
    ),
    Mutation(
        "hamiltonian-traced-length",
        "The energy with a potential of another length is a number if the length is traced.",
        "jaxkinetic/vlasov/observables.py",
        "        potential.check(axes)\n    return checks",
        "        potential.check(axes)\n    return {}",
        tests(_RANGES, "test_functions_outside_of_runs_give_nan[length of a wave]"),
    ),
    Mutation(
        "dispersion-traced-scale",
        "A negative scale gives a root if it is traced.",
        "jaxkinetic/vlasov/dispersion.py",
        "return nan_unless_met(checks, nan_out_of_range(potential, root))",
        "return nan_out_of_range(potential, root)",
        tests(_RANGES, "test_dispersion_root_of_traced_numbers"),
    ),
    Mutation(
        "spectral-tail-of-noise",
        "Round-off about the uniform density is taken for a grid that is too coarse.",
        "jaxkinetic/landau/torus_pde.py",
        "_NOISE = 1e4",
        "_NOISE = 0.0",
        tests("laws/test_torus_pde.py", "test_equilibrium_is_resolved"),
    ),
    Mutation(
        "pair-sums-stale",
        "A program of a sum over pairs is kept for a function whose variables have changed.",
        "jaxkinetic/pairs/sums.py",
        '(_ADDRESS.sub("", str(traced)), constants)',
        "()",
        tests("measuring/test_vlasov_observables.py", "test_sums_over_pairs_are_compiled_once"),
    ),
    Mutation(
        "users-flow-loses-particles",
        "A flow of the user's that changes the number of particles is accepted.",
        "jaxkinetic/_core/user_systems.py",
        "if new.shape != old.shape or new.dtype != old.dtype:",
        "if new.dtype != old.dtype:",
        tests("core/test_user_systems.py", "test_wrong_results_are_named[system15-sentence15]"),
    ),
    Mutation(
        "numpy-density-gradient",
        "The gradient of a relative entropy to a law of NumPy reaches JAX's callback.",
        "jaxkinetic/diagnostics/distances.py",
        "forbid_gradient(message, v))",
        "jax.lax.stop_gradient(v))",
        tests("measuring/test_laws_and_neighbours.py", "test_numpy_densities_inside_jit"),
    ),
    Mutation(
        "precision-stays",
        "A command in single precision after one in double precision computes in double precision.",
        "jaxkinetic/experiments/cli.py",
        'jax.config.update("jax_enable_x64", bits == 64)',
        'if bits == 64:\n        jax.config.update("jax_enable_x64", True)',
        tests("command_line/test_kept_results.py", "test_precision_of_several_commands"),
    ),
    Mutation(
        "settings-stay",
        "A command leaves JAX's cache off for those that follow.",
        "jaxkinetic/experiments/cli.py",
        "            jax.config.update(name, value)\n",
        "            pass\n",
        tests("command_line/test_kept_results.py", "test_precision_of_several_commands"),
    ),
]
