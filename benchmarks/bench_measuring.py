"""What measuring costs: diagnostics beside NumPy and pair sums, an ensemble beside one large run.

    python benchmarks/bench_measuring.py [--cores 1] [--sizes 16384] [--json benchmarks/results/measuring.json] [--quick]

Every diagnostic is called as a user calls it, beside a line of NumPy or scipy; the first call, which compiles, stands in the
JSON. `--diagnostics` measures these alone (`results/measuring_cpu_1core.json`).

An ensemble is 256 replicas of N = 64, whatever the size; the run beside it has N particles.
"""

import _harness as harness

SIZES = (1000, 16384, 100_000, 1_000_000)
OPTIONS = harness.options(
    __doc__.splitlines()[0], SIZES, quick=(512,), switches=(("--diagnostics", "measure these alone"),)
)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from _measured import entries  # noqa: E402

import jaxkinetic as jk  # noqa: E402

REPLICAS, SMALL = 256, 64
SUM = "one direct sum of b"


def of_state(f):
    def prepare(num):
        state, program = jk.initial.maxwellian(jax.random.key(0), num, 3), jax.jit(f)
        return lambda: jax.block_until_ready(program(state))

    return prepare


def sum_b(state):
    return jk.landau.PowerLaw(jnp.float32(-3)).sum_b(state)


def shell(key):
    return jk.initial.rosenbluth(key, SMALL, 3)


def alone(scheme, steps):
    def prepare(num):
        state, kac = jk.initial.rosenbluth(jax.random.key(0), num, 3), jk.landau.Kac(jk.landau.PowerLaw(-3.0))
        given = {"scheme": scheme, "key": jax.random.key(1), "dt": 1e-3, "num_steps": steps, "throw": False}
        return lambda: jax.block_until_ready(jk.simulate(kac, state, **given).final.velocity)

    return prepare


def together(scheme, steps):
    def prepare(num):
        kac = jk.landau.Kac(jk.landau.PowerLaw(-3.0))
        given = {"scheme": scheme, "key": jax.random.key(1), "dt": 1e-3, "num_steps": steps, "throw": False}
        return lambda: jax.block_until_ready(jk.ensemble(kac, shell, replicas=REPLICAS, **given).final.velocity)

    return prepare


def particles(num):
    return num / 1e6


def all_pairs(steps):
    return lambda num: steps * num * (num - 1) / 2 / 1e6


def matched(steps):
    return lambda num: steps * (num // 2) / 1e6


def of_ensemble(work):
    return lambda num: REPLICAS * work(SMALL)


PARTICLES, PAIRS, LARGE = "M particles/s", "M pairs/s", 16384
EULER, MATCHING, SWEEP = jk.EulerMaruyama(), jk.pairs.RandomMatching(), jk.pairs.Sweep(symmetric=False)
ENTRIES = [
    harness.Entry(SUM, PARTICLES, particles, of_state(sum_b), LARGE),
    harness.Entry("kde_entropy", PARTICLES, particles, of_state(jk.diagnostics.kde_entropy), LARGE, SUM),
    harness.Entry("fisher_information", PARTICLES, particles, of_state(jk.diagnostics.fisher_information), LARGE, SUM),
]
for name, scheme, steps, work in (
    ("Euler-Maruyama", EULER, 2, all_pairs),
    ("RandomMatching", MATCHING, 200, matched),
    ("Sweep, one pass", SWEEP, 1, all_pairs),
):
    ours, many = f"{name}, 256 x 64", steps if work is matched else 20 * steps
    ENTRIES.append(harness.Entry(ours, PAIRS, of_ensemble(work(many)), together(scheme, many), LARGE))
    ENTRIES.append(harness.Entry(f"{name}, one run", PAIRS, work(steps), alone(scheme, steps), LARGE, ours))

ENTRIES = entries() if OPTIONS.diagnostics else ENTRIES + entries()

if __name__ == "__main__":
    harness.finish(harness.run(ENTRIES, OPTIONS), OPTIONS)
