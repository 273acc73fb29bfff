"""First and second derivatives where a formula has a mask, a root or a special rule: z = 0, r = 0, equal velocities, equal
eigenvalues, tau = 0, u = 0 or 1. Against differences of the values in float64, in forward and reverse mode; where there is no
derivative, against the convention that the docstring states."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import slow_but

import jaxkinetic as jk
from jaxkinetic.landau import AbstractRadial, symmetric_root
from jaxkinetic.pairs import rotations

B, D, L, V = jk.boltzmann, jk.diagnostics, jk.landau, jk.vlasov
STEP = 1e-3
WORDS = tuple(jnp.full((), word, jnp.uint32) for word in (0x51234567, 0x2468ACE1, 0x9E3779B9, 0x7F4A7C15))


SLOW = {
    "cosine",
    "gaussian",
    "grid",
    "half_turn",
    "harmonic",
    "kac",
    "kde",
    "matrices",
    "no_step",
    "random_start",
    "rest_of_z",
    "sliced",
    "sums_maxwell",
    "sums_softened",
    "sums_trigonometric",
    "tau_0_circle",
    "third_moment",
    "torus_mode",
    "u_0",
    "u_1",
    "wasserstein",
    "wasserstein_line",
    "x_0",
    "x_1",
    "x_1_general",
}


class Case(NamedTuple):
    """`f` of a vector, to an array; `x`: the special point. `sides`: 1 for differences to the right of x, -1 to its left, in
    the first component alone. `second`: whether a second derivative exists. `atol`, relative to the largest value compared."""

    f: Callable[[jax.Array], jax.Array]
    x: tuple
    sides: int = 0
    second: bool = True
    rtol: float = 1e-5


def check(case: Case) -> None:
    """A random combination of the outputs, along two random directions: reverse mode in both, forward mode in one, and the
    mixed second derivative by forward over reverse and reverse over forward."""
    rng = np.random.default_rng(7)
    x = np.asarray(case.x, float)
    shape = jax.eval_shape(case.f, jnp.asarray(x)).shape
    u, v = rng.normal(size=(2, x.size))
    if case.sides:
        u, v = (np.abs(w) * case.sides * (np.arange(x.size) == 0) + w * (np.arange(x.size) > 0) for w in (u, v))
    weights = jnp.asarray(rng.normal(size=shape))

    def along(s):
        return jnp.sum(weights * case.f(jnp.asarray(x) + s[0] * jnp.asarray(u) + s[1] * jnp.asarray(v)))

    # Central differences, or one-sided ones of order 4.
    nodes = np.arange(5.0) if case.sides else np.arange(-2.0, 3.0)
    place = np.linalg.solve(nodes[None, :] ** np.arange(5)[:, None], np.eye(5)[1]) / STEP
    points = STEP * np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)

    @jax.jit
    def evaluated():
        s, e = jnp.zeros(2), jnp.asarray([1.0, 0.0])

        def forward(s):
            return jax.jvp(along, (s,), (e,))[1]

        values = jax.vmap(along)(jnp.asarray(points))
        if not case.second:
            return values, jnp.append(jax.grad(along)(s), forward(s))
        reverse, over = jax.jvp(jax.grad(along), (s,), (e,))
        forwards, under = jax.value_and_grad(forward)(s)
        return values, jnp.append(reverse, forwards), jnp.stack([over[1], under[1]])

    values, *derivatives = (np.asarray(y) for y in evaluated())
    values = values.reshape(5, 5)
    here = 0 if case.sides else 2
    assert np.isfinite(values).all()
    along_u, along_v = place @ values[:, here], place @ values[here, :]
    np.testing.assert_allclose(derivatives[0], [along_u, along_v, along_u], rtol=case.rtol, atol=case.rtol)
    if case.second:
        mixed = place @ values @ place
        np.testing.assert_allclose(derivatives[1], [mixed, mixed], rtol=100 * case.rtol, atol=100 * case.rtol)


def all_but_slow(cases) -> list:
    return slow_but(cases.keys() - SLOW, cases)


def all_zero(derivative, x) -> bool:
    return bool((np.asarray(jax.jit(derivative)(x)) == 0).all())


def flat(*arrays):
    return jnp.concatenate([jnp.ravel(x) for x in arrays])


class Bell(AbstractRadial):
    """A law of the user's own, which gives psi alone."""

    strength: jax.Array

    def psi(self, r2):
        return self.strength * jnp.exp(-r2)


class Cusp(Bell):
    """psi(0) is finite, psi has no derivative there."""

    def psi(self, r2):
        return self.strength * (1 + jnp.sqrt(r2))


TRIGONOMETRIC = L.Trigonometric([[0, 0], [1, 0], [1, 1]], [2.0, 0.5, 0.3])
MATRICES = L.Trigonometric([[0, 0], [1, 0]], np.stack([2 * np.eye(2), np.array([[0.3, 0.1], [0.1, 0.2]])]))


def of_difference(make, dim, parameters, what=lambda law, z: flat(law.a(z), law.b(z))):
    """The case of z = 0: of z and the parameters."""
    return Case(lambda x: what(make(*x[dim:]), x[:dim]), (0.0,) * dim + parameters)


def at_equal_velocities(make, parameters, form="direct", dim=2):
    """The sums over partners for two pairs of equal velocities: of the velocities and the parameters."""
    start = np.repeat(np.array([[0.3, -0.2, 0.5], [-0.7, 0.4, 0.1]])[:, :dim], 2, axis=0)

    def f(x):
        law = make(*x[4 * dim :])
        return flat(*law.sums(jk.Particles(x[: 4 * dim].reshape(4, dim)), form))

    return Case(f, (*start.ravel(), *parameters))


INTERACTIONS = {
    "maxwell": of_difference(L.Maxwell, 3, (1.3,)),
    "softened": of_difference(lambda c, delta: L.PowerLaw(-3.0, c, delta), 3, (1.3, 0.8)),
    "gamma_0": of_difference(lambda c: L.PowerLaw(0.0, c), 2, (1.3,)),
    "gamma_2": of_difference(lambda c: L.PowerLaw(2.0, c), 2, (1.3,)),
    "hard_a": of_difference(lambda c: L.PowerLaw(1.0, c), 2, (1.3,), lambda law, z: law.a(z))._replace(rtol=1e-4),
    "own": of_difference(Bell, 2, (1.3,)),
    "own_cusp": of_difference(Cusp, 2, (1.3,), lambda law, z: law.a(z))._replace(rtol=1e-4),
    "trigonometric": of_difference(lambda: TRIGONOMETRIC, 2, (), lambda law, z: flat(law.a(z), law.b(z), law.sigma(z))),
    "matrices": of_difference(lambda: MATRICES, 2, (), lambda law, z: flat(law.a(z), law.b(z), law.sigma(z))),
    "sums_maxwell": at_equal_velocities(L.Maxwell, (1.3,)),
    "sums_softened": at_equal_velocities(lambda c, delta: L.PowerLaw(-3.0, c, delta), (1.3, 0.8)),
    "sums_product": at_equal_velocities(lambda c, delta: L.PowerLaw(-3.0, c, delta), (1.3, 0.8), "product"),
    "sums_own": at_equal_velocities(Bell, (1.3,), dim=3),
    "sums_trigonometric": at_equal_velocities(lambda: TRIGONOMETRIC, ()),
}


@pytest.mark.parametrize("name", all_but_slow(INTERACTIONS))
def test_interactions_at_equal_velocities(name):
    """a and b at z = 0, and their sums, in the velocities and the parameters. Catches a weight that is 0 at z = 0 instead of
    psi(0): b = -(d-1) psi z then loses its derivative, a its second one."""
    check(INTERACTIONS[name])


@pytest.mark.parametrize("law", [L.PowerLaw(-3.0), L.PowerLaw(-2.0), L.PowerLaw(-0.5)], ids=["-3", "-2", "-.5"])
def test_singular_interactions_count_with_derivative_0(law):
    """Where psi(0) is infinite, a, b and sigma have derivative 0 at z = 0, and sigma has for every law: never NaN, and never a
    number from the cutoff of r^gamma."""

    def f(z):
        return flat(law.a(z), law.b(z), law.sigma(z), L.Maxwell().sigma(z), L.PowerLaw(1.0).sigma(z))

    assert all_zero(jax.jacfwd(f), jnp.zeros(2))
    assert all_zero(jax.jacfwd(jax.jacrev(f)), jnp.zeros(2))


def bodies(make, parameters, dim=2, both=True):
    """Forces on two pairs of bodies at one place each, and their energy: of the positions and the parameters."""
    start = np.repeat(np.array([[0.3, -0.2], [-0.7, 0.4]])[:, :dim], 2, axis=0)

    def f(x):
        potential, places = make(*x[4 * dim :]), x[: 4 * dim].reshape(4, dim)
        energy = potential.pair_sum(places, jnp.ones(4, bool))
        return flat(potential.pair_gradient(places, jnp.ones(4, bool)), energy) if both else energy

    return Case(f, (*start.ravel(), *parameters))


def smooth(strength):
    return V.Custom(jax.tree_util.Partial(lambda s, x: s / jnp.sqrt(1 + jnp.sum(x * x, -1)), strength))


POTENTIALS = {
    "cosine": bodies(V.Cosine, (1.3,)),
    "gaussian": bodies(V.Gaussian, (1.3, 0.9)),
    "custom": bodies(smooth, (1.3,)),
    "harmonic": bodies(V.Harmonic, (1.3,)),
    "gamma": Case(
        lambda x: flat(
            *(f(x[:2]) for p in (V.Cosine(x[2]), V.Gaussian(x[2], x[3]), V.Harmonic(x[2])) for f in (p.gamma, p.grad))
        ),
        (0.0, 0.0, 1.3, 0.9),
    ),
    "poisson_parameters": Case(lambda x: V.Poisson(*x).gamma(jnp.zeros(1)), (2.0, 1.3)),
}


@pytest.mark.parametrize("name", all_but_slow(POTENTIALS))
def test_potentials_where_bodies_coincide(name):
    """Forces and energy of bodies at one place, in positions and parameters. Catches a force whose derivative is masked with
    its value: a step of two such pairs had the gradient -.00146 instead of .00856."""
    check(POTENTIALS[name])


def test_step_of_coinciding_bodies():
    """The gradient of one Leapfrog step of `NBody` with two bodies at each place, which was -.00146 instead of .00856."""
    x = jnp.asarray([[0.3], [0.3], [-0.7], [-0.7]])
    v, moved = jnp.asarray([[0.3], [-0.1], [0.0], [-0.2]]), jnp.asarray([[0.5], [-0.3], [0.2], [0.9]])

    @jax.jit
    @jax.value_and_grad
    def after(s):
        state = jk.Particles(v, x + s * moved)
        end = jk.simulate(V.NBody(V.Gaussian(1.0, 1.0)), state, dt=0.1, num_steps=1, throw=False).final
        return jnp.sum(moved * end.velocity**2)

    difference = (after(STEP)[0] - after(-STEP)[0]) / (2 * STEP)
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(after(0.0)[1], difference, rtol=1e-5)


def test_singular_potentials_count_with_derivative_0():
    """Bodies at one place under a force that is singular, or has no derivative, at 0: they do not see each other, values and
    derivatives are those of bodies apart. The kink of Poisson's law has derivative 0 at every multiple of the length."""
    x = jnp.asarray([[0.3, -0.2], [0.3, -0.2], [-0.7, 0.4]])
    for fn in (lambda x: 1 / jnp.sqrt(jnp.sum(x * x, -1)), lambda x: jnp.sqrt(jnp.sum(x * x, -1))):
        force = V.Custom(fn).pair_gradient

        def derivative(places, mask, force=force):
            return jax.jacfwd(lambda p: force(p, mask))(places)

        derivative = jax.jit(derivative)
        both, alone = derivative(x, jnp.ones(3, bool)), derivative(x, jnp.asarray([True, False, True]))
        np.testing.assert_allclose(both[0][:, 0], alone[0][:, 0], rtol=1e-12)
        assert (np.asarray(both[0][:, 1]) == 0).all()
    gamma = V.Poisson(2.0).gamma
    first = jax.vmap(jax.grad(lambda p: gamma(p[None])))
    assert all_zero(first, jnp.asarray([0.0, 2.0, -4.0]))
    assert all_zero(jax.vmap(jax.grad(jax.grad(lambda p: gamma(p[None])))), jnp.asarray([0.0, 2.0, -4.0]))


CROSS_SECTIONS = {
    "maxwell": Case(lambda x: B.Maxwell(x[2]).sigma(jnp.sum(x[:2] ** 2)), (0.0, 0.0, 1.3)),
    "gamma_0": Case(lambda x: B.VariableHardSphere(0.0, x[2]).sigma(jnp.sum(x[:2] ** 2)), (0.0, 0.0, 1.3)),
    "gamma_2": Case(lambda x: B.VariableHardSphere(2.0, x[2]).sigma(jnp.sum(x[:2] ** 2)), (0.0, 0.0, 1.3)),
    "gamma_2_in_square": Case(lambda x: B.VariableHardSphere(2.0, x[1]).sigma(x[0]), (0.0, 1.3), sides=1),
}


@pytest.mark.parametrize("case", CROSS_SECTIONS.values(), ids=CROSS_SECTIONS)
def test_cross_sections_at_rest(case):
    """Sigma at r = 0 in z and the strength. Catches r^gamma with derivative 0 in r^2 for gamma = 2."""
    check(case)


def test_cross_sections_with_a_cone_count_with_derivative_0():
    """Hard spheres and the outgoing z' = |z| e have a cone at z = 0: derivative 0 to first and second order, not NaN."""

    def f(z):
        speeds = [law.sigma(jnp.sum(z * z)) for law in (B.HardSphere(), B.VariableHardSphere(0.5))]
        return flat(jnp.stack(speeds), *B.Maxwell().scatter(WORDS, tuple(z)), B.Maxwell().outgoing(z)[0])

    assert all_zero(jax.jacfwd(f), jnp.zeros(2))
    assert all_zero(jax.jacfwd(jax.jacrev(f)), jnp.zeros(2))


def pair(flow):
    """Two particles of equal velocity, and the parameter."""
    return Case(lambda x: flat(*flow(x[4], (x[0], x[1]), (x[2], x[3]))[0], *flow(x[4], (x[0], x[1]), (x[2], x[3]))[1]),
                (0.3, -0.2, 0.3, -0.2, 1.3))  # fmt: skip


def jump(law, interaction):
    def flow(strength, vi, vj):
        return L.Microcanonical(interaction(strength), law, 0.3).jump(WORDS, vi, vj)

    return pair(flow)


def softened(strength):
    return L.PowerLaw(-3.0, strength, 0.8)


ROTATIONS = {
    "heat": Case(lambda x: flat(*rotations.heat_rotation(WORDS, x[2], (x[0], x[1]))), (0.0, 0.0, 0.3)),
    "angle": Case(lambda x: flat(*rotations.rotation(WORDS, x[2], (x[0], x[1]))), (0.0, 0.0, 0.3)),
    "kac": pair(lambda c, vi, vj: L.Kac(L.Maxwell(c)).pair_flow(WORDS, jnp.asarray(0.1), vi, vj)),
    "kac_softened": pair(lambda c, vi, vj: L.Kac(softened(c)).pair_flow(WORDS, jnp.asarray(0.1), vi, vj)),
    "heat_jump": jump("heat_kernel", softened),
    "constant_rate": jump("constant_rate", lambda c: L.Maxwell(0.1 * c)),
    "fixed_angle": jump("fixed_angle", lambda c: L.Maxwell(1.3)),
    "rest_of_z": Case(lambda x: flat(*rotations.heat_rotation(WORDS, jnp.zeros(()), tuple(x))), (0.3, 0.2, 0.1)),
    "half_turn": Case(lambda x: flat(*rotations.rotation(WORDS, jnp.ones(()), tuple(x))), (0.3, 0.2, 0.1)),
}


@pytest.mark.parametrize("name", all_but_slow(ROTATIONS))
def test_rotations_of_equal_velocities(name):
    """In d = 2 a rotation is linear in z: its derivative at z = 0 is the rotation. Catches pairs of equal velocity that count
    as if they could not be rotated, and a psi(0) that is that of r = 1."""
    check(ROTATIONS[name])


def test_rotations_with_a_cone_count_with_derivative_0():
    """In d = 3 the axis depends on the direction of z: derivative 0 at z = 0. In tau and x at 0 (and 1) a root: 0 as well."""
    heat = jax.jit(jax.jacfwd(lambda y: flat(*rotations.heat_rotation(WORDS, y[3], (y[0], y[1], y[2])))))
    turn = jax.jit(jax.jacrev(lambda y: flat(*rotations.rotation(WORDS, y[3], (y[0], y[1], y[2])))))
    for derivative in (heat, turn):
        assert all_zero(derivative, jnp.asarray([0.0, 0.0, 0.0, 0.3]))
        assert all_zero(derivative, jnp.asarray([0.3, 0.2, 0.1, 0.0]))
    half = np.asarray(turn(jnp.asarray([0.3, 0.2, 0.1, 1.0])))
    np.testing.assert_allclose(half, np.append(-2 * np.eye(3), -2 * np.array([[0.3], [0.2], [0.1]]), 1), atol=1e-12)


KERNELS = {
    "u_0": Case(lambda x: jk.pairs.spherical_heat_quantile(x[0], x[1], 3), (0.0, 0.4), sides=1),
    "u_1": Case(lambda x: jk.pairs.spherical_heat_quantile(x[0], x[1], 3), (1.0, 0.9), sides=-1),
    "u_0_circle": Case(lambda x: jk.pairs.spherical_heat_quantile(x[0], x[1], 2), (0.0, 0.4), sides=1, second=False),
    "tau_0": Case(lambda x: jk.pairs.spherical_heat_quantile(x[1], x[0], 3), (0.0, 0.6), sides=1, second=False),
    "tau_0_circle": Case(lambda x: jk.pairs.spherical_heat_quantile(x[1], x[0], 2), (0.0, 0.6), sides=1, second=False),
    "tau_0_draw": Case(
        lambda x: jk.pairs.spherical_heat_kernel(jax.random.key(0), x[0], 2), (0.0,), sides=1, second=False
    ),
    "x_0": Case(lambda x: jk.pairs.spherical_heat_cdf(x[0], x[1], 3), (0.0, 0.4), sides=1),
    "x_1": Case(lambda x: jk.pairs.spherical_heat_cdf(x[0], x[1], 3), (1.0, 0.9), sides=-1),
    "x_1_general": Case(lambda x: jk.pairs.spherical_heat_cdf(x[0], x[1], 5), (1.0, 0.9), sides=-1, second=False),
}


@pytest.mark.parametrize("name", all_but_slow(KERNELS))
def test_spherical_heat_law_at_the_ends(name):
    """The quantile at u = 0 and 1 and at tau = 0, F at x = 0 and 1. Catches a derivative that is clipped with the value, and
    the roots of x and 1 - x, which are infinite where F is smooth."""
    check(KERNELS[name])


def matrix(x):
    (a, b, c, d, e, f) = x
    return jnp.stack([jnp.stack([a, b, c]), jnp.stack([b, d, e]), jnp.stack([c, e, f])])


@pytest.mark.parametrize("point", [(2.0, 0, 0, 2.0, 0, 2.0), (1.0, 0, 0, 1.0, 0, 3.0)], ids=["three", "two"])
def test_root_at_equal_eigenvalues(point):
    """Catches the 1/(l_i - l_j) of an eigenbasis."""
    check(Case(lambda x: symmetric_root(matrix(x)), point))


def particles(x, dim):
    return jk.Particles(x.reshape(-1, dim))


REST = (0.3, -0.2) * 3
PAIRS = (0.3, -0.2, 0.3, -0.2, -0.7, 0.4, 0.1, 0.9)
OTHER = jk.Particles(jnp.asarray([[0.3, -0.2], [-0.5, 0.1], [0.2, 0.8], [-0.9, -0.4]]))
DIAGNOSTICS = {
    "all_at_rest": Case(
        lambda x: flat(
            D.moment(particles(x, 2), order=2), D.moment(particles(x, 2), order=4), D.energy(particles(x, 2)),
            D.momentum(particles(x, 2)), D.stress(particles(x, 2)), D.temperature(particles(x, 2)),
            D.pair_correlation(particles(x, 2)), D.mode(particles(x, 2), wavevector=[1.0, 2.0]).real,
            D.rescaled_f1(particles(x, 2), volume=3.0, of=lambda s: s.velocity),
            D.rescaled_f2(particles(x, 2), volume=3.0, of=lambda s: s.velocity),
        ),
        (0.0,) * 6,
    ),
    "temperature_0": Case(
        lambda x: flat(D.temperature(particles(x, 2)), D.moment(particles(x, 2), order=4, centred=True)), REST
    ),
    "third_moment": Case(lambda x: D.moment(particles(x, 2), order=3), (0.0,) * 6, rtol=1e-4),
    "kde": Case(
        lambda x: flat(
            D.kde_entropy(particles(x[:8], 2), bandwidth=x[8]), D.kde_entropy(particles(x[:8], 2)),
            D.fisher_information(particles(jnp.tile(x[:4], 4), 2), bandwidth=x[8]),
        ),
        (*PAIRS, 0.7),
    ),
    "wasserstein": Case(lambda x: D.wasserstein(particles(x, 2), OTHER), (*PAIRS[:2], *PAIRS[4:], 1.1, 0.2)),
    "wasserstein_line": Case(
        lambda x: flat(*(D.wasserstein(particles(x, 1), jk.Particles(OTHER.velocity[:, :1]), order=p) for p in (2, 3, 4))),
        (0.3, -0.6, 0.9, -0.2), rtol=1e-4,
    ),
    "sliced": Case(
        lambda x: D.sliced_wasserstein(particles(x, 2), OTHER, num_directions=4), (*PAIRS[:2], *PAIRS[4:], 1.1, 0.2)
    ),
    "grid": Case(lambda x: D.grid_entropy(particles(x, 2), bins=4, halfwidth=2.0), PAIRS),
}  # fmt: skip


@pytest.mark.parametrize("name", all_but_slow(DIAGNOSTICS))
def test_diagnostics_where_particles_coincide(name):
    """Moments of particles at rest, densities and distances where two particles coincide, with each other or with one of the
    other sample. Catches a root of 0 on the way to something smooth."""
    check(DIAGNOSTICS[name])


def test_diagnostics_with_a_cone_count_with_derivative_0():
    """|v| at 0, W = 0, |x - y|^p at 0 for p < 2, and the distance to a neighbour at the same place have derivative 0, not
    NaN."""
    still = jnp.zeros((3, 2))
    line = jnp.zeros((3, 1))
    functions = (
        lambda v: D.moment(jk.Particles(v), order=1),
        lambda v: jnp.sum(D.speed(jk.Particles(v))),
        lambda v: D.knn_entropy(jk.Particles(v), k=2),
        lambda v: D.wasserstein(jk.Particles(v), jk.Particles(still)),
        lambda v: D.wasserstein(jk.Particles(v), jk.Particles(still), order=1),
        *(
            lambda v, p=p: D.wasserstein(jk.Particles(v[:, :1]), jk.Particles(line), order=p)
            for p in (1, 1.5, 2, 3)
        ),
    )  # fmt: skip

    def derivatives(v):
        second = jax.hessian(lambda v: sum(f(v) for f in functions))(v)
        return flat(second, *(jax.grad(f)(v) for f in functions))

    assert all_zero(derivatives, still)
    assert all_zero(jax.grad(lambda v: D.wasserstein(jk.Particles(v), jk.Particles(line + 1), order=1.5)), line + 1)


def draws(law):
    return lambda x: law(x).velocity


KEY = jax.random.key(3)
LAWS = {
    "torus_mode": Case(draws(lambda x: jk.initial.torus_mode(KEY, 3, [1, 0], x[0], x[1])), (0.0, 0.0)),
    "random_start": Case(lambda x: V.random_start(KEY, V.Maxwellian(x[1], 1.0), 3, x[0]).position, (0.0, 1.0)),
    "median": Case(lambda x: V.Maxwellian(x[1]).velocities(x[0]), (0.5, 1.3)),
    "bkw": Case(draws(lambda x: jk.initial.bkw(KEY, 3, 2, beta=x[0])), (0.25,)),
    "free_flow": Case(
        lambda x: flat(V.exact.harmonic(lambda p, q: jnp.stack([*p, *q]), 0.7, x[0], (0.1,), (0.2,))((x[1],), (x[2],))),
        (0.0, 0.3, -0.4),
    ),
    "no_step": Case(
        lambda x: V.exact.free_streaming(lambda p, q: jnp.stack([*p, *q]), x[0])((x[1],), (x[2],)), (0.0, 0.3, -0.4)
    ),
}


@pytest.mark.parametrize("name", all_but_slow(LAWS))
def test_initial_and_exact_laws(name):
    """Amplitude 0, the median, stiffness 0, t = 0. Catches sin(omega t)/omega at omega = 0."""
    check(LAWS[name])


def test_harmonic_law_of_every_stiffness():
    """The series near stiffness 0 against sines and hyperbolic sines, on both sides of where it hands over. In float32 too:
    catches the integer 14!, which does not fit."""
    for stiffness in (-4.0, -0.9, -0.51, -0.3, 0.3, 0.49, 0.51, 4.0):
        omega = np.sqrt(complex(stiffness))
        cosine, sine = np.cos(omega * 1.0).real, (np.sin(omega * 1.0) / omega).real
        got = V.exact.harmonic(lambda p, q: jnp.stack([*p, *q]), 1.0, stiffness, (0.0,), (0.0,))((0.3,), (-0.4,))
        expected = 0.3 * cosine + 0.4 * sine, 0.3 * stiffness * sine - 0.4 * cosine
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    with jax.enable_x64(False):
        law = V.exact.harmonic(lambda p, q: jnp.stack([*p, *q]), 1.0, 0.3, (0.0,), (0.0,))
        single = law((np.float32(0.3),), (np.float32(-0.4),))
    omega = np.sqrt(0.3)
    expected = 0.3 * np.cos(omega) + 0.4 * np.sin(omega) / omega
    np.testing.assert_allclose(single[0], expected, rtol=1e-6)


def test_errors_that_vanish_have_derivative_0():
    """A covariance of 0 (all samples alike, or a grid) has standard errors 0 with derivative 0, not NaN."""

    def stderrs(covariance):
        counted = V.Counting(jnp.asarray([1.0, 0.7, 0.5]), covariance, 2)
        return counted.outside_stderr + jnp.sum(counted.distribution_stderr) + counted.functional_stderr(0.5)

    assert (np.asarray(jax.grad(stderrs)(jnp.zeros((3, 3)))) == 0).all()
