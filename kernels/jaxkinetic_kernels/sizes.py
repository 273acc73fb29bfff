"""The number of pairs that are computed at once, by platform.

Blocks on a CPU should stay in its caches. Blocks on an accelerator must fill it: a block of 2^17 pairs takes less time than the
launch of its kernels. 2^22 pairs in float32 stay in the second-level cache of an H100 (50 MB). With more than 2^15 columns,
blocks of 20 million pairs keep the number of blocks small and take 90 MB for Landau's sums and 440 MB for Kac's noise.
"""

import os
from typing import NamedTuple

__all__ = ["PAIRS", "PRODUCTS", "PROJECTIONS", "REPLICAS", "Area"]

_FEW_COLUMNS = 1 << 15


class Area(NamedTuple):
    """Pairs per block: on the CPU, on accelerators for at most 2^15 columns, and on accelerators for more columns."""

    cpu: int
    accelerator: int = 1 << 22
    accelerator_large: int = 5 << 22

    def on_accelerator(self, num_columns: int) -> int:
        return self.accelerator if num_columns <= _FEW_COLUMNS else self.accelerator_large


def _setting() -> int | None:
    """The environment variable JAXKINETIC_BLOCK_PAIRS: the number of pairs per block on accelerators."""
    text = os.environ.get("JAXKINETIC_BLOCK_PAIRS")
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"The environment variable JAXKINETIC_BLOCK_PAIRS must be a positive integer, but is {text!r}; unset it, or "
            "set it to the number of pairs per block on accelerators, for example 4194304."
        )
    return int(text)


_GIVEN = _setting()


def _area(cpu: int, *accelerators: int) -> Area:
    return Area(cpu, *((_GIVEN, _GIVEN) if _GIVEN else accelerators))


# Sums over pairs. Measured on a shared two-core CPU at N = 16384, the drift b of Coulomb in 10^9 ordered pairs/s and the noise
# of Kac's system in 10^6 unordered pairs/s: on one core .83 and 49 with 2^15 pairs per block, .81 and 47 with 2^17; on two
# 1.15 and 84 with 2^17, and less with smaller or larger blocks.
PAIRS = _area(1 << 17)
# Moments as matrix products. Measured on two cores at N = 16384, d = 3, order 2, in 10^9 pairs/s: 1.28 with 2^19 pairs per
# block, .9-1.1 with 2^18 and 2^20.
PRODUCTS = _area(1 << 19)
# Replicas of an ensemble that advance together: the sum of the squares of their numbers of rows.
REPLICAS = _area(1 << 18, 1 << 24, 1 << 24)
# Projections that are sorted at once, counted as directions times particles.
PROJECTIONS = _area(1 << 20, 1 << 24, 1 << 24)
