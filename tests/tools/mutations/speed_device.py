"""Mistakes in what is said of accelerators."""

from .mutation import Mutation, tests

FILE = "command_line/test_bench_device.py"

MUTATIONS = [
    Mutation(
        "device-restart-in-one-process-only",
        "The README counts a restart as bitwise on a device where a second process gave other bits.",
        "benchmarks/_device_table.py",
        'RESTARTS = ("restart", "restart_in_second_process")',
        'RESTARTS = ("restart",)',
        tests(FILE, "test_section_promises_only_what_was_measured"),
    ),
    Mutation(
        "device-check-tolerates-anything",
        "A check on a device passes whatever the conditioning: the tolerance has no upper bound.",
        "benchmarks/_device_checks.py",
        "<= tolerances[name] <= LARGEST[dtype]",
        "<= tolerances[name]",
        tests(FILE, "test_paths_are_compared_by_measured_tolerances"),
    ),
    Mutation(
        "device-share-of-the-wrong-ceiling",
        "An item of several limits is held against the least of them.",
        "benchmarks/_device_timing.py",
        "max(least, key=lambda name: least[name])",
        "min(least, key=lambda name: least[name])",
        tests(FILE, "test_share_of_the_ceiling"),
    ),
    Mutation(
        "device-scatters-complex128",
        "In float64, accelerators scatter columns that are packed two by two, one particle after another.",
        "jaxkinetic/pairs/_packed_columns.py",
        "if x.dtype != jnp.complex128:",
        "if True:",
        tests("core/test_aot.py", "test_no_scatter_of_large_elements"),
    ),
    Mutation(
        "device-density-of-another-mode",
        "On accelerators the density is not the zero mode of the transform over v.",
        "jaxkinetic/vlasov/grid_flows.py",
        "[(..., *[0] * d)].real",
        "[(..., *[1] * d)].real",
        tests("measuring/test_vlasov_observables.py", "test_density_on_accelerators"),
    ),
    Mutation(
        "device-earlier-run-wins",
        "Of two runs that have an item, the earlier one counts.",
        "benchmarks/_device_table.py",
        "out[part] |= content.get(part, {})",
        "out[part] = content.get(part, {}) | out[part]",
        tests(FILE, "test_runs_are_merged"),
    ),
    Mutation(
        "device-flags-mixed",
        "Runs with XLA_FLAGS count as runs without.",
        "benchmarks/_device_table.py",
        'by_flags.setdefault(content.get("flags", ""), [])',
        'by_flags.setdefault("", [])',
        tests(FILE, "test_runs_are_merged"),
    ),
    Mutation(
        "device-two-commits-in-one-file",
        "Results of two commits are kept as one.",
        "benchmarks/_device_table.py",
        '("device", "device_kind", "platform", "commit", "versions")',
        '("device", "device_kind", "platform", "versions")',
        tests(FILE, "test_runs_that_do_not_belong_together"),
    ),
    Mutation(
        "device-partial-run-overwrites",
        "A run of some items at another commit replaces the complete result of the card.",
        "benchmarks/_device_table.py",
        "target = again if beside else complete",
        "target = complete",
        tests(FILE, "test_partial_run_beside_a_complete_one"),
    ),
    Mutation(
        "device-changed-files-as-a-commit",
        "The README says that a run of changed files is one of the commit below them.",
        "benchmarks/_device_table.py",
        "if commit.endswith('-dirty')",
        "if False",
        tests(FILE, "test_partial_run_beside_a_complete_one"),
    ),
    Mutation(
        "device-mended-without-holding",
        "What failed and was not measured again, or still fails, is called mended.",
        "benchmarks/_device_table.py",
        "if not held and now.get(item)]",
        "if not held]",
        tests(FILE, "test_partial_run_beside_a_complete_one"),
    ),
]
