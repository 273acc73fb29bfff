"""Systems on a grid: their equations, errors for bad input, failures in a run, and stats of what a grid does not resolve."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    CIRCLE,
    VLASOV_SYSTEMS as SYSTEMS,
    assert_argument_error,
    phase_space_density,
    poisson_bracket,
    spectral_derivative,
)
from split_cases import BITWISE, DT, STEPS, Bell, Fragile, GridCase, amplitude, as_state, grid, normalised, values

import jaxkinetic as jk

pytestmark = pytest.mark.newest

V = jk.vlasov


G1 = grid(1)


def attempt(state=None, potential=None, kind="vlasov", **options):
    state = GridCase(kind, "cosine").start() if state is None else state
    system = SYSTEMS[kind](V.Cosine() if potential is None else potential)
    return jk.simulate(system, state, dt=DT, num_steps=1, **options)


def density(values) -> jk.Density:
    return jk.Density(values, jk.Grid(*(jk.Axis(0.0, CIRCLE, num) for num in np.shape(values))))


def wave(values) -> jk.Wave:
    return jk.Wave(values, density(np.ones(np.shape(values))).grid)


def spoiled(value: float) -> np.ndarray:
    out = np.ones((4, 6))
    out[3, 4] = value
    return out


def stack(tree):
    return jax.tree.map(lambda x: jnp.stack([x, x]), tree)


def strang_for_kac():
    kac, state = jk.landau.Kac(jk.landau.Maxwell()), jk.Particles(np.ones((3, 3)))
    return jk.simulate(kac, state, scheme=jk.Strang(), dt=DT, num_steps=1)


AXES = "`grid` must have as many axes of velocity as of position, but has 3"
PLACE = r" must hold finite numbers, but has a NaN or infinity at \(3, 4\)"
ONLY = "supports, but is {}; use one of: Leapfrog, Strang, Yoshida"
BAD = {
    "a Wave for Vlasov": (lambda: attempt(wave(np.ones((4, 4)))), "`state` must be a Density, but is a Wave; pass"),
    "a Density for HVl": (
        lambda: attempt(density(np.ones((4, 4))), kind="velocity"),
        "`state` must be a Wave, but is a Density",
    ),
    "a Density for HHt": (
        lambda: attempt(density(np.ones((4, 4))), kind="fourier"),
        "`state` must be a Wave, but is a Density",
    ),
    "Particles": (lambda: attempt(jk.Particles(np.ones((3, 2)))), "`state` must be a Density, but is a Particles"),
    "an array": (lambda: attempt(jnp.ones((4, 4))), "`state` must be a Density, but is a "),
    "three axes": (lambda: attempt(density(np.ones((4, 4, 4)))), AXES),
    "a wave of three axes": (lambda: wave(np.ones((4, 4, 4))), AXES),
    "states": (lambda: attempt(stack(density(np.ones((4, 4))))), r"`state\.f` must have .*\(2, 4, 4\).*vmap"),
    "waves": (
        lambda: attempt(stack(wave(np.ones((4, 4)))), kind="velocity"),
        r"`state\.alpha` must have .*\(2, 4, 4\).*vmap",
    ),
    "Euler": (
        lambda: attempt(scheme=jk.EulerMaruyama()),
        "`scheme` must be one that Vlasov " + ONLY.format("EulerMaruyama"),
    ),
    "Sweep": (
        lambda: attempt(kind="fourier", scheme=jk.pairs.Sweep()),
        "`scheme` must be one that HamiltonHartree " + ONLY.format("Sweep"),
    ),
    "Strang for Kac": (
        strang_for_kac,
        "`scheme` must be one that Kac supports, but is Strang; use one of: .*EulerMaruyama",
    ),
    "order 3": (lambda: jk.Strang(3), "`order` must be 2 or 4, but is 3"),
    "NaN": (lambda: attempt(density(spoiled(np.nan))), r"`state\.f`" + PLACE),
    "infinite": (lambda: attempt(wave(spoiled(np.inf)), kind="velocity"), r"`state\.alpha`" + PLACE),
    "potential": (lambda: attempt(potential=1.0), r"`potential` must be a potential, but is 1\.0"),
    "a class": (lambda: attempt(potential=V.Cosine), "`potential` must be a potential, but is the class"),
    "circle": (
        lambda: attempt(jk.Density(np.ones((4, 4)), jk.Grid(*[jk.Axis(0, 3, 4)] * 2))),
        "`grid` must have positions on a circle of length 2 pi for Cosine, but has length 3",
    ),
    "torus": (
        lambda: attempt(potential=V.Poisson(3.1)),
        r"`grid` must have positions on a torus of length 3\.1, that of Poisson, but has length 6\.28",
    ),
    "odd": (
        lambda: attempt(potential=V.Custom(lambda x: jnp.sin(x[..., 0]))),
        r"`fn` must be even, but fn\(x\) and fn\(-x\) differ by 2",
    ),
    "not finite": (lambda: attempt(potential=V.Custom(lambda x: 1 / jnp.abs(x[..., 0]))), "`fn` must be finite"),
    "not scalar": (lambda: attempt(potential=V.Custom(jnp.cos)), r"`fn` must map \(.*but gives shape \(16, 1\)"),
    "no function": (lambda: attempt(potential=V.Custom(3)), "`fn` must be a function.*but is 3"),
    "integers": (lambda: wave(np.ones((4, 4), int)), "`alpha` must be .*int"),
    "half precision": (lambda: attempt(density(np.ones((4, 4), np.float16))), "`f` must be .*float16"),
    "shape": (lambda: jk.Density(np.ones((24, 16)), G1), r"`f` must have the shape of the grid, \(16, 24\), but has"),
    "picture": (lambda: jk.Wave(np.ones(G1.shape), G1, "k"), '`picture` must be "velocity" or "fourier", but is \'k\''),
    "width": (lambda: V.Gaussian(1.0, 0.0), "`width` must be positive, but is 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_argument_errors(name):
    """The error names the argument, what it must be, what it was, and what to do. Catches bad input that runs, or fails
    inside JAX."""
    assert_argument_error(*BAD[name])


@pytest.mark.parametrize("kind", SYSTEMS)
def test_failure_is_reported_at_its_step(kind):
    """A field that overflows, and one that is NaN from the step at which the density passes a threshold. That step is
    found from the states by the flows themselves. Catches a result a step off, one that later steps overwrite, and a NaN
    in a part of the carry that is not looked at."""
    case = GridCase(kind, "cosine")
    every = jk.Save(every=1, state=True)

    def solution(strength, threshold, throw=False):
        return case.run(None, STEPS, SYSTEMS[kind](Fragile(strength, threshold)), dt=0.2, save=every, throw=throw)

    calm = solution(9.0, jnp.inf)
    assert bool(calm.result.ok)
    assert int(calm.result.step) == -1
    assert str(calm.result) == "finished"

    @jax.jit
    @jax.vmap
    def top(state):
        midway = case.system().flows[0](jnp.asarray(0.1), jnp.asarray(0.0), state)
        return jnp.max(jnp.sum(phase_space_density(midway), 1)) * state.grid.axes[1].spacing

    tops = np.asarray(top(calm.states))
    expected = 5
    assert max(tops[: expected - 1]) < tops[expected - 1] * (1 - 1e-3)
    threshold = (max(tops[: expected - 1]) + tops[expected - 1]) / 2
    broken = solution(9.0, threshold)
    assert (int(broken.result.code), int(broken.result.step)) == (jk.Result.NOT_FINITE, expected)
    assert np.array_equal(np.asarray(values(broken.states))[:expected], np.asarray(values(calm.states))[:expected])
    assert not np.isfinite(values(broken.final)).all()
    with pytest.raises(jk.SimulationError, match=f"NaN or infinite in step {expected}; lower `dt`"):
        solution(9.0, threshold, throw=True)
    assert int(solution(1e300, jnp.inf).result.step) == 1


def share(x, where) -> float:
    return float(np.sum(np.abs(x[where]) ** 2) / np.sum(np.abs(x) ** 2))


def high(x, axis, d, *, mean: bool = False) -> float:
    """Over the square norm of the perturbation, x less its mean over the d axes of position: what of it, with the `mean` or
    without, lies in the upper third of the wavenumbers."""
    waves = x - x.mean(tuple(range(d)), keepdims=True)
    whole = np.sum(np.abs(waves) ** 2)
    x = x if mean else waves
    num = x.shape[axis]
    up = [j for j in range(num) if 3 * min(j, num - j) > num]
    return share(np.moveaxis(np.fft.fft(x, axis=axis), axis, 0), up) * float(np.sum(np.abs(x) ** 2) / whole)


@pytest.mark.parametrize("case", [BITWISE[0], BITWISE[2], BITWISE[3]], ids=str)
def test_resolution_stats(case):
    """Against numpy, on data whose two ends in velocity differ, in steps too short to move anything: the stats show what
    is under-resolved or leaves the box. Catches a share of another norm, a wrong third of the wavenumbers, and an end of
    an axis that is left out."""
    g, d = case.grid(), case.dim
    alpha = amplitude(g) * (1 + 0.2 * np.random.default_rng(d).random(g.shape))
    for i, num in enumerate(g.shape[d:]):
        end = np.linspace(0, 1, num).reshape([-1 if j == d + i else 1 for j in range(2 * d)]) ** 8
        alpha = alpha + 0.01 * end * np.abs(alpha).max(d + i, keepdims=True)
    alpha = normalised(alpha, g)
    state = as_state(case.kind, alpha.astype(case.complex), g)
    solution = case.run(state, STEPS, dt=1e-9)
    assert bool(solution.result.ok)
    assert int(solution.stats["steps"]) == STEPS
    mass = np.abs(alpha) ** 2
    own = mass if case.kind == "vlasov" else alpha
    expected = {
        "spectral_tail_x": max(high(own, i, d) for i in range(d)),
        "spectral_tail_v": max(high(own, d + i, d, mean=d > 1) for i in range(d)),
        # One line at either end of an axis is at least a sixteenth of it, as wide as can be.
        "boundary_mass": sum(np.moveaxis(mass, d + i, 0)[[0, -1]].sum() for i in range(d)) / mass.sum(),
    }
    if not g.axes[0].periodic:
        ends = sum(np.moveaxis(mass, i, 0)[[0, -1]].sum() for i in range(d))
        expected["boundary_mass_x"] = ends / mass.sum()
    for name, share in expected.items():
        np.testing.assert_allclose(
            solution.stats[name], share, rtol=1e-5 if case.dtype == "float64" else 1e-3, err_msg=name
        )
        assert share > 1e-6


# The equations themselves, by numpy: every derivative is spectral, every convolution a double sum.
FINE = jk.Grid(jk.Axis(0.3, CIRCLE, 24), jk.Axis(-6.0, 12.0, 48, periodic=False))
LENGTHS = (CIRCLE, 12.0)
BELL = (-0.6, 0.7)


def gamma(order: int) -> np.ndarray:
    """Gamma (x_i - x_j), or its derivative, times dx."""
    x = np.asarray(FINE.axes[0].points)
    z = x[:, None] - x[None, :]
    value = BELL[0] * np.exp(BELL[1] * (np.cos(z) - 1))
    return (value if order == 0 else -BELL[1] * np.sin(z) * value) * CIRCLE / len(x)


def right_hand_side(kind: str, y: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """d_t f, d_t alpha, d_t hat alpha, as MATH section 4 has them; `sign`: of K, or of its counterpart in (HHt)."""
    v, dv = np.asarray(FINE.axes[1].points), 12.0 / 48
    if kind == "vlasov":
        field = gamma(1) @ y.sum(1) * dv
        return (-v * spectral_derivative(y, 0, CIRCLE) + field[:, None] * spectral_derivative(y, 1, 12.0)).real
    if kind == "velocity":
        potential = gamma(0) @ (np.abs(y) ** 2).sum(1) * dv
        k = gamma(0) @ poisson_bracket(np.conj(y), y, LENGTHS).sum(1) * dv
        # v^2/2 is no periodic function: its bracket by hand.
        moving = -v * spectral_derivative(y, 0, CIRCLE) + poisson_bracket(
            np.broadcast_to(potential[:, None], y.shape), y, LENGTHS
        )
        return moving - sign * k[:, None] * y
    # hat alpha on increasing xi, where it decays at both ends like alpha in v.
    y = np.fft.fftshift(y, axes=1)
    num, dxi = y.shape[1], 2 * math.pi / 12.0
    xi = dxi * (np.arange(num) - num // 2)
    mixed = spectral_derivative(spectral_derivative(y, 0, CIRCLE), 1, num * dxi)
    weight = np.abs(y) ** 2 * dxi
    # hat V * |hat alpha|^2 = int int -Gamma'(x - y) (xi - eta) |hat alpha(y, eta)|^2
    convolved = -np.einsum("ij,jl,kl->ik", gamma(1), weight, xi[:, None] - sign * xi[None, :])
    return np.fft.ifftshift(-1j * (mixed + convolved * y), axes=1)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_generator_and_short_step_are_the_equation(kind):
    """`generator` of two functions, and (state after dt of `Strang(4)` - state)/dt, extrapolated to dt = 0, against the
    equation as MATH section 4 has it, with a complex alpha. Catches a sign of kappa or of the force, a factor 2, a
    missing part, a step that is not dt. A wrong sign of K is 5000 times further away than what passes."""
    state = as_state(kind, amplitude(FINE, 0.3, 0.0), FINE)
    system = SYSTEMS[kind](V.Custom(Bell(*BELL)))
    known = right_hand_side(kind, np.asarray(values(state)))
    size = np.abs(known).max()

    def stepped(dt):
        return jk.simulate(system, state, scheme=jk.Strang(4), dt=dt, num_steps=1).final

    def rate(dt):
        return (np.asarray(values(stepped(dt))) - np.asarray(values(state))) / dt

    tiny = 2 * rate(5e-5) - rate(1e-4)
    assert np.abs(tiny - known).max() < 2e-6 * size
    if kind != "vlasov":
        assert np.abs(right_hand_side(kind, np.asarray(values(state)), -1.0) - known).max() > 1e-2 * size
    rng, y = np.random.default_rng(0), np.asarray(values(state))
    weights, ramp = rng.normal(size=(2, *y.shape)), rng.normal(size=y.shape)
    weights = weights[0] + 1j * weights[1]

    def phi(state):
        """Two of them at once: linear, and of degree 4."""
        z = values(state).astype(weights.dtype)
        return jnp.stack([jnp.sum(weights * z).real, jnp.sum(ramp * (z.real**2 + z.imag**2) ** 2)])

    expected = np.array([np.sum(weights * known).real, np.sum(ramp * 4 * np.abs(y) ** 2 * (np.conj(y) * known).real)])
    scale = np.array([np.sum(np.abs(weights * known)), np.sum(4 * np.abs(ramp) * np.abs(y) ** 3 * np.abs(known))])
    found = np.asarray(jax.jit(system.generator(phi))(state))
    print(kind, np.abs(tiny - known).max() / size, (found - expected) / scale, expected / scale)
    assert (np.abs(found - expected) < 1e-8 * scale).all()
    assert (np.abs(expected) > 1e-3 * scale).all()
    slope = 2 * (phi(stepped(5e-5)) - phi(state)) / 5e-5 - (phi(stepped(1e-4)) - phi(state)) / 1e-4
    assert (np.abs(slope - found) < 2e-6 * scale).all()
