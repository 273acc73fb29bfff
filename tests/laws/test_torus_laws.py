"""The Landau systems on the torus against exact laws: the mode that solves the equation, one step at small N, equilibria."""

import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynkin import z_scores as dynkin_z_scores
from helpers import LANDAU_SYSTEMS as SYSTEMS, carrillo, lifted, replicate, torus_cosine, z_scores

import jaxkinetic as jk

exact = jk.landau.exact
COSINE = torus_cosine()


def mode_start(num, mode, amplitude, dtype=jnp.float64):
    def init(key):
        return jk.initial.torus_mode(key, num, mode, amplitude, dtype=dtype)

    return init


def extrapolated(system, init, observe, *, seed, horizon, steps, replicas, batch):
    """Mean and standard error at the horizon, with `steps` and twice as many steps and Richardson's extrapolation."""
    runs = [
        replicate(system, init, observe, key=jax.random.key(seed + i), replicas=r, dt=horizon / n, num_steps=n, batch=batch)
        for i, (n, r) in enumerate(((steps, replicas // 2), (2 * steps, replicas)))
    ]  # fmt: skip
    coarse, fine = ((x.mean(), x.var(ddof=1) / len(x)) for x in runs)
    return 2 * fine[0] - coarse[0], np.sqrt(4 * fine[1] + coarse[1])


@pytest.mark.parametrize(
    ("interaction", "mode", "horizon", "mistaken_rates"),
    [(COSINE, (1,), 0.8, (0.5, 1.0, 1.25)), (carrillo(), (1, 1), 0.4, (1.0, 2.0))],
    ids=["one dimension", "two dimensions"],
)
def test_mode_decay(interaction, mode, horizon, mistaken_rates):
    """E cos(m.v) of `MatrixSqrt` at N = 1024 within 4 standard errors of the law of its steps, which tends to (A/2)
    e^{-lambda t} (`test_euler_mode_amplitude_converges`).

    More than 8 away: a_m = C_m instead of C_m / 2; lambda = k.a_0 k, which is also half the drift; in d = 1 no drift.
    The rate of finite N, lambda (N-1)/N at the start, is a twentieth of a standard error away:
    `test_one_step_rate_at_finite_n` has that.
    """
    amplitude, num = 0.8, 1024

    def observe(_, final):
        return jk.diagnostics.mode(final, wavevector=mode).real

    dt, steps = horizon / 10, 10
    samples = replicate(
        jk.landau.MatrixSqrt(interaction), mode_start(num, mode, amplitude, jnp.float32), observe, key=jax.random.key(1),
        replicas=128, dt=dt, num_steps=steps, batch=16,
    ).astype(float)  # fmt: skip
    mean, stderr = samples.mean(), samples.std(ddof=1) / len(samples) ** 0.5
    law = exact.torus_mode_amplitude_euler(steps, dt, interaction, mode, amplitude)[-1] / 2
    mistakes = amplitude / 2 * np.exp(-np.array(mistaken_rates) * horizon)
    print((mean - law) / stderr, (mean - mistakes) / stderr)
    assert abs(mean - law) < 4 * stderr
    assert np.abs(mean - mistakes).min() > 8 * stderr


def one_step_mode(num, divisor, dt, amplitude, points=16):
    """E cos(v_1) after one Euler-Maruyama step from i.i.d. data, d = 1, sums divided by `divisor`: quadrature over the torus
    of dimension N, of spectral accuracy."""
    axis = 2 * np.pi * np.arange(points) / points
    total = 0.0
    for others in itertools.product(axis, repeat=num - 1):
        z = axis[:, None] - np.array(others)[None, :]
        b, a = (-0.5 * np.sin(z)).sum(1), (1 + 0.5 * np.cos(z)).sum(1)
        weight = (1 + amplitude * np.cos(axis)) * np.prod(1 + amplitude * np.cos(others))
        total += np.sum(weight * np.cos(axis + 2 * dt / divisor * b) * np.exp(-dt / divisor * a))
    return total / points**num


@pytest.mark.parametrize("noise", ["kac", "matrix_sqrt"])
def test_one_step_rate_at_finite_n(noise):
    """E cos(v_1) after one step of dt = .2 from i.i.d. data at N = 4, d = 1, against quadrature. As dt -> 0 that is the rate
    lambda (N-1)/N (asserted). Nearest mistake: N - 1 for N, more than 8 standard errors away."""
    num, dt, amplitude = 4, 0.2, 0.8
    rate = (amplitude / 2 - one_step_mode(num, num, 1e-6, amplitude)) / (1e-6 * amplitude / 2)
    np.testing.assert_allclose(rate, 0.75 * (num - 1) / num, rtol=1e-5)

    def observe(start, final):
        # The start, whose mean is known, takes most of the scatter.
        before, after = (jk.diagnostics.mode(s, wavevector=(1,)).real for s in (start, final))
        return (after - before)[None]

    samples = replicate(
        SYSTEMS[noise](COSINE), mode_start(num, (1,), amplitude), observe, key=jax.random.key(3), replicas=20_000, dt=dt,
        num_steps=1, batch=4096,
    )  # fmt: skip
    z = z_scores(samples, one_step_mode(num, num, dt, amplitude) - amplitude / 2)[0]
    wrong = z_scores(samples, one_step_mode(num, num - 1, dt, amplitude) - amplitude / 2)[0]
    print(noise, z, wrong)
    assert abs(z) < 4
    assert abs(wrong) > 8


@pytest.mark.parametrize(
    ("noise", "num", "value"),
    [
        ("independent", 2, 1.25),
        ("kac", 3, 1.0),
        pytest.param("matrix_sqrt", 3, 1.28061, marks=pytest.mark.slow),
        pytest.param("independent", 3, 1.28061, marks=pytest.mark.slow),
    ],
)
def test_equilibrium_at_finite_n(noise, num, value):
    """N E|rho_1|^2 as t -> infinity, c = .5: independent noise does not keep the uniform law, Kac's does. t = 8 from
    uniform data, 1, or for Kac from those of amplitude 1, 1 + (N-1)/4. Catches one noise for the other: the start and
    the other noise's value are more than 8 standard errors away."""

    def observe(_, final):
        return num * jnp.abs(jk.diagnostics.mode(final, wavevector=(1,))) ** 2

    init = mode_start(num, (1,), 1.0 if noise == "kac" else 0.0)
    mean, stderr = extrapolated(
        SYSTEMS[noise](COSINE), init, observe, seed=5, horizon=8.0, steps=40, replicas=12_000, batch=8192
    )
    other = 1.25 if noise == "kac" else 1.0
    print(noise, num, mean, stderr, (mean - value) / stderr, (mean - other) / stderr)
    assert abs(mean - value) < 4 * stderr
    assert abs(mean - other) > 8 * stderr  # the start is there, or further


def test_mode_gradient_in_a_coefficient():
    """d/dc of E cos(v) at t = .8, a = 1 + c cos z, by paths of 128 particles, against the derivative of the law of the
    steps, which is (A/2) e^{-lambda t} t/2 to order dt, lambda = 1 - c/2.

    A gradient that misses the drift, the noise, or a factor 2 in either is more than 8 standard errors away.
    """
    horizon, steps, amplitude, num = 0.8, 8, 0.8, 128
    start = mode_start(num, (1,), amplitude)

    def observable(c, key):
        keys = jax.random.split(key)
        interaction = jk.landau.Trigonometric([[0], [1]], jnp.stack([jnp.ones(()), c]))
        final = jk.simulate(
            jk.landau.MatrixSqrt(interaction), start(keys[0]), key=keys[1], dt=horizon / steps, num_steps=steps,
            adjoint=jk.Direct(), throw=False,
        ).final  # fmt: skip
        return jk.diagnostics.mode(final, wavevector=(1,)).real

    def law(c):
        interaction = jk.landau.Trigonometric([[0], [1]], [1.0, c])
        return exact.torus_mode_amplitude_euler(steps, horizon / steps, interaction, (1,), amplitude)[-1] / 2

    keys = jax.random.split(jax.random.key(2), 600)
    samples = jax.jit(jax.vmap(lambda k: jax.grad(observable)(jnp.asarray(0.5), k)))(keys)
    derivative = (law(0.5 + 1e-5) - law(0.5 - 1e-5)) / 2e-5
    assert abs(derivative / (amplitude / 2 * np.exp(-0.75 * horizon) * horizon / 2) - 1) < 0.1
    z = z_scores(np.asarray(samples)[:, None], [derivative])[0]
    # The drift contributes 2 law and the noise -law; half the derivative of one of them is law / 2 at least.
    missing = z_scores(np.asarray(samples)[:, None], [derivative / 2])[0]
    print(z, missing)
    assert abs(z) < 4
    assert abs(missing) > 8


def test_dynkin():
    """Kac's system with matrices in d = 2, N = 3, and a strong drift. Half of b and N - 1 for N are 8 standard errors
    away (scratch copies of the systems); that partners' noise cancels is in
    `test_kac_conserves_momentum_modulo_the_period`."""
    cross = np.array([[0.0, 0.3], [0.3, 0.0]])
    matrices = np.stack([4 * np.eye(2), np.diag([3.6, 0.0]), np.diag([0.0, 3.6]), cross])
    interaction = jk.landau.Trigonometric([[0, 0], [2, 0], [0, 2], [1, 1]], matrices)
    system = lifted(jk.landau.Kac)(interaction)
    z = dynkin_z_scores(system, jk.EulerMaruyama(), 3, 2, 20_000, zlib.crc32(b"torus kac"))
    print(z)
    assert np.abs(z).max() < 4, z
