"""`expectation`: means over independent runs, with gradients that are unbiased, also through jumps."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._core.run_key import run_words
from .._core.start import check_start
from .._core.system import AbstractPairJump, AbstractScheme, AbstractSystem
from .._util.checks import argument_error, check_bool, check_integer, deferred_checks, describe, is_traced, takes_one
from .._util.decisions import logged_decisions
from .._util.printing import printed
from .._util.types import Key, PyTree, RealScalarLike, State
from .._util.user_laws import hashable
from ..pairs import ExactClock, TauLeap
from ._by_jumps import ByJumps
from ._observables import check_function, check_observable, without_hidden_choices
from ._pathwise import Pathwise
from ._record import replica_keys
from .result import Expectation

__all__ = ["expectation"]

Gradient = bool | Callable[[Any], PyTree]


def expectation(
    system: AbstractSystem,
    start: State | Callable[[Key], State],
    observe: Callable[[State], Array],
    *,
    key: Key,
    replicas: int,
    dt: RealScalarLike,
    num_steps: int,
    scheme: AbstractScheme | None = None,
    every: int | None = None,
    function: Callable[[Array], Array] | None = None,
    gradient: Gradient = False,
    estimator: str = "cone",
    block: int | None = None,
    num_blocks: int | None = None,
    max_candidates: int | None = None,
    headroom: float = 1.5,
    batch: int | None = None,
    throw: bool = True,
) -> Expectation:
    r"""The mean of $\sum_i \varphi(x_i)$, a sum over the particles that are alive, over independent runs, and its derivatives.

    `jax.grad` (reverse mode) and `jax.jvp`, `jax.jacfwd` (forward mode) of `value` give an unbiased estimate of the derivative
    of the expectation in every floating leaf of `system`, and in whatever `start` and `observe` depend on. Diffusions, pair
    flows, grids and fields are differentiated along their paths. Jump processes (`ExactClock`, `TauLeap`) are
    differentiated along their paths at fixed decisions, and by the score of those decisions whose probability depends on a
    parameter: whether a candidate pair jumps, `jk.random.bernoulli` within a jump (annihilation), and the choice of the
    particles alive at the start. `docs/gradients.md` lists for every system, scheme and leaf which of the two applies.

    **Score on forward cones.** A candidate is a pair that may jump; the pairs and times of the candidates depend on no
    parameter and on no earlier decision (the majorant is fixed, and dead slots stay candidates). A decision can influence
    only the particles that later candidates connect with its pair, its forward cone. So its score d log P is multiplied by
    the sum of the observable over its cone only; the omitted terms have mean 0, and the result is exactly unbiased for
    additive observables. From each sum the mean observable of the other replicas, times the number of slots in the cone, is
    subtracted (for a single replica: that of the slots outside of the cone). The relative standard deviation of the
    derivative falls as N^{-1/2} while cones are small compared with N (a cone grows as e^{majorant t}, in units of the rate
    of a particle's candidates); where a cone holds all particles, as for hard spheres at times of several mean free times, it
    no longer falls with N.

    **Arguments:**

    - `start`: a state, or a function key -> state; keys as in `jk.ensemble`. `observe`: state -> (N,) or (N, m), one row for
      each particle, which depends on this particle only. For states that are not `Particles`: a number or a vector, not summed.
    - `replicas`, `dt`, `num_steps`, `scheme`, `batch` (replicas that advance together), `throw`: as in `jk.ensemble`.
    - `every`: observe at steps 0, every, 2 every, ...; the value has a leading axis of times. None: at the last step.
    - `function`: of the sums of one run at one time; its mean is estimated instead, without bias for nonlinear functions too:
      `jnp.square` for a second moment of the number of particles. For jump processes it is also evaluated on partial sums, so
      it must be finite there. For a function of the mean (a ratio of means) use `apply`.
    - `gradient`: True computes also `.gradient` and `.gradient_stderr` in every floating leaf of the system, from the same runs
      and in one pass; a function of the system, `lambda system: system.annihilation`, chooses leaves.
    - For jump processes: `estimator`: "cone", or "global", which multiplies every score by the sum over all particles
      (unbiased; its relative spread does not fall with N): a check of the other. `block`: final particles whose cones are
      computed in one pass, as bits. `num_blocks`: use only so many blocks, drawn at random and weighted so that the result
      stays unbiased. `headroom`: the majorant of the rates divided by the largest rate at the start (1 if rates do not depend
      on velocities); a run in which a rate exceeds it fails. `max_candidates`: of one step; needed only inside `jit` and
      `vmap` where parameters that set the rates are traced.

    **Returns:** an `Expectation`: `value`, `stderr`, `samples`, `gradient`, `gradient_stderr`, and `apply` for ratios.

    **Cost** for jump processes: values, one run per replica. A gradient: a second run that records the K candidates, the cones,
    and one pass for the derivative. Cones cost O(N + K) where the graph of candidates has no cycle, and O(n K/32) operations on
    words for the n particles in parts with cycles (most of them once a particle has had more than two candidates). Memory:
    about 100 bytes for each candidate and replica, and 12 `block`/32 N bytes.

    Values and first derivatives only for jump processes: a second derivative, and a gradient with respect to dt, raises. At a
    probability of exactly 0 or 1 (annihilation = 0) no score exists: the derivative in it raises, or is infinite if traced.
    Decisions of a start (`jk.random.bernoulli`) need one entry for each slot, which changes this slot only; those that change
    velocities, and so the majorant, are weighted by the sum over all particles. `jax.random.bernoulli` gives no derivative.

    **Raises:** `ValueError` as `jk.ensemble`; for an observable without a row for each particle or whose rows depend on
    other particles; for arrays that do not fit into memory, with the bytes and the size that fits. `SimulationError` if a run
    fails: a rate above the majorant (raise `headroom`), or more candidates than `max_candidates`.
    """
    num_steps = check_integer("num_steps", num_steps, minimum=1)
    replicas = check_integer("replicas", replicas, minimum=1)
    check_bool("throw", throw)
    if every is not None and check_integer("every", every, minimum=1) > num_steps:
        raise argument_error("every", "not exceed `num_steps`", f"is {every}", "lower it, or leave it out")
    if not isinstance(gradient, bool) and not callable(gradient):
        raise argument_error(
            "gradient", "be True, False or a function of the system", f"is {describe(gradient)}",
            "pass, for example, `lambda system: system.annihilation`",
        )  # fmt: skip
    if key is None:
        raise argument_error("key", "be given", "is missing", "pass key=jax.random.key(seed)")
    run_words(key)
    if callable(start) and not takes_one(start):
        raise argument_error(
            "start", "be a state, or a function of a key", f"is {printed(start)}",
            "bind the other arguments with `jax.tree_util.Partial(fn, name=value)`",
        )  # fmt: skip
    start, observe, function = hashable(start), hashable(observe), hashable(function)
    example: Any = start
    if callable(start):
        # The decisions of a random start are differentiated by their scores.
        with logged_decisions():
            example = start(replica_keys(key, 0)[0])
    with deferred_checks() as checks:
        scheme = check_start(system, example, scheme, key, dt, 0.0)
    row = check_observable(observe, example)
    observe = without_hidden_choices(observe, example)
    if function is not None:
        check_function(function, row, example)
    by_score = isinstance(system, AbstractPairJump) and isinstance(scheme, (ExactClock, TauLeap))
    run: Any
    if by_score:
        run = ByJumps(
            example, key, replicas, dt, num_steps, every, isinstance(scheme, TauLeap), batch, throw, estimator, block,
            num_blocks, max_candidates, headroom, tuple(checks.values()),
        )  # fmt: skip
    else:
        run = Pathwise(key, replicas, dt, num_steps, scheme, every, batch, throw)
    steps = np.asarray(num_steps if every is None else np.arange(0, num_steps + 1, every))
    times = steps.astype(jnp.result_type(dt, float)) * dt if is_traced(dt) else steps * float(np.asarray(dt))
    if gradient is False:
        samples, stats = run(system, start, observe, function)
        return Expectation(samples, by_score, times, None, stats)
    chosen, rest, arranged = _chosen(system, gradient)

    def of_chosen(leaves: PyTree) -> tuple[Array, Any]:
        changed = eqx.combine(leaves, rest)
        samples, stats = run(changed, start, observe, function)
        return samples, (samples, stats)

    slopes, (samples, stats) = jax.jacfwd(of_chosen, has_aux=True)(chosen)
    return Expectation(samples, by_score, times, arranged(slopes), stats)


def _chosen(system: AbstractSystem, gradient: Gradient) -> tuple[PyTree, PyTree, Callable[[PyTree], PyTree]]:
    """(the chosen leaves of the system, the rest of it, a function that arranges derivatives as `gradient` does)."""
    if not callable(gradient):
        chosen, rest = eqx.partition(system, eqx.is_inexact_array)
        if not jax.tree.leaves(chosen):
            name = type(system).__name__
            raise argument_error(
                "gradient", "be False for a system without floating leaves", f"{name} has none", "omit it"
            )
        return chosen, rest, lambda slopes: slopes
    must, do = "choose floating leaves of the system", "name its parameters: `lambda system: system.annihilation`"
    try:
        wanted, form = jax.tree.flatten(gradient(system))
    except AttributeError as error:
        raise argument_error("gradient", must, f"fails: {error}", do) from error
    leaves, structure = jax.tree.flatten(system)
    places = [next((k for k, leaf in enumerate(leaves) if leaf is x), -1) for x in wanted]
    if not wanted or -1 in places or not all(eqx.is_inexact_array(x) for x in wanted):
        others = [x for x, place in zip(wanted, places, strict=True) if place < 0 or not eqx.is_inexact_array(x)]
        raise argument_error("gradient", must, f"chooses {describe(others[0])}" if others else "chooses none", do)
    chosen = structure.unflatten([leaf if k in places else None for k, leaf in enumerate(leaves)])
    rest = structure.unflatten([None if k in places else leaf for k, leaf in enumerate(leaves)])

    def arranged(slopes: PyTree) -> PyTree:
        found = dict(zip(sorted(set(places)), jax.tree.leaves(slopes), strict=True))
        return form.unflatten([found[place] for place in places])

    return chosen, rest, arranged
