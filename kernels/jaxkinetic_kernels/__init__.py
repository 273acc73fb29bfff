"""Kernels on arrays and random bits: counter-based noise and blocked sums over pairs. Imports only JAX; contains no physics."""

from .candidates import advance as advance, candidates as candidates, event_words as event_words
from .conflict_free_batches import (
    assign_waves as assign_waves,
    running_count as running_count,
    schedule as schedule,
    waves_one_by_one as waves_one_by_one,
)
from .elementwise import positive_power as positive_power, square_root as square_root, wrap as wrap
from .feistel import feistel as feistel, permute as permute
from .fusion import (
    materialise as materialise,
    materialise_both as materialise_both,
    materialise_words as materialise_words,
    once as once,
    once_on_cpu as once_on_cpu,
    row_sums as row_sums,
)
from .matchings import circle_round as circle_round, random_matching as random_matching
from .nearest import kth_nearest as kth_nearest
from .noise import (
    pair_normals as pair_normals,
    pair_words as pair_words,
    particle_normals as particle_normals,
    tile_normals as tile_normals,
)
from .philox import philox_4x32 as philox_4x32
from .random_bits import fold_in as fold_in, normals as normals, uniform as uniform
from .reachability import components as components, sum_over_bits as sum_over_bits
from .rows import map_rows as map_rows
from .sizes import PAIRS as PAIRS, PRODUCTS as PRODUCTS, PROJECTIONS as PROJECTIONS, REPLICAS as REPLICAS, Area as Area
from .structure_factors import (
    difference_series as difference_series,
    structure_factors as structure_factors,
    trigonometric_series as trigonometric_series,
)
from .trigonometry import cos_sin as cos_sin, cos_sin_turns as cos_sin_turns

__all__ = [
    "PAIRS", "PRODUCTS", "PROJECTIONS", "REPLICAS", "Area", "advance", "assign_waves", "candidates", "circle_round",
    "components", "cos_sin", "cos_sin_turns", "difference_series", "event_words", "feistel", "fold_in", "kth_nearest",
    "map_rows", "materialise", "materialise_both", "materialise_words", "normals", "once", "once_on_cpu",
    "pair_normals", "pair_words", "particle_normals", "permute", "philox_4x32", "positive_power", "random_matching",
    "row_sums", "running_count", "schedule", "square_root", "structure_factors", "sum_over_bits", "tile_normals",
    "trigonometric_series", "uniform", "waves_one_by_one", "wrap",
]  # fmt: skip
