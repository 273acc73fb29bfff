"""(PsQM^N) on the full grid, and (HLv^N) by characteristics: two ways to one amplitude."""

from functools import partial
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import CIRCLE, box_grid, slow_but

import jaxkinetic as jk

V = jk.vlasov
DATUM = V.PerturbedAmplitude(V.Maxwellian(0.6, CIRCLE), 0.4, twist=0.5)
TRAPPED = V.GaussianAmplitude([[1.0, 0.2], [0.2, 0.5]], [[0.3, 0.2], [0.2, -0.4]])
POTENTIALS = {
    "cosine": V.Cosine(0.8),
    "gaussian": V.Gaussian(-0.9, 0.9),
    "custom": V.Custom(jax.tree_util.Partial(lambda a, x: a * jnp.exp(jnp.sum(jnp.cos(x), -1)), jnp.asarray(0.3))),
    "harmonic": V.Harmonic(0.7),
}


def circle(num_x=16, num_v=24, reach=4.8) -> jk.Grid:
    """Both ends of the velocities are points: v -> -v maps the grid to itself."""
    return jk.Grid(jk.Axis(0.0, CIRCLE, num_x), jk.Axis(-reach, 2 * reach * num_v / (num_v - 1), num_v, periodic=False))


def box(num_x=24, num_v=24, reach=7.0) -> jk.Grid:
    return box_grid(num_x, num_v, reach, 0.75 * reach)


def start(name: str, num: int = 2, picture: str = "fourier", **sizes) -> jk.Wave:
    wave = TRAPPED.wave(box(**sizes)) if name == "harmonic" else DATUM.wave(circle(**sizes))
    wave = V.product_wave(wave, num)
    return wave.fourier_picture() if picture == "fourier" else wave


def run(name: str, state: jk.Wave, scheme=None, dt=0.1, num_steps=5, **options):
    system = V.PseudoSchrodinger(POTENTIALS[name], state.dim)
    scheme = jk.Strang(4) if scheme is None else scheme
    return jk.simulate(system, state, scheme=scheme, dt=dt, num_steps=num_steps, **options)


@pytest.mark.parametrize("name", slow_but(("cosine", "harmonic"), POTENTIALS))
def test_solution_by_characteristics(name):
    """Against (HLv^N) at 200 points of the grid where the amplitude is not small, complex data, N = 2, t = .5:
    |difference| below 2e-4 of the largest value (the grid's accuracy; order 4 in dt alone would give 1e-6). Catches a
    phase K that (HLv^N) does not have, the sign and the pairing of the forces, and 1/N for 1/(N-1)."""
    wave = run(name, start(name, picture="velocity")).final
    alpha = np.asarray(wave.alpha)
    rng = np.random.default_rng(0)
    large = np.argwhere(np.abs(alpha) > 0.05 * np.abs(alpha).max())
    places = large[rng.choice(len(large), 200, replace=False)]
    points = [np.asarray(axis.points)[places[:, i]] for i, axis in enumerate(wave.grid.axes)]
    x, v = jnp.asarray(np.stack(points[:2], 1)), jnp.asarray(np.stack(points[2:], 1))
    datum = TRAPPED if name == "harmonic" else DATUM
    potential = POTENTIALS[name]
    if name == "gaussian":  # on the torus with its images
        potential = V.Custom(lambda x: sum(potential_images(x + CIRCLE * i) for i in (-2, -1, 0, 1, 2)))
    expected = np.exp(np.asarray(V.hamilton_liouville(potential, datum, x, v, dt=0.025, num_steps=20)))
    found = alpha[tuple(places.T)]
    error = np.abs(found - expected).max() / np.abs(alpha).max()
    print(name, error)
    assert error < 2e-4
    moved = np.abs(np.asarray(start(name, picture="velocity").alpha)[tuple(places.T)] - expected).max()
    assert moved > 0.15 * np.abs(alpha).max()


def potential_images(x):
    return POTENTIALS["gaussian"].gamma(x)


@pytest.mark.parametrize("name", slow_but(("cosine", "harmonic"), POTENTIALS))
def test_strang_step_is_composed_of_flows(name):
    """A step is the composition of the flows to 1e-12, N = 2 and 3. Catches a layout in which particles and directions
    are mixed up."""
    for num, sizes in ((2, {}), (3, {"num_x": 8, "num_v": 8})):
        state = start(name, num, **sizes)
        system = V.PseudoSchrodinger(POTENTIALS[name], num)
        stream, turn = system.flows
        half, one, t = jnp.asarray(0.05), jnp.asarray(0.1), jnp.asarray(0.0)
        by_hand = stream(half, t, turn(one, t, stream(half, t, state)))
        system = unchecked(system) if num == 3 else system
        out = jk.simulate(system, state, scheme=jk.Strang(), dt=0.1, num_steps=1)
        top = np.abs(state.alpha).max()
        np.testing.assert_allclose(out.final.alpha, by_hand.alpha, atol=1e-12 * top)
        assert np.abs(out.final.alpha - state.alpha).max() > 1e-2 * top


def unchecked(system):
    """The same without the tests on the data, which do not decay on a tiny grid."""

    class Unchecked(V.PseudoSchrodinger):
        def check_start(self, state):
            pass

    return Unchecked(system.potential, system.num_particles)


@pytest.mark.optimised
@pytest.mark.parametrize(
    "scheme",
    [jk.Strang(), jk.Leapfrog(), pytest.param(jk.Yoshida(4), marks=pytest.mark.slow)],
    ids=lambda s: type(s).__name__,
)
def test_norm_symmetry_momentum_and_reversal(scheme):
    """Norm to 1e-12 over 300 steps, symmetry to round-off, momentum to 1e-9 on resolved data; with all velocities
    reversed, back to 1e-10. Catches a scheme that is not symmetric in time, and forces that are not equal and opposite."""
    state = start("cosine", picture="velocity", num_x=12, num_v=32, reach=5.6)
    end = run("cosine", state, scheme, 0.003, 300).final
    assert abs(float(end.mass - state.mass)) < 1e-12
    alpha = np.asarray(end.alpha)
    assert np.abs(alpha - alpha.transpose(1, 0, 3, 2)).max() < 1e-12 * np.abs(alpha).max()
    np.testing.assert_allclose(V.momentum(end), V.momentum(state), atol=1e-9)
    turned = eqx.tree_at(lambda w: w.alpha, end, end.alpha[:, :, ::-1, ::-1])
    back = run("cosine", turned, scheme, 0.003, 300).final.alpha[:, :, ::-1, ::-1]
    print(np.abs(back - state.alpha).max())
    assert np.abs(back - state.alpha).max() < 1e-10 * np.abs(alpha).max()


@pytest.mark.slow
def test_order_in_dt():
    """The order of the solution against a fine one, by halving dt: 2 and 4 within .2. Catches a flow that does not last
    its share of dt."""
    state = start("gaussian")
    for scheme, order in ((jk.Leapfrog(), 2), (jk.Yoshida(4), 4)):
        fine = run("gaussian", state, jk.Yoshida(4), 1 / 64, 64).final.alpha
        errors = [np.abs(run("gaussian", state, scheme, 1 / n, n).final.alpha - fine).max() for n in (8, 16)]
        assert abs(np.log2(errors[0] / errors[1]) - order) < 0.2


def test_reversible_gradients():
    """`Reversible` gives the gradients of `Direct`, in the strength and the data, over 60 steps, to 1e-9. Catches a
    backward pass that visits other states."""
    state = start("cosine", picture="velocity", num_x=8, num_v=12, reach=6.2)

    def value(adjoint, strength, shift):
        begin = eqx.tree_at(lambda w: w.alpha, state, state.alpha * jk.spectral.phase(shift))
        out = run_cosine(strength, begin, adjoint)
        wave = DATUM.wave(circle(8, 12, 6.2))
        return V.counting(out, wave).outside

    def run_cosine(strength, begin, adjoint):
        system = V.PseudoSchrodinger(V.Cosine(strength), 2)
        return jk.simulate(
            system, begin, scheme=jk.Leapfrog(), dt=0.05, num_steps=60, adjoint=adjoint, throw=False
        ).final

    shift = np.random.default_rng(0).normal(size=state.alpha.shape)
    shift = 0.1 * jnp.asarray(shift + shift.transpose(1, 0, 3, 2))
    both = [jax.grad(partial(value, a), (0, 1))(0.8, shift) for a in (jk.Direct(), jk.Reversible())]
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-11)
    ends = [value(jk.Direct(), 0.8 + s, shift) for s in (1e-5, -1e-5)]
    np.testing.assert_allclose(both[0][0], (ends[0] - ends[1]) / 2e-5, rtol=1e-6)
    assert abs(both[0][0]) > 1e-3


def test_single_precision_and_platforms():
    """complex64 stays complex64; every platform, forwards and backwards. Catches an array made without dtype, and code
    that only a CPU can run."""
    state = start("cosine")
    state = jk.Wave(state.alpha.astype(jnp.complex64), state.grid, state.picture)
    out = run("cosine", state, save=jk.Save(every=2, observe={"m": V.momentum}))
    floats = jax.tree.leaves(eqx.filter((out.final, out.observed), eqx.is_inexact_array))
    assert {x.dtype for x in floats} == {np.dtype(np.float32), np.dtype(np.complex64)}

    def value(strength):
        system = V.PseudoSchrodinger(V.Cosine(strength), 2)
        out = jk.simulate(system, state, dt=0.1, num_steps=3, throw=False)
        return jnp.sum(V.momentum(out.final) ** 2)

    for function in (value, jax.grad(value)):
        exported = jax.export.export(jax.jit(function), platforms=("cpu", "cuda", "tpu"))(jnp.float32(0.8))
        assert exported.platforms == ("cpu", "cuda", "tpu")


def test_argument_errors():
    """Bad arguments raise one sentence each; a grid that does not fit into memory is named with its bytes before they
    are allocated. Catches a state without the exchange symmetry, and axes that differ between particles."""
    wave, cosine = DATUM.wave(circle()), POTENTIALS["cosine"]
    with pytest.raises(ValueError, match=r"must be 2 or 3.*NBody"):
        V.PseudoSchrodinger(cosine, 4)
    with pytest.raises(ValueError, match=r"must be at least 2, but is 1"):
        V.PseudoSchrodinger(cosine, 1)
    large = DATUM.wave(circle(128, 256))
    with pytest.raises(ValueError, match=r"fit into memory, but a wave on .* takes 5.24e\+05 GiB"):
        V.product_wave(large, 3)
    alpha = jax.ShapeDtypeStruct((128,) * 6, jnp.complex64)
    shapes = SimpleNamespace(alpha=alpha, grid=SimpleNamespace(shape=alpha.shape))
    with pytest.raises(ValueError, match=r"a run on .* takes .* GiB of"):
        V.PseudoSchrodinger(cosine, 3).check_memory(shapes)
    with pytest.raises(ValueError, match="have 6 axes"):
        jk.simulate(V.PseudoSchrodinger(cosine, 3), start("cosine"), dt=0.1, num_steps=1)
    two = V.product_wave(wave, 2)
    lopsided = jk.Wave(two.alpha * jk.spectral.phase(jnp.cos(two.grid.mesh[0])), two.grid)
    with pytest.raises(ValueError, match=r"symmetric under the exchange.*1 and 2"):
        run("cosine", lopsided)
    with pytest.raises(ValueError, match="unit norm"):
        run("cosine", jk.Wave(2 * two.alpha, two.grid))
    x, v = wave.grid.axes
    uneven = jk.Wave(two.alpha[:, :, :, :12], jk.Grid(x, x, v, jk.Axis(-4.8, 9.6, 12, periodic=False)))
    with pytest.raises(ValueError, match="same axis of velocity"):
        run("cosine", uneven)
    shifted = jk.Wave(two.alpha, jk.Grid(x, x, v, jk.Axis(-4.0, 9.6, 24, periodic=False)))
    with pytest.raises(ValueError, match="same axis of velocity"):
        run("cosine", shifted)
    with pytest.raises(ValueError, match="d = 1"):
        V.product_wave(two, 2)
    with pytest.raises(ValueError, match="shape"):
        V.hamilton_liouville(cosine, DATUM, jnp.zeros(3), jnp.zeros(3), dt=0.1, num_steps=1)
