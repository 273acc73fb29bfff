"""What a gradient costs: its time divided by that of the value, its memory, and the spread of estimators through jumps.

    python benchmarks/bench_gradients.py [--json benchmarks/results/gradients.json] [--only spread] [--quick]

Families: one program for the value and one for the value with its gradient (`jax.grad` of `jk.expectation`, or of an
observable of `jk.simulate`), float64; the time of the first call includes compiling. Spread: the derivative of the density in
alpha of the annihilating walk (Maxwell molecules, t = 1), by scores on forward cones, by the global score, and by differences
with common random numbers: the standard deviation of one run divided by the derivative, and the same for a second of computing.
"""

import json
import resource
import subprocess
import sys
import time

import _harness as harness

ONE = sys.argv[2:5] if sys.argv[1:2] == ["--one"] else None
if ONE:
    sys.argv[1:] = []
OPTIONS = harness.options(__doc__.splitlines()[0], (10_000,), quick=(200,))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import jaxkinetic as jk  # noqa: E402

jax.config.update("jax_enable_x64", True)
P = jax.tree_util.Partial


def one(state):
    return jnp.ones(state.num_slots, state.velocity.dtype)


def energy(state):
    return jnp.sum(state.velocity**2, axis=1)


def fourth(state):
    return jnp.sum(state.velocity**2, axis=1) ** 2


def anisotropic(key, num, dim=3):
    return jk.initial.bimaxwellian(key, num, dim, perpendicular=0.8, parallel=1.4)


def walk(alpha, num, cross_section=None):
    return jk.boltzmann.KacWalk(cross_section or jk.boltzmann.Maxwell(), float(num), alpha)


def expectation(model, observe, num, **options):
    """theta -> the mean of one run."""
    state = anisotropic(jax.random.key(0), num)
    state = jk.Particles(state.velocity, jax.random.normal(jax.random.key(2), state.velocity.shape))

    def value(theta, key):
        return jk.expectation(model(theta, num), state, observe, key=key, replicas=1, throw=False, **options).value

    return value


def landau(kind, scheme, num, steps=4):
    def model(strength, _):
        return kind(jk.landau.PowerLaw(-1.0, strength))

    return expectation(model, fourth, num, dt=0.01, num_steps=steps, scheme=scheme)


def grid(system_of, scheme):
    """The square of a field on a grid of 64 x 128."""
    grid = jk.Grid(jk.Axis(0.0, 4 * np.pi, 64), jk.Axis(-6.0, 12.0, 128, periodic=False))
    x, v = grid.mesh
    density = jk.Density(jnp.exp(-(v**2) / 2) * (1 + 0.1 * jnp.cos(0.5 * x)) / np.sqrt(2 * np.pi) / (4 * np.pi), grid)

    def value(theta, key):
        run = jk.simulate(system_of(theta), density, scheme=scheme, dt=0.1, num_steps=20, throw=False)
        return jnp.sum(run.final.f**2)

    return value


def families(num):
    """name -> (parameter, value as a function of it and a key)."""
    small = min(num, 1000)
    exact = {"dt": 1.0, "num_steps": 1}
    return {
        f"walk, Maxwell, density in alpha, N = {num}": (0.5, expectation(walk, one, num, **exact)),
        f"walk, Maxwell, energy in strength, N = {num}": (
            1.0,
            expectation(lambda s, n: walk(0.5, n, jk.boltzmann.Maxwell(s)), energy, num, max_candidates=num, **exact),
        ),
        f"walk, hard spheres, density in alpha, N = {small}": (
            0.5,
            expectation(lambda a, n: walk(a, n, jk.boltzmann.HardSphere()), one, small, dt=0.25, num_steps=1),
        ),
        f"walk, TauLeap, density in alpha, N = {num}": (
            0.5,
            expectation(walk, one, num, dt=0.1, num_steps=10, scheme=jk.pairs.TauLeap()),
        ),
        f"microcanonical heat kernel in gamma, N = {num}": (
            -1.0,
            expectation(
                lambda g, n: jk.landau.Microcanonical(jk.landau.PowerLaw(g), "heat_kernel", 0.1), fourth, num, dt=0.1,
                num_steps=1,
            ),
        ),
        f"Kac, RandomMatching, N = {num}": (0.3, landau(jk.landau.Kac, jk.pairs.RandomMatching(), num, 20)),
        f"Kac, Sweep, N = {small}": (0.3, landau(jk.landau.Kac, jk.pairs.Sweep(), small)),
        f"Kac, EulerMaruyama, N = {small}": (0.3, landau(jk.landau.Kac, jk.EulerMaruyama(), small)),
        f"independent, EulerMaruyama, N = {small}": (0.3, landau(jk.landau.IndependentNoise, jk.EulerMaruyama(), small)),
        f"MatrixSqrt, EulerMaruyama, N = {small}": (0.3, landau(jk.landau.MatrixSqrt, jk.EulerMaruyama(), small)),
        "Vlasov-Poisson, Strang, grid 64 x 128": (
            1.0, grid(lambda s: jk.vlasov.Vlasov(jk.vlasov.Poisson(4 * np.pi, s)), jk.Strang()),
        ),
        "Hamilton-Vlasov, Strang": (1.0, wave(lambda s: jk.vlasov.HamiltonVlasov(jk.vlasov.Cosine(s)))),
        "Landau on the torus, RungeKutta": (
            0.5,
            torus(lambda c: jk.landau.TorusPDE(jk.landau.Trigonometric([[0], [1]], jnp.stack([jnp.ones_like(c), c])))),
        ),
        f"NBody, Gaussian, Leapfrog, N = {small}": (
            1.0,
            expectation(
                lambda s, n: jk.vlasov.NBody(jk.vlasov.Gaussian(s)), energy, small, dt=0.1, num_steps=4,
                scheme=jk.Leapfrog(),
            ),
        ),
    }  # fmt: skip


def wave(system_of):
    grid = jk.Grid(jk.Axis(0.0, 2 * np.pi, 64), jk.Axis(-6.0, 12.0, 128, periodic=False))
    x, v = grid.mesh
    start = jk.Wave(jnp.sqrt(jnp.exp(-(v**2) / 2) * (1 + 0.1 * jnp.cos(x)) / np.sqrt(2 * np.pi) / (2 * np.pi)), grid)

    def value(theta, key):
        run = jk.simulate(system_of(theta), start, scheme=jk.Strang(), dt=0.1, num_steps=20, throw=False)
        return jnp.sum(jnp.abs(run.final.alpha) ** 4)

    return value


def torus(system_of):
    grid = jk.Grid(jk.Axis(0.0, 2 * np.pi, 64))
    (v,) = grid.mesh
    start = jk.Density((1 + 0.8 * jnp.cos(v)) / (2 * np.pi) + jnp.zeros(64), grid)

    def value(theta, key):
        run = jk.simulate(system_of(theta), start, dt=0.01, num_steps=20, throw=False)
        return jnp.sum(run.final.f**2)

    return value


def timed(call):
    """(seconds of the first call, best of the others)."""
    start = time.perf_counter()
    jax.block_until_ready(call(0))
    first = time.perf_counter() - start
    times = []
    while len(times) < 5 or (sum(times) < 1 and len(times) < 200):
        start = time.perf_counter()
        jax.block_until_ready(call(len(times) + 1))
        times.append(time.perf_counter() - start)
        if sum(times) > 20:
            break
    return first, float(np.median(times))


def cost(name, num, gradient):
    """Times of one family, and the peak memory of this process."""
    theta, value = families(num)[name]
    program = jax.jit(jax.value_and_grad(value) if gradient else value)
    keys = jax.random.split(jax.random.key(1), 256)
    first, best = timed(lambda k: program(theta, keys[k % 256]))
    slope = float(program(theta, keys[0])[1]) if gradient else None
    return {
        "first": first,
        "seconds": best,
        "slope": slope,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def spread(num, estimator, target=2.0):
    """The standard deviation of one run of d(density)/d(alpha) divided by its value, and the seconds of a run."""
    start, replicas = P(jk.initial.maxwellian, num_particles=num, dim=3), max(min(2000, 400_000 // num), 8)
    options = {"dt": 0.5, "num_steps": 2, "replicas": replicas}

    def slopes(key):
        if estimator == "differences":
            model = P(walk, num=num)
            return jk.finite_difference(model, 0.5, start, one, step=0.05, key=key, **options).runs / num
        mean = jk.expectation(
            walk(0.5, num), start, one, key=key, gradient=annihilation, estimator=estimator, **options
        )
        return mean.gradient_samples / num

    jax.block_until_ready(slopes(jax.random.key(0)))
    runs, seconds = [], 0.0
    while seconds < target or len(runs) < 2:
        start_time = time.perf_counter()
        runs.append(np.asarray(slopes(jax.random.key(1 + len(runs)))))
        seconds += time.perf_counter() - start_time
    runs = np.concatenate(runs)
    each = seconds / runs.size
    relative = float(np.std(runs, ddof=1) / 0.4444)
    # The relative error of a standard deviation, from the fourth moment.
    kurtosis = float(np.mean((runs - runs.mean()) ** 4) / np.var(runs) ** 2)
    error = relative * np.sqrt(max(kurtosis - 1, 0.1) / runs.size) / 2
    return {
        "estimator": estimator, "size": num, "mean": float(runs.mean()), "stderr": float(runs.std() / np.sqrt(runs.size)),
        "relative": relative, "relative_stderr": float(error), "seconds": each, "after_a_second": relative * np.sqrt(each),
        "runs": int(runs.size),
    }  # fmt: skip


def annihilation(system):
    return system.annihilation


def main():
    rows = []
    for num in OPTIONS.sizes:
        for name in families(num):
            if OPTIONS.only in name and OPTIONS.only != "spread":
                # Each in its own process, for its peak memory.
                pair = [in_process(name, num, gradient) for gradient in (False, True)]
                rows.append(summary(name, *pair))
                print(describe(rows[-1]), flush=True)
    if OPTIONS.only in ("", "spread"):
        sizes = (20, 100) if OPTIONS.quick else (100, 1000, 10_000, 100_000)
        found = [spread(num, kind, 0.1 if OPTIONS.quick else 2.0) for kind in KINDS for num in sizes]
        for row in found:
            print(
                f"{row['estimator']:12} N = {row['size']:7}: {row['mean']:.4f} +- {row['stderr']:.4f}, relative std "
                f"{row['relative']:.3g}, after 1 s {row['after_a_second']:.3g}"
            )
        rows += found + [slope_of(found, kind) for kind in KINDS]
        if not OPTIONS.quick:
            draw(found)
    harness.write_rows(
        rows, OPTIONS, "first call, then the median of the calls of one second, 5 at least; spread: 2 s each"
    )


KINDS = ("cone", "global", "differences")


def slope_of(found, kind):
    """The exponent p of the relative standard deviation, N^p, by weighted least squares on logarithms."""
    rows = [row for row in found if row["estimator"] == kind]
    x = np.log([row["size"] for row in rows])
    y = np.log([row["relative"] for row in rows])
    weight = 1 / np.array([row["relative_stderr"] / row["relative"] for row in rows]) ** 2
    centre = np.sum(weight * x) / weight.sum()
    slope = np.sum(weight * (x - centre) * y) / np.sum(weight * (x - centre) ** 2)
    print(f"{kind}: relative standard deviation ~ N^{slope:.3f}")
    return {
        "estimator": kind,
        "exponent": float(slope),
        "stderr": float(1 / np.sqrt(np.sum(weight * (x - centre) ** 2))),
    }


def draw(found):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.5, 4))
    names = {"cone": "score on forward cones", "global": "global score, centred", "differences": "differences, h = .05"}
    for kind, mark in zip(KINDS, "os^", strict=True):
        rows = [row for row in found if row["estimator"] == kind]
        size, relative = ([row[what] for row in rows] for what in ("size", "relative"))
        axes.errorbar(size, relative, [row["relative_stderr"] for row in rows], marker=mark, label=names[kind])
    size = np.array(size)
    first = next(row["relative"] for row in found if row["estimator"] == "cone")
    axes.plot(size, first * np.sqrt(size[0] / size), "k:", label="$N^{-1/2}$")
    axes.set(xscale="log", yscale="log", xlabel="N", ylabel="standard deviation of one run / derivative")
    axes.set_title("d(density)/d(alpha), annihilating Maxwell walk, t = 1")
    axes.legend()
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=150)


FIGURE = harness.RESULTS.parents[1] / "docs" / "figures" / "gradient_spread.png"


def in_process(name, num, gradient):
    command = [sys.executable, __file__, "--one", name, str(num), str(int(gradient))]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.strip().splitlines()[-1])


def summary(name, value, slope):
    return {
        "name": name, "value_ms": 1e3 * value["seconds"], "gradient_ms": 1e3 * slope["seconds"],
        "ratio": slope["seconds"] / value["seconds"], "first_value_s": value["first"], "first_gradient_s": slope["first"],
        "peak_value_mb": value["peak"], "peak_gradient_mb": slope["peak"], "slope": slope["slope"],
    }  # fmt: skip


def describe(row):
    return (
        f"{row['name']:52} value {row['value_ms']:8.2f} ms, gradient {row['gradient_ms']:8.2f} ms, ratio {row['ratio']:5.2f}; "
        f"first calls {row['first_value_s']:.1f} s and {row['first_gradient_s']:.1f} s; peak {row['peak_value_mb']:.0f} and "
        f"{row['peak_gradient_mb']:.0f} MB"
    )


if __name__ == "__main__":
    if ONE:
        print(json.dumps(cost(ONE[0], int(ONE[1]), ONE[2] == "1")))
    else:
        main()
