"""What `stats` say about a step that is too long and a grid that is too coarse or too small, and that a run warns."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE

import jaxkinetic as jk

V = jk.vlasov
KEY = jax.random.key(1)


def particles(num=64) -> jk.Particles:
    return jk.Particles(np.random.default_rng(0).normal(size=(num, 3)))


def walk(num: int) -> jk.boltzmann.KacWalk:
    return jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(2.0), num)


def test_mean_jumps_of_tau_leaping():
    """Sigma = 2, volume N = 64: the mean number of jumps of a particle in a step is 2 dt (N - 1)/N. Catches a number of pairs
    instead, and a step of 50 mean free times that ends without a word."""
    state, scheme = particles(), jk.pairs.TauLeap()
    short = jk.simulate(walk(64), state, scheme=scheme, key=KEY, dt=0.1, num_steps=2)
    np.testing.assert_allclose(short.stats["largest_mean_jumps"], 0.2 * 63 / 64, rtol=1e-12)
    assert short.warnings == []
    with pytest.warns(UserWarning, match=r"too long for TauLeap: a particle would jump 98.4 times .*lower `dt`"):
        long = jk.simulate(walk(64), state, scheme=scheme, key=KEY, dt=50.0, num_steps=2)
    assert "would jump 98.4 times" in str(long)
    run = {"scheme": scheme, "key": KEY, "dt": 50.0, "num_steps": 2}
    for call in (
        lambda: jk.simulate(walk(64), state, **run),
        lambda: jk.ensemble(walk(64), state, replicas=2, **run),
        lambda: next(jk.iterate(walk(64), state, chunk=2, **run)),
    ):
        with pytest.warns(UserWarning, match="would jump 98.4 times") as seen:
            call()
        assert [warning.filename for warning in seen] == [__file__], "the line of the caller, not of the library"


@pytest.mark.parametrize(
    "scheme", [jk.pairs.RandomMatching(), jk.pairs.Sweep(symmetric=False)], ids=lambda s: type(s).__name__
)
def test_turn_of_pairs(scheme):
    """Maxwell molecules, d = 3: E 4 sin^2(theta/2) = 2 (1 - e^{-8 s}) for a pair's time s = q dt/N, or the sum of q of dt/N.
    Catches an angle of the pair's mean, one of two passes counted once, and a step that is far too long."""
    num, dt = 512, 0.01
    system, state = jk.landau.Kac(jk.landau.Maxwell()), particles(512)
    matched = isinstance(scheme, jk.pairs.RandomMatching)
    q = num - 1
    exact = 2 * (1 - math.exp(-8 * q * dt / num)) if matched else 2 * q * (1 - math.exp(-8 * dt / num))
    run = jk.simulate(system, state, scheme=scheme, key=KEY, dt=dt, num_steps=1)
    # 256 pairs, each exponential: 4 standard errors are a quarter.
    assert abs(float(run.stats["turn"]) ** 2 / exact - 1) < (0.25 if matched else 0.02)
    assert run.warnings == []
    with pytest.warns(UserWarning, match=f"too long for {type(scheme).__name__}"):
        jk.simulate(system, state, scheme=scheme, key=KEY, dt=2.0, num_steps=1)


def test_drift_of_euler_maruyama():
    """Maxwell molecules: the drift is -2 (d - 1) (v - u), so that the largest share is 2 (d - 1) dt. Catches a share of the
    absolute velocity, a dead particle that counts, and a step that overshoots."""
    state = jk.Particles(particles().velocity + 7.0, alive=np.arange(64) > 0)
    system = jk.landau.MatrixSqrt(jk.landau.Maxwell())
    run = jk.simulate(system, state, key=KEY, dt=0.01, num_steps=1)
    np.testing.assert_allclose(run.stats["largest_drift"], 0.04, rtol=1e-12)
    assert run.warnings == []
    with pytest.warns(UserWarning, match="too long for EulerMaruyama: the drift .* is 2 of its speed"):
        jk.simulate(system, state, key=KEY, dt=0.5, num_steps=1)


def free_stream(system, t: float, num_v=32, amplitude=1e-3) -> jk.Solution:
    g = jk.Grid(jk.Axis(0.0, CIRCLE, 8), jk.Axis(-6.0, 12.0, num_v, periodic=False))
    f = V.perturbed(V.Maxwellian(), g, amplitude)
    state = f if system is V.Vlasov else jk.Wave(jnp.sqrt(f.f), g)
    return jk.simulate(
        system(V.Cosine(0.0)), state, dt=t / 8, num_steps=8, save=jk.Save(observe={"mode": V.density_mode})
    )


@pytest.mark.parametrize("system", [V.Vlasov, V.HamiltonVlasov])
def test_recurrence_is_not_resolved(system):
    """A free-streaming mode of amplitude 1e-3 is back, complete, at T_R = length/dv: all of the perturbation has been in the
    upper third, and the run says that it passed T_R. Catches a tail relative to the whole norm, 5e-7 here, and a mean over x
    that counts as perturbation."""
    time = CIRCLE * 32 / 12
    early = free_stream(system, 2.0)
    assert early.stats["spectral_tail_v"] < 1e-6
    assert early.warnings == []
    with pytest.warns(UserWarning, match=r"too coarse in v: the run ends at 1 times the recurrence time"):
        late = free_stream(system, time)
    modes = np.abs(late.observed["mode"])
    assert modes[-1] > 0.99 * modes[0] > 100 * modes[4]
    assert late.stats["spectral_tail_v"] > 0.9
    np.testing.assert_allclose(late.stats["recurrence"], 1.0, rtol=1e-12)
    assert "Warning: The grid is too coarse" in str(late)


@pytest.mark.parametrize("system", [V.Vlasov, V.HamiltonVlasov])
def test_mass_at_the_ends_of_open_positions(system):
    """Free particles of speed 1 leave the middle of a box that is not periodic: `boundary_mass_x` is the share in its outer
    sixteenths. Catches mass that comes back on the other side unseen."""
    g = jk.Grid(jk.Axis(-6.0, 12.0, 32, periodic=False), jk.Axis(-3.0, 6.0, 32, periodic=False))
    x, v = g.mesh
    f = jnp.exp(-(x**2) / 2 - 8 * (v - 1) ** 2)
    f = f / (jnp.sum(f) * g.cell)
    state = jk.Density(f, g) if system is V.Vlasov else jk.Wave(jnp.sqrt(f), g)
    still = jk.simulate(system(V.Harmonic(0.0)), state, dt=0.1, num_steps=1)
    assert still.stats["boundary_mass_x"] < 1e-6
    with pytest.warns(UserWarning, match="near the ends of its positions"):
        moved = jk.simulate(system(V.Harmonic(0.0)), state, dt=0.6, num_steps=10)
    # The largest over the steps of the share within .75 of the ends of what came to x = 6 and is N(6, 1 + 36/16) there.
    assert 0.2 < moved.stats["boundary_mass_x"] < 0.5


def pair_wave(potential, num=16):
    """Complex data of two particles, which repel or attract each other: not a product after some time."""
    v = jk.Axis(-5.0, 10.0 * 28 / 27, 28, periodic=False)
    one = V.PerturbedAmplitude(V.Maxwellian(0.4, CIRCLE), 0.4, twist=0.5).wave(jk.Grid(jk.Axis(0.3, CIRCLE, num), v))
    start = V.product_wave(one, 2)
    run = jk.simulate(V.PseudoSchrodinger(potential, 2), start, scheme=jk.Strang(4), dt=0.1, num_steps=10)
    return start, run.final


def test_energies_of_the_wave_of_two_particles():
    """H_N by a numpy sum over the pair, and H_{N,Vl} by derivatives of H_N; both are kept over t = 1. Catches the energy of one
    particle in two dimensions, .7237 where H_N is .3600 (HMF), and Gamma/2 or 1/N in the place of 1/(N - 1)."""
    potential = V.Cosine()
    start, end = pair_wave(potential)
    assert start.num_particles == end.num_particles == 2
    x, y, v, w = np.meshgrid(*(np.asarray(axis.points) for axis in end.grid.axes), indexing="ij")
    cell = float(end.grid.cell)
    for wave in (start, end, end.fourier_picture()):
        alpha = np.asarray(wave.velocity_picture().alpha)
        hamiltonian = (v**2 + w**2) / 2 - np.cos(x - y)
        np.testing.assert_allclose(
            V.energy(wave, potential), np.sum(hamiltonian * np.abs(alpha) ** 2) * cell, rtol=1e-10
        )
        np.testing.assert_allclose(V.energy(wave, potential), 0.36, atol=1e-5)
        waves = [axis.num / float(axis.length) * 2 * np.pi * np.fft.fftfreq(axis.num) for axis in wave.grid.axes]

        def along(axis, alpha=alpha, waves=waves):
            k = waves[axis].reshape([-1 if i == axis else 1 for i in range(4)])
            return np.fft.ifft(1j * k * np.fft.fft(alpha, axis=axis), axis=axis)

        bracket = 0.0
        for m in (0, 1):
            a, b = along(m), along(2 + m)
            bracket = bracket + np.conj(a) * b - np.conj(b) * a
        known = (np.sum(hamiltonian * bracket) * cell / 2j).real
        np.testing.assert_allclose(V.hamiltonian(wave, potential), known, atol=2e-5)
    np.testing.assert_allclose(V.hamiltonian(end, potential), V.hamiltonian(start, potential), atol=1e-5)
    assert abs(float(V.hamiltonian(end, potential))) > 1e-3


def test_observables_refuse_what_they_do_not_describe():
    """Catches numbers for a potential that a run from this state would refuse, for replicas, for velocities alone, and a wave
    of two particles in the equation of one."""
    g = jk.Grid(jk.Axis(0.0, CIRCLE, 8), jk.Axis(-4.0, 8.0, 8, periodic=False))
    f = V.perturbed(V.Maxwellian(0.5), g, 0.1)
    wave = jk.Wave(jnp.sqrt(f.f), g)
    bodies = jk.Particles(jnp.ones((3, 2)), jnp.ones((3, 2)))
    replicas = jax.vmap(lambda a: V.perturbed(V.Maxwellian(0.5), g, a))(jnp.ones(2))
    for fn, sentence in (
        (lambda: V.potential_energy(f, V.Harmonic()), "axis that is not periodic, for Harmonic"),
        (lambda: V.hamiltonian(wave, V.Harmonic()), "axis that is not periodic, for Harmonic"),
        (lambda: V.energy(f, V.Poisson(3.0)), "torus of length 3, that of Poisson"),
        (lambda: V.energy(V.product_wave(wave, 2), V.Poisson(3.0)), "torus of length 3, that of Poisson"),
        (lambda: V.energy(f, lambda x: x), "`potential` must be a potential"),
        (lambda: V.energy(bodies, V.Poisson(3.0)), "is Poisson in d = 2"),
        (lambda: V.energy(jk.Particles(jnp.ones((1, 1)), jnp.ones((1, 1))), V.Cosine()), "hold at least 2 particles"),
        (lambda: V.kinetic_energy(replicas), r"shape of its grid, \(8, 8\), but has shape \(2, 8, 8\)"),
        (lambda: V.momentum(jk.Density(jnp.ones(8), jk.Grid(g.axes[1]))), "grid of phase space"),
        (lambda: V.density(bodies), "`state` must be a Density or a Wave, but is a Particles"),
        (lambda: V.first_marginal(wave), "of two particles or more"),
        (lambda: jk.Wave(wave.alpha, g, num_particles=2), "`num_particles` must be 1 or 1"),
        (lambda: jk.simulate(V.HamiltonVlasov(V.Cosine()), V.product_wave(wave, 2), dt=0.1, num_steps=1),
         "wave of one particle"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            fn()
