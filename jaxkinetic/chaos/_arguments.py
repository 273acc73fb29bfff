"""Checks of the arguments of `chaos_study` that need nothing but the arguments, and of limits against states."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from .._core.system import AbstractSystem
from .._util.checks import argument_error, describe, takes
from ..radial import RadialDensity
from ..states import Density, Particles
from .distance import AbstractDistance
from .series import Theory

__all__ = [
    "LEAST_RUNS", "MOST_PARTICLES", "check_functions", "check_state", "check_varies", "checked_distances", "checked_floor",
    "checked_system", "checked_theory",
]  # fmt: skip

# The bootstrap draws from two halves of the runs, and one run in each has no spread: the error would be 0.
LEAST_RUNS = 4
# Keys are folded with N, and particles are numbered, by 32 bits.
MOST_PARTICLES = 2**31 - 1


def checked_floor(floor: Any) -> bool | str:
    """`floor`. **Raises:** `ValueError` unless it is True, False or "fit"; 1 and 0, which equal the first two, are neither."""
    if isinstance(floor, (bool, np.bool_)):
        return bool(floor)
    if not isinstance(floor, str) or floor != "fit":
        raise argument_error("floor", 'be True, False or "fit"', f"is {describe(floor)}", "choose one")
    return floor


def checked_distances(distances: Any) -> dict[str, AbstractDistance]:
    """`distances`. **Raises:** `ValueError` unless it maps strings to distances."""
    if not isinstance(distances, Mapping) or not distances:
        raise argument_error(
            "distances", "map names to distances", f"is {describe(distances)}", "pass {'name': distance}"
        )
    for name, one in distances.items():
        if not isinstance(name, str) or not name.strip():
            raise argument_error(
                "distances", "have names that are strings", f"has {describe(name)}", "pass {'name': distance}"
            )
        if not isinstance(one, AbstractDistance):
            raise argument_error(f"distances[{name!r}]", "be a distance", f"is {describe(one)}", "take one of jk.chaos")
    return dict(distances)


def check_functions(system_of_N: Any, start: Any) -> None:
    """**Raises:** `ValueError` unless the first is a function of N, and the second one of a key and N."""
    for argument, value, takes_what, num in (("system_of_N", system_of_N, "N", 1), ("start", start, "(key, N)", 2)):
        must, do = f"be a function of {takes_what}", f"pass a function of {takes_what}"
        if not callable(value):
            raise argument_error(argument, must, f"is {describe(value)}", do)
        if not takes(value, num):
            raise argument_error(argument, must, f"cannot be called with {num} argument{'s' * (num > 1)}", do)


def checked_system(system_of_N: Callable[[int], Any], num: int) -> AbstractSystem:
    """system_of_N(N). **Raises:** `ValueError` unless it is a system."""
    system = system_of_N(num)
    if not isinstance(system, AbstractSystem):
        raise argument_error(
            "system_of_N", "return a system", f"returns {describe(system)} for N = {num}",
            "return jk.landau.Kac(...), for example",
        )  # fmt: skip
    return system


def checked_theory(theory: Any, distances: Mapping[str, Any]) -> dict[str, Theory]:
    """`theory`. **Raises:** `ValueError` unless it maps names of distances to `Theory`."""
    if theory is None:
        return {}
    if not isinstance(theory, Mapping):
        raise argument_error(
            "theory",
            "map names of distances to Theory",
            f"is {describe(theory)}",
            "pass {'name': jk.chaos.Theory(...)}",
        )
    for name, one in theory.items():
        if name not in distances:
            raise argument_error(
                "theory", f"have names of `distances`, {list(distances)}", f"has {name!r}", "correct the name"
            )
        if not isinstance(one, Theory):
            raise argument_error(
                f"theory[{name!r}]", "be a Theory", f"is {describe(one)}", "pass jk.chaos.Theory('bound 1/2')"
            )
    return dict(theory)


def check_state(state: Any, num: int, laws: Sequence[Any]) -> None:
    """**Raises:** `ValueError` for another number of particles than N, and for a law in another dimension. A law on one axis
    may be that of one component."""
    if not isinstance(state, Particles):
        return
    if state.num_slots != num:
        raise argument_error(
            "start",
            f"return N = {num} particles for N = {num}",
            f"returns {state.num_slots}",
            "use its second argument",
        )
    dim = state.velocity.shape[1]
    for law in laws:
        found = _dimension(law)
        if found is not None and found != dim:
            raise argument_error(
                "limit", f"be a law of particles in d = {dim}, as those of `start`", f"has d = {found}",
                "use the same dimension for both",
            )  # fmt: skip


def check_varies(measured: Mapping[str, Any], deterministic: bool) -> None:
    """**Raises:** `ValueError` if all runs of particles are equal: their errors would be 0."""
    if deterministic:
        return
    for i, num in enumerate(next(iter(measured.values())).Ns):
        runs = [one.statistics[i][0] for one in measured.values()]
        if all(np.array_equal(x, np.broadcast_to(x[:1], x.shape)) for x in runs) and any(np.any(x) for x in runs):
            raise argument_error(
                "start", "depend on its key, or the system be random", f"gives {len(runs[0])} equal runs of N = {num}",
                "draw the state from the key",
            )  # fmt: skip


def _dimension(law: Any) -> int | None:
    """The number of components of the velocity; None for a density on one axis, and for what a sampler does not tell."""
    if isinstance(law, RadialDensity):
        return law.dim
    if isinstance(law, Density):
        kinds = [axis.periodic for axis in law.grid.axes]
        num = len(kinds) if len(set(kinds)) == 1 else len(kinds) // 2
        return None if len(kinds) == 1 else num
    state = jax.eval_shape(lambda key: law(key, 2), jax.random.key(0, impl="threefry2x32"))
    return state.velocity.shape[1] if isinstance(state, Particles) else None
