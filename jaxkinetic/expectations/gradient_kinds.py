"""Which derivative of a mean exists in each parameter of a system and its initial state, and how it is computed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np

from .._core.adjoint import Direct
from .._core.simulate import simulate
from .._core.start import check_start
from .._core.system import AbstractPairJump, AbstractScheme, AbstractSystem
from .._util.checks import cast_floating, is_traced
from .._util.decisions import logged_decisions
from .._util.gradients import forbid_gradient
from .._util.types import PyTree, State
from ..pairs import ExactClock, TauLeap
from ..radial import RadialGrid
from ..states import Grid, Particles
from ._events import selected_pairs
from ._record import Given, RunFunction, Sizes
from ._tangent import find_parts, without_tangents

__all__ = ["GradientKind", "gradient_kinds"]


class GradientKind(NamedTuple):
    """How the derivative of a mean in one leaf is computed: an entry of `gradient_kinds`.

    - `kind`: "pathwise", "score", "both" (their sum), "zero", "infinite" or "raises".
    - `reason`: why, in a few words. `instead`: what to use where `jax.grad` of `jk.simulate`, or of everything, raises; "" if
      nothing else is needed.
    """

    kind: str
    reason: str
    instead: str = ""


_ZERO = GradientKind("zero", "does not enter the result")
_PATHWISE = GradientKind("pathwise", "moves the paths")
_INFINITE = GradientKind(
    "infinite",
    "decides outcomes within a jump, and has a value at which one outcome has probability 0, so that no score exists",
    "a value strictly between, or a one-sided difference of two expectations",
)
_NOT_IN_SIMULATE = "`jk.expectation`; `jk.simulate` raises"
_DT = 1e-3
_FOUND = "the result depends on the leaf"


def gradient_kinds(
    system: AbstractSystem, state: State, scheme: AbstractScheme | None = None
) -> dict[str, GradientKind]:
    """Which derivative a mean has in every floating leaf of `system` and of the initial state: the table of
    docs/gradients.md, for systems of your own too.

    The entries hold for `jk.expectation`, and, unless `instead` says otherwise, for `jax.grad` of `jk.simulate`:

    - "pathwise": the derivative of every path at fixed noise; its mean is the derivative of the mean.
    - "score": the leaf changes only the probability of decisions (which pairs jump, who is annihilated). Paths at fixed noise
      do not see that; the sum over decisions of d log P(decision), times what the decision influences, does.
    - "both": the sum of the two.
    - "zero": the result does not depend on the leaf, so that its derivative is exactly 0.
    - "infinite": the score does not exist at this value of the leaf (a probability of exactly 0 or 1).
    - "raises": differentiating raises `ValueError`; `reason` says why and `instead` what to use.

    The answer is found by tracing one step; nothing is run. It depends on the structure of the system, not on the values of its
    leaves (except "infinite"), so a derivative may vanish at a special value although its kind is "pathwise".

    **Arguments:** as for `jk.simulate`. **Returns:** a dict from the path of each leaf, for example "interaction.gamma" and
    "state.velocity", to its `GradientKind`. The axes of a grid are left out. **Raises:** `ValueError` as `jk.simulate`.
    """
    scheme = check_start(system, state, scheme, jax.random.key(0), _DT, 0.0)
    if isinstance(system, AbstractPairJump) and isinstance(scheme, (ExactClock, TauLeap)):
        return _of_jumps(system, state, scheme)
    return _of_paths(system, state, scheme)


class _Leaves:
    """The floating leaves of a system and a state, except the axes of grids: their places, names and values."""

    def __init__(self, system: AbstractSystem | None, state: State):
        entries, self.structure = jax.tree_util.tree_flatten_with_path(
            (system, state), is_leaf=lambda x: isinstance(x, (Grid, RadialGrid))
        )
        self.all = [jnp.asarray(x) if isinstance(x, np.ndarray) else x for _, x in entries]
        self.places = [place for place, x in enumerate(self.all) if eqx.is_inexact_array(x)]
        self.values = [self.all[place] for place in self.places]
        self.names = [_name(entries[place][0]) for place in self.places]

    def with_values(self, values: Sequence[Any]) -> tuple[Any, Any]:
        """(system, state) with these floating leaves."""
        leaves = list(self.all)
        for place, value in zip(self.places, values, strict=True):
            leaves[place] = value
        return jax.tree.unflatten(self.structure, leaves)

    def alone(self, number: int) -> tuple[PyTree, PyTree]:
        """Tangents (system, state): one leaf, and None elsewhere."""
        tree = jax.tree.unflatten(self.structure, list(range(len(self.all))))
        grids = jax.tree.unflatten(self.structure, self.all)

        def one(place: int, leaf: Any) -> Any:
            return self.values[number] if place == self.places[number] else jax.tree.map(lambda _: None, leaf)

        return jax.tree.map(one, tree, grids)


def _name(path: tuple[Any, ...]) -> str:
    of_system = path[0].idx == 0
    return ("" if of_system else "state") + jax.tree_util.keystr(path[1:])[of_system:]


def _of_error(error: ValueError) -> GradientKind:
    """The kind of a leaf whose derivative raises a sentence of the form "reason; what to do."."""
    reason, _, instead = str(error).strip().rstrip(".").partition("; ")
    return GradientKind("raises", reason[:1].lower() + reason[1:], instead)


def _of_paths(system: AbstractSystem, state: State, scheme: AbstractScheme) -> dict[str, GradientKind]:
    leaves = _Leaves(system, state)
    key = jax.random.key(0) if scheme.needs_key else None

    def final(*values: Any) -> list[Any]:
        given = leaves.with_values(values)
        end = simulate(*given, scheme=scheme, key=key, dt=_DT, num_steps=1, throw=False, adjoint=Direct()).final
        return _Leaves(None, end).values

    # Traced once, without derivatives: the derivative of this program in one leaf costs a fraction of that.
    step = jax.extend.core.jaxpr_as_fun(jax.make_jaxpr(final)(*leaves.values))

    def kind(number: int) -> GradientKind:
        def tangent(*values: Any) -> Any:
            def in_leaf(x: Any) -> list[Any]:
                return [forbid_gradient(_FOUND, y) for y in step(*values[:number], x, *values[number + 1 :])]

            return jax.jvp(in_leaf, (values[number],), (values[number],))[1]

        try:
            jax.eval_shape(tangent, *leaves.values)
        except ValueError as error:
            return _PATHWISE if str(error) == _FOUND else _of_error(error)
        return _ZERO

    return {name: kind(number) for number, name in enumerate(leaves.names)}


def _of_jumps(system: AbstractPairJump, state: Particles, scheme: AbstractScheme) -> dict[str, GradientKind]:
    leaves = _Leaves(system, state)
    system, state = leaves.with_values(leaves.values)
    given = Given(system, state, _velocity, RunFunction(None, (state.dim,)))
    still = without_tangents(given)
    sizes = Sizes(1, 1, False, (1, 1), 1, 2.0, 1.5, isinstance(scheme, TauLeap), decides=False)
    dt, key = jnp.asarray(_DT, state.velocity.dtype), jax.random.key(0)

    def kind(number: int) -> GradientKind:
        try:
            parts = find_parts(given, Given(*leaves.alone(number), still.observe, still.function), dt, key, sizes)
        except ValueError as error:
            return _of_error(error)
        if parts.marks and not is_traced(system) and _certain(system, state):
            return _INFINITE
        decided = ["which pairs jump"] * parts.rate + ["outcomes within a jump"] * parts.marks
        reasons = [_PATHWISE.reason] * parts.moves + [f"decides {' and '.join(decided)}"] * parts.scores
        if not reasons:
            return _ZERO
        name = "both" if len(reasons) == 2 else "pathwise" if parts.moves else "score"
        return GradientKind(name, " and ".join(reasons), _NOT_IN_SIMULATE if parts.scores else "")

    return {name: kind(number) for number, name in enumerate(leaves.names)}


def _velocity(state: Particles) -> Any:
    return state.velocity


def _certain(system: AbstractPairJump, state: Particles) -> bool:
    """Whether a decision within a jump has probability 0 or 1."""
    dtype = state.velocity.dtype
    v_i, v_j = selected_pairs(jnp.zeros(1, bool), tuple(jnp.zeros((2, 1), dtype) for _ in range(state.dim)))
    words = tuple(jnp.zeros(1, jnp.uint32) for _ in range(system.num_words(state.dim)))
    with logged_decisions() as found:
        cast_floating(system, dtype).jump(words, v_i, v_j)
    # The logarithm of the probability of what happened is 0 only if this probability is 1.
    return any(bool(jnp.any(entry == 0)) for entry in found)
