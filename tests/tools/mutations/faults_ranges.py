"""Mistakes in what is said of arguments that are traced and out of range, and of other slips."""

from .mutation import Mutation, tests

RANGES = "core/test_traced_ranges.py"

MUTATIONS = [
    Mutation(
        "traced-time-of-heat",
        "The angle after a traced negative time is a plausible number.",
        "jaxkinetic/pairs/spherical_heat/__init__.py",
        "            values = nan_unless(fulfilled(array), values)",
        "            values = nan_unless(True, values)",
        tests(RANGES, "test_functions_outside_of_runs_give_nan"),
    ),
    Mutation(
        "traced-edges-decrease",
        "A histogram over traced edges that decrease is a plausible density.",
        "jaxkinetic/diagnostics/histograms.py",
        "        increase = jnp.all(traced[1:] > traced[:-1])",
        "        increase = jnp.all(traced[1:] != traced[:-1])",
        tests(RANGES, "test_functions_outside_of_runs_give_nan"),
    ),
    Mutation(
        "traced-strength-of-landau",
        "The matrix a of a traced negative strength is a number, and so is an energy.",
        "jaxkinetic/_util/checks.py",
        "            values = nan_unless(ranges[name].holds(value), values)",
        "            values = nan_unless(FINITE.holds(value), values)",
        tests(RANGES, "test_functions_outside_of_runs_give_nan"),
    ),
    Mutation(
        "traced-norm-of-wave",
        "A run from a traced wave of norm 9 finishes without a word.",
        "jaxkinetic/vlasov/systems.py",
        "            self._check_traced(state)\n",
        "",
        tests(RANGES, "test_traced_parameter_out_of_range_is_named"),
    ),
]
