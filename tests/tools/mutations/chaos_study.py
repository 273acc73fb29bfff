"""Studies of chaos: runs, control variates, coupled halves, floors, resuming."""

from .mutation import Mutation, tests

_STUDY, _RUNS = "jaxkinetic/chaos/study.py", "jaxkinetic/chaos/runs.py"
_MEASURED, _ESTIMATES = "jaxkinetic/chaos/measured.py", "jaxkinetic/chaos/estimates.py"
_TESTS = "chaos/test_chaos_study.py"

MUTATIONS = [
    Mutation(
        "chaos-study-own-coefficient",
        "The coefficient of the control variate comes from the half that it corrects.",
        _ESTIMATES,
        "((even, betas[1]), (odd, betas[0]))",
        "((even, betas[0]), (odd, betas[1]))",
        tests(_TESTS, "test_control_variate_is_unbiased"),
    ),
    Mutation(
        "chaos-study-no-control",
        "The control variate is added with the wrong sign.",
        _ESTIMATES,
        "estimate(part) - beta * control(part)",
        "estimate(part) + beta * control(part)",
        tests(_TESTS, "test_control_variate_of_time_zero"),
    ),
    Mutation(
        "chaos-study-sum-of-halves",
        "The halves are added instead of averaged.",
        _ESTIMATES,
        "sum(half(rows) for half in halves) / len(halves)",
        "sum(half(rows) for half in halves)",
        tests(_TESTS, "test_halves_with_the_same_noise"),
    ),
    Mutation(
        "chaos-study-first-half-twice",
        "Both halves are the first one.",
        _RUNS,
        "[(0, num), (0, half), (half, half)]",
        "[(0, num), (0, half), (0, half)]",
        tests(_TESTS, "test_halves_with_the_same_noise"),
    ),
    Mutation(
        "chaos-study-rounds-repeat",
        "All rounds of a study have the same key.",
        _RUNS,
        "key = jax.random.fold_in(self.key, number)",
        "key = jax.random.fold_in(self.key, 0)",
        tests(_TESTS, "test_a_shared_temperature_is_not_chaotic"),
    ),
    Mutation(
        "chaos-study-time-of-table",
        "The tables of time 0 serve for every time.",
        _RUNS,
        "index = jnp.searchsorted(self.steps, context.step)",
        "index = 0 * jnp.searchsorted(self.steps, context.step)",
        tests(_TESTS, "test_floor_is_removed_from_independent_particles"),
    ),
    Mutation(
        "chaos-study-floor-added",
        "The floor is added to the square instead of removed.",
        _MEASURED,
        "value, draws = value - low, draws - spread",
        "value, draws = value + low, draws + spread",
        tests(_TESTS, "test_floor_is_removed_from_independent_particles"),
    ),
    Mutation(
        "chaos-study-richardson",
        "Richardson's extrapolation is N minus N/2.",
        _STUDY,
        "value, zero = 2 * one.amount[full] - one.amount[half]",
        "value, zero = one.amount[full] - one.amount[half]",
        tests(_TESTS, "test_richardson"),
    ),
    Mutation(
        "chaos-study-target-ignored",
        "`target` stops after the first runs.",
        _STUDY,
        "    if exponent.stderr <= target:",
        "    if exponent.stderr <= 10 * target:",
        tests(_TESTS, "test_target"),
    ),
    Mutation(
        "chaos-study-power-of-a-fit",
        "The exponent at large N of a square is not halved.",
        "jaxkinetic/chaos/fit.py",
        "(np.asarray(p) / power for p in asymptotic(x, y))",
        "(np.asarray(p) for p in asymptotic(x, y))",
        tests("chaos/test_chaos_fit.py", "test_exponent_at_large_n_of_values_without_noise"),
    ),
]
