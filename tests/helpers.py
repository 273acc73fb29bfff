"""What several test files share: replicas and their standard errors, comparisons, initial states, grids, interactions."""

import contextlib
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import eval_chebyt, eval_gegenbauer

import jaxkinetic as jk

CIRCLE = 2 * math.pi
LANDAU_SYSTEMS = {
    "kac": jk.landau.Kac,
    "independent": jk.landau.IndependentNoise,
    "matrix_sqrt": jk.landau.MatrixSqrt,
}
VLASOV_SYSTEMS = {
    "vlasov": jk.vlasov.Vlasov,
    "velocity": jk.vlasov.HamiltonVlasov,
    "fourier": jk.vlasov.HamiltonHartree,
}

# ---- replicas and standard errors ----------------------------------------------------------------------------------------


def replicate(system, init, observe, *, key, replicas, dt, num_steps, batch=512):
    """observe(initial state, final state) of every replica; `init` maps a key to a state."""

    @eqx.filter_jit
    def all_runs(system, keys):
        def one(key):
            start_key, run_key = jax.random.split(key)
            start = init(start_key)
            final = jk.simulate(
                system, start, scheme=jk.EulerMaruyama(), key=run_key, dt=dt, num_steps=num_steps,
                adjoint=jk.Direct(), throw=False,
            ).final  # fmt: skip
            return observe(start, final)

        return jax.lax.map(one, keys, batch_size=batch)

    return jax.tree.map(np.asarray, all_runs(system, jax.random.split(key, replicas)))


def z_scores(samples, exact) -> np.ndarray:
    """(mean - exact)/standard error, elementwise over what follows the replica axis."""
    samples = np.asarray(samples, float)
    stderr = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return (samples.mean(axis=0) - np.asarray(exact)) / stderr


def difference_z_scores(a, b) -> np.ndarray:
    """(mean of a - mean of b)/standard error, for two independent samples of what should be the same law."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return (a.mean(0) - b.mean(0)) / np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))


def upper(matrix) -> jax.Array:
    """The entries of a symmetric matrix on and above the diagonal."""
    rows, columns = np.triu_indices(matrix.shape[-1])
    return jnp.asarray(matrix)[..., rows, columns]


# ---- which cases are slow ------------------------------------------------------------------------------------------------


def slow_but(fast, cases) -> list:
    """The `cases` of a parametrisation, of which all but those in `fast` are marked slow."""
    import pytest  # Not at the top: benchmarks read the registry where pytest is not installed.

    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow] * (case not in fast))
        for case in cases
    ]


# ---- comparisons and checks ----------------------------------------------------------------------------------------------


def identical(x, y) -> bool:
    """Whether two pytrees have one structure and bitwise the same leaves, dtypes included."""
    same = (
        np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    )
    return jax.tree.structure(x) == jax.tree.structure(y) and all(same)


def assert_argument_error(call, message: str) -> None:
    """`call()` raises a `ValueError` of one sentence: "Argument `x` must ..., but ...; do ...". `message`: a regular expression
    for what follows "Argument "."""
    import pytest

    with pytest.raises(ValueError, match="^Argument " + message) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert "; " in text


def count_traces(observable):
    """(list that grows by one entry for every trace, the observable that fills it)."""
    traces = []

    def counted(state):
        traces.append(1)
        return observable(state)

    return traces, counted


@contextlib.contextmanager
def count_programs():
    """A list that grows by a name for every program that JAX compiles, or reads from its cache on disk, inside the block."""
    programs = []

    def listen(event, _, fun_name="", **__):
        if event == "/jax/core/compile/backend_compile_duration":
            programs.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield programs
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


# ---- initial states and grids --------------------------------------------------------------------------------------------


def particles(key, num, dim, dtype=jnp.float64) -> jk.Particles:
    """Data far from equilibrium: anisotropic, with a mean."""
    spread = jnp.linspace(0.5, 1.5, dim, dtype=dtype)[None, :]
    return jk.Particles(spread * jax.random.normal(key, (num, dim), dtype) + jnp.asarray(0.3, dtype))


def normal_particles(num, dim=3, seed=0, dtype=jnp.float64) -> jk.Particles:
    """Independent standard normal velocities."""
    return jk.Particles(jax.random.normal(jax.random.key(seed), (num, dim), dtype))


def torus_grid(num_x, num_v, reach, length=CIRCLE, dim=1) -> jk.Grid:
    """Positions on a torus, velocities from -reach to reach."""
    x, v = jk.Axis(0.0, length, num_x), jk.Axis(-reach, 2 * reach, num_v, periodic=False)
    return jk.Grid(*[x] * dim, *[v] * dim)


def box_grid(num_x, num_v, reach_x, reach_v) -> jk.Grid:
    """Positions and velocities on the line, from -reach to reach."""
    return jk.Grid(*(jk.Axis(-r, 2 * r, num, periodic=False) for r, num in ((reach_x, num_x), (reach_v, num_v))))


def phase_space_density(state) -> jax.Array:
    """f of a `Density`, |alpha|^2 of a `Wave` in either picture."""
    if isinstance(state, jk.Density):
        return state.f
    alpha = state.velocity_picture().alpha
    return alpha.real**2 + alpha.imag**2


# ---- by numpy and scipy --------------------------------------------------------------------------------------------------


def spectral_derivative(y: np.ndarray, axis: int, length: float) -> np.ndarray:
    """Derivative along a periodic axis of this length, complex; the Nyquist mode has none."""
    num = y.shape[axis]
    k = 2 * math.pi / length * np.fft.fftfreq(num, 1 / num)
    k[num // 2] = 0
    k = k.reshape([-1 if i == axis else 1 for i in range(y.ndim)])
    return np.fft.ifft(1j * k * np.fft.fft(y, axis=axis), axis=axis)


def poisson_bracket(a: np.ndarray, b: np.ndarray, lengths) -> np.ndarray:
    """[a, b] = a_x b_v - a_v b_x on a grid in d = 1."""
    (ax, av), (bx, bv) = ([spectral_derivative(y, i, lengths[i]) for i in (0, 1)] for y in (a, b))
    return ax * bv - av * bx


def harmonic(degree, cosine, dim):
    """The zonal harmonic R_l(cos theta) on S^{dim-1}, R_l(1) = 1."""
    if dim == 2:
        return eval_chebyt(degree, cosine)
    return eval_gegenbauer(degree, dim / 2 - 1, cosine) / eval_gegenbauer(degree, dim / 2 - 1, 1.0)


# ---- Landau systems on the torus -----------------------------------------------------------------------------------------


def torus_cosine() -> jk.landau.Trigonometric:
    """a = 1 + cos(z)/2, d = 1."""
    return jk.landau.Trigonometric([[0], [1]], [1.0, 0.5])


def carrillo(lam=0.5, mu=1.0, dim=2) -> jk.landau.Trigonometric:
    """a = lam I + mu (|s|^2 I - s s^T), s = sin z componentwise (MATH section 5), for any dim."""
    modes, matrices = [[0] * dim], [(lam + mu * (dim - 1) / 2) * np.eye(dim)]
    unit = np.eye(dim, dtype=int)
    for i in range(dim):
        modes.append(list(2 * unit[i]))
        matrices.append(-mu / 2 * (np.eye(dim) - np.outer(unit[i], unit[i])))
        for j in range(i):
            for sign in (1, -1):
                modes.append(list(unit[i] + sign * unit[j]))
                matrices.append(sign * mu / 2 * (np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i])))
    return jk.landau.Trigonometric(modes, np.stack(matrices))


def lifted(system):
    """The class of the same system in the plane: velocities are not wrapped back to the torus, so that (c.v)^degree is a
    function of the state. `test_torus_run_equals_lifted_run` compares the paths."""

    class Lifted(system):
        def retract(self, state):
            return state

    return Lifted
