"""Several devices, and what the steps of grids report."""

from .mutation import Mutation, tests

_TOLD = tests("core/test_devices.py", "test_what_does_not_scale_is_told")

MUTATIONS = [
    Mutation(
        "matching-silent-on-devices",
        "A matching of a divided state collects all pairs on every device, and says nothing.",
        "jaxkinetic/pairs/matching.py",
        '"collects all pairs on every device"',
        '""',
        _TOLD,
    ),
    Mutation(
        "copies-silent",
        "A state that several devices hold copies of is run on each of them, and nothing is said.",
        "jaxkinetic/_util/sharding.py",
        "if self.divided and not gathers:",
        "if not gathers or not self.divided:",
        _TOLD,
    ),
    Mutation(
        "grid-stats-lines-once",
        "In the tails of a real density every line of half a spectrum counts once, also those that stand for two.",
        "jaxkinetic/vlasov/grid_flows.py",
        "(0, num - 1)), 1, 2)",
        "(0, num - 1)), 1, 1)",
        tests(
            "contract/test_split_errors_and_equations.py", "test_resolution_stats[vlasov-gaussian-d1-order2-float64]"
        ),
    ),
]
