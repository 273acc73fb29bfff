"""N bodies: a leapfrog step of the HMF model beside one sine and one cosine, forces over pairs, the full grid of (PsQM^N).

    python benchmarks/bench_nbody.py [--cores 1] [--sizes 1000000] [--json benchmarks/results/nbody.json] [--quick] [--large]

--large adds (PsQM^3) on 24^6 points (a run in 24 GiB).
"""

import _harness as harness

SIZES = (16384, 1_000_000)
OPTIONS = harness.options(
    __doc__.splitlines()[0], SIZES, quick=(512,), switches=(("--large", "(PsQM^3) on 24^6 points too"),)
)

import math  # noqa: E402
from functools import partial  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import jaxkinetic as jk  # noqa: E402

V, STEPS = jk.vlasov, 10
STEP = "HMF, a step of Leapfrog"
CIRCLE = 2 * math.pi


def start(num):
    return V.quiet_start(V.Maxwellian(0.2, CIRCLE), num, 1e-3, dtype=jnp.float32)


def steps_of(potential, scheme, steps):
    def prepare(num):
        state = start(num)
        given = {"scheme": scheme, "dt": 0.05, "num_steps": steps, "throw": False}
        return lambda: jax.block_until_ready(jk.simulate(V.NBody(potential), state, **given).final.velocity)

    return prepare


def gradient_of(adjoint, steps):
    def prepare(num):
        state = start(num)

        @jax.jit
        def value(strength):
            given = {"scheme": jk.Leapfrog(), "dt": 0.05, "num_steps": steps, "throw": False, "adjoint": adjoint}
            return jnp.mean(jk.simulate(V.NBody(V.Cosine(strength)), state, **given).final.velocity ** 4)

        program = jax.jit(jax.grad(value))
        return lambda: jax.block_until_ready(program(jnp.float32(1)))

    return prepare


def waves(num):
    """One `jnp.sin` and one `jnp.cos` of every position, each summed, STEPS times."""
    x = start(num).position[:, 0]

    @jax.jit
    def program(x):
        def turn(x, _):
            sine, cosine = jnp.sin(x), jnp.cos(x)
            return x + 1e-6 * (sine + cosine), None

        return jax.lax.scan(turn, x, length=STEPS)[0]

    return lambda: jax.block_until_ready(program(x))


def grid_steps(num_particles, points, dtype, steps):
    """(PsQM^N) on points^(2 N)."""

    def prepare(num):
        amplitude = V.PerturbedAmplitude(V.Maxwellian(0.5, CIRCLE), 0.4, 0.5)
        grid = jk.Grid(jk.Axis(0.0, CIRCLE, points), jk.Axis(-4.5, 9.0, points, periodic=False))
        wave = amplitude.wave(grid)
        wave = jk.Wave(wave.alpha.astype(dtype), grid).fourier_picture()
        system = V.PseudoSchrodinger(V.Cosine(), num_particles)

        def call():
            state = V.product_wave(wave, num_particles)
            given = {"scheme": jk.Strang(), "dt": 0.05, "num_steps": steps, "throw": False}
            jax.block_until_ready(jk.simulate(system, state, **given).final.alpha)

        return call

    return prepare


def per_step(steps):
    return lambda num: steps * num / 1e6


ANY = 1 << 22
PAIRS = "M ordered pairs/s"
FAMILY = [
    ("HMF, a step of Leapfrog", jk.Leapfrog()),
    ("HMF, a step of Yoshida(4)", jk.Yoshida(4)),
]
ENTRIES = [
    *(harness.Entry(name, "M particles/s", per_step(STEPS), steps_of(V.Cosine(), s, STEPS), ANY) for name, s in FAMILY),
    harness.Entry("jnp.sin and jnp.cos of all positions", "M particles/s", per_step(STEPS), waves, ANY, STEP),
    harness.Entry("gradient of Leapfrog, Direct", "M particles/s", per_step(STEPS), gradient_of(jk.Direct(), STEPS), ANY, STEP),
    harness.Entry(
        "gradient of Leapfrog, Reversible", "M particles/s", per_step(STEPS), gradient_of(jk.Reversible(), STEPS), ANY, STEP
    ),
    harness.Entry(
        "Poisson's sheets, a step of Leapfrog", "M particles/s", per_step(STEPS),
        steps_of(V.Poisson(CIRCLE), jk.Leapfrog(), STEPS), ANY,
    ),
    harness.Entry(
        "Gaussian potential, pairs, a step of Leapfrog", PAIRS, lambda num: 2 * num * (num - 1) / 1e6,
        steps_of(V.Gaussian(), jk.Leapfrog(), 2), 1 << 14,
    ),
]  # fmt: skip
GRIDS = [(2, 16, jnp.complex64, 4)] if OPTIONS.quick else [(2, 32, jnp.complex64, 10), (3, 12, jnp.complex64, 10)]
GRIDS += [(3, 24, jnp.complex64, 2)] if OPTIONS.large else []

if __name__ == "__main__":
    results = harness.run(ENTRIES, OPTIONS)
    for num, points, dtype, steps in GRIDS:
        cells = points ** (2 * num)
        entry = harness.Entry(
            f"(PsQM^{num}) on {points}^{2 * num}, {jnp.dtype(dtype)}, {steps} steps", "M cell steps/s",
            partial(lambda work, _: work, steps * cells / 1e6), grid_steps(num, points, dtype, steps), cells,
        )  # fmt: skip
        sizes = OPTIONS.sizes
        OPTIONS.sizes = [cells]
        results += harness.run([entry], OPTIONS)
        OPTIONS.sizes = sizes
    harness.finish(results, OPTIONS)
