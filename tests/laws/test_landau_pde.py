"""The Landau equation in R^d: BKW, Coulomb, direct sums, the pressure tensor, entropy and dissipation, conservation, errors."""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special

import jaxkinetic as jk
from jaxkinetic.landau import truncated_convolution
from jaxkinetic.landau.truncated_kernel import kernel_tables

L, D = jk.landau, jk.diagnostics
ZERO = jnp.zeros(())


@eqx.filter_jit
def evaluated(system, state):
    return system.vector_field(ZERO, state).f


@eqx.filter_jit
def dissipated(system, state):
    return system.dissipation(state)


def box(num, dim, length):
    return jk.Grid(*[jk.Axis(-length / 2, length, num, periodic=False)] * dim)


def velocities(grid):
    return np.stack([np.asarray(v) for v in grid.mesh], -1)


def normal(v, variances, mean=0.0):
    """A normal law of independent components."""
    variances = np.broadcast_to(np.asarray(variances, float), v.shape[-1:])
    return np.exp(-np.sum((v - mean) ** 2 / (2 * variances), -1)) / np.sqrt(np.prod(2 * np.pi * variances))


def bkw(num, dim, length, beta=0.4):
    """(the BKW solution at t = 0, its time derivative there)."""
    grid = box(num, dim, length)
    square = np.sum(velocities(grid) ** 2, -1)

    def profile(k):
        bracket = ((dim + 2) * k - dim) / (2 * k) + (1 - k) * square / (2 * k * k)
        return (2 * np.pi * k) ** (-dim / 2) * np.exp(-square / (2 * k)) * bracket

    slope = profile(1 - beta + 1e-30j).imag / 1e-30 * 2 * (dim - 1) * beta
    return jk.Density(profile(1 - beta), grid), slope


# (d - 1)(I - d), I the Fisher information, of BKW with beta = .4 at t = 0: in d = 2 by quadrature.
BKW_DISSIPATION = {3: 16 / 9, 2: 0.3078770751}


def shell(num, length):
    """v^2 e^{-v^2/1.2}, mass 1, T = 1."""
    grid = box(num, 3, length)
    square = np.sum(velocities(grid) ** 2, -1)
    return jk.Density(square * np.exp(-square / 1.2) / SHELL, grid)


SHELL = (1.2 * np.pi) ** 1.5 * 1.8


def two_beams(num=32, length=11.0, dim=2):
    """A positive law without symmetry."""
    grid = box(num, dim, length)
    v = velocities(grid)
    f = 0.6 * normal(v, [0.6, 0.9, 0.7][:dim], [0.7, -0.3, 0.2][:dim])
    return jk.Density(f + 0.4 * normal(v, [0.8, 0.5, 0.6][:dim], [-0.8, 0.6, -0.4][:dim]), grid)


class Bump(L.AbstractRadial):
    """A user's own interaction, smooth at 0."""

    height: jax.Array

    def psi(self, r2):
        return self.height * jnp.exp(-r2 / 6)


@pytest.mark.parametrize(
    ("dim", "num", "length", "error"), [(3, 32, 11.0, 5e-7), (3, 64, 16.0, 1e-11), (2, 128, 18.0, 1e-11)]
)
def test_time_derivative_of_bkw(dim, num, length, error):
    """One evaluation at gamma = 0 against the time derivative of the exact solution. Catches a wrong factor anywhere, a kernel
    that is cut off too early, and padding with wrap-around. Also the dissipation, at d = 3 of an f with a zero at v = 0."""
    state, want = bkw(num, dim, length)
    got = evaluated(L.LandauPDE(L.Maxwell()), state)
    np.testing.assert_allclose(got, want, atol=error)
    np.testing.assert_allclose(dissipated(L.LandauPDE(L.PowerLaw(0.0)), state), BKW_DISSIPATION[dim], rtol=1e-5)


@pytest.mark.optimised
def test_bkw_in_time():
    """To t = .1 at d = 3, n = 32 by the default scheme: f, its fourth moment and its entropy. The errors are those of the time
    step: a quarter with twice the steps. Catches stages that do not suffice, and a plan of another grid."""
    state, _ = bkw(32, 3, 11.0)
    done = jk.simulate(L.LandauPDE(L.Maxwell()), state, dt=0.01, num_steps=10)
    speed = np.linalg.norm(velocities(state.grid), axis=-1)
    np.testing.assert_allclose(done.final.f, L.exact.bkw_density(speed, 0.1, 3, 0.4), atol=4e-5)
    np.testing.assert_allclose(D.moment(done.final), L.exact.bkw_moment(0.1, 4, 3, 0.4), rtol=4e-5)
    np.testing.assert_allclose(D.entropy(done.final), L.exact.bkw_entropy(0.1, 3, 0.4), atol=1.5e-5)
    assert not done.warnings


def isotropic_coulomb(v, f, slope, curvature):
    """v^-2 d_v { v^2 A f' + 8 pi f int_0^v u^2 f }, A = (8 pi/3)[v^-3 int_0^v u^4 f + int_v^inf u f], by quadrature."""
    quad = partial(scipy.integrate.quad, epsabs=1e-14, epsrel=1e-12)
    out = []
    for x in v:
        fourth, second = (quad(lambda u, p=p: u**p * f(u), 0, x)[0] for p in (4, 2))
        diffusion = 8 * np.pi / 3 * (fourth / x**3 + quad(lambda u: u * f(u), x, 12.0)[0])
        its_slope = -8 * np.pi * fourth / x**4
        drift = 8 * np.pi * (f(x) ** 2 + slope(x) * second / x**2)
        out.append(diffusion * curvature(x) + (its_slope + 2 * diffusion / x) * slope(x) + drift)
    return np.array(out)


def test_coulomb_right_hand_side():
    """gamma = -3 in d = 3 on the shell, against one-dimensional quadrature of the isotropic operator. Catches a transform of
    the singular kernel that is not exact, and c = div b without its delta function (8 pi f^2 of the result)."""
    state = shell(32, 10.0)
    got = np.asarray(evaluated(L.LandauPDE(L.PowerLaw(-3.0)), state))[17:, 16, 16]
    k = 1 / 1.2

    def f(v):
        return v * v * np.exp(-k * v * v) / SHELL

    def slope(v):
        return (2 * v - 2 * k * v**3) * np.exp(-k * v * v) / SHELL

    def curvature(v):
        return (2 - 10 * k * v * v + 4 * k * k * v**4) * np.exp(-k * v * v) / SHELL

    v = np.asarray(state.grid.axes[0].points)[17:]
    np.testing.assert_allclose(got, isotropic_coulomb(v, f, slope, curvature), atol=5e-7)


def test_coulomb_relaxation_of_a_shell():
    """To t = .1: M4/15 and H - H_M of the isotropic equation (tabled to 1e-6), H falls at every step. Catches a time scale of
    Coulomb collisions that differs by a factor 2 (M4/15 would be .83 or .87)."""
    save = jk.Save(every=1, observe={"H": D.entropy})
    done = jk.simulate(L.LandauPDE(L.PowerLaw(-3.0)), shell(32, 10.0), dt=0.01, num_steps=10, save=save)
    np.testing.assert_allclose(D.moment(done.final) / 15, 0.849711, atol=5e-6)
    maxwellian = float(L.exact.maxwellian_entropy(3))
    np.testing.assert_allclose(done.observed["H"][-1] - maxwellian, 0.047053, atol=5e-6)
    assert (np.diff(np.asarray(done.observed["H"])) < 0).all()
    assert not done.warnings


def test_closed_forms_of_the_transforms():
    """The tables of Coulomb's law at all wavenumbers, d = 2 and 3, against their closed forms, to 1e-13 of the largest. Catches
    a radial quadrature that does not converge at high wavenumbers."""
    for dim, num, length in ((2, 16, 7.0), (3, 12, 9.0)):
        tables = kernel_tables(L.PowerLaw(-dim), num, dim, jnp.asarray(length))
        m = np.meshgrid(np.arange(num + 1), *[np.fft.fftfreq(2 * num, 1 / (2 * num))] * (dim - 1), indexing="ij")
        square = sum(x * x for x in m)
        k = np.pi / length * np.sqrt(np.maximum(square, 1))
        x = k * length
        if dim == 3:
            along, trace = 8 * np.pi / k**2 * (1 - np.sin(x) / x), 8 * np.pi / k**2 * (1 - np.cos(x))
        else:
            along = 2 * np.pi / k**2 * (1 - scipy.special.jv(0, x))
            trace = 2 * np.pi * length / k * scipy.special.jv(1, x)
        across = (trace - along) / (dim - 1)
        zero = {2: np.pi * length**2 / 2, 3: 8 * np.pi * length**2 / 6}[dim]
        across[square == 0] = along[square == 0] = zero
        scale = 1e-13 * zero
        np.testing.assert_allclose(tables.across, across, atol=scale)
        np.testing.assert_allclose(tables.excess * square, along - across, atol=scale)


@pytest.mark.parametrize(
    "law", [Bump(jnp.asarray(1.3)), L.PowerLaw(-1.5, 0.7, softening=2.0), L.PowerLaw(1.0, softening=1.5)]
)
def test_direct_sums(law):
    """A smooth interaction (a user's own, and softened powers), anisotropic data: the sums over all pairs of grid points.
    Catches a component with the wrong sign or in the wrong place, and a
    periodic image."""
    num, length = 32, 11.0
    state = two_beams(num, length)
    v, f = velocities(state.grid).reshape(-1, 2), np.ravel(state.f)
    z = v[:, None] - v[None, :]
    a, b = (np.asarray(x) * float(state.grid.cell) for x in (law.a(jnp.asarray(z)), law.b(jnp.asarray(z))))
    wave = 2 * np.pi / length * np.where(np.arange(num) == num // 2, 0, np.fft.fftfreq(num, 1 / num))
    waves = [1j * wave[:, None], 1j * wave[None, :]]
    slopes = np.stack([np.fft.ifft2(k * np.fft.fft2(state.f)).real.reshape(-1) for k in waves], -1)
    flux = np.einsum("nmij,m,nj->ni", a, f, slopes, optimize=True) - np.einsum("nmi,m,n->ni", b, f, f, optimize=True)
    parts = [np.fft.ifft2(k * np.fft.fft2(flux[:, i].reshape(num, num))).real for i, k in enumerate(waves)]
    want = parts[0] + parts[1]
    got = evaluated(L.LandauPDE(law), state)
    np.testing.assert_allclose(got, want, atol=1e-8 * np.abs(want).max())


@pytest.mark.parametrize(("dim", "num"), [(2, 48), (3, 48)])
def test_pressure_tensor_of_maxwell_molecules(dim, num):
    """gamma = 0, a bi-Maxwellian: the deviator of the pressure tensor decays at the rate 4 d, at the start to 1e-7 and in time
    (d = 2) to the error of the step. Catches (N-1)/N, 2 d, and a missing off-diagonal entry of a * f."""
    grid, system = box(num, dim, 15.0), L.LandauPDE(L.Maxwell())
    v = velocities(grid)
    turn = np.eye(dim)
    turn[0, [0, -1]], turn[-1, [0, -1]] = [0.8, -0.6], [0.6, 0.8]
    state = jk.Density(normal(v @ turn, [0.8] * (dim - 1) + [1.2]), grid)

    def deviator(f):
        second = np.einsum("ni,nj,n->ij", v.reshape(-1, dim), v.reshape(-1, dim), np.ravel(f)) * float(grid.cell)
        return second - np.trace(second) / dim * np.eye(dim)

    start = deviator(state.f)
    np.testing.assert_allclose(deviator(evaluated(system, state)), -4 * dim * start, atol=1e-7)
    if dim == 2:
        done = jk.simulate(system, state, dt=0.005, num_steps=20)
        np.testing.assert_allclose(deviator(done.final.f), math.exp(-4 * dim * 0.1) * start, atol=2e-5)


@pytest.mark.parametrize("gamma", [-2.0, 0.5])
def test_entropy_balance(gamma):
    """H(f_t) + int_0^t D = H(f_0), D by `dissipation`, by Simpson's rule, to the error of the step; H falls. D = -dH/dt along
    the equation in one evaluation. Catches a dissipation without the term of b * f, or with its sign changed."""
    system, state = L.LandauPDE(L.PowerLaw(gamma)), two_beams(40, 12.0)
    rate = system.generator(D.entropy)(state)
    np.testing.assert_allclose(dissipated(system, state), -rate, rtol=1e-6)
    observe = {"H": D.entropy, "D": jk.Contextual(dissipation_of)}
    done = jk.simulate(system, state, dt=0.005, num_steps=20, save=jk.Save(every=1, observe=observe))
    entropy, rates = (np.asarray(done.observed[name]) for name in "HD")
    assert (np.diff(entropy) < 0).all()
    total = scipy.integrate.simpson(rates, dx=0.005)
    np.testing.assert_allclose(entropy[-1] + total, entropy[0], atol=4e-4 * (entropy[0] - entropy[-1]))


def dissipation_of(ctx):
    return ctx.system.dissipation(ctx.state)


def test_conservation():
    """Mass to round-off on any grid; momentum and energy to the accuracy of the grid, and with `conservative` to round-off, in
    an evaluation and in a run, whose `stats` have the correction. Catches a correction that changes the mass, or nothing."""
    grid = box(20, 2, 10.0)
    v = velocities(grid)
    # A flow out of rest, coarse.
    state = jk.Density(0.7 * normal(v, [0.7, 0.9], [0.6, 0.3]) + 0.3 * normal(v, 0.8, [-0.6, 0.5]), grid)
    law = L.PowerLaw(-1.0)

    def moments(f):
        functions = np.stack([np.ones(f.shape), v[..., 0], v[..., 1], np.sum(v**2, -1)])
        return np.abs(np.sum(functions * np.asarray(f), (1, 2))) * float(grid.cell)

    plain, corrected = (evaluated(L.LandauPDE(law, conservative=c), state) for c in (False, True))
    assert moments(plain)[0] < 1e-15
    assert 1e-6 < moments(plain)[1:].max() < 1e-2
    assert moments(corrected).max() < 1e-14
    assert 0 < np.abs(plain - corrected).max() < 1e-2 * np.abs(plain).max()
    done = jk.simulate(L.LandauPDE(law, conservative=True), state, dt=0.01, num_steps=10)
    assert moments(done.final.f - state.f).max() < 1e-14
    assert 0 < done.stats["correction"] < 1e-2


def test_stiffness_is_a_bound():
    """The moduli of the eigenvalues of the derivative are below `stiffness`, which is at most four times too large, for hard
    and soft interactions. Catches a bound without the highest wavenumber of every axis."""
    grid = box(16, 2, 10.0)
    state = jk.Density(normal(velocities(grid), [0.8, 1.2]), grid)

    @eqx.filter_jit
    def both(law):
        system = L.LandauPDE(law)
        jacobian = jax.jacfwd(lambda f: system.vector_field(ZERO, jk.Density(f, grid)).f)(state.f)
        return jacobian.reshape(state.f.size, -1), system.stiffness(ZERO, state)

    for gamma in (-2.0, -1.0, 0.0, 1.0):
        jacobian, bound = both(L.PowerLaw(gamma))
        radius = np.abs(np.linalg.eigvals(np.asarray(jacobian))).max()
        assert radius < float(bound) < 4 * radius, gamma


def test_gradients_and_vmap():
    """Derivatives in gamma, strength, softening and the initial temperature, by `Checkpointed` and `Direct`, agree with
    differences to 1e-6 and are not 0; `vmap` over the parameters gives the single runs. Catches tables that a run computes once
    and does not differentiate."""
    grid = box(16, 2, 10.0)
    v = jnp.asarray(velocities(grid))

    def total(x, adjoint=jk.Checkpointed()):  # noqa: B008
        gamma, strength, softening, temperature = x
        f = jnp.exp(-(v[..., 0] ** 2) / (2 * temperature) - 0.6 * v[..., 1] ** 2)
        system = L.LandauPDE(L.PowerLaw(gamma, strength, softening))
        state = jk.Density(f / (jnp.sum(f) * grid.cell), grid)
        done = jk.simulate(system, state, dt=0.02, num_steps=4, scheme=jk.RungeKutta(2), adjoint=adjoint, throw=False)
        return D.stress(done.final)[0, 0] + D.entropy(done.final)

    x, step = jnp.asarray([-1.4, 1.2, 0.5, 1.3]), 1e-5
    moved = jnp.concatenate([x[None] + sign * step * jnp.eye(4) for sign in (1, -1)])
    values = jax.jit(jax.vmap(total))(moved)
    differences = (values[:4] - values[4:]) / (2 * step)
    assert (np.abs(differences) > 1e-3).all()
    for adjoint in (jk.Checkpointed(), jk.Direct()):
        value, gradient = jax.jit(jax.value_and_grad(partial(total, adjoint=adjoint)))(x)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6)
        np.testing.assert_allclose(value, (values[:4] + values[4:]) / 2, rtol=1e-9)


def test_all_planes_at_once(monkeypatch):
    """What accelerators run, all planes of wavenumbers at once, agrees with the blocks of planes of a CPU, d = 2 and 3. Catches
    planes that the padding of the last block displaces."""
    for state in (two_beams(20, 10.0), two_beams(12, 10.0, 3)):
        dim, num = state.f.ndim, state.f.shape[0]
        tables = kernel_tables(L.PowerLaw(-1.0), num, dim, jnp.asarray(10.0))
        monkeypatch.setattr(truncated_convolution, "_BLOCK", 8 * 16 * num ** (dim - 1))
        blocks = jax.jit(lambda *x: truncated_convolution.convolved_interaction.__wrapped__(*x))(state.f, tables)
        with monkeypatch.context() as patch:
            patch.setattr(jax.lax, "platform_dependent", lambda *x, cpu, default: default(*x))
            whole = jax.jit(lambda *x: truncated_convolution.convolved_interaction.__wrapped__(*x))(state.f, tables)
        scale = 1e-14 * float(jnp.max(jnp.abs(whole[0][0][0])))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=0, atol=scale), blocks, whole)


def test_float32():
    """float32 gives the float64 derivative of BKW to 5e-5 of its maximum. Catches constants in double precision and weights
    that overflow for a singular interaction."""
    for law in (L.Maxwell(), L.PowerLaw(-3.0)):
        state, _ = bkw(24, 3, 10.0)
        single = jax.tree.map(lambda x: x.astype(jnp.float32), (L.LandauPDE(law), state))
        got, want = evaluated(*single), evaluated(L.LandauPDE(law), state)
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, want, atol=5e-5 * np.abs(want).max())


def test_warnings():
    """A box and a grid that became too small during the run: the sentence names the remedy. Catches statistics that do not see
    the edge."""
    grid = box(16, 2, 9.0)
    state = jk.Density(normal(velocities(grid), [1.3, 0.8]), grid)
    with pytest.warns(UserWarning, match=r"The velocity box is too small: .* axes 1.25 times as long"):
        done = jk.simulate(L.LandauPDE(L.PowerLaw(-1.0)), state, dt=0.01, num_steps=2)
    assert 1e-5 < done.stats["boundary_mass"] < 1e-2


def test_errors():
    """Catches raw errors for interactions, grids and data that do not fit."""
    good = box(24, 2, 12.0)
    v = velocities(good)
    f = normal(v, 1.0)
    trigonometric = L.Trigonometric([[0, 0], [1, 0]], [1.0, 0.5])

    def run(f=f, grid=good, law=L.PowerLaw(-1.0)):  # noqa: B008
        return jk.simulate(L.LandauPDE(law), jk.Density(f, grid), dt=0.01, num_steps=1)

    def on(grid, variance=1.0):
        return run(normal(velocities(grid), variance), grid)

    velocity = partial(jk.Axis, periodic=False)
    long = velocity(-6.0, 12.0, 24)
    huge = eqx.tree_at(lambda s: s.f, jk.Density(f, good), jax.ShapeDtypeStruct((65536,) * 2, jnp.float64))
    for call, sentence in (
        (lambda: L.LandauPDE(trigonometric), "must be a radial interaction, but is a Trigonometric; use TorusPDE"),
        (lambda: L.LandauPDE(-3.0), "`interaction` must be an AbstractRadial, but is -3.0"),
        (lambda: L.LandauPDE(L.Maxwell(), conservative=1), "`conservative` must be True or False"),
        (lambda: run(law=L.PowerLaw(-2.5)), r"`gamma` must be in \[-d, 1\] = \[-2, 1\], but is -2.5"),
        (lambda: run(law=L.PowerLaw(1.5)), r"`gamma` must be in \[-d, 1\] = \[-2, 1\], but is 1.5"),
        (lambda: on(box(64, 1, 12.0)), "`state.grid` must have 2 or 3 velocity axes, but has 1"),
        (lambda: on(jk.Grid(*[jk.Axis(-6.0, 12.0, 24)] * 2)), r"axes\[0\]` must be a velocity axis, but is periodic"),
        (lambda: on(jk.Grid(long, velocity(-6.0, 12.0, 26))), "as many points on every axis, but has 24 x 26"),
        (lambda: on(jk.Grid(long, velocity(-5.0, 10.0, 24))), r"axes\[1\].length` must be that of the first axis, but is 10"),
        (lambda: on(good, 4.0), r"in the ball .* box, but 0.0\d+ of the mass is outside of it; use axes of length 2[0-3]"),
        (lambda: on(box(16, 2, 20.0), 0.5), r"must resolve the data, but 0.\d+ of the squared norm.*; use 50 points an axis"),
        (lambda: run(f - 0.1), "`state.f` must not be negative, but at one point is -0.1"),
        (lambda: run(0 * f), "`state.f` must have a positive mass"),
        (lambda: run(np.where(f > 0.1, np.nan, f)), "`state.f` must hold finite numbers"),
        (lambda: L.LandauPDE(L.Maxwell()).check_start(huge), "`state` must fit into memory, but a run on"),
        (lambda: jk.simulate(L.LandauPDE(L.Maxwell()), jk.Particles(np.ones((4, 3))), dt=0.1, num_steps=1),
         "`state` must be a Density, but is Particles"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
