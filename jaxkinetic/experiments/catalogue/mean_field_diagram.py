"""Figure 1 of [NeissPickl2018] with a distance on every arrow: six systems from the same data, mean fields on the left, N
particles on the right."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ... import plotting as look, vlasov
from ..._core.simulate import simulate
from ...plotting import Axes
from ...states import Density, Wave
from ...vlasov.characteristics import nbody_characteristics
from .._harness import option as options
from .._harness.experiment import make_scheme
from .._harness.panels import line
from .._harness.parts import Part
from .._harness.report import Estimate, Report, Series
from ._amplitudes import FIRST, AmplitudeExperiment, exponent, outside_panel

__all__ = ["Arrow", "MeanFieldDiagram"]

# N of the N-particle amplitude that is computed on a grid.
_PAIR = 2
# Points of this grid at which it is compared with characteristics: each point takes a run of two particles.
_POINTS = 4000


class Arrow(NamedTuple):
    """An arrow between two systems of figure 1. `particles`: N, or "" for mean fields. `kind` names the distance in the table,
    `symbol` in the figure."""

    one: str
    other: str
    particles: str
    kind: str
    symbol: str
    distance: float = math.nan


# The arrows whose distance is computed on the grid.
_ON_GRID = (
    Arrow("HVl", "Vlasov", "", "int | |alpha|^2 - f |", r"$\int ||\alpha|^2 - f|$"),
    Arrow("HVl", "HHt", "", "|| F alpha - alpha-hat ||", r"$\|F\alpha - \hat\alpha\|_2$"),
    Arrow("HLv", "N-body", "2", "max | |alpha_N|^2 - f_N | / max f_N", "max, relative"),
    Arrow("HLv", "PsQM", "2", "max | F alpha_N - alpha-hat_N | / max", "max, relative"),
    Arrow("PsQM", "HHt", "2", "<n^2>, on the grid", r"$\langle n^2\rangle$"),
    Arrow("N-body", "Vlasov", "2", "int | f_N^(1) - f |", r"$\int |f_N^{(1)} - f|$"),
)


class MeanFieldDiagram(AmplitudeExperiment):
    name = "mean-field-diagram"
    summary = (
        "six systems from the same data: N-body, Vlasov and their Hamiltonian forms, and the distance along every arrow"
    )
    particles: int = options.particles(128, minimum=4)
    steps: int = options.steps(20)
    scheme: str = options.scheme("strang-4", "strang", "leapfrog", "yoshida-4")
    nv: int = options.points(48, "v", 32)

    def problem(self) -> Mapping[str, Part]:
        mean = functools.cache(lambda: self.flow(self.steps))

        def sampled(num: int) -> Sequence[Any]:
            count = self.sampled(num, mean())
            return count.outside, count.outside_stderr

        sizes = {f"N = {num}": functools.partial(sampled, num) for num in self.sizes()}
        return {"grid": self._on_grid, "means": lambda: _weak_distance(self, self._mean_field(), mean().dt), **sizes}

    def _simulated(self, system: Any, state: Any) -> Any:
        return simulate(system, state, scheme=make_scheme(self.scheme), dt=self.dt, num_steps=self.steps).final

    def _mean_field(self) -> Density:
        wave = self.datum().wave(self.grid())
        return self._simulated(vlasov.Vlasov(self.potential()), Density(vlasov.phase_space_density(wave), wave.grid))

    def _on_grid(self) -> Sequence[Any]:
        """f, the first marginal of two particles, and the distances of `_ON_GRID`."""
        wave, f = self.datum().wave(self.grid()), self._mean_field()
        alpha = self._simulated(vlasov.HamiltonVlasov(self.potential()), wave)
        picture = alpha.fourier_picture()
        hat = self._simulated(vlasov.HamiltonHartree(self.potential()), wave.fourier_picture())
        pair = vlasov.product_wave(wave.fourier_picture(), _PAIR)
        pseudo = self._simulated(vlasov.PseudoSchrodinger(self.potential(), _PAIR), pair)
        transported, on_grid = _at_points(self, pseudo)
        square, marginal, cell = np.abs(transported) ** 2, np.asarray(vlasov.first_marginal(pseudo)), float(f.grid.cell)
        distances = (
            np.abs(np.asarray(vlasov.phase_space_density(alpha) - f.f)).sum() * cell,
            math.sqrt(Wave(picture.alpha - hat.alpha, hat.grid, hat.picture).mass),
            np.abs(np.abs(on_grid) ** 2 - square).max() / square.max(),
            np.abs(on_grid - transported).max() / np.abs(transported).max(),
            vlasov.counting(pseudo, hat).outside,
            np.abs(marginal - np.asarray(f.f)).sum() * cell,
        )
        return f.f, marginal, np.asarray(distances)

    def analyse(self, parts: Mapping[str, Sequence[np.ndarray]]) -> Report:
        f, marginal, distances = parts["grid"]
        test, test_error = parts["means"]
        n, end = np.asarray(self.sizes()), self.dt * self.steps
        outside, error = np.stack([np.stack(parts[f"N = {num}"]) for num in n], 1)
        rate = exponent(n, outside, error)
        arrows = [arrow._replace(distance=float(d)) for arrow, d in zip(_ON_GRID, distances, strict=True)]
        on_grid, between = arrows[4].distance, arrows[5].distance
        worst, num = int(np.abs(test).argmax()), self.particles
        most = np.abs(test[worst])
        arrows += [
            Arrow("N-body", "Vlasov", str(num), f"largest difference of 4 means, +- {test_error[worst]:.1e}", "", most),
            *(Arrow("HLv", "HVl", str(m), f"<n^2>, Monte Carlo, +- {e:.1e}", r"$\langle n^2\rangle$", float(value))
              for m, value, e in zip(n, outside, error, strict=True)),
        ]  # fmt: skip
        notes = (
            "Vertical arrows join two forms of one equation, so their distance is the numerical error, at "
            f"most {max(a.distance for a in arrows[:4]):.1e}.",
            f"Horizontal arrows, N = 2: the fraction of the particles outside the mean-field state is {on_grid:.5f} on the "
            f"grid and {outside[0]:.5f} +- {error[0]:.5f} by Monte Carlo ({(outside[0] - on_grid) / error[0]:+.1f} standard "
            "errors).",
            f"<n^2> decays as N^b, b = {rate:.3f}, from N = {FIRST} to {num}: the mean-field limit."
            if np.isfinite(rate.value)
            else "Too few values of N to fit an exponent: raise --particles.",
            f"<n^2> bounds the classical distance: int |f_N^(1) - f| = {between:.4f} at N = 2; the bound is 2 sqrt(<n^2>) = "
            f"{2 * math.sqrt(on_grid):.4f}. At N = {num} the means of cos x, sin x, v^2, v^2 cos x differ from those of the "
            f"mean field by at most {most:.1e} +- {test_error[worst]:.1e}.",
            "HVl: Hamilton-Vlasov, HHt: Hamilton-Hartree, HLv: Hamilton-Liouville, PsQM: pseudo-Schrodinger.",
            "+- is one standard error.",
        )
        numbers = {
            **{f"{a.one} -> {a.other}": a.distance for a in arrows[:6]},
            "outside": Estimate(outside[-1], error[-1]), "exponent": rate, "outside_two_grid": on_grid,
            "outside_two_sampled": outside[0], "time": end,
        }  # fmt: skip
        series = (
            Series("", "arrow", [f"{a.one} -> {a.other}" for a in arrows]),
            Series("", "N", [a.particles for a in arrows]),
            Series("", "distance", [a.distance for a in arrows], form=".3e"),
            Series("", "which", [a.kind for a in arrows]),
        )
        x, v = (np.asarray(axis.points) for axis in self.grid().axes)
        arrays = {
            "sizes": n, "outside": outside, "outside_stderr": error, "f": f, "marginal": marginal, "x": x, "v": v,
            "means": test, "means_stderr": test_error,
        }  # fmt: skip
        dims = {
            "outside": "N", "outside_stderr": "N", "f": "x v", "marginal": "x v", "means": "mean", "means_stderr": "mean",
        }  # fmt: skip

        def draw_difference(ax: Axes) -> None:
            title = r"$f_2^{(1)} - f$: two particles against Vlasov"
            image = look.phase_space_density(ax, x, v, marginal - f, signed=True, title=title)
            ax.figure.colorbar(image, ax=ax, shrink=0.9, label=r"$f_2^{(1)}(x, v) - f(x, v)$")
            reach = 4 * math.sqrt(self.temperature)
            ax.set_ylim(-reach, reach)

        panels = (
            lambda ax: _diagram(ax, [arrow for arrow in arrows if arrow.particles in ("", "2")]),
            outside_panel(
                n, outside, error, rate.value, "Monte Carlo",
                line([_PAIR], [on_grid], "(PsQM$^2$) on the grid", "s", look.ORANGE, mfc="none", ms=11),
                y=r"$\langle n^2\rangle = 1 - \langle p_1\rangle$", title="Horizontal arrows: the mean-field limit",
            ),
            draw_difference,
        )  # fmt: skip
        title = f"The mean-field diagram at t = {end:g}  (HMF model, complex data, N = 2 on the grid)"
        return Report(numbers, series, notes, panels, title, arrays, (6.2, 5.8), dims)


def _at_points(e: AmplitudeExperiment, pseudo: Wave) -> tuple[np.ndarray, np.ndarray]:
    """The amplitudes of (HLv^N), by characteristics, and of (PsQM^N) at grid points where they are not small."""
    wave = pseudo.velocity_picture()
    alpha = np.asarray(wave.alpha)
    places = np.argwhere(np.abs(alpha) > 1e-2 * np.abs(alpha).max())
    rng = np.random.default_rng(e.seed)
    places = places[rng.choice(len(places), min(_POINTS, len(places)), replace=False)]
    points = [np.asarray(axis.points)[places[:, i]] for i, axis in enumerate(wave.grid.axes)]
    x, v = (jnp.asarray(np.stack(part, 1)) for part in (points[:_PAIR], points[_PAIR:]))
    fine = 4  # steps of the characteristics per step of the grid: their error is then the smaller one
    log = vlasov.hamilton_liouville(e.potential(), e.datum(), x, v, dt=e.dt / fine, num_steps=e.steps * fine)
    return np.exp(np.asarray(log)), alpha[tuple(places.T)]


def _weak_distance(e: AmplitudeExperiment, f: Density, dt: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Means of four functions over N particles minus those over f, and their standard errors from independent systems."""
    num, key = e.particles, jax.random.fold_in(jax.random.key(e.seed, impl="threefry2x32"), 1)
    runs = max(16, e.replicas // 16)
    start = (c.reshape(runs, num) for c in e.datum().sample(key, runs * num, dt.dtype))
    x, v = nbody_characteristics(e.potential(), *start, dt=dt, num_steps=e.steps)

    def tests(x: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.stack([jnp.cos(x), jnp.sin(x), v**2, v**2 * jnp.cos(x)])

    means = np.asarray(jnp.mean(tests(x, v), -1))
    exact = np.asarray(jnp.sum(tests(*f.grid.mesh) * f.f[None], (1, 2)) * f.grid.cell)
    return means.mean(1) - exact, means.std(1, ddof=1) / math.sqrt(runs)


def _diagram(ax: Axes, arrows: list[Arrow]) -> None:
    look.describe(ax, "", "", "Distances along the arrows, each in its own norm; horizontal: N = 2")
    ax.set_axis_off()
    ax.set(xlim=(0, 10), ylim=(-0.6, 8.8))
    left, right = 1.7, 8.3
    boxes = {
        "Vlasov": (left, 7.6, "Vlasov\n$f$"), "HVl": (left, 4.1, "(HVl)\n$\\alpha$"),
        "HHt": (left, 0.6, "(HHt)\n$\\hat\\alpha$"),
        "N-body": (right, 7.6, "N-body, Liouville\n$f_N$"), "HLv": (right, 4.1, "(HLv$^N$)\n$\\alpha_N$"),
        "PsQM": (right, 0.6, "(PsQM$^N$)\n$\\hat\\alpha_N$"),
    }  # fmt: skip
    box = {"boxstyle": "round,pad=0.45", "fc": "#eef4fa", "ec": look.BLUE, "lw": 1.4}
    for x, y, text in boxes.values():
        ax.text(x, y, text, ha="center", va="center", fontsize=12.5, color=look.BLACK, bbox=box)
    for one, other, _, _, symbol, distance in arrows:
        start, end = (np.array(boxes[name][:2]) for name in (one, other))
        across, (x, y) = start[1] == end[1], (start + end) / 2
        gap = (1.75 if across else 0.85) * np.sign(end - start)
        style = "<->" if (one, other) in (("HVl", "HHt"), ("HLv", "PsQM")) else "->"
        color = look.ORANGE if across else look.BLUE
        ax.annotate("", tuple(end - gap), tuple(start + gap), arrowprops={"arrowstyle": style, "color": color, "lw": 2})
        # The norms differ, so every number is labelled with its norm.
        text = f"{symbol} = {distance:.3f}" if across else f"{symbol}:\n{distance:.0e}"
        if across:
            ax.text(x, y + 0.2, text, fontsize=11, color=color, ha="center", va="bottom")
        else:
            ax.text(x + 0.2, y, text, fontsize=11, color=color, ha="left", va="center")
