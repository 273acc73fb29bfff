"""Error against cost of `landau.IsotropicPDE`: Coulomb to t = 4, and BKW, for several numbers of points."""

import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxkinetic as jk

_TIMES = (0.1, 0.5, 1.0, 4.0)
_STEP = {"coulomb": 0.005, "bkw": 2e-4}


def rows(nums: Sequence[int] = (40, 60, 80, 120, 200)) -> list[dict[str, Any]]:
    """One row for each problem and number of points: name, num, dt, steps, seconds of a run after compiling, microseconds of
    an evaluation, the largest errors. The errors for Coulomb are against twice the largest number of points and half the step;
    those for BKW against the exact solution, in d = 3 and 2."""
    found = []
    reference = _coulomb(2 * max(nums), _STEP["coulomb"] / 2)[0]
    for num in nums:
        dt = _STEP["coulomb"]
        kept, seconds, state = _coulomb(num, dt)
        errors = {name: float(np.max(np.abs(kept[name] - reference[name]))) for name in kept}
        found.append(_row("coulomb", num, 3, dt, 4.0, seconds, _evaluation(jk.landau.PowerLaw(-3.0), state), errors))
    for dim in (3, 2):
        for num in nums:
            found.append(_bkw(num, dim))
    return found


def _row(
    name: str, num: int, dim: int, dt: float, end: float, seconds: float, evaluation: float, errors: dict[str, float]
) -> dict[str, Any]:
    sizes = {"num": num, "dim": dim, "dt": dt, "steps": round(end / dt)}
    return {"name": name, **sizes, "seconds": seconds, "evaluation_us": 1e6 * evaluation, "errors": errors}


def _timed(fn: Any) -> tuple[Any, float]:
    """(result, the shortest of three times after compiling)."""
    out, times = jax.block_until_ready(fn()), []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(fn())
        times.append(time.perf_counter() - start)
    return out, min(times)


def _fourth(state: jk.RadialDensity) -> jax.Array:
    return jk.diagnostics.moment(state, order=4) / 15


def _shell(v: jax.Array) -> jax.Array:
    return v**2 * jnp.exp(-(v**2) / 1.2) / (1.2**2.5 * 1.5 * np.pi**1.5)


def _coulomb(num: int, dt: float) -> tuple[dict[str, np.ndarray], float, jk.RadialDensity]:
    state, system = jk.initial.radial(_shell, 9.0, num), jk.landau.IsotropicPDE(jk.landau.PowerLaw(-3.0))
    steps = tuple(round(t / dt) for t in _TIMES)
    save = jk.Save(steps=steps, observe={"M4": _fourth, "H": jk.diagnostics.entropy})
    done, seconds = _timed(lambda: jk.simulate(system, state, dt=dt, num_steps=steps[-1], save=save))
    return {name: np.asarray(x) for name, x in done.observed.items()}, seconds, state


def _bkw(num: int, dim: int) -> dict[str, Any]:
    dt, end, beta = _STEP["bkw"], 0.1, 0.3
    state = jk.initial.radial(jk.initial.bkw, 9.0, num, dim, beta=beta)
    system = jk.landau.IsotropicPDE(jk.landau.Maxwell(), dim)
    scheme = jk.RungeKutta(4)
    done, seconds = _timed(lambda: jk.simulate(system, state, dt=dt, num_steps=round(end / dt), scheme=scheme))
    exact = jk.landau.exact
    f = exact.bkw_density(np.asarray(state.grid.speeds), end, dim, beta)
    errors = {
        "f": float(np.max(np.abs(np.asarray(done.final.f) - f))),
        "M4": float(jk.diagnostics.moment(done.final, order=4)) - exact.bkw_moment(end, 4, dim, beta),
        "H": float(jk.diagnostics.entropy(done.final)) - exact.bkw_entropy(end, dim, beta),
    }
    errors = {name: abs(float(error)) for name, error in errors.items()}
    return _row("bkw", num, dim, dt, end, seconds, _evaluation(jk.landau.Maxwell(), state), errors)


def _evaluation(interaction: jk.landau.AbstractRadial, state: jk.RadialDensity, repeats: int = 200) -> float:
    """Seconds of one evaluation of the vector field within a run, where the table is known."""
    system = jk.landau.IsotropicPDE(interaction, state.dim)
    plan, grid = system.make_plan(state), state.grid

    @jax.jit
    def chained(plan: Any, f: jax.Array) -> jax.Array:
        def once(_: int, f: jax.Array) -> jax.Array:
            return f + 1e-12 * plan.vector_field(0.0, jk.RadialDensity(f, grid)).f

        return jax.lax.fori_loop(0, repeats, once, f)

    return _timed(lambda: chained(plan, state.f))[1] / repeats


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for row in rows():
        errors = "  ".join(f"{name} {error:.1e}" for name, error in row["errors"].items())
        print(
            f"{row['name']:8} d = {row['dim']}  {row['num']:4} points  {row['steps']:5} steps  {row['seconds']:8.4f} s  "
            f"{row['evaluation_us']:7.1f} us an evaluation  {errors}"
        )
