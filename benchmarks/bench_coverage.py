"""Coverage of 95 % intervals: fits of one run by length and dtype, fits and means of few runs by their number.

    python benchmarks/bench_coverage.py [--quick] [--json benchmarks/results/coverage.json]

One run: e^{-t/2} + c on [0, 1] with independent noise .001, on which rate, amplitude and floor are nearly collinear.
`stderr/theory`: median standard error over that of the linear theory; `rms z`: scatter over theory. R runs: e^{-4t} with noise
.02 that is correlated over 2 of 50 times. "eager": concrete arrays; "traced": under `jit`, in the arrays' own dtype.
"""

import _harness as harness

OPTIONS = harness.options(__doc__.splitlines()[0], (20, 100, 1000, 5000, 50_000, 1_000_000), quick=(20, 1000),
                          of="lengths of series")  # fmt: skip

import sys  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import jaxkinetic as jk  # noqa: E402

jax.config.update("jax_enable_x64", True)
RATE, NOISE, TIMES = 0.5, 1e-3, np.linspace(0, 1, 50)
RUNS = (2, 3, 4, 5, 8, 16, 64)


def one_run(num, dtype, floor, traced):
    draws = 12 if OPTIONS.quick else 3 if num > 100_000 else max(12, min(600, 200_000 // num))
    if not traced:
        draws = min(draws, 200)
    t, rng = np.linspace(0, 1, num), np.random.default_rng(num)
    columns = np.stack([-t * np.exp(-RATE * t), np.exp(-RATE * t), np.ones_like(t)][: 2 + (floor == "fit")], 1)
    theory = NOISE * np.sqrt(np.linalg.inv(columns.T @ columns)[0, 0])

    def of(y):
        fit = jk.fit_decay(t, y, floor=floor)
        return fit.rate, *fit.interval(0.95), fit.rate_stderr

    program = jax.jit(of) if traced else of
    found = []
    for _ in range(draws):
        y = np.exp(-RATE * t) + 0.1 + NOISE * rng.normal(size=num)
        found.append([float(x) for x in program(jnp.asarray(y.astype(dtype)))])
    rate, low, high, stderr = np.array(found).T
    return {
        "estimator": "fit_decay", "runs": 1, "length": num, "dtype": np.dtype(dtype).name, "floor": str(floor),
        "mode": "traced" if traced else "eager", "draws": draws, "coverage": float(np.mean((low < RATE) & (high > RATE))),
        "stderr/theory": float(np.median(stderr) / theory), "rms z": float(np.sqrt(np.mean(((rate - RATE) / theory) ** 2))),
    }  # fmt: skip


def correlated(rng, shape):
    x = rng.normal(size=shape)
    for i in range(1, shape[-1]):
        x[..., i] = 0.5 * x[..., i - 1] + np.sqrt(0.75) * x[..., i]
    return x


def several_runs(num_runs, dtype):
    draws, rng = (1000 if not OPTIONS.quick else 100), np.random.default_rng(num_runs)
    noise = 0.02 * correlated(rng, (draws, num_runs, TIMES.size))
    reduction, t = jk.MeanVar(), TIMES

    def decay(y):
        return jk.fit_decay(t, y).interval(0.95)

    def oscillation(y):
        return jk.fit_oscillation(t, y).interval(0.95)

    def mean(y):
        total = reduction.start(jax.ShapeDtypeStruct(y.shape[1:], y.dtype))
        low, high = reduction.finish(reduction.add(total, y, jnp.ones(num_runs, bool))).interval(0.95)
        return low[25], high[25]

    wave = np.cos(20 * t)
    for name, of, signal, known in (
        ("fit_decay", decay, np.exp(-4 * t), 4.0),
        ("fit_oscillation", oscillation, wave, 20.0),
        ("MeanVar", mean, 0 * t, 0.0),
    ):
        low, high = jax.jit(lambda y, of=of: jax.lax.map(of, y, batch_size=50))((signal + noise).astype(dtype))
        covered = float(np.mean((np.asarray(low) < known) & (np.asarray(high) > known)))
        yield {
            "estimator": name, "runs": num_runs, "length": t.size, "dtype": np.dtype(dtype).name, "mode": "traced",
            "draws": draws, "coverage": covered,
        }  # fmt: skip


def main():
    rows = []

    def keep(row):
        rows.append(row)
        print("  " + ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()),
              file=sys.stderr, flush=True)  # fmt: skip

    for dtype in (np.float32, np.float64):
        for num_runs in RUNS:
            for row in several_runs(num_runs, dtype):
                keep(row)
    for num in OPTIONS.sizes:
        for dtype in (np.float32, np.float64):
            for floor in (0.1, "fit"):
                for traced in (True, False):
                    keep(one_run(num, dtype, floor, traced))
    harness.write_rows(rows, OPTIONS, __doc__)


if __name__ == "__main__":
    main()
