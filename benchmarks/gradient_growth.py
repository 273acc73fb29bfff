"""How the spread of a pathwise derivative grows with time: Coulomb and Maxwell collisions, and the HMF model.

    python benchmarks/gradient_growth.py [--runs 32]    # measure what the JSON lacks, study by study; draw the figure
    python benchmarks/gradient_growth.py --draw         # draw the figure from the JSON

Writes benchmarks/results/gradient_growth.json and docs/figures/gradient_growth.png, the figure of docs/when_gradients_fail.md.
The derivative of one run is exact along its path (forward mode, noise held fixed). Its standard deviation over runs is compared
with that of the value, and with that of a central difference of finite step with common random numbers.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _harness import provenance

ROOT = Path(__file__).resolve().parents[1]
RESULTS, FIGURE = (
    ROOT / "benchmarks" / "results" / "gradient_growth.json",
    ROOT / "docs" / "figures" / "gradient_growth.png",
)
SEED = 23


class Study(NamedTuple):
    """`curve(parameter, key)`: an observable at the saved times, one run. `step`: of the central difference."""

    curve: Callable[[Any, Any], Any]
    at: float
    step: float
    times: np.ndarray
    parameter: str
    observable: str


def studies() -> dict[str, Study]:
    import jax
    import jax.numpy as jnp

    import jaxkinetic as jk

    def collisions(law: Callable[[Any], Any], num: int, at: float, parameter: str) -> Study:
        dt, steps, every = 0.1, 40, 2

        def curve(x: Any, key: Any) -> Any:
            start, run = jax.random.split(key)
            state = jk.initial.bimaxwellian(start, num, 3, perpendicular=1.25, parallel=0.5, dtype=jnp.float64)
            solution = jk.simulate(
                jk.landau.Kac(law(x)), state, scheme=jk.pairs.Sweep(), key=run, dt=dt, num_steps=steps, throw=False,
                save=jk.Save(every=every, observe={"stress": jk.diagnostics.stress}), adjoint=jk.Direct(),
            )  # fmt: skip
            return solution.observed["stress"][:, 2, 2]

        times = dt * every * np.arange(steps // every + 1)
        return Study(curve, at, 0.1, times, parameter, "stress P_33")

    def magnetisation(state: Any) -> Any:
        return jnp.abs(jk.vlasov.magnetisation(state)) ** 2

    def hmf() -> Study:
        dt, steps, every = 0.1, 400, 10

        def curve(x: Any, key: Any) -> Any:
            place, speed = jax.random.split(key)
            state = jk.Particles(
                jax.random.normal(speed, (200, 1)) * 0.1**0.5, 2 * jnp.pi * jax.random.uniform(place, (200, 1))
            )
            solution = jk.simulate(
                jk.vlasov.NBody(jk.vlasov.Cosine(x)), state, scheme=jk.Leapfrog(), dt=dt, num_steps=steps, throw=False,
                save=jk.Save(every=every, observe={"m2": magnetisation}), adjoint=jk.Direct(),
            )  # fmt: skip
            return solution.observed["m2"]

        return Study(curve, 1.0, 0.05, dt * every * np.arange(steps // every + 1), "strength", "|M|^2")

    def coulomb(gamma: Any) -> Any:
        return jk.landau.PowerLaw(gamma, 1.0)

    return {
        "Coulomb, N = 200, gamma": collisions(coulomb, 200, -3.0, "gamma"),
        "HMF, T = .1, N = 200, strength": hmf(),
        "Maxwell, N = 100, gamma": collisions(coulomb, 100, 0.0, "gamma"),
        **{f"Coulomb, N = {num}, gamma": collisions(coulomb, num, -3.0, "gamma") for num in (50, 100)},
    }


def measure(study: Study, runs: int) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def all_runs(keys: Any) -> Any:
        def one(key: Any) -> Any:
            at = jnp.asarray(study.at)
            value, slope = jax.jvp(lambda x: study.curve(x, key), (at,), (jnp.ones(()),))
            up, down = (study.curve(at + sign * study.step, key) for sign in (1, -1))
            return value, slope, (up - down) / (2 * study.step)

        return jax.lax.map(one, keys, batch_size=32)

    columns = [np.asarray(x) for x in all_runs(jax.random.split(jax.random.key(SEED), runs))]
    spread = [x.std(axis=0, ddof=1) for x in columns]
    # Half of the interquartile range: the spread of a typical run, which single large runs do not decide.
    typical = np.subtract(*np.percentile(columns[1], [75, 25], axis=0)) / 1.349
    means = [x.mean(axis=0) for x in columns]
    names = ("value", "derivative", "difference")
    return {
        "parameter": study.parameter,
        "observable": study.observable,
        "at": study.at,
        "step": study.step,
        "runs": runs,
        "times": study.times.tolist(),
        **{f"std_{name}": s.tolist() for name, s in zip(names, spread, strict=True)},
        **{f"mean_{name}": m.tolist() for name, m in zip(names, means, strict=True)},
        "typical_derivative": typical.tolist(),
        "largest_derivative": np.abs(columns[1]).max(axis=0).tolist(),
    }


def growth_rate(row: dict[str, Any], first: float, last: float) -> float:
    """d log(std of the derivative)/dt between two times."""
    t, spread = np.asarray(row["times"]), np.asarray(row["std_derivative"])
    keep = (t >= first) & (t <= last)
    return float(np.polyfit(t[keep], np.log(spread[keep]), 1)[0])


def draw(content: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = content["results"]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=False, layout="constrained")
    panels = ("Coulomb, N = 200, gamma", "Maxwell, N = 100, gamma", "HMF, T = .1, N = 200, strength")
    for ax, name in zip(axes, panels, strict=True):
        row = rows[name]
        for key, label, style in (
            ("std_derivative", "pathwise derivative", "C3-"),
            ("std_difference", f"difference, step ±{row['step']:g}", "C0--"),
            ("std_value", "value", "k:"),
        ):
            # The first point has no spread in the parameter.
            ax.semilogy(row["times"][1:], row[key][1:], style, label=label)
        symbol = {"gamma": r"$\gamma$", "strength": "$C$"}[row["parameter"]]
        observable = {"stress P_33": "$P_{33}$", "|M|^2": "$|M|^2$"}[row["observable"]]
        ax.set(
            title=name.rsplit(", ", 1)[0], xlabel="time t", ylabel=f"std of one run, {observable} and its d/d{symbol}"
        )
        ax.legend(fontsize=8)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--draw", action="store_true", help="only draw the figure")
    chosen = parser.parse_args()
    if not chosen.draw:
        import jax

        jax.config.update("jax_enable_x64", True)
        results: dict[str, Any] = json.loads(RESULTS.read_text())["results"] if RESULTS.exists() else {}
        method = (
            "standard deviation over runs of the value, of its pathwise derivative, and of a difference at common noise"
        )
        for name, study in studies().items():
            if name in results:
                continue
            results[name] = measure(study, chosen.runs)
            spread = zip(study.times, results[name]["std_derivative"], strict=True)
            print(name, *(f"{t:g}: {s:.3g}" for t, s in spread), flush=True)
            content = {**provenance(len(os.sched_getaffinity(0))), "method": method, "results": results}
            RESULTS.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    content = json.loads(RESULTS.read_text())
    draw(content)
    for name, row in content["results"].items():
        first, last = (1.0, 4.0) if row["times"][-1] < 10 else (10.0, 40.0)
        print(f"{name}: growth rate {growth_rate(row, first, last):.2f} between t = {first:g} and {last:g}")


if __name__ == "__main__":
    main()
