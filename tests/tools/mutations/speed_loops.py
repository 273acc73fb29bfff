"""Mistakes in the loops of accelerators."""

from .mutation import Mutation, tests

ADJOINT = "jaxkinetic/_adjoint.py"

MUTATIONS = [
    Mutation(
        "accelerator-keeps-surplus-steps",
        "An accelerator keeps the steps beyond the last one.",
        ADJOINT,
        "jnp.where(kept, new, old), new, loop), None",
        "new, new, loop), None",
        tests("core/test_adjoint_layouts.py", "test_surplus_steps_are_dropped"),
    ),
    Mutation(
        "even-intervals-of-any-length",
        "Intervals are taken for even whatever their lengths: an accelerator would compute many steps in vain.",
        ADJOINT,
        "bool(32 * (longest * steps.size - steps.sum()) <= steps.sum())",
        "steps.size > 0",
        tests("core/test_adjoint_layouts.py", "test_even_intervals"),
    ),
]
