"""Arrays and bits: counter-based noise and row-blocked pair reductions. Imports jax only; knows no physics."""

from .feistel import feistel as feistel
from .feistel import permute as permute
from .matchings import circle_round as circle_round
from .matchings import random_matching as random_matching
from .materialise import materialise as materialise
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
from .rows import BLOCK_AREA as BLOCK_AREA
from .rows import map_rows as map_rows
from .structure_factors import difference_series as difference_series
from .structure_factors import structure_factors as structure_factors
from .structure_factors import trigonometric_series as trigonometric_series
from .tile_noise import tile_normals as tile_normals
from .words import cos_sin as cos_sin
from .words import cos_sin_turns as cos_sin_turns
from .words import fold_in as fold_in
from .words import normals as normals
from .words import uniform as uniform
