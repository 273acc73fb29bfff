"""Vlasov's equation and its two Hamiltonian forms: against exact solutions, each other, and the dispersion relation."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE, VLASOV_SYSTEMS as SYSTEMS, box_grid, phase_space_density, slow_but, torus_grid

import jaxkinetic as jk

V, exact = jk.vlasov, jk.vlasov.exact


def grid(num_x=32, num_v=64, length=CIRCLE, reach=6.0, dim=1):
    return torus_grid(num_x, num_v, reach, length, dim)


def maxwellian(v, temperature=1.0):
    square = sum(c * c for c in v)
    return jnp.exp(-square / (2 * temperature)) / (2 * math.pi * temperature) ** (len(v) / 2)


def perturbed(g, amplitude=0.3, temperature=1.0):
    """(1 + A cos(k x_1)) M(v), mass 1."""
    d = g.half
    mesh = g.mesh
    length = g.axes[0].length
    volume = math.prod(float(a.length) for a in g.axes[:d])
    return (1 + amplitude * jnp.cos(2 * math.pi / length * mesh[0])) * maxwellian(mesh[d:], temperature) / volume


def wave(g, amplitude=0.3, twist=0.4):
    """sqrt(f) with a phase that makes K different from 0."""
    d, mesh = g.half, g.mesh
    k = 2 * math.pi / g.axes[0].length
    phase = twist * jnp.sin(k * mesh[0]) * jnp.exp(-(mesh[d] ** 2) / 6)
    root = jnp.sqrt(perturbed(g, amplitude))
    return jk.Wave(jax.lax.complex(root * jnp.cos(phase), root * jnp.sin(phase)), g)


def start(name, g, **options):
    if name == "vlasov":
        return jk.Density(phase_space_density(wave(g, **options)), g)
    out = wave(g, **options)
    return out if name == "velocity" else out.fourier_picture()


def run(name, potential, state, t=1.0, steps=20, order=2, **options):
    return jk.simulate(
        SYSTEMS[name](potential), state, dt=t / steps, num_steps=steps, scheme=jk.Strang(order), **options
    )


def test_pictures_are_isometric_and_inverse():
    """The pictures are isometric and inverse, and hat alpha is the integral: a Gaussian's is known. Catches a phase that
    is lost on boxes off the centre, and a factor of the norm."""
    g = jk.Grid(jk.Axis(0.0, 1.0, 4), jk.Axis(-5.0, 13.0, 96, periodic=False))
    alpha = jnp.exp(-((g.mesh[1] - 1.2) ** 2) / 2)
    w = jk.Wave(alpha, g)
    hat = w.fourier_picture()
    xi = jk.spectral.wavenumbers(g.axes[1])
    known = np.exp(-(np.asarray(xi) ** 2) / 2 - 1.2j * np.asarray(xi))
    inside = np.abs(xi) > 0
    np.testing.assert_allclose(hat.alpha[0][inside], known[inside], atol=1e-7)
    np.testing.assert_allclose(hat.velocity_picture().alpha, np.asarray(alpha) + 0j, atol=1e-14)
    np.testing.assert_allclose(hat.mass, w.mass, rtol=1e-13)


@pytest.mark.parametrize("dim", slow_but((1,), (1, 2)))
def test_three_systems_agree(dim):
    """|alpha|^2 of (HVl) and (HHt) is Vlasov's f, complex initial phases included (K != 0): to 1e-10 on resolved data.
    Catches a mistake of any one of them that the others do not share."""
    g = grid(48, 96, reach=8.0) if dim == 1 else grid(16, 56, reach=8.0, dim=2)
    potential, t = V.Cosine(0.5), 0.5
    densities = {}
    for name in SYSTEMS:
        final = run(name, potential, start(name, g, amplitude=0.1, twist=0.2), t, 10).final
        densities[name] = np.asarray(phase_space_density(final))
    top = densities["vlasov"].max()
    for name in ("velocity", "fourier"):
        error = np.abs(densities[name] - densities["vlasov"]).max() / top
        print(dim, name, error)
        assert error < 1e-10
    assert (
        np.abs(densities["vlasov"] - np.asarray(phase_space_density(start("vlasov", g, amplitude=0.1)))).max()
        > 1e-3 * top
    )


def test_real_amplitudes_stay_real():
    """alpha_0 >= 0: K = 0 and alpha = sqrt(f) at all times. Catches a K that does not vanish for real alpha."""
    g = grid(48, 96, reach=8.0)
    state = jk.Wave(jnp.sqrt(perturbed(g, 0.2)), g)
    final = run("velocity", V.Cosine(), state, 1.0, 40, 4).final.velocity_picture().alpha
    f = run("vlasov", V.Cosine(), jk.Density(perturbed(g, 0.2), g), 1.0, 40, 4).final.f
    assert np.abs(final.imag).max() < 1e-13
    np.testing.assert_allclose(final.real, jnp.sqrt(jnp.maximum(f, 0)), atol=1e-7)
    np.testing.assert_allclose(final.real**2, f, atol=1e-10)


@pytest.mark.parametrize("name", SYSTEMS)
def test_invariants(name):
    """Mass, momentum and the L2 norm (of f; that of alpha is the mass) to round-off over 1000 steps. Catches a shift
    that interpolates, and a force with a mean."""
    g = grid(32, 160, reach=9.0)
    state = start(name, g, amplitude=0.1)
    mesh = g.mesh

    def invariants(state):
        f = phase_space_density(state)
        return jnp.stack([jnp.sum(f), jnp.sum(f * mesh[1]), jnp.sum(f * f)]) * g.cell

    out = run(name, V.Cosine(), state, 10.0, 1000, save=jk.Save(every=100, observe={"i": invariants})).observed["i"]
    drift = np.abs(out - out[:1]).max(axis=0)
    print(name, drift)
    assert drift[0] < 1e-12
    assert drift[1] < 1e-11
    assert name != "vlasov" or drift[2] < 1e-12


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("order", [2, 4])
def test_order_in_dt(name, order):
    """Halving dt from 1/10 to 1/20, the distance to a fine run falls with slope `order`, within .15, on resolved data (the
    slope from 1/5 to 1/10 is printed). Catches a wrong weight of a substep."""
    g = grid(32, 96, reach=8.0)
    state = start(name, g, amplitude=0.1, twist=0.1)

    def at_one(num, order):
        """By chunks of 5 steps: one program for every number of them."""
        scheme = jk.Strang(order)
        run = jk.iterate(SYSTEMS[name](V.Cosine()), state, chunk=5, num_steps=num, dt=1.0 / num, scheme=scheme)
        return phase_space_density(list(run)[-1].final)

    fine = at_one(160, 4)
    errors = [float(jnp.abs(at_one(n, order) - fine).max()) for n in (5, 10, 20)]
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    print(name, order, errors, slopes)
    np.testing.assert_allclose(slopes[-1], order, atol=0.15)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("order", [2, 4])
def test_reverse_steps(name, order):
    """300 steps there and back by `reverse`: to 1e-11 of the largest value. Catches a wrong order of the flows, which is
    off by order dt."""
    g = grid()
    state, system, scheme, dt = start(name, g), SYSTEMS[name](V.Cosine()), jk.Strang(order), jnp.asarray(0.05)
    words = jnp.zeros(2, jnp.uint32)

    @jax.jit
    def there_and_back(state):
        carry, aux = scheme.init(words, system, state, dt)
        plan = scheme.make_plan(system, carry, dt)

        def forth(c, _):
            return scheme.step(words, system, 0.0 * dt, dt, c, aux, plan=plan)[0], None

        def back(c, _):
            return scheme.reverse(words, system, 0.0 * dt, dt, c, aux, plan=plan)[0], None

        far = jax.lax.scan(forth, carry, length=300)[0]
        return scheme.view(far, aux), scheme.view(jax.lax.scan(back, far, length=300)[0], aux)

    far, near = (phase_space_density(s) for s in there_and_back(state))
    first = phase_space_density(state)
    assert np.abs(near - first).max() < 1e-11 * first.max()
    assert np.abs(far - first).max() > 1e-2 * first.max()


@pytest.mark.parametrize(
    ("dim", "blocks"),
    slow_but(
        [(1, False), (1, True), (2, False), (2, True)], [(1, False), (1, True), (2, False), (2, True), (3, False)]
    ),
)
@pytest.mark.parametrize("name", SYSTEMS)
def test_plans_equal_flows(name, dim, blocks, monkeypatch):
    """What a run uses (tables, other layouts, real transforms, blocks below a number of bytes) against `system.flows`,
    which are written as the equations are: to round-off, forwards and backwards, for a field in every direction. Catches
    an axis that is exchanged, and a block that is left out."""
    if blocks:
        monkeypatch.setattr("jaxkinetic._util.fft_blocks.LARGEST_BATCH", 20_000)
    shape = {1: (24, 44), 2: (8, 6, 12, 14), 3: (4, 6, 4, 8, 6, 4)}[dim]
    x = [jk.Axis(0.1 * i, 2 * math.pi, n) for i, n in enumerate(shape[:dim])]
    g = jk.Grid(*x, *[jk.Axis(-3.0 - i, 7.0 + i, n, periodic=False) for i, n in enumerate(shape[dim:])])
    rng = np.random.default_rng(dim)
    f, other = jnp.asarray(rng.random(shape)), jnp.asarray(rng.random(shape))
    state = jk.Density(f, g) if name == "vlasov" else jk.Wave(jax.lax.complex(f, other), g)
    state = state.fourier_picture() if name == "fourier" else state
    system, dt = SYSTEMS[name](V.Gaussian(0.3, 0.8)), jnp.asarray(0.3)
    moves = ((0, 0.7), (0, -0.7), (1, 0.4), (1, -0.4))

    @jax.jit
    def both_ways(state):
        plan = system.make_plan(state, dt, frozenset({(0, 0.7), (1, 0.4)}))
        found = [plan.leave(plan.move(part, share, 0.0 * dt, plan.enter(state))[0]) for part, share in moves]
        return found, [system.flows[part](share * dt, 0.0 * dt, state) for part, share in moves]

    start = jax.tree.leaves(state)[0]
    for found, known in zip(*both_ways(state), strict=True):
        found, known = (jax.tree.leaves(s)[0] for s in (found, known))
        assert np.abs(found - known).max() < 1e-12 * np.abs(known).max()
        assert np.abs(known - start).max() > 1e-3 * np.abs(start).max()


@pytest.mark.parametrize("name", SYSTEMS)
def test_free_streaming_is_exact(name):
    """f(x - t v, v) to 1e-10 in three steps, without a potential. Catches a sign of the shift, and its time."""
    g = grid(64, 64)

    def f(x, v):
        return (1 + 0.5 * jnp.cos(x[0])) * maxwellian(v) / (2 * math.pi)

    data = f(g.mesh[:1], g.mesh[1:])
    state = jk.Density(data, g) if name == "vlasov" else jk.Wave(jnp.sqrt(data), g)
    final = phase_space_density(run(name, V.Cosine(0.0), state, 2.0, 3).final)
    np.testing.assert_allclose(final, exact.free_streaming(f, 2.0)(g.mesh[:1], g.mesh[1:]), atol=1e-10)
    assert np.abs(final - data).max() > 0.01


@pytest.mark.parametrize("name", SYSTEMS)
def test_harmonic_potential(name):
    """A blob rotates about its mean, which moves freely: `Strang(4)` against the exact rotation. Catches a stiffness
    that is 1 % off, 1e-3 away."""
    g = box_grid(96, 96, 9.0, 9.0)

    def blob(x, v):
        return jnp.exp(-((x[0] - 0.5) ** 2) / 1.2 - (v[0] - 0.3) ** 2 / 0.8) / (math.pi * math.sqrt(0.96))

    f = blob(g.mesh[:1], g.mesh[1:])
    state = jk.Density(f, g) if name == "vlasov" else jk.Wave(jnp.sqrt(f), g)
    t, stiffness = 1.0, 1.7
    final = phase_space_density(run(name, V.Harmonic(stiffness), state, t, 80, 4).final)
    known = exact.harmonic(blob, t, stiffness, (0.5,), (0.3,))(g.mesh[:1], g.mesh[1:])
    print(name, np.abs(final - known).max())
    np.testing.assert_allclose(final, known, atol=2e-7)
    wrong = exact.harmonic(blob, t, stiffness * 1.01, (0.5,), (0.3,))(g.mesh[:1], g.mesh[1:])
    assert np.abs(wrong - known).max() > 1e-3


def mode(state):
    rho = jnp.sum(phase_space_density(state), axis=1)
    return jnp.abs(jnp.fft.fft(rho)[1])


ROOTS = {0.3: 1.1598464806 - 0.01262036842j, 0.4: 1.2850569697 - 0.06612795869j, 0.5: 1.4156618886 - 0.15335946691j}


@pytest.mark.parametrize("k", slow_but((0.5,), ROOTS))
def test_landau_damping(k):
    """Vlasov-Poisson, amplitude 1e-6: frequency and rate of the field within .1 % of the root, which is known to 1e-10.
    Catches a wrong plasma frequency or wavenumber."""
    length = 2 * math.pi / k
    g = grid(16, 256, length, 8.0)
    root = V.dispersion_root(V.Poisson(length), V.Maxwellian(1.0, length), k)
    np.testing.assert_allclose(root, ROOTS[k], atol=1e-9)
    horizon = {0.3: 60.0, 0.4: 40.0, 0.5: 25.0}[k]
    steps = int(horizon / 0.05)
    out = run(
        "vlasov", V.Poisson(length), jk.Density(perturbed(g, 1e-6), g), horizon, steps, 4,
        save=jk.Save(every=1, observe={"z": first_mode}),
    )  # fmt: skip
    fit = jk.fit_oscillation(out.times, out.observed["z"] * 1e6, window=(15.0, horizon))
    print(k, fit, fit.growth / root.imag - 1, fit.frequency / root.real - 1)
    np.testing.assert_allclose(fit.growth, root.imag, rtol=1e-3)
    np.testing.assert_allclose(fit.frequency, root.real, rtol=1e-3)


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("case", "expected"),
    slow_but(
        [("hmf .1", 0.5255727568)],
        [("hmf .1", 0.5255727568), ("hmf .2", 0.3749236868), ("2.4", 0.2258442550), ("3", 0.2845096862)],
    ),
)
def test_growth(case, expected):
    """HMF below its threshold, and two streams: growth within .5 % of the root. Catches a wrong strength of the field,
    on which the rate depends."""
    if case.startswith("hmf"):
        t = float(case.split()[1])
        length, potential, k, reach = 2 * math.pi, V.Cosine(), 1.0, 4.0

        def f0(v):
            return jnp.exp(-v * v / (2 * t)) / math.sqrt(2 * math.pi * t)

        scale, window = math.sqrt(t), (6.0, 14.0)
    else:
        v0 = float(case)
        k = 0.2
        length, reach = 2 * math.pi / k, 10.0
        potential = V.Poisson(length)

        def f0(v):
            return (jnp.exp(-((v - v0) ** 2) / 2) + jnp.exp(-((v + v0) ** 2) / 2)) / math.sqrt(8 * math.pi)

        scale, window = 1.0, (30.0, 45.0)
    root = V.dispersion_root(potential, lambda v: f0(v) / length, k, scale=scale)
    np.testing.assert_allclose([root.real, root.imag], [0, expected], atol=1e-9)
    g = grid(16, 256, length, reach)
    f = (1 + 1e-7 * jnp.cos(k * g.mesh[0])) * f0(g.mesh[1]) / length
    out = run(
        "vlasov",
        potential,
        jk.Density(f, g),
        window[1],
        int(window[1] / 0.1),
        2,
        save=jk.Save(every=1, observe={"e": mode}),
    )
    t, e = np.asarray(out.times), np.asarray(out.observed["e"])
    late = t > window[0]
    rate = np.polyfit(t[late], np.log(e[late]), 1)[0]
    print(case, rate / expected - 1)
    np.testing.assert_allclose(rate, expected, rtol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_reversible_gradients(name):
    """`Reversible` gives the gradients of `Direct` over 500 steps with respect to the strength and the initial data: to
    1e-9, with saves on the way; and second derivatives by forward over reverse. Catches a backward pass that visits
    other states, and one that loses what the saves contribute."""
    g = grid(16, 32)
    state = start(name, g)

    def value(adjoint, p, steps):
        first = jax.tree.map(lambda x: x * p[1].astype(x.dtype), jax.tree.leaves(state)[0])
        out = run(
            name, V.Cosine(p[0]), eqx.tree_at(lambda s: jax.tree.leaves(s)[0], state, first), 0.05 * steps, steps,
            adjoint=adjoint, throw=False, save=jk.Save(every=max(1, steps // 4), observe={"m": mode}),
        )  # fmt: skip
        return jnp.sum(out.observed["m"]) + jnp.sum(phase_space_density(out.final) ** 2)

    at = jnp.array([1.1, 1.0])
    gradients = [jax.grad(lambda p, a=a: value(a, p, 500))(at) for a in (jk.Reversible(), jk.Direct())]
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-9)
    assert np.abs(gradients[1]).min() > 1e-3
    if name == "fourier":
        # The flows of a wave, which "velocity" has too.
        return
    seconds = [
        jax.jvp(jax.grad(lambda p, a=a: value(a, p, 20)), (at,), (jnp.ones(2),))[1]
        for a in (jk.Reversible(), jk.Direct())
    ]
    np.testing.assert_allclose(seconds[0], seconds[1], rtol=1e-8)


def test_reversible_gradient_through_an_observable():
    """A gradient through an observable's own parameter, by `Partial`; in a closure it raises, with the way out. Catches
    a gradient that silently misses the closure."""
    g = grid(16, 32)
    state = start("vlasov", g)

    def last(s, adjoint, wrap):
        save = jk.Save(observe={"e": wrap(V.potential_energy, potential=V.Cosine(s))})
        return run("vlasov", V.Cosine(1.0), state, 0.2, 4, adjoint=adjoint, throw=False, save=save).observed["e"][-1]

    partial = jax.tree_util.Partial
    found, known = (jax.grad(last)(1.3, adjoint, partial) for adjoint in (jk.Reversible(), jk.Direct()))
    np.testing.assert_allclose(found, known, rtol=1e-12)
    assert abs(known) > 1e-3
    with pytest.raises(ValueError, match="`save` must not close over differentiated values"):
        jax.grad(last)(1.3, jk.Reversible(), functools.partial)


def test_reversible_raises_without_a_reverse_step():
    """`Reversible` raises in forward mode, and for a scheme without a reverse step. Catches a gradient of 0, or one
    along another path."""
    g = grid(16, 32)
    state = start("vlasov", g)
    with pytest.raises(ValueError, match="`adjoint` must support forward mode, but is Reversible"):
        jax.jvp(
            lambda s: run("vlasov", V.Cosine(s), state, adjoint=jk.Reversible(), throw=False).final.f, (1.0,), (1.0,)
        )
    particles = jk.initial.maxwellian(jax.random.key(0), 8, 3)
    with pytest.raises(ValueError, match="not be Reversible for EulerMaruyama, which has no reverse step"):
        jk.simulate(
            jk.landau.Kac(jk.landau.Maxwell()),
            particles,
            key=jax.random.key(1),
            dt=0.1,
            num_steps=2,
            adjoint=jk.Reversible(),
        )


@pytest.mark.slow
def test_gradient_of_fitted_damping_rate():
    """omega, fitted to the density's mode of a run, with respect to k, through the grid's `length`, and to the
    temperature, by `Reversible`: within .2 % of the implicit function theorem's at the root. Catches a length that is
    not differentiated, which loses a third."""

    def root(p):
        length = 2 * math.pi / p[0]
        return V.dispersion_root(V.Poisson(length), V.Maxwellian(p[1], length), p[0])

    def fitted(p):
        length = 2 * math.pi / p[0]
        g = torus_grid(16, 192, 8.0, length)
        start = V.perturbed(V.Maxwellian(p[1], length), g, 1e-6)
        out = run(
            "vlasov", V.Poisson(length), start, 36.0, 360, 4, adjoint=jk.Reversible(), throw=False,
            save=jk.Save(every=2, observe={"z": first_mode}),
        )  # fmt: skip
        fit = jk.fit_oscillation(out.times[60:], out.observed["z"][60:] * 1e6)
        return jnp.stack([fit.frequency, fit.growth])

    at = jnp.asarray([0.5, 1.0])
    found, known = jax.jacrev(fitted)(at), jax.jacrev(lambda p: jnp.stack([root(p).real, root(p).imag]))(at)
    print(found, known)
    np.testing.assert_allclose(found, known, rtol=2e-3)
    assert np.abs(known).min() > 0.1


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("potential", "f0", "k", "scale", "known"),
    [
        pytest.param(V.Poisson(4 * math.pi, 4e4 * math.pi), V.Maxwellian(1.0, 4 * math.pi), 0.5, 1.0, 100.00375,
                     marks=pytest.mark.slow),
        (V.Poisson(10 * math.pi), V.TwoStream(10.0, 1.0, 10 * math.pi), 0.2, 3.5, 1.178511 - 0.004513j),
        pytest.param(V.Gaussian(-3.0, 0.8), V.Maxwellian(0.1, 2 * math.pi), 1.0, 0.4, 0.674739j, marks=pytest.mark.slow),
        (V.Custom(lambda x: sum(-3 * jnp.exp(-((x[..., 0] + 2 * math.pi * n) ** 2) / 1.28) for n in range(-3, 4))),
         V.Maxwellian(0.1, 2 * math.pi), 1.0, 0.4, 0.674739j),
    ],
)  # fmt: skip
def test_dispersion_roots_of_other_cases(potential, f0, k, scale, known):
    """A plasma frequency far above k scale, a wide f0, and a user's potential, whose coefficient must not be aliased;
    known by another method (Faddeeva's function). Catches a search that ends at another root."""
    np.testing.assert_allclose(V.dispersion_root(potential, f0, k, scale=scale), known, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("potential", "f0", "sentence"),
    [
        (V.Cosine(), V.TwoStream(10.0, 1.0, CIRCLE), r"`f0` must decay by \|v\| = 14, 14 times `scale`"),
        (V.Cosine(), lambda v: jnp.abs(v), "`f0` must be an analytic function of a complex velocity"),
        (V.Cosine(), lambda v: np.exp(-v * v), "`f0` must be an analytic function of a complex velocity"),
        (3.0, V.Maxwellian(), "`potential` must be a potential"),
    ],
)
def test_dispersion_root_argument_errors(potential, f0, sentence):
    """Catches an f0 that does not decay or is not analytic, and a wavenumber that the potential's circle does not have."""
    with pytest.raises(ValueError, match=sentence):
        V.dispersion_root(potential, f0, 1.0)
    with pytest.raises(ValueError, match="circle of length 2 pi for Cosine"):
        V.dispersion_root(V.Cosine(), V.Maxwellian(0.1, math.pi), 2.0, scale=0.4)


@pytest.mark.slow
@pytest.mark.optimised
def test_functions_are_read_anew_at_every_call():
    """The variables that a user's function closes over may change between calls. Catches a compiled program that is kept for a
    function and found again by its address in memory."""
    t = 0.1

    def f0(v):
        return jnp.exp(-v * v / (2 * t)) / math.sqrt(2 * math.pi * t) / (2 * math.pi)

    roots = [V.dispersion_root(V.Cosine(), f0, 1.0, scale=0.4).imag]
    t = 0.2
    roots += [V.dispersion_root(V.Cosine(), f0, 1.0, scale=0.4).imag]
    np.testing.assert_allclose(roots, [0.5255727568, 0.3749236868], atol=1e-9)
    strength, f0 = 1.0, V.Maxwellian(0.1, 2 * math.pi)
    potential = V.Custom(lambda x: -strength * jnp.cos(x[..., 0]))
    first = V.dispersion_root(potential, f0, 1.0, scale=0.4).imag
    strength = 0.5
    second = V.dispersion_root(potential, f0, 1.0, scale=0.4).imag
    np.testing.assert_allclose([first, second], [0.5255727568, growth_of(0.5)], atol=1e-9)


def growth_of(strength):
    return V.dispersion_root(V.Cosine(strength), V.Maxwellian(0.1, 2 * math.pi), 1.0, scale=0.4).imag


def growth(t):
    return V.dispersion_root(V.Cosine(), V.Maxwellian(t, 2 * math.pi), 1.0, scale=0.4).imag


@pytest.mark.optimised
def test_derivative_of_a_dispersion_root():
    """Against differences. Catches a root whose derivative is that of Newton's last step, or 0."""
    first = (growth(0.1501) - growth(0.1499)) / 2e-4
    np.testing.assert_allclose(jax.grad(growth)(0.15), first, rtol=1e-6)


@pytest.mark.slow
def test_derivatives_of_dispersion_roots():
    """First and second, against differences. Catches an implicit step whose slope is not differentiated: it has a wrong
    second one."""
    step = 1e-4
    first = (growth(0.15 + step) - growth(0.15 - step)) / (2 * step)
    second = (growth(0.15 + step) - 2 * growth(0.15) + growth(0.15 - step)) / step**2
    np.testing.assert_allclose(jax.grad(growth)(0.15), first, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(jax.grad(growth))(0.15), second, rtol=1e-3)


def first_mode(state):
    return V.density_mode(state).real
