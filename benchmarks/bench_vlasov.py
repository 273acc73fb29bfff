"""Mean-field dynamics on a grid: cell steps a second beside bare transforms, the cost of an error and of a gradient, memory.

    python benchmarks/bench_vlasov.py --cores 1 [--json benchmarks/results/vlasov.json] [--quick] [--large] [--only Hartree]

Five tables, in this order. The goals are those of one core, float64, 256 x 512. A rate counts a run as it is called, its
beginning and end included: about one step and a half, which matters where there are few. Peaks are those of processes of their
own: resident on a CPU, in use on an accelerator.
"""

import _harness as harness

SIZES, QUICK = (512,), (64,)
OPTIONS = harness.options(
    str(__doc__).splitlines()[0], SIZES, QUICK, of="numbers of velocities in d = 1; half as many positions",
    switches=(("--large", "32^3 x 32^3 too, complex64: for an accelerator of 70 GB and more"),),
)  # fmt: skip

import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from functools import cache, partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

# An accelerator is shared with the processes that are measured for their memory, which take what is left.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", ".9")

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import jaxkinetic as jk  # noqa: E402
from jaxkinetic.spectral import along  # noqa: E402

jax.config.update("jax_enable_x64", True)

SYSTEMS = {
    system.__name__: system for system in (jk.vlasov.Vlasov, jk.vlasov.HamiltonVlasov, jk.vlasov.HamiltonHartree)
}
ADJOINTS = {adjoint.__name__: adjoint for adjoint in (jk.Direct, jk.Checkpointed, jk.Reversible)}
PAIR = ("Vlasov",) if OPTIONS.quick else ("Vlasov", "HamiltonHartree")
SPEED_GOALS = {"Vlasov": 130.0, "HamiltonHartree": 60.0}  # M cell steps/s
GRADIENT_GOALS = {"Direct": 4.0, "Reversible": 6.0}  # runs
PEERS = (
    "Others, one Zen 5 core, 1D1V, float64, M cell steps/s: ADEPT 48-60 (its order 6: 12), plain FFT Strang 61-73, merged with "
    "a polynomial phase 142-172, best non-spectral 295."
)
WAVENUMBER, REACH, STEP = 0.5, 6.0, 0.1
LENGTH = 2 * math.pi / WAVENUMBER
LEAST_LARGE = 70e9  # bytes
ROUNDS = 1 if OPTIONS.quick else 5
METHOD = (
    "one call not counted, then what is compared in turns, 5 calls of each; d > 1 and peaks: each in a process of its own, two "
    "calls, or one of a gradient. --quick: one call everywhere"
)


@dataclass(frozen=True)
class Case:
    """A run of `steps` steps of Strang's splitting, of order 2, with `num_x` positions and `num_v` velocities in each of `dim`
    directions, in real dtype `dtype`; with the name of an adjoint, its gradient in the strength of the potential too."""

    system: str
    dim: int
    num_x: int
    num_v: int
    steps: int
    dtype: str = "float64"
    adjoint: str = ""

    @property
    def cells(self) -> int:
        return (self.num_x * self.num_v) ** self.dim

    @property
    def nbytes(self) -> int:
        """Of a state."""
        return self.cells * jnp.dtype(self.dtype).itemsize * (1 if self.system == "Vlasov" else 2)

    def __str__(self) -> str:
        power = "" if self.dim == 1 else f"^{self.dim}"
        adjoint = f", {self.adjoint}" if self.adjoint else ""
        return f"{self.system}{adjoint}, {self.num_x}{power} x {self.num_v}{power}, {self.dtype}, {self.steps} steps"


def phase_space(dim: int, num_x: int, num_v: int, dtype: str) -> jk.Grid:
    x, v = jk.Axis(0.0, LENGTH, num_x), jk.Axis(-REACH, 2 * REACH, num_v, periodic=False)
    return jax.tree.map(lambda leaf: leaf.astype(dtype), jk.Grid(*[x] * dim, *[v] * dim))


@eqx.filter_jit
def perturbed(grid: jk.Grid, *, wave: bool) -> jax.Array:
    """f = (1 + .01 sum cos k x_i) M(v), mass 1, at (x, v); or the transform of its root over v, at (x, xi)."""
    d, axes = grid.half, grid.axes
    ripple = [along(jnp.cos(WAVENUMBER * axis.points), i, 2 * d) for i, axis in enumerate(axes[:d])]
    f = (1 + 0.01 * sum(ripple[1:], ripple[0])) / LENGTH**d
    out = jax.lax.complex(jnp.sqrt(f), jnp.zeros_like(f)) if wave else f
    for i, axis in enumerate(axes[d:], d):
        out = out * along(root_of_maxwellian(axis) if wave else maxwellian(axis), i, 2 * d)
    return out


def maxwellian(axis: jk.Axis) -> jax.Array:
    return jnp.exp(-(axis.points**2) / 2) / math.sqrt(2 * math.pi)


def root_of_maxwellian(axis: jk.Axis) -> jax.Array:
    """Its transform."""
    xi = 2 * math.pi * jnp.fft.fftfreq(axis.num, dtype=axis.length.dtype) / axis.spacing
    return (2 / math.pi) ** 0.25 * jnp.exp(-(xi**2))


def initial(case: Case) -> jk.Density | jk.Wave:
    """In the picture of the system; never more than a few arrays of the grid."""
    grid = phase_space(case.dim, case.num_x, case.num_v, case.dtype)
    if case.system == "Vlasov":
        return jk.Density(perturbed(grid, wave=False), grid)
    wave = jk.Wave(perturbed(grid, wave=True), grid, "fourier")
    return wave if case.system == "HamiltonHartree" else wave.velocity_picture()


def simulated(case: Case, strength: Any, state: jk.Density | jk.Wave) -> Any:
    """The state at the end."""
    system = SYSTEMS[case.system](jk.vlasov.Poisson(LENGTH, strength))
    adjoint = ADJOINTS[case.adjoint or "Checkpointed"]()
    return jk.simulate(
        system, state, scheme=jk.Strang(), dt=STEP, num_steps=case.steps, adjoint=adjoint, throw=False
    ).final


def energy(case: Case, strength: Any, state: jk.Density | jk.Wave) -> jax.Array:
    """int v_1^2 f/2 at the end: a scalar to differentiate."""
    final = simulated(case, strength, state)
    f = jk.vlasov.phase_space_density(final)
    return jnp.sum(f * along(final.grid.axes[case.dim].points ** 2, case.dim, f.ndim)) * final.grid.cell / 2


def run_of(case: Case) -> Callable[[], Any]:
    """A call that runs the case; with an adjoint its value and gradient."""
    state, strength = initial(case), jnp.asarray(LENGTH**case.dim, case.dtype)
    if not case.adjoint:
        return lambda: jax.block_until_ready(simulated(case, strength, state))
    program = jax.jit(jax.value_and_grad(partial(energy, case)))
    return lambda: jax.block_until_ready(program(strength, state))


def value_of(case: Case) -> Callable[[], Any]:
    """A call that makes what `run_of` differentiates."""
    state, strength = initial(case), jnp.asarray(LENGTH**case.dim, case.dtype)
    program = jax.jit(partial(energy, case))
    return lambda: jax.block_until_ready(program(strength, state))


def real_passes(f: jax.Array) -> jax.Array:
    """To the spectrum and back over v, and over x."""
    f = jnp.fft.irfft(jnp.fft.rfft(f), n=f.shape[1]).T
    return jnp.fft.irfft(jnp.fft.rfft(f), n=f.shape[1]).T


def complex_passes(hat: jax.Array) -> jax.Array:
    return jnp.fft.ifft2(jnp.fft.fft2(hat))


def bare(passes: Callable[[jax.Array], jax.Array], x: jax.Array, steps: int) -> Callable[[], Any]:
    """A call that makes the transforms of so many steps, and nothing else."""
    program = jax.jit(lambda x: jax.lax.scan(lambda x, _: (passes(x), None), x, None, steps)[0])
    return lambda: jax.block_until_ready(program(x))


def in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of every call, one after the other and over again, after one of each that is not counted."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def line(
    name: str, cells: int, steps: int, times: Sequence[float], extra: Mapping[str, float], rival_of: str | None = None
) -> harness.Result:
    """From the seconds of every repetition."""
    work = cells * steps / 1e6
    best, median = min(times), statistics.median(times)
    rates = work / best, work / median
    result = harness.Result(name, cells, "M cell steps/s", *rates, best, len(times), rival_of, dict(extra))
    print(f"  {name}: {result.best:.4g} {result.unit}", file=sys.stderr, flush=True)
    return result


def wanted(name: str) -> bool:
    return OPTIONS.only in name


def speed() -> list[harness.Result]:
    """1D1V, float64."""
    results = []
    for num_v in OPTIONS.sizes:
        cases = [Case(system, 1, num_v // 2, num_v, 20 if OPTIONS.quick else 300) for system in SYSTEMS]
        cases = [case for case in cases if wanted(str(case))]
        calls, passes = {}, {}
        for case in cases:
            kind = "real" if case.system == "Vlasov" else "complex"
            passes[case] = f"bare {kind} transforms, {case.num_x} x {case.num_v}, {case.dtype}"
            calls[str(case)] = run_of(case)
            if passes[case] not in calls:
                transforms = real_passes if kind == "real" else complex_passes
                calls[passes[case]] = bare(transforms, jax.tree.leaves(initial(case))[0], case.steps)
        times = in_turns(calls)
        for name in dict.fromkeys(passes.values()):
            ours = next(case for case in reversed(cases) if passes[case] == name)
            results.append(line(name, ours.cells, ours.steps, times[name], {}, str(ours)))
        for case in cases:
            share = {"of bare": min(times[passes[case]]) / min(times[str(case)])}
            goal = {"goal": SPEED_GOALS[case.system]} if case.system in SPEED_GOALS else {}
            results.append(line(str(case), case.cells, case.steps, times[str(case)], share | goal))
    return results


def apart(case: Case) -> dict[str, Any]:
    """Seconds, and the peak in bytes, of the case in a process of its own. **Raises:** `Skip` with its last words."""
    rounds = 1 if OPTIONS.quick or case.adjoint else 2
    program = f"import bench_vlasov as bench; bench.report(bench.{case!r}, {rounds})"
    # On an accelerator all memory at once: what is taken bit by bit would lie in pieces.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "true"}
    command, here = [sys.executable, "-c", program], Path(__file__).parent
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise harness.Skip((done.stderr.strip() or f"ended with code {done.returncode}").splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


@cache
def idle_peak(system: str, adjoint: str) -> int:
    """That of the same program on next to nothing."""
    return apart(Case(system, 1, 8, 16, 2, "float64", adjoint))["peak"]


def measured_apart(cases: Sequence[Case]) -> list[harness.Result]:
    """Rates and peaks, in MB, beside the peak above that of a tiny run and the size of a state."""
    results = []
    for case in cases:
        if not wanted(str(case)):
            continue
        try:
            found, idle = apart(case), idle_peak(case.system, case.adjoint)
        except harness.Skip as reason:
            print(f"  skipped: {case}: {reason}", file=sys.stderr)
            continue
        above = found["peak"] - idle
        extra = {"peak MB": found["peak"] / 1e6, "above a tiny run": above / 1e6, "a state": case.nbytes / 1e6}
        results.append(line(f"{case}, apart", case.cells, case.steps, found["seconds"], extra))
    return results


def report(case: Case, rounds: int) -> None:
    """What `apart` reads: the seconds of every call after one that is not counted, and the peak."""
    print(json.dumps({"seconds": in_turns({"": run_of(case)}, rounds)[""], "peak": peak()}))


def peak() -> int:
    """Bytes that this process held at most: of the accelerator, or on a CPU in all."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {})["peak_bytes_in_use"]
    # Not `ru_maxrss`, which begins at the size of the parent.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def dimensions() -> list[harness.Result]:
    """Two and three directions; --large needs the memory."""
    cases = []
    for system in PAIR:
        for dtype in ("float32",) if OPTIONS.quick else ("float32", "float64"):
            cases.append(Case(system, 2, *((8, 8) if OPTIONS.quick else (32, 32)), 10, dtype))
            cases += [] if OPTIONS.quick else [Case(system, 3, 16, 16, 10, dtype)]
    if OPTIONS.large:
        device = jax.devices()[0]
        room = (device.memory_stats() or {}).get("bytes_limit", 0) if device.platform == "gpu" else 0
        if room >= LEAST_LARGE:
            cases.append(Case("HamiltonHartree", 3, 32, 32, 10, "float32"))
        else:
            print(f"  skipped: --large needs a GPU of {LEAST_LARGE / 1e9:.0f} GB", file=sys.stderr)
    return measured_apart(cases)


def mode(state: jk.Density) -> jax.Array:
    """The first mode of the density; real, for the data are even."""
    return jk.vlasov.density_mode(state).real


def damping() -> list[harness.Result]:
    """Landau's: the error of the damping rate that a linear mode shows between t = 16 and 36, beside the time of its run. From
    t = 2 pi/(k dv) on a grid in v remembers its data; before, what is wrong is wrong in dt."""
    f0 = jk.vlasov.Maxwellian(1.0, LENGTH)
    truth = complex(jk.vlasov.dispersion_root(jk.vlasov.Poisson(LENGTH), f0, WAVENUMBER))
    steps = {2: (0.4,), 4: (0.4,)} if OPTIONS.quick else {2: (0.4, 0.1, 0.025), 4: (0.8, 0.4, 0.2, 0.1, 0.05)}
    results = []
    for num_x, num_v in ((8, 64),) if OPTIONS.quick else ((8, 40), (8, 64), (16, 128)):
        runs = {
            f"Landau damping, {num_x} x {num_v}, Strang({order}), dt = {dt:g}": damped(f0, num_x, num_v, order, dt)
            for order, choices in steps.items()
            for dt in choices
        }
        runs = {name: run for name, run in runs.items() if wanted(name)}
        for name, times in in_turns(runs).items():
            solution = runs[name]()
            omega = complex(jk.fit_oscillation(solution.times, solution.observed["mode"], window=(15.9, 36.1)).omega)
            # NaN, if nothing oscillates: JSON has no word for it.
            error = {} if math.isnan(omega.imag) else {"relative error": abs(omega.imag / truth.imag - 1)}
            results.append(line(name, num_x * num_v, int(solution.stats["steps"]), times, error))
    return results


def damped(f0: jk.vlasov.Maxwellian, num_x: int, num_v: int, order: int, dt: float) -> Callable[[], jk.Solution]:
    """A call that follows one mode of amplitude 1e-6 for a time of 36, seen every .8."""
    state = jk.vlasov.perturbed(f0, phase_space(1, num_x, num_v, "float64"), 1e-6)
    system, save = jk.vlasov.Vlasov(jk.vlasov.Poisson(LENGTH)), jk.Save(every=round(0.8 / dt), observe={"mode": mode})
    given = {"scheme": jk.Strang(order), "dt": dt, "num_steps": round(36 / dt), "save": save, "throw": False}
    return lambda: jax.block_until_ready(jk.simulate(system, state, **given))


def gradients() -> list[harness.Result]:
    """Value and gradient in the strength of the potential, 100 steps, in times of the value alone."""
    results = []
    for num_v in OPTIONS.sizes:
        for system in PAIR:
            plain = Case(system, 1, num_v // 2, num_v, 10 if OPTIONS.quick else 100)
            cases = [case for adjoint in ADJOINTS if wanted(str(case := replace(plain, adjoint=adjoint)))]
            if not cases:
                continue
            value = f"value: {plain}"
            times = in_turns({value: value_of(plain), **{str(case): run_of(case) for case in cases}})
            results.append(line(value, plain.cells, plain.steps, times[value], {}))
            for case in cases:
                cost = {"values": min(times[str(case)]) / min(times[value])}
                goal = {"goal": GRADIENT_GOALS[case.adjoint]} if case.adjoint in GRADIENT_GOALS else {}
                results.append(line(str(case), case.cells, case.steps, times[str(case)], cost | goal))
    return results


def memory() -> list[harness.Result]:
    """Peaks of the same, and of 1000 steps on a smaller grid."""
    if OPTIONS.quick:
        return measured_apart([Case("Vlasov", 1, 32, 64, 20, "float64", "Reversible")])
    sizes = [(num_v // 2, num_v, 100) for num_v in OPTIONS.sizes] + [(64, 128, 100), (64, 128, 1000)]
    return measured_apart(
        [Case(system, 1, *size, "float64", adjoint) for system in PAIR for size in sizes for adjoint in ADJOINTS]
    )


def shown(results: Sequence[harness.Result]) -> str:
    """A table; what some lines say besides becomes columns."""
    from jaxkinetic.experiments._harness.report import table

    names = list(dict.fromkeys(name for result in results for name in result.extra))
    rows = [
        [r.name, f"{r.seconds:.3g}", f"{r.best:.4g}", f"{r.median:.4g}"]
        + [f"{r.extra[name]:.3g}" if name in r.extra else "" for name in names]
        for r in results
    ]
    return table(["what", "seconds", "M cell steps/s", "median", *names], rows)


SECTIONS = {
    "Speed, 1D1V": speed,
    "More directions": dimensions,
    "Error of the damping rate against the time of the run": damping,
    "Cost of a gradient": gradients,
    "Memory of a gradient": memory,
}


def main() -> None:
    results = []
    for title, section in SECTIONS.items():
        found = section()
        if found:
            print(f"\n{title}\n{shown(found)}", flush=True)
        if found and section is speed:
            print(PEERS)
        results += found
    harness.write(results, OPTIONS, METHOD)


if __name__ == "__main__":
    main()
