"""Independent runs of one system, one after the other inside one compiled program."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._save import Contextual, Save
from .._simulate import simulate
from .._solution import SimulationError, Solution
from .._system import AbstractScheme, AbstractSystem
from .._types import Key, Observable
from ..states import Particles
from ._experiment import Options
from ._progress import Progress

# Replicas advance together as long as their pairs fit one block of rows.
_PAIRS = 1 << 17
_PARTS = 32


def run_replicas(
    system: AbstractSystem,
    initial: Callable[[Key], Particles],
    options: Options,
    *,
    observe: Mapping[str, Observable | Contextual],
    state: bool,
    label: str,
    progress: bool,
) -> Solution:
    """`options.replicas` runs, each from its own draw of `initial`, saved about 21 times; every leaf gets the replica as
    leading axis, `times` not. **Raises:** `SimulationError` if one of them fails."""
    scheme: AbstractScheme = options.make_scheme()
    steps = save_steps(options.steps)
    batch = max(1, min(options.replicas, _PAIRS // options.particles**2))
    # The host gets a say (an interrupt) between parts.
    size = batch * max(1, options.replicas // (_PARTS * batch))
    parts = -(-options.replicas // size)
    with Progress(label, parts * size * len(steps), shown=progress) as bar:
        save = Save(steps=steps, state=state, observe={**observe, "tick": Contextual(bar.tick)})

        def one(key: Key) -> Any:
            start_key, run_key = jax.random.split(key)
            solution = simulate(
                system,
                initial(start_key),
                scheme=scheme,
                key=run_key,
                dt=options.dt,
                num_steps=options.steps,
                save=save,
                throw=False,
            )
            return eqx.filter(solution, eqx.is_array)

        keys = jax.random.split(jax.random.key(options.seed), parts * size)
        run_part = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=batch))
        pieces = []
        for part in range(parts):
            pieces.append(run_part(keys[part * size : (part + 1) * size]))
            jax.block_until_ready(pieces[-1].final)
    solutions = jax.tree.map(lambda *x: jnp.concatenate(x)[: options.replicas], *pieces)
    if not bool(solutions.result.ok.all()):
        raise SimulationError(solutions.result.message)
    observed = {name: value for name, value in solutions.observed.items() if name != "tick"}
    return eqx.tree_at(lambda s: (s.times, s.observed), solutions, (solutions.times[0], observed))


def save_steps(steps: int) -> tuple[int, ...]:
    """0 to `steps` in at most 20 intervals that differ by one step at most."""
    return tuple(int(step) for step in np.unique(np.rint(np.linspace(0, steps, 21))))
