"""The Boltzmann equation with annihilation for isotropic densities: exact solutions, moments of the collision operator,
profiles, particles, errors."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

B = jk.boltzmann


class Capped(B.AbstractCrossSection):
    """A user's cross section: r^2/(1 + r^2)."""

    bounded = True

    def sigma(self, r2):
        return r2 / (1 + r2)

    def bound(self, r_max):
        return jnp.ones_like(r_max)


SECTIONS = B.Maxwell(2.0), B.HardSphere(0.7), B.VariableHardSphere(0.5), Capped()


def bkw(num=100, beta=0.4, dtype=None):
    state = jk.initial.radial(jk.initial.bkw, 8.0, num, 3, beta=beta)
    return state if dtype is None else jax.tree.map(lambda x: x.astype(dtype), state)


def energy(state):
    return state.integral(state.grid.speeds**2 * state.f)


@pytest.fixture(scope="module")
def maxwell_runs():
    """alpha -> the run from BKW to t = 2."""
    observe = {"H": jk.diagnostics.entropy, "mass": lambda s: s.mass, "energy": energy}
    save = jk.Save(every=2, observe=observe)
    return {
        alpha: jk.simulate(B.IsotropicPDE(B.Maxwell(), alpha), bkw(), dt=0.05, num_steps=40, save=save)
        for alpha in (0.0, 0.5)
    }


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_bkw(maxwell_runs, alpha):
    """The exact solution to 1e-6 of its maximum at every speed. Catches (1 - alpha) at the annihilation, a factor 2 in time, a
    gain that is not uniform in the energy."""
    done = maxwell_runs[alpha]
    exact = B.exact.bkw_density(np.asarray(done.final.grid.speeds), 2.0, 3, 0.4, alpha)
    np.testing.assert_allclose(done.final.f, exact, atol=1e-6 * exact.max())
    np.testing.assert_allclose(done.observed["mass"], B.exact.maxwell_density(done.times, alpha), rtol=1e-8)
    if alpha == 0:
        # VHS with gamma = 0 is the same equation.
        system = B.IsotropicPDE(B.VariableHardSphere(0.0))
        slope = system.vector_field(jnp.zeros(()), bkw(40)).f
        maxwell = B.IsotropicPDE(B.Maxwell()).vector_field(jnp.zeros(()), bkw(40)).f
        np.testing.assert_allclose(slope, maxwell, atol=1e-14)


def test_invariants_and_entropy(maxwell_runs):
    """Without annihilation mass and energy are kept to round-off and H falls at every step. With it both fall, and H = int f
    log f rises here: f log f is negative, and there is less of f. Catches a loss that is not that of the gain."""
    seen = maxwell_runs[0.0].observed
    np.testing.assert_allclose(seen["mass"], seen["mass"][0], rtol=1e-13)
    np.testing.assert_allclose(seen["energy"], seen["energy"][0], rtol=1e-13)
    assert (np.diff(np.asarray(seen["H"])) < 0).all()
    seen = maxwell_runs[0.5].observed
    assert (np.diff(np.asarray(seen["mass"])) < 0).all()
    assert (np.diff(np.asarray(seen["H"])) > 0).all()
    stats = maxwell_runs[0.0].stats
    assert float(stats["negative_mass"]) == 0 == float(stats["radius_needed"])
    assert float(stats["spectral_tail"]) < 1e-14


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: type(s).__name__)
def test_any_data_conserve(section):
    """Random values at all nodes, also next to R: collisions conserve mass and energy to round-off, and annihilation removes
    alpha times the meetings. Catches collisions that leave the ball in the loss but not in the gain, and mass beyond the last
    node that is put back without its energy."""
    f = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1.0, 24))
    state = jk.RadialDensity(f, jk.RadialGrid(3.0, 24))
    weights, speeds = state.grid.weights, np.asarray(state.grid.speeds)

    def moments(alpha):
        slope = np.asarray(B.IsotropicPDE(section, alpha).vector_field(jnp.zeros(()), state).f * weights)
        return slope.sum(), (slope * speeds**2).sum(), np.abs(slope).sum()

    mass, energy, size = moments(0.0)
    np.testing.assert_allclose((mass, energy), 0, atol=1e-12 * size)
    nodes, gauss = np.polynomial.legendre.leggauss(200)
    r2 = speeds[:, None, None] ** 2 + speeds[:, None] ** 2 - 2 * speeds[:, None, None] * speeds[:, None] * nodes
    frequency = np.asarray(section.sigma(jnp.asarray(r2))) @ gauss / 2
    masses = np.asarray(f * weights)
    lost = 0.3 * masses @ frequency @ masses
    # The reference is less accurate where |v_i| = |v_j|, where Sigma(r) is not smooth in the angle.
    np.testing.assert_allclose(moments(0.3)[0], -lost, rtol=1e-7)


def test_moments_of_the_collision_operator():
    """d/dt of the moments of order 4 and 8 for hard spheres and a sum of three shells, against quadrature over both angles.
    Splines reproduce these polynomials, so that only round-off remains. Catches a wrong law of |v'|, the weight of r, pairs
    that count once."""
    num, nodes = 40, [3, 9, 10]
    grid = jk.RadialGrid(4.0, num)
    f = jnp.zeros(num).at[jnp.asarray(nodes)].set(jnp.asarray([1.0, 0.2, 0.1]))
    slope = B.IsotropicPDE(B.HardSphere()).vector_field(jnp.zeros(()), jk.RadialDensity(f, grid)).f * grid.weights
    v, mass = np.asarray(grid.speeds)[nodes], np.asarray(f * grid.weights)[nodes]
    x, w = np.polynomial.legendre.leggauss(60)
    want = {4: 0.0, 8: 0.0}
    for i, a in enumerate(v):
        for j, b in enumerate(v):
            low, high = abs(a - b), a + b
            r = (low + high) / 2 + (high - low) / 2 * x
            weight = (high - low) / 2 * w * r / (2 * a * b) * r  # the law of r, times Sigma = r
            mean, swing = (a * a + b * b) / 2, r * np.sqrt((a * a + b * b) / 2 - r * r / 4)
            for order in want:
                after = ((mean + swing[:, None] * x) ** (order // 2)) @ w / 2
                want[order] += mass[i] * mass[j] * np.sum(weight * (after - a**order))
    for order, value in want.items():
        got = float(jnp.sum(slope * grid.speeds**order))
        np.testing.assert_allclose(got, value, rtol=1e-11)


def test_error_falls_at_high_order():
    """Q(f, f) of BKW at 30 and 60 nodes, away from v = 0: the error falls by more than 2^8. Catches the sharpening of the
    splines that is left out, which makes it 2."""
    errors = []
    for num in (30, 60):
        state = bkw(num)
        v = np.asarray(state.grid.speeds)
        t = 1e-3
        exact = (B.exact.bkw_density(v, t, 3, 0.4) - bkw(num).f) / t
        second = (B.exact.bkw_density(v, 2 * t, 3, 0.4) - bkw(num).f) / (2 * t)
        slope = B.IsotropicPDE(B.Maxwell()).vector_field(jnp.zeros(()), state).f
        errors.append(np.abs(slope - (2 * exact - second))[v > 1].max())
    assert errors[0] > 2**8 * errors[1]
    assert errors[1] < 1e-7


def test_stiffness_is_a_bound():
    """The eigenvalues of the derivative for hard spheres, without and with annihilation, are below `stiffness`, which is at
    most four times too large; a run makes the table once. Catches the smallest frequency in place of the largest, and a table
    that is made at every evaluation."""
    state = jk.initial.radial(jk.initial.rosenbluth, 8.0, 40, 3)
    plan = jk.RungeKutta(4).make_plan(B.IsotropicPDE(B.HardSphere()), state, jnp.asarray(0.1))
    assert plan.tensor.gain.shape[0] == 40 * 41 / 2
    for alpha in (0.0, 1.0):
        system = B.IsotropicPDE(B.HardSphere(), alpha).make_plan(state)
        jacobian = jax.jacfwd(lambda f: system.vector_field(jnp.zeros(()), jk.RadialDensity(f, state.grid)).f)(state.f)  # noqa: B023
        radius = np.abs(np.linalg.eigvals(np.asarray(jacobian))).max()
        assert radius < float(system.stiffness(jnp.zeros(()), state)) < 4 * radius


def test_gradients_and_float32():
    """Derivatives of the kurtosis and the density in alpha, strength, gamma and beta, by reverse mode, agree with differences
    to 1e-6; float32 gives the float64 result to 1e-4. Catches a tensor that does not depend on the parameters, and constants in
    double precision."""

    def run(parameters, dtype=None):
        alpha, strength, gamma, beta = parameters
        section = B.VariableHardSphere(gamma, strength)
        return jk.simulate(B.IsotropicPDE(section, alpha), bkw(24, beta, dtype), dt=0.1, num_steps=3).final

    @jax.jit
    def total(parameters):
        final = run(parameters)
        return final.mass + final.integral(final.grid.speeds**4 * final.f)

    at, small = jnp.asarray([0.3, 1.2, 0.7, 0.3]), 1e-5
    steps = small * jnp.eye(4)
    differences = [(total(at + step) - total(at - step)) / (2 * small) for step in steps]
    gradient = jax.jit(jax.grad(total))(at)
    np.testing.assert_allclose(gradient, differences, rtol=1e-6)
    assert (np.abs(gradient) > 1e-3).all()
    single = run(tuple(at), jnp.float32).f
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, run(tuple(at)).f, atol=1e-4)


def test_profile():
    """Exponents and kurtosis for hard spheres to 5e-6, xi at alpha = .75, the limit alpha -> 0; Maxwell molecules and Sigma =
    r^2, whose profiles are Maxwellian. Catches the exponent of T in place of that of n, and a wrong energy of the profile."""
    for alpha, xi, zeta, kurtosis in ((0.1, 0.92246, 0.15507, 1.00368), (0.25, 0.92132, 0.15737, 1.01059)):
        found = B.self_similar_profile(B.HardSphere(), alpha)
        np.testing.assert_allclose((found.xi, found.zeta, found.kurtosis), (xi, zeta, kurtosis), atol=5e-6)
        profile = found.profile
        np.testing.assert_allclose(profile.mass, 1, rtol=1e-12)
        np.testing.assert_allclose(energy(profile), 1.5, rtol=1e-12)
        assert float(profile.f.min()) > -1e-10
    np.testing.assert_allclose(B.self_similar_profile(B.HardSphere(), 0.75).xi, 0.9145, atol=5e-5)
    still = B.self_similar_profile(B.HardSphere(3.0), 0.0)
    np.testing.assert_allclose((still.xi, still.kurtosis), (12 / 13, 1.0), atol=1e-7)
    np.testing.assert_allclose(3 * np.sqrt(2 / np.pi) * 2, still.frequency, rtol=1e-6)  # <r> = 4 sqrt(T/pi) at T = 1/2
    maxwell = B.self_similar_profile(B.Maxwell(), 0.5)
    np.testing.assert_allclose((maxwell.xi, maxwell.zeta, maxwell.kurtosis), (1.0, 0.0, 1.0), atol=1e-9)
    # Sigma = r^2 removes particles at the rate n (v^2 + d T), under which a Maxwellian stays one: T = n^(1/3).
    square = B.self_similar_profile(B.VariableHardSphere(2.0), 0.5)
    np.testing.assert_allclose((square.xi, square.zeta, square.kurtosis), (0.75, 0.25, 1.0), atol=1e-6)


def test_profile_is_stationary():
    """f = n (2T)^(-3/2) psi(v/sqrt(2T)) at n = 1, 2T = 1 evolves by a change of n and T alone: n'/n and T'/T of the equation
    give xi and zeta, and the fourth moment changes as T^2. Catches an equation for psi that is not (6.6)."""
    alpha = 0.5
    found = B.self_similar_profile(B.HardSphere(), alpha)
    psi = found.profile
    slope = B.IsotropicPDE(B.HardSphere(), alpha).vector_field(jnp.zeros(()), psi).f
    speeds = psi.grid.speeds
    # d/dt log of the moments of order 0, 2, 4.
    rates = [float(psi.integral(speeds**k * slope) / psi.integral(speeds**k * psi.f)) for k in (0, 2, 4)]
    density, temperature = rates[0], rates[1] - rates[0]
    np.testing.assert_allclose(rates[2], density + 2 * temperature, rtol=1e-7)
    # n'/n ~ -xi/t and T'/T ~ -zeta/t.
    np.testing.assert_allclose(temperature / density, found.zeta / found.xi, rtol=1e-10)
    np.testing.assert_allclose(density, -alpha * found.frequency, rtol=1e-10)


def test_profile_gradients():
    """d/d alpha and d/d gamma of xi and kurtosis, by the implicit function theorem, against differences to 1e-6. Catches a
    derivative through the steps of Newton's method that is cut."""

    @jax.jit
    def value(parameters):
        found = B.self_similar_profile(B.VariableHardSphere(parameters[1]), parameters[0], num=40)
        return found.xi + 0.3 * found.kurtosis

    at, small = jnp.asarray([0.3, 0.8]), 1e-4
    differences = [(value(at + step) - value(at - step)) / (2 * small) for step in small * jnp.eye(2)]
    np.testing.assert_allclose(jax.jit(jax.grad(value))(at), differences, rtol=1e-6)
    assert np.isnan(value(jnp.asarray([0.9, 1.0])))


def test_hierarchy():
    """The masses of f_l at N_0 = 9, Lambda = 7, l = 1 to 5 and 10, against the law of the chain by expm; at N_0 = 1e5 they
    agree with the limit to 1e-5. Catches a factor j in P_k^(j)(1), and N^l for the factorial moment."""
    for t in (0.0, 0.7):
        numbers, law = B.exact.death_law(t, 9, 7.0, 0.6)
        for order in (1, 2, 3, 4, 5, 10):
            limit, finite = B.exact.hierarchy_masses(t, order, 9, 7.0, 0.6)
            falling = np.prod([numbers - i for i in range(order)], axis=0)
            np.testing.assert_allclose(finite, np.sum(law * falling) / 7.0**order, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(limit, (9 / 7 / (1 + 0.6 * 9 / 7 * t)) ** order, rtol=1e-14)
    limit, finite = B.exact.hierarchy_masses(np.array([0.5, 2.0]), 3, 100_000, 1e5, 0.5)
    np.testing.assert_allclose(finite, limit, rtol=1e-4)


@pytest.mark.slow
def test_particles_tend_to_it():
    """Density and temperature of Kac's walk of hard spheres with alpha = .5 from N/volume = 2, against the equation, within 4
    standard errors. Catches a density that is not N/volume: at half the density n is larger by 25 per cent."""
    num, alpha, steps = 2000, 0.5, 4
    start = jk.initial.radial(jk.initial.bkw, 8.0, 80, 3, beta=0.4)
    start = jk.RadialDensity(2 * start.f, start.grid)
    walk = B.KacWalk(B.HardSphere(), num / 2, alpha)
    observe = {"n": lambda s: s.mass, "T": jk.diagnostics.temperature}
    limit = jk.simulate(walk.limit(), start, dt=0.025, num_steps=40, save=jk.Save(every=10, observe=observe)).observed
    runs = jk.ensemble(
        walk, lambda key: jk.initial.bkw(key, num, 3, beta=0.4), key=jax.random.key(3), replicas=40, dt=0.25, num_steps=steps,
        save=jk.Save(every=1, observe={
            "n": lambda s: 2 * jnp.mean(s.alive.astype(float)), "T": jk.diagnostics.temperature,
        }),
    ).observed  # fmt: skip
    for name in ("n", "T"):
        values = np.asarray(runs[name])[:, 1:]
        stderr = values.std(0, ddof=1) / len(values) ** 0.5
        scores = (values.mean(0) - np.asarray(limit[name])[1:]) / stderr
        print(name, scores, stderr)
        assert (np.abs(scores) < 4).all()


def test_errors_and_warnings():
    """Catches raw errors for states, cross sections and parameters that do not fit, runs that do not say that R is
    too small, and a check of a known state that fails inside a trace."""
    system, good = B.IsotropicPDE(B.HardSphere()), bkw(24)

    def run(state, system=system):
        return jk.simulate(system, state, dt=0.01, num_steps=1)

    class Forward(B.HardSphere):
        def scatter(self, words, z):
            return z

    normal = jk.initial.maxwellian
    for call, sentence in (
        (lambda: B.IsotropicPDE(jk.landau.Maxwell()), "`cross_section` must be a cross section, but is Maxwell.*of jk.landau"),
        (lambda: B.IsotropicPDE(Forward()), r"`cross_section` must scatter uniformly, but has its own `scatter` \(Forward\)"),
        (lambda: B.IsotropicPDE(B.Maxwell(), 1.5), r"`annihilation` must be in \[0, 1\], but is 1.5"),
        (lambda: B.IsotropicPDE(B.Maxwell(), dim=2), "`dim` must be 3, but is 2; use `KacWalk`"),
        (lambda: run(normal(jax.random.key(0), 9, 3)), "`state` must be a RadialDensity, but is Particles"),
        (lambda: run(jk.initial.radial(normal, 8.0, 24, 2)), "`state.grid.dim` must be 3, but is 2"),
        (lambda: run(jk.RadialDensity(good.f.at[3].set(-0.1), good.grid)), "`state.f` must not be negative, but at one point"),
        (lambda: run(jk.RadialDensity(good.f.at[3].set(jnp.nan), good.grid)), "`state.f` must hold finite numbers"),
        (lambda: run(jk.RadialDensity(0 * good.f, good.grid)), "`state.f` must have a positive mass"),
        (lambda: run(jk.initial.radial(normal, 3.0, 24, 3)), "must vanish at the largest speed R.*use R = 7.[0-9]"),
        (lambda: run(jk.RadialDensity(jnp.ones(20_000), jk.RadialGrid(8.0, 20_000))), "collision tensor of 20000 nodes takes"),
        (lambda: B.self_similar_profile(B.HardSphere(), 0.9), r"`annihilation` must be in \[0, 0.8\], but is 0.9; at larger"),
        (lambda: B.self_similar_profile(Capped(), 0.1), "`cross_section` must be proportional to a power of r"),
        (lambda: B.self_similar_profile("hard", 0.1), "`cross_section` must be a cross section, but is 'hard'"),
        (lambda: B.exact.hierarchy_masses(1.0, 0, 9, 9.0, 0.5), "`order` must be"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
    # A narrow shell spreads beyond R, and is not resolved.
    shell = jk.initial.radial(jk.initial.rosenbluth, 2.9, 24, 3, sharpness=60.0)
    with pytest.warns(UserWarning, match=r"above 9/10 of the largest speed R.*use R = 8") as warned:
        jk.simulate(system, shell, dt=0.05, num_steps=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(good)
    assert len(warned) >= 1
    mass = jax.jit(lambda alpha: run(good, B.IsotropicPDE(B.HardSphere(), alpha)).final.mass)(0.5)
    assert 0.98 < float(mass) < 0.99
