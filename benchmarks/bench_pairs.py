"""Pairs a second of every reduction over pairs: gamma = -3, d = 3, float32, value and gradient, beside its competitors.

    python benchmarks/bench_pairs.py [--cores 1] [--sizes 2048 8192] [--json benchmarks/results/pairs.json] [--quick]

G pairs/s counts ordered pairs, M pairs/s unordered ones. A new entry joins ENTRIES by one line.
"""

import functools

import _harness as harness

SIZES = (1000, 2048, 4096, 8192, 16384, 65536, 1 << 20)
OPTIONS = harness.options(__doc__.splitlines()[0], SIZES, quick=(512,))

import _rivals as rivals  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import jaxkinetic as jk  # noqa: E402
from jaxkinetic_kernels import random_matching  # noqa: E402

DIM = 3
MODES = np.array([[i, j, k] for i in range(4) for j in range(2) for k in range(2)])
LAWS = {
    "torus": lambda: jk.landau.Trigonometric(MODES, jnp.asarray([2.0] + 15 * [1 / 16], jnp.float32)),
    "coulomb": lambda: jk.landau.PowerLaw(jnp.float32(-3)),
    "maxwell": lambda: jk.landau.Maxwell(jnp.float32(1)),
}


def velocities(num):
    return jax.random.normal(jax.random.key(0), (num, DIM), jnp.float32)


def sum_b(law, state, form):
    return law.sum_b(state, form)


def sum_a(law, state, form):
    return law.sum_a(state, form)


def both(law, state, form):
    sum_b, sum_a = law.sums(state, form)
    return jnp.concatenate([sum_b, sum_a.reshape(-1, DIM * DIM)], axis=1)


def noise_of(system):
    def noise(law, state, form):
        words = jnp.asarray([1, 2], jnp.uint32)
        return system(law).noise(words, 0.0, jnp.float32(0.01), state).velocity

    return noise


def dense(law, state, form):
    """The obvious program: arrays of N^2 numbers."""
    z = state.velocity[:, None, :] - state.velocity[None, :, :]
    b, a = jnp.sum(law.b(z), axis=1), jnp.sum(law.a(z), axis=1)
    return jnp.concatenate([b, a.reshape(-1, DIM * DIM)], axis=1)


def value(f, form="direct", law="coulomb"):
    def prepare(num):
        program = jax.jit(lambda law, v: f(law, jk.Particles(v), form))
        arguments = (LAWS[law](), velocities(num))
        return lambda: jax.block_until_ready(program(*arguments))

    return prepare


def gradient(f, form="direct", law="coulomb"):
    """Derivative in every velocity of a random linear function of the sums."""

    def prepare(num):
        law_, v = LAWS[law](), velocities(num)
        shape = jax.eval_shape(lambda: f(law_, jk.Particles(v), form)).shape
        weight = jax.random.normal(jax.random.key(1), shape, jnp.float32)
        program = jax.jit(jax.grad(lambda v, law: jnp.vdot(weight, f(law, jk.Particles(v), form))))
        return lambda: jax.block_until_ready(program(v, law_))

    return prepare


def step_of(scheme, dim=DIM):
    """One step of a scheme over pairs, of Kac's system."""

    def prepare(num):
        state = jk.initial.rosenbluth(jax.random.key(0), num, dim, dtype=jnp.float32)
        system = jk.landau.Kac(jk.landau.PowerLaw(jnp.float32(-dim)))
        words, t, dt = jnp.asarray([1, 2], jnp.uint32), jnp.float32(0), jnp.float32(0.01)
        carry, aux = scheme.init(words, system, state, dt)
        program = jax.jit(lambda key, system, carry: scheme.step(key, system, t, dt, carry, aux)[0])
        return lambda: jax.block_until_ready(program(words, system, carry))

    return prepare


def step_gradient(scheme, dim=DIM):
    def prepare(num):
        state = jk.initial.rosenbluth(jax.random.key(0), num, dim, dtype=jnp.float32)
        words, t, dt = jnp.asarray([1, 2], jnp.uint32), jnp.float32(0), jnp.float32(0.01)

        def observable(gamma, velocity):
            system = jk.landau.Kac(jk.landau.PowerLaw(gamma))
            carry, aux = scheme.init(words, system, jk.Particles(velocity), dt)
            return jnp.sum(scheme.view(*scheme.step(words, system, t, dt, carry, aux)[:2]).velocity ** 3)

        program = jax.jit(jax.grad(observable, (0, 1)))
        return lambda: jax.block_until_ready(program(jnp.float32(-dim), state.velocity))

    return prepare


@functools.cache
def run_programs(system, adjoint, num):
    """A run of 10 steps of Euler-Maruyama, and its gradient in gamma and in the velocities."""
    state = jk.initial.rosenbluth(jax.random.key(0), num, DIM, dtype=jnp.float32)

    def observable(gamma, velocity):
        final = jk.simulate(
            system(jk.landau.PowerLaw(gamma)), jk.Particles(velocity), key=jax.random.key(1), dt=0.001, num_steps=10,
            adjoint=adjoint(), throw=False,
        ).final  # fmt: skip
        return jnp.sum(final.velocity**3)

    def calls(program):
        return lambda: jax.block_until_ready(program(jnp.float32(-DIM), state.velocity))

    return calls(jax.jit(observable)), calls(jax.jit(jax.grad(observable, (0, 1))))


def run_gradient(system, adjoint):
    """Its extra number is the price of the gradient: its time over that of the value, measured in turns."""

    def price(num):
        calls, best = run_programs(system, adjoint, num), [np.inf, np.inf]
        calls[0]()
        for _ in range(1 if OPTIONS.quick else 3):
            best = [min(old, harness.measure(call, at_least=0.0)[0]) for old, call in zip(best, calls, strict=True)]
        return {"over_value": best[1] / best[0]}

    name = f"gradient of an Euler-Maruyama step over its value, {system.__name__}, {adjoint.__name__}"
    steps = lambda num: 10 * unordered(num)  # noqa: E731
    return harness.Entry(name, MEGA, steps, lambda num: run_programs(system, adjoint, num)[1], 4096, extra=price)


def matching_alone(num):
    program = jax.jit(lambda words: random_matching(words, num))
    return lambda: jax.block_until_ready(program(jnp.asarray([1, 2], jnp.uint32)))


def moving_alone(num):
    """Gather and scatter of three components for one matching."""
    v, pairs = velocities(num), random_matching(jnp.asarray([1, 2], jnp.uint32), num)

    def move(v, pairs):
        table = [jax.lax.complex(v[:, 0], v[:, 1]), v[:, 2]]
        return [x.at[pairs[0]].set(x[pairs[1]], unique_indices=True).at[pairs[1]].set(x[pairs[0]]) for x in table]

    program = jax.jit(move)
    return lambda: jax.block_until_ready(program(v, pairs))


def law_alone(num):
    """The angle of every pair: the quantile of the spherical heat law in d = 3, and its noise."""
    idents = jnp.arange(num, dtype=jnp.uint32)

    def angles(words, i, j):
        word = jk.random.pair_words(words, i, j, 2)[0]
        return jk.pairs.spherical_heat_quantile(
            jk.random.uniform(word, jnp.float32), jnp.full(i.shape, 0.1, jnp.float32), 3
        )

    program = jax.jit(angles)
    return lambda: jax.block_until_ready(
        program(jnp.asarray([1, 2], jnp.uint32), idents[: num // 2], idents[num // 2 :])
    )


def rotation_alone(num):
    """Noise, angle and axis: everything that a pair does, without the matching and the moving."""
    z = tuple(velocities(num // 2).T)
    idents = jnp.arange(num, dtype=jnp.uint32)
    law = LAWS["coulomb"]()

    def rotate(words, z):
        pair = jk.random.pair_words(words, idents[: num // 2], idents[num // 2 :], 2)
        return jk.pairs.heat_rotation(pair, 0.04 * law.psi_of(z), z)

    program = jax.jit(rotate)
    return lambda: jax.block_until_ready(program(jnp.asarray([1, 2], jnp.uint32), z))


def rival(f, **how):
    return lambda num: f(np.asarray(velocities(num)), **how)


def ordered(num):
    return num * num / 1e9


def unordered(num):
    return num * (num - 1) / 2 / 1e6


def twice(num):
    return 2 * unordered(num)


def particles(num):
    return num / 1e6


def half(num):
    return num // 2 / 1e6


GIGA, MEGA, PARTICLES = "G pairs/s", "M pairs/s", "M particles/s"
LARGE, LARGER, HUGE = 65536, 16384, 1 << 20
ENTRIES = [
    harness.Entry("b + a", GIGA, ordered, value(both), LARGE),
    harness.Entry("b + a, product", GIGA, ordered, value(both, "product"), LARGE),
    harness.Entry("b", GIGA, ordered, value(sum_b), LARGE),
    harness.Entry("b, product", GIGA, ordered, value(sum_b, "product"), LARGE),
    harness.Entry("a", GIGA, ordered, value(sum_a), LARGE),
    harness.Entry("a, product", GIGA, ordered, value(sum_a, "product"), LARGE),
    harness.Entry("b + a, gradient", GIGA, ordered, gradient(both), LARGER),
    harness.Entry("b + a, product, gradient", GIGA, ordered, gradient(both, "product"), LARGER),
    harness.Entry("b, gradient", GIGA, ordered, gradient(sum_b), LARGER),
    harness.Entry("b, product, gradient", GIGA, ordered, gradient(sum_b, "product"), LARGER),
    harness.Entry("a, gradient", GIGA, ordered, gradient(sum_a), LARGER),
    harness.Entry("a, product, gradient", GIGA, ordered, gradient(sum_a, "product"), LARGER),
    harness.Entry("b + a, numba, one core", GIGA, ordered, rival(rivals.sums, parallel=False), LARGE, "b + a"),
    harness.Entry("b + a, numba, all cores", GIGA, ordered, rival(rivals.sums, parallel=True), LARGE, "b + a"),
    harness.Entry("b + a, pykeops", GIGA, ordered, rival(rivals.keops), LARGE, "b + a"),
    # 9 N^2 float32 numbers: 0.6 GB here, 2.4 GB at twice the size, and several times that in the gradient.
    harness.Entry("b + a, dense", GIGA, ordered, value(dense), 4096, "b + a"),
    harness.Entry("Kac noise", MEGA, unordered, value(noise_of(jk.landau.Kac)), LARGE),
    harness.Entry("Kac noise, gradient", MEGA, unordered, gradient(noise_of(jk.landau.Kac)), LARGER),
    harness.Entry(
        "Kac noise, numba, one core", MEGA, unordered, rival(rivals.noise, parallel=False), LARGE, "Kac noise"
    ),
    harness.Entry(
        "Kac noise, numba, all cores", MEGA, unordered, rival(rivals.noise, parallel=True), LARGE, "Kac noise"
    ),
    harness.Entry("independent noise", GIGA, ordered, value(noise_of(jk.landau.IndependentNoise)), LARGE),
    harness.Entry("matrix root", GIGA, ordered, value(noise_of(jk.landau.MatrixSqrt)), LARGE),
    harness.Entry("RandomMatching, d = 3", MEGA, half, step_of(jk.pairs.RandomMatching()), HUGE),
    harness.Entry("RandomMatching, d = 2", MEGA, half, step_of(jk.pairs.RandomMatching(), 2), HUGE),
    harness.Entry("RandomMatching, d = 3, gradient", MEGA, half, step_gradient(jk.pairs.RandomMatching()), HUGE),
    harness.Entry("- its matching alone", MEGA, half, matching_alone, HUGE),
    harness.Entry("- its gathers and scatters alone", MEGA, half, moving_alone, HUGE),
    harness.Entry("- its noise and sphere law alone", MEGA, half, law_alone, HUGE),
    harness.Entry("- its noise, law and rotations alone", MEGA, half, rotation_alone, HUGE),
    harness.Entry(
        "RandomMatching, d = 3, numba, one core", MEGA, half, rival(rivals.matching), HUGE, "RandomMatching, d = 3"
    ),
    harness.Entry("Sweep, one pass, d = 3", MEGA, unordered, step_of(jk.pairs.Sweep(symmetric=False)), 8192),
    harness.Entry("Sweep, one pass, d = 2", MEGA, unordered, step_of(jk.pairs.Sweep(symmetric=False), 2), 8192),
    harness.Entry("Sweep, both ways, d = 3", MEGA, twice, step_of(jk.pairs.Sweep()), 8192),
    harness.Entry(
        "Sweep, one pass, d = 3, gradient", MEGA, unordered, step_gradient(jk.pairs.Sweep(symmetric=False)), 2048
    ),
    harness.Entry("Euler-Maruyama, Kac, d = 3", MEGA, unordered, step_of(jk.EulerMaruyama()), LARGE),
    harness.Entry("Euler-Maruyama, Kac, d = 3, gradient", MEGA, unordered, step_gradient(jk.EulerMaruyama()), LARGER),
    harness.Entry("independent noise, gradient", GIGA, ordered, gradient(noise_of(jk.landau.IndependentNoise)), LARGER),
    harness.Entry("matrix root, gradient", GIGA, ordered, gradient(noise_of(jk.landau.MatrixSqrt)), LARGER),
    *(
        run_gradient(system, adjoint)
        for system in (jk.landau.Kac, jk.landau.IndependentNoise, jk.landau.MatrixSqrt)
        for adjoint in (jk.Direct, jk.Checkpointed)
    ),
    harness.Entry("b + a, torus, 16 modes", PARTICLES, particles, value(both, law="torus"), HUGE),
    harness.Entry("b + a, torus, 16 modes, gradient", PARTICLES, particles, gradient(both, law="torus"), HUGE),
    harness.Entry("b + a, Maxwell", PARTICLES, particles, value(both, law="maxwell"), HUGE),
    harness.Entry("b + a, Maxwell, gradient", PARTICLES, particles, gradient(both, law="maxwell"), HUGE),
]

if __name__ == "__main__":
    harness.finish(harness.run(ENTRIES, OPTIONS), OPTIONS)
