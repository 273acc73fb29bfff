"""Kac's walk and microcanonical collisions: events a second by the exact clock, by tau leaping, by one at a time in numba.

    python benchmarks/bench_jumps.py [--cores 1] [--sizes 1000 1000000] [--json benchmarks/results/jumps.json] [--quick]

The exact clock and the loop have no time-step error. Maxwellian data, N = volume, d = 3, float32. With the clock the JSON holds
acceptance, waves a window and windows. On a GPU add --sizes 10000000.
"""

import _harness as harness

OPTIONS = harness.options(__doc__.splitlines()[0], (1000, 10_000, 100_000, 1_000_000), quick=(1000,))

import _rivals as rivals  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402

import jaxkinetic as jk  # noqa: E402

B = jk.boltzmann
LAWS = {"Maxwell": B.Maxwell, "hard spheres": B.HardSphere}
counts: dict[tuple[str, int], float] = {}
extras: dict[tuple[str, int], dict[str, float]] = {}


def clock(name, law, num):
    """Intervals of ten windows and more, twenty of them, or two of the largest."""
    return timed(name, B.KacWalk(law(), float(num)), num, 5.0 if law is B.Maxwell else 1.0)


def timed(name, system, num, dt):
    state, steps = jk.initial.maxwellian(jax.random.key(0), num, 3), 20 if num < 1_000_000 else 2
    given = {"scheme": jk.pairs.ExactClock(), "key": jax.random.key(1), "num_steps": steps, "dt": dt, "throw": False}

    def call():
        run = jk.simulate(system, state, **given)
        jax.block_until_ready(run.final.velocity)
        stats = {key: float(value) for key, value in run.stats.items()}
        counts[name, num] = stats["collisions"] / 1e6
        extras[name, num] = {
            "acceptance": stats["acceptance"], "windows": stats["windows"], "waves_a_window": stats["waves"] / stats["windows"],
        }  # fmt: skip

    return call


def grazing(name, law, num):
    """Coulomb, a mean free time of .01; in an interval as many events as of Maxwell molecules."""
    system = jk.landau.Microcanonical(jk.landau.PowerLaw(-3.0), law, 0.01)
    return timed(name, system, num, 0.05)


def leap(name, law, num):
    """dt = .1: a tenth of the particles collide in a step, twice that of hard spheres."""
    walk, state = B.KacWalk(law(), float(num)), jk.initial.maxwellian(jax.random.key(0), num, 3)
    given = {"scheme": jk.pairs.TauLeap(), "key": jax.random.key(1), "num_steps": 20, "throw": False}

    def call(dt):
        run = jk.simulate(walk, state, dt=dt, **given)
        jax.block_until_ready(run.final.velocity)
        counts[name, num] = float(run.stats["collisions"]) / 1e6

    return lambda: call(3.0 if "large dt" in name else 0.1)


def loop(name, law, num):
    v = np.asarray(jk.initial.maxwellian(jax.random.key(0), num, 3).velocity)
    hard = law is B.HardSphere
    bound = 2 * 1.15 * float(np.linalg.norm(v, axis=1).max()) if hard else 1.0
    kernel = rivals.walk_one_by_one(v, hard, bound, max(200_000, 5 * num // 2))

    def call():
        counts[name, num] = kernel() / 1e6

    return call


def entry(kind, make, law, rival_of=None):
    name = f"{kind}, {law}"
    law = LAWS.get(law, law)
    return harness.Entry(
        name, "M collisions/s", lambda num: counts[name, num], lambda num: make(name, law, num), 10_000_000, rival_of,
        lambda num: extras.get((name, num), {}),
    )  # fmt: skip


ENTRIES = []
for law in LAWS:
    ours = f"ExactClock, {law}"
    ENTRIES += [
        entry("ExactClock", clock, law),
        entry("numba, one event at a time", loop, law, ours),
        entry("TauLeap, dt = .1", leap, law),
        entry("TauLeap, large dt", leap, law),
    ]

ENTRIES += [entry("ExactClock", grazing, law, "ExactClock, Maxwell") for law in ("heat_kernel", "constant_rate")]

if __name__ == "__main__":
    harness.finish(harness.run(ENTRIES, OPTIONS), OPTIONS)
