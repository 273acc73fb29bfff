"""What a first call waits for: seconds to trace, lower and compile a run of 10 steps, and its gradient.

    python benchmarks/bench_compile.py --cores 1 [--only NAME] [--sizes 1000] [--json benchmarks/results/compile.json]

Every system and scheme of `registry.py` and `split_cases.py` in `tests/contract`, in float32, compiled by `jax.jit` with empty
caches. The gradient is with respect to the parameters, or to the velocities if there are no parameters. `lines`: lines of
StableHLO; `fusions`, `instructions`: their numbers in the compiled program; `cpu`: CPU seconds of all three parts, which
depend less on what else runs on the machine than `seconds` does.
"""

import sys
import time
from pathlib import Path

import _harness as harness

OPTIONS = harness.options(__doc__.splitlines()[0], (1000,), quick=(100,))

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "contract")]

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import split_cases  # noqa: E402
from registry import CASES  # noqa: E402

import jaxkinetic as jk  # noqa: E402

STEPS = 10
PARTS = ("trace", "lower", "compile")


def of_particles(case, num):
    """(run, arguments, index of the argument that is differentiated, or None)."""
    system, state = case.system(), case.start(jnp.float32, num=num)
    own, places = jax.tree.leaves(system), leaves_at(system, case.parameters)

    def run(parameters, velocity, words):
        leaves = list(own)
        for place, value in zip(places, parameters, strict=True):
            leaves[place] = value
        moved = eqx.tree_at(lambda s: s.velocity, state, velocity)
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        return jk.simulate(
            jax.tree.unflatten(jax.tree.structure(system), leaves), moved, scheme=case.scheme(), key=key, dt=0.01,
            num_steps=STEPS, throw=False,
        ).final.velocity  # fmt: skip

    arguments = [own[place] for place in places], state.velocity, jnp.zeros(2, jnp.uint32)
    return run, arguments, (0 if places else 1) if case.differentiable else None


def of_grid(case, num):
    """A grid of num^2/256 points and more, like 64 x 64 for num = 1000."""
    shape = 2 * (round(num**0.5) // 2)
    grid = jk.Grid(jk.Axis(0.0, split_cases.CIRCLE, 2 * shape), split_cases.line(2 * shape, 0.1))
    start = split_cases.as_state(case.kind, split_cases.amplitude(grid).astype(np.complex64), grid)
    system = case.system()

    def run(system, start):
        given = {"scheme": jk.Strang(case.order), "dt": 0.1, "num_steps": STEPS, "throw": False}
        return split_cases.values(jk.simulate(system, start, **given).final)

    return run, (jax.tree.map(jnp.asarray, system), start), 0


def of_bodies(potential, num):
    state = jk.vlasov.quiet_start(jk.vlasov.Maxwellian(length=split_cases.CIRCLE), num, amplitude=0.01)

    def run(system, state):
        return jk.simulate(system, state, scheme=jk.Leapfrog(), dt=0.1, num_steps=STEPS, throw=False).final.velocity

    return run, (jk.vlasov.NBody(potential), state), 0


def leaves_at(system, paths):
    """Indices, among the leaves of `system`, of the leaves that the dotted paths name."""
    named = [jax.tree_util.keystr(path).lstrip(".") for path, _ in jax.tree_util.tree_leaves_with_path(system)]
    return [named.index(path) for path in paths]


def programs(num):
    """(name, function, arguments) of every entry: its value and, if it is differentiable, its gradient."""
    grids = [split_cases.GridCase(kind, "gaussian", order=order) for kind in split_cases.SYSTEMS for order in (2, 4)]
    entries = [(str(case), of_particles, case) for case in CASES]
    entries += [(f"strang{case.order}-{case.kind}", of_grid, case) for case in grids]
    bodies = {"cosine": jk.vlasov.Cosine(), "gaussian": jk.vlasov.Gaussian(1.0, 1.0)}
    entries += [(f"leapfrog-{name}", of_bodies, potential) for name, potential in bodies.items()]
    for name, make, what in entries:
        if OPTIONS.only not in name:
            continue
        run, arguments, place = make(what, num)
        yield name, run, arguments
        if place is not None:
            yield f"{name}, gradient", gradient(run, place), arguments


def gradient(run, place):
    def derivative(*arguments):
        def value(moving, rest):
            given = [*arguments]
            given[place] = eqx.combine(moving, rest)
            return jnp.sum(jnp.abs(run(*given)) ** 2)

        return jax.grad(value)(*eqx.partition(arguments[place], eqx.is_inexact_array))

    return derivative


def measure(function, arguments):
    """Seconds of each part with empty caches, CPU seconds of all parts, and the size of the program."""
    jax.clear_caches()
    cpu, times = time.process_time(), [time.perf_counter()]
    traced = jax.jit(function).trace(*arguments)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    compiled = lowered.compile()
    times.append(time.perf_counter())
    cpu, text = time.process_time() - cpu, compiled.as_text()
    return {
        **dict(zip(PARTS, np.diff(times).tolist(), strict=True)),
        "seconds": times[-1] - times[0], "cpu": cpu, "lines": lowered.as_text().count("\n"),
        "fusions": text.count(" fusion("), "instructions": text.count(" = "),
    }  # fmt: skip


def warm_up():
    """Compile a first program and a first derivative, so that what JAX sets up for them is not measured."""
    measure(jax.grad(lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, length=3)[0]), (jnp.ones(()),))


def main():
    warm_up()
    results = []
    for num in OPTIONS.sizes:
        for name, function, arguments in programs(num):
            row = measure(function, arguments)
            results.append({"name": name, "size": num, **row})
            print(
                f"  {name}, N = {num}: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()),
                file=sys.stderr,
                flush=True,
            )
    for kind, wanted in (("value", False), ("gradient", True)):
        for what in ("seconds", "cpu"):
            values = [row[what] for row in results if row["name"].endswith("gradient") == wanted]
            if values:
                print(
                    f"{kind}, {what}: median {np.median(values):.2f}, largest {max(values):.2f}, {len(values)} entries"
                )
    harness.write_rows(results, OPTIONS, "one compilation each, caches emptied before; see the docstring")


if __name__ == "__main__":
    main()
