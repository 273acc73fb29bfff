"""Mistakes in random matchings without a loop of unknown length, and in roots by rotations."""

from .mutation import Mutation, tests

ROOTS = "jaxkinetic/landau/roots.py"
FEISTEL = "kernels/jaxkinetic_kernels/feistel.py"

MUTATIONS = [
    Mutation(
        "walks-doubled-too-seldom",
        "A walk through three places beyond the last item is followed through two.",
        FEISTEL,
        "count = (len(images) - 1).bit_length()",
        "count = len(images).bit_length() - 1",
        tests("laws/test_pairs.py", "test_walks_through_every_place_beyond[3]"),
    ),
    Mutation(
        "grid-of-four-rounds",
        "The bijection of a grid has four rounds: items of one column have images that depend on each other.",
        FEISTEL,
        "range(_ROUNDS_GRID // 2)",
        "range(_ROUNDS_GRID // 4)",
        tests("laws/test_pairs.py", "test_images_of_many_items[1052]"),
    ),
    Mutation(
        "root-of-too-few-rotations",
        "Two sweeps of rotations instead of four or five.",
        ROOTS,
        "count = 12 if jnp.finfo(matrix.dtype).bits <= 32 else 15",
        "count = 6",
        tests("core/test_roots.py", "test_root_at_every_spectrum[3-float64]"),
    ),
]
