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
        "sums-rule-made-anew",
        "Outside of `jit` every sum over pairs is compiled again.",
        PAIRS + "radial_sums.py",
        "total = _remembered_rule(*given)",
        "total = _rule(*given)",
        tests(RULE, "test_a_second_call_compiles_nothing[drift]"),
    ),
    Mutation(
        "sums-general-made-anew",
        "Outside of `jit` the sums of a law that is not radial are compiled again at every call.",
        PAIRS + "sums.py",
        "return program(arrays)",
        "return fn(*given)",
        tests(RULE, "test_a_second_call_compiles_nothing[general_b]"),
    ),
    Mutation(
        "sums-rule-without-the-law",
        "Two radial laws of one kind that differ in a function have the same sums.",
        PAIRS + "radial_sums.py",
        "given = terms, weight, parity, area, _by_platform, tree, *leaves",
        "_LEAVES = globals().setdefault('_LEAVES', {}).setdefault(tree, leaves)\n"
        "    given = terms, weight, parity, area, _by_platform, tree, *_LEAVES",
        tests(RULE, "test_what_is_remembered_is_the_right_sum"),
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
