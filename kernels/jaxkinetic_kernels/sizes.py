"""How many pairs are computed at once, by platform: the one table.

The CPU's blocks stay in its caches. An accelerator's must fill it: a block of 2^17 pairs takes less time there than to launch
its kernels. 2^22 pairs of float32 stay in the second-level cache of an H100 (50 MB); with more than 2^15 columns blocks of
20 million keep the number of blocks small, at 90 MB for Landau's sums and 440 MB for Kac's noise.
"""

import os
from typing import NamedTuple

__all__ = ["PAIRS", "PRODUCTS", "PROJECTIONS", "REPLICAS", "Area"]

_FEW_COLUMNS = 1 << 15


class Area(NamedTuple):
    """Pairs of one block: on the CPU, and on accelerators for at most 2^15 columns and for more."""

    cpu: int
    accelerator: int = 1 << 22
    accelerator_large: int = 5 << 22

    def on_accelerator(self, num_columns: int) -> int:
        return self.accelerator if num_columns <= _FEW_COLUMNS else self.accelerator_large


def _setting() -> int | None:
    """The environment's JAXKINETIC_BLOCK_PAIRS: pairs computed at once on accelerators."""
    text = os.environ.get("JAXKINETIC_BLOCK_PAIRS")
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"The environment variable JAXKINETIC_BLOCK_PAIRS must be a positive integer, but is {text!r}; unset it, or "
            "give the pairs of one block on accelerators, say 4194304."
        )
    return int(text)


_GIVEN = _setting()


def _area(cpu: int, *accelerators: int) -> Area:
    return Area(cpu, *((_GIVEN, _GIVEN) if _GIVEN else accelerators))


# Sums over pairs. Measured on a shared two-core CPU, N = 16384, Coulomb's b in G ordered pairs/s and Kac's noise in M
# unordered ones: on one core .83 and 49 with 2^15 pairs a block, .81 and 47 with 2^17; on two 1.15 and 84 with 2^17, less on
# either side.
PAIRS = _area(1 << 17)
# Moments as matrix products. Measured on two cores, N = 16384, d = 3, order 2: 1.28 G pairs/s with 2^19 pairs a block, .9-1.1
# with 2^18 and 2^20.
PRODUCTS = _area(1 << 19)
# Replicas of an ensemble that advance together: the squares of their numbers of rows.
REPLICAS = _area(1 << 18, 1 << 24, 1 << 24)
# Projections that are sorted at once: directions times particles.
PROJECTIONS = _area(1 << 20, 1 << 24, 1 << 24)
