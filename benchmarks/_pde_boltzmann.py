"""`boltzmann.IsotropicPDE`: error against cost, and the time of an evaluation. Used by bench_pde.py."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["rows"]

# BKW at alpha = .5 up to this time; R in units of sqrt(T); nodes and steps.
_END, _RADIUS, _BETA, _ALPHA = 1.0, 8.0, 0.4, 0.5
_SIZES = ((40, 10), (60, 20), (100, 40), (200, 80))


def rows(*, quick: bool = False, repeats: int = 5) -> list[dict[str, float | str]]:
    """One row for each number of nodes: the largest error of f relative to its maximum, and the error in L^1, at t = 1 for
    BKW with alpha = .5; seconds of the whole run after compiling (`seconds`), of the table (`table`), milliseconds of an
    evaluation after set-up (`evaluation_ms`), MiB of the table. In float64, which the caller switches on."""
    return [_row(num, steps, repeats) for num, steps in (_SIZES[:2] if quick else _SIZES)]


def _row(num: int, steps: int, repeats: int) -> dict[str, float | str]:
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np

    import jaxkinetic as jk

    system = jk.boltzmann.IsotropicPDE(jk.boltzmann.Maxwell(), _ALPHA)
    state = jk.initial.radial(jk.initial.bkw, _RADIUS, num, 3, beta=_BETA)
    given = {"dt": _END / steps, "num_steps": steps}
    final, seconds = _timed(lambda: jk.simulate(system, state, **given).final, repeats)
    exact = jk.boltzmann.exact.bkw_density(np.asarray(state.grid.speeds), _END, 3, _BETA, _ALPHA)
    apart = np.abs(np.asarray(final.f) - exact)
    plan, table = _timed(lambda: system.make_plan(state), repeats)
    evaluate = eqx.filter_jit(lambda plan, state: plan.vector_field(jnp.zeros(()), state))
    _, evaluation = _timed(lambda: evaluate(plan, state), 20 * repeats)
    return {
        "solver": "boltzmann.IsotropicPDE",
        "nodes": num,
        "steps": steps,
        "error": float(apart.max() / exact.max()),
        "error_l1": float(np.asarray(state.grid.weights) @ apart),
        "seconds": seconds,
        "table": table,
        "evaluation_ms": 1e3 * evaluation,
        "table_mib": plan.tensor.gain.nbytes / 2**20,
    }


def _timed(run: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """(the last result, the median of the seconds), after one call that compiles."""
    import jax

    result, seconds = jax.block_until_ready(run()), []
    for _ in range(repeats):
        begun = time.perf_counter()
        result = jax.block_until_ready(run())
        seconds.append(time.perf_counter() - begun)
    return result, statistics.median(seconds)


def table(found: Sequence[dict[str, float | str]]) -> str:
    """The rows as text."""
    names = list(found[0])
    cells = [
        [f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name]) for name in names] for row in found
    ]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in [names, *cells])


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    print(table(rows()))
