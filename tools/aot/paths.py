"""The paths whose launches are counted: programs of one or several steps at the sizes of an accelerator.

Shapes only: nothing is computed. `before`: kernels and host synchronisations a step of the version of 26 November 2026
(9dbd7d6), counted from XLA's launch lists; `goal`: what they must not exceed, of kernels, synchronisations, and bytes.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxkinetic as jk

COULOMB, SOFT = jk.landau.PowerLaw(-3.0), jk.landau.PowerLaw(-3.0, softening=0.1)
STEPS = 1000


class Path(NamedTuple):
    """`make()`: a function and its arrays. `steps`: its counts are divided by that. `trips`: of loops of unknown length;
    1 counts one window of the clock."""

    name: str
    make: Callable[[], tuple[Any, ...]]
    steps: int
    before: tuple[float, float]
    goal: tuple[float, float]
    quick: bool = False
    trips: int = 8


def _velocities(num: int, dim: int = 3) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((num, dim), jnp.float32)


def _drift(num: int) -> tuple[Any, ...]:
    kac = jk.landau.Kac(SOFT)
    return lambda v: kac.drift(jnp.zeros((), v.dtype), jk.Particles(v)).velocity, _velocities(num)


def _drift_gradient(num: int) -> tuple[Any, ...]:
    drift, v = _drift(num)
    return jax.value_and_grad(lambda v: jnp.sum(drift(v) ** 2)), v


def _noise(num: int) -> tuple[Any, ...]:
    kac = jk.landau.Kac(SOFT)

    def noise(words: Any, v: Any) -> Any:
        zero, dt = jnp.zeros((), v.dtype), jnp.full((), 1e-3, v.dtype)
        return kac.noise(words, zero, dt, jk.Particles(v)).velocity

    return noise, jax.ShapeDtypeStruct((2,), jnp.uint32), _velocities(num)


def _everything(solution: jk.Solution) -> Any:
    """What a user gets, so that no statistic is optimised away."""
    return solution.final, solution.stats, solution.result


def _run(system: Any, scheme: Any, num: int, steps: int = STEPS, dim: int = 3) -> tuple[Any, ...]:
    def run(v: Any) -> Any:
        given = {"key": jax.random.key(0), "dt": 1e-3, "num_steps": steps, "throw": False}
        return _everything(jk.simulate(system, jk.Particles(v), scheme=scheme, **given))

    return run, _velocities(num, dim)


def _grid(system: Any, steps: int = STEPS) -> tuple[Any, ...]:
    grid = jk.Grid(jk.Axis(0.0, 2 * math.pi, 1024), jk.Axis(-6.0, 12.0, 2048, periodic=False))
    wave = isinstance(system, jk.vlasov.HamiltonHartree)

    def run(f: Any) -> Any:
        state = jk.Wave(jax.lax.complex(f, jnp.zeros_like(f)), grid) if wave else jk.Density(f, grid)
        return _everything(jk.simulate(system, state, dt=1e-2, num_steps=steps, throw=False))

    return run, jax.ShapeDtypeStruct((1024, 2048), jnp.float32)


def _clock(system: Any, num: int) -> tuple[Any, ...]:
    return _run(system, jk.pairs.ExactClock(), num)


def _gaussians(key: Any, num: int) -> jk.Particles:
    return jk.Particles(jax.random.normal(key, (num, 3)))


def _ensemble() -> tuple[Any, ...]:
    def run(words: Any) -> Any:
        key = jax.random.wrap_key_data(words, impl="threefry2x32")
        given = {"replicas": 256, "dt": 1e-3, "num_steps": STEPS, "scheme": jk.EulerMaruyama(), "throw": False}
        init = jax.tree_util.Partial(_gaussians, num=64)
        return _everything(jk.ensemble(jk.landau.Kac(SOFT), init, key=key, **given))

    return run, jax.ShapeDtypeStruct((2,), jnp.uint32)


def _entropy(num: int) -> tuple[Any, ...]:
    return lambda v: jk.diagnostics.kde_entropy(jk.Particles(v)), _velocities(num)


def _neighbours(num: int) -> tuple[Any, ...]:
    return lambda v: jk.diagnostics.knn_entropy(jk.Particles(v)), _velocities(num)


def _hmf(num: int) -> tuple[Any, ...]:
    def run(x: Any, v: Any) -> Any:
        system = jk.vlasov.NBody(jk.vlasov.Cosine())
        return _everything(jk.simulate(system, jk.Particles(v, x), dt=1e-2, num_steps=STEPS, throw=False))

    return run, _velocities(num, 1), _velocities(num, 1)


_MAXWELL, _SPHERES = jk.boltzmann.Maxwell(), jk.boltzmann.HardSphere()
_KAC = jk.landau.Kac(COULOMB)

PATHS = [
    Path("Landau sums, N = 16384", partial(_drift, 16384), 1, (24.6e3, 0), (800, 0), quick=True),
    Path("Landau sums, N = 131072", partial(_drift, 131072), 1, (2.2e6, 0), (13e3, 0)),
    Path(
        "Landau sums, value and gradient, N = 16384",
        partial(_drift_gradient, 16384),
        1,
        (86e3, 0),
        (3e3, 0),
        quick=True,
    ),
    Path("Landau sums, value and gradient, N = 131072", partial(_drift_gradient, 131072), 1, (5.6e6, 0), (60e3, 0)),
    Path("Kac noise, N = 16384", partial(_noise, 16384), 1, (12e3, 0), (500, 0), quick=True),
    Path("Kac noise, N = 131072", partial(_noise, 131072), 1, (1.8e6, 0), (10e3, 0)),
    Path("Sweep, N = 4096", partial(_run, _KAC, jk.pairs.Sweep(), 4096), STEPS, (205e3, 8191), (40e3, 2), quick=True),
    Path(
        "RandomMatching, N = 10^6",
        partial(_run, _KAC, jk.pairs.RandomMatching(), 10**6),
        STEPS,
        (45, 7),
        (25, 0),
        quick=True,
    ),
    Path(
        "TauLeap, N = 10^6",
        partial(_run, jk.boltzmann.KacWalk(_MAXWELL, 10**6), jk.pairs.TauLeap(), 10**6),
        STEPS,
        (45, 7),
        (25, 0),
    ),
    Path(
        "ExactClock, Maxwell, a window, N = 10^6",
        partial(_clock, jk.boltzmann.KacWalk(_MAXWELL, 10**6), 10**6),
        STEPS,
        (678, 41),
        (250, 4),
        trips=1,
    ),
    Path(
        "ExactClock, hard spheres, a window, N = 10^6",
        partial(_clock, jk.boltzmann.KacWalk(_SPHERES, 10**6), 10**6),
        STEPS,
        (750, 43),
        (250, 4),
        quick=True,
        trips=1,
    ),
    Path("Vlasov, 1024 x 2048", partial(_grid, jk.vlasov.Vlasov(jk.vlasov.Cosine())), STEPS, (44, 1), (28, 0)),
    Path(
        "Hamilton-Hartree, 1024 x 2048",
        partial(_grid, jk.vlasov.HamiltonHartree(jk.vlasov.Cosine())),
        STEPS,
        (43, 1),
        (28, 0),
        quick=True,
    ),
    Path("HMF, N = 10^6", partial(_hmf, 10**6), STEPS, (16, 0), (20, 0)),
    Path("KDE entropy, N = 10^5", partial(_entropy, 10**5), 1, (700e3, 0), (8e3, 0)),
    Path("entropy by neighbours, N = 10^5", partial(_neighbours, 10**5), 1, (30e3, 0), (8e3, 0)),
    Path(
        "MatrixSqrt, Maxwell, N = 10^6",
        partial(_run, jk.landau.MatrixSqrt(jk.landau.Maxwell()), jk.EulerMaruyama(), 10**6),
        STEPS,
        (38, 1),
        (30, 0),
        quick=True,
    ),
    Path("ensemble, 256 of N = 64", _ensemble, STEPS, (264, 4), (66, 0), quick=True),
]
