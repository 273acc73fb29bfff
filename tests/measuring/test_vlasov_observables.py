"""Invariants of the mean-field systems, what `stats` say about a grid, their initial data, and errors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE, count_programs, poisson_bracket, slow_but, torus_grid

import jaxkinetic as jk
from jaxkinetic.vlasov import grid_flows

V = jk.vlasov


def grid(num_x=24, num_v=96, reach=8.0, length=CIRCLE):
    return torus_grid(num_x, num_v, reach, length)


def twisted(g, twist=0.4, boost=0.0):
    """A wave of mass 1 whose phase depends on x and v."""
    x, v = g.mesh
    f = (1 + 0.2 * jnp.cos(x)) * jnp.exp(-((v - boost) ** 2) / 2) / (2 * math.pi) ** 1.5
    phase = twist * jnp.sin(x) * v * jnp.exp(-(v**2) / 8)
    return jk.Wave(jax.lax.complex(*(jnp.sqrt(f) * part for part in (jnp.cos(phase), jnp.sin(phase)))), g)


@pytest.mark.parametrize("picture", ["velocity", "fourier"])
def test_hamiltonian(picture):
    """(1/2i) int (v^2/2 + Gamma * rho) [conj alpha, alpha], brackets by numpy. Catches a wrong sign or a factor 2 of
    either part: both are larger than 1e-3."""
    g, potential = grid(), V.Gaussian(0.7, 0.6)
    wave = twisted(g, boost=0.3)
    alpha, (_, v), cell = np.asarray(wave.alpha), (np.asarray(m) for m in g.mesh), float(g.cell)
    rho = np.sum(np.abs(alpha) ** 2, 1) * float(g.axes[1].spacing)
    images = np.arange(-6, 7) * 2 * np.pi
    x = np.asarray(g.axes[0].points)
    gamma = 0.7 * np.exp(-((x[:, None, None] - x[None, :, None] + images) ** 2) / 0.72).sum(-1)
    outer = poisson_bracket(alpha.conj(), alpha, [float(axis.length) for axis in g.axes])
    parts = [
        (np.sum(h * outer) * cell / 2j).real for h in (v**2 / 2, (gamma @ rho * float(g.axes[0].spacing))[:, None])
    ]
    assert min(abs(p) for p in parts) > 1e-3
    state = wave if picture == "velocity" else wave.fourier_picture()
    np.testing.assert_allclose(V.hamiltonian(state, potential), sum(parts), rtol=1e-9)
    real = jk.Wave(jnp.abs(wave.alpha), g)
    assert abs(V.hamiltonian(real, potential)) < 1e-14


@pytest.mark.parametrize("order", slow_but((4,), (2, 4)))
@pytest.mark.parametrize("system", [V.Vlasov, V.HamiltonVlasov, V.HamiltonHartree])
def test_conservation_to_the_order_of_the_scheme(system, order):
    """Energy, int f^3, and H_Vl of waves: by slopes; momentum to round-off, where f moves by 10 %. Catches an observable
    that is not the one the equation conserves."""
    g, potential = grid(32, 128, 9.0), V.Cosine(1.5)
    wave = twisted(g, 0.2, boost=0.2)
    state = jk.Density(V.phase_space_density(wave), g) if system is V.Vlasov else wave

    def errors(steps):
        final = jk.simulate(system(potential), state, scheme=jk.Strang(order), dt=2.0 / steps, num_steps=steps).final
        out = [abs(float(V.energy(final, potential) - V.energy(state, potential)))]
        if system is not V.Vlasov:
            out.append(abs(float(V.hamiltonian(final, potential) - V.hamiltonian(wave, potential))))
        np.testing.assert_allclose(V.momentum(final), V.momentum(state), atol=1e-12)
        np.testing.assert_allclose(V.casimir(final, jnp.square), V.casimir(state, jnp.square), rtol=1e-12)
        cubes = [float(V.casimir(s, lambda f: f**3)) for s in (final, state)]
        assert abs(cubes[0] / cubes[1] - 1) < 1e-8
        moved = jnp.abs(V.phase_space_density(final) - V.phase_space_density(state)).max()
        assert moved > 0.1 * V.phase_space_density(state).max()
        return np.array(out)

    coarse, fine = errors(10), errors(20)
    print(system.__name__, order, coarse, fine, np.log2(coarse / fine))
    np.testing.assert_allclose(np.log2(coarse / fine), order, atol=0.35)


@pytest.mark.shapes
def test_observables_of_known_data():
    """rho = (1 + A cos(x - phi))/(2 pi): modes A/2 with the phase phi, field energy of -s cos x: -s A^2/8, kinetic
    (T + u^2)/2, int f = 1. Catches a factor 2 of any of them, a conjugate, a missing volume of a cell, and a picture in which
    it differs."""
    g, a, u, shift = grid(), 0.2, 0.3, 0.4
    x, v = g.mesh
    f = (1 + a * jnp.cos(x - shift)) * jnp.exp(-((v - u) ** 2) / 2) / (2 * math.pi) ** 1.5
    for state in (jk.Density(f, g), jk.Wave(jnp.sqrt(f), g), jk.Wave(jnp.sqrt(f), g).fourier_picture()):
        mode = V.density_mode(state) * jnp.exp(-1j * g.axes[0].start)
        np.testing.assert_allclose(mode, a / 2 * np.exp(-1j * shift), rtol=1e-9)
        np.testing.assert_allclose(V.magnetisation(state), a / 2 * np.exp(1j * shift), rtol=1e-9)
        np.testing.assert_allclose(V.casimir(state, lambda f: f), 1, rtol=1e-9)
        np.testing.assert_allclose(V.potential_energy(state, V.Cosine(1.7)), -1.7 * a**2 / 8, rtol=1e-9)
        np.testing.assert_allclose(V.kinetic_energy(state), (1 + u**2) / 2, rtol=1e-9)
        np.testing.assert_allclose(V.momentum(state), [u], rtol=1e-9)
        density = (1 + a * jnp.cos(g.axes[0].points - shift)) / (2 * math.pi)
        np.testing.assert_allclose(V.density(state), density, rtol=1e-9)


def test_poisson_in_two_dimensions():
    """-Laplace Gamma * rho = strength (rho - mean): the field of cos x cos y is known. Catches a sign, and 1/|k| for
    1/k^2."""
    axes = [jk.Axis(0.0, 2 * math.pi, n) for n in (16, 12)]
    x, y = jk.Grid(*axes).mesh
    rho = 0.3 + jnp.cos(x) * jnp.cos(y)
    potential = V.Poisson(2 * math.pi, 5.0)
    np.testing.assert_allclose(potential.convolve(rho, tuple(axes)), 2.5 * jnp.cos(x) * jnp.cos(y), atol=1e-13)
    found = potential.field(rho, tuple(axes))
    for part, known in zip(found, (-jnp.sin(x) * jnp.cos(y), -jnp.cos(x) * jnp.sin(y)), strict=True):
        np.testing.assert_allclose(part, 2.5 * known, atol=1e-13)


def test_coefficients_at_nyquist():
    """The coefficient of cos 4x cos y on 8 points in x, where 4 is the Nyquist mode, is that of the true |k|. Catches a k whose
    Nyquist component is 0, as it is for derivatives."""
    axes = tuple(jk.Axis(0.0, 2 * math.pi, n) for n in (8, 12))
    x, y = jk.Grid(*axes).mesh
    potential = V.Gaussian(1.0, 1.0)
    known = 2 * math.pi * math.exp(-17 / 2)
    np.testing.assert_allclose(
        potential.convolve(jnp.cos(4 * x) * jnp.cos(y), axes), known * jnp.cos(4 * x) * jnp.cos(y), atol=1e-14
    )
    field = potential.field(jnp.cos(4 * x) * jnp.cos(y), axes)
    np.testing.assert_allclose(field[1], -known * jnp.cos(4 * x) * jnp.sin(y), atol=1e-14)
    poisson = V.Poisson(2 * math.pi, 1.0).convolve(jnp.cos(4 * x) * jnp.cos(y), axes)
    np.testing.assert_allclose(poisson, jnp.cos(4 * x) * jnp.cos(y) / 17, atol=1e-14)


def test_sums_over_pairs_are_compiled_once():
    """A second energy or force of the same potential compiles nothing, also with a function of the user's, and sees a variable
    of that function that has changed, a number or an array. Catches programs anew at every call, and one that is stale."""
    x = np.random.default_rng(3).standard_normal((9, 1))
    state, weight, shift = jk.Particles(0 * x, x), 1.0, np.zeros(1)
    for potential in (V.Gaussian(1.0, 0.7), V.Custom(lambda z: -weight * jnp.cos(z[..., 0]) + jnp.asarray(shift)[0])):
        first = V.energy(state, potential), potential.pair_gradient(x, state.alive)
        with count_programs() as programs:
            again = V.energy(state, potential), potential.pair_gradient(x, state.alive)
        assert programs == []
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])
    weight = 5.0
    np.testing.assert_allclose(V.energy(state, potential), 5 * first[0], rtol=1e-12)
    shift = np.ones(1)
    np.testing.assert_allclose(V.energy(state, potential), 5 * first[0] + 0.5, rtol=1e-12)


def test_user_functions_close_over_tracers():
    """A bare function as `Custom` gives what `Cosine` gives, and its closed-over strength has the gradient of Cosine's.
    Catches a closure that is frozen into the program."""
    state = start()

    def last(make, strength):
        return jk.simulate(V.Vlasov(make(strength)), state, dt=0.1, num_steps=5, throw=False).final.f[3, 40]

    def own(strength):
        return V.Custom(lambda x: -strength * jnp.cos(x).sum(-1))

    np.testing.assert_allclose(last(own, 1.2), last(V.Cosine, 1.2), rtol=1e-12)
    slopes = [jax.grad(lambda s, make=make: last(make, s))(1.2) for make in (own, V.Cosine)]
    np.testing.assert_allclose(*slopes, rtol=1e-10)
    assert abs(slopes[0]) > 1e-6


@pytest.mark.parametrize(
    ("potential", "lengths"),
    [
        (V.Cosine(1.3), (2 * math.pi,) * 2),
        (V.Gaussian(0.8, 0.8), (7.0, 6.0)),
        (V.Custom(lambda x: jnp.cos(x).sum(-1)), (2 * math.pi,) * 2),
    ],
)  # fmt: skip
def test_fields_are_convolutions(potential, lengths):
    """Gamma * rho and grad Gamma * rho in d = 2 against sums over all pairs of points and images in real space. Catches
    axes that are exchanged, a cell volume, and images that are left out."""
    axes = tuple(jk.Axis(0.0, length, n) for length, n in zip(lengths, (14, 18), strict=True))
    points = np.stack(jk.Grid(*axes).mesh, -1).reshape(-1, 2)
    rho = np.random.default_rng(1).random((14, 18))
    rho = np.fft.ifft2(
        np.fft.fft2(rho) * (np.abs(np.fft.fftfreq(14, 1 / 14))[:, None] < 3) * (np.abs(np.fft.fftfreq(18, 1 / 18)) < 3)
    ).real
    cell = float(axes[0].spacing * axes[1].spacing)
    shifts = [0.0] if not isinstance(potential, V.Gaussian) else [-2.0, -1.0, 0.0, 1.0, 2.0]
    images = jnp.asarray([[i * lengths[0], j * lengths[1]] for i in shifts for j in shifts])
    z = jnp.asarray(points)[:, None, None] - jnp.asarray(points)[None, :, None] + images[None, None]
    known = (potential.gamma(z).sum(-1) @ rho.ravel() * cell).reshape(rho.shape)
    np.testing.assert_allclose(potential.convolve(jnp.asarray(rho), axes), known, atol=1e-10)
    slopes = np.moveaxis(np.asarray(potential.grad(z).sum(2)), -1, 0)
    for part, slope in zip(potential.field(jnp.asarray(rho), axes), slopes, strict=True):
        np.testing.assert_allclose(part, (slope @ rho.ravel() * cell).reshape(rho.shape), atol=1e-10)


@pytest.mark.parametrize("potential", [V.Cosine(1.3), V.Gaussian(0.8, 0.5)])
def test_bound_of_regular_potentials(potential):
    """C_Gamma: no derivative of order 1, 2, 3 along a line is larger, and one comes within 1 % of it. Catches the bound
    of a single order."""
    x = jnp.linspace(-3, 3, 2001)

    def fn(s):
        return potential.gamma(s[None])

    largest = 0.0
    for _ in range(3):
        fn = jax.grad(fn)
        largest = max(largest, float(jnp.abs(jax.vmap(fn)(x)).max()))
    assert potential.regular
    bound = float(potential.bound(1))
    assert 0.99 * bound < largest < bound * (1 + 1e-6)
    assert not V.Poisson(1.0).regular
    assert math.isinf(V.Harmonic().bound(2))


def test_potentials_without_a_known_bound():
    """A user's potential that says nothing of (Pot) is not regular and has an infinite bound. Catches a default that claims
    a theorem for every potential."""

    class Plain(V.AbstractPotential):
        def gamma(self, x):
            return jnp.sum(x * x, -1)

        def coefficients(self, axes):
            return jnp.zeros([axis.num for axis in axes])

    assert not Plain().regular
    assert math.isinf(Plain().bound(1))


@pytest.mark.parametrize("system", [V.Vlasov, V.HamiltonVlasov, V.HamiltonHartree])
def test_stats_of_an_unresolved_grid(system):
    """Free streaming filaments: resolved at first, lost later, in v alone; and a box that is too small in v shows at its
    ends. Of the perturbation's norm the share in the upper third of the wavenumbers of v is known, for f = M(v) (1 + A cos(x
    - v t)).
    Catches the two axes exchanged, a share of the final step alone, and one of the whole norm."""
    g = grid(16, 64, 6.0)
    x, v = g.mesh
    f = (1 + 0.5 * jnp.cos(x)) * jnp.exp(-(v**2) / 2) / (2 * math.pi) ** 1.5
    state = jk.Density(f, g) if system is V.Vlasov else jk.Wave(jnp.sqrt(f), g)

    def stats(t):
        return jk.simulate(system(V.Cosine(0.0)), state, dt=t / 10, num_steps=10).stats

    early, late = stats(2.0), stats(15.0)
    # Of alpha the perturbation is a thirtieth.
    assert early["spectral_tail_v"] < (1e-9 if system is V.Vlasov else 3e-8) < 1e-3 < late["spectral_tail_v"] < 1
    assert late["spectral_tail_x"] < 1e-8
    assert early["boundary_mass"] < 1e-5
    if system is V.Vlasov:
        hat = np.fft.fft(np.asarray(0.5 * jnp.cos(x - v * 14.25) * jnp.exp(-(v**2) / 2)), axis=1)
        number = np.abs(np.fft.fftfreq(64, 1 / 64))
        known = np.sum(np.abs(hat[:, number * 3 > 64]) ** 2) / np.sum(np.abs(hat) ** 2)
        np.testing.assert_allclose(late["spectral_tail_v"], known, rtol=1e-6)
    narrow = grid(16, 64, 4.0)
    x, v = narrow.mesh
    f = (1 + 0.5 * jnp.cos(x)) * jnp.exp(-(v**2) / 2) / (2 * math.pi) ** 1.5
    state = jk.Density(f, narrow) if system is V.Vlasov else jk.Wave(jnp.sqrt(f), narrow)
    found = jk.simulate(system(V.Cosine(0.0)), state, dt=0.1, num_steps=1).stats["boundary_mass"]
    inside = np.asarray(jnp.exp(-(narrow.axes[1].points ** 2) / 2))
    np.testing.assert_allclose(found, (inside[:4].sum() + inside[-4:].sum()) / inside.sum(), rtol=0.2)


def start(**changes):
    g = changes.pop("grid", grid())
    return V.perturbed(V.Maxwellian(), g, 0.1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: jk.Axis(0.0, 1.0, 2), "`num` must be at least 4, but is 2"),
        (lambda: jk.Axis(0.0, 1.0, 7), "`num` must be even, but is 7; add a point"),
        (lambda: jk.Axis(0.0, -1.0, 8), "`length` must be positive"),
        (lambda: V.perturbed(V.Maxwellian(), jk.Grid(jk.Axis(0.0, 1.0, 4)), 0.1), "have one axis of position"),
        (lambda: V.perturbed(V.Maxwellian(), grid(4), 0.1, number=2), "`number` must be below 2 on this grid, but is 2"),
        (lambda: run(V.Vlasov(V.Cosine()), start(grid=grid(reach=2.0))),
         r"`state` must decay towards the ends of its velocity axis 0, but has 0.15 of its largest value"),
        (lambda: run(V.Vlasov(V.Cosine()), start(grid=grid(length=6.0))), "circle of length 2 pi for Cosine, but has length 6"),
        (lambda: run(V.Vlasov(V.Poisson(3.0)), start()), "torus of length 3, that of Poisson, but has length 6.28319"),
        (lambda: run(V.Vlasov(V.Harmonic()), start()), "axis that is not periodic, for Harmonic"),
        (lambda: run(V.Vlasov(V.Custom(lambda x: jnp.sin(x[..., 0]))), start()), r"`fn` must be even, but fn\(x\) and"),
        (lambda: run(V.Vlasov(V.Custom(lambda x: jnp.log(x[..., 0]))), start()), "`fn` must be finite, but gives a NaN"),
        (lambda: run(V.Vlasov(V.Custom(lambda x: x)), start()), r"`fn` must map .*, but gives shape \(24, 1\)"),
        (lambda: V.Cosine(jnp.nan), "`strength` must be finite, but is nan"),
        (lambda: V.Gaussian(1.0, 0.0), "`width` must be positive"),
        (lambda: run(V.Vlasov(V.Gaussian(1e308, 1e8)), start()), "`potential` must have a finite field, but has NaN"),
        (lambda: run(V.HamiltonVlasov(V.Cosine()), jk.Wave(jnp.sqrt(start().f) * 2, grid())),
         r"`state` must have unit norm, int \|alpha\|\^2 = 1, but has 4; divide alpha by the root of `state.mass`"),
        (lambda: run(V.HamiltonVlasov(V.Cosine()), start()), "`state` must be a Wave, but is a Density"),
        (lambda: run(V.Vlasov(lambda x: x), start()), "`potential` must be a potential"),
        (lambda: jk.Strang(3), "`order` must be 2 or 4, but is 3"),
        (lambda: jk.Wave(jnp.ones((24, 96)), grid(), "momentum"), '`picture` must be "velocity" or "fourier"'),
        (lambda: jk.Density(jnp.ones((3, 4)), grid()), r"shape of the grid, \(24, 96\), but has shape \(3, 4\)"),
        (lambda: jk.Density(None, grid()), "`f` must be an array, but is None"),
        (lambda: V.dispersion_root(V.Cosine(), V.Maxwellian(), -1.0), "`k` must be positive"),
    ],
)  # fmt: skip
def test_argument_errors(make, sentence):
    """Bad arguments raise a `ValueError` that names the argument. Catches data that do not decay, norms that are not 1,
    and grids that do not fit the potential."""
    with pytest.raises(ValueError, match=sentence):
        make()


def test_zero_density():
    """f = 0 has no share in the tails: 0. Catches NaN from 0/0."""
    out = run(V.Vlasov(V.Cosine()), jk.Density(jnp.zeros((24, 96)), grid()))
    assert not out.final.f.any()
    for name in ("spectral_tail_x", "spectral_tail_v", "boundary_mass"):
        assert out.stats[name] == 0


def run(system, state):
    return jk.simulate(system, state, dt=0.1, num_steps=1)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("axis", [1, 2])
def test_sums_over_lines_on_accelerators(axis, half, monkeypatch):
    """The sum over some lines of an axis that an accelerator makes, of all lines under a mask, is that of a CPU and of numpy.
    Catches a mask along another axis, and weights of half a spectrum that go with the wrong lines."""
    x = np.random.default_rng(axis).normal(size=(3, 6, 9))
    ranges = ((0, 2), (4, 6))
    weights = np.where(np.isin(np.arange(9), (0, 8)), 1, 2) if half else np.ones(9)
    wanted = np.take(x**2 * weights, [0, 1, 4, 5], axis).sum((1, 2))
    for platform in ("cpu", "default"):
        monkeypatch.setattr(jax.lax, "platform_dependent", lambda *a, chosen=platform, **fns: fns[chosen](*a))
        found = grid_flows._lines(jnp.asarray(x), axis, ranges, jnp.square, half=half)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize("dim", [1, 2])
def test_density_on_accelerators(dim, monkeypatch):
    """The sums over velocities that an accelerator takes from a transform are those of numpy, and so is their gradient.
    Catches another mode than the zero one, and a gradient that is scaled or lost."""
    f, weight = np.random.default_rng(dim).normal(size=(2, *[5] * dim, *[6] * dim))
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *a, cpu, default: default(*a))
    last = tuple(range(dim, 2 * dim))
    found = grid_flows._over_velocities(jnp.asarray(f), dim)
    np.testing.assert_allclose(found, f.sum(last), rtol=1e-13, atol=1e-13)
    rows = weight.sum(last)
    gradient = jax.grad(lambda f: jnp.vdot(jnp.asarray(rows), grid_flows._over_velocities(f, dim)))(jnp.asarray(f))
    np.testing.assert_allclose(gradient, np.broadcast_to(rows.reshape(*rows.shape, *[1] * dim), f.shape), rtol=1e-13)
