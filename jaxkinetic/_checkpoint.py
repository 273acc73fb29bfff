"""Everything a run needs to go on as if it had never stopped."""

from typing import Any

import equinox as eqx

from ._types import PyTree, RealScalar, Words


class Checkpoint(eqx.Module):
    """The end of a run, in memory: `simulate(system, solution.checkpoint, num_steps=...)` continues it bitwise.

    `carry`, `aux`: the scheme's. `key`: the run's two words. `step`: absolute, a Python integer. `t0`, `dt`.
    `scheme`: the one that ran, and the default of the continuation.
    """

    carry: PyTree
    aux: PyTree
    key: Words
    step: int = eqx.field(static=True)
    t0: RealScalar
    dt: RealScalar
    scheme: Any
