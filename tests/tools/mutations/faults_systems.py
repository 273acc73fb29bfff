"""Faults that others' reports found: traced parameters, energies of N particles, statistics of steps and grids."""

from .mutation import PAIRS, VLASOV, Mutation, tests

RANGES = "core/test_traced_ranges.py"
WARNINGS = "measuring/test_run_warnings.py"

MUTATIONS = [
    Mutation(
        "traced-range-not-collected",
        "A traced parameter out of range runs without a word.",
        "jaxkinetic/_util/checks.py",
        "token = _deferred.set(None if _done.get() else found)",
        "token = _deferred.set(None)",
        tests(RANGES, "test_traced_parameter_out_of_range_is_named[annihilation]"),
    ),
    Mutation(
        "traced-range-error-without-name",
        "The error of a traced run does not say which parameter is out of range.",
        "jaxkinetic/_core/solution.py",
        "        if broken >= 0:\n            return self.checks[broken].format(*detail) + which\n",
        "",
        tests(RANGES, "test_traced_step_and_several_runs"),
    ),
    Mutation(
        "traced-start-not-nan",
        "An initial law gives numbers for a traced parameter out of range.",
        "jaxkinetic/_util/checks.py",
        "return jnp.where(within.holds(value), value, np.asarray(np.nan, value.dtype))",
        "return value",
        tests(RANGES, "test_functions_outside_of_runs_give_nan[beta]"),
    ),
    Mutation(
        "homogeneous-length-not-compared",
        "A homogeneous state of another length than the grid's is accepted: its mass is not 1.",
        "jaxkinetic/vlasov/equilibria.py",
        "    f0 = _on_length(f0, grid.axes[0].length)\n",
        "",
        tests(RANGES, "test_homogeneous_state_has_the_mass_of_its_grid"),
    ),
    Mutation(
        "psqm-energy-of-one-particle",
        "The energy of the wave of two particles is that of one particle in two dimensions.",
        VLASOV + "observables.py",
        "if isinstance(state, Wave) and state.num_particles > 1:",
        "if False:",
        tests(WARNINGS, "test_energies_of_the_wave_of_two_particles"),
    ),
    Mutation(
        "psqm-hamiltonian-of-one-particle",
        "The Hamiltonian of the wave of two particles has the mean field of one.",
        VLASOV + "observables.py",
        "many = wave.num_particles > 1",
        "many = False",
        tests(WARNINGS, "test_energies_of_the_wave_of_two_particles"),
    ),
    Mutation(
        "observable-of-a-refused-potential",
        "The energy of a density on a torus is given for a potential of the whole space.",
        VLASOV + "observables.py",
        "    with deferred_checks() as checks:\n        potential.check(axes)\n",
        "    with deferred_checks() as checks:\n        pass\n",
        tests(WARNINGS, "test_observables_refuse_what_they_do_not_describe"),
    ),
    Mutation(
        "grid-tail-of-the-whole",
        "The spectral tails are shares of the whole norm: a small perturbation is lost unseen.",
        VLASOV + "grid_flows.py",
        'waves, finite = shares.pop("waves"),',
        'waves, finite = jnp.ones_like(shares.pop("waves")),',
        tests(WARNINGS, "test_recurrence_is_not_resolved[Vlasov]"),
    ),
    Mutation(
        "grid-recurrence-silent",
        "A run that passes the recurrence time says nothing.",
        VLASOV + "systems.py",
        "            0.9,",
        "            1e9,",
        tests(WARNINGS, "test_recurrence_is_not_resolved[Vlasov]"),
    ),
    Mutation(
        "grid-open-positions-unwatched",
        "Mass at the ends of positions that are not periodic is not counted.",
        VLASOV + "grid_flows.py",
        "if not axis.periodic)",
        "if axis.periodic)",
        tests(WARNINGS, "test_mass_at_the_ends_of_open_positions[Vlasov]"),
    ),
    Mutation(
        "tau-leap-mean-of-a-pair",
        "The mean number of jumps in a step is that of one pair, not of a particle.",
        PAIRS + "tau_leap.py",
        "jax.lax.stop_gradient(factor) * largest",
        "jax.lax.stop_gradient(factor) / (even - 1) * largest",
        tests(WARNINGS, "test_mean_jumps_of_tau_leaping"),
    ),
    Mutation(
        "turn-of-half-the-angle",
        "The angle by which pairs turn is measured from one particle: half of it.",
        "jaxkinetic/pairs/_apply_pair_flow.py",
        "for p, q in zip(after, v_i, strict=True))",
        "for p, q in zip(after, v_i, strict=True)) / 4",
        tests(WARNINGS, "test_turn_of_pairs[Sweep]"),
    ),
    Mutation(
        "euler-drift-of-the-absolute-velocity",
        "The drift of a step is compared with the speed in the laboratory.",
        "jaxkinetic/schemes.py",
        "own = jnp.sum((v - state.mean(v)[None, :]) ** 2, 1)",
        "own = jnp.sum(v**2, 1)",
        tests(WARNINGS, "test_drift_of_euler_maruyama"),
    ),
]
