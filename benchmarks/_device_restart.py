"""Whether a run that is cut in two is bitwise the whole run on this device, in one process and in two; and whether two calls of
one gradient give the same bits.

As a program, it is the second process of bench_device.py: `python benchmarks/_device_restart.py FOLDER` continues every
checkpoint in FOLDER with programs compiled anew, and writes the final states beside them.
"""

import concurrent.futures
import math
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _device_items import coulomb_kac, landau_gradient, normal, on_grid, particles, simulated
from _device_report import Report, failure

import jaxkinetic as jk

B, L, V, PAIRS = jk.boltzmann, jk.landau, jk.vlasov, jk.pairs
HALF, STEPS = 7, 12


def cases(quick: bool) -> dict[str, tuple[Callable[[], Any], Any, Callable[[], Any], float]]:
    """Name: (system, scheme, state, dt). Every scheme, and what may be computed in another way by a program compiled anew:
    products of matrices (autotuned), transforms, sorts."""
    num = 33 if quick else 1000
    grid = (16, 32) if quick else (64, 128)
    some, on_line = partial(particles, num), partial(particles, num, 1, True)
    power = partial(L.PowerLaw, -2.0, 0.7, 0.5)
    em, poisson = jk.EulerMaruyama(), V.Poisson(4 * math.pi)
    found = {
        "EulerMaruyama, Kac": (lambda: L.Kac(power()), em, some, 1e-3),
        "RandomMatching": (coulomb_kac, PAIRS.RandomMatching(), some, 1e-3),
        "Leapfrog, HMF": (lambda: V.NBody(V.Cosine()), jk.Leapfrog(), on_line, 0.1),
    }
    if quick:
        return found
    return found | {
        "EulerMaruyama, Kac, sums as products": (lambda: L.Kac(power(), sums="product"), em, some, 1e-3),
        "EulerMaruyama, IndependentNoise": (lambda: L.IndependentNoise(power()), em, some, 1e-3),
        "EulerMaruyama, MatrixSqrt, Maxwell": (lambda: L.MatrixSqrt(L.Maxwell()), em, some, 1e-3),
        "Sweep": (coulomb_kac, PAIRS.Sweep(), some, 1e-3),
        "ExactClock, Maxwell": (lambda: B.KacWalk(B.Maxwell(), float(num)), PAIRS.ExactClock(), some, 0.5),
        "ExactClock, annihilation": (
            lambda: B.KacWalk(B.HardSphere(), float(num), 0.2), PAIRS.ExactClock(), some, 0.1,
        ),
        "TauLeap, hard spheres": (lambda: B.KacWalk(B.HardSphere(), float(num)), PAIRS.TauLeap(), some, 0.05),
        "Strang(2), Vlasov": (
            lambda: V.Vlasov(poisson), jk.Strang(), partial(on_grid, *grid, "float32", False), 0.02,
        ),
        "Strang(4), HamiltonHartree": (
            lambda: V.HamiltonHartree(poisson), jk.Strang(4), partial(on_grid, *grid, "float32", True), 0.02,
        ),
        "Leapfrog, sheets": (lambda: V.NBody(V.Poisson(6.28)), jk.Leapfrog(), on_line, 0.1),
        "Yoshida(4), Gaussian": (lambda: V.NBody(V.Gaussian()), jk.Yoshida(4), partial(particles, num, 3, True), 0.1),
    }  # fmt: skip


def gradients(quick: bool) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Name: (function, arguments), larger than those of the checks, so that additions meet."""
    num = 100 if quick else 4096
    v, w = normal(num, 3), normal(num, 3, 1)

    def of_run(system: Any, scheme: Any, steps: int = 4):
        function, (arrays, state, words) = simulated(lambda: system, partial(particles, num), steps, scheme=scheme)()

        def loss(velocity: Any) -> Any:
            start = eqx.tree_at(lambda s: s.velocity, state, velocity)
            return jnp.vdot(jnp.asarray(w), function(arrays, start, words)[0].velocity)

        return jax.grad(loss), (state.velocity,)

    def of_state(diagnostic: Callable[[jk.Particles], Any]):
        return jax.grad(lambda v: diagnostic(jk.Particles(v))), (v,)

    found = {
        "Landau sums": (landau_gradient, (v, np.float32(-3))),
        "EulerMaruyama, Kac": of_run(L.Kac(L.PowerLaw(-2.0, 0.7, 0.5)), None),
    }
    if quick:
        return found
    return found | {
        "RandomMatching": of_run(coulomb_kac(), PAIRS.RandomMatching()),
        "MatrixSqrt, Maxwell": of_run(L.MatrixSqrt(L.Maxwell()), None),
        "knn_entropy": of_state(jk.diagnostics.knn_entropy),
        "kde_entropy": of_state(jk.diagnostics.kde_entropy),
        "sliced_wasserstein": of_state(lambda s: jk.diagnostics.sliced_wasserstein(s, jk.Particles(jnp.asarray(w)))),
    }


def arrays_of(state: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(state, eqx.is_array))]


def identical(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """Bit by bit: a NaN equals itself, and -0 differs from 0."""
    pairs = zip(a, b, strict=True)
    return all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in pairs)


def file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def cut_in_two(case: tuple, file: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Two whole runs; half of one, its checkpoint, and the other half."""
    system, scheme, start, dt = case
    given = {"scheme": scheme, "dt": dt, "throw": False}
    if scheme.needs_key:
        given["key"] = jax.random.key(1)
    whole = jk.simulate(system(), start(), num_steps=STEPS, **given)
    again = jk.simulate(system(), start(), num_steps=STEPS, **given)
    half = jk.simulate(system(), start(), num_steps=HALF, **given)
    jk.save_checkpoint(file, half.checkpoint)
    rest = jk.simulate(system(), jk.load_checkpoint(file), num_steps=STEPS - HALF, throw=False)
    ends = [arrays_of(run.final) for run in (whole, again, rest)]
    value = {
        "finished": bool(np.all(np.asarray(whole.result.ok))),
        "repeats": identical(ends[0], ends[1]),
        "restart": identical(ends[0], ends[2]),
    }
    if not value["restart"]:
        value["restart_error"] = worst(ends[0], ends[2])
    return value, ends[0]


def worst(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest difference relative to the largest number."""
    numbers = [(x, y) for x, y in zip(a, b, strict=True) if np.issubdtype(x.dtype, np.inexact)]
    return max(float(np.abs(x - y).max() / max(np.abs(x).max(), 1e-30)) for x, y in numbers)


def run(report: Report, quick: bool, folder: Path, threads: int, until: float, wanted: Callable[[str], bool]) -> None:
    """Fill the section `bitwise`: in this process, then in a second one."""
    ends: dict[str, list[np.ndarray]] = {}
    values: dict[str, dict[str, Any]] = {}

    def one(name: str, case: tuple) -> None:
        if report.elapsed() > until:
            report.note(f"restart not tried for want of time: {name}")
            return
        try:
            values[name], ends[name] = cut_in_two(case, folder / f"{file_name(name)}.npz")
        except Exception as error:
            values[name] = failure(error)
        report.record("bitwise", name, values[name])

    def twice(name: str, function: Callable[..., Any], arguments: tuple) -> None:
        if report.elapsed() > until:
            report.note(f"gradient not repeated for want of time: {name}")
            return
        try:
            program = jax.jit(function)
            results = [arrays_of(program(*arguments)) for _ in range(3)]
            value = {"repeats": all(identical(results[0], other) for other in results[1:])}
            if not value["repeats"]:
                value["error"] = max(worst(results[0], other) for other in results[1:])
        except Exception as error:
            value = failure(error)
        report.record("bitwise", f"gradient, {name}", value)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(one, name, case) for name, case in cases(quick).items() if wanted(f"bitwise: {name}")]
        waiting += [
            pool.submit(twice, name, *what)
            for name, what in gradients(quick).items()
            if wanted(f"bitwise: gradient, {name}")
        ]
        for task in waiting:
            task.result()
    if not ends:
        return
    second_process(report, quick, folder, threads)
    for name, end in ends.items():
        file = folder / f"{file_name(name)}-end.npz"
        if not file.exists():
            values[name]["restart_in_second_process"] = "not measured"
        else:
            with np.load(file) as found:
                other = [found[f"array_{i}"] for i in range(len(found.files))]
            values[name]["restart_in_second_process"] = identical(end, other)
            if not identical(end, other):
                values[name]["second_process_error"] = worst(end, other)
        report.record("bitwise", name, values[name])


def second_process(report: Report, quick: bool, folder: Path, threads: int) -> None:
    """Compiled anew: without a cache of programs. The first process keeps its share of the memory."""
    environment = {
        **os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_ENABLE_COMPILATION_CACHE": "false",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    command = [sys.executable, __file__, str(folder), str(threads), *(["--quick"] if quick else [])]
    limit = max(5.0, min(120.0, report.left() - 30))
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)
        if done.returncode:
            report.note(f"the second process ended with {done.returncode}: {done.stderr[-400:]}")
    except subprocess.TimeoutExpired:
        report.note(f"the second process was stopped after {limit:.0f} s")


def continue_all(folder: Path, threads: int, quick: bool) -> None:
    def one(name: str, system: Callable[[], Any]) -> None:
        file = folder / f"{file_name(name)}.npz"
        if not file.exists():
            return
        end = jk.simulate(system(), jk.load_checkpoint(file), num_steps=STEPS - HALF, throw=False).final
        part = folder / f"{file_name(name)}-part.npz"
        np.savez(part, **{f"array_{i}": x for i, x in enumerate(arrays_of(end))})
        part.replace(folder / f"{file_name(name)}-end.npz")

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(one, name, case[0]) for name, case in cases(quick).items()]
    for task in waiting:
        task.result()


if __name__ == "__main__":
    continue_all(Path(sys.argv[1]), int(sys.argv[2]), "--quick" in sys.argv)
