"""Arrays and bits: counter-based noise and row-blocked pair reductions. Imports jax only; knows no physics."""

from .pair_noise import pair_normals as pair_normals
from .pair_noise import particle_normals as particle_normals
from .philox import philox_4x32 as philox_4x32
from .rows import map_rows as map_rows
from .words import fold_in as fold_in
from .words import normals as normals
from .words import uniform as uniform
