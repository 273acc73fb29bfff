"""Second derivatives of runs in the parameters of a system, and of roots, inside and outside of loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from case import KEY
from derivative_cases import BODIES, DIFFUSIONS, EQUATIONS, JUMPS, PAIRS, WAVES
from helpers import CIRCLE, normal_particles, torus_cosine

import jaxkinetic as jk
from jaxkinetic._util.gradients import elementwise_root, implicit_root
from jaxkinetic.initial.samplers import kepler
from jaxkinetic.landau import symmetric_root

FAST = ("root-torus", "torus-pde-runge-kutta", "bodies-leapfrog")
RUNS = [
    pytest.param(
        case, adjoint, marks=[pytest.mark.slow] * (case.name not in FAST), id=f"{case}-{type(adjoint).__name__}"
    )
    for case in (*DIFFUSIONS, *PAIRS, *JUMPS, *EQUATIONS, *WAVES, *BODIES)
    for adjoint in ([jk.Direct(), jk.Checkpointed()] if case.name in ("sweep", "bodies-yoshida") else [jk.Direct()])
]
MODES = {
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "forward over reverse": lambda f: jax.jacfwd(jax.jacrev(f)),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(f)),
}


def slope(f, x, step):
    """df/dx by a difference of order 4."""
    near, far = (f(x + k * step) - f(x - k * step) for k in (1, 2))
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize(("case", "adjoint"), RUNS)
def test_second_derivatives_of_runs(case, adjoint):
    """By forward over reverse, along a direction of all parameters, summed over runs in a `jax.lax.map`: the difference of the
    gradient to 1e-6, for every parameter. Catches a derivative rule that is used once and then lost in a loop: the matrix root
    had 2.6 times the wrong second derivative there."""
    parameters, system = case.split()
    scale = {name: 1.0 + 0.3 * i for i, name in enumerate(parameters)}

    def total(shifts):
        given = {name: x * (1 + shifts[name]) for name, x in parameters.items()}
        if "key" not in case.options:
            return case.number(case.run(system(given), 3, adjoint=adjoint).final)
        one = lambda key: case.number(case.run(system(given), 3, adjoint=adjoint, key=key).final)  # noqa: E731
        return jnp.sum(jax.lax.map(one, jax.random.split(KEY, 2)))

    zero = {name: jnp.zeros(()) for name in parameters}

    @jax.jit
    def along(s):
        at = {name: s * scale[name] for name in parameters}
        return jax.jvp(jax.grad(total), (at,), ({name: jnp.asarray(x) for name, x in scale.items()},))

    second = along(jnp.zeros(()))[1]
    differences = slope(lambda s: np.asarray([along(s)[0][name] for name in zero]), jnp.zeros(()), 1e-3)
    found = np.asarray([second[name] for name in zero])
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-8 * np.abs(differences).max())
    assert np.abs(found).max() > 1e-5


def test_second_derivative_of_the_torus_mode():
    """a = C (1 + cos(z)/2), d = 1: the mode 1 of the limit equation is e^{-3 C t/4} [MATH section 5], so its derivatives of
    order k in C at C = 1 are (-3t/4)^k e^{-3t/4}, to 1e-7. Catches a wrong second derivative of the solver."""
    grid = jk.Grid(jk.Axis(0.0, CIRCLE, 16))
    state = jk.Density((1 + 0.4 * jnp.cos(grid.mesh[0])) / CIRCLE, grid)
    a, t = torus_cosine(), 0.4

    def mode(c):
        equation = jk.landau.TorusPDE(jk.landau.Trigonometric(a.modes, c * a.coefficients))
        final = jk.simulate(equation, state, scheme=jk.RungeKutta(), dt=t / 40, num_steps=40, throw=False).final
        return jnp.mean(final.f * jnp.cos(grid.mesh[0])) * CIRCLE / 0.2

    at = 1.0
    slopes = jax.jit(lambda c: (mode(c), jax.grad(mode)(c), jax.jvp(jax.grad(mode), (c,), (1.0,))[1]))(at)
    rate = -0.75 * t
    np.testing.assert_allclose(slopes, np.exp(rate) * rate ** np.arange(3), rtol=1e-7)


def _cubic(p, u):
    """(f, its root): p s^3 + p^2 s = (1 + p) u."""

    def f(s):
        return s**3 * p + s * p**2 - u * (1 + p)

    def newton(_, s):
        return s - f(s) / (3 * p * s**2 + p**2)

    return f, jax.lax.fori_loop(0, 30, newton, jnp.ones_like(u))


def _matrix(p, u):
    return jnp.asarray([[2.0, 0.5], [0.5, 1.0]]) + p * u[0] * jnp.asarray([[1.0, 0.3], [0.3, 0.0]])


def _line(temperature):
    grid = jk.Grid(jk.Axis(-6.0, 12.0, 48, periodic=False))
    x = grid.mesh[0]
    return jk.Density(jnp.exp(-(x**2) / (2 * temperature)) / jnp.sqrt(CIRCLE * temperature), grid)


def _damping(p, u):
    length = 4 * np.pi
    return jk.vlasov.dispersion_root(
        jk.vlasov.Poisson(length, p * length), jk.vlasov.Maxwellian(1.0, length), 0.4 + 0.1 * u[0]
    ).imag


ROOTS = {
    "elementwise": lambda p, u: elementwise_root(*_cubic(p, u), least=1e-9),
    "implicit": lambda p, u: implicit_root(*_cubic(p, u)),
    "kepler": lambda p, u: kepler(p / 2, u) ** 2,
    "matrix": lambda p, u: symmetric_root(_matrix(p, u)),
    "wasserstein": lambda p, u: jk.diagnostics.wasserstein(_line(p), _line(0.8 + 0.1 * u[0])),
    "wasserstein of particles": lambda p, u: jk.diagnostics.wasserstein(jk.Particles(u[:, None]), _line(p)),
    "dispersion": _damping,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in ("dispersion", "wasserstein of particles"))) for n in ROOTS],
)
def test_second_derivatives_of_roots_in_loops(name):
    """In the four orders of forward and reverse mode, inside `jax.lax.map`, against the difference of the first derivative.
    Catches what JAX does there: in the backward pass of a scan the rule of a function with a rule of its own is dropped after
    its first use, and the second derivative of a frozen root was wrong by half its size, without an error."""

    def total(p):
        return jnp.sum(
            jax.lax.map(lambda u: jnp.sum(ROOTS[name](p, u)), jnp.asarray([[0.2, 0.5, 0.9], [0.7, 1.1, 0.3]]))
        )

    first = jax.jit(jax.jacfwd(total))
    expected = slope(first, jnp.asarray(1.1), 1e-4)
    for mode, second in MODES.items():
        np.testing.assert_allclose(jax.jit(second(total))(1.1), expected, rtol=1e-5, err_msg=mode)
    assert abs(expected) > 1e-3


@pytest.mark.parametrize("order", ["grad", "jvp"])
def test_mixed_derivatives_of_jumps_raise_in_loops(order):
    """d/d(alpha) of d/d(velocity), over runs in a `jax.lax.map`: raises as the first derivative in alpha does. Catches a guard
    that the backward pass of a scan has dropped with its rule."""
    v = normal_particles(5).velocity

    def total(s, alpha):
        def one(key):
            walk = jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(), 3.0, alpha)
            final = jk.simulate(
                walk, jk.Particles(v * s), scheme=jk.pairs.TauLeap(), key=key, dt=0.5, num_steps=2, throw=False
            ).final
            return jnp.sum(jnp.where(final.alive[:, None], jnp.sin(final.velocity), 0))

        return jnp.sum(jax.lax.map(one, jax.random.split(KEY, 2)))

    outer = {"grad": jax.grad, "jvp": jax.jacfwd}[order]
    with pytest.raises(ValueError, match=r"The outcome of `jk.random.bernoulli`"):
        outer(lambda alpha: jax.grad(total)(1.0, alpha))(0.3)
    with pytest.raises(ValueError, match=r"The outcome of `jk.random.bernoulli`"):
        outer(lambda p: jnp.sum(jax.lax.map(lambda u: jax.grad(_chance)(1.0, p, u), jnp.arange(3, dtype=jnp.uint32))))(
            0.3
        )


def _chance(s, p, word):
    return jnp.where(jk.random.bernoulli(word, p), jnp.sin(s), jnp.cos(s))
