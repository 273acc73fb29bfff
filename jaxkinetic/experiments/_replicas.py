"""Independent runs of one system, one after the other inside one compiled program."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax

from .._save import Contextual, Save
from .._simulate import simulate
from .._solution import SimulationError, Solution
from .._system import AbstractScheme, AbstractSystem
from .._types import Key, Observable
from ..states import Particles
from ._experiment import Options
from ._progress import Progress

# Replicas advance together as long as their pairs fit a CPU's second-level cache.
_PAIRS = 1 << 17


def run_replicas(
    system: AbstractSystem,
    initial: Callable[[Key], Particles],
    options: Options,
    *,
    every: int,
    observe: Mapping[str, Observable | Contextual],
    state: bool,
    label: str,
    progress: bool,
) -> Solution:
    """`options.replicas` runs, each from its own draw of `initial`; every leaf gets the replica as leading axis, `times`
    not. **Raises:** `SimulationError` if one of them fails."""
    num_saves = options.steps // every + 1
    scheme: AbstractScheme = options.make_scheme()
    with Progress(label, options.replicas * num_saves, shown=progress) as bar:
        save = Save(every=every, state=state, observe={**observe, "tick": Contextual(bar.tick)})

        def one(key: Key) -> Any:
            start_key, run_key = jax.random.split(key)
            solution = simulate(
                system, initial(start_key), scheme=scheme, key=run_key, dt=options.dt, num_steps=options.steps,
                save=save, throw=False,
            )  # fmt: skip
            return eqx.filter(solution, eqx.is_array)

        keys = jax.random.split(jax.random.key(options.seed), options.replicas)
        batch = max(1, min(options.replicas, _PAIRS // options.particles**2))
        solutions = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=batch))(keys)
        jax.block_until_ready(solutions.final)
    if not bool(solutions.result.ok.all()):
        raise SimulationError(solutions.result.message)
    observed = {name: value for name, value in solutions.observed.items() if name != "tick"}
    return eqx.tree_at(lambda s: (s.times, s.observed), solutions, (solutions.times[0], observed))


def save_interval(steps: int, wanted: int = 20) -> int:
    """The largest divisor of `steps` that gives at least `wanted` intervals, or 1."""
    return max(k for k in range(1, steps + 1) if steps % k == 0 and (steps // k >= wanted or k == 1))
