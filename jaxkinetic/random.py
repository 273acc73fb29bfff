"""Noise for those who write their own systems: functions of (key words, identities, stream), on every device the same.

A step hands a system two uint32 words as `key`. No JAX key is ever split per pair.
"""

from jaxkinetic_kernels import (
    fold_in as fold_in,
)
from jaxkinetic_kernels import (
    normals as normals,
)
from jaxkinetic_kernels import (
    pair_normals as pair_normals,
)
from jaxkinetic_kernels import (
    pair_words as pair_words,
)
from jaxkinetic_kernels import (
    particle_normals as particle_normals,
)
from jaxkinetic_kernels import (
    philox_4x32 as philox_4x32,
)
from jaxkinetic_kernels import (
    uniform as uniform,
)
