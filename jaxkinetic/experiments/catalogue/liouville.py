"""The law of N = 2, 3, 4 particles on the torus in d = 1, without samples: its relative entropy to the limit, beside Theorem
2.2 of [CarrilloGuoJabin2024]."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import plotting as look
from ..._core.save import Save
from ..._core.simulate import simulate
from ...diagnostics import entropy_per_particle, fisher_information
from ...landau import Liouville as Law, TorusPDE, Trigonometric
from ...laws import product
from ...states import Axis, Density, Grid
from .._harness import option as options
from .._harness.experiment import Headline
from .._harness.panels import line, panel
from .._harness.parts import ExperimentInParts, Part
from .._harness.replicas import save_steps
from .._harness.report import Report, Series

__all__ = ["Liouville"]

_NOISES = {"independent": "independent noise", "kac": "Kac's noise"}


class Liouville(ExperimentInParts):
    name = "liouville"
    summary = (
        "the law of N = 2, 3, 4 particles on the torus: entropies relative to the limit, both noises, N H_N beside CGJ"
    )
    headline = Headline("largest_scaled_entropy", "largest N H_N")
    precision = 64
    particles: int = options.option(4, "largest number of particles N", minimum=2, maximum=4, symbol="largest N")
    dim: int = options.dim(1, 1, 1)
    dt: float = options.dt(0.02)
    steps: int = options.steps(100)
    nv: int = options.points(24, "v", 8)
    amplitude: float = options.amplitude(0.8)
    coupling: float = options.option(
        0.5, "c of the interaction a = 1 + c cos z", above=0, below=1, reason=", so that a > 0", symbol="coupling c"
    )

    def problem(self) -> Mapping[str, Part]:
        sizes = range(2, self.particles + 1)
        return {
            f"{noise}, N = {n}": lambda n=n, noise=noise: self._entropies(n, noise) for noise in _NOISES for n in sizes
        }

    def _entropies(self, num: int, noise: str) -> Sequence[Any]:
        """(times, H_k (k, T), Fisher's information per particle (T,)) of N particles that start independent."""
        interaction = Trigonometric([[0], [1]], [1.0, self.coupling])
        grid = Grid(Axis(0.0, 2 * np.pi, self.nv))
        f = Density((1 + self.amplitude * jnp.cos(grid.mesh[0])) / (2 * np.pi), grid)
        save = Save(steps=save_steps(self.steps), state=True)
        given = {"dt": self.dt, "num_steps": self.steps, "save": save}
        limit = simulate(TorusPDE(interaction), f, **given)
        law = simulate(Law(interaction, num, noise), product(f, num), **given)
        times = np.asarray(law.times, float)
        pairs = [tuple(jax.tree.map(lambda x: x[i], run.states) for run in (law, limit)) for i in range(len(times))]  # noqa: B023
        h = [[float(entropy_per_particle(state, one, k=k)) for state, one in pairs] for k in range(1, num + 1)]
        # Entropies are not negative: below this they are round-off.
        h = np.where(np.abs(h) < 1e-12, 0, h)
        return times, h, np.asarray([float(fisher_information(state)) / num for state, _ in pairs])

    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        sizes, (times, *_) = range(2, self.particles + 1), next(iter(parts.values()))
        scaled = {(noise, n): n * parts[f"{noise}, N = {n}"][1][-1] for noise in _NOISES for n in sizes}
        largest = max(float(values.max()) for values in scaled.values())
        most = {noise: [float(scaled[noise, n].max()) for n in sizes] for noise in _NOISES}
        below = min(float(np.diff(parts[key][1], axis=0).min()) for key in parts)
        told = {
            noise: ", ".join(f"{x:.4f} (N = {n})" for x, n in zip(most[noise], sizes, strict=True)) for noise in _NOISES
        }
        notes = (
            "H_k is the relative entropy per particle of the law of k of the N particles and of k independent particles that "
            "follow the limit equation; all particles start independent. There is no statistical error.",
            f"Largest N H_N up to t = {times[-1]:.3g}: {told['independent']} with independent noise; {told['kac']} with Kac's.",
            "Theorem 2.2 of Carrillo, Guo and Jabin, for independent noise: H_N(t) <= (H_N(0) + C_1/N) e^{C_2 t}, C_1 and C_2 "
            "independent of N. Here H_N(0) = 0, so N H_N is bounded in N at every t. The theorem gives no numbers.",
            f"The columns H_1 and H_2 are those of {self.particles} particles.",
            f"Subadditivity, H_k <= H_(k+1): the smallest difference is {below:.1e}.",
        )
        columns = [
            Series(f"{noise}_{n}", f"{n} H_{n}, {noise}", scaled[noise, n], form=".5f")
            for noise in _NOISES
            for n in sizes
        ]
        columns += [
            Series("", f"H_{k}, {noise}", parts[f"{noise}, N = {self.particles}"][1][k - 1], form=".5f")
            for noise in _NOISES
            for k in (1, 2)
        ]
        numbers = {
            "largest_scaled_entropy": largest, "largest_independent": most["independent"], "largest_kac": most["kac"],
            "smallest_subadditivity": below,
        }  # fmt: skip
        arrays = {f"entropies_{key.split(',')[0]}_{key[-1]}": values[1] for key, values in parts.items()}
        arrays |= {f"fisher_{key.split(',')[0]}_{key[-1]}": values[2] for key, values in parts.items()}
        dims = {name: f"k_{name[-1]} time" if np.ndim(values) == 2 else "time" for name, values in arrays.items()}
        colors = dict(zip(sizes, look.COLORS, strict=False))
        last = parts[f"independent, N = {self.particles}"][1]
        panels = [
            *(
                panel(
                    *(line(times, scaled[noise, n], f"N = {n}", color=colors[n]) for n in sizes),
                    y=r"$N\,H_N(t)$", title=f"N particles and the limit: {words}", bottom=0,
                )
                for noise, words in _NOISES.items()
            ),
            panel(
                *(line(times, h, f"k = {k + 1}", color=look.COLORS[k]) for k, h in enumerate(last)),
                y=r"$H_k(t)$", title=f"k of N = {self.particles}, independent noise", bottom=0,
            ),
        ]  # fmt: skip
        title = f"The law of N particles on the torus, a = 1 + {self.coupling:g} cos z  ({self.nv} points an axis)"
        return Report(
            numbers, (Series("times", "t", times, form=".4g"), *columns), notes, panels, title, arrays, dims=dims
        )
