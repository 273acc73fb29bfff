"""Limit equations: the error of an evaluation of the vector field against its cost, and its cost beside its bare transforms.

    python benchmarks/bench_pde.py [--cores 2] [--sizes 32 64] [--json benchmarks/results/pde_cpu_2cores.json] [--quick]

A size is the number of points of an axis of `LandauPDE`. Then whole runs of the isotropic solvers, with their errors.
"""

import _harness as harness

SIZES = (16, 24, 32, 48, 64, 128, 256)
OPTIONS = harness.options(__doc__.splitlines()[0], SIZES, quick=(16,), of="points of an axis")

import math  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import asdict  # noqa: E402
from functools import cache, partial  # noqa: E402
from typing import Any  # noqa: E402

import _pde_boltzmann  # noqa: E402
import _pde_isotropic  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _harness import Entry  # noqa: E402

import jaxkinetic as jk  # noqa: E402

jax.config.update("jax_enable_x64", True)
RATE, BETA = "evaluations/s", 0.4


def bkw(num: int, dim: int) -> tuple[jk.Density, np.ndarray]:
    """BKW at t = 0 on the best box for this number of points, and its time derivative at gamma = 0."""
    length = math.sqrt(2 * (1 - BETA) * math.pi * num)
    grid = jk.Grid(*[jk.Axis(-length / 2, length, num, periodic=False)] * dim)
    square = sum(np.asarray(v) ** 2 for v in grid.mesh)

    def profile(k: Any) -> Any:
        bracket = ((dim + 2) * k - dim) / (2 * k) + (1 - k) * square / (2 * k * k)
        return (2 * np.pi * k) ** (-dim / 2) * np.exp(-square / (2 * k)) * bracket

    slope = profile(1 - BETA + 1e-30j).imag / 1e-30 * 2 * (dim - 1) * BETA
    return jk.Density(profile(1 - BETA), grid), slope


@jax.jit
def evaluated(system: Any, state: Any) -> Any:
    return system.vector_field(jnp.zeros(()), state).f


def evaluation(dim: int, in_run: bool, num: int) -> Callable[[], Any]:
    """An evaluation by itself, or one in a run, which has computed the tables of the interaction."""
    system, (state, _) = jk.landau.LandauPDE(jk.landau.Maxwell()), bkw(num, dim)
    system = jax.jit(lambda system, state: system.make_plan(state))(system, state) if in_run else system
    return lambda: jax.block_until_ready(evaluated(system, state))


@jax.jit
def bare(wide: Any, half: Any, narrow: Any, small: Any) -> Any:
    """The real transforms of an evaluation: over 2 n points, one of f and one for each component of a * f and b * f; over n
    points those of the gradient and the divergence."""
    out = [jnp.fft.rfftn(x) for x in [wide, *narrow, narrow[0]]]
    padded = [jnp.fft.irfftn(x, wide.shape) for x in half]
    return out, padded, [jnp.fft.irfftn(x, narrow[0].shape) for x in [*small, small[0]]]


def transforms(dim: int, num: int) -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    wide, narrow = rng.standard_normal((2 * num,) * dim), [rng.standard_normal((num,) * dim) for _ in range(dim)]
    count = dim * (dim + 1) // 2 + dim
    half, small = [np.fft.rfftn(wide) * (1 + i) for i in range(count)], [np.fft.rfftn(x) for x in narrow]
    given = jax.tree.map(jnp.asarray, (wide, half, narrow, small))
    return lambda: jax.block_until_ready(bare(*given))


@cache
def measured(dim: int, in_run: bool, num: int) -> dict[str, float]:
    """The error, and the time of an evaluation in times of the bare transforms: the best of calls in turns."""
    state, slope = bkw(num, dim)
    got = evaluated(jk.landau.LandauPDE(jk.landau.Maxwell()), state)
    calls = evaluation(dim, in_run, num), transforms(dim, num)
    times: list[list[float]] = [[], []]
    for _ in range(4 if OPTIONS.quick else 25):
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    ratio = min(times[0][1:]) / min(times[1][1:])
    return {"error": float(np.abs(got - slope).max()), "transforms": ratio}


def landau_pde() -> list[Entry]:
    out = []
    for dim, largest in ((2, 256), (3, 64)):
        name = f"LandauPDE, d = {dim}"
        for line, in_run in ((f"{name}, in a run", True), (name, False)):
            extra = partial(measured, dim, in_run)
            out.append(Entry(line, RATE, lambda num: 1.0, partial(evaluation, dim, in_run), largest, extra=extra))
        bare_name = f"{name}, bare transforms"
        out.append(Entry(bare_name, RATE, lambda num: 1.0, partial(transforms, dim), largest, f"{name}, in a run"))
    return out


def main() -> None:
    results = harness.run(landau_pde(), OPTIONS)
    for result in results:
        if result.extra:
            shown = ", ".join(f"{name} {value:.3g}" for name, value in result.extra.items())
            print(f"{result.name}, n = {result.size}: {shown}")
    landau = _pde_isotropic.rows((40, 80)) if OPTIONS.quick else _pde_isotropic.rows()
    isotropic = [{"solver": "landau.IsotropicPDE", **row} for row in landau]
    isotropic += _pde_boltzmann.rows(quick=OPTIONS.quick)
    for row in isotropic:
        print(
            ", ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
            )
        )
    method = (
        "LandauPDE: one call not counted, then 0.3 s and 3 calls at least. Isotropic: a run that compiles, then 3 to 5"
    )
    harness.write_rows([*map(asdict, results), *isotropic], OPTIONS, method)


if __name__ == "__main__":
    main()
