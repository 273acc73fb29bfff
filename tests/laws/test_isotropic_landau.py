"""The isotropic Landau equation: exact solutions, tables, conservation, entropy, the kernel, rough data, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk
from jaxkinetic.landau.isotropic_kernel import kernel_table

L = jk.landau
GAMMAS = (-3.0, -2.0, -1.0, 0.0, 1.0)
entropy, energy = jk.diagnostics.entropy, jk.diagnostics.energy
fourth = functools.partial(jk.diagnostics.moment, order=4)


def shell(v):
    """The datum of the Coulomb table, ~ v^2 e^{-v^2/1.2} with T = 1."""
    return v**2 * jnp.exp(-(v**2) / 1.2) / (1.2**2.5 * 1.5 * np.pi**1.5)


def mass(state):
    return state.mass


def start(law=jk.initial.bkw, num=60, dim=3, radius=9.0, **parameters):
    return jk.initial.radial(law, radius, num, dim, **parameters)


def test_coulomb_table():
    """M4/15 and H - H_M from the shell at t = .1, .5, 1, 4, at 80 points: within the rounding of the table, 5e-7, and 1e-7.
    Catches a Coulomb kernel without its correction at the diagonal, and a factor 2 in the strength."""
    times, dt = np.array([0.1, 0.5, 1.0, 4.0]), 0.005
    save = jk.Save(steps=tuple(np.rint(times / dt).astype(int)), observe={"M4": fourth, "H": entropy})
    kept = jk.simulate(L.IsotropicPDE(L.PowerLaw(-3.0)), start(shell, 80), dt=dt, num_steps=800, save=save).observed
    np.testing.assert_allclose(kept["M4"] / 15, [0.849711, 0.879237, 0.903965, 0.964207], atol=6e-7)
    fall = kept["H"] - L.exact.maxwellian_entropy(3)
    np.testing.assert_allclose(fall, [0.047053, 0.022616, 0.012427, 0.001501], atol=6e-7)


@pytest.mark.parametrize(("dim", "num", "beta", "close"), [(3, 60, 0.3, 1e-9), (3, 90, 0.4, 1e-9), (2, 120, 0.5, 5e-8)])
def test_bkw(dim, num, beta, close):
    """Maxwell molecules at t = .1: f, M4 and H of the exact solution; also where f(0) = 0 at the start (the largest beta).
    Catches a kernel of another dimension, and fluxes near v = 0 that are not exact for even d (1e-5)."""
    state, steps = start(num=num, dim=dim, beta=beta), 400
    final = jk.simulate(
        L.IsotropicPDE(L.Maxwell(), dim), state, dt=0.1 / steps, num_steps=steps, scheme=jk.RungeKutta(4)
    ).final
    exact = L.exact
    np.testing.assert_allclose(final.f, exact.bkw_density(np.asarray(state.grid.speeds), 0.1, dim, beta), atol=close)
    np.testing.assert_allclose(fourth(final), exact.bkw_moment(0.1, 4, dim, beta), atol=10 * close)
    np.testing.assert_allclose(entropy(final), exact.bkw_entropy(0.1, dim, beta), atol=close)


@pytest.fixture(scope="module")
def runs():
    """(masses, energies, entropies, final f, dissipation, -dH/dt at the start) for five gammas in one program. R and the number
    of points are too small on purpose: what is exact is so on every grid."""

    @jax.jit
    @jax.vmap
    def run(gamma):
        state, system = start(shell, 30, radius=7.0), L.IsotropicPDE(L.PowerLaw(gamma))
        save = jk.Save(every=1, observe={"mass": mass, "energy": energy, "H": entropy})
        done = jk.simulate(system, state, dt=0.01, num_steps=50, save=save, throw=False)
        kept = done.observed
        rate = -system.generator(entropy)(state)
        return kept["mass"], kept["energy"], kept["H"], done.final.f, system.dissipation(state), rate

    return [np.asarray(x) for x in run(jnp.asarray(GAMMAS))]


def test_conserved_and_entropy_falls(runs):
    """Mass and energy to round-off, H falls at every step (until round-off), f > 0, for gamma from -3 to 1. Catches a table
    that is not symmetric, and a difference of e that is not 1."""
    masses, energies, entropies, final = runs[:4]
    np.testing.assert_allclose(masses, masses[:, :1] + 0 * masses, rtol=3e-15)
    np.testing.assert_allclose(energies, energies[:, :1] + 0 * energies, rtol=3e-15)
    assert (np.diff(entropies) < 1e-14).all()
    assert (np.diff(entropies)[:, :20] < 0).all()
    assert (final > 0).all()


def test_dissipation(runs):
    """`dissipation` is -dH/dt of the discrete equation to round-off; for Maxwell molecules it is (d-1)(I - d): 1.777778 for BKW
    at beta = .4, where log f is singular at v = 0. Catches a missing factor 1/2 and other differences for H than for f."""
    np.testing.assert_allclose(runs[4], runs[5], rtol=1e-12)
    system = L.IsotropicPDE(L.Maxwell())
    state = start(beta=0.3)
    exact = 2 * (jk.diagnostics.fisher_information(state) - 3)
    np.testing.assert_allclose(system.dissipation(state), exact, rtol=1e-6)
    np.testing.assert_allclose(system.dissipation(start(num=200, beta=0.4)), 16 / 9, rtol=1.5e-5)


def test_order_for_coulomb():
    """The derivative of M4 from a smooth datum, against 240 points: order above 8, where the kink of the kernel alone gives 4.
    Catches a correction at the diagonal with the wrong sign or only one term."""
    system = L.IsotropicPDE(L.PowerLaw(-3.0))
    rates = [float(system.generator(fourth)(start(num=num, beta=0.3))) for num in (40, 80, 240)]
    errors = np.abs(np.array(rates[:2]) - rates[2])
    assert errors[1] < 2e-9
    assert errors[0] > 2**8 * errors[1]


class Screened(L.AbstractRadial):
    """psi = e^{-r}/(r^2 + s^2)^{3/2}, a user's interaction."""

    width: jax.Array

    def psi(self, r2):
        return jnp.exp(-jnp.sqrt(r2)) / (r2 + self.width.astype(r2.dtype) ** 2) ** 1.5


def test_kernel():
    """Off the diagonal's neighbours, the table against sums over many angles, and for Coulomb against (2/3) min^2/max. All
    entries are positive: H could rise otherwise. Catches a wrong measure on the sphere and too few angles."""
    for dim, law in ((2, L.PowerLaw(-2.0)), (3, Screened(jnp.asarray(0.1))), (4, L.PowerLaw(0.7, 0.5, 0.2))):
        grid = jk.RadialGrid(6.0, 24, dim)
        got = np.asarray(kernel_table(law, grid))
        assert (got[~np.eye(23, dtype=bool)] > 0).all()
        assert np.array_equal(got, got.T)
        theta = (np.arange(20000) + 0.5) * np.pi / 20000
        for i, j in ((0, 3), (4, 9), (22, 17)):
            v, w = 0.25 * (i + 1), 0.25 * (j + 1)
            psi = np.asarray(law.psi(jnp.asarray(v**2 + w**2 - 2 * v * w * np.cos(theta))))
            measure = np.sin(theta) ** (dim - 2)
            want = (v * w) ** 2 * np.sum(psi * np.sin(theta) ** 2 * measure) / np.sum(measure)
            np.testing.assert_allclose(got[i, j], want, rtol=1e-7)
    v = 0.25 * np.arange(1, 24)
    low, high = np.minimum.outer(v, v), np.maximum.outer(v, v)
    coulomb = np.asarray(kernel_table(L.PowerLaw(-3.0), jk.RadialGrid(6.0, 24, 3)))
    far = high - low > 0.6
    np.testing.assert_allclose(coulomb[far], (2 / 3 * low**2 / high)[far], rtol=1e-13)
    for gamma in GAMMAS:
        for softening in (0.0, 0.1, 1.0):
            table = kernel_table(L.PowerLaw(gamma, 1.0, softening), jk.RadialGrid(6.0, 24, 3))
            assert (np.asarray(table)[~np.eye(23, dtype=bool)] > 0).all()


def test_stiffness_is_a_bound():
    """The eigenvalues of the derivative are below `stiffness`, which is at most 15 times too large (5 once f(0) > 0). Catches a
    bound without the weights of even d, and one for another order."""
    for dim, gamma, beta, most in ((3, -3.0, 0.4, 15), (3, 1.0, 0.3, 3), (2, -2.0, 0.3, 3), (2, 0.0, 0.3, 5)):
        state, system = start(num=40, dim=dim, beta=beta), L.IsotropicPDE(L.PowerLaw(gamma), dim)
        plan = system.make_plan(state)
        jacobian = jax.jacfwd(lambda f: plan.vector_field(0.0, jk.RadialDensity(f, state.grid)).f)(state.f)  # noqa: B023
        values = np.linalg.eigvals(np.asarray(jacobian))
        radius = np.abs(values).max()
        assert values.real.max() < 1e-9 * radius
        assert radius < float(system.stiffness(0.0, state)) < most * radius


def test_gradients():
    """Reverse-mode gradients in gamma, strength and softening, and in a parameter of the datum, against differences, to 1e-6.
    Catches a table that is not differentiated."""

    @jax.jit
    def total(p):
        state = start(num=44, radius=8.0, beta=p[3])
        done = jk.simulate(L.IsotropicPDE(L.PowerLaw(*p[:3])), state, dt=0.02, num_steps=8, throw=False)
        return entropy(done.final) + fourth(done.final)

    p, small = jnp.asarray([-2.5, 0.8, 0.3, 0.3]), 1e-3
    # Fourth-order differences.
    steps = small * np.eye(4)
    weights = ((-2, 1), (-1, -8), (1, 8), (2, -1))
    want = [sum(w * float(total(p + k * step)) for k, w in weights) / (12 * small) for step in steps]
    got = np.asarray(jax.jit(jax.grad(total))(p))
    assert (np.abs(got) > 1e-3).all()
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_table_is_computed_once():
    """A run evaluates psi for one table, not for one in each stage. Catches a scheme that ignores the plan."""
    calls = []

    class Counted(L.AbstractRadial):
        def psi(self, r2):
            calls.append(r2.shape)
            return jnp.ones_like(r2)

    state, system = start(num=24, radius=7.0), L.IsotropicPDE(Counted())
    plan = jax.make_jaxpr(lambda f: system.make_plan(jk.RadialDensity(f, state.grid)).kernel)(state.f)
    once = sum(shape == (23, 23) for shape in calls)
    assert plan is not None
    calls.clear()
    jax.make_jaxpr(lambda f: jk.simulate(system, jk.RadialDensity(f, state.grid), dt=0.01, num_steps=3, throw=False).final.f)(
        state.f
    )  # fmt: skip
    assert sum(shape == (23, 23) for shape in calls) == once


def test_edge_of_a_support_and_underflow():
    """A uniform ball, f = 0 outside, and in float32 a Maxwellian that underflows: no NaN, f spreads, mass and energy are kept
    and H falls to that of the Maxwellian. Catches log 0, and a mean of f that vanishes where f does on one side."""

    def ball(v):
        return jnp.where(v < np.sqrt(5.0), 3 / (4 * np.pi * 5**1.5), 0.0)

    for dtype, radius, close in (("float64", 9.0, 1e-13), ("float32", 16.0, 1e-5)):
        state = jax.tree.map(lambda x: x.astype(dtype), start(ball, 60, radius=radius))  # noqa: B023
        save = jk.Save(every=20, observe={"mass": mass, "energy": energy, "H": entropy})
        done = jk.simulate(L.IsotropicPDE(L.PowerLaw(0.0)), state, dt=0.002, num_steps=1000, save=save)
        kept = {name: np.asarray(x) for name, x in done.observed.items()}
        np.testing.assert_allclose(kept["mass"], kept["mass"][0], rtol=close)
        np.testing.assert_allclose(kept["energy"], kept["energy"][0], rtol=close)
        assert (np.diff(kept["H"]) < 10 * close).all()
        number, temperature = float(state.mass), float(jk.diagnostics.temperature(state))
        final = number * (np.log(number) + L.exact.maxwellian_entropy(3, temperature))
        np.testing.assert_allclose(kept["H"][-1], final, atol=10 * close)
        assert float(done.stats["negative_mass"]) < 1e-9


def test_float32():
    """float32 gives M4 and f of float64 to 1e-5. Catches constants in double precision and sums that cancel."""
    state = start(shell, 60)
    finals = []
    for dtype in ("float64", "float32"):
        cast = jax.tree.map(lambda x: x.astype(dtype), state)  # noqa: B023
        finals.append(jk.simulate(L.IsotropicPDE(L.PowerLaw(-3.0)), cast, dt=0.01, num_steps=50).final)
    assert finals[1].f.dtype == jnp.float32
    np.testing.assert_allclose(finals[1].f, finals[0].f, atol=1e-6)
    np.testing.assert_allclose(fourth(finals[1]), fourth(finals[0]), rtol=1e-5)


def test_errors_and_warnings():
    """Catches raw errors for states, interactions and grids that do not fit, and errors that do not name the R or num that
    would do."""
    system = L.IsotropicPDE(L.PowerLaw(-3.0))

    def run(state, system=system):
        return jk.simulate(system, state, dt=0.001, num_steps=1)

    good = start(num=60)
    line = jk.Density(jnp.ones(8) / 8, jk.Grid(jk.Axis(0.0, 1.0, 8)))
    for call, sentence in (
        (lambda: L.IsotropicPDE(L.Trigonometric([[0], [1]], [1.0, 0.5])), "is a Trigonometric.*use jk.landau.TorusPDE"),
        (lambda: L.IsotropicPDE(3), "`interaction` must be a radial interaction, but is 3"),
        (lambda: L.IsotropicPDE(L.Maxwell(), dim=1), "`dim` must be at least 2, but is 1"),
        (lambda: run(line), "`state` must be a RadialDensity, but is Density.*or use jk.landau.LandauPDE"),
        (lambda: run(start(dim=2)), r"`state` must be a density in R\^3, as `dim` says, but is one in R\^2"),
        (lambda: run(good, L.IsotropicPDE(L.PowerLaw(-3.5))), "`gamma` must be at least -d = -3, but is -3.5"),
        (lambda: run(start(num=23)), "`num` must be at least 24, but is 23"),
        (lambda: run(start(num=60, radius=40.0)), r"`num` must give a spacing below half the thermal speed.*at least 160\."),
        (lambda: run(start(num=60, radius=3.0)), r"`R` must be so large that .*but is 3, where .* use R = 8\."),
        (lambda: run(jk.RadialDensity(good.f.at[3].set(-0.1), good.grid)), "`state.f` must not be negative, but at one point"),
        (lambda: run(jk.RadialDensity(good.f.at[3].set(jnp.nan), good.grid)), "`state.f` must hold finite numbers"),
        (lambda: run(jk.RadialDensity(0 * good.f, good.grid)), "`state.f` must have a positive mass"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
    with pytest.warns(UserWarning, match=r"f is not negligible at its end R; enlarge R by 1\.[0-9]"):
        run(start(num=60, radius=6.0))
    with pytest.warns(UserWarning, match="The grid is too coarse"):
        run(start(jk.initial.rosenbluth, 32, radius=12.0, sharpness=20.0))


def test_stiffness_of_a_shell_with_an_empty_middle():
    """Where f underflows the bound is finite, in both precisions, and 20 steps by RKC agree to 1e-5. Catches 0/0 in the bound,
    of which RKC made its least number of stages (wrong by a third)."""
    found = []
    for dtype in ("float32", "float64"):
        state = jk.initial.radial(jk.initial.rosenbluth, 8.0, 100, 3, sharpness=40.0)
        state = jax.tree.map(lambda x, dtype=dtype: x.astype(dtype), state)
        system = L.IsotropicPDE(L.PowerLaw(-3.0))
        run = jk.simulate(system, state, dt=0.01, num_steps=20)
        assert np.isfinite(system.stiffness(0.0, state))
        assert run.stats["stages_missing"] == 0
        found.append(np.asarray(run.final.f, float))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5 * found[1].max())
