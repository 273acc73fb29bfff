"""The Landau equation on the torus: exact one-mode solutions, the Galerkin sum, entropy, particles, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

L = jk.landau
# Not isotropic, not scalar, with modes off the axes.
GENERAL = L.Trigonometric(
    [[0, 0], [1, 0], [1, -2], [0, 2]],
    np.stack([3 * np.eye(2), [[0.3, 0.2], [0.2, 0.3]], [[0.2, 0.1], [0.1, 0.4]], 0.2 * np.eye(2)]),
)


def interaction_for(dim):
    """(a, the mode of an exact solution): a scalar in d = 1, |s|^2 I - s s^T + I/2 with s = sin z in d = 2 and 3."""
    if dim == 1:
        return L.Trigonometric([[0], [1]], [1.0, 0.5]), (1,)
    unit, identity = np.eye(dim, dtype=int), np.eye(dim)
    modes, matrices = [0 * unit[0]], [dim / 2 * identity]
    for i in range(dim):
        modes.append(2 * unit[i])
        matrices.append((np.diag(unit[i]) - identity) / 2)
        for j in range(i):
            cross = (np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i])) / 2
            modes += [unit[i] + unit[j], unit[i] - unit[j]]
            matrices += [cross, -cross]
    return L.Trigonometric(np.stack(modes), np.stack(matrices)), (1, 1, 0)[:dim]


def torus(num, dim):
    return jk.Grid(*[jk.Axis(0.0, 2 * np.pi, num)] * dim)


def one_mode(interaction, mode, grid, t, amplitude=0.8, phase=0.3):
    v = np.stack([np.asarray(x) for x in grid.mesh], -1)
    return L.exact.torus_mode_density(v, t, interaction, mode, amplitude, phase)


def band_limited(num, dim, seed=0):
    """A positive density with all modes below the Nyquist frequency."""
    f = np.random.default_rng(seed).uniform(0.5, 1.5, (num,) * dim)
    hat = np.fft.fftn(f)
    for axis in range(dim):
        hat = np.moveaxis(hat, axis, 0)
        hat[num // 2] = 0
        hat = np.moveaxis(hat, 0, axis)
    return np.fft.ifftn(hat).real


@pytest.mark.parametrize(("dim", "num"), [(1, 16), (2, 12), (3, 10)])
def test_exact_solution(dim, num):
    """The one-mode solution, to 1e-12 at t = .5: the vector field is exact, what remains is the time step. Catches a factor 2
    in a_m = C_m/2, a missing (2 pi)^d, b with the wrong sign."""
    interaction, mode = interaction_for(dim)
    grid, system = torus(num, dim), L.TorusPDE(interaction)
    state = jk.Density(jnp.asarray(one_mode(interaction, mode, grid, 0.0)), grid)
    slope = system.vector_field(jnp.zeros(()), state).f
    rate = L.exact.torus_mode_rate(interaction, mode)
    np.testing.assert_allclose(slope, -rate * (state.f - 1 / (2 * np.pi) ** dim), atol=1e-13)
    done = jk.simulate(system, state, dt=0.5 / 400, num_steps=400, scheme=jk.RungeKutta(4))
    np.testing.assert_allclose(done.final.f, one_mode(interaction, mode, grid, 0.5), atol=1e-12)
    np.testing.assert_allclose(done.final.mass, 1, rtol=1e-13)
    exact = L.exact.torus_mode_entropy(0.5, interaction, mode, 0.8) - dim * np.log(2 * np.pi)
    np.testing.assert_allclose(jk.diagnostics.entropy(done.final), exact, atol=1e-5 if num < 16 else 1e-9)


def galerkin(interaction, f):
    """-(2 pi)^d sum_m k^T a_m (k - 2m) f_m f_{k-m}, term by term."""
    num, dim = f.shape[0], f.ndim
    hat = np.fft.fftn(f) / f.size
    known = list(itertools.product(range(-num // 2 + 1, num // 2), repeat=dim))
    a = {}
    for m, c in zip(interaction.modes, np.asarray(interaction.coefficients), strict=True):
        for sign in (1, -1):
            place = tuple(sign * np.array(m))
            a[place] = a.get(place, 0) + c / 2
    out = np.zeros(f.shape, complex)
    for k in known:
        for m, c in a.items():
            rest = tuple(np.subtract(k, m))
            if rest in known:
                out[k] -= np.array(k) @ c @ (np.array(k) - 2 * np.array(m)) * hat[m] * hat[rest]
    return np.fft.ifftn((2 * np.pi) ** dim * out * f.size).real


def test_galerkin_sum():
    """Data with all modes of the grid, against the sum term by term. Catches aliasing: without the finer grid the highest modes
    are wrong by some per cent."""
    f = band_limited(10, 2)
    got = L.TorusPDE(GENERAL).vector_field(jnp.zeros(()), jk.Density(jnp.asarray(f), torus(10, 2))).f
    want = galerkin(GENERAL, f)
    np.testing.assert_allclose(got, want, atol=1e-13 * np.abs(want).max())


def test_stiffness_is_a_bound():
    """The eigenvalues of the derivative, for a scalar and a matrix interaction, are below `stiffness`, which is at most four
    times too large. Catches a bound without the largest wavenumber of every axis."""
    for interaction, num, dim in ((GENERAL, 10, 2), (interaction_for(1)[0], 32, 1)):
        grid, system = torus(num, dim), L.TorusPDE(interaction)
        f = jnp.asarray(band_limited(num, dim))
        jacobian = jax.jacfwd(lambda f: system.vector_field(0.0, jk.Density(f, grid)).f)(f)  # noqa: B023
        radius = np.abs(np.linalg.eigvals(np.asarray(jacobian).reshape(f.size, f.size))).max()
        assert radius < float(system.stiffness(0.0, jk.Density(f, grid))) < 4 * radius


def test_entropy_falls_and_resolution_does_not_matter():
    """From any positive data H falls at every step; twice the points give the same f to the error of the time step; the default
    scheme keeps the mass to round-off and reports that the grid suffices. Catches a scheme that is unstable."""
    grids = torus(32, 2), torus(64, 2)
    finals = []
    for grid in grids:
        x, y = grid.mesh
        f = jnp.exp(jnp.sin(x) + 0.5 * jnp.cos(x - 2 * y))
        state = jk.Density(f / (jnp.sum(f) * grid.cell), grid)
        save = jk.Save(every=1, observe={"H": jk.diagnostics.entropy, "mass": lambda s: s.mass})
        done = jk.simulate(
            L.TorusPDE(GENERAL),
            state,
            dt=0.01,
            num_steps=20,
            save=save,
            scheme=jk.RungeKutta(4) if grid is None else None,
        )
        assert (np.diff(np.asarray(done.observed["H"])) < 0).all()
        np.testing.assert_allclose(done.observed["mass"], 1, rtol=1e-13)
        assert float(done.stats["spectral_tail"]) < 1e-10
        finals.append(np.asarray(done.final.f))
    # The stages, and with them the error of the time step, depend on the grid.
    np.testing.assert_allclose(finals[0], finals[1][::2, ::2], atol=3e-4)


def test_dissipation():
    """D(f) is the double sum of its definition (d = 1) and -dH/dt along the equation (d = 1, 2), to round-off for resolved
    data; of the uniform law it is 0. Catches a missing 1/2, b of the wrong sign, the cell of the other grid."""
    interaction, (grid, plane) = interaction_for(1)[0], (torus(64, 1), torus(48, 2))
    (v,), (x, y) = grid.mesh, plane.mesh
    line = jk.Density(jnp.exp(jnp.sin(v) + 0.5 * jnp.cos(2 * v)) / 8, grid)
    slope = np.cos(v) - np.sin(2 * v)  # of log f
    a = interaction.a((v[:, None] - v[None, :])[..., None])[..., 0, 0]
    pairs = np.outer(line.f, line.f) * a * (slope[:, None] - slope[None, :]) ** 2
    want = 0.5 * pairs.sum() * float(grid.cell) ** 2
    np.testing.assert_allclose(L.TorusPDE(interaction).dissipation(line), want, rtol=1e-12)
    flat = jk.Density(jnp.full((48, 48), 0.025), plane)
    assert abs(float(L.TorusPDE(GENERAL).dissipation(flat))) < 1e-15
    wave = jk.Density(jnp.exp(jnp.sin(x) + 0.5 * jnp.cos(x - 2 * y)) / 40, plane)
    for system, state in ((L.TorusPDE(interaction), line), (L.TorusPDE(GENERAL), wave)):
        rate = system.generator(jk.diagnostics.entropy)(state)
        np.testing.assert_allclose(system.dissipation(state), -rate, rtol=1e-11)
    negative = jk.Density(flat.f.at[3, 3].set(-0.1), plane)
    with pytest.raises(ValueError, match="must not be negative"):
        L.TorusPDE(GENERAL).dissipation(negative)
    assert np.isnan(jax.jit(lambda state: L.TorusPDE(GENERAL).dissipation(state))(negative)), "where f is traced"


@pytest.mark.slow
def test_particles_tend_to_it():
    """The modes of the matrix-root system at N = 2000, 200 replicas, against the equation with its (N - 1)/N: within 4 standard
    errors + 2/N. Catches a strength that is not that of the particles."""
    interaction, num = L.Trigonometric([[0], [1], [2]], [1.0, 0.4, 0.2]), 2000
    grid = torus(64, 1)
    (v,) = grid.mesh
    f = (1 + 0.8 * jnp.cos(v)) / (2 * np.pi)
    done = jk.simulate(L.TorusPDE(interaction), jk.Density(f, grid), dt=0.01, num_steps=50)
    want = np.array([float(jnp.sum(done.final.f * jnp.cos(k * v)) * grid.cell) for k in (1, 2)])

    def modes(state):
        return jnp.stack([jk.diagnostics.mode(state, wavevector=[k]).real for k in (1, 2)])

    runs = jk.ensemble(
        L.MatrixSqrt(interaction), lambda key: jk.initial.torus_mode(key, num, [1], 0.8), key=jax.random.key(5), replicas=200,
        dt=0.0025, num_steps=200, save=jk.Save(steps=(200,), observe={"modes": modes}),
    ).observed["modes"][:, 0]  # fmt: skip
    runs = np.asarray(runs)
    got, stderr = runs.mean(0), runs.std(0, ddof=1) / len(runs) ** 0.5
    print((got - want) / stderr)
    assert (np.abs(got - want) < 4 * stderr + 2 / num).all()


def test_gradients_and_float32():
    """The derivative in a coefficient, by reverse mode, agrees with differences to 1e-6; float32 gives the float64 result to
    1e-5. Catches a coefficient that is not differentiated, and constants in double precision."""
    grid = torus(16, 1)
    (v,) = grid.mesh
    state = jk.Density((1 + 0.5 * jnp.cos(v) + 0.2 * jnp.sin(2 * v)) / (2 * np.pi), grid)

    def total(c):
        system = L.TorusPDE(L.Trigonometric([[0], [1]], jnp.stack([jnp.ones_like(c), c])))
        return jk.diagnostics.entropy(jk.simulate(system, state, dt=0.02, num_steps=10).final)

    c, small = jnp.asarray(0.5), 1e-5
    difference = (total(c + small) - total(c - small)) / (2 * small)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(c), difference, rtol=1e-6)
    single = jax.tree.map(lambda x: x.astype(jnp.float32), state)
    system = L.TorusPDE(L.Trigonometric([[0], [1]], [1.0, 0.5]))
    done = jk.simulate(system, single, dt=0.02, num_steps=10).final.f
    assert done.dtype == jnp.float32
    np.testing.assert_allclose(done, jk.simulate(system, state, dt=0.02, num_steps=10).final.f, atol=1e-5)


def test_errors():
    """Catches raw errors for grids, data and interactions that do not fit."""
    system, good = L.TorusPDE(L.Trigonometric([[0], [3]], [1.0, 0.5])), torus(16, 1)
    flat = jnp.ones(16) / (2 * np.pi)

    def run(f, grid, system=system):
        return jk.simulate(system, jk.Density(f, grid), dt=0.01, num_steps=1)

    for call, sentence in (
        (lambda: L.TorusPDE(L.Maxwell()), "`interaction` must be a Trigonometric, but is Maxwell"),
        (lambda: run(jnp.ones(6), torus(6, 1)), r"num` must be above 6, twice the highest mode of the interaction, but is 6"),
        (lambda: run(jnp.ones((16, 16)), torus(16, 2)), "`state.grid` must have 1 periodic axes"),
        (lambda: run(flat, jk.Grid(jk.Axis(0.0, 6.0, 16))), "length` must be 2 pi, but is 6; measure velocities in units"),
        (lambda: run(flat, jk.Grid(jk.Axis(0.0, 2 * np.pi, 16, periodic=False))), "periodic axes.*but has 1, not all periodic"),
        (lambda: run(flat.at[3].set(-0.1), good), "`state.f` must not be negative, but at one point is -0.1"),
        (lambda: run(flat.at[3].set(jnp.nan), good), "`state.f` must hold finite numbers"),
        (lambda: run(jnp.zeros(16), good), "`state.f` must have a positive mass"),
        (lambda: run(flat, good, L.TorusPDE(L.Trigonometric([[0], [3]], [1.0, 1.5]))), "`interaction` must be elliptic"),
        (lambda: jk.simulate(system, jk.initial.torus_mode(jax.random.key(0), 9, [1], 0.1), dt=0.1, num_steps=1),
         "`state` must be a Density, but is Particles"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            call()
