"""Distances by sorting on the host."""

from .mutation import DIAGNOSTICS, Mutation, tests

_SLICED = "measuring/test_sliced_distances.py"

MUTATIONS = [
    Mutation(
        "sort-order-of-negative-numbers",
        "The integers that stand for negative numbers are in the opposite order.",
        DIAGNOSTICS + "_sorting.py",
        "np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))",
        "np.where(bits >> 31, bits & np.uint32((1 << 31) - 1), bits | np.uint32(1 << 31))",
        tests(_SLICED, "test_sorted_rows[float32]"),
    ),
    Mutation(
        "sort-derivative-without-order",
        "The derivative of sorted numbers does not follow them.",
        DIAGNOSTICS + "_sorting.py",
        "return _gathered(x, order), _gathered(tangent, order)",
        "return _gathered(x, order), tangent",
        tests(_SLICED, "test_values_and_gradients[float32-200-13]"),
    ),
]
