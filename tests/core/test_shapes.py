"""Every function of the library that no other cheap test calls, on small arrays, traced and hardly ever compiled: here the
annotations are checked while the functions run (`pytest -m shapes --jaxtyping-packages=...`, as `.ci/run` does)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE, carrillo, normal_particles, torus_cosine, torus_grid
from registry import Anisotropic, Yukawa

import jaxkinetic as jk

pytestmark = pytest.mark.shapes
KEY = jax.random.key(0)
D, L, V = jk.diagnostics, jk.landau, jk.vlasov
WORDS = jnp.zeros(2, jnp.uint32)


def traced(function, *arguments):
    """The result of `function` as shapes and dtypes."""
    return eqx.filter_eval_shape(function, *arguments)


def shape_of(function, *arguments) -> tuple[int, ...]:
    return traced(function, *arguments).shape


# ---- Landau and Boltzmann ------------------------------------------------------------------------------------------------

INTERACTIONS = [L.Maxwell(0.8), L.PowerLaw(-2), Yukawa(0.9, 1.3), Anisotropic(0.2), carrillo(), torus_cosine()]


@pytest.mark.parametrize("interaction", INTERACTIONS, ids=lambda x: type(x).__name__)
def test_interactions(interaction):
    """Catches a matrix, a vector or a sum over partners of another shape than its docstring says."""
    dim = interaction.dim if isinstance(interaction, L.Trigonometric) else 2
    state = normal_particles(5, dim)
    for batch in ((), (3,), (2, 3)):
        z = jnp.ones((*batch, dim))
        components = tuple(jnp.moveaxis(z, -1, 0))
        assert shape_of(interaction.a, z) == shape_of(interaction.sigma, z) == (*batch, dim, dim)
        assert shape_of(interaction.b, z) == (*batch, dim)
        assert {c.shape for row in traced(interaction.a_components, components) for c in row} == {batch}
        assert {c.shape for c in traced(interaction.b_components, components)} == {batch}
        assert {c.shape for c in traced(interaction.sigma_components, components, components)} == {batch}
    for form in interaction.sum_forms:
        sum_b, sum_a = traced(lambda form=form: interaction.sums(state, form))
        assert sum_b.shape == shape_of(lambda form=form: interaction.sum_b(state, form)) == (5, dim)
        assert sum_a.shape == shape_of(lambda form=form: interaction.sum_a(state, form)) == (5, dim, dim)
    if isinstance(interaction, L.Maxwell | L.PowerLaw):
        assert shape_of(interaction.largest_psi, jnp.asarray(0.1), jnp.asarray(2.0)) == ()
    for system in (L.Kac(interaction), L.IndependentNoise(interaction), L.MatrixSqrt(interaction)):
        assert traced(lambda s=system: s.drift(0.0, state)).velocity.shape == (5, dim)
        assert traced(lambda s=system: s.noise(WORDS, 0.0, 0.01, state)).velocity.shape == (5, dim)


@pytest.mark.parametrize(
    "system",
    [
        L.Kac(L.PowerLaw(-2)),
        L.MatrixSqrt(L.PowerLaw(-2)),
        L.Microcanonical(L.PowerLaw(-3), "heat_kernel", 0.02),
        L.Microcanonical(L.Maxwell(), "fixed_angle", 0.3),
        jk.boltzmann.KacWalk(jk.boltzmann.VariableHardSphere(0.4), 3, 0.1),
    ],
    ids=lambda x: type(x).__name__,
)
def test_generators(system):
    """Catches a generator that does not give one number."""
    state = normal_particles(3)
    assert shape_of(system.generator(D.moment), state) == ()
    if isinstance(system, jk.AbstractPairJump):
        pair = tuple(state.velocity[:2].T)
        assert shape_of(system.rate, pair, pair) == (2,)
        assert shape_of(lambda: system.rate_bound(system.envelope(state))) == ()
    if isinstance(system, jk.boltzmann.KacWalk):
        assert jk.boltzmann.exact.pressure_rate(system.cross_section, 3, state).shape == (3, 3)


class Still(L.Kac):
    """A user's system that takes the drift away: drift and noise are then computed one after the other."""

    def drift(self, t, state):
        return jax.tree.map(jnp.zeros_like, super().drift(t, state))


def test_system_with_a_drift_of_its_own():
    """Catches a drift or a noise of another shape than the velocities."""
    state, zero = normal_particles(4), jnp.asarray(0.0)
    for change in traced(lambda: Still(L.Maxwell()).drift_and_noise(WORDS, zero, jnp.asarray(0.01), state)):
        assert change.velocity.shape == (4, 3)


def test_generator_of_a_split_system():
    """Catches a generator that does not give one number."""
    state = jk.Particles(jnp.ones((3, 1)), jnp.ones((3, 1)))
    assert shape_of(V.NBody(V.Gaussian()).generator(V.kinetic_energy), state) == ()


def test_spherical_heat():
    """Catches results that do not have the shape to which the arguments broadcast."""
    for dim in (2, 3, 4):
        u, tau = jnp.full((3, 1), 0.5), jnp.full(4, 0.1)
        assert shape_of(lambda u, tau, d=dim: jk.pairs.spherical_heat_quantile(u, tau, d), u, tau) == (3, 4)
        assert shape_of(lambda u, tau, d=dim: jk.pairs.spherical_heat_cdf(u, tau, d), u, tau) == (3, 4)
        assert shape_of(lambda tau, d=dim: jk.pairs.spherical_heat_kernel(KEY, tau, d), tau) == (4,)


def test_exact_laws():
    """Numbers for numbers, arrays for arrays. Catches a result that loses the shape of the times."""
    t = np.linspace(0, 1, 4)
    X, torus, mode, covariance = L.exact, carrillo(), [1, 0], np.diag([1.0, 2.0])
    for law in (
        lambda t: X.bkw_density(1.0, t, 3, 0.4),
        lambda t: X.bkw_entropy(t, 3, 0.4),
        lambda t: X.torus_mode_amplitude(t, torus, mode, 0.5),
        lambda t: X.torus_mode_entropy(t, torus, mode, 0.5),
        lambda t: X.torus_mode_fisher_information(t, torus, mode, 0.5),
        lambda t: X.maxwellian_entropy(3, 1 + t),
        lambda t: jk.boltzmann.exact.bkw_entropy(t, 3, 0.4, 0.1),
        lambda t: jk.boltzmann.exact.hard_sphere_temperature(t, 3, 0.1),
        lambda t: jk.boltzmann.exact.death_moments(t, 9, 3.0, 0.2)[1],
    ):
        assert np.shape(law(t)) == (4,)
        assert np.shape(law(0.5)) == ()
    assert X.torus_mode_rate(torus, mode) > 0
    assert X.torus_mode_amplitude_euler(3, 0.01, torus, mode, 0.5).shape == (4,)
    assert X.torus_mode_density(np.zeros((5, 2)), 0.1, torus, mode, 0.5).shape == (5,)
    start = X.quartic_start(covariance, 8)
    assert X.kac_quartic(0.1, start, 8, 2).shape == X.kac_quartic_euler(3, 0.01, start, 8, 2).shape == (3,)
    for moments in (X.second_moments(0.1, covariance, 0 * covariance, 8), X.second_moments_euler(
        3, 0.01, covariance, 0 * covariance, 8
    )):  # fmt: skip
        assert [x.shape for x in moments] == [(2, 2)] * 2
    assert traced(lambda: X.ornstein_uhlenbeck(KEY, normal_particles(5), 0.1)).velocity.shape == (5, 3)


# ---- initial laws, observables, fits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        lambda: jk.initial.maxwellian(KEY, 6, 2, temperature=2, mean=np.ones(2)),
        lambda: jk.initial.bimaxwellian(KEY, 6, 2, perpendicular=1.5, parallel=0.3, dtype=jnp.float32),
        lambda: jk.initial.bkw(KEY, 6, 2),
        lambda: jk.initial.rosenbluth(KEY, 6, 2),
        lambda: jk.initial.torus_mode(KEY, 6, [1, 0], 0.5),
    ],
)
def test_initial_laws(start):
    """Catches velocities of another shape than (N, d)."""
    assert traced(start).velocity.shape == (6, 2)


def test_diagnostics():
    """Catches a diagnostic of another shape than its docstring says."""
    state, edges = normal_particles(8, 2), jnp.linspace(0.0, 4.0, 6)
    one = jk.Particles(state.velocity[:, :1])

    def cdf(x):
        return x / 4

    scalars = [
        lambda: D.knn_entropy(state, k=2),
        lambda: D.kde_entropy(state, bandwidth=1),
        lambda: D.grid_entropy(state, bins=4),
        lambda: D.fisher_information(state),
        lambda: D.relative_entropy(state, lambda v: -jnp.sum(v**2, 1)),
        lambda: D.wasserstein(state, state),
        lambda: D.wasserstein(one, lambda u: 2 * u - 1, order=1),
        lambda: D.sliced_wasserstein(state, state, num_directions=3),
        lambda: D.marginal_l1(state, cdf, edges=edges),
        lambda: D.marginal_l1_floor(cdf, 8, edges=edges),
        lambda: D.mode(state, wavevector=[1.0, 0.0]),
        lambda: D.rescaled_f1(state, volume=8, of=D.speed),
        lambda: D.rescaled_f2(state, volume=8, of=D.speed),
    ]
    for scalar in scalars:
        assert shape_of(scalar) == ()
    assert shape_of(lambda: D.histogram(state, edges=edges)) == (5,)
    assert shape_of(lambda: D.pair_correlation(state, second_moment=np.eye(2))) == (2, 2)
    assert shape_of(lambda: D.rescaled_f2(state, volume=8, of=lambda s: s.velocity)) == (2, 2)
    assert traced(lambda: D.self_similar(state, volume=8)).xi.shape == (8, 2)
    assert shape_of(lambda: D.self_similar_time(np.arange(4.0), np.ones((2, 4)), np.ones((2, 4)))) == (2, 4)


def test_biases_are_two_numbers():
    """Catches a bias that is an array: the functions that take it ask for one number."""
    for bias in (D.knn_entropy_bias(KEY, 8, 2, replicas=2), D.fisher_information_bias(KEY, 8, 2, replicas=2)):
        assert [type(x) for x in bias] == [float, float]


def test_fits_of_a_series():
    """Catches fits whose parameters are not numbers."""
    t = np.linspace(0, 4, 40)
    runs = np.exp(-t) * (1 + 0.01 * np.sin([[7.0], [8.0], [9.0]] * t))
    fit = jk.fit_decay(t, runs, window=(0, 3))
    assert fit.rate.shape == ()
    assert fit(t).shape == (40,)
    assert 0 <= jk.decay_window(t, runs)[0] < 4
    mode = jk.fit_oscillation(t, np.exp(-0.1 * t) * np.cos(3 * t))
    assert mode.omega.shape == ()
    assert mode(0.5).shape == ()


# ---- Vlasov --------------------------------------------------------------------------------------------------------------

POTENTIALS = {
    "cosine": V.Cosine(0.8),
    "gaussian": V.Gaussian(2, 0.7),
    "poisson": V.Poisson(CIRCLE, 3.0),
    "harmonic": V.Harmonic(1.3),
    "custom": V.Custom(lambda x: jnp.exp(jnp.sum(jnp.cos(x), -1))),
}


@pytest.mark.parametrize("name", POTENTIALS)
def test_potentials(name):
    """Catches a field or a force of another shape than the density or the positions ask for."""
    potential, dim = POTENTIALS[name], 1 if name == "poisson" else 2
    axes = torus_grid(4, 4, 3.0, dim=dim).axes[:dim]
    rho, x = jnp.ones((4,) * dim), jnp.linspace(0.1, 0.9, 3 * dim).reshape(3, dim)
    assert shape_of(potential.gamma, x) == (3,)
    assert shape_of(potential.grad, x) == (3, dim)
    assert shape_of(lambda: potential.bound(dim)) == () if name != "custom" else not potential.regular
    assert shape_of(lambda: potential.convolve(rho, axes)) == (4,) * dim
    assert [e.shape for e in traced(lambda: potential.field(rho, axes))] == [(4,) * dim] * dim
    assert shape_of(lambda: potential.twist((rho,) * dim, axes)) == (4,) * dim
    assert shape_of(lambda: potential.gradient_at(x[:, 0], jnp.ones(4), axes[0])) == (3,)
    if name != "harmonic":
        assert shape_of(lambda: potential.coefficients(axes)) == (4,) * dim
    mask = jnp.ones(3, bool)
    assert shape_of(potential.pair_gradient, x, mask) == (3, dim)
    assert shape_of(potential.pair_sum, x, mask) == ()


def test_observables_and_starts():
    """Catches an observable of another shape than its docstring says."""
    grid, maxwellian = torus_grid(8, 8, 4.0), V.Maxwellian(1, CIRCLE)
    density = traced(lambda: V.perturbed(V.TwoStream(2.0, 0.3, CIRCLE), grid, 0.1))
    wave = traced(lambda: V.PerturbedAmplitude(maxwellian, 0.1, 0.3).wave(grid))
    particles = traced(lambda: V.random_start(KEY, V.TwoStream(2.0, 0.3, CIRCLE), 6, 0.1))
    assert traced(lambda: V.quiet_start(maxwellian, 6, 0.1)).position.shape == particles.position.shape == (6, 1)
    potential = V.Cosine()
    for state in (density, wave, particles):
        assert shape_of(V.magnetisation, state) == shape_of(V.energy, state, potential) == ()
        assert shape_of(V.momentum, state) == (1,)
    for state in (density, wave):
        assert shape_of(V.density, state) == (8,)
        assert shape_of(V.density_mode, state) == shape_of(lambda s: s.mass, state) == ()
        assert shape_of(V.casimir, state, jnp.square) == ()
    assert shape_of(V.hamiltonian, wave, potential) == ()
    assert shape_of(V.phase_space_density, wave) == (8, 8)
    assert shape_of(jk.spectral.tail, density.f, 0) == ()
    for system in (V.HamiltonVlasov(potential), V.HamiltonHartree(potential)):
        for flow in system.flows:
            moved = traced(lambda w, flow=flow: flow(jnp.asarray(0.1), jnp.asarray(0.0), w), wave)
            assert moved.alpha.shape == (8, 8)
    for flow in V.Vlasov(potential).flows:
        assert traced(lambda f, flow=flow: flow(jnp.asarray(0.1), jnp.asarray(0.0), f), density).f.shape == (8, 8)
    two = traced(lambda w: V.product_wave(w, 2), wave)
    assert shape_of(V.first_marginal, two) == (8, 8)
    for flow in V.PseudoSchrodinger(potential, 2).flows:
        assert traced(lambda w, flow=flow: flow(jnp.asarray(0.1), jnp.asarray(0.0), w), two).alpha.shape == (8,) * 4
    assert shape_of(V.counting_functional, two, wave, 0.5) == ()
    assert traced(V.counting, two, wave).overlaps.shape == (3,)


def test_amplitudes_and_characteristics():
    """Catches points that come back in another shape than they were given in."""
    grid, potential = torus_grid(8, 8, 6.0), V.Cosine()
    gaussian = V.GaussianAmplitude(np.eye(2), np.zeros((2, 2)))
    assert [z.shape for z in traced(lambda: gaussian.sample(KEY, 5, jnp.float32))] == [(5,)] * 2
    assert shape_of(gaussian, jnp.ones((2, 3)), jnp.ones((2, 3))) == (2, 3)
    amplitude = V.PerturbedAmplitude(V.Maxwellian(1, CIRCLE), 0.1, 0.3)
    points = jnp.ones((4, 3))

    def counted(twist):
        amplitude = V.PerturbedAmplitude(V.Maxwellian(1, CIRCLE), 0.1, twist)
        flow = V.mean_field_flow(potential, amplitude, grid, dt=0.1, num_steps=2)
        count = V.sampled_counting(KEY, flow, 2, samples=2, swaps=2)
        return flow.backward(points[:, 0], points[:, 1]), count, count.distribution, count.distribution_stderr

    ends, count, distribution, error = traced(counted, jnp.asarray(0.3))
    assert [z.shape for z in ends] == [(4,)] * 3
    assert distribution.shape == error.shape == (3,)
    for number in (lambda c: c.outside_stderr, lambda c: c.bounds(0.5)[1], lambda c: c.functional(0.5),
                   lambda c: c.functional_stderr(0.5)):  # fmt: skip
        assert shape_of(number, count) == ()
    log = traced(lambda x: V.hamilton_liouville(potential, amplitude, x, x, dt=0.1, num_steps=2), points)
    assert log.shape == (4,)
    assert V.exact.harmonic_overlap(2, 1.0, [[1.0, 0.0], [0.0, 0.5]]) < 1
    for exact in (
        V.exact.free_streaming(lambda x, v: x[0] * v[0], 1),
        V.exact.harmonic(lambda x, v: x[0], 1, 2, (0,), (0,)),
    ):
        assert shape_of(exact, (points,), (points,)) == (4, 3)
    root = traced(lambda k: V.dispersion_root(V.Poisson(CIRCLE), V.Maxwellian(1, CIRCLE), k), jnp.asarray(0.5))
    assert root.shape == ()


# ---- runs ----------------------------------------------------------------------------------------------------------------


def test_ensemble():
    """Catches a reduction that loses the shape of what is observed, and an observable that is given another context."""

    def context(ctx):
        return ctx.t + jax.random.normal(ctx.key) + 0 * ctx.step.astype(ctx.t.dtype)

    save = jk.Save(every=1, observe={"stress": D.stress, "context": jk.Contextual(context)})

    def moments(strength):
        return jk.ensemble(
            L.Kac(L.Maxwell(strength)), lambda key: jk.initial.maxwellian(key, 4, 2), key=KEY, replicas=3, batch=2, dt=0.01,
            num_steps=2, save=save, reduce=jk.MeanVar(), throw=False,
        ).observed  # fmt: skip

    observed = traced(moments, jnp.asarray(1.0))
    assert observed["stress"].var.shape == (3, 2, 2)
    assert observed["context"].mean.shape == (3,)


def test_chunks():
    """Catches a chunk whose times are no vector."""
    chunks = jk.iterate(L.Kac(L.Maxwell()), normal_particles(3), chunk=1, num_steps=2, key=KEY, dt=0.01)
    assert [chunk.times.shape for chunk in chunks] == [(1,), (1,)]


def test_random_choice():
    """Catches a choice that does not broadcast."""
    words = jnp.zeros((3, 1), jnp.uint32)
    assert shape_of(jk.random.bernoulli, words, jnp.full((1, 4), 0.5)) == (3, 4)
