"""Arrays and bits: counter-based noise and row-blocked pair reductions. Imports jax only; knows no physics."""

from .candidates import advance as advance
from .candidates import candidates as candidates
from .candidates import event_words as event_words
from .feistel import feistel as feistel
from .feistel import permute as permute
from .matchings import circle_round as circle_round
from .matchings import random_matching as random_matching
from .materialise import materialise as materialise
from .materialise import materialise_both as materialise_both
from .materialise import materialise_words as materialise_words
from .nearest import kth_nearest as kth_nearest
from .once import once as once
from .once import row_sums as row_sums
from .pair_noise import pair_normals as pair_normals
from .pair_noise import pair_words as pair_words
from .pair_noise import particle_normals as particle_normals
from .periodic import wrap as wrap
from .philox import philox_4x32 as philox_4x32
from .power import positive_power as positive_power
from .power import square_root as square_root
from .rows import map_rows as map_rows
from .sizes import PAIRS as PAIRS
from .sizes import PRODUCTS as PRODUCTS
from .sizes import PROJECTIONS as PROJECTIONS
from .sizes import REPLICAS as REPLICAS
from .sizes import Area as Area
from .structure_factors import difference_series as difference_series
from .structure_factors import structure_factors as structure_factors
from .structure_factors import trigonometric_series as trigonometric_series
from .tile_noise import tile_normals as tile_normals
from .waves import assign_waves as assign_waves
from .waves import running_count as running_count
from .waves import schedule as schedule
from .waves import waves_one_by_one as waves_one_by_one
from .words import cos_sin as cos_sin
from .words import cos_sin_turns as cos_sin_turns
from .words import fold_in as fold_in
from .words import normals as normals
from .words import uniform as uniform

__all__ = [
    "PAIRS", "PRODUCTS", "PROJECTIONS", "REPLICAS", "Area", "advance", "assign_waves", "candidates", "circle_round",
    "cos_sin", "cos_sin_turns", "difference_series", "event_words", "feistel", "fold_in", "kth_nearest", "map_rows",
    "materialise", "materialise_both", "materialise_words", "normals", "once", "pair_normals", "pair_words",
    "particle_normals", "permute", "philox_4x32", "positive_power", "random_matching", "row_sums", "running_count",
    "schedule", "square_root", "structure_factors", "tile_normals", "trigonometric_series", "uniform",
    "waves_one_by_one", "wrap",
]  # fmt: skip
