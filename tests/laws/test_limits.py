"""`system.limit()`: the limit equation of every particle system, and the sentences where there is none."""

import jax
import numpy as np
import pytest

import jaxkinetic as jk

B, L, V = jk.boltzmann, jk.landau, jk.vlasov
COSINE = L.Trigonometric([[0], [1]], [1.0, 0.5])
COULOMB = L.PowerLaw(-3.0, 0.7)


@pytest.mark.parametrize("system", [L.Kac, L.IndependentNoise, L.MatrixSqrt])
def test_landau(system):
    """The three systems have one limit, with their interaction. Catches a limit with the default strength."""
    limit = system(COULOMB).limit()
    assert isinstance(limit, L.LandauPDE)
    assert limit.interaction is COULOMB
    isotropic = system(COULOMB).limit(isotropic=True, dim=2)
    assert isinstance(isotropic, L.IsotropicPDE)
    assert isotropic.dim == 2
    assert isinstance(system(COSINE).limit(), L.TorusPDE)
    with pytest.raises(ValueError, match="`isotropic` must be False on the torus, but is True"):
        system(COSINE).limit(isotropic=True)
    with pytest.raises(ValueError, match="`dim` must be left out unless isotropic=True, but is 2"):
        system(COULOMB).limit(dim=2)


def test_other_systems():
    """Walk, bodies and laws of N particles keep their parameters; microcanonical collisions warn. Catches an annihilation that
    is lost."""
    walk = B.KacWalk(B.HardSphere(2.0), 100.0, 0.3).limit()
    assert isinstance(walk, B.IsotropicPDE)
    assert float(walk.annihilation) == np.float64(0.3)
    assert float(walk.cross_section.strength) == 2.0
    assert isinstance(V.NBody(V.Cosine()).limit(), V.Vlasov)
    assert isinstance(V.PseudoSchrodinger(V.Cosine(), 2).limit(), V.HamiltonHartree)
    assert isinstance(L.Liouville(COSINE, 2).limit(), L.TorusPDE)
    with pytest.warns(UserWarning, match="only if epsilon -> 0 as N -> infinity") as caught:
        assert isinstance(L.Microcanonical(COULOMB, "heat_kernel", 0.1).limit(), L.LandauPDE)
    assert caught[0].filename == __file__  # the caller's line


@pytest.mark.parametrize(
    "system", [lambda: L.TorusPDE(COSINE), lambda: V.Vlasov(V.Cosine()), lambda: L.BackwardKolmogorov(COSINE, 2)]
)
def test_no_limit(system):
    """A limit equation has no limit."""
    with pytest.raises(ValueError, match="must be a particle system whose limit equation is known"):
        system().limit()


@pytest.mark.parametrize("name", ["torus", "landau", "isotropic", "boltzmann"])
def test_known_data_and_a_traced_parameter(name):
    """Inside `jit` and `grad` a known start is checked as outside, and bad data raise. Catches a check that computes with
    known arrays inside a trace, where the results are traced."""
    line, plane = jk.Grid(jk.Axis(0.0, 2 * np.pi, 16)), jk.Grid(*[jk.Axis(-6.0, 12.0, 24, periodic=False)] * 2)
    make, good = {
        "torus": (
            lambda s: L.TorusPDE(L.Trigonometric([[0], [1]], s * np.array([1.0, 0.5]))),
            jk.initial.on_grid(jk.initial.torus_mode, line, mode=[1], amplitude=0.5),
        ),
        "landau": (lambda s: L.LandauPDE(L.PowerLaw(-1.0, s)), jk.initial.on_grid(jk.initial.bkw, plane, beta=0.3)),
        "isotropic": (lambda s: L.IsotropicPDE(L.PowerLaw(-1.0, s)), jk.initial.radial(jk.initial.bkw, 8.0, 40)),
        "boltzmann": (lambda s: B.IsotropicPDE(B.HardSphere(s)), jk.initial.radial(jk.initial.bkw, 8.0, 40)),
    }[name]

    def entropy(strength, state):
        done = jk.simulate(make(strength), state, dt=0.01, num_steps=1, throw=False)
        return jk.diagnostics.entropy(done.final)

    assert float(jax.jit(jax.grad(lambda s: entropy(s, good)))(1.0)) < 0  # entropy falls faster
    bad = type(good)(np.asarray(good.f) - np.asarray(good.f).max() / 2, good.grid)
    with pytest.raises(ValueError, match=r"`state\.f` must not be negative"):
        jax.jit(lambda s: entropy(s, bad))(1.0)


@pytest.mark.parametrize("system", [L.IsotropicPDE(L.PowerLaw(-1.0)), B.IsotropicPDE(B.HardSphere())])
def test_traced_data_of_no_mass(system):
    """Negative data and no data end a run, if they are traced, too. Catches a check of known data only."""
    good = jk.initial.radial(jk.initial.maxwellian, 8.0, 40)

    @jax.jit
    def result(f):
        return jk.simulate(system, jk.RadialDensity(f, good.grid), dt=0.01, num_steps=1, throw=False).result

    assert str(result(good.f)) == "finished"
    for bad in (good.f - 0.3 * good.f.max(), 0 * good.f):
        assert "state.f" in str(result(bad))


def test_dissipation_of_what_is_no_density():
    """D(f) of negative data raises a sentence, and is NaN if they are traced. Catches a positive number."""
    plane = jk.initial.on_grid(jk.initial.bkw, jk.Grid(*[jk.Axis(-6.0, 12.0, 24, periodic=False)] * 2))
    line = jk.initial.radial(jk.initial.maxwellian, 8.0, 40)
    for system, state in ((L.LandauPDE(L.Maxwell()), plane), (L.IsotropicPDE(L.Maxwell()), line)):
        negative = type(state)(-state.f, state.grid)
        with pytest.raises(ValueError, match=r"`state\.f` must not be negative"):
            system.dissipation(negative)
        with pytest.raises(ValueError, match="`state` must be a"):
            system.dissipation(line if state is plane else plane)
        assert np.isnan(jax.jit(lambda s, system=system: system.dissipation(s))(negative))


def test_first_derivative():
    """At t = 0 N independent particles move at (N-1)/N of the limit's rate: d/dt E|v_1|^4 of `Kac` from the generator, over
    4000 draws of 8 particles, within 4 standard errors of (N-1)/N times the limit's, for gamma = -2; the isotropic and the
    spectral equation agree. Catches a factor 2 in time between particles and limit."""
    kac = L.Kac(L.PowerLaw(-2.0))
    slopes = []
    for limit, state in (
        (kac.limit(isotropic=True), jk.initial.radial(jk.initial.bkw, 8.0, 100, 3)),
        (kac.limit(), jk.initial.on_grid(jk.initial.bkw, jk.Grid(*[jk.Axis(-5.5, 11.0, 32, periodic=False)] * 3))),
    ):
        slopes.append(float(limit.generator(jk.diagnostics.moment)(state)))
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-4)

    def one(key):
        return kac.generator(jk.diagnostics.moment)(jk.initial.bkw(key, 8, 3))

    rates = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 4000)))
    z = (rates.mean() - 7 / 8 * slopes[0]) / (rates.std(ddof=1) / len(rates) ** 0.5)
    assert abs(z) < 4, z
