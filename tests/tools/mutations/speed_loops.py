"""Mistakes in the loops of accelerators."""

from .mutation import Mutation, tests

ADJOINT = "jaxkinetic/_core/adjoint.py"

MUTATIONS = [
    Mutation(
        "accelerator-keeps-surplus-steps",
        "An accelerator keeps the steps beyond the last one.",
        "jaxkinetic/_core/loops.py",
        "jnp.where(kept, new, old), new, loop), None",
        "new, new, loop), None",
        tests("core/test_adjoint_layouts.py", "test_surplus_steps_are_dropped"),
    ),
    Mutation(
        "even-intervals-of-any-length",
        "Intervals are taken for even whatever their lengths: an accelerator would compute many steps in vain.",
        "jaxkinetic/_core/loops.py",
        "bool(32 * (longest * steps.size - steps.sum()) <= steps.sum())",
        "steps.size > 0",
        tests("core/test_adjoint_layouts.py", "test_even_intervals"),
    ),
    Mutation(
        "blocks-of-the-cpu-everywhere",
        "Accelerators compute sums over pairs in the blocks of a CPU.",
        "kernels/jaxkinetic_kernels/rows.py",
        "(area.cpu, area.on_accelerator(num_columns))",
        "(area.cpu, area.cpu)",
        tests("core/test_sizes.py", "test_blocks_by_platform"),
    ),
    Mutation(
        "trips-not-counted",
        "The kernels of a loop are counted once, whatever its trips.",
        "tools/aot/counts.py",
        "trips = int(known.group(1)) if known else self.trips",
        "trips = 1",
        tests("core/test_aot.py", "test_counts_of_loops_and_branches"),
    ),
]
