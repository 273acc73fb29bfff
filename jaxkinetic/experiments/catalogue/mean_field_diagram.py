"""Figure 1 of [NeissPickl2018] with a distance on every arrow: six systems from the same data, mean fields on the left, N
particles on the right."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ... import plotting as look
from ..._core.simulate import simulate
from ...plotting import Axes, Figure
from ...states import Density, Wave
from ...vlasov import (
    HamiltonHartree,
    HamiltonVlasov,
    PseudoSchrodinger,
    Vlasov,
    counting,
    first_marginal,
    hamilton_liouville,
    phase_space_density,
    product_wave,
)
from ...vlasov.characteristics import nbody_characteristics
from .._harness.errors import log_log_slope
from .._harness.experiment import AmplitudeOptions, Experiment, Headline, Report, Watch
from .._harness.progress import Progress
from .._harness.table import table
from ._amplitudes import datum, flow, grid, potential, sampled, sizes

__all__ = ["MEAN_FIELD_DIAGRAM", "Arrow", "run"]

# N of the N-particle amplitude that is computed on a grid.
_PAIR = 2
# Points of this grid at which it is compared with characteristics: each point takes a run of two particles.
_POINTS = 4000
# The smallest N in the fit: the exponent is that of large N.
_FIRST = 8


class Arrow(NamedTuple):
    """An arrow between two systems of figure 1. `particles`: N, or "" for mean fields. `kind` names the distance in the table,
    `symbol` in the figure."""

    one: str
    other: str
    particles: str
    distance: float
    kind: str
    symbol: str = ""


def run(options: AmplitudeOptions, watch: Watch) -> Report:
    many = sizes(options.particles)
    amplitude, end = datum(options), options.dt * options.steps
    scheme = {"scheme": options.make_scheme(), "dt": options.dt, "num_steps": options.steps}
    with Progress("mean-field-diagram", 4 + len(many), shown=watch.progress, unit="part") as bar:
        wave = amplitude.wave(grid(options))
        f = simulate(Vlasov(potential()), Density(phase_space_density(wave), wave.grid), **scheme).final
        alpha = simulate(HamiltonVlasov(potential()), wave, **scheme).final
        hat = simulate(HamiltonHartree(potential()), wave.fourier_picture(), **scheme).final
        bar.advance()
        pair = product_wave(wave.fourier_picture(), _PAIR)
        pseudo = simulate(PseudoSchrodinger(potential(), _PAIR), pair, **scheme).final
        bar.advance()
        transported, on_grid = _at_points(options, pseudo)
        bar.advance()
        mean = flow(options, options.steps)
        test, test_error = _weak_distance(options, f, mean.dt)
        bar.advance()
        counts = []
        for num in many:
            counts.append(sampled(options, num, mean))
            bar.advance()

    n = np.asarray(many)
    outside = np.asarray([float(c.outside) for c in counts])
    error = np.asarray([float(c.outside_stderr) for c in counts])
    fitted = n >= _FIRST
    rate, rate_error = log_log_slope(n[fitted], outside[fitted], error[fitted], least=3)
    exact = counting(pseudo, hat)
    cell = float(f.grid.cell)
    marginal = float(np.abs(np.asarray(first_marginal(pseudo)) - np.asarray(f.f)).sum() * cell)
    square = np.abs(transported) ** 2
    worst = int(np.abs(test).argmax())
    arrows = [
        Arrow("HVl", "Vlasov", "", float(np.abs(np.asarray(phase_space_density(alpha) - f.f)).sum() * cell),
              "int | |alpha|^2 - f |", r"$\int ||\alpha|^2 - f|$"),
        Arrow("HVl", "HHt", "", _norm(alpha.fourier_picture(), hat), "|| F alpha - alpha-hat ||",
              r"$\|F\alpha - \hat\alpha\|_2$"),
        Arrow("HLv", "N-body", "2", float(np.abs(np.abs(on_grid) ** 2 - square).max() / square.max()),
              "max | |alpha_N|^2 - f_N | / max f_N", "max, relative"),
        Arrow("HLv", "PsQM", "2", float(np.abs(on_grid - transported).max() / np.abs(transported).max()),
              "max | F alpha_N - alpha-hat_N | / max", "max, relative"),
        Arrow("PsQM", "HHt", "2", float(exact.outside), "<n^2>, on the grid", r"$\langle n^2\rangle$"),
        Arrow("N-body", "Vlasov", "2", marginal, "int | f_N^(1) - f |", r"$\int |f_N^{(1)} - f|$"),
        Arrow("N-body", "Vlasov", str(options.particles), float(np.abs(test[worst])),
              f"largest difference of 4 means, +- {test_error[worst]:.1e}"),
        *(
            Arrow("HLv", "HVl", str(num), float(value), f"<n^2>, Monte Carlo, +- {e:.1e}",
                  r"$\langle n^2\rangle$")
            for num, value, e in zip(n, outside, error, strict=True)
        ),
    ]  # fmt: skip
    lines = [[f"{a.one} -> {a.other}", a.particles, f"{a.distance:.3e}", a.kind] for a in arrows]
    z = (outside[0] - float(exact.outside)) / error[0]
    findings = (
        "Vertical arrows: both systems are the same equation in two forms, so their distance is the error of the grid, at most "
        f"{max(a.distance for a in arrows[:4]):.1e}.",
        f"Horizontal arrows, N = 2: the fraction of the particles outside the mean-field state is {float(exact.outside):.5f} "
        f"on the grid and {outside[0]:.5f} +- {error[0]:.5f} by Monte Carlo ({z:+.1f} standard errors).",
        f"It decays as N^b, b = {rate:.3f} +- {rate_error:.3f}, from N = {_FIRST} to {options.particles}: the mean-field limit."
        if np.isfinite(rate) else "Too few values of N to fit an exponent: raise --particles.",
        f"It bounds the classical distance: int |f_N^(1) - f| = {marginal:.4f} at N = 2; the bound is "
        f"2 sqrt(<n^2>) = {2 * math.sqrt(float(exact.outside)):.4f}. At N = {options.particles} the means of cos x, sin x, "
        f"v^2, v^2 cos x differ from those of the mean field by at most {np.abs(test[worst]):.1e} +- {test_error[worst]:.1e}.",
        "+- is one standard error.",
    )  # fmt: skip
    numbers = {
        **{f"{a.one} -> {a.other}": a.distance for a in arrows[:6]},
        "outside": float(outside[-1]), "outside_stderr": float(error[-1]), "exponent": rate, "exponent_stderr": rate_error,
        "outside_two_grid": float(exact.outside), "outside_two_sampled": float(outside[0]), "time": end,
    }  # fmt: skip
    results = {
        "sizes": n, "outside": outside, "outside_stderr": error, "f": np.asarray(f.f),
        "marginal": np.asarray(first_marginal(pseudo)),
        "x": np.asarray(f.grid.axes[0].points), "v": np.asarray(f.grid.axes[1].points), "means": test,
        "means_stderr": test_error,
    }  # fmt: skip
    return Report(
        table(["arrow", "N", "distance", "which"], lines), findings, numbers, results,
        functools.partial(_draw, results, arrows, rate, options),
    )  # fmt: skip


def _norm(one: Wave, other: Wave) -> float:
    difference = Wave(one.alpha - other.alpha, one.grid, one.picture)
    return float(jnp.sqrt(difference.mass))


def _at_points(options: AmplitudeOptions, pseudo: Wave) -> tuple[np.ndarray, np.ndarray]:
    """The amplitudes of (HLv^N), by characteristics, and of (PsQM^N) at grid points where they are not small."""
    wave = pseudo.velocity_picture()
    alpha = np.asarray(wave.alpha)
    places = np.argwhere(np.abs(alpha) > 1e-2 * np.abs(alpha).max())
    rng = np.random.default_rng(options.seed)
    places = places[rng.choice(len(places), min(_POINTS, len(places)), replace=False)]
    points = [np.asarray(axis.points)[places[:, i]] for i, axis in enumerate(wave.grid.axes)]
    x, v = (jnp.asarray(np.stack(part, 1)) for part in (points[:_PAIR], points[_PAIR:]))
    fine = 4  # steps of the characteristics per step of the grid: their error is then the smaller one
    log = hamilton_liouville(potential(), datum(options), x, v, dt=options.dt / fine, num_steps=options.steps * fine)
    return np.exp(np.asarray(log)), alpha[tuple(places.T)]


def _weak_distance(options: AmplitudeOptions, f: Density, dt: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Means of four functions over N particles minus those over f, and their standard errors from independent systems."""
    num, key = options.particles, jax.random.fold_in(jax.random.key(options.seed, impl="threefry2x32"), 1)
    runs = max(16, options.replicas // 16)
    start = (c.reshape(runs, num) for c in datum(options).sample(key, runs * num, dt.dtype))
    x, v = nbody_characteristics(potential(), *start, dt=dt, num_steps=options.steps)

    def tests(x: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.stack([jnp.cos(x), jnp.sin(x), v**2, v**2 * jnp.cos(x)])

    means = np.asarray(jnp.mean(tests(x, v), -1))
    exact = np.asarray(jnp.sum(tests(*f.grid.mesh) * f.f[None], (1, 2)) * f.grid.cell)
    return means.mean(1) - exact, means.std(1, ddof=1) / math.sqrt(runs)


def _draw(results: dict, arrows: list[Arrow], rate: float, options: AmplitudeOptions) -> Figure:
    title = (
        f"The mean-field diagram at t = {options.dt * options.steps:g}  (HMF model, complex data, N = 2 on the grid)"
    )
    figure, axes = look.new_figure(1, 3, size=(18.5, 5.8), title=title)
    _diagram(axes[0, 0], arrows)

    ax, n = axes[0, 1], results["sizes"]
    look.points(ax, n, results["outside"], results["outside_stderr"], label="Monte Carlo")
    ax.plot([_PAIR], [arrows[4].distance], "s", mfc="none", ms=11, color=look.ORANGE, label="(PsQM$^2$) on the grid")
    if np.isfinite(rate):
        ax.plot(n, results["outside"][-1] * (n / n[-1]) ** rate, "--", color=look.BLUE, label=f"slope {rate:.2f}")
    look.log_log(ax)
    look.describe(
        ax,
        "number of particles N",
        r"$\langle n^2\rangle = 1 - \langle p_1\rangle$",
        "Horizontal arrows: the mean-field limit",
    )
    look.legend(ax)

    ax = axes[0, 2]
    difference = results["marginal"] - results["f"]
    image = look.phase_space_density(
        ax, results["x"], results["v"], difference, signed=True, title=r"$f_2^{(1)} - f$: two particles against Vlasov"
    )
    figure.colorbar(image, ax=ax, shrink=0.9, label=r"$f_2^{(1)}(x, v) - f(x, v)$")
    reach = 4 * math.sqrt(options.temperature)
    ax.set_ylim(-reach, reach)
    return figure


def _diagram(ax: Axes, arrows: list[Arrow]) -> None:
    ax.set_axis_off()
    ax.set_xlim(0, 10)
    ax.set_ylim(-0.6, 8.8)
    left, right = 1.7, 8.3
    boxes = {
        "Vlasov": (left, 7.6, "Vlasov\n$f$"), "HVl": (left, 4.1, "(HVl)\n$\\alpha$"),
        "HHt": (left, 0.6, "(HHt)\n$\\hat\\alpha$"),
        "N-body": (right, 7.6, "N-body, Liouville\n$f_N$"), "HLv": (right, 4.1, "(HLv$^N$)\n$\\alpha_N$"),
        "PsQM": (right, 0.6, "(PsQM$^N$)\n$\\hat\\alpha_N$"),
    }  # fmt: skip
    for x, y, text in boxes.values():
        ax.text(
            x, y, text, ha="center", va="center", fontsize=12.5, color=look.BLACK,
            bbox={"boxstyle": "round,pad=0.45", "fc": "#eef4fa", "ec": look.BLUE, "lw": 1.4},
        )  # fmt: skip
    for arrow in [a for a in arrows if a.particles in ("", "2")]:
        style = "<->" if arrow.other in ("HHt", "PsQM") and arrow.one in ("HVl", "HLv") else "->"
        (x0, y0, _), (x1, y1, _) = boxes[arrow.one], boxes[arrow.other]
        across = y0 == y1
        gap_x, gap_y = (1.75 if across else 0.0), (0.0 if across else 0.85)
        start = (x0 + gap_x * np.sign(x1 - x0), y0 + gap_y * np.sign(y1 - y0))
        end = (x1 - gap_x * np.sign(x1 - x0), y1 - gap_y * np.sign(y1 - y0))
        color = look.ORANGE if across else look.BLUE
        ax.annotate("", end, start, arrowprops={"arrowstyle": style, "color": color, "lw": 2})
        middle = ((x0 + x1) / 2 + (0 if across else 0.2), (y0 + y1) / 2 + (0.2 if across else 0))
        # The norms differ, so every number is labelled with its norm.
        label = f"{arrow.symbol} = {arrow.distance:.3f}" if across else f"{arrow.symbol}:\n{arrow.distance:.0e}"
        ax.text(
            *middle,
            label,
            ha="center" if across else "left",
            va="bottom" if across else "center",
            fontsize=11,
            color=color,
        )
    ax.set_title(
        "Distances along the arrows, each in its own norm; horizontal: N = 2",
        fontsize=12.5,
        loc="left",
        color=look.BLACK,
    )


MEAN_FIELD_DIAGRAM = Experiment(
    name="mean-field-diagram",
    summary="six systems from the same data: N-body, Vlasov and their Hamiltonian forms, and the distance along every arrow",
    defaults=AmplitudeOptions(
        particles=128, replicas=10000, nx=32, nv=48, dt=0.05, steps=20, amplitude=0.4, temperature=0.5
    ),
    run=run,
    precision=64,
    headline=Headline("outside", "outside_stderr", "share of particles outside"),
    least_dim=1,
    most_dim=1,
    schemes=("strang", "strang-4", "leapfrog", "yoshida-4"),
)
