"""The exact laws of the walk and of its limit: against each other, against their equations, against the generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp

import jaxkinetic as jk

pytestmark = pytest.mark.newest

B, exact, D = jk.boltzmann, jk.boltzmann.exact, jk.diagnostics


@pytest.mark.shapes
@pytest.mark.parametrize(
    ("num", "volume", "alpha", "t"),
    [(1, 2.0, 0.5, 1.0), (2, 2.0, 0.3, 0.7), (7, 10.0, 1.0, 3.0), (100, 100.0, 0.5, 1.0)],
)
def test_death_chain_moments(num, volume, alpha, t):
    """Mean and variance of `death_moments` against the distribution of `death_law`. Catches a rate that differs between
    the two, such as N^2 for N(N - 1)."""
    numbers, law = exact.death_law(t, num, volume, alpha)
    mean, variance = exact.death_moments(t, num, volume, alpha)
    np.testing.assert_allclose(law.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(mean, law @ numbers, rtol=1e-12)
    np.testing.assert_allclose(variance, law @ numbers**2 - (law @ numbers) ** 2, rtol=1e-9, atol=1e-9)


@pytest.mark.shapes
def test_death_chain_known_values_and_limit():
    """Known mean and variance at N = 100; for N -> infinity they are N/u and (2/3) N (1/u - 1/u^4), u = 1 + alpha t =
    1.5. Catches a rate off by a factor 2."""
    mean, variance = exact.death_moments(1.0, 100, 100.0, 0.5)
    np.testing.assert_allclose([mean, variance], [66.8586005166, 31.2936633967], rtol=1e-11)
    mean, variance = exact.death_moments(1.0, 1_000_000, 1e6, 0.5)
    u = 1.5
    np.testing.assert_allclose(mean, 1e6 / u, rtol=1e-6)
    np.testing.assert_allclose(variance, 2 / 3 * 1e6 * (1 / u - 1 / u**4), rtol=1e-5)
    np.testing.assert_allclose(mean / 1e6, exact.maxwell_density(1.0, 0.5), rtol=1e-6)


@pytest.mark.shapes
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("dim", [2, 3])
def test_bkw_moments_and_rate(dim, alpha):
    """Moments by quadrature of the density; and for d = 3 M4' of the Boltzmann equation with z' uniform: -(1 - alpha) n
    (M4 - 15)/3 per particle. Catches half that rate, which is the one of 1 - K, and a missing 1 - alpha."""
    r = np.linspace(0, 14, 4001)
    sphere = {2: 2 * np.pi, 3: 4 * np.pi}[dim]
    n = float(exact.maxwell_density(0.7, alpha))
    f = exact.bkw_density(r, 0.7, dim, 0.3, alpha) * sphere * r ** (dim - 1)
    for order in (0, 2, 4, 6):
        np.testing.assert_allclose(
            simpson(f * r**order, x=r), n * exact.bkw_moment(0.7, order, dim, 0.3, alpha), rtol=1e-8
        )
    h = 1e-4
    if dim == 3:
        up, here, down = (exact.bkw_moment(0.7 + s * h, 4, 3, 0.3, alpha) for s in (1, 0, -1))
        # 15 - M4 = 15 (1 - K)^2, so its rate is twice that of 1 - K.
        np.testing.assert_allclose((up - down) / (2 * h), (1 - alpha) * n * (15 - here) / 3, rtol=1e-6, atol=1e-12)


@pytest.mark.shapes
@pytest.mark.parametrize("dim", [2, 3])
def test_hard_sphere_law_solves_moment_equations(dim):
    """n' = -alpha c_d n^2 sqrt(T), T' = -(alpha c_d/2d) n T^{3/2}, the moment equations of a Maxwellian, integrated
    numerically. Catches a wrong exponent, and c_3 used in d = 2."""
    alpha, c = 0.3, exact.mean_relative_speed(dim)
    t = np.array([0.0, 0.5, 4.0, 30.0])

    def slope(_, y):
        return [-alpha * c * y[0] ** 2 * y[1] ** 0.5, -alpha * c / (2 * dim) * y[0] * y[1] ** 1.5]

    y = solve_ivp(slope, (0, 30), [1.0, 1.0], t_eval=t, rtol=1e-11, atol=1e-13).y
    np.testing.assert_allclose(exact.hard_sphere_density(t, dim, alpha), y[0], rtol=1e-8)
    np.testing.assert_allclose(exact.hard_sphere_temperature(t, dim, alpha), y[1], rtol=1e-8)
    np.testing.assert_allclose(exact.initial_rates(dim, alpha), slope(0, [1.0, 1.0]), rtol=1e-12)
    np.testing.assert_allclose(
        exact.initial_rates(3, 0.5, 2.0), [-0.5 * 4 / np.pi**0.5 * 2**0.5, -0.5 * 4 / np.pi**0.5 * 2**1.5 / 6]
    )


@pytest.mark.shapes
def test_initial_rates():
    """Sampled pairs of a Maxwellian: E r and E |v|^2 r. Catches a wrong c_d, and a T' that is not T n'/(2d)."""
    v, w = np.random.default_rng(0).normal(size=(2, 400_000, 3))
    r = np.linalg.norm(v - w, axis=1)
    density, temperature = exact.initial_rates(3, 0.5)
    np.testing.assert_allclose(-0.5 * r.mean(), density, rtol=4 * r.std() / r.mean() / 632)
    loss = 0.5 * (np.sum(v**2, 1) * r)
    # (n T)' = -(1/3) of the loss of energy, with u = 0.
    expected = temperature + density
    assert abs(-loss.mean() / 3 - expected) < 4 * loss.std() / 3 / 632


@pytest.mark.parametrize("cross_section", [B.Maxwell(0.8), B.HardSphere(), B.VariableHardSphere(0.4, 2.0)])
@pytest.mark.parametrize("dim", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_generator_gives_pressure_rate(cross_section, dim):
    """L of sum v v^T is -(1/2 Lambda) sum Sigma dev(z z^T), with a dead slot. Catches a factor 2, and z' on a wrong
    sphere."""
    state = jk.Particles(jax.random.normal(jax.random.key(1), (6, dim)), alive=jnp.arange(6) != 2)
    rate = exact.pressure_rate(cross_section, 3.0, state)
    walk = B.KacWalk(cross_section, 3.0)

    def entry(a, b):
        return lambda s: jnp.sum(s.live_velocity[:, a] * s.live_velocity[:, b])

    found = [[walk.generator(entry(a, b))(state) for b in range(dim)] for a in range(dim)]
    np.testing.assert_allclose(found, rate, rtol=1e-9, atol=1e-12)
    assert np.abs(rate).max() > 0.1


def test_generator_of_annihilation():
    """L N = -2 alpha sum Sigma/Lambda, and for phi = N(N-1) of Maxwell molecules by hand. Catches one particle lost
    instead of two, and pairs counted twice."""
    state = jk.Particles(jax.random.normal(jax.random.key(1), (5, 3)))
    walk = B.KacWalk(B.Maxwell(), 4.0, 0.3)
    np.testing.assert_allclose(walk.generator(lambda s: s.num_alive)(state), -2 * 0.3 * 10 / 4, rtol=1e-12)
    second = walk.generator(lambda s: s.num_alive * (s.num_alive - 1))(state)
    np.testing.assert_allclose(second, 0.3 * 10 / 4 * (3 * 2 - 5 * 4), rtol=1e-12)


def test_rescaled_correlation_functions():
    """(LNP 1.12) by hand: 1/Lambda and 1/Lambda^2 times sums over the live particles, the pair sum without the diagonal.
    Catches N for Lambda, the diagonal included, and a dead slot's NaN that reaches a value or a gradient."""
    v = np.random.default_rng(0).normal(size=(6, 2))
    alive = np.array([True, True, False, True, True, False])
    state, live = jk.Particles(jnp.asarray(v).at[2].set(jnp.nan), alive=jnp.asarray(alive)), v[alive]
    np.testing.assert_allclose(D.rescaled_density(state, volume=8.0), 4 / 8)
    np.testing.assert_allclose(D.rescaled_f1(state, volume=8.0, of=_velocity), live.sum(0) / 8, rtol=1e-12)
    expected = sum(np.outer(live[i], live[j]) for i in range(4) for j in range(4) if i != j) / 64
    np.testing.assert_allclose(D.rescaled_f2(state, volume=8.0, of=_velocity), expected, rtol=1e-12)
    first = D.rescaled_f2(state, volume=8.0, of=lambda s: s.velocity[:, 0])
    np.testing.assert_allclose(first, expected[0, 0], rtol=1e-12)
    gradient = jax.grad(lambda v: D.rescaled_f2(jk.Particles(v, alive=state.alive), volume=8.0, of=_velocity)[0, 1])(
        state.velocity
    )
    assert np.isfinite(gradient[alive]).all()
    with pytest.raises(ValueError, match="`volume` must be positive"):
        D.rescaled_density(state, volume=0.0)
    with pytest.raises(ValueError, match=r"`of` must return \(N,\) or \(N, m\)"):
        D.rescaled_f1(state, volume=1.0, of=lambda s: s.velocity[:2])


def _velocity(state):
    return state.velocity


def test_initial_chaos():
    """E f_2 = (1 - 1/N) (E f_1)^2 for i.i.d. data at N = Lambda: 4 standard errors, and the missing 1/N is 10 away."""

    def both(key):
        s = jk.Particles(1 + 0.3 * jax.random.normal(key, (20, 2)))
        return D.rescaled_f1(s, volume=20.0, of=_velocity)[0], D.rescaled_f2(s, volume=20.0, of=_velocity)[0, 1]

    f1, f2 = (np.asarray(x) for x in jax.vmap(both)(jax.random.split(jax.random.key(0), 4000)))
    stderr = f2.std() / 4000**0.5
    assert abs(f1.mean() - 1) < 4 * f1.std() / 4000**0.5
    assert abs(f2.mean() - 0.95) < 4 * stderr
    assert 10 * stderr < 0.05


def test_self_similar_variables():
    """int |xi|^2 psi = d/2, mean 0; invariant under shift and scale; tau of a gas whose n sqrt(2T) is known. Catches a
    thermal speed sqrt(T) for sqrt(2T), and N counted over slots."""
    state = jk.Particles(3 * jax.random.normal(jax.random.key(0), (50, 3)) + 1, alive=jnp.arange(50) % 5 > 0)
    gas = D.self_similar(state, volume=80.0)
    np.testing.assert_allclose(gas.density, 0.5)
    np.testing.assert_allclose(jnp.sum(gas.xi**2) / 40, 1.5, rtol=1e-12)
    np.testing.assert_allclose(gas.xi.sum(0), 0, atol=1e-11)
    other = D.self_similar(jk.Particles(2 * state.velocity - 7, alive=state.alive), volume=80.0)
    np.testing.assert_allclose(other.xi, gas.xi, rtol=1e-9, atol=1e-11)
    t = jnp.linspace(0, 2, 2001)
    tau = D.self_similar_time(t, 1 / (1 + t), jnp.full(2001, 0.5))
    np.testing.assert_allclose(tau, jnp.log1p(t), atol=1e-6)
    assert D.self_similar_time(t, jnp.ones((3, 2001)), jnp.ones((3, 2001))).shape == (3, 2001)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: exact.maxwell_density(1.0, 1.5), r"`alpha` must be in \[0, 1\], but is 1.5"),
        (lambda: exact.death_moments(1.0, 0, 1.0, 0.5), "`num` must be at least 1, but is 0"),
        (lambda: exact.death_law(1.0, 5000, 1.0, 0.5), "`num` must be at most 2000, but is 5000; use `death_moments`"),
        (lambda: exact.death_moments(1.0, 4, -1.0, 0.5), "`volume` must be positive, but is -1"),
        (lambda: exact.bkw_density(1.0, 1.0, 3, 0.9), r"`beta` must lie in \[0, 2/\(d\+2\)\]"),
    ],
)
def test_argument_errors(call, sentence):
    """Bad arguments raise a `ValueError` that names the argument and its value. Catches a law evaluated outside its
    range."""
    with pytest.raises(ValueError, match=sentence):
        call()
