"""What every (system, scheme) must do, whatever its physics: particles (registry.py) and grids (split_cases.py).

Compilation is the cost: the tests of a case share, where they can, one run of 7 particles and 12 steps, which is compiled once;
a gradient and its value are one program.
"""

import functools
import operator
from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import KEY, Case, of_real_parts, real_parts
from field_cases import FIELDS
from helpers import count_traces, identical
from registry import CASES, ParticleCase
from split_cases import BITWISE as GRIDS, POTENTIALS, GridCase

import jaxkinetic as jk
from jaxkinetic._core import loops
from jaxkinetic._core.start import check_start

pytestmark = pytest.mark.newest


def over(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Slow for those that share their code with another case."""
    return pytest.mark.parametrize(
        "case", [pytest.param(c, marks=[pytest.mark.slow] * (not c.thorough), id=str(c)) for c in cases]
    )


def in_precisions(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """As `over`; the second precision is slow for all but one case of every kind of scheme."""
    both = ("kac-power", "matching-user", "clock-maxwell")
    return pytest.mark.parametrize(
        ("case", "dtype"),
        [
            pytest.param(
                c, d, marks=[pytest.mark.slow] * (not c.thorough or (i > 0 and c.name not in both)), id=f"{c}-{d}"
            )
            for c in cases
            for i, d in enumerate(c.precisions)
        ],
    )


EXPORTED = (("vlasov", "gaussian"), ("velocity", "poisson", 2), ("fourier", "screened"))
NAMED = {c.name: c for c in CASES}
thorough_cases = over([c for c in CASES if c.thorough])
# Also those that are only traced: every potential, and every system with a bounded and an unbounded position space.
TRACED = [GridCase("velocity", name, dtype="float32") for name in POTENTIALS]
TRACED += [GridCase(kind, name, dtype="float32") for kind in ("vlasov", "fourier") for name in ("gaussian", "harmonic")]
TRACED += [GridCase(kind, "gaussian", 2, 2, "float32") for kind in ("vlasov", "velocity", "fourier")]
TRACED += [GridCase(kind, "gaussian") for kind in ("vlasov", "velocity", "fourier")]


@over([c for c in CASES if c.pathwise_permutation])
def test_permutation_equivariance(case):
    """A permuted state follows the permuted path. Catches noise keyed by the place in the array instead of `ident`. (For
    pairings only the law is the same: test_pairs.py.)"""
    state = case.start()
    order = jax.random.permutation(jax.random.key(3), state.num_slots)
    shuffled = jk.Particles(state.velocity[order], alive=state.alive[order], ident=state.ident[order])
    straight, other = case.run(state).final, case.run(shuffled).final
    np.testing.assert_allclose(other.velocity, straight.velocity[order], rtol=1e-11, atol=1e-12)
    assert np.array_equal(other.ident, straight.ident[order])
    assert not np.allclose(straight.velocity, state.velocity, atol=1e-3)


class Probe:
    """A run of 7 particles among 10 slots and its gradients, one program for all tests that need them."""

    alive = np.isin(np.arange(10), (0, 2, 3, 5, 6, 8, 9))

    def __init__(self, case: ParticleCase):
        self.case = case
        # Jumps at a few large angles are rare; a run that is not differentiated may be long.
        self.num_steps = 12 if case.pathwise_permutation else 6 if case.differentiable else 60
        self.ident = (100 + jnp.arange(10, dtype=jnp.uint32)).at[self.alive].set(case.start().ident)
        system = jax.tree.map(lambda x: x.astype(jnp.float64), case.system())
        leaves = [operator.attrgetter(path) for path in case.parameters]
        self.parameters = [leaf(system) for leaf in leaves]

        def observable(parameters, velocity):
            # Gradients in the parameters only: those in what a rate depends on would raise.
            changed = eqx.tree_at(lambda s: [leaf(s) for leaf in leaves], system, parameters) if leaves else system
            state = jk.Particles(velocity, alive=self.alive, ident=self.ident)
            final = case.run(state, self.num_steps, changed, throw=False, adjoint=jk.Direct()).final
            total = jnp.sum(jnp.where(final.alive[:, None], jnp.sin(final.velocity), 0))
            return total + jk.diagnostics.stress(final)[0, 1], final.velocity

        if case.differentiable:
            self.derivatives = jax.jit(jax.value_and_grad(observable, argnums=(0, 1), has_aux=True))
        else:
            self.derivatives = jax.jit(lambda p, v: (observable(p, v), (p, jnp.zeros_like(v))))

    def slots(self, dead: float) -> jax.Array:
        """The start, and what the dead slots hold."""
        return jnp.full((10, self.case.dim), dead).at[self.alive].set(self.case.start().velocity)


probe = functools.cache(Probe)


@over(CASES)
def test_mask_invariance(case):
    """Dead slots neither move nor act, forwards or backwards, whatever they hold (in pairings they are paired, without
    effect). Catches N counted over slots instead of live particles, and sums over dead partners."""
    own, alive = probe(case), Probe.alive
    near, far = own.slots(1e3), own.slots(1e200)
    (value, final), (_, gradient) = own.derivatives(own.parameters, near)
    (value_of_far, final_of_far), (_, gradient_of_far) = own.derivatives(own.parameters, far)
    assert value == value_of_far
    # Values that are known before the run are checked then.
    check_start(case.system(), jk.Particles(far, alive=alive), case.scheme(), KEY, case.dt, 0.0)
    assert np.array_equal(final[alive], final_of_far[alive])
    assert np.array_equal(final[~alive], near[~alive])
    assert np.array_equal(final_of_far[~alive], far[~alive])
    assert not np.allclose(final[alive], near[alive], atol=1e-3)
    if case.pathwise_permutation:
        np.testing.assert_allclose(final[alive], case.run().final.velocity, rtol=1e-11, atol=1e-12)
    if case.differentiable:
        assert np.array_equal(gradient, gradient_of_far)
        assert np.isfinite(gradient).all()
        assert not gradient[~alive].any()
        direction = jax.random.normal(jax.random.key(5), near.shape)
        ends = [own.derivatives(own.parameters, near + sign * 1e-6 * direction)[0][0] for sign in (1, -1)]
        np.testing.assert_allclose(jnp.vdot(gradient, direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@pytest.mark.shapes
@pytest.mark.parametrize(
    ("case", "dtype"),
    [pytest.param(c, d, id=f"{c}-{d}") for c in CASES for d in ("float32", "float64")]
    + [pytest.param(c, c.dtype, id=str(c)) for c in TRACED],
)
def test_dtype_is_kept(case, dtype):
    """Catches an array made inside a system without dtype (x64 is on here, so it would be float64), on a grid also one that is
    rounded before the end (particles have clocks and noise of their own precision); and a final state in another picture or
    on another grid than the initial one. Traced, not compiled: dtypes are known by then."""
    save, system = jk.Save(every=4, state=True, observe={"e": observable(case)}), case.system()
    on_grid = isinstance(case, GridCase)
    if on_grid:
        system = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), dtype) if eqx.is_array(x) else x, system)
    arrays, rest = eqx.partition((system, case.start(dtype)), eqx.is_array)

    def outcome(arrays):
        system, state = eqx.combine(arrays, rest)
        solution = case.run(state, system=system, save=save, throw=False)
        kept = solution.final, solution.states, solution.observed, solution.times
        return (*kept, solution.stats, solution.checkpoint.carry) if on_grid else kept

    program, shapes = jax.make_jaxpr(outcome, return_shape=True)(arrays)
    alien = {"float32": ("f64[", "c128["), "float64": ("f32[", "c64[")}[dtype]
    assert not on_grid or not [line for line in str(program).splitlines() if any(word in line for word in alien)]
    inexact = [leaf.dtype for leaf in jax.tree.leaves(shapes) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    assert len(inexact) >= 4
    waves = {jnp.dtype(case.complex)} if on_grid and case.kind != "vlasov" else set()
    assert set(inexact) == {jnp.dtype(dtype)} | waves
    assert jax.tree.structure(shapes[0]) == jax.tree.structure(case.start(dtype))


@pytest.mark.bitwise
@in_precisions([*CASES, *GRIDS, *FIELDS])
def test_restart_is_bitwise(case, dtype):
    """Catches a step number, time or noise that restarts at zero, a half step too many where a run is cut, and programs
    whose steps are compiled differently."""
    total = 12
    whole = case.run(case.start(dtype), total)
    assert not np.allclose(case.values(whole.final), case.values(case.start(dtype)), rtol=1e-2, atol=1e-3)
    # Cut at the half; also at 1 and before the last step, where a loop of one step is a program of its own.
    often = case.thorough or case.name in ("root-power", "clock-heat-kernel")
    for cut in (1, 6, 11) if often and dtype == "float64" else (6,):
        half = case.run(case.start(dtype), cut)
        rest = jk.simulate(case.system(), half.checkpoint, num_steps=total - cut)
        assert identical(rest.final, whole.final), f"cut at {cut}"
        assert rest.checkpoint.step == total
        assert identical(rest.times, whole.times)


def observable(case):
    """A number of a state."""
    return lambda state: jnp.sum(jnp.abs(case.values(state)) ** 2)


def draw(ctx):
    return jax.random.normal(ctx.key)


SAVES = [
    jk.Save(state=True, every=1, observe={"draw": jk.Contextual(draw), "e": jk.diagnostics.energy}),
    jk.Save(every=5, observe={"m": jk.diagnostics.moment}),
    jk.Save(steps=(0, 3, 4, 11), observe={"s": jk.diagnostics.stress}, state=True),
]


@pytest.mark.bitwise
@thorough_cases
def test_saving_does_not_change_the_path(case):
    """Saving and observing leave the path bitwise the same. The ways of saving belong to the time loop: all of them for
    one case, the densest for the others. Catches steps that are compiled differently around a save, and an observable
    that uses up the noise of the path."""
    state = case.start()
    plain = case.run(state).final
    for save in SAVES if case is CASES[0] else SAVES[:1]:
        assert identical(case.run(state, save=save).final, plain), save


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


@over([c for c in CASES if c.thorough] + GRIDS[2:3] + FIELDS)
def test_vmap_and_jit(case):
    """The runs of `jit(vmap)` are the single runs, to a few ulp: batching may order sums differently. Catches noise that
    a batch shares."""
    singles = [case.start(seed=seed) for seed in (1, 2, 3)]
    states = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *singles)
    keys = jax.random.split(KEY, 3)
    own = [{"key": key} if "key" in case.options() else {} for key in keys]

    def final(state, key):
        return case.values(case.run(state, throw=False, **{name: key for name in own[0]}).final)

    batched = jax.jit(jax.vmap(final))(states, keys)
    for i in range(3):
        alone = case.values(case.run(singles[i], **own[i]).final)
        np.testing.assert_allclose(batched[i], alone, rtol=1e-11, atol=1e-12)
    assert not np.allclose(batched[0], batched[1], rtol=1e-3)


@over([c for c in CASES if c.thorough] + GRIDS + FIELDS)
def test_no_recompilation(case):
    """New parameters, states, grids, keys and time steps reuse one trace, and count. Catches a recompilation at every call,
    which no result shows, and a number that is frozen into the program."""
    traces, counted = count_traces(observable(case))
    save = jk.Save(state=True, every=1, observe={"e": counted})
    first = case.run(save=save)
    before = len(traces)
    assert before > 0
    for variation in case.variations():
        other = case.run(save=save, **variation)
        assert not np.allclose(case.values(other.final), case.values(first.final), rtol=1e-3), variation
    assert len(traces) == before


@in_precisions(CASES)
def test_declared_invariants(case, dtype):
    """An invariant that system and scheme both name "exact" stays to round-off; any other one moves. Catches a system or
    a scheme that declares too much, or too little."""
    system, scheme = case.system(), case.scheme()
    state = case.start(dtype)
    final = case.run(state).final
    for name in ("momentum", "energy"):
        value = getattr(jk.diagnostics, name)
        exact = system.conserves.get(name) == "exact" and scheme.preserves.get(name) == "exact"
        drift = np.abs(value(final) - value(state)).max()
        if exact:
            assert drift < 40 * jnp.finfo(dtype).eps, name
        else:
            assert drift > 1e3 * jnp.finfo(dtype).eps, name


@over([c for c in CASES if c.thorough] + FIELDS + [GridCase(*words, dtype="float32") for words in EXPORTED])
def test_export_without_callbacks(case):
    """Catches code that only a CPU can run, and a callback left in a program asked not to raise; gradients included."""
    state, on_grid = case.start("float32"), isinstance(case, GridCase)

    def value(parts, strength, words):
        # On a grid also with respect to the system's numbers; in rates of jumps a gradient may be biased, and raises.
        system = jax.tree.map(lambda x: x * strength.astype(x.dtype) if eqx.is_inexact_array(x) else x, case.system())
        moved = eqx.tree_at(case.values, state, of_real_parts(parts))
        key = {"key": jax.random.wrap_key_data(words, impl="threefry2x32")} if "key" in case.options() else {}
        adjoint = jk.Reversible() if on_grid else jk.Checkpointed()
        final = case.run(moved, system=system if on_grid else None, throw=False, adjoint=adjoint, **key).final
        return sum(jnp.sum(part**2) for part in real_parts(case.values(final)))

    example = (real_parts(case.values(state)), jnp.ones((), jnp.float32), jnp.zeros(2, jnp.uint32))
    function = jax.jit(jax.value_and_grad(value, (0, 1)) if case.differentiable else value)
    exported = jax.export.export(function, platforms=("cpu", "cuda", "tpu"))(*example)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "callback" not in str(function.trace(*example).jaxpr)


@over([CASES[0], *(GridCase(*words, dtype="float32") for words in EXPORTED)])
def test_throw_inside_a_trace_uses_a_callback(case):
    """The control of `test_export_without_callbacks`: the word it searches for is there when it should be."""
    state = case.start()
    traced = jax.make_jaxpr(lambda x: case.values(case.run(eqx.tree_at(case.values, state, x)).final))(
        case.values(state)
    )
    assert "callback" in str(traced)


def test_program_size_is_independent_of_steps():
    """The program grows neither with the number of steps nor with that of saves: it holds one copy of the step. Catches
    an unrolled loop."""
    case = CASES[0]
    state = case.start()

    def size(num_steps, every):
        save = jk.Save(every=every, observe={"e": jk.diagnostics.energy})
        f = jax.jit(lambda v: case.run(jk.Particles(v), num_steps, save=save, throw=False).observed["e"])
        return len(f.lower(state.velocity).as_text())

    # Where `Checkpointed` stores every step, and above the size from which it has blocks, which are two loops more. Both
    # times without surplus steps, which accelerators drop.
    assert size(400, 7) < 1.02 * size(20, 5)
    assert size(100_000, 800) < 1.02 * size(4000, 50)


@over([NAMED[name] for name in ("kac-power", "matching-user", "clock-maxwell", "leap-maxwell")])
def test_adjoints_agree(case, monkeypatch, request):
    """`Checkpointed`, `Direct` and forward mode give one gradient. Catches a block that is recomputed with other noise
    than it ran with: one case for every way that a scheme draws.

    The blocks are those of a large run; a small one stores every step, as `Direct` does.
    """
    for threshold in ("_FEW_BYTES", "_SMALL_STATE"):
        monkeypatch.setattr(loops, threshold, 0)
    jax.clear_caches()
    request.addfinalizer(jax.clear_caches)
    state = case.start()

    def last(adjoint, velocity):
        solution = case.run(eqx.tree_at(lambda s: s.velocity, state, velocity), 9, adjoint=adjoint, throw=False)
        return jnp.sum(jnp.sin(solution.final.velocity))

    checkpointed = jax.jit(jax.grad(partial(last, jk.Checkpointed())))(state.velocity)
    direct = jax.jit(jax.grad(partial(last, jk.Direct())))(state.velocity)
    np.testing.assert_allclose(checkpointed, direct, rtol=1e-10, atol=1e-12)
    tangent = jax.random.normal(jax.random.key(5), state.velocity.shape)
    forward = jax.jit(lambda v, dv: jax.jvp(partial(last, jk.Checkpointed()), (v,), (dv,))[1])(state.velocity, tangent)
    np.testing.assert_allclose(forward, jnp.vdot(direct, tangent), rtol=1e-9)
    assert jnp.linalg.norm(direct) > 1e-2
