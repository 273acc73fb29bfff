"""Traced parameters out of range: a run ends with a fault that names the parameter, other functions give NaN."""

import logging

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE

import jaxkinetic as jk
from jaxkinetic.vlasov import dispersion

B, L, V, D = jk.boltzmann, jk.landau, jk.vlasov, jk.diagnostics
KEY = jax.random.key(0)


def particles(num=4, dim=3) -> jk.Particles:
    return jk.Particles(np.random.default_rng(0).normal(size=(num, dim)))


def bodies() -> jk.Particles:
    return jk.Particles(np.ones((3, 1)), np.arange(3.0)[:, None])


def grid(length=CIRCLE) -> jk.Grid:
    return jk.Grid(jk.Axis(0.0, length, 4), jk.Axis(-5.0, 10.0, 8, periodic=False))


def density(g: jk.Grid) -> jk.Density:
    return jk.Density(jnp.exp(-(g.mesh[1] ** 2)), g)


def wave(a) -> jk.Wave:
    f = density(grid())
    return jk.Wave(a * jnp.sqrt(f.f / f.mass), f.grid)


def unit(w: jk.Wave) -> jk.Wave:
    return jk.Wave(w.alpha / jnp.sqrt(w.mass).astype(w.alpha.dtype), w.grid)


def circle(length=2 * np.pi) -> jk.Grid:
    return jk.Grid(jk.Axis(0.0, length, 4))


def law(a, length=2 * np.pi) -> jk.Density:
    """A density on four points of the circle, one of which is a."""
    return jk.Density(jnp.ones(4).at[0].set(a), circle(length))


def two(row) -> jk.Density:
    return jk.Density(row[:, None] * jnp.ones((4, 4)), jk.Grid(*circle().axes * 2))


# A system and a state from a number; one that is in range, one that is not, and the sentence.
CASES = {
    "annihilation": (
        lambda a: (B.KacWalk(B.Maxwell(), 5.0, a), particles()), 0.5, 2.0, r"`annihilation` must be in \[0, 1\], but is 2"
    ),
    "negative": (lambda a: (B.KacWalk(B.Maxwell(), 5.0, a), particles()), 0.5, -1.0, "`annihilation` .*, but is -1"),
    "volume": (lambda a: (B.KacWalk(B.Maxwell(), a), particles()), 5.0, -5.0, "`volume` must be positive, but is -5"),
    "vhs": (
        lambda a: (B.KacWalk(B.VariableHardSphere(a), 5.0), particles()), 1.0, 2.5, r"`gamma` must be in \[0, 2\], but is 2.5"
    ),
    "hard": (lambda a: (B.KacWalk(B.HardSphere(a), 5.0), particles()), 1.0, -1.0, "`strength` must be positive"),
    "gamma": (lambda a: (L.Kac(L.PowerLaw(a)), particles()), -3.0, -3.5, "`gamma` must be at least -d = -3, but is -3.5"),
    "softening": (lambda a: (L.Kac(L.PowerLaw(0.0, 1.0, a)), particles()), 0.1, -0.1, "`softening` must not be negative"),
    "nan": (lambda a: (L.Kac(L.Maxwell(a)), particles()), 1.0, np.nan, "`strength` must not be negative, but is nan"),
    "angle": (lambda a: (L.Microcanonical(L.Maxwell(), "fixed_angle", a), particles()), 3.0, 3.5, "`epsilon` must be an angle"),
    "floor": (
        lambda a: (L.Microcanonical(L.PowerLaw(-1.0), "constant_rate", 0.1, a), particles()), 0.1, -0.1, "`floor` must be"
    ),
    "elliptic": (
        lambda a: (L.MatrixSqrt(L.Trigonometric([[0], [1]], jnp.stack([jnp.ones_like(a), a]))), particles(4, 1)),
        0.5, -1.5, "`interaction` must be elliptic",
    ),
    "width": (lambda a: (V.NBody(V.Gaussian(1.0, a)), bodies()), 1.0, -1.0, "`width` must be positive, but is -1"),
    "poisson": (lambda a: (V.Vlasov(V.Poisson(a)), density(grid())), CIRCLE, 5.0, "`grid` must have .*, but has length 6.28"),
    "alive": (
        lambda a: (L.Kac(L.Maxwell()), jk.Particles(particles().velocity, alive=jnp.arange(4.0) < a)), 2.0, 1.0,
        "`state` must hold at least 2 particles that are alive, but holds 1",
    ),
    "norm": (lambda a: (V.HamiltonVlasov(V.Cosine()), wave(a)), 1.0, 3.0, "`state` must have unit norm, .* but has 9;"),
    "ends": (
        lambda a: (V.Vlasov(V.Cosine()), jk.Density(density(grid()).f + a, grid())), 0.0, 0.25,
        "`state` must decay towards the ends of its velocity axis 0, but is there, relative to its largest value, 0.2",
    ),
    "wave ends": (
        lambda a: (V.HamiltonVlasov(V.Cosine()), unit(jk.Wave(jnp.sqrt(density(grid()).f + a), grid()))), 0.0, 0.25,
        "`state` must decay towards the ends of its velocity axis 0, but is there, relative to its largest value, 0.2",
    ),
    "law": (
        lambda a: (L.TorusPDE(L.Trigonometric([[0], [1]], [1.0, 0.5])), law(a)), 0.1, -0.1,
        "`state.f` must not be negative, but at one point is -0.1",
    ),
    "mass": (
        lambda a: (L.Liouville(L.Trigonometric([[0], [1]], [1.0, 0.5]), 2), two(jnp.stack([a] * 4))), 0.1, 0.0,
        "`state.f` must have a positive mass",
    ),
    "axis": (lambda a: (V.Vlasov(V.Gaussian()), density(grid(a))), CIRCLE, -5.0, "`length` must be positive, but is -5"),
}  # fmt: skip


def result(make, **options):
    """A jitted run of one step, as a function of the number."""

    @jax.jit
    def run(number, dt=0.01):
        system, state = make(number)
        scheme = system.default_scheme()
        key = KEY if scheme.needs_key else None
        return jk.simulate(system, state, key=key, dt=dt, num_steps=1, **options).result

    return run


@pytest.mark.parametrize("name", CASES)
def test_traced_parameter_out_of_range_is_named(name):
    """Catches a run with a probability of 2, or a law that is too singular, which finishes without a word because its
    parameter was traced."""
    make, good, bad, sentence = CASES[name]
    run = result(make, throw=False)
    assert str(run(good)) == "finished"
    assert run(good).parameter == -1
    failed = run(bad)
    assert failed.code != jk.Result.FINISHED
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(str(failed))


def test_traced_step_and_several_runs(caplog):
    """dt, and one replica of three under `vmap`; with `throw` the error names the parameter. Catches a check that is made for
    parameters of the system alone, and an error that does not say which."""
    make = CASES["annihilation"][0]
    run = result(make, throw=False)
    assert "`dt` must be positive, but is -0.1" in str(run(0.5, -0.1))
    several = jax.vmap(run)(jnp.asarray([0.1, 1.5, 0.2]))
    assert several.code.tolist() == [0, jk.Result.OUT_OF_RANGE, 0]
    assert "but is 1.5; it is a probability. (1 of 3 runs)" in str(several)
    # JAX logs the error too.
    caplog.set_level(logging.CRITICAL, logger="jax._src.callback")
    with pytest.raises(Exception, match="`annihilation` must be in"):
        result(make)(1.5)


def test_continuation_names_the_parameter():
    """A run whose traced parameter was out of range, continued inside `jit`. Catches a continuation that forgets which."""

    @jax.jit
    def run(alpha):
        walk = B.KacWalk(B.Maxwell(), 5.0, alpha)
        first = jk.simulate(walk, particles(), key=KEY, dt=0.1, num_steps=1, throw=False)
        return jk.simulate(walk, first.checkpoint, num_steps=1, throw=False).result

    assert "`annihilation` must be in" in str(run(2.0))
    assert str(run(0.5)) == "finished"


def test_known_parameter_that_was_replaced():
    """Catches a parameter that `eqx.tree_at` put out of range after the constructor's check."""
    walk = eqx.tree_at(lambda w: w.annihilation, B.KacWalk(B.Maxwell(), 5.0), jnp.asarray(2.0))
    with pytest.raises(ValueError, match="`annihilation` must be in"):
        jk.simulate(walk, particles(), key=KEY, dt=0.1, num_steps=1)


def step_law(x):
    """A distribution function that has a value at NaN."""
    return jnp.where(x > 1.0, 1.0, 0.0)


OUTSIDE = {
    "temperature": (lambda a: jk.initial.maxwellian(KEY, 4, 2, temperature=a).velocity, 1.0, -1.0),
    "beta": (lambda a: jk.initial.bkw(KEY, 4, 3, beta=a).velocity, 0.3, 0.9),
    "torus": (lambda a: jk.initial.torus_mode(KEY, 4, [1], a).velocity, 0.5, 1.5),
    "quiet": (lambda a: V.quiet_start(V.Maxwellian(1.0, CIRCLE), 4, a).position, 0.5, 1.5),
    "twisted": (lambda a: V.PerturbedAmplitude(V.Maxwellian(1.0, CIRCLE), a)(jnp.ones(2), jnp.ones(2)).real, 0.5, 1.0),
    "gaussian": (lambda a: V.GaussianAmplitude(a * jnp.eye(2))(jnp.ones(2), jnp.ones(2)).real, 0.5, -1.0),
    "ou": (lambda a: L.exact.ornstein_uhlenbeck(KEY, particles(), a).velocity, 0.5, -0.5),
    "bandwidth": (lambda a: D.kde_entropy(particles(), bandwidth=a), 0.5, -0.5),
    "box": (lambda a: D.rescaled_density(particles(), volume=a), 0.5, -0.5),
    "length": (lambda a: V.perturbed(V.Maxwellian(1.0, a), grid(), 0.1).f, CIRCLE, 5.0),
    "amplitude": (lambda a: V.perturbed(V.Maxwellian(1.0, CIRCLE), grid(), a).f, 1.0, -3.0),
    "quantile u": (lambda a: jk.pairs.spherical_heat_quantile(a, 0.3, 3), 0.5, 2.0),
    "quantile tau": (lambda a: jk.pairs.spherical_heat_quantile(0.5, a, 2), 0.3, -1.0),
    "cdf x": (lambda a: jk.pairs.spherical_heat_cdf(a, 0.3, 2), 0.5, 2.0),
    "cdf tau": (lambda a: jk.pairs.spherical_heat_cdf(0.5, a, 3), 0.3, -1.0),
    "kernel": (lambda a: jk.pairs.spherical_heat_kernel(KEY, a, 2), 0.3, -1.0),
    "edges": (lambda a: D.histogram(particles(), edges=jnp.stack([0.0 * a, a, 2.0 + 0.0 * a])), 1.0, 3.0),
    "l1": (lambda a: D.marginal_l1(particles(), step_law, edges=jnp.stack([0.0 * a, a, 2.0 + 0.0 * a])), 1.0, 3.0),
    "times": (lambda a: D.self_similar_time(jnp.stack([0.0 * a, a, 2.0 + 0.0 * a]), np.ones(3), np.ones(3)), 1.0, 3.0),
    "density": (lambda a: D.self_similar_time(np.arange(2.0), jnp.stack([a, a]), np.ones(2))[1], 1.0, -1.0),
    "a": (lambda a: L.PowerLaw(-3.0, a).a(np.array([1.0, 2.0]))[0], 1.0, -3.0),
    "b": (lambda a: L.PowerLaw(-3.0, 1.0, a).b(np.array([1.0, 2.0])), 1.0, -3.0),
    "sigma": (lambda a: L.Maxwell(a).sigma(np.array([1.0, 2.0])), 1.0, -3.0),
    "walk": (lambda a: B.KacWalk(B.HardSphere(), 5.0, a).generator(lambda s: s.num_alive)(particles()), 1.0, 3.0),
    "energy": (lambda a: V.energy(bodies(), V.Gaussian(1.0, a)), 1.0, -1.0),
    "grid energy": (lambda a: V.energy(density(grid()), V.Gaussian(1.0, a)), 1.0, -1.0),
    "hamiltonian": (lambda a: V.hamiltonian(wave(1.0), V.Gaussian(1.0, a)), 1.0, -1.0),
    "length of a potential": (lambda a: V.energy(density(grid()), V.Poisson(a, 1.0)), CIRCLE, 5.0),
    "length of a wave": (lambda a: V.hamiltonian(wave(1.0), V.Poisson(a, 1.0)), CIRCLE, 5.0),
    "product": (lambda a: jk.product(law(a), 2).f, 0.1, -0.1),
    "grids": (lambda a: D.relative_entropy(law(0.5), law(0.5, a)), 2 * np.pi, 6.0),
    "grid of a particle": (
        lambda a: D.entropy_per_particle(two(0.02533 * jnp.ones(4)), jk.Density(0.1591 * jnp.ones(4), circle(a))),
        2 * np.pi,
        6.0,
    ),
    "masses": (
        lambda a: D.entropy_per_particle(jk.product(law(0.5), 2), jk.Density(a * jnp.ones(4), circle())),
        0.5 / np.pi,
        0.7,
    ),
    "dissipation": (
        lambda a: L.Liouville(L.Trigonometric([[0], [1]], [1.0, 0.5]), 2, "kac").dissipation(
            two(jnp.stack([a, 1 + a] * 2))
        ),
        0.1,
        -0.1,
    ),
    "generator": (lambda a: L.Kac(L.Maxwell(a)).generator(D.energy)(particles()), 1.0, -3.0),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_functions_outside_of_runs_give_nan(name):
    """Catches a start, a law or a diagnostic that returns a plausible number for a traced argument out of range."""
    fn, good, bad = OUTSIDE[name]
    fn = jax.jit(fn)
    assert np.isfinite(fn(good)).all()
    assert np.isnan(fn(bad)).all()


def test_homogeneous_state_has_the_mass_of_its_grid():
    """A `Maxwellian` without length takes that of the grid, one of another length raises, and nothing is evaluated for a length
    that nobody gave. Catches a mass of 12.6 from a default length of 1."""
    long = grid(2 * CIRCLE)
    for f0 in (V.Maxwellian(0.5), V.TwoStream(1.0, 0.3)):
        np.testing.assert_allclose(V.perturbed(f0, long, 0.1).mass, 1, rtol=0.05)
        with pytest.raises(ValueError, match="`length` must be given"):
            f0(jnp.ones(2))
        with pytest.raises(ValueError, match="`f0` must have a length"):
            V.quiet_start(f0, 4)
    with pytest.raises(ValueError, match=r"`f0` must have the length of the grid, 12.5664, .* but has length 6.28319"):
        V.perturbed(V.Maxwellian(0.5, CIRCLE), long, 0.1)
    with pytest.raises(ValueError, match="`f0` must have a length"):
        V.PerturbedAmplitude(V.Maxwellian(0.5), 0.1)


def test_dispersion_root_of_traced_numbers(monkeypatch):
    """A traced scale, temperature, wavenumber or width that would raise gives NaN, an admissible one does not. Catches a root
    of an integral that is cut off, or of a rule with a negative step. (The search itself is replaced.)"""
    monkeypatch.setattr(dispersion, "_known_root", lambda *_: jax.lax.complex(jnp.ones(()), jnp.ones(())))

    @jax.jit
    def root(scale=0.4, temperature=0.1, k=1.0, width=0.8):
        f0 = V.Maxwellian(temperature, 2 * np.pi)
        cosine = V.dispersion_root(V.Cosine(), f0, k, scale=scale)
        return jnp.stack([cosine, V.dispersion_root(V.Gaussian(-3.0, width), f0, k, scale=scale)])

    assert np.isfinite(root()).all()
    for bad in ({"scale": -1.0}, {"scale": 0.02}, {"temperature": 4.0}, {"k": -1.0}):
        assert np.isnan(root(**bad)).all(), bad
    assert np.isnan(root(k=2.0)).tolist() == [True, False]
    assert np.isnan(root(width=-0.8)).tolist() == [False, True]
