"""The three Landau systems at gamma = 0 against the exact laws of MATH section 6, those of the discrete scheme."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import LANDAU_SYSTEMS as SYSTEMS, difference_z_scores, replicate, slow_but, upper, z_scores

import jaxkinetic as jk

exact = jk.landau.exact
TEMPERATURES, MEAN = np.array([1.6, 1.0, 0.4]), np.array([0.5, 0.0, -0.5])


def gaussian(num, dim=3, mean=MEAN):
    spread, mean = jnp.sqrt(jnp.asarray(TEMPERATURES[:dim])), jnp.asarray(mean[:dim])

    def init(key):
        return jk.Particles(mean[None, :] + spread[None, :] * jax.random.normal(key, (num, dim)))

    return init


def two_particle_moments(_, final):
    """Unbiased for P = E[v_1 v_1^T] and C = E[v_1 v_2^T] of exchangeable particles."""
    v, n = final.velocity, final.num_slots
    p = jnp.einsum("ni,nj->ij", v, v) / n
    u = v.mean(axis=0)
    c = (n * jnp.outer(u, u) - p) / (n - 1)
    return upper(p), upper(c)


@pytest.mark.optimised
@pytest.mark.parametrize("noise", slow_but(("kac",), SYSTEMS))
@pytest.mark.parametrize(("num", "replicas"), slow_but([(8, 60_000)], [(8, 60_000), (64, 6_000)]))
def test_second_moments(noise, num, replicas):
    """P and C at t = .05 within 4 standard errors of the discrete law.

    Nearest mistakes: N for N - 1 in the rates, at N = 8, and Kac's noise for the independent one (C, both N); each moves
    an entry by at least 8 standard errors, which is asserted.
    """
    dt, steps = 0.01, 5
    p0, c0 = np.diag(TEMPERATURES) + np.outer(MEAN, MEAN), np.outer(MEAN, MEAN)
    key = jax.random.key(11 + num)
    p, c = replicate(
        SYSTEMS[noise](jk.landau.Maxwell()), gaussian(num), two_particle_moments, key=key, replicas=replicas, dt=dt,
        num_steps=steps,
    )  # fmt: skip

    def law(n, kind):
        return [np.asarray(upper(m)) for m in exact.second_moments_euler(steps, dt, p0, c0, n, kind)]

    right = law(num, noise)
    z = np.concatenate([z_scores(p, right[0]), z_scores(c, right[1])])
    print(noise, num, np.abs(z).max())
    assert np.abs(z).max() < 4, z
    other_noise = law(num, "independent" if noise == "kac" else "kac")
    assert np.abs(z_scores(c, other_noise[1])).max() > 8
    if num == 8:
        # Dividing the sums by N - 1 turns every (N-1)/N of the recursion into 1: the law of infinitely many particles.
        assert np.abs(z_scores(p, law(10**9, noise)[0])).max() > 8


def test_recursions_converge_to_odes():
    """The laws of the discrete scheme against those of the stochastic differential equation, halving dt: order 1, and
    the same limit. Catches a recursion of another equation, or one that drops a term of order dt."""
    p0, c0 = np.diag(TEMPERATURES) + np.outer(MEAN, MEAN), np.outer(MEAN, MEAN)
    t, n = 0.1, 8
    start = exact.quartic_start(np.diag(TEMPERATURES), n)
    laws = [(exact.kac_quartic(t, start, n, 3), lambda m: exact.kac_quartic_euler(m, t / m, start, n, 3))]
    for k in SYSTEMS:
        law = exact.second_moments(t, p0, c0, n, k)
        laws.append((law, lambda m, k=k: exact.second_moments_euler(m, t / m, p0, c0, n, k)))
    for law, discrete in laws:
        errors = [np.abs(np.subtract(discrete(m), law)).max() for m in (2000, 4000, 8000)]
        assert errors[-1] < 2e-3 * np.abs(law).max()
        np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("num", "replicas"), [(8, 200_000), (64, 8_000)])
def test_quartic_moments_of_kac(num, replicas):
    """Q4, e^2 and T2 at t = .06. Nearest mistakes: the time doubled or halved, which moves T2 by more than 8 standard
    errors; at N = 8 the sum with j = i counted, which leaves N for N - 1 (asserted)."""
    dt, steps = 0.01, 6

    def observe(_, final):
        s = jk.diagnostics.stress(final)
        return jnp.stack([jk.diagnostics.moment(final, order=4, centred=True), jnp.trace(s) ** 2, jnp.vdot(s, s)])

    samples = replicate(
        jk.landau.Kac(jk.landau.Maxwell()), gaussian(num), observe, key=jax.random.key(21), replicas=replicas, dt=dt,
        num_steps=steps,
    )  # fmt: skip
    start = exact.quartic_start(np.diag(TEMPERATURES), num)
    z = z_scores(samples, exact.kac_quartic_euler(steps, dt, start, num, 3))
    print(num, z)
    assert np.abs(z).max() < 4, z
    assert abs(z_scores(samples, exact.kac_quartic_euler(steps // 2, dt, start, num, 3))[2]) > 8
    if num == 8:
        wrong = exact.kac_quartic_euler(steps, dt, start, 10**9, 3)
        assert abs(z_scores(samples, wrong)[2]) > 8


def test_quartic_equilibrium_of_kac():
    """At equilibrium on the energy sphere Q4 = (d+2)(N-1) e^2 / (d (N-1) + 2). Catches N for N - 1."""
    for num, dim in ((8, 3), (5, 2)):
        q4, e2, _ = exact.kac_quartic(50.0, [20.0, 9.0, 4.0], num, dim)
        np.testing.assert_allclose(q4, (dim + 2) * (num - 1) * e2 / (dim * (num - 1) + 2), rtol=1e-12)


@pytest.mark.parametrize("noise", SYSTEMS)
@pytest.mark.parametrize("gamma", slow_but((0.0,), (0.0, -2.0)))
def test_euler_maruyama_heating(noise, gamma):
    """E[change of sum |v|^2] = dt^2 sum_i |(2/N) sum_j b|^2, exactly, conditional on the state, for any dt.

    dt is large, so that the heating is resolved: without it (an implicit step, or noise one factor 2 too weak) the mean is
    more than 8 standard errors away.
    """
    dt, num = 0.25, 6
    state = gaussian(num)(jax.random.key(5))
    system = SYSTEMS[noise](jk.landau.PowerLaw(gamma))

    def observe(start, final):
        return jnp.sum(final.velocity**2) - jnp.sum(start.velocity**2)

    samples = replicate(
        system,
        lambda _: state,
        observe,
        key=jax.random.key(31),
        replicas=200_000,
        dt=dt,
        num_steps=1,
        batch=4096,
    )
    z = np.asarray(state.velocity)[:, None] - np.asarray(state.velocity)[None]
    drift = 2 / num * np.asarray(jk.landau.PowerLaw(gamma).b(jnp.asarray(z))).sum(axis=1)
    heating = dt**2 * np.sum(drift**2)
    score = z_scores(samples[:, None], [heating])[0]
    print(noise, gamma, score, z_scores(samples[:, None], [0.0])[0])
    assert abs(score) < 4
    assert abs(z_scores(samples[:, None], [0.0])[0]) > 8
    if gamma == 0:
        e = 2 * np.asarray(jk.diagnostics.temperature(state)) * 3 / 2 * num
        np.testing.assert_allclose(heating, 4 * 4 * dt**2 * e, rtol=1e-12)


@pytest.mark.slow
def test_centred_heating_factor():
    """`euler_heating`, after 6 steps: Kac 1 + 4 (d-1)^2 dt^2 a step; independent noise less 4 (d-1) dt/N. Catches one
    noise's factor for the other's: each is more than 8 standard errors from the other's."""
    dt, steps, num = 0.1, 6, 6

    def observe(start, final):
        return jk.diagnostics.temperature(final) / jk.diagnostics.temperature(start)

    state = gaussian(num)(jax.random.key(6))
    for noise, system in SYSTEMS.items():
        samples = replicate(
            system(jk.landau.Maxwell()), lambda _: state, observe, key=jax.random.key(41), replicas=60_000, dt=dt,
            num_steps=steps,
        )[:, None]  # fmt: skip
        z = z_scores(samples, [exact.euler_heating(dt, 3, num, noise) ** steps])[0]
        other = "independent" if noise == "kac" else "kac"
        wrong = z_scores(samples, [exact.euler_heating(dt, 3, num, other) ** steps])[0]
        print(noise, z, wrong)
        assert abs(z) < 4
        assert abs(wrong) > 8


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.0, -3.0])
def test_independent_noise_and_matrix_root_have_one_law(gamma):
    """Moments of degree 2 to 4, their products, and correlations of two particles, two samples of 60 000 runs of N = 4.

    Catches Kac's noise for either: its law, which differs in the correlations, is more than 8 standard errors from both.
    """
    state = gaussian(4)(jax.random.key(8))
    interaction = jk.landau.PowerLaw(gamma, strength=1.0 if gamma == 0 else 10.0, softening=0.3)

    def observe(_, final):
        v = final.velocity
        pairs = jnp.einsum("ni,mj->nmij", v, v).reshape(-1)
        quartic = jnp.stack([(v**4).sum(), (v[0] ** 2 * v[1] ** 2).sum(), jnp.sum(v[0] * v[1]) ** 2])
        return jnp.concatenate([v.reshape(-1), pairs, quartic, jk.diagnostics.moment(final, order=3)[None]])

    samples = [
        replicate(
            SYSTEMS[noise](interaction),
            lambda _: state,
            observe,
            key=jax.random.key(50 + i),
            replicas=60_000,
            dt=0.01,
            num_steps=5,
        )
        for i, noise in enumerate(("independent", "matrix_sqrt", "kac"))
    ]
    z = difference_z_scores(samples[0], samples[1])
    print(gamma, np.abs(z).max(), len(z))
    # 160 entries, many repeated: 4.5 standard errors are exceeded by chance with probability below 1e-3.
    assert np.abs(z).max() < 4.5
    assert np.abs(difference_z_scores(samples[0], samples[2])).max() > 8


@pytest.mark.parametrize("noise", SYSTEMS)
def test_noise_covariance(noise):
    """Cov(xi_i, xi_j) of one step's noise at a fixed state, all 9 x 9 entries, N = 3, d = 3, gamma = 1.

    (2 dt/N) sum_j a(z_ij) on the diagonal; off it -(2 dt/N) a(z_ij) for Kac, 0 for the others. A missing factor 2 or a
    noise whose partners do not cancel is more than 8 standard errors away.
    """
    num, dt = 3, 0.01
    state = gaussian(num)(jax.random.key(9))
    system = SYSTEMS[noise](jk.landau.PowerLaw(1.0))

    @jax.jit
    def draw(keys):
        zero = jnp.zeros(())
        return jax.lax.map(
            lambda k: system.noise(k, zero, jnp.asarray(dt), state).velocity.reshape(-1),
            keys,
            batch_size=4096,
        )

    xi = np.asarray(draw(jax.random.bits(jax.random.key(61), (200_000, 2), jnp.uint32)))
    z = state.velocity[:, None] - state.velocity[None]
    a = np.asarray(jk.landau.PowerLaw(1.0).a(z))
    law = np.zeros((num, 3, num, 3))
    for i in range(num):
        law[i, :, i] = 2 * dt / num * a[i].sum(axis=0)
        for j in range(num):
            if j != i and noise == "kac":
                law[i, :, j] = -2 * dt / num * a[i, j]
    law = law.reshape(9, 9)
    products = xi[:, :, None] * xi[:, None, :]
    scores = z_scores(products, law)[np.triu_indices(9)]
    print(noise, np.abs(scores).max())
    assert np.abs(scores).max() < 4
    assert np.abs(z_scores(products, law / 2)[np.triu_indices(9)]).max() > 8
    wrong = np.where(np.kron(np.eye(3), np.ones((3, 3))) > 0, law, 0 if noise == "kac" else -0.5 * np.abs(law).max())
    assert np.abs(z_scores(products, wrong)[np.triu_indices(9)]).max() > 8


@pytest.mark.slow
@pytest.mark.optimised
def test_stress_gradient_in_strength():
    """d/dC of the stress deviator at t = .05, d = 3, gamma = 0, C = 1: -.6 e^{-.6} of its initial value, corrected for
    the step: the deviator is multiplied by f = 1 - 4 d C dt + 4 (d-1)^2 C^2 dt^2 a step, so d f^n / dC.

    A gradient that misses the drift or the noise, or a factor 2 in either, is more than 8 standard errors away.
    """
    dt, steps, num = 0.005, 10, 32
    state = jk.Particles(gaussian(num)(jax.random.key(12)).velocity)

    def deviator(strength, key):
        system = jk.landau.Kac(jk.landau.Maxwell(strength))
        final = jk.simulate(system, state, key=key, dt=dt, num_steps=steps, adjoint=jk.Direct(), throw=False).final
        s = jk.diagnostics.stress(final)
        return s[0, 0] - s[2, 2]

    keys = jax.random.split(jax.random.key(71), 6000)
    gradients = np.asarray(
        jax.jit(lambda keys: jax.lax.map(lambda k: jax.grad(deviator)(1.0, k), keys, batch_size=200))(keys)
    )
    s = np.asarray(jk.diagnostics.stress(state))
    initial = s[0, 0] - s[2, 2]
    factor = 1 - 12 * dt + 16 * dt**2
    discrete = steps * factor ** (steps - 1) * (-12 * dt + 32 * dt**2) * initial
    assert abs(discrete / initial + 0.6 * np.exp(-0.6)) < 0.02
    z = z_scores(gradients[:, None], [discrete])[0]
    print(z, z_scores(gradients[:, None], [discrete / 2])[0])
    assert abs(z) < 4
    assert abs(z_scores(gradients[:, None], [discrete / 2])[0]) > 8


def test_strength_rescales_time():
    """Strength C at time t and strength 1 at time C t are the same run, in law and here on the path: only dt C enters.
    Catches a strength that enters noise and drift with different powers."""
    state = gaussian(6)(jax.random.key(13))
    for system in SYSTEMS.values():
        fast = jk.simulate(system(jk.landau.Maxwell(4.0)), state, key=jax.random.key(1), dt=0.01, num_steps=7).final
        slow = jk.simulate(system(jk.landau.Maxwell(1.0)), state, key=jax.random.key(1), dt=0.04, num_steps=7).final
        np.testing.assert_allclose(fast.velocity, slow.velocity, rtol=1e-10)


@pytest.mark.slow
def test_bkw_relaxation():
    """M4, M6 and H at t = .05 of Kac's system from BKW data, d = 3, N = 128, 3000 runs, dt = .001, within 4 standard errors.

    M4 (centred) against its exact law at this N and dt; M6 against the exact law of the step as N -> infinity (the
    remainder, at most (M6(t) - M6(0))/N, is a fifth of a standard error); the entropy, relative to the Maxwellian at the
    particles' own temperature, against the Landau equation, with the bias of a Maxwellian of equal size removed. Nearest
    mistake: the time doubled or halved (b or sigma^2 off by 2); it is more than 8 standard errors away in each.
    """
    num, replicas, dt, steps, beta = 128, 3000, 0.001, 50, 0.4
    t = dt * steps

    def init(key):
        return jk.initial.bkw(key, num, 3, beta=beta, dtype=jnp.float32)

    def observe(_, final):
        moments = [jk.diagnostics.moment(final, order=4, centred=True), jk.diagnostics.moment(final, order=6)]
        return jnp.stack(moments), final.velocity

    moments, velocities = replicate(
        jk.landau.Kac(jk.landau.Maxwell()), init, observe, key=jax.random.key(81), replicas=replicas, dt=dt,
        num_steps=steps, batch=8,
    )  # fmt: skip
    bkw_moments = [float(exact.bkw_moment(0.0, order, 3, beta)) for order in (2, 4, 6)]
    start = exact.quartic_start(np.eye(3), num, bkw_moments[1])

    def law(n):
        m4 = exact.kac_quartic_euler(n, dt, start, num, 3)[0]
        return np.array([m4, exact.isotropic_moments_euler(n, dt, bkw_moments, 3)[-1, 2]])

    z = z_scores(moments, law(steps))
    print("M4, M6:", z, z_scores(moments, law(2 * steps)), z_scores(moments, law(steps // 2)))
    assert np.abs(z).max() < 4
    for wrong in (2 * steps, steps // 2):
        assert np.abs(z_scores(moments, law(wrong))).min() > 8

    groups = velocities.reshape(12, -1, 3)
    bias, bias_stderr = jk.diagnostics.knn_entropy_bias(jax.random.key(82), groups.shape[1], 3, replicas=48)
    h = []
    for group in groups:
        state = jk.Particles(jnp.asarray(group, jnp.float64))
        own = 1.5 * float(jnp.log(jk.diagnostics.temperature(state)))
        h.append(float(jk.diagnostics.knn_entropy(state, bias=bias)) + own)
    stderr = np.hypot(np.std(h, ddof=1) / np.sqrt(len(h)), bias_stderr)

    def distance(time):
        return (np.mean(h) - exact.bkw_entropy(time, 3, beta)) / stderr

    print("H:", distance(t), distance(2 * t), distance(t / 2), stderr)
    assert abs(distance(t)) < 4
    assert min(abs(distance(2 * t)), abs(distance(t / 2))) > 8


def test_filter_grad_of_a_state():
    """`eqx.filter_grad` with respect to a complete `Particles`. Catches its bool and uint32 leaves, for which `jax.grad`
    raises, in the differentiated part."""
    state = gaussian(5)(jax.random.key(14))
    gradient = eqx.filter_grad(
        lambda s: jk.diagnostics.energy(
            jk.simulate(
                jk.landau.Kac(jk.landau.Maxwell()),
                s,
                key=jax.random.key(0),
                dt=0.01,
                num_steps=3,
                throw=False,
            ).final
        )
    )(state)
    assert gradient.ident is None
    assert gradient.alive is None
    assert float(jnp.abs(gradient.velocity).max()) > 0
