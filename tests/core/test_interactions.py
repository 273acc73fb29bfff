"""a, b = div a, sigma sigma^T = a; what happens at z = 0; and the matrix root with its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import particles
from registry import Anisotropic, Yukawa

import jaxkinetic as jk
from jaxkinetic.landau import AbstractRadial, IndependentNoise, Kac, MatrixSqrt, Maxwell, PowerLaw, symmetric_root

INTERACTIONS = {
    "maxwell": Maxwell(1.3),
    "coulomb": PowerLaw(-3.0),
    "softened": PowerLaw(-3.0, strength=2.0, softening=0.5),
    "hard": PowerLaw(1.0),
    "yukawa": Yukawa(0.9, 1.3),
    "anisotropic": Anisotropic(0.4),
}
interactions = pytest.mark.parametrize("interaction", INTERACTIONS.values(), ids=INTERACTIONS)


@interactions
@pytest.mark.parametrize("dim", [2, 3, 5])
def test_b_is_div_a_and_sigma_is_root_of_a(interaction, dim):
    """Catches the -2 |z|^g z of d = 3 in other dimensions, and a projection without its r."""
    z = jax.random.normal(jax.random.key(dim), (11, 4, dim))
    divergence = jnp.trace(jax.vmap(jax.vmap(jax.jacfwd(interaction.a)))(z), axis1=-2, axis2=-1)
    np.testing.assert_allclose(interaction.b(z), divergence, rtol=1e-10, atol=1e-10)
    sigma = interaction.sigma(z)
    np.testing.assert_allclose(sigma @ jnp.swapaxes(sigma, -1, -2), interaction.a(z), rtol=1e-10, atol=1e-12)
    x = jax.random.normal(jax.random.key(1), z.shape)
    components = interaction.sigma_components(tuple(jnp.moveaxis(z, -1, 0)), tuple(jnp.moveaxis(x, -1, 0)))
    np.testing.assert_allclose(
        jnp.stack(components, -1), jnp.einsum("...ij,...j->...i", sigma, x), rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("interaction", [PowerLaw(-3.0), Anisotropic(0.4)], ids=["coulomb", "anisotropic"])
@pytest.mark.parametrize("cls", [Kac, IndependentNoise, MatrixSqrt])
def test_declared_invariants(interaction, cls):
    """L phi = 0 for what a system conserves, L phi^2 = 2 phi L phi if it does so on every path, and neither for what it does
    not. Catches a system that says that every interaction conserves the energy."""
    system = cls(interaction)
    functions = {"momentum": lambda s: jk.diagnostics.momentum(s)[0], "energy": jk.diagnostics.energy}

    @jax.jit
    def rates(state):
        def both(phi):
            mean = system.generator(phi)(state)
            return mean, system.generator(lambda s: phi(s) ** 2)(state) - 2 * phi(state) * mean

        return {name: both(phi) for name, phi in functions.items()}

    for name, (mean, square) in rates(particles(jax.random.key(0), 4, 2)).items():
        declared = system.conserves.get(name)
        assert (abs(mean) < 1e-10) == (declared is not None), name
        assert (abs(square) < 1e-10) == (declared == "exact"), name


def test_constants_of_the_power_law():
    """a = r^(g+2) P and b = -(d-1) r^g z at one point, by hand: z = (3, 4, 0), r = 5, g = -3. Catches an exponent off by
    one, and a softening that is not squared."""
    z = jnp.asarray([3.0, 4.0, 0.0])
    np.testing.assert_allclose(PowerLaw(-3.0).b(z), -2 * z / 125, rtol=1e-14)
    expected = (25 * np.eye(3) - np.outer(z, z)) / 125
    np.testing.assert_allclose(PowerLaw(-3.0).a(z), expected, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(PowerLaw(-2.0, 3.0, 2.0).a(z), 3 / 29 * 125 * expected, rtol=1e-14, atol=1e-15)


@interactions
def test_coincident_particles(interaction):
    """a, b and sigma vanish at z = 0, with finite derivatives. Catches NaN forward or backward, whatever gamma."""
    zero = jnp.zeros((2, 3))
    for f in (interaction.a, interaction.b, interaction.sigma):
        assert np.array_equal(f(zero), jnp.zeros(f(zero).shape))
        assert np.isfinite(jax.jacrev(f)(zero)).all()


class Cutoff(AbstractRadial):
    """Particles closer than `reach` interact, others do not."""

    reach: jax.Array

    def psi(self, r2):
        return jnp.where(r2 < self.reach**2, 1.0, 0.0)


@pytest.mark.parametrize("interaction", [Cutoff(jnp.asarray(1.0)), Yukawa(1.0, 1e-3), Maxwell(0.0)], ids=str)
def test_gradient_of_a_vanishing_psi(interaction):
    """Catches the root of psi, which has an infinite derivative at 0 and would make every gradient of a run NaN."""
    z = jnp.asarray([[0.3, 0.2, -0.1], [2.0, 1.0, -4.0]])
    assert np.isfinite(jax.jacrev(interaction.sigma)(z)).all()
    state = particles(jax.random.key(0), 8, 3)
    system = Kac(interaction)
    gradient = jax.grad(
        lambda v: jk.simulate(system, jk.Particles(v), key=jax.random.key(1), dt=0.01, num_steps=3).final.velocity.sum()
    )(state.velocity)
    assert np.isfinite(gradient).all()


def tangent_check(a_of, t=0.3, rtol=1e-7):
    step = 1e-6
    _, derivative = jax.jvp(lambda t: symmetric_root(a_of(t)), (t,), (1.0,))
    difference = (symmetric_root(a_of(t + step)) - symmetric_root(a_of(t - step))) / (2 * step)
    np.testing.assert_allclose(derivative, difference, rtol=rtol, atol=1e-8)
    reverse = jax.grad(lambda t: jnp.sum(jnp.sin(symmetric_root(a_of(t)))))(t)
    np.testing.assert_allclose(reverse, jnp.vdot(jnp.cos(symmetric_root(a_of(t))), derivative), rtol=1e-9)
    assert np.abs(derivative).max() > 0.1


def rotation(t):
    c, s = jnp.cos(t), jnp.sin(t)
    zero, one = jnp.zeros(()), jnp.ones(())
    turn = jnp.stack([jnp.stack([c, -s, zero]), jnp.stack([s, c, zero]), jnp.stack([zero, zero, one])])
    tilt = jnp.stack([jnp.stack([one, zero, zero]), jnp.stack([zero, c, -s]), jnp.stack([zero, s, c])])
    return turn @ tilt


SYMMETRIC = jnp.asarray([[0.3, -0.2, 0.5], [-0.2, 0.7, 0.1], [0.5, 0.1, -0.4]])


def test_root_derivative_at_the_identity():
    """Catches the derivative of `eigh`, which is NaN here."""
    tangent_check(lambda t: jnp.eye(3) + (t - 0.3) * SYMMETRIC)


def test_root_derivative_at_two_equal_eigenvalues():
    """Catches a division by the difference of two eigenvalues."""
    q = rotation(jnp.asarray(0.7))
    tangent_check(lambda t: q @ jnp.diag(jnp.asarray([2.0, 2.0, 0.5])) @ q.T + (t - 0.3) * SYMMETRIC)


def test_root_derivative_at_rank_two():
    """Along a path of rank-two matrices, one pair's a(z) in d = 3: the null direction rotates with t. Catches a division
    by the root of the eigenvalue 0."""
    tangent_check(lambda t: rotation(t) @ jnp.diag(jnp.stack([2 + t, jnp.asarray(0.6), jnp.zeros(())])) @ rotation(t).T)
    z = jnp.asarray([0.3, -1.0, 0.4])
    tangent_check(lambda t: PowerLaw(-2.0).a(z + t * jnp.asarray([1.0, 0.5, -0.2])))


def test_root_and_its_second_derivative():
    """At full rank, rank two and zero. Catches a derivative rule that cannot itself be differentiated."""
    matrix = jnp.stack(
        [
            jnp.eye(3) + 0.1 * SYMMETRIC @ SYMMETRIC,
            PowerLaw(-1.0).a(jnp.asarray([1.0, 2.0, 3.0])),
            jnp.zeros((3, 3)),
        ]
    )
    root = symmetric_root(matrix)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-13)
    np.testing.assert_allclose(root, jnp.swapaxes(root, 1, 2), atol=1e-14)

    def f(t):
        return jnp.sum(jnp.sin(symmetric_root(jnp.diag(jnp.asarray([1.0, 1.0, 2.0])) + t * SYMMETRIC)))

    difference = (jax.grad(f)(1e-4) - jax.grad(f)(-1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(jax.grad(f))(0.0), difference, rtol=1e-6)


def test_checks_inside_jit():
    """Catches a check that is skipped because a Python number became a traced array."""
    state = jk.initial.maxwellian(jax.random.key(0), 4, 3)
    torus = jk.Particles(jnp.linspace(0, 6, 4)[:, None])

    def run(system, state, dt):
        return jk.simulate(system, state, key=jax.random.key(1), dt=dt, num_steps=1).final.velocity

    for call, sentence in (
        (lambda: run(jk.landau.Kac(PowerLaw(-4.0)), state, 0.1), "`gamma` must be at least -d = -3, but is -4"),
        (lambda: PowerLaw(-1.0, -2.0), "`strength` must not be negative, but is -2"),
        (
            lambda: run(jk.landau.MatrixSqrt(jk.landau.Trigonometric([[0], [1]], [1.0, 1.5])), torus, 1e-3),
            "`interaction` must be elliptic",
        ),
    ):
        with pytest.raises(ValueError, match=sentence):
            jax.jit(call)()
