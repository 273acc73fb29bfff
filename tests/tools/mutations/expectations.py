"""Derivatives of expectations of jump processes: scores, cones, baselines."""

from .mutation import Mutation, tests

_EXPECTATIONS = "jaxkinetic/expectations/"
_BASELINES = _EXPECTATIONS + "_baselines.py"
_BIAS, _CONES, _LAWS = (f"laws/test_expectation{end}.py" for end in ("_bias", "_cones", "s"))

MUTATIONS = [
    Mutation(
        "expectation-program-of-its-number",
        "A Python float that is differentiated becomes a part of the program.",
        _EXPECTATIONS + "_jump_samples.py",
        "return _with_tangent(with_arrays(given), slope,",
        "return _with_tangent(given, slope,",
        tests(_LAWS, "test_other_numbers_use_the_same_program"),
    ),
    Mutation(
        "expectation-virtual-candidates",
        "Where every candidate happens there are no virtual ones, which carry the score of the rate.",
        _EXPECTATIONS + "_sizes.py",
        "factor = 2.0 if constant else 1.0",
        "factor = 1.0",
        tests(_LAWS, "test_annihilating_maxwell_walk[8-12000]"),
    ),
    Mutation(
        "expectation-rejected-score",
        "The score of a rejected candidate is half of what it must be.",
        "jaxkinetic/_util/decisions.py",
        "given = jnp.where(outcome, p, p - 1)",
        "given = jnp.where(outcome, p, 2 * (p - 1))",
        tests(_LAWS, "test_hard_spheres_by_time_scaling[8]"),
    ),
    Mutation(
        "expectation-own-baseline",
        "The baseline contains the replica itself.",
        _BASELINES,
        "return jnp.sum(x, axis=0, keepdims=True) - x",
        "return jnp.sum(x, axis=0, keepdims=True) + 0 * x",
        tests(_BIAS, "test_few_replicas[2]"),
    ),
    Mutation(
        "expectation-fitted-factor",
        "The factor of the one-step baseline is fitted to weights whose baseline contains the replica itself.",
        _BASELINES,
        "for x in (part, count / num, shift)",
        "for x in (weights, 0 * count, shift)",
        tests(_BIAS, "test_few_replicas[2]"),
    ),
    Mutation(
        "expectation-function-of-sums",
        "The weight for a function of the sums is that of its linearisation.",
        _BASELINES,
        "return function(own) - function(own - part) - function(others) + function(others - mean)",
        "return 2 * own * (part - mean)",
        tests(_BIAS, "test_number_variance"),
    ),
    Mutation(
        "expectation-cone-partner",
        "After an event both particles carry the cone of the first.",
        _EXPECTATIONS + "_cones.py",
        "both = union(rows[0], rows[1])",
        "both = rows[0]",
        tests(_CONES, "test_cones_by_brute_force[hard spheres]"),
    ),
    Mutation(
        "expectation-cone-save",
        "A cone begins one save late.",
        _EXPECTATIONS + "_cones.py",
        "inject(x, number + int(sizes.at_start))",
        "inject(x, number)",
        tests(_CONES, "test_cones_by_brute_force[maxwell]"),
    ),
    Mutation(
        "expectation-start-majorant",
        "The cones of the start's decisions are used where these change the majorant.",
        _EXPECTATIONS + "_start_decisions.py",
        "return not system.constant_rate and not np.array_equal(yes[0], no[0])",
        "return False",
        tests(_BIAS, "test_start_that_changes_the_majorant"),
    ),
    Mutation(
        "expectation-bound-reached",
        "A rate that reaches its bound for all velocities happens for certain.",
        _EXPECTATIONS + "_record.py",
        "most if system.constant_rate else headroom * most",
        "most if not jax.tree.leaves(env) else headroom * most",
        tests(_LAWS, "test_users_two_state_chain[None]"),
    ),
]
