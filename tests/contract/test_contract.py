"""What every (system, scheme) of the registry must do, whatever its physics.

Compilation is the cost: the tests of a case share a worker (`xdist_group`) and, where they can, one run of 7 particles and 12
steps, which is compiled once; a gradient and its value are one program.
"""

import functools
import operator
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_traces, identical
from registry import CASES, Case

import jaxkinetic as jk
from jaxkinetic._simulate import check_start

KEY, DT = jax.random.key(7), 0.01


def over(cases: list[Case], slow: str | None = None) -> pytest.MarkDecorator:
    def marks(case: Case) -> list[pytest.MarkDecorator]:
        return [pytest.mark.xdist_group(f"contract-{case}")] + [pytest.mark.slow] * (case.name == slow)

    return pytest.mark.parametrize("case", [pytest.param(c, marks=marks(c), id=str(c)) for c in cases])


NAMED = {c.name: c for c in CASES}
cases = over(CASES)
thorough_cases = over([c for c in CASES if c.thorough])


def run(case: Case, state, num_steps=12, key=KEY, dt=DT, system=None, **options):
    system = case.system() if system is None else system
    return jk.simulate(system, state, scheme=case.scheme(), key=key, dt=dt, num_steps=num_steps, **options)


@pytest.mark.xdist_group("one-worker")
def test_xdist_groups_are_used(request, worker_id):
    """Catches a pytest whose node ids pytest-xdist cannot mark: groups are then ignored, and every program is compiled
    twice."""
    assert worker_id == "master" or request.node.nodeid.endswith("@one-worker")


def start(case: Case, num=7, dtype=jnp.float64):
    return case.state(jax.random.key(1), num, case.dim, dtype)


@over([c for c in CASES if c.pathwise_permutation])
def test_permutation_equivariance(case):
    """A permuted state follows the permuted path. Catches noise keyed by the place in the array instead of `ident`. (For
    pairings only the law is the same: test_pairs.py.)"""
    state = start(case)
    order = jax.random.permutation(jax.random.key(3), state.num_slots)
    shuffled = jk.Particles(state.velocity[order], alive=state.alive[order], ident=state.ident[order])
    straight, other = run(case, state).final, run(case, shuffled).final
    np.testing.assert_allclose(other.velocity, straight.velocity[order], rtol=1e-11, atol=1e-12)
    assert np.array_equal(other.ident, straight.ident[order])
    assert not np.allclose(straight.velocity, state.velocity, atol=1e-3)


class Probe:
    """A run of 7 particles among 10 slots and its gradients, one program for all tests that need them."""

    alive = np.isin(np.arange(10), (0, 2, 3, 5, 6, 8, 9))

    def __init__(self, case: Case):
        self.case = case
        # Jumps at a few large angles are rare; a run that is not differentiated may be long.
        self.num_steps = 12 if case.pathwise_permutation else 6 if case.differentiable else 60
        self.ident = (100 + jnp.arange(10, dtype=jnp.uint32)).at[self.alive].set(start(case).ident)
        system = jax.tree.map(lambda x: x.astype(jnp.float64), case.system())
        leaves = [operator.attrgetter(path) for path in case.parameters]
        self.parameters = [leaf(system) for leaf in leaves]

        def observable(parameters, velocity):
            # Gradients in the parameters only: those in what a rate depends on would raise.
            changed = eqx.tree_at(lambda s: [leaf(s) for leaf in leaves], system, parameters) if leaves else system
            state = jk.Particles(velocity, alive=self.alive, ident=self.ident)
            final = run(case, state, self.num_steps, system=changed, throw=False, adjoint=jk.Direct()).final
            total = jnp.sum(jnp.where(final.alive[:, None], jnp.sin(final.velocity), 0))
            return total + jk.diagnostics.stress(final)[0, 1], final.velocity

        if case.differentiable:
            self.derivatives = jax.jit(jax.value_and_grad(observable, argnums=(0, 1), has_aux=True))
        else:
            self.derivatives = jax.jit(lambda p, v: (observable(p, v), (p, jnp.zeros_like(v))))

    def slots(self, dead: float) -> jax.Array:
        """The start, and what the dead slots hold."""
        return jnp.full((10, self.case.dim), dead).at[self.alive].set(start(self.case).velocity)


probe = functools.cache(Probe)


@over(CASES, slow="clock-heat-kernel")
def test_mask_invariance(case):
    """Dead slots neither move nor act, forwards or backwards, whatever they hold (in pairings they are paired, without
    effect). Catches N counted over slots instead of live particles, and sums over dead partners."""
    own, alive = probe(case), Probe.alive
    near, far = own.slots(1e3), own.slots(1e200)
    (value, final), (_, gradient) = own.derivatives(own.parameters, near)
    (value_of_far, final_of_far), (_, gradient_of_far) = own.derivatives(own.parameters, far)
    assert value == value_of_far
    # Values that are known before the run are checked then.
    check_start(case.system(), jk.Particles(far, alive=alive), case.scheme(), KEY, DT, 0.0)
    assert np.array_equal(final[alive], final_of_far[alive])
    assert np.array_equal(final[~alive], near[~alive])
    assert np.array_equal(final_of_far[~alive], far[~alive])
    assert not np.allclose(final[alive], near[alive], atol=1e-3)
    if case.pathwise_permutation:
        np.testing.assert_allclose(final[alive], run(case, start(case)).final.velocity, rtol=1e-11, atol=1e-12)
    if case.differentiable:
        assert np.array_equal(gradient, gradient_of_far)
        assert np.isfinite(gradient).all()
        assert not gradient[~alive].any()
        direction = jax.random.normal(jax.random.key(5), near.shape)
        ends = [own.derivatives(own.parameters, near + sign * 1e-6 * direction)[0][0] for sign in (1, -1)]
        np.testing.assert_allclose(jnp.vdot(gradient, direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@pytest.mark.shapes
@cases
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_is_kept(case, dtype):
    """Catches an array made inside a system without dtype (x64 is on here, so it would be float64). Traced, not
    compiled: dtypes are known by then."""
    save = jk.Save(every=4, state=True, observe={"e": jk.diagnostics.energy})

    def outcome(state):
        solution = run(case, state, save=save, throw=False)
        return solution.final, solution.states, solution.observed, solution.times

    leaves = jax.tree.leaves(eqx.filter_eval_shape(outcome, start(case, dtype=dtype)))
    floats = [leaf.dtype for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    assert len(floats) >= 4
    assert set(floats) == {jnp.dtype(dtype)}


# Both precisions for the cases that are tested thoroughly: what a dtype changes, it changes for all.
precisions = pytest.mark.parametrize(
    ("case", "dtype"),
    [
        pytest.param(c, dtype, marks=pytest.mark.xdist_group(f"contract-{c}"), id=f"{c}-{np.dtype(dtype)}")
        for c in CASES
        for dtype in ((jnp.float32, jnp.float64) if c.thorough else (jnp.float64,))
    ],
)


@precisions
def test_restart_is_bitwise(case, dtype):
    """Catches a step number, time or noise that restarts at zero, and programs whose steps are compiled differently."""
    state, total = start(case, dtype=dtype), 12
    whole = run(case, state, total)
    # Cut at the half; also at 1 and before the last step, where a loop of one step is a program of its own.
    often = case.thorough or case.name in ("root-power", "clock-heat-kernel")
    for cut in (1, 6, 11) if often and dtype == jnp.float64 else (6,):
        half = run(case, state, cut)
        rest = jk.simulate(case.system(), half.checkpoint, num_steps=total - cut)
        assert identical(rest.final, whole.final), f"cut at {cut}"
        assert rest.checkpoint.step == total
        assert identical(rest.times, whole.times)


TRACES, counted = count_traces(jk.diagnostics.energy)


def draw(ctx):
    return jax.random.normal(ctx.key)


SAVES = [
    jk.Save(state=True, every=1, observe={"draw": jk.Contextual(draw), "e": counted}),
    jk.Save(every=5, observe={"m": jk.diagnostics.moment}),
    jk.Save(steps=(0, 3, 4, 11), observe={"s": jk.diagnostics.stress}, state=True),
]


@thorough_cases
def test_saving_does_not_change_the_path(case):
    """Saving and observing leave the path bitwise the same. The ways of saving belong to the time loop: all of them for
    one case, the densest for the others. Catches steps that are compiled differently around a save, and an observable
    that uses up the noise of the path."""
    state = start(case)
    plain = run(case, state).final
    for save in SAVES if case is CASES[0] else SAVES[:1]:
        assert identical(run(case, state, save=save).final, plain), save


@over([NAMED[name] for name in ("kac-power", "matching-user", "clock-maxwell", "leap-maxwell")])
def test_adjoints_agree(case):
    """`Checkpointed`, `Direct` and forward mode give one gradient. Catches a block that is recomputed with other noise
    than it ran with: one case for every way that a scheme draws."""
    state = start(case)

    def last(adjoint, velocity):
        solution = run(case, eqx.tree_at(lambda s: s.velocity, state, velocity), 9, adjoint=adjoint, throw=False)
        return jnp.sum(jnp.sin(solution.final.velocity))

    checkpointed = jax.jit(jax.grad(partial(last, jk.Checkpointed())))(state.velocity)
    direct = jax.jit(jax.grad(partial(last, jk.Direct())))(state.velocity)
    np.testing.assert_allclose(checkpointed, direct, rtol=1e-10, atol=1e-12)
    tangent = jax.random.normal(jax.random.key(5), state.velocity.shape)
    forward = jax.jit(lambda v, dv: jax.jvp(partial(last, jk.Checkpointed()), (v,), (dv,))[1])(state.velocity, tangent)
    np.testing.assert_allclose(forward, jnp.vdot(direct, tangent), rtol=1e-9)
    assert jnp.linalg.norm(direct) > 1e-2


@over([c for c in CASES if c.parameters])
def test_parameter_gradients(case):
    """In every parameter the gradient is the finite difference, and not zero. Catches a cached coefficient (gradient 0)
    and a wrong derivative of an interaction or of a matrix root."""
    own = probe(case)
    velocity, step = own.slots(1e3), 1e-5
    _, (gradients, _) = own.derivatives(own.parameters, velocity)
    for place, (path, gradient) in enumerate(zip(case.parameters, gradients, strict=True)):
        moved = [[x + sign * step * (i == place) for i, x in enumerate(own.parameters)] for sign in (1, -1)]
        ends = [own.derivatives(parameters, velocity)[0][0] for parameters in moved]
        # Of an array: along the diagonal, all entries together.
        derivative = jnp.sum(gradient)
        np.testing.assert_allclose(derivative, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, err_msg=path)
        assert abs(derivative) > 1e-3, path


@thorough_cases
def test_vmap_and_jit(case):
    """The runs of `jit(vmap)` are the single runs, to a few ulp: batching may order sums differently. Catches noise that
    a batch shares."""
    states = jax.vmap(lambda key: case.state(key, 7, case.dim))(jax.random.split(jax.random.key(2), 3))
    keys = jax.random.split(KEY, 3)
    batched = jax.jit(jax.vmap(lambda s, k: run(case, s, key=k, throw=False).final.velocity))(states, keys)
    for i in range(3):
        alone = run(case, jax.tree.map(operator.itemgetter(i), states), key=keys[i]).final.velocity
        np.testing.assert_allclose(batched[i], alone, rtol=1e-11, atol=1e-12)


@thorough_cases
def test_no_recompilation(case):
    """New parameters, states, keys and time steps reuse one trace. Catches a recompilation at every call, which no
    result shows."""
    run(case, start(case), save=SAVES[0])
    first = len(TRACES)
    assert first > 0
    system = jax.tree.map(lambda x: x * 0.9, case.system())
    run(
        case,
        case.state(jax.random.key(9), 7, case.dim),
        save=SAVES[0],
        system=system,
        key=jax.random.key(8),
        dt=0.02,
    )
    assert len(TRACES) == first


@precisions
def test_declared_invariants(case, dtype):
    """An invariant that system and scheme both name "exact" stays to round-off; any other one moves. Catches a system or
    a scheme that declares too much, or too little."""
    system, scheme = case.system(), case.scheme()
    state = start(case, dtype=dtype)
    final = run(case, state).final
    for name in ("momentum", "energy"):
        value = getattr(jk.diagnostics, name)
        exact = system.conserves.get(name) == "exact" and scheme.preserves.get(name) == "exact"
        drift = np.abs(value(final) - value(state)).max()
        if exact:
            assert drift < 40 * jnp.finfo(dtype).eps, name
        else:
            assert drift > 1e3 * jnp.finfo(dtype).eps, name


@thorough_cases
def test_export_without_callbacks(case):
    """Catches code that only a CPU can run, and a callback left in a program asked not to raise."""
    state = start(case, dtype=jnp.float32)

    def value(velocity, words):
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        return run(case, jk.Particles(velocity), key=key, throw=False).final.velocity

    example = (state.velocity, jnp.zeros(2, jnp.uint32))
    both = jax.value_and_grad(lambda v, w: value(v, w).sum())
    function = jax.jit(both if case.differentiable else value)
    exported = jax.export.export(function, platforms=("cpu", "cuda", "tpu"))(*example)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "callback" not in str(function.trace(*example).jaxpr)


def test_throw_inside_a_trace_uses_a_callback():
    """The control of `test_export_without_callbacks`: the word it searches for is there when it should be."""
    case = CASES[0]
    traced = str(jax.make_jaxpr(lambda v: run(case, jk.Particles(v)).final.velocity)(start(case).velocity))
    assert "callback" in traced


def test_program_size_is_independent_of_steps():
    """The program grows neither with the number of steps nor with that of saves: it holds one copy of the step. Catches
    an unrolled loop."""
    case = CASES[0]
    state = start(case)

    def size(num_steps, every):
        save = jk.Save(every=every, observe={"e": jk.diagnostics.energy})
        f = jax.jit(lambda v: run(case, jk.Particles(v), num_steps, save=save, throw=False).observed["e"])
        return len(f.lower(state.velocity).as_text())

    # Above the size from which `Checkpointed` has blocks, which are two loops more.
    assert size(100_000, 700) < 1.02 * size(4000, 50)
