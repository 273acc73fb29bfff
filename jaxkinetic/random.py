"""Noise for those who write their own systems: functions of (key words, identities, stream), on every device the same.

A step hands a system two uint32 words as `key`. No JAX key is ever split per pair.
"""

from jaxkinetic_kernels import (
    fold_in as fold_in,
    normals as normals,
    pair_normals as pair_normals,
    particle_normals as particle_normals,
    philox_4x32 as philox_4x32,
    uniform as uniform,
)
