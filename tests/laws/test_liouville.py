"""The law of N particles on the torus: equilibria, symmetry, entropies, dissipation, particles, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

L, D = jk.landau, jk.diagnostics
COSINE = L.Trigonometric([[0], [1]], [1.0, 0.5])


def on_circle(num, f):
    grid = jk.Grid(jk.Axis(0.0, 2 * np.pi, num))
    return jk.Density(f(grid.mesh[0]) / (2 * np.pi), grid)


def uniform(num):
    return on_circle(num, jnp.ones_like)


def wave(num):
    return on_circle(num, lambda v: 1 + 0.8 * jnp.cos(v))


def correlation(state):
    """E cos(v_1 - v_2)."""
    two = jk.marginal(state, 2)
    x, y = two.grid.mesh
    return float(jnp.sum(two.f * jnp.cos(x - y)) * two.grid.cell)


@pytest.mark.parametrize(("num", "points", "wanted"), [(2, 32, 1.25), (3, 20, 1.28061), (4, 12, 1.29489)])
def test_equilibria_of_independent_noise(num, points, wanted):
    """N E|rho_1|^2 = 1 + (N - 1) E cos(v_1 - v_2) at t = 20 from uniform data, to 2e-5; for N = 2 the law is a(v_1 - v_2) over
    its mass, of entropy .03231906 per particle. Catches a sum over i = j, a drift b of the wrong sign, 1/N for 1/(N - 1)."""
    done = jk.simulate(L.Liouville(COSINE, num), jk.product(uniform(points), num), dt=0.1, num_steps=200)
    assert abs(1 + (num - 1) * correlation(done.final) - wanted) < 2e-5
    np.testing.assert_allclose(done.final.mass, 1, rtol=1e-11)
    assert float(done.stats["negative_mass"]) < 1e-12
    h = [float(D.entropy_per_particle(done.final, uniform(points), k=k)) for k in range(1, num + 1)]
    assert abs(h[0]) < 1e-10
    assert (np.diff(h) > 0).all(), "subadditivity: H_1 <= H_2 <= ... <= H_N"
    if num == 2:
        np.testing.assert_allclose(h[1], 0.03231906, atol=1e-7)


@pytest.mark.parametrize("noise", ["independent", "kac"])
def test_one_particle_marginal_at_the_start(noise):
    """The mode of the first marginal of independent particles falls at the rate lambda (N - 1)/N at t = 0, for both noises; F
    stays symmetric and keeps its mass. Catches a factor 2 in the sum over pairs."""
    num, points = 3, 16
    system, state = L.Liouville(COSINE, num, noise), jk.product(wave(points), num)
    slope = jk.marginal(jk.Density(system.vector_field(0.0, state).f, state.grid))
    rate = L.exact.torus_mode_rate(COSINE, [1]) * (num - 1) / num
    (v,) = slope.grid.mesh
    np.testing.assert_allclose(slope.f, -rate * 0.8 * np.cos(v) / (2 * np.pi), atol=1e-12)
    done = jk.simulate(system, state, dt=0.02, num_steps=10).final
    for order in itertools.permutations(range(num)):
        np.testing.assert_allclose(jnp.transpose(done.f, order), done.f, atol=1e-15)
    np.testing.assert_allclose(done.mass, 1, rtol=1e-13)


def test_kac_dissipation():
    """int F log F falls at every step, at the rate D(F) to 1e-6; the uniform law is kept; independent noise raises. Catches a
    flux that is not antisymmetric."""
    system, points = L.Liouville(COSINE, 2, "kac"), 40
    save = jk.Save(state=True, every=1, observe={"H": D.entropy, "D": system.dissipation})
    done = jk.simulate(system, jk.product(wave(points), 2), dt=0.01, num_steps=40, save=save)
    h = np.asarray(done.observed["H"])
    assert (np.diff(h) < 0).all()
    grid = done.final.grid

    def rate_of(f):
        slope = system.vector_field(0.0, jk.Density(f, grid)).f
        return jax.jvp(lambda f: D.entropy(jk.Density(f, grid)), (f,), (slope,))[1]

    for k in (5, 40):
        np.testing.assert_allclose(-rate_of(done.states.f[k]), done.observed["D"][k], rtol=1e-6)
    assert float(jnp.abs(system.vector_field(0.0, jk.product(uniform(points), 2)).f).max()) < 1e-13
    with pytest.raises(ValueError, match="`noise` must be 'kac' for the dissipation, but is 'independent'"):
        L.Liouville(COSINE, 2).dissipation(jk.product(wave(8), 2))


def test_entropy_per_particle_of_a_product():
    """Of independent particles it is that of one particle, for every k, and 0 relative to their law. Catches a missing 1/k."""
    law = jk.product(wave(24), 3)
    one = float(D.relative_entropy(wave(24), uniform(24)))
    for k in (1, 2, 3):
        np.testing.assert_allclose(D.entropy_per_particle(law, uniform(24), k=k), one, rtol=1e-12)
        np.testing.assert_allclose(D.entropy_per_particle(law, wave(24), k=k), 0, atol=1e-13)


def test_stiffness_is_a_bound():
    """The eigenvalues of the matrix of the equation are below `stiffness`, which is at most four times too large. Catches a
    number of pairs that is too small."""
    for noise in ("independent", "kac"):
        system, state = L.Liouville(COSINE, 3, noise), jk.product(wave(6), 3)
        matrix = jax.jacfwd(lambda f: system.vector_field(0.0, jk.Density(f, state.grid)).f)(state.f)  # noqa: B023
        radius = np.abs(np.linalg.eigvals(np.asarray(matrix).reshape(216, 216))).max()
        assert radius < float(system.stiffness(0.0, state)) < 4 * radius


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["independent", "kac"])
def test_particles_have_this_law(noise):
    """E cos(v_1 - v_2) and E cos v_1 of 3 particles at t = .4, from 40 000 runs of Euler-Maruyama with dt = .004, within 4
    standard errors + .003 for dt. Catches noise of another system: the two noises differ by .07 in E cos(v_1 - v_2)."""
    system = {"independent": L.MatrixSqrt, "kac": L.Kac}[noise](COSINE)
    done = jk.simulate(L.Liouville(COSINE, 3, noise), jk.product(wave(24), 3), dt=0.02, num_steps=20).final
    one = jk.marginal(done)
    want = np.array([correlation(done), float(jnp.sum(one.f * jnp.cos(one.grid.mesh[0])) * one.grid.cell)])

    def observe(state):
        rho = D.mode(state, wavevector=[1])
        return jnp.stack([(3 * jnp.abs(rho) ** 2 - 1) / 2, rho.real])

    runs = jk.ensemble(
        system, lambda key: jk.initial.torus_mode(key, 3, [1], 0.8), key=jax.random.key(8), replicas=40_000, dt=0.004,
        num_steps=100, save=jk.Save(steps=(100,), observe={"x": observe}),
    ).observed["x"]  # fmt: skip
    runs = np.asarray(runs)[:, 0]
    stderr = runs.std(0, ddof=1) / len(runs) ** 0.5
    print(want, (runs.mean(0) - want) / stderr)
    assert (np.abs(runs.mean(0) - want) < 4 * stderr + 0.003).all()


def test_errors(monkeypatch):
    """Catches raw errors for what does not fit; bytes are named before they are allocated."""
    state = jk.product(wave(16), 2)
    other = jk.Density(jnp.ones((8, 16)), jk.Grid(jk.Axis(0.0, 2 * np.pi, 8), jk.Axis(0.0, 2 * np.pi, 16)))
    for call, sentence in (
        (lambda: L.Liouville(L.Maxwell(), 2), "`interaction` must be a Trigonometric in d = 1, but is Maxwell"),
        (lambda: L.Liouville(COSINE, 7), "`num_particles` must be 2 to 6, but is 7"),
        (lambda: L.Liouville(COSINE, 2, "kaq"), "`noise` must be one of independent, kac.*Did you mean `kac`"),
        (lambda: jk.simulate(L.Liouville(COSINE, 3), state, dt=0.1, num_steps=1), "must have 3 periodic axes.*but has 2"),
        (lambda: jk.simulate(L.Liouville(COSINE, 2), other, dt=0.1, num_steps=1), "have equal axes, but has 8 x 16 points"),
        (lambda: jk.product(state, 2), "`density` must be a Density on one axis, but has 2"),
        (lambda: jk.product(wave(16), 12), r"`num_particles` must fit into memory, but a law on 16\^12 points takes .* GiB"),
        (lambda: jk.marginal(state, 3), "`k` must be at most 2, the number of axes, but is 3"),
        (lambda: L.Liouville(COSINE, 2, "kac").dissipation(None), "`state` must be a Density, but is None"),
        (lambda: L.Liouville(COSINE, 2, "kac").dissipation(wave(16)), "must have 2 periodic axes.*but has 1"),
        (lambda: L.Liouville(COSINE, 2, "kac").dissipation(jk.Density(-state.f, state.grid)), "`state.f` must be positive"),
        (lambda: D.entropy_per_particle(state, wave(8)), r"`density` must be on the same grid, of shape \(16,\), but"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
