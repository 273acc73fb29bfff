"""The rule for gradients of sums over pairs."""

from .mutation import PAIRS, Mutation, tests

RULE = "core/test_radial_sums.py"

MUTATIONS = [
    Mutation(
        "sums-rule-opposite-pair-twice",
        "In the gradient on a CPU the pairs half of the slots apart count twice, if the number of slots is even.",
        PAIRS + "radial_sums.py",
        "both = both & ((steps < half) | (i < half))",
        "pass",
        tests(RULE, "test_rule_equals_derivative_of_the_sum[38-False-cpu]"),
    ),
    Mutation(
        "sums-rule-parameter-twice",
        "In the gradient on an accelerator every pair counts twice in the derivative in a parameter.",
        PAIRS + "radial_sums.py",
        "tuple(0.5 * p for p in by_leaf)",
        "tuple(by_leaf)",
        tests(RULE, "test_rule_equals_derivative_of_the_sum[38-False-default]"),
    ),
    Mutation(
        "sums-rule-parity",
        "The gradient of Kac's noise takes its sum over partners for even.",
        "jaxkinetic/landau/interactions.py",
        "d * (noise is not None) * (-1,)",
        "d * (noise is not None) * (1,)",
        tests("core/test_sums.py", "test_noise_equals_dense_noise"),
    ),
]
