"""The dual equation on the torus, its cumulants, the kernel V_f, and the identity of the weak error of Feng and Wang."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

L = jk.landau
NOISES = ("kac", "independent")
# Two modes, so that a factor that is right for one of them only is seen.
WAVES = L.Trigonometric([[0], [1], [2]], [1.0, 0.4, 0.2])
CONSTANT, COSINES = 1.0, {1: 0.4, 2: 0.2}


def axis(num):
    return jk.Grid(jk.Axis(0.0, 2 * np.pi, num))


def law(num):
    """A density of mass 1 without a symmetry."""
    (v,) = axis(num).mesh
    return jk.Density((1 + 0.5 * jnp.cos(v) + 0.2 * jnp.sin(2 * v)) / (2 * np.pi), axis(num))


def test_function(num):
    """A function of either sign."""
    (v,) = axis(num).mesh
    return jk.Density(0.3 + jnp.cos(v) + 0.5 * jnp.sin(2 * v), axis(num))


test_function.__test__ = False


def random_function(num_particles, num, seed=0, *, symmetric):
    """Values on the grid of N particles, not resolved."""
    values = np.random.default_rng(seed).normal(size=(num,) * num_particles)
    if symmetric:
        values = sum(np.transpose(values, order) for order in itertools.permutations(range(num_particles)))
    return jk.Density(jnp.asarray(values), jk.Grid(*axis(num).axes * num_particles))


def power(values, k):
    """values(v_1) ... values(v_k)."""
    out = np.ones(())
    for _ in range(k):
        out = np.multiply.outer(out, values)
    return out


def boole(values, step):
    """The integral over a number of intervals that is a multiple of 4, with an error of order step^6."""
    weights = np.zeros(len(values))
    for first in range(0, len(values) - 1, 4):
        weights[first : first + 5] += np.array([7, 32, 12, 32, 7]) * 2 / 45
    return step * float(weights @ np.asarray(values))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("count", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_weak_error_identity(count, noise):
    """int (f^k - F_{N,k}) phi^k = int_0^T [(N - 1) int V_f f f C_{N,2} + int V_f(v, v) f C_{N,1}] dt to 1e-10, for every k; the
    two sides come from other equations. Catches N for N - 1 (off by 50 %), the diagonal of the kernel with a(0) = 1.6, the
    kernel of the other noise, f at the remaining time."""
    num, time, steps = (12 if count == 4 else 20), 0.3, 100
    f, phi, dual_system = law(num), test_function(num), L.BackwardKolmogorov(WAVES, count, noise)
    options = {"dt": time / steps, "num_steps": steps, "scheme": jk.RungeKutta(4)}
    save = jk.Save(every=1, state=True)
    forward = jk.simulate(L.TorusPDE(WAVES), f, save=save, **options)
    particles = jk.simulate(L.Liouville(WAVES, count, noise), jk.product(f, count), **options).final

    @jax.jit
    def rates(densities, duals):
        def rate(pair):
            state = jk.Density(pair[1], particles.grid)
            return L.weak_error_rate(state, jk.Density(pair[0], f.grid), dual_system)

        return jax.lax.map(rate, (densities, duals))

    for k in range(1, count + 1):
        dual = jk.simulate(dual_system, L.symmetrized_power(phi, count, k), save=save, **options)
        marginal = jk.marginal(particles, k)
        error = (power(forward.final.f, k) - np.asarray(marginal.f)) * power(phi.f, k)
        error = error.sum() * float(marginal.grid.cell)
        assert abs(error) > 5e-3
        got = boole(rates(forward.states.f, dual.states.f[::-1]), time / steps)
        np.testing.assert_allclose(got, error, atol=1e-10)


@pytest.mark.parametrize("noise", NOISES)
def test_backward_equation_is_the_adjoint(noise):
    """<F, L Phi> = <L' F, Phi> to round-off for any F and Phi on the grid; along both equations int F(t) Phi(T - t) is kept, so
    that E phi(V_T) comes from both; constants are kept, and |Phi| <= max |phi|. Catches Liouville for BackwardKolmogorov with
    independent noise, the drift of the wrong sign, a check that refuses negative data."""
    dual, system = L.BackwardKolmogorov(WAVES, 3, noise), L.Liouville(WAVES, 3, noise)
    one, other = (random_function(3, 8, seed, symmetric=False) for seed in (1, 2))
    left = jnp.sum(one.f * dual.vector_field(0.0, other).f)
    right = jnp.sum(system.vector_field(0.0, one).f * other.f)
    np.testing.assert_allclose(left, right, rtol=1e-12)
    start, phi = jk.product(law(16), 3), L.symmetrized_power(test_function(16), 3, 2)
    flat = jk.Density(jnp.full_like(phi.f, 3.0), phi.grid)
    assert float(jnp.abs(dual.vector_field(0.0, flat).f).max()) < 1e-12
    laws, duals = (jk.simulate(s, x, dt=0.01, num_steps=10) for s, x in ((system, start), (dual, phi)))
    pairings = [float(jnp.sum(F.f * G.f) * start.grid.cell) for F, G in ((start, duals.final), (laws.final, phi))]
    np.testing.assert_allclose(*pairings, rtol=1e-12)
    assert float(jnp.abs(duals.final.f).max()) < float(jnp.abs(phi.f).max())
    assert float(duals.final.f.min()) < 0
    assert set(duals.stats) >= {"spectral_tail"}
    assert "negative_mass" not in duals.stats


@pytest.mark.parametrize("noise", NOISES)
def test_kernel(noise):
    """V_f is the formula of the source with derivatives by hand (a, b, c and f are trigonometric polynomials; for independent
    noise derived from (2.1) of Carrillo, Guo and Jabin). Its integrals against f vanish to 1e-13, also for an f that the grid
    does not resolve. Q(f, f) is that of TorusPDE. Catches b of the wrong sign, a missing convolution with c."""
    system, f, num = L.Liouville(WAVES, 3, noise), law(20), 20
    v = 2 * np.pi * np.arange(num) / num
    z, values = v[:, None] - v[None, :], np.asarray(f.f)
    a = CONSTANT + sum(c * np.cos(m * z) for m, c in COSINES.items())
    b = -sum(m * c * np.sin(m * z) for m, c in COSINES.items())
    c = -sum(m**2 * c * np.cos(m * z) for m, c in COSINES.items())
    slope, curvature = (
        (-0.5 * np.sin(v) + 0.4 * np.cos(2 * v)) / 2 / np.pi,
        (-0.5 * np.cos(v) - 0.8 * np.sin(2 * v)) / 2 / np.pi,
    )
    log, second = slope / values, curvature / values
    diagonal = (a @ values * second - c @ values) * 2 * np.pi / num
    if noise == "kac":
        pair = -a * (second[:, None] - np.outer(log, log)) - b * (log[:, None] - log[None, :])
    else:
        # D_v(a f' - b f) = a f'' - c f.
        pair = -a * second[:, None] + c
    np.testing.assert_allclose(L.weak_error_kernel(system, f), pair + diagonal[:, None], atol=1e-12)
    np.testing.assert_allclose(L.weak_error_diagonal(system, f), diagonal, atol=1e-12)
    field = L.TorusPDE(WAVES).vector_field(0.0, f).f
    np.testing.assert_allclose(L.weak_error_diagonal(system, f) * f.f, field, atol=1e-14)
    rough = np.random.default_rng(3).uniform(0.5, 1.5, num)
    rough = jk.Density(jnp.asarray(rough / rough.mean() / (2 * np.pi)), f.grid)
    for density in (f, rough):
        kernel, weights = np.asarray(L.weak_error_kernel(system, density)), np.asarray(density.f) * 2 * np.pi / num
        size = np.abs(kernel).max()
        np.testing.assert_allclose(kernel @ weights, 0, atol=1e-13 * size)
        np.testing.assert_allclose(weights @ kernel, 0, atol=1e-13 * size)
        assert abs(weights @ np.asarray(L.weak_error_diagonal(system, density))) < 1e-13 * size


@pytest.mark.parametrize("count", [2, 3, 4])
def test_cumulants(count):
    """C_{N,n} is the alternating sum of the weighted marginals over subsets; its means against f vanish; the sum over subsets
    gives Phi_N back; Parseval (Lemma 3.4): all to 1e-13 for any symmetric Phi_N. Catches a wrong sign of the series, weights
    without the spacing."""
    num, f = 6, law(6)
    state, weights = random_function(count, num, symmetric=True), np.asarray(law(6).f) * 2 * np.pi / num
    marginals = [np.asarray(state.f)]
    for _ in range(count):
        marginals.insert(0, marginals[0] @ weights)
    cumulants = [np.asarray(L.cumulant(state, f, n)) for n in range(count + 1)]

    def on_axes(values, axes, total):
        return values.reshape([num if i in axes else 1 for i in range(total)])

    for n in range(count + 1):
        np.testing.assert_allclose(L.weighted_marginal(state, f, n), marginals[n], atol=1e-13)
        series, inverse = np.zeros((num,) * n), np.zeros((num,) * n)
        for m in range(n + 1):
            for axes in itertools.combinations(range(n), m):
                series = series + (-1) ** (n - m) * on_axes(marginals[m], axes, n)
                inverse = inverse + on_axes(cumulants[m], axes, n)
        np.testing.assert_allclose(cumulants[n], series, atol=1e-13)
        np.testing.assert_allclose(inverse, marginals[n], atol=1e-13)
        for i in range(n):
            np.testing.assert_allclose(np.tensordot(cumulants[n], weights, (i, 0)), 0, atol=1e-13)
    norms = [(c**2 * power(weights, n)).sum() for n, c in enumerate(cumulants)]
    whole = (np.asarray(state.f) ** 2 * power(weights, count)).sum()
    np.testing.assert_allclose(sum(math.comb(count, n) * x for n, x in enumerate(norms)), whole, rtol=1e-13)


def slope(values, i):
    """The spectral derivative along axis i."""
    wave = np.fft.fftfreq(values.shape[i], 1 / values.shape[i])
    wave[values.shape[i] // 2] = 0
    wave = wave.reshape([-1 if j == i else 1 for j in range(values.ndim)])
    return np.fft.ifft(1j * wave * np.fft.fft(values, axis=i), axis=i).real


def test_hierarchy_of_the_weighted_marginals():
    """d/dt M_{3,n}, n = 0, 1, 2, along the backward equation for Phi and Landau's equation for f is the right-hand side of
    [FengWang2025, Lemma 3.6], to round-off, with its second sum to n. Catches a factor in the hierarchy, and the sum to N."""
    count, num = 3, 12
    f, state, system = law(num), random_function(count, num, symmetric=True), L.BackwardKolmogorov(WAVES, count, "kac")
    field, phi_slope = L.TorusPDE(WAVES).vector_field(0.0, f).f, -system.vector_field(0.0, state).f
    v, weights = 2 * np.pi * np.arange(num) / num, np.asarray(f.f) * 2 * np.pi / num
    z = v[:, None] - v[None, :]
    a = CONSTANT + sum(c * np.cos(m * z) for m, c in COSINES.items())

    def pair_operator(values, i, j):
        """(D_i - D_j)(a (D_i - D_j) values)."""
        flux = a.reshape([num if k in (i, j) else 1 for k in range(values.ndim)]) * (
            slope(values, i) - slope(values, j)
        )
        return slope(flux, i) - slope(flux, j)

    kernel, diagonal = np.asarray(L.weak_error_kernel(system, f)), np.asarray(L.weak_error_diagonal(system, f))
    marginals = [np.asarray(L.weighted_marginal(state, f, n)) for n in range(count + 1)]
    for n in range(count):

        def marginal(phi, density, n=n):
            return L.weighted_marginal(jk.Density(phi, state.grid), jk.Density(density, f.grid), n)

        _, rate = jax.jvp(marginal, (state.f, f.f), (phi_slope, field))
        want = (
            -sum((pair_operator(marginals[n], i, j) for i, j in itertools.combinations(range(n), 2)), np.zeros(()))
            / count
        )
        for i in range(n):
            want = want - (count - n) / count * pair_operator(marginals[n + 1], i, n) @ weights
        if n + 2 <= count:
            both = kernel * np.outer(weights, weights)
            want = want + (count - n) * (count - n - 1) / count * np.tensordot(marginals[n + 2], both, 2)
        want = want + (n + 1) * (count - n) / count * marginals[n + 1] @ (diagonal * weights)
        np.testing.assert_allclose(rate, want, atol=1e-11 * max(1, np.abs(want).max()))


def test_symmetrized_power():
    """The mean over subsets of k particles of phi(v_i1) ... phi(v_ik). Catches subsets with repetition, and a missing binomial
    coefficient."""
    phi = test_function(6)
    for count, k in ((1, 1), (3, 1), (3, 2), (4, 3), (3, 3)):
        factors = [np.asarray(phi.f).reshape([-1 if i == j else 1 for j in range(count)]) for i in range(count)]
        subsets = list(itertools.combinations(range(count), k))
        want = sum(math.prod(factors[i] for i in subset) for subset in subsets) / len(subsets)
        got = L.symmetrized_power(phi, count, k)
        np.testing.assert_allclose(got.f, np.broadcast_to(want, (6,) * count), atol=1e-15)
        assert got.grid.shape == (6,) * count


def weak_error_at_end(coefficient):
    """The rate at s = .1, through a run; f depends on the coefficient as well."""
    interaction = L.Trigonometric([[0], [1]], jnp.stack([jnp.ones_like(coefficient), coefficient]))
    system, options = (
        L.BackwardKolmogorov(interaction, 2, "kac"),
        {"dt": 0.02, "num_steps": 5, "scheme": jk.RungeKutta(2)},
    )
    f = jk.simulate(L.TorusPDE(interaction), law(10), **options).final
    observe = jax.tree_util.Partial(L.weak_error_rate, density=f, system=system)
    save = jk.Save(steps=(5,), observe={"rate": observe})
    dual = jk.simulate(system, L.symmetrized_power(test_function(10), 2, 2), save=save, **options)
    return dual.observed["rate"][0]


def test_observables_and_gradients():
    """Cumulants and rates as observables of a run are those of its states; the gradient in a coefficient of the interaction,
    through both runs, is the difference to 1e-6; in float32 all keep the dtype. Catches constants in double precision, and a
    coefficient that is not differentiated."""
    f, phi, system = law(10), L.symmetrized_power(test_function(10), 2, 1), L.BackwardKolmogorov(WAVES, 2)
    for dtype in ("float64", "float32"):
        f, phi, cast = jax.tree.map(lambda x: x.astype(dtype), (f, phi, system))  # noqa: B023
        observe = {
            "C": jax.tree_util.Partial(L.cumulant, density=f, n=2),
            "M": jax.tree_util.Partial(L.weighted_marginal, density=f, n=0),
            "S": jax.tree_util.Partial(L.weak_error_rate, density=f, system=cast),
        }
        done = jk.simulate(
            cast, phi, dt=0.02, num_steps=4, scheme=jk.RungeKutta(2), save=jk.Save(every=4, observe=observe)
        )
        assert {name: values.shape for name, values in done.observed.items()} == {
            "C": (2, 10, 10),
            "M": (2,),
            "S": (2,),
        }
        assert all(values.dtype == dtype for values in done.observed.values())
        tolerance = 1e-13 if dtype == "float64" else 1e-5
        np.testing.assert_allclose(done.observed["C"][1], L.cumulant(done.final, f, 2), atol=tolerance)
        np.testing.assert_allclose(done.observed["S"][1], L.weak_error_rate(done.final, f, cast), atol=tolerance)
    at, small = jnp.asarray(0.5), 1e-5
    # One program for the values and the gradient.
    run = jax.jit(jax.value_and_grad(weak_error_at_end))
    difference = float(run(at + small)[0] - run(at - small)[0]) / (2 * small)
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(run(at)[1], difference, rtol=1e-6)
    for function in (lambda f: L.cumulant(done.final, f, 1), lambda f: L.weak_error_rate(done.final, f, cast)):
        heavy = jax.jit(lambda values, g=function: g(jk.Density(values, f.grid)))(jnp.ones(10, "float32"))
        assert np.isnan(heavy).all(), "a traced f of another mass"


def test_errors():
    """Catches raw errors for what does not fit."""
    f, phi = law(8), L.symmetrized_power(test_function(8), 2, 1)
    heavy, system = jk.Density(2 * f.f, f.grid), L.Liouville(WAVES, 2, "kac")
    shifted = jk.Density(f.f, jk.Grid(jk.Axis(1.0, 2 * np.pi, 8)))
    sharp = L.Liouville(L.Trigonometric([[0], [5]], [1.0, 0.5]), 2)
    negative = jk.Density(f.f.at[2].add(-0.2).at[3].add(0.2), f.grid)
    infinite = jk.Density(phi.f.at[0, 0].set(jnp.nan), phi.grid)
    backward = L.BackwardKolmogorov(WAVES, 2)
    for call, sentence in (
        (lambda: L.cumulant(phi, f, 3), "`n` must be at most 2, the number of particles, but is 3"),
        (lambda: L.weighted_marginal(phi, f, -1), "`n` must be at least 0, but is -1"),
        (lambda: L.cumulant(f.f, f, 1), "`state` must be a Density, but is an array"),
        (lambda: L.cumulant(phi, phi, 1), "`density` must be a Density on one axis, but has 2"),
        (lambda: L.cumulant(phi, law(10), 1), "must be on the axis of every particle, but has 10 points for a state of 8 x 8"),
        (lambda: L.cumulant(phi, shifted, 1), "be on the axis of every particle, but its axis has the start 1; evaluate"),
        (lambda: L.cumulant(phi, heavy, 1), "`density` must have the mass 1, but has 2; divide f by `density.mass`"),
        (lambda: L.weak_error_kernel(WAVES, f), "`system` must be a Liouville or a BackwardKolmogorov, but is Trigonometric"),
        (lambda: L.weak_error_kernel(sharp, f), "`density.grid` must have more than 10 points an axis"),
        (lambda: L.weak_error_kernel(system, negative), "`density.f` must be positive"),
        (lambda: L.weak_error_rate(phi, f, L.Liouville(WAVES, 3)), "`state.grid` must have 3 periodic axes.* but has 2"),
        (lambda: L.symmetrized_power(f, 2, 3), "`k` must be at most 2, the number of particles, but is 3"),
        (lambda: L.symmetrized_power(f, 2, 0), "`k` must be at least 1, but is 0"),
        (lambda: L.symmetrized_power(phi, 2, 1), "`phi` must be a Density on one axis, but has 2"),
        (lambda: L.symmetrized_power(f, 14, 1), r"`num_particles` must fit into memory, but a function on 8\^14 points takes"),
        (lambda: L.symmetrized_power(jk.Density(f.f * jnp.nan, f.grid), 2, 1), "`phi.f` must hold finite numbers"),
        (lambda: backward.limit(), "`system` must be a particle system whose limit equation is known, but is the dual"),
        (lambda: jk.simulate(backward, infinite, dt=0.1, num_steps=1), "`state.f` must hold finite numbers"),
        (lambda: jk.simulate(backward, f, dt=0.1, num_steps=1), "must have 2 periodic axes.*but has 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
