"""The torus: `Trigonometric` and its structure factors, the domain, the exact mode and its sampler, errors."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import carrillo, lifted, torus_cosine
from scipy import stats

import jaxkinetic as jk
from jaxkinetic.landau import AbstractInteraction, Kac, MatrixSqrt, Trigonometric
from jaxkinetic_kernels import difference_series, structure_factors, trigonometric_series, wrap

pytestmark = pytest.mark.newest

exact = jk.landau.exact
COSINE = torus_cosine()
INTERACTIONS = {"scalar": Trigonometric([[0, 0, 0], [1, -2, 0], [0, 1, 1]], [2.0, 0.7, -0.4]), "matrices": carrillo()}
interactions = pytest.mark.parametrize("interaction", INTERACTIONS.values(), ids=INTERACTIONS)


@interactions
def test_b_is_div_a_and_sigma_is_root_of_a(interaction):
    """Catches C_m / 2 in a, a sign or a factor m in b, a root of the wrong matrix."""
    z = 3 * jax.random.normal(jax.random.key(0), (5, 3, interaction.dim))
    x = jax.random.normal(jax.random.key(1), z.shape)

    @jax.jit
    def everything(z, x):
        divergence = jnp.trace(jax.vmap(jax.vmap(jax.jacfwd(interaction.a)))(z), axis1=-2, axis2=-1)
        kick = interaction.sigma_components(tuple(jnp.moveaxis(z, -1, 0)), tuple(jnp.moveaxis(x, -1, 0)))
        return interaction.a(z), interaction.b(z), interaction.sigma(z), divergence, jnp.stack(kick, -1)

    a, b, sigma, divergence, kick = (np.asarray(y) for y in everything(z, x))
    matrices = np.asarray(interaction.coefficients)
    matrices = matrices[:, None, None] * np.eye(interaction.dim) if matrices.ndim == 1 else matrices
    terms = zip(interaction.modes, matrices, strict=True)
    direct = sum(c * np.cos(np.asarray(z) @ np.array(m))[..., None, None] for m, c in terms)
    np.testing.assert_allclose(a, direct, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(b, divergence, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(sigma @ sigma, a, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(kick, np.einsum("...ij,...j->...i", sigma, x), rtol=1e-9)


def test_carrillo_guo_jabin_kernel():
    """The modes used here are lam I + mu (|s|^2 I - s s^T). Catches a mistake in the tests' own reference."""
    for dim in (2, 3):
        z = jax.random.normal(jax.random.key(0), (4, dim))
        s = np.sin(np.asarray(z))
        law = 0.5 * np.eye(dim) + (s**2).sum(-1)[:, None, None] * np.eye(dim) - s[:, :, None] * s[:, None, :]
        np.testing.assert_allclose(carrillo(dim=dim).a(z), law, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("interaction", "dtype"),
    [(INTERACTIONS["scalar"], jnp.float64), (carrillo(), jnp.float64), (carrillo(), jnp.float32)],
    ids=["scalar", "matrices", "matrices-32"],
)
def test_sums_equal_pair_sums(interaction, dtype):
    """Odd N, dead slots that hold 1e200 (1e30 in float32), values and gradients. Catches j = i counted, a dead partner,
    a factor 2, and a gradient that a dead slot reaches."""
    state = jk.Particles(
        jax.random.uniform(jax.random.key(2), (13, interaction.dim), dtype, maxval=7.0),
        alive=jnp.ones(13, bool).at[jnp.asarray([3, 11])].set(False),
    )
    dead = ~state.alive[:, None]
    wild = jnp.where(dead, jnp.asarray(1e30 if dtype == jnp.float32 else 1e200, dtype), state.velocity)
    weight_a = jax.random.normal(jax.random.key(3), (13, interaction.dim, interaction.dim), dtype)
    weight_b = jax.random.normal(jax.random.key(4), (13, interaction.dim), dtype)

    def sums(cls, interaction, v):
        s = jk.Particles(v, alive=state.alive)
        return cls.sum_a(interaction, s), cls.sum_b(interaction, s)

    def value(cls, v, coefficients):
        a, b = sums(cls, Trigonometric(interaction.modes, coefficients), v)
        return jnp.vdot(weight_a, a) + jnp.vdot(weight_b, b)

    tolerance = 3e-5 if dtype == jnp.float32 else 1e-12
    coefficients = interaction.coefficients.astype(dtype)
    results = {}
    for cls, v in ((Trigonometric, wild), (AbstractInteraction, state.velocity)):
        gradient = jax.jit(jax.grad(lambda v, c, cls=cls: value(cls, v, c), argnums=(0, 1)))(v, coefficients)
        results[cls] = (*jax.jit(lambda v, cls=cls: sums(cls, interaction, v))(v), *gradient)
    for fast, direct in zip(*results.values(), strict=True):
        assert fast.dtype == dtype
        scale = float(jnp.abs(direct).max())
        np.testing.assert_allclose(fast, direct, atol=tolerance * scale)
    assert not np.asarray(results[Trigonometric][2])[~np.asarray(state.alive)].any()


@pytest.mark.parametrize("area", [1, 40])
def test_series_are_independent_of_blocks(area):
    """Blocks of points and of modes, neither dividing, in value and gradient; catches padding that leaks."""
    keys = jax.random.split(jax.random.key(5), 4)
    x, modes = jax.random.normal(keys[0], (17, 2)), jnp.asarray([[0, 0], [1, 0], [-1, 2], [3, 1], [0, 2]], float)
    cosine, sine = (jax.random.normal(k, (5, 3)) for k in keys[1:3])
    mask = jnp.ones(17, bool).at[4].set(False)
    phases = np.einsum("ijd,md->ijm", np.asarray(x[:, None] - x[None]), modes)
    both = np.asarray(mask[:, None] & mask[None, :])[..., None]
    dense = np.where(both, np.cos(phases) @ np.asarray(cosine) + np.sin(phases) @ np.asarray(sine), 0).sum(1)
    np.testing.assert_allclose(
        difference_series(x, mask, modes, cosine, sine, area=area), dense, rtol=1e-12, atol=1e-12
    )
    c, s = structure_factors(x, mask, modes, area=area)
    np.testing.assert_allclose(
        np.asarray(c) - 1j * np.asarray(s), np.exp(-1j * np.asarray(x)[mask] @ np.asarray(modes).T).sum(0), atol=1e-12
    )
    weight = jax.random.normal(keys[3], (17, 3))
    gradient = jax.jit(jax.grad(lambda x: jnp.vdot(weight, trigonometric_series(x, modes, cosine, sine, area=area))))(x)
    slope = np.cos(x @ modes.T) * (weight @ sine.T) - np.sin(x @ modes.T) * (weight @ cosine.T)
    whole = np.asarray(slope) @ np.asarray(modes)
    np.testing.assert_allclose(gradient, whole, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_wrap(dtype):
    """Catches the remainder of -1e-20, which is the period itself in floating point, and a derivative that is not 1."""
    period = 2 * math.pi
    x = jnp.asarray([-1e-20, 0.0, 1.0, -1.0, period, 3 * period + 0.5, -5 * period - 0.5, 6.2831], dtype)
    w = wrap(x, period)
    assert (np.asarray(w) >= 0).all()
    assert (np.asarray(w) < np.asarray(period, dtype)).all()
    np.testing.assert_allclose(np.exp(1j * np.asarray(w)), np.exp(1j * np.asarray(x)), atol=20 * jnp.finfo(dtype).eps)
    np.testing.assert_array_equal(jax.vmap(jax.grad(lambda x: wrap(x, period)))(x), jnp.ones(8, dtype))


def test_torus_run_equals_lifted_run():
    """The run in the plane, modulo the period. Catches a domain that is left, a wrap that changes the path, a dead slot
    that is wrapped, lost gradients."""
    velocity = jax.random.uniform(jax.random.key(6), (12, 1), maxval=2 * jnp.pi).at[7].set(-40.0)
    alive = jnp.ones(12, bool).at[7].set(False)

    def run(cls):
        def total(v):
            final = jk.simulate(
                cls(COSINE), jk.Particles(v, alive=alive), key=jax.random.key(7), dt=0.02, num_steps=30,
                adjoint=jk.Direct(), throw=False,
            ).final  # fmt: skip
            return jnp.sum(final.velocity), final.velocity

        (_, velocities), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(velocity)
        return np.asarray(velocities), gradient

    (wrapped, gradient), (unwrapped, expected) = run(MatrixSqrt), run(lifted(MatrixSqrt))
    np.testing.assert_allclose(np.exp(1j * wrapped), np.exp(1j * unwrapped), atol=1e-11)
    assert not np.allclose(wrapped[alive], unwrapped[alive], atol=1)
    assert (wrapped[alive] >= 0).all()
    assert (wrapped[alive] < 2 * np.pi).all()
    assert (wrapped[7] == -40).all()
    np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-9)


def test_kac_conserves_momentum_modulo_the_period():
    """Catches noise or drift that is not anti-symmetric. Matrix-root noise changes the sum."""
    state = jk.initial.torus_mode(jax.random.key(8), 9, [1, 1], 0.5)
    for system, kept in ((Kac(carrillo()), True), (MatrixSqrt(carrillo()), False)):
        final = jk.simulate(system, state, key=jax.random.key(9), dt=0.02, num_steps=20).final
        change = np.exp(1j * np.asarray(final.velocity.sum(0))) - np.exp(1j * np.asarray(state.velocity.sum(0)))
        assert (np.abs(change).max() < 1e-12) == kept


def test_no_invariant_is_declared_on_the_torus():
    """The sum of wrapped velocities jumps by multiples of 2 pi, and the energy moves. Catches a system that says that it
    conserves them, as it does for a radial interaction."""
    state = jk.initial.torus_mode(jax.random.key(8), 9, [1, 1], 0.5)
    system = Kac(carrillo())
    final = jk.simulate(system, state, key=jax.random.key(9), dt=0.02, num_steps=20).final
    turns = np.asarray(final.velocity.sum(0) - state.velocity.sum(0)) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)
    assert np.abs(turns).max() > 0.5
    assert abs(jk.diagnostics.energy(final) / jk.diagnostics.energy(state) - 1) > 1e-3
    assert system.conserves == MatrixSqrt(carrillo()).conserves == {}


def test_mode_rate():
    """lambda_k = k.(a_0 - a_k)k by hand; a_m = C_m / 2. Catches the nearest mistakes: a_m = C_m, and k.a_0 k."""
    assert exact.torus_mode_rate(COSINE, [1]) == 0.75
    assert exact.torus_mode_rate(COSINE, [-1]) == 0.75
    assert exact.torus_mode_rate(COSINE, [2]) == 4.0
    np.testing.assert_allclose(exact.torus_mode_rate(carrillo(0.5, 1.0), [1, 1]), 2 * 0.5 + 0.5, rtol=1e-15)
    twice = Trigonometric([[0], [1], [0], [-1]], [0.25, 0.25, 0.75, 0.25])
    assert exact.torus_mode_rate(twice, [1]) == 0.75


def test_euler_mode_amplitude_converges():
    """The law of the discrete scheme as dt is halved: order 1, and the limit of the exact mode, also where a holds a
    harmonic of the mode. Catches a coupling to that harmonic that is left out."""
    harmonics = Trigonometric([[0], [1], [-2]], [2.0, 0.5, 0.8])
    cases = ((COSINE, (1,), 0.5), (carrillo(), (1, 1), 0.3), (harmonics, (1,), 0.3))
    for interaction, mode, horizon in cases:
        limit = exact.torus_mode_amplitude(horizon, interaction, mode, 0.8)
        errors = [
            exact.torus_mode_amplitude_euler(n, horizon / n, interaction, mode, 0.8)[-1] - limit for n in (25, 50, 100)
        ]
        assert abs(errors[0]) > 1e-5
        np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, rtol=0.04)


@interactions
def test_mode_solves_the_equation(interaction):
    """d_t f = div[(a*f) grad f - (b*f) f] by FFT at t = 0 on a grid: Galerkin is not used. Every mode of a, and one
    more. Catches a rate that is right for one mode only."""
    dim, points = interaction.dim, 12
    axis = 2 * np.pi * np.arange(points) / points
    v = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), -1)
    waves = np.stack(np.meshgrid(*[np.fft.fftfreq(points, 1 / points)] * dim, indexing="ij"), -1)
    axes = tuple(range(dim))
    volume = (2 * np.pi / points) ** dim

    def convolve(kernel, f):
        f = f.reshape(*f.shape, *[1] * (kernel.ndim - f.ndim))
        return np.fft.ifftn(np.fft.fftn(kernel, axes=axes) * np.fft.fftn(f, axes=axes), axes=axes).real * volume

    def gradient(f):
        return np.fft.ifftn(1j * waves * np.fft.fftn(f)[..., None], axes=axes).real

    a, b = np.asarray(interaction.a(v)), np.asarray(interaction.b(v))
    for mode in {*interaction.modes, (1,) * dim} - {(0,) * dim}:
        f = exact.torus_mode_density(v, 0.0, interaction, mode, 0.8, 0.3)
        flux = np.einsum("...ij,...j->...i", convolve(a, f), gradient(f)) - convolve(b, f) * f[..., None]
        rate = np.fft.ifftn((1j * waves * np.fft.fftn(flux, axes=axes)).sum(-1)).real
        later = exact.torus_mode_density(v, 1e-5, interaction, mode, 0.8, 0.3)
        earlier = exact.torus_mode_density(v, -1e-5, interaction, mode, 0.8, 0.3)
        np.testing.assert_allclose(rate, (later - earlier) / 2e-5, atol=1e-8 * np.abs(rate).max() + 1e-12)


def test_mode_entropy_and_fisher_information():
    """The tabulated values of MATH section 5, and the integrals on a grid in d = 2. Catches a missing |m|^2, and an
    entropy that is not relative to the uniform law."""
    np.testing.assert_allclose(exact.torus_mode_entropy(1.0, COSINE, [1], 0.8), 3.6370644091e-2, rtol=1e-10)
    np.testing.assert_allclose(exact.torus_mode_fisher_information(1.0, COSINE, [1], 0.8), 7.41508236e-2, rtol=1e-9)
    axis = 2 * np.pi * np.arange(96) / 96
    v = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    interaction, mode = carrillo(), [1, -2]
    f = exact.torus_mode_density(v, 0.1, interaction, mode, 0.9, 0.4)
    cell = (2 * np.pi / 96) ** 2
    np.testing.assert_allclose(f.sum() * cell, 1, rtol=1e-13)
    entropy = (f * np.log(f)).sum() * cell + 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(exact.torus_mode_entropy(0.1, interaction, mode, 0.9), entropy, rtol=1e-10)
    slope = exact.torus_mode_amplitude(0.1, interaction, mode, 0.9) * np.sin(v @ mode + 0.4) / (2 * np.pi) ** 2
    information = (5 * slope**2 / f).sum() * cell
    np.testing.assert_allclose(
        exact.torus_mode_fisher_information(0.1, interaction, mode, 0.9), information, rtol=1e-10
    )


@pytest.mark.parametrize(
    ("mode", "amplitude", "phase"), [((1,), 0.8, 0.0), ((2, -3), -0.6, 1.0), ((0, 1, 1), 1.0, -0.4)]
)
def test_mode_sampler(mode, amplitude, phase):
    """The phase by its distribution function, the other modes by E e^{-ik.v} = 0: catches a wrong sign of A or phi, a
    component that is not uniform, and velocities outside of the torus."""
    num = 60_000
    state = jk.initial.torus_mode(jax.random.key(10), num, mode, amplitude, phase)
    v = np.asarray(state.velocity)
    assert v.min() >= 0
    assert v.max() < 2 * np.pi
    theta = np.mod(v @ np.array(mode) + phase, 2 * np.pi)
    assert stats.kstest(theta, lambda x: (x + amplitude * np.sin(x)) / (2 * np.pi)).pvalue > 1e-4
    assert stats.kstest(theta, lambda x: (x - amplitude * np.sin(x)) / (2 * np.pi)).pvalue < 1e-12
    waves = np.stack(np.meshgrid(*[np.arange(-3, 4)] * len(mode), indexing="ij"), -1).reshape(-1, len(mode))
    parallel = (waves == mode).all(1) | (waves == -np.array(mode)).all(1) | ~waves.any(1)
    rho = np.array([complex(jk.diagnostics.mode(state, wavevector=jnp.asarray(k, float))) for k in waves[::5]])
    assert np.abs(rho[~parallel[::5]]).max() < 5 / num**0.5
    own = complex(jk.diagnostics.mode(state, wavevector=mode))
    assert abs(own - amplitude / 2 * np.exp(1j * phase)) < 4 / num**0.5


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_mode_sampler_gradient(dtype):
    """d/dA E cos(m.v + phi) = 1/2, at A = .8, within 4 standard errors; float32 stays float32. Catches samples that do
    not move with A. For each sample d/dA cos(theta) = sin^2(theta)/(1 + A cos(theta)). Catches a wrong sign in the derivative
    of theta, with which the mean is still 1/2."""

    def contributions(a):
        state = jk.initial.torus_mode(jax.random.key(11), 20_000, [1, -2], a, 0.7, dtype=dtype)
        assert state.velocity.dtype == dtype
        return jnp.cos(state.velocity @ jnp.asarray([1, -2], dtype) + jnp.asarray(0.7, dtype))

    forward = jax.jit(lambda a: jax.jvp(contributions, (a,), (jnp.ones((), dtype),)))
    cosine, derivative = (np.asarray(y, float) for y in forward(jnp.asarray(0.8, dtype)))
    np.testing.assert_allclose(derivative, (1 - cosine**2) / (1 + 0.8 * cosine), atol=1000 * jnp.finfo(dtype).eps)
    assert abs(derivative.mean() - 0.5) < 4 * derivative.std() / 20_000**0.5 < 0.05
    reverse = jax.jit(jax.grad(lambda a: contributions(a).mean()))(jnp.asarray(0.8, dtype))
    np.testing.assert_allclose(reverse, derivative.mean(), rtol=1e-4)


def test_empirical_mode():
    """(1/N) sum e^{-i k.v} over the live particles, with its gradient. Catches a dead slot's 1e200 that reaches either."""
    v = jnp.asarray([[0.3, 1.0], [1e200, 1e200], [2.0, -1.0]])
    alive = jnp.asarray([True, False, True])

    def rho(v):
        return jk.diagnostics.mode(jk.Particles(v, alive=alive), wavevector=(1, 2))

    np.testing.assert_allclose(rho(v), (np.exp(-2.3j) + np.exp(0j)) / 2, rtol=1e-14)
    gradient = jax.grad(lambda v: rho(v).imag)(v)
    np.testing.assert_allclose(
        gradient[jnp.asarray([0, 2])], [[-np.cos(2.3) / 2, -np.cos(2.3)], [-0.5, -1]], rtol=1e-13
    )
    assert not gradient[1].any()


def simulated(interaction, dt=0.01, dim=1):
    return jk.simulate(
        MatrixSqrt(interaction), jk.Particles(jnp.ones((3, dim))), key=jax.random.key(0), dt=dt, num_steps=1
    )


MATRIX = np.array([[1.0, 0.2], [0.1, 1.0]])
BAD = {
    "half mode": (lambda: Trigonometric([[0], [0.5]], [1.0, 0.5]), "`modes` must be integers, but has the dtype float64"),
    "flat modes": (lambda: Trigonometric([0, 1], [1.0, 0.5]), "`modes` must have shape (M, d) with d = 1, 2 or 3"),
    "traced modes": (
        lambda: jax.jit(lambda m: Trigonometric(m, [1.0]).a(jnp.ones(1)))(jnp.ones((1, 1), int)),
        "`modes` must be integers known while tracing, but is a traced value of shape (1, 1)",
    ),
    "count": (
        lambda: Trigonometric([[0], [1]], [1.0]),
        "`coefficients` must be real, of shape (2,) or (2, 1, 1) as the modes require, but is [1.0]",
    ),
    "ragged": (lambda: Trigonometric([[0], [1]], [[1.0], [1.0, 2.0]]), "`coefficients` must be real, of shape (2,)"),
    "infinite": (lambda: Trigonometric([[0]], [np.inf]), "`coefficients` must hold finite numbers"),
    "skew": (
        lambda: Trigonometric([[0, 0], [1, 0]], np.stack([np.eye(2), MATRIX])),
        "`coefficients` must hold symmetric matrices, but the matrix of mode 1 is not; pass (C + C^T) / 2.",
    ),
    "degenerate": (
        lambda: simulated(Trigonometric([[0], [3]], [1.0, 1.0])),
        "`interaction` must be elliptic, but a(z) has the eigenvalue 0 at z = (1.047); raise the coefficient of mode 0.",
    ),
    "not elliptic": (
        lambda: simulated(carrillo(-0.1), dim=2),
        "`interaction` must be elliptic, but a(z) has the eigenvalue -0.1 at z = (",
    ),
    "dimension": (lambda: simulated(COSINE, dim=2), "`velocity` must have shape (N, 1), as the modes have, but has d = 2"),
    "long step": (
        lambda: simulated(COSINE, dt=1.3),
        "`dt` must be below 1.225, or one step may go around the torus, but is 1.3; lower it.",
    ),
    "zero mode": (lambda: exact.torus_mode_rate(COSINE, [0]), "`mode` must be a vector of 1 integers, not all 0"),
    "no torus": (lambda: exact.torus_mode_rate(jk.landau.Maxwell(), [1]), "`interaction` must be a Trigonometric"),
    "amplitude": (lambda: exact.torus_mode_entropy(0.0, COSINE, [1], 1.1), "`amplitude` must lie in [-1, 1], but is 1.1"),
    "sampled": (lambda: jk.initial.torus_mode(jax.random.key(0), 4, [1], -1.1), "`amplitude` must lie in [-1, 1], but is"),
    "sampled mode": (lambda: jk.initial.torus_mode(jax.random.key(0), 4, [0.5], 1.0), "`mode` must be a vector of integers"),
    "wavevector": (
        lambda: jk.diagnostics.mode(jk.Particles(jnp.ones((3, 2))), wavevector=(1,)),
        "`wavevector` must have shape (2,), but is (1,)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_argument_errors(name):
    """Bad arguments raise one sentence that names the argument. Catches a matrix that is not elliptic, and a step that
    goes around the torus."""
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match="^Argument " + re.escape(sentence)) as error:
        call()
    assert str(error.value).count("\n") == 0


def test_longest_time_step():
    """sqrt(2 A dt) + 2 B dt = pi, half a period, with A = 1.5, B = .5 between 1.22 and 1.23; a traced dt passes. Catches
    a bound of another power of dt."""
    assert math.sqrt(3 * 1.22) + 1.22 < math.pi < math.sqrt(3 * 1.23) + 1.23
    simulated(COSINE, dt=1.22)
    with pytest.raises(ValueError, match="`dt` must be below"):
        simulated(COSINE, dt=1.23)
    jax.jit(lambda dt: jk.simulate(MatrixSqrt(COSINE), jk.Particles(jnp.ones((3, 1))), key=jax.random.key(0), dt=dt,
                                   num_steps=1, throw=False).final)(2.0)  # fmt: skip
