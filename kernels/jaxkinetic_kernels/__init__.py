"""Arrays and bits: counter-based noise and row-blocked pair reductions. Imports jax only; knows no physics."""

from .once import once as once
from .once import row_sums as row_sums
from .pair_noise import pair_normals as pair_normals
from .pair_noise import particle_normals as particle_normals
from .philox import philox_4x32 as philox_4x32
from .power import positive_power as positive_power
from .rows import BLOCK_AREA as BLOCK_AREA
from .rows import map_rows as map_rows
from .tile_noise import tile_normals as tile_normals
from .words import fold_in as fold_in
from .words import normals as normals
from .words import uniform as uniform
