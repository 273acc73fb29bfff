"""Results on the device beside those of the CPU in the same process: every (system, scheme) of tests/contract/registry.py,
grids, bodies, their gradients, and the diagnostics.

A path is compared number by number. Its tolerance is measured, case by case: `SLACK` times what the CPU's own result changes
when the data change by one unit in the last place, and `SLACK` units in the last place at least. Functions like exp and pow
are off by one or two of them on an accelerator, sums are added in another order, and a run amplifies both as it amplifies
its data. Where the tolerance would be above `LARGEST` the case decides nothing, and fails.

`ExactClock` may end its windows elsewhere on an accelerator, so its path may differ while its law does not: replicas are
compared by mean and standard error (`LARGEST_Z`), and momentum and energy of each by round-off.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "contract")]

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import split_cases  # noqa: E402
from registry import CASES  # noqa: E402

import jaxkinetic as jk  # noqa: E402

SLACK = 64
LARGEST = {"float32": 1e-2, "float64": 1e-6}
# Conserved quantities are sums of few numbers, each off by some units in the last place after a jump.
CONSERVED = {"float32": 1e-5, "float64": 1e-13}
LARGEST_Z = 5.0
STEPS, REPLICAS = 3, 128
# Odd. Of events that a rate decides few, so that rounding decides none.
NUM, NUM_OF_JUMPS = 65, 7
WORDS = np.asarray([1, 2], np.uint32)
# What a quick run checks: one case of every kind.
QUICK = (
    "leap-maxwell", "clock-fixed-angle", "strang2-vlasov-gaussian", "leapfrog-cosine", "moment",
)  # fmt: skip
PATH = "units in the last place: functions and the order of sums differ; amplified as the data are"
# With XLA's default a GPU rounds float32 to 10 bits before it multiplies (TF32).
dot = partial(jnp.vdot, precision="highest")
LAW = "windows may end elsewhere: means over replicas, and conserved quantities of each"


@dataclasses.dataclass(frozen=True)
class Check:
    """`make()`: a function of arrays and its arguments; the first argument holds the data that a change of one unit in the last
    place is tried on. `law`: the outputs are replicas (R,), and those named `conserved ...` are compared by round-off."""

    name: str
    dtype: str
    make: Callable[[], tuple[Callable[..., dict[str, Any]], tuple[Any, ...]]]
    law: bool = False


# ---- comparisons ---------------------------------------------------------------------------------------------------------


def distance(ours: Any, theirs: Any) -> float:
    """The largest difference relative to the largest number; inf where they are not comparable."""
    worst = 0.0
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if not np.issubdtype(a.dtype, np.inexact):
            worst = max(worst, 0.0 if np.array_equal(a, b) else np.inf)
        elif a.size:
            finite = np.isfinite(a).all() and np.isfinite(b).all()
            scale = max(float(np.abs(b).max()), float(np.finfo(a.dtype).tiny)) if finite else 1.0
            worst = max(worst, float(np.abs(a - b).max()) / scale if finite else np.inf)
    return worst


def compare_paths(ours: dict, theirs: dict, changed: list[dict], dtype: str) -> dict[str, Any]:
    """`changed`: results of the CPU for data that differ by one unit in the last place."""
    errors, tolerances = {}, {}
    for name in theirs:
        response = max((distance(other[name], theirs[name]) for other in changed), default=0.0)
        floor = SLACK * float(jnp.finfo(dtype).eps)
        errors[name] = distance(ours[name], theirs[name])
        tolerances[name] = floor + SLACK * response
    passed = all(errors[name] <= tolerances[name] <= LARGEST[dtype] for name in errors)
    passed &= bool(np.all(theirs.get("finished", True)))
    return {"passed": passed, "error": errors, "tolerance": tolerances, "reason": PATH}


def compare_laws(ours: dict, theirs: dict, dtype: str) -> dict[str, Any]:
    """Means within `LARGEST_Z` standard errors of their difference."""
    z, drift, passed = {}, {}, bool(np.all(theirs.get("finished", True)))
    for name in theirs:
        a, b = (np.asarray(x[name], np.float64) for x in (ours, theirs))
        if name.startswith("conserved"):
            drift[name] = max(np.abs(a).max(), np.abs(b).max())
            passed &= bool(drift[name] <= CONSERVED[dtype])
            continue
        spread = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        z[name] = 0.0 if a.mean() == b.mean() else abs(a.mean() - b.mean()) / spread if spread > 0 else np.inf
        passed &= bool(z[name] <= LARGEST_Z)
    return {
        "passed": passed, "z": z, "largest_z": LARGEST_Z, "drift": drift, "largest_drift": CONSERVED[dtype],
        "replicas": len(next(iter(theirs.values()))), "reason": LAW,
    }  # fmt: skip


def run_check(check: Check, device: Any, cpu: Any) -> dict[str, Any]:
    """Both devices run one traced function."""
    with jax.enable_x64(check.dtype == "float64"):
        with jax.default_device(cpu):
            function, arguments = check.make()
            program = jax.jit(function)
            theirs = on_host(program(*jax.device_put(arguments, cpu)))
            moved = [] if check.law else [nudged(arguments[0], seed) for seed in (0, 1)]
            changed = [on_host(program(*jax.device_put((data, *arguments[1:]), cpu))) for data in moved]
        there = jax.device_put(arguments, device)
        ours = on_host(program(*there))
        again = on_host(program(*there))
    compared = (
        compare_laws(ours, theirs, check.dtype) if check.law else compare_paths(ours, theirs, changed, check.dtype)
    )
    return {**compared, "repeats_bitwise": {name: identical(ours[name], again[name]) for name in ours}}


def on_host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def identical(a: Any, b: Any) -> bool:
    """Bit by bit: a NaN equals itself, and -0 differs from 0."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in ((np.asarray(x), np.asarray(y)) for x, y in pairs)
    )


def nudged(tree: Any, seed: int) -> Any:
    """Every number changed by about one unit in the last place, up or down; parameters towards 0, because some, like
    gamma = -d, are at the end of their range."""
    rng = np.random.default_rng(seed)

    def one(x: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return x
        sign = rng.choice(np.asarray([-1, 1] if np.ndim(x) else [-1], np.finfo(x.dtype).dtype), np.shape(x))
        return (np.asarray(x) * (1 + sign * np.finfo(x.dtype).eps)).astype(x.dtype)

    return jax.tree.map(one, tree)


# ---- runs ----------------------------------------------------------------------------------------------------------------


def run_of(
    system: Any, state: Any, options: dict[str, Any], steps: int, *, of_system: Any = None, of_state: Any = None
):
    """(function, arguments) of a run: its values, and the gradient of a random linear function of them.

    `of_system`, `of_state`: filters of the leaves that are differentiated; None: no leaf. Parameters, data and noise are
    arguments, so the program is that of `jk.simulate` as a user calls it.
    """
    fixed = {name: value for name, value in options.items() if name != "key"}
    shapes = jax.eval_shape(lambda: split(state)[0])
    weights = [np.random.default_rng(5).standard_normal(x.shape).astype(np.finfo(x.dtype).dtype) for x in shapes]

    def final(system: Any, state: Any, words: Any) -> jk.Solution:
        key = {"key": jax.random.wrap_key_data(words, impl="threefry2x32")} if "key" in options else {}
        return jk.simulate(system, state, num_steps=steps, throw=False, **fixed, **key)

    system_moves, system_rests = eqx.partition(system, of_system or (lambda _: False))
    state_moves, state_rests = eqx.partition(state, of_state or (lambda _: False))
    own = eqx.partition(system_rests, eqx.is_array)
    moving = jax.tree.leaves((system_moves, state_moves))

    def values(moves: Any, arrays: Any, state_rests: Any, words: Any) -> tuple[Any, Any]:
        end = final(eqx.combine(moves[0], eqx.combine(arrays, own[1])), eqx.combine(moves[1], state_rests), words)
        parts = split(end.final)[0]
        loss = sum(
            dot(w, x.real) + (dot(w, x.imag) if jnp.iscomplexobj(x) else 0) for w, x in zip(weights, parts, strict=True)
        )
        return loss, {"state": jax.tree.leaves(eqx.filter(end.final, eqx.is_array)), "finished": end.result.ok}

    def function(moves: Any, *rest: Any) -> dict[str, Any]:
        if not moving:
            return values(moves, *rest)[1]
        (_, out), gradient = jax.value_and_grad(values, has_aux=True)(moves, *rest)
        return {**out, "gradient": jax.tree.leaves(gradient)}

    return function, ((system_moves, state_moves), own[0], state_rests, WORDS)


def split(state: Any) -> tuple[list[Any], Any]:
    """The numbers of a state that a run moves."""
    if isinstance(state, jk.Particles):
        return [x for x in (state.velocity, state.position) if x is not None], None
    return [split_cases.values(state)], None


def law_of(case: Any, dtype: str):
    """Replicas of a run: fourth moment, collisions, who is left, and the gradient in the velocities where there is one."""
    state, options = case.start(jnp.dtype(dtype)), case.options()
    arrays, static = eqx.partition(case.system(), eqx.is_array)
    square = {"scheme": options["scheme"], "dt": case.dt}
    weight = np.random.default_rng(5).standard_normal(state.velocity.shape).astype(dtype)

    def one(velocity: Any, arrays: Any, words: Any) -> tuple[Any, dict[str, Any]]:
        start = eqx.tree_at(lambda s: s.velocity, state, velocity)
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        end = jk.simulate(eqx.combine(arrays, static), start, key=key, num_steps=2 * STEPS, throw=False, **square)
        v, alive = end.final.velocity, end.final.alive.astype(dtype)
        out = {"moment": jnp.sum(alive * jnp.sum(v * v, -1) ** 2), "left": jnp.sum(alive), "finished": end.result.ok}
        out["collisions"] = end.stats["collisions"].astype(dtype)
        if case.differentiable:
            scale = jnp.sum(velocity**2)
            out["conserved energy"] = (jnp.sum(v * v) - scale) / scale
            out["conserved momentum"] = jnp.max(jnp.abs(jnp.sum(v - velocity, 0))) / jnp.sqrt(scale * len(velocity))
        return dot(weight, v), out

    def function(velocity: Any, arrays: Any, words: Any) -> dict[str, Any]:
        def replica(words: Any) -> dict[str, Any]:
            if not case.differentiable:
                return one(velocity, arrays, words)[1]
            (_, out), gradient = jax.value_and_grad(one, has_aux=True)(velocity, arrays, words)
            return {**out, "gradient": dot(weight, gradient)}

        return jax.vmap(replica)(words)

    words = np.random.default_rng(3).integers(0, 2**32, (REPLICAS, 2), dtype=np.uint32)
    return function, (state.velocity, arrays, words)


def particle_run(case: Any, dtype: str, num: int):
    """Parameters and velocities are differentiated; for jumps parameters alone, where there are some."""
    system, state = case.system(), case.start(jnp.dtype(dtype), num=num)
    jumps = case.name.startswith(("leap", "clock"))
    named = [jax.tree_util.keystr(path).lstrip(".") for path, _ in jax.tree_util.tree_leaves_with_path(system)]
    mask = jax.tree.unflatten(jax.tree.structure(system), [name in case.parameters for name in named])
    velocity = eqx.tree_at(lambda s: s.velocity, jax.tree.map(lambda _: False, state), True)
    nothing = jax.tree.map(lambda _: False, state)
    of_state = nothing if not case.differentiable or (jumps and case.parameters) else velocity
    of_system = mask if case.differentiable else None
    return run_of(system, state, case.options(), STEPS, of_system=of_system, of_state=of_state)


def grid_run(case: Any):
    return run_of(
        case.system(), jax.tree.map(jnp.asarray, case.start()), case.options(), STEPS, of_system=eqx.is_inexact_array
    )


def bodies_run(potential: Callable[[], Any], scheme: Any, dtype: str, num: int, dim: int):
    rng = np.random.default_rng(7)
    x, v = (rng.standard_normal((num, dim)).astype(dtype) for _ in range(2))
    state = jk.Particles(jnp.asarray(v), jnp.asarray(x))
    options, moved = (
        {"scheme": scheme, "dt": 0.05},
        eqx.tree_at(lambda s: s.velocity, jax.tree.map(lambda _: False, state), True),
    )
    system = jk.vlasov.NBody(potential())
    if isinstance(system.potential, jk.vlasov.Poisson):
        # Forces of sheets jump: a gradient raises.
        return run_of(system, state, options, STEPS)
    return run_of(system, state, options, STEPS, of_system=eqx.is_inexact_array, of_state=moved)


def two_bodies(dtype: str):
    case = split_cases.GridCase("fourier", "cosine", dtype=dtype)
    small = jk.Grid(jk.Axis(0.3, split_cases.CIRCLE, 8), split_cases.line(12, 0.3))
    wave = split_cases.as_state("fourier", split_cases.amplitude(small).astype(case.complex), small)
    system = jk.vlasov.PseudoSchrodinger(jk.vlasov.Cosine(0.8), 2)
    state = jax.tree.map(jnp.asarray, jk.vlasov.product_wave(jax.tree.map(jnp.asarray, wave), 2))
    return run_of(system, state, {"scheme": jk.Strang(), "dt": 0.1}, STEPS, of_system=eqx.is_inexact_array)


def ensemble_run(dtype: str):
    """`jk.ensemble` in batches."""
    start = jax.tree_util.Partial(jk.initial.maxwellian, num_particles=16, dim=3, dtype=jnp.dtype(dtype))
    kac = jk.landau.Kac(jk.landau.PowerLaw(-2.0, 0.7, 0.5))

    def function(system: Any, words: Any) -> dict[str, Any]:
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        runs = jk.ensemble(system, start, key=key, replicas=6, batch=3, dt=0.01, num_steps=STEPS, throw=False)
        return {"state": runs.final.velocity, "finished": runs.result.ok}

    return function, (kac, WORDS)


# ---- diagnostics ---------------------------------------------------------------------------------------------------------


def diagnostic(function: Callable[..., Any], *shapes: tuple[int, int], dtype: str, differentiable: bool = True):
    rng = np.random.default_rng(7)
    clouds = tuple((rng.standard_normal(s) * np.linspace(0.5, 1.5, s[1]) + 0.3).astype(dtype) for s in shapes)

    def value(clouds: Any) -> Any:
        return function(*map(jk.Particles, clouds))

    def both(clouds: Any) -> dict[str, Any]:
        out = {"value": value(clouds)}
        if differentiable:
            out["gradient"] = jax.grad(lambda clouds: jnp.sum(jnp.abs(value(clouds)) ** 2))(clouds)
        return out

    return both, (clouds,)


def _first(state: jk.Particles) -> jk.Particles:
    return jk.Particles(state.velocity[:, :1])


def _log_normal(v: Any) -> Any:
    return -jnp.sum(v * v, -1) / 2 - v.shape[-1] * math.log(2 * math.pi) / 2


DIAGNOSTICS = {
    "moment": (lambda a: jk.diagnostics.moment(a), 1),
    "stress": (lambda a: jk.diagnostics.stress(a), 1),
    "mode": (lambda a: jk.diagnostics.mode(a, wavevector=[1.0, 0.0, 0.0]), 1),
    "knn_entropy": (lambda a: jk.diagnostics.knn_entropy(a), 1),
    "kde_entropy": (lambda a: jk.diagnostics.kde_entropy(a), 1),
    "fisher_information": (lambda a: jk.diagnostics.fisher_information(a), 1),
    "wasserstein, d = 1": (lambda a, b: jk.diagnostics.wasserstein(_first(a), _first(b)), 2),
    "wasserstein, d = 3": (lambda a, b: jk.diagnostics.wasserstein(a, b), 2),
    "sliced_wasserstein": (lambda a, b: jk.diagnostics.sliced_wasserstein(a, b), 2),
    "relative_entropy": (lambda a: jk.diagnostics.relative_entropy(a, _log_normal), 1),
}


def checks(quick: bool = False) -> list[Check]:
    return [check for check in all_checks() if not quick or (check.dtype == "float32" and check.name in QUICK)]


def all_checks() -> Iterator[Check]:
    """Float32 of everything first, then float64 of what the contract tests run in both precisions."""
    for dtype in ("float32", "float64"):
        for case in CASES:
            if dtype == "float64" and not case.thorough:
                continue
            if case.name.startswith("clock"):
                yield Check(case.name, dtype, lambda case=case, dtype=dtype: law_of(case, dtype), law=True)
            else:
                num = NUM_OF_JUMPS if case.name.startswith("leap") else NUM
                yield Check(case.name, dtype, lambda case=case, dtype=dtype, num=num: particle_run(case, dtype, num))
        potentials = ["gaussian", "sum", "harmonic"] if dtype == "float32" else ["gaussian"]
        for kind in split_cases.SYSTEMS:
            for potential in potentials:
                order = 4 if potential == "sum" else 2
                case = split_cases.GridCase(kind, potential, order=order, dtype=dtype)
                yield Check(f"strang{order}-{kind}-{potential}", dtype, lambda case=case: grid_run(case))
        V = jk.vlasov
        for name, potential, scheme, dim in (
            ("leapfrog-cosine", V.Cosine, jk.Leapfrog(), 1), ("yoshida-gaussian", V.Gaussian, jk.Yoshida(4), 3),
            ("leapfrog-poisson", partial(V.Poisson, 6.28), jk.Leapfrog(), 1),
        ):  # fmt: skip
            yield Check(name, dtype, lambda p=potential, s=scheme, d=dim, dtype=dtype: bodies_run(p, s, dtype, NUM, d))
        if dtype == "float32":
            yield Check("strang2-two-bodies", dtype, lambda: two_bodies("float32"))
            yield Check("ensemble-kac", dtype, lambda: ensemble_run("float32"))
        for name, (function, clouds) in DIAGNOSTICS.items():
            shapes = ((300, 3), (300, 3))[:clouds]
            yield Check(name, dtype, lambda f=function, s=shapes, dtype=dtype: diagnostic(f, *s, dtype=dtype))
